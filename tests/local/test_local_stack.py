"""A small program on the real engine with the stand-in providers."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.engine.outcome import Outcome
from local.engine.providers import awsx
from local.engine.providers.protocol import Value
from local.engine.stack import EngineFailure, LocalStack
from local.engine.values import SECRET, UNKNOWN
from local.errors import Refusal

pytestmark = [
    pytest.mark.engine,
    # Importing pulumi_awsx.ec2 warns about a function of its own.
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:pulumi_awsx\..*"),
]

PROJECT = "name: sample\nruntime: python\n"
STACK_FILE = """
encryptionsalt: v1:somebody:elses
config:
  aws:region: eu-west-1
  sample:days: 30
"""
PROGRAM = """
import pulumi
import pulumi_aws as aws

config = pulumi.Config()


class Box(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("sample:index:Box", name)
        mine = pulumi.ResourceOptions(parent=self)
        self.key = aws.kms.Key(f"{name}-key", opts=mine)
        self.logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", retention_in_days=config.require_int("days"), kms_key_id=self.key.arn, opts=mine
        )
        self.register_outputs({})


box = Box("shop")
with open("beside.txt") as file:
    pulumi.export("beside", file.read())
pulumi.export("logs", box.logs.arn)
pulumi.export("password", pulumi.Output.secret("hunter2"))
pulumi.export("settings", {"days": box.logs.retention_in_days, "of": [box.key.key_id]})
"""


class Project:
    """A project's folder, whose program and stack file may be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack_file = folder / "Pulumi.dev.yaml"
        (folder / "Pulumi.yaml").write_text(PROJECT)
        (folder / "beside.txt").write_text("found")
        self.stack_file.write_text(STACK_FILE)
        self.program(PROGRAM)

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    @property
    def stack(self) -> LocalStack:
        return LocalStack("dev", project_dir=self.folder)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome, Outcome]:
    project = Project(tmp_path_factory.mktemp("sample"))
    planned = project.stack.preview()
    done = project.stack.up()
    return project, planned, done


@pytest.fixture
def project(deployed: tuple[Project, Outcome, Outcome]) -> Iterator[Project]:
    """The deployed project, to be edited; afterwards it is as it was."""
    project = deployed[0]
    yield project
    project.stack_file.write_text(STACK_FILE)
    project.program(PROGRAM)


def changes(outcome: Outcome) -> list[tuple[str, str]]:
    return sorted((step.op, step.name) for step in outcome.changes)


def test_a_first_preview_creates_everything_and_cannot_know_what_aws_makes_up(
    deployed: tuple[Project, Outcome, Outcome],
) -> None:
    _, planned, _ = deployed
    assert changes(planned) == [
        ("create", "shop"),
        ("create", "shop-key"),
        ("create", "shop-logs"),
    ]
    assert planned.outputs["logs"] == UNKNOWN
    assert planned.outputs["password"] == SECRET
    assert planned.outputs["settings"] == {"days": 30, "of": [UNKNOWN]}
    parents = {step.name: step.parent for step in planned.steps}
    assert parents["shop-key"] == "urn:pulumi:dev::sample::sample:index:Box::shop"


def test_up_does_what_the_preview_said(deployed: tuple[Project, Outcome, Outcome]) -> None:
    _, planned, done = deployed
    assert changes(done) == changes(planned)
    assert done.outputs["logs"].startswith("arn:aws:logs:eu-west-1:123456789012:log-group:shop-logs-")
    assert done.outputs["beside"] == "found", "relative paths start at the project's folder"


def test_the_state_outlives_the_object_and_can_be_read(project: Project) -> None:
    outputs = project.stack.outputs()
    assert outputs["beside"] == "found"
    assert outputs["password"] == SECRET
    assert outputs["settings"]["days"] == 30


def test_what_is_kept_of_a_stack_has_its_secrets_sealed_and_no_log_of_the_cli(project: Project) -> None:
    (state,) = project.stack.state_dir.glob("state/.pulumi/stacks/sample/dev.json")
    kept = json.loads(state.read_text())["checkpoint"]["latest"]
    assert kept["secrets_providers"]["type"] == "cloud", "a passphrase takes each run of the CLI a quarter of a second"
    (stack,) = (resource for resource in kept["resources"] if resource["type"] == "pulumi:pulumi:Stack")
    assert "ciphertext" in stack["outputs"]["password"]
    assert "hunter2" not in state.read_text()
    assert project.stack.preview().changes == (), "what is sealed can be opened"
    assert (project.stack.state_dir / "home" / "logs").is_file(), "where a folder would be filled"


def test_the_graph_has_parents_dependencies_inputs_and_outputs(project: Project) -> None:
    graph = {resource["name"]: resource for resource in project.stack.graph()}
    logs, key = graph["shop-logs"], graph["shop-key"]
    assert logs["type"] == "aws:cloudwatch/logGroup:LogGroup"
    assert logs["custom"] is True
    assert logs["parent"] == graph["shop"]["urn"]
    assert logs["dependencies"] == [key["urn"]]
    assert logs["inputs"]["kmsKeyId"] == key["outputs"]["arn"]
    assert logs["protect"] is False
    assert {"sample-dev", "shop"} <= graph.keys()
    assert graph["sample-dev"]["outputs"]["password"] == SECRET
    assert any(name.startswith("default_") for name in graph), "the provider is in the graph, too"


def test_an_edit_updates_what_it_touches(project: Project) -> None:
    project.stack_file.write_text(STACK_FILE.replace("days: 30", "days: 60"))
    (step,) = project.stack.preview().changes
    assert (step.op, step.name, step.changed) == ("update", "shop-logs", ("retentionInDays",))
    assert not step.is_replacement


def test_the_users_accounts_and_logins_reach_neither_engine_nor_program(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "pul-x")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://nowhere")
    monkeypatch.setenv("VAULT_NAMESPACE", "mine")
    foreign = ("AWS_", "PULUMI_", "VAULT_")
    project.program(
        f"{PROGRAM}\nimport os\npulumi.export('seen', [key for key in os.environ if key.startswith({foreign})])\n"
    )
    assert project.stack.preview().outputs["seen"] == []
    assert "PULUMI_ACCESS_TOKEN" in os.environ, "afterwards it is there again"


def test_a_start_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    """The engine knows the stack, and what opens its secrets was not written yet."""
    project = Project(tmp_path)
    project.stack.preview()
    for file in (project.stack.state_dir / "stack-file").iterdir():
        file.unlink()
    assert not project.stack.exists
    assert {step.op for step in project.stack.preview().steps} == {"create"}


CRASH = 'pulumi.Output.from_input(1).apply(lambda _: {}["x"])'
FALL = 'def fall() -> None:\n    {}["x"]\n\nfall()'
FUNCTION = "import pulumi_aws\npulumi_aws.iam.get_policy_document_output(statements=[])"
TRACEBACK = r"Traceback \(most recent call last\):\n"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ('raise pulumi.RunError("a.yaml: one\\na.yaml: two")', "a.yaml: one\na.yaml: two"),
        (FALL, rf'{TRACEBACK}  File "/.*/__main__.py", line 5, in <module>\n(?s:.*)KeyError: \'x\''),
        (CRASH, rf"{TRACEBACK}(?s:.*)KeyError: 'x'"),
        # The SDK's own clean-up fails now and then: whether a registration is still open when it begins is a race.
        (f'pulumi.log.error("Exception calling application: x")\n{CRASH}', rf"{TRACEBACK}(?s:.*)KeyError: 'x'"),
        (FUNCTION, r"(?s:.*)getPolicyDocument.*: the local stand-in does not answer this function"),
    ],
    ids=["refused", "crashed", "crashed in an output", "and in its clean-up", "another function"],
)
def test_what_stops_a_program_is_told_once_in_its_own_words(project: Project, program: str, said: str) -> None:
    project.program(f"import pulumi\n{program}\n")
    with pytest.raises(EngineFailure) as failed:
        project.stack.preview()
    (message,) = failed.value.messages
    assert re.fullmatch(said, message)
    assert message.count("KeyError: 'x'") <= 1
    assert "site-packages" not in message


def test_what_the_stand_in_refuses_is_told_in_one_line_each(project: Project) -> None:
    project.program(
        """
        from importlib.metadata import version

        import pulumi

        class Logs(pulumi.CustomResource):
            def __init__(self):
                given = {"retentionDays": 30, "kmsKeyId": 3}
                options = pulumi.ResourceOptions(version=version('pulumi-aws'))
                super().__init__("aws:cloudwatch/logGroup:LogGroup", "x", given, options)

        Logs()
        """
    )
    with pytest.raises(EngineFailure) as failed:
        project.stack.preview()
    start = "aws:cloudwatch/logGroup:LogGroup resource 'x' has a problem: "
    assert sorted(failed.value.messages) == [
        f"{start}`kmsKeyId` must be a string, got the number 3",
        f"{start}`retentionDays` is not a known property; did you mean `retentionInDays`?",
    ]


def test_a_missing_region_is_told(project: Project) -> None:
    project.stack_file.write_text(STACK_FILE.replace("  aws:region: eu-west-1\n", ""))
    fresh = LocalStack("dev", project_dir=project.folder, state_dir=project.folder / ".local" / "fresh")
    with pytest.raises(EngineFailure, match="`region` is missing: set `aws:region` in the stack file"):
        fresh.preview()


def test_an_encrypted_value_is_refused_since_its_key_is_not_here(project: Project) -> None:
    project.stack_file.write_text(STACK_FILE + "  sample:token:\n    secure: v1:abc\n")
    with pytest.raises(Refusal, match=r"Pulumi\.dev\.yaml: holds an encrypted value \(`secure:`\)"):
        project.stack.preview()


NETWORK = """
import pulumi
import pulumi_aws as aws
import pulumi_awsx as awsx

vpc = awsx.ec2.Vpc(
    "net",
    cidr_block="10.0.0.0/16",
    number_of_availability_zones=2,
    nat_gateways={{"strategy": {strategy!r}}},
    subnet_specs=[
        {{"type": "Private", "cidr_blocks": ["10.0.0.0/20", "10.0.16.0/20"]}},
        {{"type": "Public", "cidr_blocks": ["10.0.32.0/24", "10.0.33.0/24"]}},
    ],
    {more}
)
aws.ec2.SecurityGroup("web", vpc_id=vpc.vpc_id)
pulumi.export("public", vpc.public_subnet_ids)
pulumi.export("private", vpc.private_subnet_ids)
"""


@pytest.mark.parametrize(("strategy", "gateways", "routes"), [("None", 0, 2), ("Single", 1, 4), ("OnePerAz", 2, 4)])
def test_a_vpc_of_awsx_has_the_children_of_the_real_one_and_is_left_alone(
    tmp_path: Path, strategy: str, gateways: int, routes: int
) -> None:
    project = Project(tmp_path)
    project.program(NETWORK.format(strategy=strategy, more=""))
    stack = project.stack
    planned = stack.preview()
    assert planned.outputs["private"] == UNKNOWN
    done = stack.up()
    assert changes(done) == changes(planned)
    assert len(done.outputs["public"]) == len(done.outputs["private"]) == 2
    assert stack.preview().changes == ()

    graph = stack.graph()
    kinds = [resource["type"].rpartition(":")[2] for resource in graph]
    assert kinds.count("NatGateway") == kinds.count("Eip") == gateways
    assert kinds.count("Route") == routes
    assert kinds.count("Subnet") == kinds.count("RouteTable") == kinds.count("RouteTableAssociation") == 4
    by_urn = {resource["urn"]: resource for resource in graph}
    parents = {
        (resource["type"].rpartition(":")[2], by_urn[resource["parent"]]["type"].rpartition(":")[2])
        for resource in graph
        if resource["type"].startswith("aws:ec2/") and resource["name"] != "web"
    }
    assert parents - {("NatGateway", "Subnet"), ("Eip", "Subnet")} == {
        *((child, "Vpc") for child in ("Vpc", "InternetGateway", "Subnet")),
        ("RouteTable", "Subnet"),
        ("RouteTableAssociation", "RouteTable"),
        ("Route", "RouteTable"),
    }
    gateway_routes = [resource["inputs"] for resource in graph if resource["type"] == "aws:ec2/route:Route"]
    through = {route.get("natGatewayId") for route in gateway_routes} - {None}
    assert len(through) == gateways


@pytest.mark.parametrize(
    ("strategy", "more", "said"),
    [
        (
            "None",
            "assign_generated_ipv6_cidr_block=True",
            "`assignGeneratedIpv6CidrBlock` is not rebuilt by the local ",
        ),
        ("Two", "", "`natGateways.strategy` must be one of None, Single, OnePerAz, got 'Two'"),
    ],
)
def test_what_is_not_rebuilt_of_awsx_is_refused(tmp_path: Path, strategy: str, more: str, said: str) -> None:
    project = Project(tmp_path)
    project.program(NETWORK.format(strategy=strategy, more=more))
    with pytest.raises(EngineFailure) as failed:
        project.stack.preview()
    assert f"awsx:ec2:Vpc resource 'net' has a problem: {said}" in str(failed.value)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"natGateways": {"strategy": "Single", "elasticIpAllocationIds": ["a"]}}, "natGateways.strategy"),
        ({"numberOfAvailabilityZones": 3}, "subnetSpecs"),
        ({"subnetSpecs": [{"type": "Isolated"}]}, "subnetSpecs"),
        ({"subnetSpecs": None}, "subnetSpecs"),
    ],
)
def test_a_vpc_unlike_the_programs_is_refused_by_name(changes: dict[str, Value], path: str) -> None:
    given: dict[str, Value] = {
        "cidrBlock": "10.0.0.0/16",
        "numberOfAvailabilityZones": 1,
        "natGateways": {"strategy": "None"},
        "subnetSpecs": [
            {"type": "Private", "cidrBlocks": ["10.0.0.0/20"]},
            {"type": "Public", "cidrBlocks": ["10.0.32.0/24"]},
        ],
    }
    assert list(awsx._problems(given)) == []
    assert [problem.path for problem in awsx._problems({**given, **changes})] == [path]


def test_another_component_of_awsx_is_refused(project: Project) -> None:
    project.program("import pulumi_awsx as awsx\nawsx.ecr.Repository('images')\n")
    with pytest.raises(EngineFailure, match="awsx:ecr:Repository: the local stand-in for awsx makes awsx:ec2:Vpc only"):
        project.stack.preview()


def test_the_engines_own_account_of_changed_values_can_be_had(project: Project) -> None:
    project.stack_file.write_text(STACK_FILE.replace("days: 30", "days: 60"))
    text = project.stack.preview(diff=True).text
    assert "~ retentionInDays: 30 => 60" in [line.strip() for line in text.splitlines()]

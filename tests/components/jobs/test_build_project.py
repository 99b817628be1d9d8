"""One CodeBuild project: what it may do, what it runs on, and what it refuses to be told."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import BUCKET, BUNDLE_VARIABLES, KEY, TAGS, arn, artifact_bucket, foundation

from components.foundation.iam import Statement, policy_document
from components.jobs.build_project import (
    LAMBDA_MINUTES,
    LAMBDA_REGIONS,
    LONG_RUNNING,
    PLATFORMS,
    BuildProject,
    BuildProjectArgs,
    Machine,
    Wait,
    browser_machine,
    image_builder,
    quick_machine,
    transfer_machine,
    waiting_machine,
)
from components.jobs.buildspec import Buildspec
from components.jobs.bundle import JobBundle
from components.pipeline.model import Action, Artifact, Category, Provider, Variable

BUILDSPEC = Buildspec(
    name="greet",
    purpose="Greet somebody.",
    text="version: 0.2\n",
    variables={"NAME": "", "GREETING": "hello", "RUNS": "1"},
    secrets=("TOKEN",),
    exported=("ANSWER", "MOOD"),
    artifact_files=(),
    artifacts={},
    reports=(),
    modules={},
)
QUICK = quick_machine("eu-west-1")
BROWSER = browser_machine("small")
SILENT = dataclasses.replace(BUILDSPEC, exported=())
IMAGES = Statement(sid="PullImage", actions=("ecr:BatchGetImage",), resources=(arn("ecr", "repository/shop"),))
LOG_GROUP = arn("logs", "log-group:/aws/codebuild/shop-dev-greet")
AUTO_DISCOVER = {"name": "CODEBUILD_CONFIG_AUTO_DISCOVER", "value": "false", "type": "PLAINTEXT"}
BUNDLE = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in BUNDLE_VARIABLES.items()]
EVERY_BUILD = [
    {
        "Sid": "ReadJobs",
        "Effect": "Allow",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/_jobs/*"],
    },
    {
        "Sid": "ReadArtifacts",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/shop-dev/Source/*", f"arn:aws:s3:::{BUCKET}/shop-dev/SmokeTestI/*"],
    },
    {
        "Sid": "WriteArtifacts",
        "Effect": "Allow",
        "Action": ["s3:PutObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/shop-dev/Deployment/*"],
    },
    {
        "Sid": "FindArtifactBucket",
        "Effect": "Allow",
        "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation"],
        "Resource": [f"arn:aws:s3:::{BUCKET}"],
    },
    {
        "Sid": "UseArtifactKey",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
        "Resource": [KEY],
    },
    {
        "Sid": "WriteLog",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": [f"{LOG_GROUP}:*"],
    },
]


def project(use: Callable[[BuildProject], object] = lambda _: None, **changes: Any) -> Graph:  # noqa: ANN401 - whatever fields the args have
    """Make one project inside the engine and hand it to `use`."""

    def program() -> None:
        base = foundation(log_days=90)
        artifacts = artifact_bucket(base)
        args = BuildProjectArgs(
            foundation=base,
            project_name="shop-dev-greet",
            description="Greets",
            buildspec=BUILDSPEC,
            machine=QUICK,
            artifacts=artifacts,
            jobs=JobBundle("jobs", artifacts),
            reads=(Artifact.SOURCE, Artifact.SMOKE_TEST_IMAGE),
            writes=(Artifact.DEPLOYMENT,),
            variables={},
            statements=(),
        )
        use(BuildProject("greet", dataclasses.replace(args, **changes)))

    return build(program)


@cache
def plain() -> Graph:
    return project()


def action(**changes: Any) -> Action:  # noqa: ANN401 - whatever `action` takes
    """The action of a project; its configuration resolved."""
    made: list[Action] = []

    def use(built: BuildProject) -> None:
        made.append(built.action("Greet", **changes))
        pulumi.export("configuration", dict(made[0].configuration))

    of_project = {key: changes.pop(key) for key in ("buildspec", "reads", "writes") if key in changes}
    graph = project(use, **{"reads": (Artifact.SOURCE,), "writes": (), **of_project})
    return dataclasses.replace(made[0], configuration=graph.exports["configuration"])


def statements(graph: Graph) -> list[dict[str, Any]]:
    return list(json.loads(graph.one("RolePolicy").inputs["policy"])["Statement"])


# The project


def test_a_project_takes_its_buildspec_from_here_and_not_from_the_commit() -> None:
    """A buildspec in the application's repository would let every commit decide what a privileged build does."""
    assert plain().one("Project").inputs == {
        "name": "shop-dev-greet",
        "description": "Greets",
        "serviceRole": plain().one("Role").outputs["arn"],
        "source": {"type": "CODEPIPELINE", "buildspec": "version: 0.2\n"},
        "artifacts": {"type": "CODEPIPELINE"},
        "encryptionKey": KEY,
        "environment": {
            "type": "ARM_LAMBDA_CONTAINER",
            "image": "aws/codebuild/amazonlinux-aarch64-lambda-standard:python3.13",
            "computeType": "BUILD_LAMBDA_1GB",
            "privilegedMode": False,
            "imagePullCredentialsType": "CODEBUILD",
            "environmentVariables": [AUTO_DISCOVER, *BUNDLE],
        },
        "logsConfig": {"cloudwatchLogs": {"groupName": "/aws/codebuild/shop-dev-greet", "status": "ENABLED"}},
        "tags": TAGS,
    }


def test_variables_come_sorted_and_secrets_by_reference() -> None:
    """AWS adds CODEBUILD_CONFIG_AUTO_DISCOVER by itself: unset, it shows as a change for ever (pulumi-aws#3844)."""
    graph = project(
        variables={"NAME": "shop", "GREETING": "hi"},
        secrets={"TOKEN": "shop/github:token"},
    )
    assert graph.one("Project").inputs["environment"]["environmentVariables"] == [
        AUTO_DISCOVER,
        {"name": "GREETING", "value": "hi", "type": "PLAINTEXT"},
        *BUNDLE,
        {"name": "NAME", "value": "shop", "type": "PLAINTEXT"},
        {"name": "TOKEN", "value": "shop/github:token", "type": "SECRETS_MANAGER"},
    ]


@pytest.mark.parametrize(
    ("variables", "secrets", "named"),
    [
        pytest.param({"NAMME": "x"}, {}, "NAMME", id="a misspelt variable"),
        pytest.param({"NAME": "x"}, {"PASSWORD": "x"}, "PASSWORD", id="a secret it does not know"),
        pytest.param({"ZEBRA": "x", "APPLE": "x"}, {}, "APPLE, ZEBRA", id="all of them, sorted"),
    ],
)
def test_a_variable_the_buildspec_does_not_declare_is_refused(
    variables: Mapping[str, str], secrets: Mapping[str, str], named: str
) -> None:
    """CodeBuild would set it and nothing would read it: a misspelt setting without effect."""
    with pytest.raises(ValueError, match="declare") as refusal:
        project(variables=variables, secrets=secrets)
    assert str(refusal.value) == (
        f"shop-dev-greet: buildspec greet does not declare {named}; declare it under env.variables or drop it"
    )


def test_a_variable_of_the_action_the_buildspec_does_not_declare_is_refused() -> None:
    with pytest.raises(ValueError, match="shop-dev-greet: buildspec greet does not declare MOOD;"):
        action(reads=(Artifact.SOURCE,), environment={"MOOD": "good"})


@pytest.mark.parametrize(
    ("artifacts", "writes", "told"),
    [
        ({}, (Artifact.IMAGE, Artifact.DEPLOYMENT), "none, its actions write Image, Deployment"),
        ({"Image": ("a",), "Else": ("b",)}, (Artifact.IMAGE, Artifact.DEPLOYMENT), "Image, Else, its actions write"),
        ({"Image": ("a",)}, (Artifact.IMAGE,), "Image, its actions write Image"),
        ({"Image": ("a",), "Deployment": ("b",)}, (), "Image, Deployment, its actions write none"),
    ],
)
def test_several_artifacts_are_the_secondary_ones_of_the_buildspec(
    artifacts: Mapping[str, tuple[str, ...]], writes: tuple[Artifact, ...], told: str
) -> None:
    """CodeBuild finds each by its name.

    https://docs.aws.amazon.com/codebuild/latest/userguide/sample-pipeline-multi-input-output.html
    """
    with pytest.raises(ValueError, match="secondary artifacts") as refusal:
        project(buildspec=dataclasses.replace(BUILDSPEC, artifacts=artifacts), writes=writes)
    assert str(refusal.value).startswith(f"shop-dev-greet: buildspec greet has the secondary artifacts {told}")
    both = dataclasses.replace(BUILDSPEC, artifacts={"Image": ("a",), "Deployment": ("b",)})
    (made,) = project(buildspec=both, writes=(Artifact.DEPLOYMENT, Artifact.IMAGE)).of("Project")
    assert made.inputs["artifacts"] == {"type": "CODEPIPELINE"}


# Role, log group, order


def test_a_build_exchanges_its_own_artifacts_writes_its_own_log_and_no_more() -> None:
    assert statements(plain()) == EVERY_BUILD


def test_a_build_without_output_may_store_nothing() -> None:
    graph = project(writes=(), jobs=None, reads=(Artifact.SOURCE,))
    allowed = {item["Sid"]: item["Action"] for item in statements(graph)}
    assert "WriteArtifacts" not in allowed
    assert allowed["UseArtifactKey"] == ["kms:Decrypt", "kms:DescribeKey"]


def test_what_a_job_needs_comes_on_top() -> None:
    graph = project(statements=[IMAGES])
    assert statements(graph) == [
        {
            "Sid": "PullImage",
            "Effect": "Allow",
            "Action": ["ecr:BatchGetImage"],
            "Resource": [arn("ecr", "repository/shop")],
        },
        *EVERY_BUILD,
    ]


@cache
def reporting() -> Graph:
    return project(buildspec=dataclasses.replace(BUILDSPEC, reports=("lighthouse", "unit")))


def test_a_build_that_reports_may_write_its_own_reports() -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/test-permissions.html."""
    assert statements(reporting()) == [
        *EVERY_BUILD,
        {
            "Sid": "WriteReports",
            "Effect": "Allow",
            "Action": [
                "codebuild:BatchPutTestCases",
                "codebuild:CreateReport",
                "codebuild:CreateReportGroup",
                "codebuild:UpdateReport",
            ],
            "Resource": [
                arn("codebuild", "report-group/shop-dev-greet-lighthouse"),
                arn("codebuild", "report-group/shop-dev-greet-unit"),
            ],
        },
    ]


def test_report_groups_are_ours_and_go_with_their_reports() -> None:
    """CodeBuild makes one named after project and report by itself when there is none, and nobody ever deletes it."""
    component = reporting().one("ecs-delivery:index:BuildProject")
    groups = reporting().of("ReportGroup")
    assert {item.parent for item in groups} == {component.urn}
    assert sorted((dict(item.inputs) for item in groups), key=lambda item: str(item["name"])) == [
        {
            "name": f"shop-dev-greet-{key}",
            "type": "TEST",
            "exportConfig": {"type": "NO_EXPORT"},
            "deleteReports": True,
            "tags": TAGS,
        }
        for key in ("lighthouse", "unit")
    ]


def test_a_build_without_reports_has_no_report_group() -> None:
    assert plain().of("ReportGroup") == []


@pytest.mark.parametrize("name", ["shop-dev-promote-image", None])
def test_a_role_has_a_name_of_its_own_only_where_others_must_know_it(name: str | None) -> None:
    assert project(role_name=name).one("Role").inputs.get("name") == name


def test_only_this_project_may_take_the_role() -> None:
    role = plain().one("Role")
    assert role.inputs["description"] == "Builds of shop-dev-greet"
    assert role.inputs["tags"] == TAGS
    assert json.loads(role.inputs["assumeRolePolicy"])["Statement"] == [
        {
            "Sid": "AssumedByService",
            "Effect": "Allow",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "123456789012"},
                "ArnEquals": {"aws:SourceArn": arn("codebuild", "project/shop-dev-greet")},
            },
        }
    ]
    assert plain().one("RolePolicy").inputs["role"] == role.outputs["name"]


def test_the_log_group_is_ours_and_forgets() -> None:
    """One that CodeBuild makes by itself never expires and survives destroy (aws-cdk#13250)."""
    assert plain().one("LogGroup").inputs == {
        "name": "/aws/codebuild/shop-dev-greet",
        "retentionInDays": 90,
        "kmsKeyId": KEY,
        "tags": TAGS,
    }


def test_the_log_group_waits_for_the_keys_policy() -> None:
    """CloudWatch Logs tries the key at once."""
    assert plain().one("KeyPolicy").urn in plain().one("LogGroup").dependencies


def test_the_project_waits_for_its_permissions() -> None:
    """CodeBuild tries the role when the project is made (terraform-provider-aws#4233)."""
    assert plain().one("RolePolicy").urn in plain().one("Project").dependencies


def test_name_and_role_are_what_the_component_offers() -> None:
    component = plain().one("ecs-delivery:index:BuildProject")
    assert plain().registered_outputs[component.urn] == {
        "name": "shop-dev-greet",
        "roleArn": plain().one("Role").outputs["arn"],
    }
    assert sorted(item.type.split(":")[-1] for item in plain().children(component)) == [
        "LogGroup",
        "Project",
        "Role",
        "RolePolicy",
    ]


# Machines


@pytest.mark.parametrize("machine", [LONG_RUNNING, BROWSER, image_builder(architecture="arm64", size="small")])
def test_a_build_ends_when_its_time_is_up(machine: Machine) -> None:
    assert project(machine=machine, timeout_minutes=45).one("Project").inputs["buildTimeout"] == 45


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (QUICK, "ARM Lambda/1GB"),
        (LONG_RUNNING, "ARM/Small"),
        (BROWSER, "Linux/Small"),
        *(
            (image_builder(architecture=architecture, size=size), f"{platform}/{words}")
            for architecture, platform in (("arm64", "ARM"), ("x86_64", "Linux"))
            for size, words in (("small", "Small"), ("medium", "Medium"), ("large", "Large"), ("xlarge", "XLarge"))
        ),
    ],
)
def test_a_machine_type_has_the_name_that_codebuilds_quotas_give_it(machine: Machine, name: str) -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html lists them in these words."""
    assert machine.type == name


@pytest.mark.parametrize("region", sorted(LAMBDA_REGIONS))
def test_a_quick_machine_is_a_lambda_where_the_region_has_that(region: str) -> None:
    assert quick_machine(region).is_lambda


@pytest.mark.parametrize("region", ["eu-west-3", "cn-north-1", "us-gov-west-1", None])
def test_a_quick_machine_is_an_ordinary_one_elsewhere(region: str | None) -> None:
    """CodeBuild offers Lambda machines in some regions only, and where ours is unknown nothing may depend on it.

    https://docs.aws.amazon.com/codebuild/latest/userguide/lambda.html
    """
    assert quick_machine(region) == LONG_RUNNING
    assert not quick_machine(region).is_lambda


def test_each_architecture_has_its_platform() -> None:
    assert PLATFORMS == {"arm64": "linux/arm64", "x86_64": "linux/amd64"}


def test_a_lambda_machine_takes_no_timeout() -> None:
    """Lambda ends after 15 minutes whatever one asks for, and AWS ignores or refuses the setting."""
    assert "buildTimeout" not in project(machine=QUICK, timeout_minutes=12).one("Project").inputs


CURATED = {
    "aws/codebuild/amazonlinux-aarch64-standard:4.0": ("ARM_CONTAINER", "al/aarch64/standard/4.0", "2026-04-09"),
    "aws/codebuild/amazonlinux-x86_64-standard:6.0": ("LINUX_CONTAINER", "al/x86_64/standard/6.0", "2026-04-07"),
    "aws/codebuild/standard:8.0": ("LINUX_CONTAINER", "ubuntu/standard/8.0", "2026-04-07"),
    "aws/codebuild/amazonlinux-aarch64-lambda-standard:python3.13": (
        "ARM_LAMBDA_CONTAINER",
        "al-lambda/aarch64/python3.13",
        "2025-04-04",
    ),
}
"""Image -> the environment type it is for, the folder of its Dockerfile and that folder's last change, at 1590e48 of
https://github.com/aws/aws-codebuild-docker-images. All four are constants of aws-cdk-lib 2.276.0, too (module
aws-codebuild). AWS's Dockerfile of python3.12 for Lambda is of 2023-12-08."""


@pytest.mark.parametrize(
    "machine",
    [
        *(image_builder(architecture=architecture, size="small") for architecture in PLATFORMS),
        *(quick_machine(region) for region in ("eu-west-1", None)),
        *(transfer_machine(region) for region in ("eu-west-1", None)),
        LONG_RUNNING,
        *map(browser_machine, ("small", "medium", "large")),
    ],
)
def test_each_image_is_one_that_aws_has_for_this_machine(machine: Machine) -> None:
    environment_type, folder, _ = CURATED[machine.image]
    assert machine.environment_type == environment_type
    version = machine.image.rpartition(":")[2]
    assert folder.endswith(f"/{version}")
    assert ("aarch64" in folder) == machine.environment_type.startswith("ARM")


def test_a_lambda_machine_is_given_no_job_that_it_would_end() -> None:
    """It ends without a word what takes longer than 15 minutes.

    https://docs.aws.amazon.com/codebuild/latest/userguide/lambda.html#lambda.limitations
    """
    assert LAMBDA_MINUTES == 15
    assert project(machine=QUICK, timeout_minutes=15).one("Project")
    with pytest.raises(ValueError, match="takes up to 16 minutes, and a Lambda machine allows 15"):
        project(machine=QUICK, timeout_minutes=16)


def test_a_job_without_a_time_of_its_own_takes_what_its_machine_allows() -> None:
    assert (QUICK.at_most(120), LONG_RUNNING.at_most(120)) == (15, 120)
    assert project(machine=LONG_RUNNING).one("Project").inputs["buildTimeout"] == 30


@pytest.mark.parametrize(
    ("stated", "takes", "placed", "minutes"),
    [
        pytest.param(12, None, QUICK, 12, id="stated, and just fits"),
        pytest.param(13, 1, LONG_RUNNING, 13, id="stated, and does not fit"),
        pytest.param(None, 12, QUICK, 12, id="what it waits for just fits"),
        pytest.param(None, 13, LONG_RUNNING, 60, id="what it waits for does not fit"),
        pytest.param(None, None, LONG_RUNNING, 60, id="nobody knows"),
    ],
)
def test_a_job_waits_where_it_can_end_in_time(
    stated: int | None, takes: int | None, placed: Machine, minutes: int
) -> None:
    wait = Wait.on(QUICK, stated=stated, takes=takes, otherwise=60, to_end=3)
    assert (wait.machine, wait.minutes, wait.timeout_minutes) == (placed, minutes, minutes + 3)


def test_a_region_without_lambda_machines_leaves_a_job_its_whole_time() -> None:
    """Nothing is gained by less there."""
    wait = Wait.on(quick_machine("eu-west-3"), stated=None, takes=5, otherwise=60, to_end=3)
    assert (wait.machine, wait.minutes) == (LONG_RUNNING, 60)


def test_jobs_that_wait_beside_others_have_a_size_of_their_own() -> None:
    """A new account runs one build at a time on each, and refuses the start of a second one."""
    sizes = [make("eu-west-1").compute_type for make in (quick_machine, transfer_machine, waiting_machine)]
    assert sizes == ["BUILD_LAMBDA_1GB", "BUILD_LAMBDA_2GB", "BUILD_LAMBDA_4GB"]


def test_a_machine_for_transfers_has_a_whole_processor() -> None:
    """Of Lambda's, one for each 1,769 MB: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html."""
    assert transfer_machine("eu-west-1").compute_type == "BUILD_LAMBDA_2GB"
    assert transfer_machine("eu-west-1").is_lambda
    assert transfer_machine("eu-north-1") == LONG_RUNNING


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (
            image_builder(architecture="arm64", size="large"),
            ("ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:4.0", "BUILD_GENERAL1_LARGE", True),
        ),
        (
            image_builder(architecture="x86_64", size="small"),
            ("LINUX_CONTAINER", "aws/codebuild/amazonlinux-x86_64-standard:6.0", "BUILD_GENERAL1_SMALL", True),
        ),
        (
            QUICK,
            (
                "ARM_LAMBDA_CONTAINER",
                "aws/codebuild/amazonlinux-aarch64-lambda-standard:python3.13",
                "BUILD_LAMBDA_1GB",
                False,
            ),
        ),
        (
            LONG_RUNNING,
            ("ARM_CONTAINER", "aws/codebuild/amazonlinux-aarch64-standard:4.0", "BUILD_GENERAL1_SMALL", False),
        ),
        (BROWSER, ("LINUX_CONTAINER", "aws/codebuild/standard:8.0", "BUILD_GENERAL1_SMALL", False)),
    ],
    ids=["arm64 image builder", "x86_64 image builder", "quick", "patient", "browser"],
)
def test_a_machine_is_what_its_name_promises(machine: Machine, expected: tuple[str, str, str, bool]) -> None:
    """An image for arm64 is built on arm64: emulation takes many times as long. Chrome comes for x86_64 only."""
    assert (machine.environment_type, machine.image, machine.compute_type, machine.builds_images) == expected


def test_only_a_machine_that_builds_images_is_privileged() -> None:
    builder = project(machine=image_builder(architecture="arm64", size="small"))
    assert builder.one("Project").inputs["environment"]["privilegedMode"] is True
    for machine in (QUICK, LONG_RUNNING, BROWSER):
        assert project(machine=machine).one("Project").inputs["environment"]["privilegedMode"] is False


# The action


def test_an_action_runs_the_project_and_offers_what_the_build_exports() -> None:
    assert action(reads=(Artifact.SOURCE,)) == Action(
        name="Greet",
        category=Category.BUILD,
        provider=Provider.CODEBUILD,
        machine="ARM Lambda/1GB",
        configuration={"ProjectName": "shop-dev-greet"},
        reads=(Artifact.SOURCE,),
        namespace="Greet",
        exports=("ANSWER", "MOOD"),
    )


def test_everything_the_stage_says_is_in_the_action() -> None:
    runs = Variable(name="RUNS", default="3", description="How often")
    assert action(
        reads=(Artifact.IMAGE, Artifact.SOURCE),
        writes=(Artifact.DEPLOYMENT,),
        category=Category.TEST,
        environment={"RUNS": runs.reference},
        variables=(runs,),
        run_order=2,
    ) == Action(
        name="Greet",
        category=Category.TEST,
        provider=Provider.CODEBUILD,
        machine="ARM Lambda/1GB",
        # CodePipeline wants to be told which of several inputs is the working directory.
        configuration={"ProjectName": "shop-dev-greet", "PrimarySource": "Image"},
        environment={"RUNS": "#{variables.RUNS}"},
        reads=(Artifact.IMAGE, Artifact.SOURCE),
        writes=(Artifact.DEPLOYMENT,),
        run_order=2,
        namespace="Greet",
        exports=("ANSWER", "MOOD"),
        variables=(runs,),
    )


def test_a_build_that_exports_nothing_takes_no_namespace() -> None:
    silent = action(reads=(Artifact.SOURCE,), buildspec=SILENT)
    assert (silent.namespace, silent.exports) == (None, ())


def test_the_pipeline_may_start_this_project_and_no_other() -> None:
    graph = project(lambda built: pulumi.export("policy", policy_document([built.start()])))
    assert json.loads(graph.exports["policy"])["Statement"] == [
        {
            "Sid": "StartBuilds",
            "Effect": "Allow",
            "Action": ["codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"],
            "Resource": [arn("codebuild", "project/shop-dev-greet")],
        }
    ]

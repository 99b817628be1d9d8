"""Previews on pull requests and deployments from main: what the workflows may do, and what they need of AWS."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import iam_reference
import pytest
import yaml
from mocked import build_program
from summary import stack_files

from components.settings import load_stack_file

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "previews.md").read_text(encoding="utf-8")
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
TRUST, MAY = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
LOOKED_UP = {
    # internal/service/elbv2/load_balancer_data_source.go and listener_data_source.go of AWS's provider, v6.58.0
    "aws:lb/getLoadBalancer:getLoadBalancer": {
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeLoadBalancerAttributes",
        "elasticloadbalancing:DescribeTags",
    },
    "aws:lb/getListener:getListener": {
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeListenerAttributes",
        "elasticloadbalancing:DescribeTags",
    },
}
"""What the provider asks AWS for each lookup of a program."""
IN_COMPONENTS = {"awsx:ec2:Vpc": {"ec2:DescribeAvailabilityZones"}}
"""What components of other packages look up: awsx's network goes over the zones of the region."""


@pytest.mark.parametrize(
    ("name", "job", "stack"), [("preview.yml", "dev", "dev"), ("preview-prod.yml", "prod", "prod")]
)
def test_what_a_branch_can_change_runs_with_nothing_that_writes(name: str, job: str, stack: str) -> None:
    """The tests of the repository hold all workflows to naming no secret."""
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {}
    assert set(workflow[True]) == {"pull_request"}  # YAML reads the key `on` as true
    preview = workflow["jobs"][job]
    assert preview["permissions"] == {"contents": "read", "id-token": "write"}
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    assert preview["if"] == f"{own} && vars.PULUMI_IN_AWS == 'true'"
    assert preview["environment"] == f"preview-{stack}"
    assert "github.token" not in json.dumps(workflow), "a preview's program could read it"


def test_every_pull_request_is_previewed_without_credentials() -> None:
    """A fork's, too, and that of a repository that has set up nothing."""
    local = WORKFLOWS["preview.yml"]["jobs"]["local"]
    assert local["permissions"] == {"contents": "read"}
    assert local["strategy"]["matrix"] == {"stack": ["dev", "prod"]}
    assert not {"if", "environment"} & set(local)
    assert [step.get("with") for step in local["steps"] if step.get("uses") == "./.github/actions/pulumi"] == [None]


@pytest.mark.parametrize("name", ["preview.yml", "preview-prod.yml", "deploy-stack.yml"])
def test_credentials_are_short_lived_and_come_after_the_packages(name: str) -> None:
    """An installer of the packages has none to read; a preview's are the shortest that AWS gives."""
    steps = yaml.safe_load((ROOT / ".github/actions/pulumi/action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
    order = [step.get("run", step.get("uses", "")).partition("@")[0] for step in steps]
    assert order.index("make install") < order.index("aws-actions/configure-aws-credentials")
    for job in WORKFLOWS[name]["jobs"].values():
        for step in job["steps"]:
            if step.get("uses") == "./.github/actions/pulumi" and "with" in step:
                deploys = job.get("environment", "").startswith("deploy-")
                assert ("DEPLOY_ROLE_ARN" in step["with"]["role"]) == deploys
                assert ("seconds" in step["with"]) == deploys


def test_what_is_deployed_is_merged_planned_and_read() -> None:
    stack = WORKFLOWS["deploy-stack.yml"]["jobs"]
    assert stack["plan"]["if"] == "github.ref == 'refs/heads/main' && vars.PULUMI_DEPLOYS == 'true'"
    assert stack["apply"]["needs"] == "plan"
    assert stack["apply"]["environment"] == "deploy-${{ inputs.stack }}"
    assert stack["apply"]["concurrency"] == {"group": "deploy-${{ inputs.stack }}", "cancel-in-progress": False}
    both = WORKFLOWS["deploy.yml"]["jobs"]
    assert [job["with"]["stack"] for job in both.values()] == ["dev", "prod"]
    assert both["prod"]["needs"] == "dev"
    assert set(WORKFLOWS["deploy.yml"][True]) == {"push", "workflow_dispatch"}
    assert WORKFLOWS["deploy.yml"][True]["push"] == {"branches": ["main"]}


def test_every_variable_of_the_workflows_is_written_down() -> None:
    used = set(re.findall(r"vars\.([A-Z_]+)", "".join(TEXTS.values())))
    assert used == set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE))


def test_the_role_trusts_one_environment_of_one_repository() -> None:
    (statement,) = TRUST["Statement"]
    conditions = statement["Condition"]["StringEquals"]
    prefix = "token.actions.githubusercontent.com"
    assert conditions == {
        f"{prefix}:aud": "sts.amazonaws.com",
        f"{prefix}:sub": "repo:example/infrastructure:environment:preview-dev",
    }


def test_the_role_may_look_up_what_the_programs_look_up_and_nothing_else() -> None:
    wanted: set[str] = set()
    for name, path in stack_files().items():
        graph = build_program(load_stack_file(path), stack_name=name)
        wanted.update(*(LOOKED_UP[token] for token in graph.invokes))
        wanted.update(*(IN_COMPONENTS.get(resource.type, ()) for resource in graph.resources.values()))
    statements = {statement["Sid"]: statement for statement in MAY["Statement"]}
    assert set(statements["LookUp"]["Action"]) == wanted
    assert set(statements) == {"LookUp", "ReadState", "OpenState"}


def test_nothing_that_the_role_may_do_writes_or_reads_data_but_the_state() -> None:
    for statement in MAY["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        for action in actions:
            known = iam_reference.known(action)
            assert known, action
            if statement["Sid"] == "LookUp":
                assert known["accessLevel"] in {"List", "Read"}, action
                assert known["resourceTypes"] == [], f"{action} could be narrowed"
                assert statement["Resource"] == "*"
            else:
                assert action in {"s3:GetObject", "s3:ListBucket", "kms:Decrypt"}
                assert statement["Resource"] != "*"

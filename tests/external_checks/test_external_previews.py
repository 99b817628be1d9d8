"""Previews on pull requests: what the workflow may do, what it needs of AWS, and the comment that it writes."""

from __future__ import annotations

import json
import re
import subprocess
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
TEXT = (ROOT / ".github" / "workflows" / "preview.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
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


def test_what_a_branch_can_change_runs_with_nothing_that_writes() -> None:
    """The tests of the repository hold all workflows to naming no secret."""
    assert WORKFLOW["permissions"] == {}
    assert set(WORKFLOW[True]) == {"pull_request"}  # YAML reads the key `on` as true
    preview = WORKFLOW["jobs"]["preview"]
    assert preview["permissions"] == {"contents": "read", "id-token": "write"}
    assert preview["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert preview["strategy"]["matrix"] == {"stack": ["dev", "prod"]}
    assert preview["environment"] == "preview-${{ matrix.stack }}"
    assert "github.token" not in json.dumps(preview), "a preview's program could read it"


def test_the_job_that_writes_runs_nothing_of_the_branch() -> None:
    comment = WORKFLOW["jobs"]["comment"]
    assert comment["permissions"] == {"pull-requests": "write"}
    assert [step.get("uses", "run").partition("@")[0] for step in comment["steps"]] == [
        "actions/download-artifact",
        "run",
    ]
    assert "${{" not in comment["steps"][1]["run"]


def test_every_variable_of_the_workflow_is_written_down() -> None:
    assert set(re.findall(r"vars\.([A-Z_]+)", TEXT)) == set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE))


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


GH = """#!/bin/sh
printf '%s\\n' "$*" >> calls.txt
case "$*" in *--jq*) cat ids.txt;; *) cp comment.md posted.md;; esac
"""


@pytest.mark.parametrize(("ids", "call"), [("", "POST"), ("71\n72\n", "PATCH")])
def test_there_is_one_comment_that_fits_and_says_the_summary_first(tmp_path: Path, ids: str, call: str) -> None:
    (tmp_path / "gh").write_text(GH, encoding="utf-8")
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "ids.txt").write_text(ids, encoding="utf-8")
    long = "".join(f"    + änderung {number}\n" for number in range(20_000))
    (tmp_path / "dev.txt").write_text(f"{long}Resources:\n    + 2 to create\n{'ä' * 2000}\n", encoding="utf-8")
    run = WORKFLOW["jobs"]["comment"]["steps"][1]["run"]
    result = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "COMMENTS": "repos/o/r/issues/7/comments", "REPOSITORY": "repos/o/r"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    looked, wrote = (tmp_path / "calls.txt").read_text(encoding="utf-8").splitlines()
    assert looked.startswith("api --paginate repos/o/r/issues/7/comments --jq ")
    address = "repos/o/r/issues/comments/71" if ids else "repos/o/r/issues/7/comments"
    assert wrote == f"api --method {call} {address} --field body=@comment.md --silent"
    posted = (tmp_path / "posted.md").read_text(encoding="utf-8")
    assert len(posted) <= 65_536
    assert posted.startswith("<!-- preview of the stacks -->\n## dev\n~~~~~~~~\n")
    assert posted.index("+ 2 to create") < posted.index("All of it")
    assert posted.endswith("## prod\nThere is no preview: see the job.\n")

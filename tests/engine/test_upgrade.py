"""A stack that an earlier version of this program deployed is upgraded by `up`.

`released/` holds the states of the repository's own stacks as version 0.1 left them, deployed by `make up`.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from local.engine.stack import LocalStack

pytestmark = pytest.mark.engine

RELEASED = Path(__file__).parent / "released"


def deployed_then(name: str, folder: Path) -> LocalStack:
    """The stack as the earlier version left it."""
    state = gzip.decompress((RELEASED / f"{name}.json.gz").read_bytes())
    kept = folder / "state" / ".pulumi" / "stacks" / "ecs-delivery" / f"{name}.json"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(state)
    salt = json.loads(state)["checkpoint"]["latest"]["secrets_providers"]["state"]["salt"]
    settings = folder / "stack-file" / f"Pulumi.{name}.yaml"
    settings.parent.mkdir()
    settings.write_text(f"encryptionsalt: {salt}\n", encoding="utf-8")
    return LocalStack(name, state_dir=folder)


ANEW = {"shop-promote-image-role", "shop-promote-image-policy"}
"""The role of a promotion got a fixed name, by which the other stack's repository knows it; it holds nothing."""
PREPARATION = {f"shop-prepare-deployment{part}" for part in ("", "-logs", "-policy", "-project", "-role")}
"""A build of its own, which the image's does now; but for the log of its runs it holds nothing."""
GONE = {"shop-hosting-groups-balancer-in-8080-from-0-0-0-0-0", *PREPARATION}
"""Besides, everybody's way to the test listener, which shows what nobody has checked yet; it holds nothing."""


@pytest.mark.parametrize("name", [path.name.removesuffix(".json.gz") for path in sorted(RELEASED.iterdir())])
def test_an_upgrade_changes_in_place_and_takes_nothing_away(name: str, tmp_path: Path) -> None:
    """But for a role, a rule and a build nothing is replaced or deleted, and then the next preview finds nothing."""
    stack = deployed_then(name, tmp_path)
    outcome = stack.up()

    others = [step for step in outcome.changes if step.op not in {"create", "update"} and step.name not in GONE]
    assert [(step.op, step.name) for step in others if step.name not in ANEW] == []
    assert all("replace" in step.op for step in others), "the role is there all the time"
    assert {step.name for step in outcome.changes if step.op == "delete"} >= PREPARATION
    assert "shop-jobs-object" in {step.name for step in outcome.changes if step.op == "create"}
    assert stack.preview().changes == ()

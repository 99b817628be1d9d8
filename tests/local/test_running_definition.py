"""What somebody says that a service runs before its rehearsal: read as AWS prints it, and refused where it is none."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from local.errors import Refusal
from local.rehearsal.arguments import add_arguments, running_definitions

FOLDER = Path(__file__).parents[1] / "task_definitions"
ORDERS: dict[str, Any] = json.loads((FOLDER / "x-ray-daemon.json").read_text(encoding="utf-8"))


def given(*words: str) -> dict[str, dict[str, Any]]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return running_definitions(parser.parse_args([*words]))


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_a_task_definition_is_taken_as_it_is_registered(file: Path) -> None:
    definition = json.loads(file.read_text(encoding="utf-8"))
    assert given("--running-task-definition", f"prod={file}") == {"prod": {"tags": [], **definition}}


def test_a_description_is_taken_without_what_is_only_described(tmp_path: Path) -> None:
    own = {"taskDefinitionArn": "arn", "revision": 7, "registeredAt": "2026-01-31T12:00:00Z", "ipcMode": None}
    inner = {**{key: value for key, value in ORDERS.items() if key != "tags"}, **own}
    tags = [*ORDERS["tags"], {"key": "aws:cloudformation:stack-name", "value": "legacy"}]
    file = tmp_path / "described.json"
    file.write_text(json.dumps({"taskDefinition": inner, "tags": tags}), encoding="utf-8")
    assert given("--stack", "dev", "--running-task-definition", str(file)) == {"dev": ORDERS}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no task definition: Expecting"),
        ("[]", "it has no containerDefinitions"),
        ('{"taskDefinition": {}}', "it has no containerDefinitions"),
        ('{"family": "shop", "containerDefinitions": [{"image": 5}]}', "is no task definition that Amazon ECS takes"),
    ],
)
def test_what_is_no_task_definition_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "running.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(Refusal, match=message):
        given("--stack", "dev", "--running-task-definition", str(file))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--running-task-definition", "a.json"], "--running-task-definition a.json does not say of which stack"),
        (["--stack", "dev", "--running-task-definition", "prod=a.json"], "prod is not rehearsed, but dev"),
        (["--stack", "dev", "--running-task-definition", "missing.json"], "missing.json is no task definition"),
    ],
)
def test_a_file_of_nobody_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        given(*words)

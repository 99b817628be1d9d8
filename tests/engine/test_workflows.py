"""The steps of the workflows that run the program: their own scripts, with the real engine on the local provider."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi_on_path
import pytest
import yaml
from mutations import copy_to

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.engine
Step = Callable[..., "subprocess.CompletedProcess[str]"]


def git(folder: Path, *command: str) -> None:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "Pulumi.dev.yaml"
    before = file.read_text(encoding="utf-8")
    assert before.count(old) == 1
    file.write_text(before.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of a pull request that doubles the memory of dev, and adds a line to the stack file of prod."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_to(folder)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=Main")
    edit(folder, "memory: 512", "memory: 1024")
    git(folder, "commit", "--quiet", "--all", "--message=More memory")
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / "bin").mkdir()
    pulumi_on_path.install(folder / "bin")
    return folder


@pytest.fixture(scope="module")
def run(checkout: Path) -> Step:
    """Runs a step of a workflow, for dev."""

    def step(workflow: str, job: str, name: str) -> subprocess.CompletedProcess[str]:
        content = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text(encoding="utf-8"))
        (found,) = (each for each in content["jobs"][job]["steps"] if each.get("name") == name)
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]],
            cwd=checkout,
            env={
                **os.environ,
                "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}",
                "STACK": "dev",
                "GITHUB_STEP_SUMMARY": str(checkout / "summary.md"),
                "GITHUB_OUTPUT": str(checkout / "outputs.txt"),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return step


def told(folder: Path) -> dict[str, Any]:
    """The report of the preview that a step has left."""
    command = [sys.executable, "-m", "local", "report", "dev=preview/preview.json", "--json", "report.json"]
    subprocess.run(command, cwd=folder, check=False, capture_output=True)
    (stack,) = json.loads((folder / "report.json").read_text(encoding="utf-8"))["stacks"]
    return dict(stack)


def outputs(folder: Path) -> str:
    return (folder / "outputs.txt").read_text(encoding="utf-8").splitlines()[-1]


@pytest.fixture(scope="module")
def previewed(checkout: Path, run: Step) -> dict[str, Any]:
    """The report of what the branch changes; main is deployed on this machine by it."""
    done = run("preview.yml", "local", "Preview")
    assert done.returncode == 0, done.stderr
    return told(checkout)


def test_a_preview_without_an_account_says_what_the_branch_changes(previewed: dict[str, Any]) -> None:
    """Against the program as it is on main, and not against nothing."""
    assert (previewed["failed"], previewed["changes"]) == (False, 1)
    assert "memory `512` → `1024`" in previewed["first"]


@pytest.mark.usefixtures("previewed")
def test_what_is_deployed_is_what_was_planned_and_nothing_else(checkout: Path, run: Step) -> None:
    plan = run("deploy-stack.yml", "plan", "Plan")
    assert plan.returncode == 0, plan.stderr
    assert outputs(checkout) == "changes=true"
    assert "memory `512` → `1024`" in (checkout / "summary.md").read_text(encoding="utf-8")
    kept = (checkout / "plan" / "plan.json").read_text(encoding="utf-8")
    assert next(iter(json.loads(kept))).endswith("::shop-task-definition-object")
    assert "1024" not in kept, "whoever reads the repository may read it"

    done = run("deploy-stack.yml", "apply", "Apply")
    assert done.returncode == 0, done.stdout + done.stderr

    again = run("deploy-stack.yml", "apply", "Apply")
    assert again.returncode == 1
    assert "::error::dev has changed since its plan was read, and nothing was deployed" in again.stdout
    assert "not any more: update urn:pulumi:dev::" in again.stdout


@pytest.mark.usefixtures("previewed")
def test_a_preview_in_aws_leaves_what_the_report_reads_or_why_there_is_none(checkout: Path, run: Step) -> None:
    done = run("preview.yml", "dev", "Preview")
    assert done.returncode == 0, done.stderr
    assert told(checkout)["failed"] is False

    edit(checkout, "memory: 1024", "memory: 1000")
    refused = run("preview.yml", "dev", "Preview")
    assert refused.returncode
    found = told(checkout)
    edit(checkout, "memory: 1000", "memory: 1024")
    assert found["failed"] is True
    assert "application.memory" in found["problems"][0]


@pytest.fixture
def deploy() -> ModuleType:
    specification = importlib.util.spec_from_file_location("deploy", ROOT / ".github" / "scripts" / "deploy.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


CREATED = {"op": "create", "urn": "urn:a", "newState": {"inputs": {"name": "shop-build-0a1b2c3", "size": 1}}}
UPDATED = {
    "op": "update",
    "urn": "urn:b",
    "oldState": {"id": "b", "inputs": {"size": 1}, "outputs": {"size": 1}},
    "newState": {"inputs": {"size": 2, "role": "shop-build-0a1b2c3"}, "dependencies": ["urn:a", "urn:c"]},
    "detailedDiff": {"size": {"kind": "update"}},
}


@pytest.mark.parametrize(
    ("step", "path", "value"),
    [
        (CREATED, ("newState", "inputs", "name"), "shop-build-4d5e6f7"),
        (UPDATED, ("newState", "inputs", "role"), "shop-build-4d5e6f7"),
        (UPDATED, ("newState", "dependencies"), ["urn:c", "urn:a"]),
    ],
    ids=["a new name", "a reference to it", "the order of dependencies"],
)
def test_what_pulumi_draws_anew_for_each_plan_is_no_difference(
    deploy: ModuleType, step: dict[str, Any], path: tuple[str, ...], value: object
) -> None:
    assert deploy.planned({"steps": [with_(step, path, value)]}) == deploy.planned({"steps": [step]})


@pytest.mark.parametrize(
    ("step", "path", "value"),
    [
        (CREATED, ("newState", "inputs", "size"), 2),
        (CREATED, ("newState", "inputs", "name"), "shop-test-0a1b2c3"),
        (CREATED, ("op",), "delete"),
        (CREATED, ("urn",), "urn:c"),
        (UPDATED, ("newState", "inputs", "size"), 3),
        (UPDATED, ("oldState", "inputs", "size"), 0),
        (UPDATED, ("oldState", "outputs", "size"), 0),
        (UPDATED, ("oldState", "id"), "c"),
        (UPDATED, ("detailedDiff",), {"size": {"kind": "update-replace"}, "name": {"kind": "add"}}),
        (UPDATED, ("replaceReasons",), ["size"]),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_everything_else_is_a_difference(
    deploy: ModuleType, step: dict[str, Any], path: tuple[str, ...], value: object
) -> None:
    before, now = (deploy.planned({"steps": [each]}) for each in (step, with_(step, path, value)))
    assert deploy.differences(before, now)


def with_(step: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A step with another value somewhere."""
    made = json.loads(json.dumps(step))
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return dict(made)


def test_a_replacement_in_place_of_an_update_is_a_difference(deploy: ModuleType) -> None:
    """Only the kind of a change differs: the paths are the same."""
    replaced = with_(UPDATED, ("detailedDiff", "size", "kind"), "update-replace")
    assert deploy.planned({"steps": [replaced]}) != deploy.planned({"steps": [UPDATED]})

"""Rules for the repository as a whole."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.notifications.messenger import FUNCTION
from components.notifications.status_reporter import STATUS_FUNCTION

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))


def workflow(name: str) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    """A tag can be moved to other code after it was reviewed; a commit cannot. What stands here has the run's."""
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used
    used = [line for line in used if not (line.startswith("./") and (ROOT / line).exists())]
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_image_of_a_workflow_is_pinned_to_its_digest(path: Path) -> None:
    used = re.findall(r"(?:image|container): (\w.*)", path.read_text(encoding="utf-8"))
    assert [image for image in used if not re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)] == []


def test_the_checks_are_those_of_a_change_and_run_every_week_on_new_machines() -> None:
    """`.ci/run` forbids skips, so each job of the pipeline is executed there; a cache would hide what drifts."""
    checks = workflow("checks.yml")
    assert ".ci/run" in [step.get("run") for step in checks["jobs"]["everything"]["steps"]]
    assert checks[True]["schedule"][0]["cron"].endswith("* * 1")
    text = (ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")
    assert not re.search(r"actions/cache|^\s+cache:", text, re.MULTILINE)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_keeps_what_a_later_step_could_take(path: Path) -> None:
    """A secret of the repository, or the token that a checkout leaves in Git's configuration."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"secrets\b|aws-(access-key-id|secret-access-key)", text)
    steps = [step for job in workflow(path.name)["jobs"].values() for step in job.get("steps", ())]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)


def test_the_checks_may_read_the_repository_and_nothing_else() -> None:
    """A change that is not reviewed yet runs there."""
    checks = workflow("checks.yml")
    assert checks["permissions"] == {"contents": "read"}
    assert [name for name, job in checks["jobs"].items() if "permissions" in job] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_a_lock_file_has_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    packages = re.findall(r"^(\S+)==", text, re.MULTILINE)
    assert packages
    assert text.count("--hash=sha256:") >= len(packages)
    assert "://" not in text


def test_what_the_program_needs_is_locked_alike_for_users_and_developers() -> None:
    def locked(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))

    assert locked("requirements.txt") <= locked("requirements-dev.txt")


def test_the_program_reads_as_a_table_of_contents() -> None:
    """Settings, one delivery, its exports: no decision is made in the entry point."""
    text = (ROOT / "__main__.py").read_text(encoding="utf-8")
    assert not re.search(r"\bif\b", text)
    assert len(text.splitlines()) <= 15


def test_what_serves_writes_into_no_pipe_that_nobody_reads() -> None:
    """A pipe is full after 64 KiB, and the process stops where it writes: standard error goes to a file or nowhere."""
    started = [
        (path.relative_to(ROOT), call.lineno)
        for path in (ROOT / "local").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "subprocess.Popen"
        for keyword in call.keywords
        if keyword.arg == "stderr" and ast.unparse(keyword.value) == "subprocess.PIPE"
    ]
    assert started == []


def test_every_file_with_tests_is_collected() -> None:
    """A test in a file that pytest does not look into would never fail."""
    holding = [path for path in (ROOT / "tests").rglob("*.py") if "\ndef test_" in path.read_text(encoding="utf-8")]
    assert [path.name for path in holding if not path.name.startswith("test_")] == []
    names = [path.name for path in holding]
    assert len(names) == len(set(names)), "pytest imports test files by name, so names are unique"


def test_no_stage_reads_configuration_the_stack_or_the_environment() -> None:
    """Only the entry point may, and what Lambda runs; everything else gets what it needs as arguments."""
    may = ("load.py", FUNCTION.name, STATUS_FUNCTION.name)
    code = [path for path in (ROOT / "components").rglob("*.py") if path.name not in may]
    forbidden = re.compile(r"pulumi\.(Config|get_stack|get_project)\b|os\.environ")
    assert [path.name for path in code if forbidden.search(path.read_text(encoding="utf-8"))] == []


def test_tests_that_share_what_is_slow_to_make_run_in_one_process(tmp_path: Path) -> None:
    """xdist looks for groups where pytest 9.2 no longer keeps them, and then says nothing: pytest-xdist issue 1386."""
    (tmp_path / "test_group.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.parametrize('number', range(20))\n"
        "@pytest.mark.xdist_group('one')\n"
        "def test_process(number, worker_id, tmp_path_factory):\n"
        "    (tmp_path_factory.getbasetemp().parent / worker_id).touch()\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-n2", "--dist=loadgroup", "-p", "no:cacheprovider"]
    base = tmp_path / "base"
    done = subprocess.run(
        [*command, f"--basetemp={base}", "test_group.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "20 passed" in done.stdout, done.stdout
    assert len([path for path in base.iterdir() if path.is_file()]) == 1


def test_the_tests_of_a_file_stay_in_one_process(request: pytest.FixtureRequest) -> None:
    """Otherwise each process makes what they share; xdist shows the group that it has seen in the test's ID."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@test_repository.py")
    assert request.node.get_closest_marker("xdist_group").args == ("test_repository.py",)


def test_what_is_slow_starts_first(request: pytest.FixtureRequest) -> None:
    """Otherwise one process is busy with it long after the others have ended."""
    folders = [item.path.relative_to(ROOT / "tests").parts[0] for item in request.session.items]
    slow = [folder in ("rehearsal", "engine") for folder in folders]
    assert slow == sorted(slow, reverse=True)
    assert "--no-loadscope-reorder" in (ROOT / "Makefile").read_text(encoding="utf-8"), "xdist would reorder them"

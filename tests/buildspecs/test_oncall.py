"""How a job ends that fails: with what users have now, and with the entry of docs/oncall.md."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from edits import keys
from fake_tools import module

from components.jobs.buildspec import FOLDER as SPECS
from components.notifications.run import ROLLED_BACK

ROOT = Path(__file__).parents[2]
FOLDER = SPECS / "jobs"
JOBS = sorted(path.stem for path in SPECS.glob("*.yml"))
PAGE = (ROOT / "docs" / "oncall.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
PARTS = ("**You see**", "**Users**", "**Why**", "**End it**")


def anchor(heading: str) -> str:
    """https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#section-links"""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.fixture
def oncall() -> ModuleType:
    return module("oncall")


def test_every_job_says_how_things_stand(oncall: ModuleType) -> None:
    assert set(oncall.JOBS) == set(JOBS)


def test_the_settings_of_a_job_are_keys_of_the_stack_file(oncall: ModuleType) -> None:
    known = keys()
    for name, stands in oncall.JOBS.items():
        for key in stands.settings.partition(";")[0].split(", "):
            assert any(path == key or path.startswith(f"{key}.") for path in known), (name, key)


def test_every_entry_that_a_job_names_is_on_the_page(oncall: ModuleType) -> None:
    assert {entry.value for entry in oncall.Entry} <= {anchor(heading) for heading in HEADINGS}
    assert all(entry.address == f"docs/oncall.md#{entry.value}" for entry in oncall.Entry)


def test_the_page_has_twelve_entries_and_each_says_the_same_four_things() -> None:
    assert len(HEADINGS) == 12
    for entry in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        assert [entry.count(part) for part in PARTS] == [1] * len(PARTS), entry.partition("\n")[0]
        assert "```sh" in entry


def test_where_a_job_stands_depends_on_variables_that_it_has(oncall: ModuleType) -> None:
    for name, stands in oncall.JOBS.items():
        if stands.variable:
            spec = yaml.safe_load((ROOT / "buildspecs" / f"{name}.yml").read_text(encoding="utf-8"))
            assert stands.variable in spec["env"]["variables"], name


@pytest.mark.parametrize("name", JOBS)
def test_a_failure_ends_with_what_users_have_and_what_to_do(
    name: str, oncall: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stands = oncall.JOBS[name]
    monkeypatch.setattr(sys, "argv", [name])
    job = module("job")
    for value in [""] if isinstance(stands.users, str) else [*stands.users, ""]:
        if stands.variable:
            monkeypatch.setenv(stands.variable, value)
        with pytest.raises(SystemExit):
            job.fail("it does not work.")
        *_, message, users, address = capsys.readouterr().err.splitlines()
        assert message == "FAILED: it does not work."
        assert users == (stands.users if isinstance(stands.users, str) else stands.users.get(value, oncall.EITHER))
        assert address == f"What to do: docs/oncall.md#{stands.entry.value}; its settings: {stands.settings}"


def test_a_failure_that_says_itself_what_serves_says_it_once(
    oncall: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy_ecs.py"])
    job = module("job")
    with pytest.raises(SystemExit):
        job.fail(f"rolled back. {oncall.BACK}", entry=oncall.Entry.VERSION_TAKEN)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "FAILED: rolled back. The previous version keeps serving.",
        "What to do: docs/oncall.md#the-version-is-taken; its settings: deploy, application",
    ]


def test_what_a_job_has_begun_is_said_from_then_on(
    oncall: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy-ecs"])
    job = module("job")
    job.stands(oncall.Entry.ROLLED_BACK, oncall.EITHER)
    with pytest.raises(SystemExit):
        job.fail("no answer.")
    assert oncall.EITHER in capsys.readouterr().err
    job.start(None)
    with pytest.raises(SystemExit):
        job.fail("no answer.")
    assert oncall.NOT_DEPLOYED in capsys.readouterr().err


def test_only_a_rollback_reads_like_one(oncall: ModuleType) -> None:
    """The messages of `notifications` look for its words."""
    alike = [each for each in oncall.SENTENCES if any(words in each for words in ROLLED_BACK)]
    assert alike == [oncall.BACK]


def test_no_job_ends_but_by_the_function_that_says_so() -> None:
    """A message printed past it would have no entry. The runner knows no such job; Notation runs its plugin."""
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        raised = [ast.unparse(node.exc) for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
        if path.name not in {"job.py", "runner.py", "signer_plugin.py"}:
            assert not [text for text in raised if text.startswith("SystemExit")], path.name
        texts = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        assert path.name == "job.py" or not [text for text in texts if "FAILED: " in text], path.name

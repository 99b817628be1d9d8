"""The table of mutations fits the code, and what runs it can tell a killed mutation from one that survives."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import mutations
import pytest
import yaml
from mutations import ROOT, Mutation

ROWS = mutations.mutations()
KINDS = {
    "attestations": 17,
    "containers": 3,
    "estimates": 6,
    "links and paths": 8,
    "messages and statuses": 5,
    "permissions": 9,
    "pins": 10,
    "privileged builds": 7,
    "quoting and words for a shell": 4,
    "repositories of images": 6,
    "scans": 5,
    "secrets in stack files": 10,
    "the artifact bucket": 12,
    "the connection": 2,
    "the encryption key": 2,
    "the image by its digest": 23,
    "the way of requests": 8,
    "tokens and secrets of jobs": 12,
    "trust of roles": 13,
    "versions": 3,
    "what a job runs": 4,
    "what reviewers are told": 13,
    "what starts a run": 11,
    "workflows": 16,
}
"""What is guarded, and how many guards of it are taken away at least."""


def meaning(name: str, text: str) -> object:
    """What a file says, whatever its comments and its form are."""
    if name.endswith(".py"):
        return ast.dump(ast.parse(text))
    if name.endswith(".yml"):
        return yaml.safe_load(text)
    return re.sub(r"(?m)^\s*#.*$", "", text)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.guard)
def test_a_row_takes_a_guard_away_that_is_there_and_names_a_test_that_is_there(row: Mutation) -> None:
    before = (ROOT / row.file).read_text(encoding="utf-8")
    assert meaning(row.file, before) != meaning(row.file, row.applied(before))
    file, _, name = row.test.partition("::")
    assert f"\ndef {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_no_kind_of_guard_is_left_out() -> None:
    """Who takes a guard out of the code takes its row out, and this number with it."""
    assert Counter(row.kind for row in ROWS) == KINDS
    assert len({row.guard for row in ROWS}) == len(ROWS)


def test_no_two_rows_are_the_same_mutation() -> None:
    assert len({(row.file, row.text) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("text", "replacement", "test", "said"),
    [
        ("number > 3", "number > 2", "test_it_is_refused", ""),
        ("number > 3", "number > 4", "test_it_is_refused", "survives: 1 tests pass"),
        ("number > 3", "nobody > 3", "test_it_is_refused", "says nothing: NameError: "),
        ("def refused", "def accepted", "test_it_is_refused", "says nothing: ImportError: "),
        ("number > 3", "number > 2", "test_of_another_name", "says nothing: no test failed"),
        ("number > 3", "number > 2", "test_that_is_never_begun", "says nothing: no test failed"),
    ],
)
def test_a_mutation_is_killed_by_a_failing_test_and_by_nothing_else(
    tmp_path: Path, text: str, replacement: str, test: str, said: str
) -> None:
    guard = tmp_path / "guard.py"
    guard.write_text("def refused(number):\n    return number > 3\n")
    (tmp_path / "test_guard.py").write_text(
        "import pytest\n"
        "from guard import refused\n"
        "@pytest.fixture\n"
        "def unready(): assert not refused(3)\n"
        "def test_it_is_refused(): assert not refused(3)\n"
        "def test_that_is_never_begun(unready): pass\n"
    )
    before = guard.read_text()
    row = Mutation("a kind", "a guard", "guard.py", text, replacement, f"test_guard.py::{test}")

    found = mutations.survival(tmp_path, row)

    assert found.startswith(said) if said else found == ""
    assert guard.read_text() == before


def test_a_copy_has_every_file_and_none_that_git_leaves_out(tmp_path: Path) -> None:
    mutations.copy_to(tmp_path)

    assert (tmp_path / "tests" / "mutations.tsv").is_file()
    assert (tmp_path / ".github" / "workflows" / "preview.yml").is_file()
    assert not (tmp_path / ".venv").exists()

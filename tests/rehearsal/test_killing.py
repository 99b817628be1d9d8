"""The harness that kills jobs sees a job that does not bear it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from killing import Machine, sweep

from local.rehearsal.codebuild import Build, Result

POST = """#!/bin/sh
# post NAME: puts a line on the board
echo "$1" >> "$BOARD"
"""


class Board:
    """Two lines on a board: the text, and then the sign that it is complete."""

    secrets = None

    def __init__(self, folder: Path, command: str) -> None:
        folder.mkdir(parents=True)
        (folder / "source").mkdir()
        self.file = folder / "board"
        self.file.write_text("")
        buildspec = f"version: 0.2\nenv: {{shell: bash}}\nphases:\n  build:\n    commands:\n      - {command}\n"
        self.build = Build(project="board", buildspec=buildspec, inputs={"Source": folder / "source"})

    def variables(self) -> Mapping[str, str]:
        return {"BOARD": str(self.file)}

    def state(self) -> object:
        return self.file.read_text()

    def check_visible(self) -> None:
        lines = self.file.read_text().split()
        assert "end" not in lines or lines == ["text", "end"], "half-published"

    def check_done(self, result: Result) -> None:
        assert result.succeeded
        assert self.file.read_text().split() == ["text", "end"], "not once"


def swept(folder: Path, command: str) -> list[str]:
    """The calls of a job that is this command, after it has been killed at each."""
    (folder / "post").write_text(POST)
    (folder / "post").chmod(0o755)
    machine = Machine(folder / "machine", {"post": str(folder / "post")})
    scenes = (Board(folder / f"scene-{number}", command) for number in range(100))
    return sweep(machine, lambda: next(scenes))


def test_a_job_that_looks_before_it_acts_bears_it(tmp_path: Path) -> None:
    calls = swept(tmp_path, "for line in text end; do grep -qx $line $BOARD || post $line; done")

    assert [call.strip() for call in calls] == ["post text", "post end"]


def test_a_job_that_does_everything_again_does_not(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="not once"):
        swept(tmp_path, "post text; post end")


def test_a_job_that_publishes_too_early_does_not(tmp_path: Path) -> None:
    early = "for line in end text; do grep -qx $line $BOARD || post $line; done; sort -ro $BOARD $BOARD"
    with pytest.raises(AssertionError, match="half-published"):
        swept(tmp_path, early)


def test_a_job_that_cannot_be_run_again_does_not(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"killed after call 1, post text ?, the rerun failed"):
        swept(tmp_path, "test ! -s $BOARD && post text && post end")


def test_a_job_that_changes_something_between_two_calls_does_not(tmp_path: Path) -> None:
    unseen = "for line in text end; do grep -qx $line $BOARD || { post $line; echo >> $BOARD; }; done"
    with pytest.raises(AssertionError, match=r"before call 2, post end ?: something has taken effect"):
        swept(tmp_path, unseen)


def test_a_job_that_calls_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="calls nobody"):
        swept(tmp_path, "printf 'text\\nend\\n' > $BOARD")

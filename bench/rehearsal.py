"""How long a whole rehearsal of the example application takes: the command, with the tools and caches there.

A first run, which is not counted, fills the caches. It runs in a copy of this repository, of which a script is changed.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from bench.figures import Figures, table
from bench.measure import BenchError, Command, output

ROOT = Path(__file__).parents[1]


_JOB = Path("buildspecs", "jobs", "promote_image.py")
"""The script that changes by a line."""


def rehearsal(rounds: int, before: str | None = None) -> str:
    """Measure dev and prod with all stages on: everything, then what is left to do after a change of one job.

    Args:
        rounds: How often it runs.
        before: A commit of this repository whose rehearsal is measured in turns with it, with the packages of this one;
            ``None`` for none.

    Returns:
        The table of figures; the seconds of a runner's own work are those between two actions that follow each other.
        Then one of the stages.

    Raises:
        BenchError: A rehearsal failed, or there is no such commit.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy, former = Path(temporary, "copy"), Path(temporary, "before")
        _copy(copy)
        _run(copy, "--fresh")  # fills the caches
        if before:
            _check_out(before, former)
            _run(former, "--fresh")
        whole, earlier = [], []
        for _ in range(rounds):
            earlier += [_run(former, "--fresh")] if before else []
            whole.append(_run(copy, "--fresh"))
        again = [_run(copy) for _ in range(rounds)]
        changed = []
        for number in range(rounds):
            with (copy / _JOB).open("a", encoding="utf-8") as script:
                script.write(f"# One line more: {number}\n")
            changed.append(_run(copy))
    figures = {
        "from the command to the first action": [
            run["pipelines"][0]["runs"][0]["started"] - run["launched"] for run in whole
        ],
        "all of it": list(map(_seconds, whole)),
        "between two actions": [gap for run in whole for gap in _between(run)],
        "again, nothing changed": list(map(_seconds, again)),
        "again, one job changed by a line": list(map(_seconds, changed)),
    }
    rows = [[name, *Figures(tuple(found)).spread(2)] for name, found in figures.items()]
    asked, failed = (
        sum(stack[key] for run in whole for stack in run["summary"]["stacks"])
        for key in ("requests", "failed_requests")
    )
    return (
        f"{table(['seconds', 'min', 'median', 'max'], rows)}\n\n{failed} of {asked} requests failed\n\n"
        f"{_of_stages(whole, earlier)}"
    )


def _of_stages(now: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> str:
    """The table of the stages: the median of each, and of the runs before where there are any."""
    columns = [_medians(runs) for runs in (before, now) if runs]
    names = list(dict.fromkeys(name for column in reversed(columns) for name in column))
    rows = [[name, *(f"{column[name]:.2f}" if name in column else "" for column in columns)] for name in names]
    return table(["median seconds", *(["before"] if before else []), "now"], rows)


def _medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, seconds in _stages(run):
            found.setdefault(name, []).append(seconds)
    return {name: Figures(tuple(values)).median for name, values in found.items()}


def _stages(saved: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Each stage of each pipeline, from the beginning of its first action to the end of its last."""
    for pipeline in saved["pipelines"]:
        for run in pipeline["runs"]:
            for stage, attempts in itertools.groupby(run["attempts"], lambda attempt: attempt["stage"]):
                found = list(attempts)
                ended = max(attempt["ended"] for attempt in found)
                yield f"{pipeline['stack']} / {stage}", ended - min(attempt["started"] for attempt in found)


def _run(folder: Path, *words: str) -> dict[str, Any]:
    """Rehearse; returns all that the report shows."""
    with tempfile.TemporaryDirectory() as report:
        command = Command(
            words=(sys.executable, "-m", "local", "rehearse", "--json", "--report", report, *words),
            folder=folder,
            environment=dict(os.environ),
            program=(),
        )
        launched = time.time()
        summary = json.loads(output(command))
        saved: dict[str, Any] = json.loads(Path(report, "rehearsal.json").read_text(encoding="utf-8"))
    return {**saved, "summary": summary, "launched": launched}


def _copy(folder: Path) -> None:
    """Copy what Git tracks: a script of it is changed."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)


def _check_out(revision: str, folder: Path) -> None:
    """Put the files of a commit into a folder."""
    folder.mkdir()
    packed = subprocess.run(["git", "archive", "--format=tar", revision], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise BenchError(f"--before {revision}: {packed.stderr.decode().strip()}. Name a commit of this repository.")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _seconds(run: Mapping[str, Any]) -> float:
    return float(run["ended"] - run["started"])


def _between(saved: Mapping[str, Any]) -> Iterator[float]:
    """Seconds between the end of a stage's or a run order's last action and the beginning of the next."""
    for pipeline in saved["pipelines"]:
        for run in pipeline["runs"]:
            attempts = sorted(run["attempts"], key=lambda attempt: attempt["started"])
            for number, (_, later) in enumerate(itertools.pairwise(attempts), 1):
                before = [each["ended"] for each in attempts[:number] if each["ended"] <= later["started"]]
                if len(before) == number:  # nothing else goes on beside it
                    yield later["started"] - max(before)

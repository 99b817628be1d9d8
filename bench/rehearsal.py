"""How long a whole rehearsal of the example application takes: the command, with the tools and caches there.

A first run, which is not counted, fills the caches.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.figures import Figures, table
from bench.measure import Command, output

ROOT = Path(__file__).parents[1]


def rehearsal(rounds: int) -> str:
    """Measure dev and prod with all stages on.

    Args:
        rounds: How often it runs.

    Returns:
        The table of figures; the seconds of a runner's own work are those between two actions that follow each other.

    Raises:
        BenchError: A rehearsal failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = Command(
            words=(sys.executable, "-m", "local", "rehearse", "--json", "--report", folder),
            folder=ROOT,
            environment=dict(os.environ),
            program=(),
        )
        output(command)
        summaries, runs = [], []
        for _ in range(rounds):
            launched = time.time()
            summaries.append(json.loads(output(command)))
            run = json.loads(Path(folder, "rehearsal.json").read_text(encoding="utf-8"))
            runs.append({**run, "launched": launched})
    figures = {
        "from the command to the first action": [
            run["pipelines"][0]["runs"][0]["started"] - run["launched"] for run in runs
        ],
        "all of it": [run["ended"] - run["started"] for run in runs],
        "between two actions": [gap for run in runs for gap in _between(run)],
    }
    rows = [[name, *Figures(tuple(found)).spread(2)] for name, found in figures.items()]
    asked, failed = (
        sum(stack[key] for summary in summaries for stack in summary["stacks"])
        for key in ("requests", "failed_requests")
    )
    return f"{table(['seconds', 'min', 'median', 'max'], rows)}\n\n{failed} of {asked} requests failed"


def _between(saved: Mapping[str, Any]) -> Iterator[float]:
    """Seconds between the end of a stage's or a run order's last action and the beginning of the next."""
    for pipeline in saved["pipelines"]:
        for run in pipeline["runs"]:
            attempts = sorted(run["attempts"], key=lambda attempt: attempt["started"])
            for number, (_, later) in enumerate(itertools.pairwise(attempts), 1):
                before = [each["ended"] for each in attempts[:number] if each["ended"] <= later["started"]]
                if len(before) == number:  # nothing else goes on beside it
                    yield later["started"] - max(before)

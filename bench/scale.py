"""C3: many applications in one process, under mocks: time, memory, and how far that is from linear.

One stack holds one application, so nobody runs fifty in a process. The figure is a
guard: what grows faster than the number of applications also grows faster than the size of one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figures, marginal, table
from bench.measure import BenchError

ROOT = Path(__file__).parents[1]
SIZES = (1, 10, 50)


@dataclass(frozen=True, slots=True)
class Run:
    """What one process told about itself.

    Attributes:
        seconds: From before its imports to the last resource.
        processor: Seconds of processor time of the whole process; other processes disturb it less than `seconds`.
        importing: Of `seconds`, until all modules were there.
        resources: How many it registered.
        peak: Most memory it held, in MB; 0 where that is not known.
    """

    seconds: float
    processor: float
    importing: float
    resources: int
    peak: float


def scale(rounds: int) -> str:
    """Measure in a fresh process each, and return the figures as text.

    Args:
        rounds: How often each size is measured; the sizes take turns.

    Raises:
        BenchError: A process failed.
    """
    _run(SIZES[0])  # compiles what was edited since the last time
    runs: dict[int, list[Run]] = {size: [] for size in SIZES}
    for _ in range(rounds):
        for size in SIZES:
            runs[size].append(_run(size))
    times = [Figures(tuple(run.seconds for run in runs[size])) for size in SIZES]
    works = [Figures(tuple(run.processor for run in runs[size])) for size in SIZES]
    peaks = [Figures(tuple(run.peak for run in runs[size])) for size in SIZES]
    rows = [
        [
            str(size),
            str(runs[size][0].resources),
            *time.spread(2),
            f"{work.least:.2f}",
            f"{work.least / size:.2f}",
            f"{work.to(works[0]) / size:.2f}",
            f"{peak.median:.0f}" if peak.median else "-",
        ]
        for size, time, work, peak in zip(SIZES, times, works, peaks, strict=True)
    ]
    importing = Figures(tuple(run.importing for size in SIZES for run in runs[size]))
    lines = [
        table(("applications", "resources", "s min", "median", "max", "cpu s", "each", "x linear", "peak MB"), rows),
        "",
        _growth([work.least for work in works], "cpu s", 3),
    ]
    if all(peak.median for peak in peaks):
        lines.append(_growth([peak.median for peak in peaks], "MB", 1))
    lines += [
        f"Of each time, {importing.median:.2f} s are imports, without the parts of pulumi_aws that load at first use.",
        "cpu s: processor time of the least disturbed run; each: cpu s / applications; x linear: each / that of one,",
        "below 1 because the imports come once. The mocks of the tests answer, without garbage collection.",
    ]
    return "\n".join(lines)


def _growth(totals: Sequence[float], unit: str, digits: int) -> str:
    """What one more costs, early and late, and how much more the late one costs."""
    early, late = marginal(SIZES, totals)
    return (
        f"One more application: {early:.{digits}f} {unit} from {SIZES[0]} to {SIZES[1]}, {late:.{digits}f} {unit} "
        f"from {SIZES[1]} to {SIZES[2]}: {late / early:.2f} times (1 is linear)."
    )


def _run(applications: int) -> Run:
    command = [sys.executable, "-m", "bench.applications", str(applications)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{applications} applications could not be built, so there is no figure:\n{done.stderr}")
    return Run(**json.loads(done.stdout))

"""How long each job of the pipeline takes here: every successful build of the tests that execute jobs, timed.

Where a build runs several jobs, one after the other, its time is that of all of them.

The work is real (Docker, BuildKit, Chromium, the AWS CLI), what answers is on this machine: no network, no wait for a
build machine, and deployments that move with each look. So the seconds are the jobs' own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.figures import Figures, table
from bench.measure import BenchError
from components.jobs.buildspec import FOLDER, jobs_of
from local.rehearsal import codebuild

ROOT = Path(__file__).parents[1]
TESTS = ("deployments", "images", "lighthouse", "release", "static_files", "watch_deployment")
"""The tests that execute jobs as they are most often executed."""


class _Stopwatch:
    """A pytest plugin that times every build before a test module can import what runs it."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, ...], list[float]] = defaultdict(list)
        self._run = codebuild.run_build

    def pytest_configure(self) -> None:
        """Put the stopwatch in its place."""
        codebuild.run_build = self._timed

    def pytest_unconfigure(self) -> None:
        """Take it away."""
        codebuild.run_build = self._run

    def _timed(self, build: codebuild.Build, *rest: Any, **options: Any) -> codebuild.Result:  # noqa: ANN401 - handed on
        started = time.perf_counter()
        result = self._run(build, *rest, **options)
        if result.succeeded:
            self.seconds[jobs_of(build.buildspec)].append(time.perf_counter() - started)
        return result


def jobs(rounds: int) -> str:
    """Measure every job.

    Args:
        rounds: How often the tests run.

    Returns:
        The table of all jobs.

    Raises:
        BenchError: A test failed, or a job was not measured.
    """
    watch = _Stopwatch()
    files = [str(ROOT / "tests" / "rehearsal" / f"test_{name}.py") for name in TESTS]
    for _ in range(rounds):
        code = pytest.main(["-q", "-n0", "--no-cov", "-p", "no:cacheprovider", *files], plugins=[watch])
        if code:
            raise BenchError(f"the tests that execute jobs ended with {int(code)}: no figures")
    return told(watch.seconds)


def told(seconds: Mapping[tuple[str, ...], Sequence[float]]) -> str:
    """Say what builds took.

    Args:
        seconds: The jobs of a build -> the seconds of each such build.

    Raises:
        BenchError: A job was not measured, alone or with others in a build.
    """
    missing = sorted({path.stem for path in FOLDER.glob("*.yml")}.difference(*seconds))
    if missing:
        raise BenchError(f"no test executed {', '.join(missing)} with success: is a tool missing? make tools")
    figures = {" and ".join(jobs): Figures(tuple(each)) for jobs, each in sorted(seconds.items())}
    rows = [[name, str(len(found.values)), *found.spread(1)] for name, found in figures.items()]
    return table(["job", "builds", "min s", "median s", "max s"], rows)

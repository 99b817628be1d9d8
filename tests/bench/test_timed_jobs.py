"""How the bench says what the jobs take."""

from __future__ import annotations

import pytest

from bench.jobs import _Stopwatch, told
from bench.measure import BenchError
from components.jobs.buildspec import FOLDER, load_buildspec
from local.rehearsal import codebuild

BUILDSPECS = sorted(path.stem for path in FOLDER.glob("*.yml"))
BOTH = ("build-image", "prepare-deployment")


def alone(*lacking: str) -> dict[tuple[str, ...], list[float]]:
    """A build of each job, but for some."""
    return {(name,): [2.0] for name in BUILDSPECS if name not in lacking}


def test_a_build_of_several_jobs_is_told_under_the_names_of_them_all() -> None:
    rows = [line.rsplit(maxsplit=4) for line in told({**alone(), BOTH: [4.0, 3.0, 5.0]}).splitlines()[2:]]
    assert ["build-image and prepare-deployment", "3", "3.0", "4.0", "5.0"] in rows
    assert [name for name, *_ in rows] == sorted([*BUILDSPECS, " and ".join(BOTH)])


def test_a_job_is_executed_alone_or_with_another_one() -> None:
    assert told({**alone(*BOTH), BOTH: [4.0]})


def test_a_job_that_no_build_executed_is_named() -> None:
    with pytest.raises(BenchError, match="no test executed prepare-deployment, run-task with success"):
        told(alone("prepare-deployment", "run-task"))


@pytest.mark.parametrize(("jobs", "artifacts"), [(BOTH, ("Image", "Deployment")), (("tag-image",), ())])
@pytest.mark.parametrize("succeeded", [True, False], ids=["succeeds", "fails"])
def test_a_build_that_succeeds_is_timed_under_its_jobs(
    monkeypatch: pytest.MonkeyPatch, jobs: tuple[str, ...], artifacts: tuple[str, ...], *, succeeded: bool
) -> None:
    monkeypatch.setattr(codebuild, "run_build", lambda _build: codebuild.Result(succeeded=succeeded, phases=()))
    watch = _Stopwatch()
    watch.pytest_configure()
    try:
        text = load_buildspec(*jobs, artifacts=artifacts).text
        codebuild.run_build(codebuild.Build(project="shop", buildspec=text, inputs={}))  # type: ignore[call-arg]
    finally:
        watch.pytest_unconfigure()
    assert [*watch.seconds] == ([jobs] if succeeded else [])

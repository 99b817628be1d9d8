"""Each job is killed after each of its calls, and run again.

It then comes to its end, with one image, one tag, one release, and meanwhile nobody has seen anything half-published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from counted_registry import counted_registry
from kill_scenes import (
    REGION,
    BuildsImage,
    CreatesRelease,
    DeploysToEcs,
    ExtractsStaticFiles,
    PreparesDeployment,
    PromotesImage,
    RecordsImage,
    ReviewsDeployment,
    RunsCommand,
    RunsLighthouse,
    RunsSmokeTest,
    StaticFiles,
    TagsImage,
    WatchesDeployment,
    lighthouse_tools,
    page,
)
from killing import Machine, sweep
from rehearsing import Need

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.github import DROP, GitHub
from local.rehearsal.job_sandbox import JobSandbox

ALONE = pytest.mark.xdist_group
"""Each sweep is a group of its own, so that processors share them evenly."""


@pytest.fixture
def machine(tmp_path: Path, warm_aws_cli: Path) -> Machine:
    """Where the jobs run; the AWS CLI is the real one."""
    return Machine(tmp_path / "machine", {"aws": str(warm_aws_cli / "aws")})


@pytest.fixture
def open_until_the_end() -> Iterator[ExitStack]:
    """For servers that belong to scenes."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def registry(need: Need, machine: Machine, aws: AwsServices, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The variables that lead a job to the registry."""
    need("openssl")
    with counted_registry(machine, aws, tmp_path / "proxy") as variables:
        yield variables


@ALONE("test_tag_image")
def test_tag_image(aws: AwsServices, machine: Machine, tmp_path: Path) -> None:
    sweep(machine, lambda: TagsImage(aws, tmp_path))


@ALONE("test_prepare_deployment")
def test_prepare_deployment(aws: AwsServices, machine: Machine, tmp_path: Path) -> None:
    sweep(machine, lambda: PreparesDeployment(aws, tmp_path))


@ALONE("test_record_image")
def test_record_image(aws: AwsServices, machine: Machine, registry: Mapping[str, str], tmp_path: Path) -> None:
    calls = sweep(machine, lambda: RecordsImage(aws, tmp_path, registry))
    assert any(call.startswith("GET https://") for call in calls)


@ALONE("test_promote_image")
def test_promote_image(aws: AwsServices, machine: Machine, registry: Mapping[str, str], tmp_path: Path) -> None:
    calls = sweep(machine, lambda: PromotesImage(aws, tmp_path, registry))
    assert any(call.startswith("PUT https://") for call in calls)


@ALONE("test_static_files")
@pytest.mark.parametrize("phase", ["publish", "prune"])
@pytest.mark.parametrize("origin", ["upload", "sync"])
def test_static_files(aws: AwsServices, machine: Machine, tmp_path: Path, origin: str, phase: str) -> None:
    sweep(machine, lambda: StaticFiles(aws, tmp_path, phase=phase, origin=origin))


@ALONE("test_deploy_ecs")
def test_deploy_ecs(aws: AwsServices, machine: Machine, tmp_path: Path, open_until_the_end: ExitStack) -> None:
    calls = sweep(machine, lambda: DeploysToEcs(aws, tmp_path, open_until_the_end), moving=True)
    assert "aws ecs update-service" in calls


@ALONE("test_watch_deployment")
def test_watch_deployment(aws: AwsServices, machine: Machine, tmp_path: Path, open_until_the_end: ExitStack) -> None:
    calls = sweep(machine, lambda: WatchesDeployment(aws, tmp_path, open_until_the_end), moving=True)
    assert "aws codepipeline list-action-executions" in calls


@ALONE("test_review_deployment")
def test_review_deployment(aws: AwsServices, machine: Machine, tmp_path: Path, open_until_the_end: ExitStack) -> None:
    calls = sweep(machine, lambda: ReviewsDeployment(aws, tmp_path, open_until_the_end))
    assert "aws ecs describe-task-definition" in calls


@ALONE("test_run_smoke_test")
def test_run_smoke_test(aws: AwsServices, machine: Machine, tmp_path: Path, open_until_the_end: ExitStack) -> None:
    calls = sweep(machine, lambda: RunsSmokeTest(aws, tmp_path, open_until_the_end), moving=True)
    assert "aws ecs run-task" in calls


@ALONE("test_run_task")
def test_run_task(aws: AwsServices, machine: Machine, tmp_path: Path, open_until_the_end: ExitStack) -> None:
    calls = sweep(machine, lambda: RunsCommand(aws, tmp_path, open_until_the_end), moving=True)
    assert "aws ecs run-task" in calls


@ALONE("test_create_github_release")
def test_create_github_release(need: Need, aws: AwsServices, machine: Machine, tmp_path: Path) -> None:
    need("github")
    with GitHub() as github:
        waiting: dict[int, Any] = {}

        def count(number: int, method: str, path: str, *, when: str) -> Any:  # noqa: ANN401 - what a watcher wishes
            if when == "after":
                return DROP if waiting.pop(number)() else None
            waiting[number] = machine.on_call(f"{method} {path}")
            return None

        github.on_request(count)
        calls = sweep(machine, lambda: CreatesRelease(aws, tmp_path, github))
        assert github.violations == []
    assert any(call.startswith("PATCH ") for call in calls)


@ALONE("test_run_lighthouse")
def test_run_lighthouse(aws: AwsServices, machine: Machine, tmp_path: Path) -> None:
    lighthouse_tools(machine, tmp_path / "lighthouse")
    with page(machine) as url:
        calls = sweep(machine, lambda: RunsLighthouse(aws, tmp_path, url))
    assert [call.split()[0] for call in calls] == ["aws", "GET", "aws", "aws", "npm", *["lhci"] * 4]


@pytest.fixture
def world_machine(sandbox: JobSandbox, tmp_path: Path) -> Machine:
    """Where the jobs run that need Docker."""
    commands, cli, *_ = sandbox.place({}, region=REGION).environment["PATH"].split(":")
    return Machine(tmp_path / "machine", {"docker": f"{commands}/docker", "aws": f"{cli}/aws"}, enter=sandbox.enter)


def test_build_image(sandbox: JobSandbox, world_machine: Machine, tmp_path: Path) -> None:
    calls = sweep(world_machine, lambda: BuildsImage(sandbox, tmp_path))
    assert any(call.startswith("docker buildx") for call in calls)


def test_extract_static_files(sandbox: JobSandbox, world_machine: Machine, tmp_path: Path) -> None:
    calls = sweep(world_machine, lambda: ExtractsStaticFiles(sandbox, tmp_path))
    assert [call.split()[0] for call in calls] == ["aws", "aws"], "of programs it runs the AWS CLI alone"

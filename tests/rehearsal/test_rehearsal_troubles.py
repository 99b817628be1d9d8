"""What comes between a commit and its release: a full disk, people, a missing image, an alarm, other commits.

The stacks are the repository's own, dev without its tests and with an approval.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from hosted import await_

from components.settings import load_stack_file
from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting import Pace, Visitor
from local.rehearsal.pipeline import ActionContext, ActionProvider, Completed, Execution, PipelineRunner, Status
from local.rehearsal.rehearsal import Options, Rehearsal

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearsal troubles")]

CHANGES = {
    "ecs-delivery:tests": {"enabled": False},
    "ecs-delivery:build": {"smokeTest": {"enabled": False}},
    "ecs-delivery:promotion": {
        "enabled": True,
        "repository": "shop-prod",
        "approval": {"enabled": True, "timeoutMinutes": 30},
    },
}


class Delivery:
    """A rehearsal of dev and prod.

    Attributes:
        rehearsal: Both stacks.
        source: The application.
        visitors: Who asks the services all the time.
        before: Action -> what happens before it is carried out.
        decisions: What people decide about the next approvals; after that, yes.
        disk: Where the files of all actions are: a small file system of its own.
    """

    rehearsal: Rehearsal
    visitors: dict[str, Visitor]

    def __init__(self, source: Source, disk: Path) -> None:
        self.source, self.disk = source, disk
        self.before: dict[str, Callable[[ActionContext], object]] = {}
        self.decisions: list[bool | None] = []

    def decide(self, *_about: object) -> bool | None:
        return self.decisions.pop(0) if self.decisions else True

    def runner(
        self, deployed: Deployed, providers: dict[str, ActionProvider], store: object, _folder: object, watch: object
    ) -> PipelineRunner:
        """A runner whose actions wait for what happens before them, and whose files are on the disk."""
        hooked = {name: _Hooked(provider, self.before) for name, provider in providers.items()}
        return PipelineRunner(deployed, hooked, store, self.disk / deployed.pipeline, watch)  # type: ignore[arg-type]

    def push(self, text: str) -> tuple[Source, Execution]:
        """Push a commit, and wait for nothing."""
        (self.source.folder / "public" / "text.txt").write_text(text)
        self.source = self.source.changed(text)
        return self.source, self.rehearsal.push("dev", self.source)

    def retry(self, stack: str) -> Execution:
        """Retry the newest run of a stack, and wait for its end and for what comes of it."""
        runner = self.rehearsal.stacks[stack].runner
        runner.retry(runner.executions[-1])
        return self.ended(stack)

    def ended(self, stack: str) -> Execution:
        """Wait for all runs; return the newest of a stack."""
        self.rehearsal.wait()
        return self.rehearsal.stacks[stack].runner.executions[-1]

    def start_prod(self) -> Execution:
        """Deploy the promoted image to prod once more."""
        self.rehearsal.stacks["prod"].runner.start("a person")
        return self.ended("prod")

    def answering(self) -> dict[str, str]:
        """The version of each service that answers now."""
        return {name: visitor.ask().version for name, visitor in self.visitors.items()}


class _Hooked:
    def __init__(self, provider: ActionProvider, before: dict[str, Callable[[ActionContext], object]]) -> None:
        self._provider, self._before = provider, before

    def run(self, context: ActionContext) -> Completed:
        name = f"{context.deployed.pipeline} {context.action.name}"
        if name in self._before:
            self._before.pop(name)(context)
        return self._provider.run(context)


@pytest.fixture(scope="module")
def stack_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("stack") / "Pulumi.dev.yaml"
    values = {**load_stack_file(ROOT / "Pulumi.dev.yaml"), **CHANGES}
    file.write_text(yaml.safe_dump({"config": values}))
    return file


@pytest.fixture(scope="module")
def delivery(
    need: Callable[..., None], stack_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Delivery]:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy")
    graphs = {"dev": deployed_graph("dev", stack_file), "prod": deployed_graph("prod", ROOT / "Pulumi.prod.yaml")}
    source = Source.of(EXAMPLE, tmp_path_factory.mktemp("application") / "source", branch="main")
    disk = tmp_path_factory.mktemp("disk")
    with ExitStack() as ends:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "disk", str(disk)], check=True)
        ends.callback(subprocess.run, ["umount", str(disk)], check=True)
        made = Delivery(source, disk)
        options = Options(
            graphs=graphs,
            images=provide(needed(source.folder, builds_of(*map(Deployed.of, graphs.values()))), network=False),
            decide=made.decide,
            pace=Pace(waits=0.002, least_grace=60),
        )
        ends.enter_context(pytest.MonkeyPatch.context()).setattr(
            "local.rehearsal.rehearsal.PipelineRunner", made.runner
        )
        made.rehearsal = ends.enter_context(Rehearsal(options, lambda *_: None))
        stacks = made.rehearsal.stacks.items()
        for _, stack in stacks:
            stack.hosting.await_first()
        made.visitors = {name: ends.enter_context(stack.hosting.visitor()) for name, stack in stacks}
        yield made


@pytest.fixture(autouse=True)
def _nobody_notices(delivery: Delivery) -> Iterator[None]:
    """No request fails, whatever happens to a delivery."""
    yield
    assert [visitor.failed for visitor in delivery.visitors.values()] == [[], []]


def failures(execution: Execution) -> dict[str, str]:
    """Why the actions of the last attempt failed, by their names."""
    last = {run.action.name: run for run in execution.actions}
    return {name: run.error for name, run in last.items() if run.status == Status.FAILED}


def assert_succeeded(*executions: Execution) -> None:
    assert [(run.status, failures(run)) for run in executions] == [(Status.SUCCEEDED, {})] * len(executions)


def test_a_full_disk_is_said_and_a_retry_goes_on_when_there_is_room(delivery: Delivery) -> None:
    ballast = delivery.disk / "ballast"

    def fill(_context: ActionContext) -> None:
        with pytest.raises(OSError, match="No space left"), ballast.open("wb") as file:  # noqa: PT012 - one of many writes
            while True:
                file.write(bytes(1 << 20))
                file.flush()

    delivery.before["shop-dev BuildImage"] = fill
    delivery.push("one")
    failed = delivery.ended("dev")
    assert failed.status == Status.FAILED
    assert "No space left on device" in failures(failed)["BuildImage"].splitlines()[0]

    ballast.unlink()
    delivery.decisions = [False]
    assert list(failures(delivery.retry("dev"))) == ["ApprovePromotion"]


def test_an_approval_that_is_refused_or_times_out_keeps_an_image_from_prod(delivery: Delivery) -> None:
    delivery.decisions = [False, None]
    delivery.push("two")
    for reason in ("The approval was rejected.", "Nobody has approved within 30 minutes."):
        execution = delivery.ended("dev")
        assert (execution.status, failures(execution)) == (Status.FAILED, {"ApprovePromotion": reason})
        assert delivery.rehearsal.stacks["prod"].runner.executions == []
        delivery.retry("dev")

    assert_succeeded(delivery.ended("dev"), delivery.ended("prod"))
    (run,) = delivery.rehearsal.stacks["prod"].runner.executions
    assert run.variables["SourceImage.ImageDigest"] == delivery.ended("dev").variables["BuildImage.IMAGE_DIGEST"]


def test_an_image_that_is_gone_is_named_and_a_retry_deploys_it_when_it_is_back(delivery: Delivery) -> None:
    before = delivery.answering()
    ecr = delivery.rehearsal.stacks["prod"].account.client("ecr")
    promoted = [{"imageTag": "promoted"}]
    (image,) = ecr.batch_get_image(repositoryName="shop-prod", imageIds=promoted)["images"]
    tags = ecr.describe_images(repositoryName="shop-prod", imageIds=promoted)["imageDetails"][0]["imageTags"]
    gone = {"imageDigest": image["imageId"]["imageDigest"]}
    delivery.before["shop-prod DeployService"] = lambda _context: ecr.batch_delete_image(
        repositoryName="shop-prod", imageIds=[gone]
    )

    failed = delivery.start_prod()

    assert (failed.status, failed.reason) == (Status.FAILED, "DeployService, WatchDeployment failed")
    assert "CannotPullContainerError" in failures(failed)["WatchDeployment"]
    assert gone["imageDigest"] in failures(failed)["WatchDeployment"]
    assert delivery.answering() == before
    for tag in tags:
        as_it_was = {key: image[key] for key in ("repositoryName", "imageManifest", "imageManifestMediaType")}
        ecr.put_image(**as_it_was, imageTag=tag)
    assert_succeeded(delivery.retry("prod"))
    assert delivery.answering() != before


def test_an_alarm_after_the_shift_rolls_back_and_a_retry_deploys_when_it_is_quiet(delivery: Delivery) -> None:
    """https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-create-alarms.html"""
    before, hosting = delivery.answering(), delivery.rehearsal.stacks["prod"].hosting
    assert hosting.code_deploy
    (alarm, *_), listener = hosting.code_deploy._traffic.alarms, hosting.code_deploy._traffic.production
    assert hosting.balancer
    route = hosting.balancer.route

    def shift(place: str, weights: Mapping[str, float]) -> None:
        route(place, weights)
        if place == listener:
            hosting.alarms.set_off(alarm)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosting.balancer, "route", shift)
        failed = delivery.start_prod()

    assert failed.status == Status.FAILED
    assert failures(failed)["DeployService"].startswith("ALARM_ACTIVE: ")
    assert alarm in failures(failed)["DeployService"]
    assert delivery.answering() == before
    hosting.alarms.reset()
    assert_succeeded(delivery.retry("prod"))


def test_commits_at_once_overtake_each_other_in_dev_and_queue_in_prod(delivery: Delivery) -> None:
    """The first image is deployed by the digest of its event, though its tag has moved to the next one meanwhile."""
    dev, prod = (delivery.rehearsal.stacks[name].runner for name in ("dev", "prod"))
    assert (dev.deployed.execution_mode, prod.deployed.execution_mode) == ("SUPERSEDED", "QUEUED")
    built, go = threading.Event(), threading.Event()

    def hold(_context: ActionContext) -> None:
        built.set()
        assert go.wait(60)

    def until_the_tag_moves(context: ActionContext) -> None:
        ecr = delivery.rehearsal.stacks["prod"].account.client("ecr")

        def promoted() -> str:
            found = ecr.describe_images(repositoryName="shop-prod", imageIds=[{"imageTag": "promoted"}])
            return str(found["imageDetails"][0]["imageDigest"])

        await_(lambda: promoted() != context.revision, 180)

    delivery.before |= {"shop-dev BuildImage": hold, "shop-prod SourceImage": until_the_tag_moves}
    earlier = len(prod.executions)
    one, first = delivery.push("three")
    assert built.wait(60)
    _, second = delivery.push("four")
    await_(lambda: (source := second.last("Source")) is not None and source.status == Status.SUCCEEDED)
    three, third = delivery.push("five")
    await_(lambda: second.status == Status.SUPERSEDED)
    go.set()
    delivery.rehearsal.wait()

    former, latter = prod.executions[earlier:]
    assert_succeeded(first, third, former, latter)
    assert second.reason == "before stage Build"
    for run, started_by in ((former, first), (latter, third)):
        assert run.variables["SourceImage.ImageDigest"] == started_by.variables["BuildImage.IMAGE_DIGEST"]
    for stage in prod.deployed.stages:
        ended = [run.ended for run in former.actions if run.action.stage == stage]
        started = [run.started for run in latter.actions if run.action.stage == stage]
        assert max(filter(None, ended)) <= min(started)
    releases = delivery.rehearsal.github.repositories["example/shop"].releases.values()
    assert [release.target for release in releases][-2:] == [one.commit, three.commit]

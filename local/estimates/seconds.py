"""How long a run of the pipeline takes, from the graph: stages in a row, actions of one run order side by side."""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from components.jobs.buildspec import jobs_in
from local.estimates.constants import EVERYWHERE, constants, value
from local.estimates.model import Step, Timeline
from local.estimates.resources import Graph, first, number, parsed, values_of

Parts: TypeAlias = tuple[tuple[str, float], ...]
SOURCES = ("CodeStarSourceConnection", "ECR", "S3")
_AWS_INTERVAL = 30
"""Seconds between two health checks by AWS's default, of a load balancer that is not the stack's.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""
_LINEAR = re.compile(r"ECSLinear(\d+)PercentEvery(\d+)Minutes")
_CANARY = re.compile(r"ECSCanary(\d+)Percent(\d+)Minutes")
_IMAGE_BUILD = re.compile(r"build-.*image")
_TASKS = ("run-task", "run-smoke-test")
"""Jobs that start a task on Fargate and wait for it."""
OF_A_FLEET = "of the fleet"
"""Ends what a step runs on where a machine of a reserved capacity fleet has waited for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """How a build comes to its machine.

    Attributes:
        waits_for_it: Whether the machine has waited for the build.
        keeps_layers: Whether it has the layers of earlier builds.
        queued: Seconds until another build leaves it.
        label: What it is; empty where the project says that.
    """

    waits_for_it: bool
    keeps_layers: bool
    queued: float = 0.0
    label: str = ""


_ON_DEMAND = _Start(waits_for_it=False, keeps_layers=False)


class _Fleet:
    """The machines of a reserved capacity fleet, for builds that begin at the same time."""

    def __init__(self, graph: Graph) -> None:
        """Of a fleet that is not the stack's nothing is known: its machines are taken to be enough."""
        made = first(graph, "codebuild/fleet:Fleet")
        self._label = label_of(*reserved_machine(made))
        self._queues = made.get("overflowBehavior") != "ON_DEMAND"
        self._free = [0.0] * int(number(made.get("baseCapacity"), 1)) if made else None

    def taken(self, project: Mapping[str, Any], seconds_of: Callable[[_Start], float]) -> _Start:
        """Return how a build of a project comes to a machine, which it has for so many seconds.

        Args:
            project: The project.
            seconds_of: The time of a build that comes to its machine so.
        """
        if not (project.get("environment") or {}).get("fleet"):
            return _ON_DEMAND
        modes = (project.get("cache") or {}).get("modes") or ()
        # What the project says of the machine's size is ignored then:
        # https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectEnvironment.html
        start = _Start(waits_for_it=True, keeps_layers="LOCAL_DOCKER_LAYER_CACHE" in modes, label=self._label)
        if self._free is None:
            return start
        queued = self._free[0]
        if queued and not self._queues:
            return _ON_DEMAND
        start = replace(start, queued=queued)
        heapq.heapreplace(self._free, seconds_of(start))
        return start


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """How a new version comes into service, in seconds since the deployment was asked for.

    Attributes:
        first: Parts of the time until it answers the first user.
        shift: Parts of the time from there until it answers all of them.
        rest: Parts of the time from there until the action has ended.
        keeps_old_tasks: Whether the old tasks run beside the new ones for a while, so that the traffic can move back.
    """

    first: Parts
    shift: Parts
    rest: Parts
    keeps_old_tasks: bool

    @property
    def serving(self) -> float:
        """Seconds until the first user is answered."""
        return _sum(self.first)


def timelines(graph: Graph, *, built: bool = False) -> tuple[Timeline, Timeline]:
    """Return a run as the machines of the stack are, and the same with one that waits for each build of an image.

    Args:
        graph: The stack's resources.
        built: Whether the images of the commit's source tree are there, as after the merge of what was built before.
    """
    return _timeline(graph, warm=False, built=built), _timeline(graph, warm=True, built=built)


def job_of(project: str, pipeline: str) -> str:
    """Return which job a project does: its name without the pipeline's, as in ``shop-dev-build-image``."""
    job = project.removeprefix(f"{pipeline}-")
    return "run-task" if job in {"run-before", "run-after"} else job


def machine_of(project: Mapping[str, Any]) -> tuple[str, str]:
    """Return environment type and size of a project's machine, such as ``ARM_CONTAINER`` and ``SMALL``."""
    environment = project.get("environment") or {}
    return str(environment.get("type", "")), str(environment.get("computeType", "")).rpartition("_")[2]


def reserved_machine(fleet: Mapping[str, Any]) -> tuple[str, str]:
    """Return environment type and size of a fleet's machines, as `machine_of` does."""
    return machine_of({"environment": {**fleet, "type": fleet.get("environmentType", "")}})


def _timeline(graph: Graph, *, warm: bool, built: bool) -> Timeline:
    pipeline = first(graph, "codepipeline/pipeline:Pipeline")
    name = str(pipeline.get("name", ""))
    projects = {item["name"]: item for item in values_of(graph, "codebuild/project:Project") if "name" in item}
    deployment = _deployment(graph, name, projects)
    steps: list[Step] = []
    serving: float | None = None
    now = 0.0
    for stage in pipeline.get("stages") or ():
        ordered = sorted(stage["actions"], key=lambda action: number(action.get("runOrder"), 1))
        for _, together in itertools.groupby(ordered, lambda action: number(action.get("runOrder"), 1)):
            begins, group, fleet = now, list(together), _Fleet(graph)
            for action in group:
                parts, machine = _parts(action, name, projects, deployment, None if warm else fleet, built=built)
                now = max(now, begins + _sum(parts))
                steps.append(
                    Step(
                        stage=stage["name"],
                        action=action["name"],
                        start=begins,
                        seconds=_sum(parts),
                        machine=machine,
                        parts=parts,
                    )
                )
                if _deploys(action, name):
                    serving = begins + _sum(parts) - _sum(deployment.shift) - _sum(deployment.rest)
    shift = _sum(deployment.shift)
    deploys = next((step for step in steps if step.seconds and serving and step.start < serving <= step.end), None)
    return Timeline(
        steps=tuple(steps),
        serving=serving,
        all_traffic=None if serving is None else serving + shift,
        rolled_back=None if serving is None or deploys is None else serving + shift - deploys.start,
        moved_back=value("time.back") if deployment.keeps_old_tasks else None,
    )


def _deploys(action: Mapping[str, Any], pipeline: str) -> bool:
    project = (action.get("configuration") or {}).get("ProjectName", "")
    return action["provider"] in {"CodeDeployToECS", "ECS"} or job_of(str(project), pipeline) == "deploy-ecs"


def _parts(
    action: Mapping[str, Any],
    pipeline: str,
    projects: Mapping[str, Mapping[str, Any]],
    deployment: Deployment,
    fleet: _Fleet | None,
    *,
    built: bool,
) -> tuple[Parts, str]:
    """What an action's time is made of, and the machine it runs on; without a fleet one waits for builds of images."""
    overhead = ("CodePipeline", value("time.action"))
    provider = action["provider"]
    whole = (*deployment.first, *deployment.shift, *deployment.rest)
    if action["category"] == "Approval":
        return (), "a person"
    if provider in SOURCES:
        return (overhead, ("from the push to the source", value("time.source"))), ""
    if provider != "CodeBuild":
        return (overhead, *whole), ""
    project = projects.get((action.get("configuration") or {}).get("ProjectName", ""), {})
    job = job_of(str(project.get("name", "")), pipeline)

    if fleet is None:
        waits = bool(_IMAGE_BUILD.fullmatch(job))
        start = _Start(waits_for_it=waits, keeps_layers=waits)
    else:
        start = fleet.taken(project, lambda start: _sum((*_machine(project, start)[0], *_work(job, project, start))))
    started, machine = _machine(project, start)
    begun = (overhead, *started)
    if job == "deploy-ecs":
        return (*begun, *whole), machine
    if job == "watch-deployment":
        return (*begun, ("follows the deployment", max(deployment.serving - _sum(begun), 1.0))), machine
    if built and _IMAGE_BUILD.fullmatch(job):
        found = ("finds the image of its source tree", value("time.job.build-image.found"))
        work: Parts = (found, *_prepares(project))
    else:
        work = tuple(_work(job, project, start))
    return (*begun, *work), machine


def _machine(project: Mapping[str, Any], start: _Start) -> tuple[Parts, str]:
    kind, size = machine_of(project)
    if "LAMBDA" in kind:
        return (("the Lambda machine starts", value("time.lambda")),), f"{_processor(kind)} Lambda, {size[:-2]} GB"
    label = start.label or label_of(kind, size)
    if start.waits_for_it:
        queued = _named("waits until a machine of the fleet is free", start.queued)
        return (*queued, ("a machine that waits takes it", value("time.ec2.warm"))), f"{label} {OF_A_FLEET}"
    return (("queued", value("time.ec2.queued")), ("the machine starts", value("time.ec2.provisioned"))), label


def label_of(kind: str, size: str) -> str:
    """Return what people call a machine on EC2, such as ``ARM small``; nothing for that of no project."""
    return f"{_processor(kind)} {size.lower()}" if kind else ""


def _processor(kind: str) -> str:
    return "ARM" if kind.startswith("ARM") else "x86"


def _work(job: str, project: Mapping[str, Any], start: _Start) -> Iterator[tuple[str, float]]:
    builds = bool((project.get("environment") or {}).get("privilegedMode")) or bool(_IMAGE_BUILD.fullmatch(job))
    kind, _ = machine_of(project)
    if builds and "LAMBDA" not in kind:
        yield "code, scripts, BuildKit", value("time.build.begin.warm" if start.keeps_layers else "time.build.begin")
    if builds and _variable(project, "COMPRESSION") == "zstd":
        yield "layers are compressed with zstd, the base image's too", value("time.build.zstd")
    if job in _TASKS:
        yield "a task starts", _task_starts()
    yield _WORDS.get(job, "works"), _seconds_of(job, builds=builds, warm=start.keeps_layers)
    yield from _prepares(project)


def _prepares(project: Mapping[str, Any]) -> Parts:
    """What a build takes that prepares the deployment of its image, too."""
    also = jobs_in((project.get("source") or {}).get("buildspec", "").splitlines())[1:]
    return tuple(("prepares the deployment", value(f"time.job.{job}")) for job in also)


_WORDS = {"build-image": "builds, lists its content, pushes", "build-smoke-test-image": "builds and pushes"}


def _seconds_of(job: str, *, builds: bool, warm: bool) -> float:
    names = [f"time.job.{job}", "time.job.build-image" if builds else "time.job.other"]
    for name in names:
        for full in (f"{name}.warm", name) if warm else (name,):
            if (full, EVERYWHERE) in constants():
                return value(full)
    raise AssertionError(names)


def _deployment(graph: Graph, pipeline: str, projects: Mapping[str, Mapping[str, Any]]) -> Deployment:
    """How the stack's engine brings a new version into service."""
    healthy = _healthy(graph)
    group = first(graph, "codedeploy/deploymentGroup:DeploymentGroup")
    if group:
        return _by_code_deploy(graph, group, healthy)
    project = projects.get(f"{pipeline}-deploy-ecs")
    return _by_ecs(graph, _stated(project), healthy, runs_job=project is not None)


def _task_starts() -> float:
    """Seconds from asking for a task on Fargate to its containers' start."""
    return value("time.task.placed") + value("use.image") * value("time.task.pulled") + value("time.task.started")


def _healthy(graph: Graph) -> Parts:
    """What it takes until the tasks of a new version are healthy.

    One successful check makes a newly registered target healthy, whatever the healthy threshold is, which counts for a
    target that was unhealthy: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/load-balancer-healthcheck.html.
    """
    started = ("tasks start", _task_starts())
    groups = list(values_of(graph, "lb/targetGroup:TargetGroup"))
    if not groups and first(graph, "ecs/service:Service"):
        return (started,)
    check = (groups[0].get("healthCheck") or {}) if groups else {}
    what = "one health check" if groups else "one health check, by AWS's default"
    return (started, ("registered", value("time.registered")), (what, number(check.get("interval"), _AWS_INTERVAL)))


def _by_code_deploy(graph: Graph, group: Mapping[str, Any], healthy: Parts) -> Deployment:
    ended = group.get("blueGreenDeploymentConfig") or {}
    ready = ended.get("deploymentReadyOption") or {}
    checks: Parts = (
        (("checks of the new version", value("time.job.run-http-checks")),)
        if ready.get("actionOnTimeout") == "STOP_DEPLOYMENT"
        else ()
    )
    wait = 60 * number(
        (ended.get("terminateBlueInstancesOnDeploymentSuccess") or {}).get("terminationWaitTimeInMinutes"), 0
    )
    return Deployment(
        first=(("CodeDeploy", value("time.codedeploy")), *healthy, *checks),
        shift=_named("traffic moves", _shift_of(graph, str(group.get("deploymentConfigName", "")))),
        rest=_named("old tasks kept for a rollback", wait),
        keeps_old_tasks=True,
    )


def _shift_of(graph: Graph, name: str) -> float:
    """Seconds over which CodeDeploy moves the traffic."""
    for configuration in values_of(graph, "codedeploy/deploymentConfig:DeploymentConfig"):
        routing = configuration.get("trafficRoutingConfig") or {}
        if linear := routing.get("timeBasedLinear"):
            return _linear(number(linear.get("percentage"), 100), number(linear.get("interval"), 0))
        if canary := routing.get("timeBasedCanary"):
            return 60 * number(canary.get("interval"), 0)
    if found := _LINEAR.search(name):
        return _linear(float(found[1]), float(found[2]))
    if found := _CANARY.search(name):
        return 60 * float(found[2])
    return 0.0


def _linear(percent: float, minutes: float) -> float:
    return 60 * minutes * (math.ceil(100 / percent) - 1)


def _stated(project: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The deployment configuration that the job gives ECS."""
    stated: Mapping[str, Any] = parsed(_variable(project, "DEPLOYMENT_CONFIGURATION"))
    return stated


def _variable(project: Mapping[str, Any] | None, name: str) -> Any:  # noqa: ANN401 - text, or what a preview knows not
    """The value of a project's plain variable; ``None`` where it has none."""
    variables = ((project or {}).get("environment") or {}).get("environmentVariables") or ()
    return {item["name"]: item.get("value") for item in variables}.get(name)


def _by_ecs(graph: Graph, stated: Mapping[str, Any], healthy: Parts, *, runs_job: bool) -> Deployment:
    begin: Parts = (("ECS is told", value("time.ecs.deploy") if runs_job else value("time.action")),)
    strategy = stated.get("strategy", "ROLLING")
    if strategy == "ROLLING":
        return _rolling(graph, stated, begin, healthy)
    shift = 0.0
    if linear := stated.get("linearConfiguration"):
        shift = _linear(number(linear.get("stepPercent"), 100), number(linear.get("stepBakeTimeInMinutes"), 0))
    if canary := stated.get("canaryConfiguration"):
        shift = 60 * number(canary.get("canaryBakeTimeInMinutes"), 0)
    checks: Parts = (
        (("checks of the new version", value("time.job.run-http-checks")),) if stated.get("lifecycleHooks") else ()
    )
    return Deployment(
        first=(*begin, *healthy, *checks),
        shift=_named("traffic moves", shift),
        rest=_named("old tasks kept for a rollback", 60 * number(stated.get("bakeTimeInMinutes"), 0)),
        keeps_old_tasks=True,
    )


def _rolling(graph: Graph, stated: Mapping[str, Any], begin: Parts, healthy: Parts) -> Deployment:
    service = first(graph, "ecs/service:Service")
    wanted = max(number(service.get("desiredCount"), 1), 1)
    most = math.floor(wanted * number(stated.get("maximumPercent"), 200) / 100)
    least = math.ceil(wanted * number(stated.get("minimumHealthyPercent"), 100) / 100)
    at_once = max(most - wanted, wanted - least, 1)
    batches = math.ceil(wanted / at_once)
    delays = [number(item.get("deregistrationDelay"), 300) for item in values_of(graph, "lb/targetGroup:TargetGroup")]
    drained = max(delays, default=0.0)
    return Deployment(
        first=(*begin, *healthy),
        shift=_named("the other tasks, in turn", (batches - 1) * _sum(healthy)),
        rest=(*_named("old tasks are drained", drained), ("old tasks stop", value("time.task.stopped"))),
        keeps_old_tasks=False,
    )


def _named(what: str, seconds: float) -> Parts:
    return ((what, seconds),) if seconds else ()


def _sum(parts: Parts) -> float:
    return sum(seconds for _, seconds in parts)

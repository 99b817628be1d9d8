"""What a stand-in for Amazon ECS knows: task definitions, services, their revisions, deployments and tasks.

Its answers hold what identifies a thing, and what the jobs read.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local.rehearsal.ecs.placement import Placement


class Behaviour(enum.Enum):
    """What becomes of tasks with a certain image."""

    HEALTHY = "it starts and stays"
    COMPLETES = "its program ends with exit code 0"
    CRASH = "its program ends with exit code 1"
    CANNOT_PULL = "its image is not in the registry"
    WRONG_LOGIN = "its image is in Amazon ECR, and it has the login of another registry"
    UNHEALTHY = "it starts, and the load balancer's health checks fail"
    OUT_OF_MEMORY = "its program needs more memory than it has"
    READ_ONLY = "its program writes to its root file system, which is read-only, and ends"
    WRONG_PROCESSOR = "its image is for another processor"
    SLOW = "it never leaves PENDING"
    ALARM = "it is well, and a CloudWatch alarm goes off"


ONGOING = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")


@dataclass(slots=True)
class Revision:
    """One service revision: what a service deployment moves from or to.

    Attributes:
        arn: Its ARN.
        definition: The task definition it runs.
        group: The ARN of the target group that its tasks register with; empty without a load balancer.
        placement: What its tasks run on, and where.
        reached: The container and the port that the load balancer sends traffic to.
        further: ARN, container and port of each further target group that its tasks register with.
        connect: Its Service Connect.
        registries: The services of Cloud Map that its tasks register with.
        hosts: The endpoints of Service Connect that its tasks can call, as ``name:address``.
    """

    arn: str
    definition: dict[str, Any]
    group: str = ""
    placement: Placement = field(default_factory=Placement)
    reached: tuple[str, int] = ("", 0)
    connect: dict[str, Any] = field(default_factory=dict)
    registries: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    further: tuple[tuple[str, str, int], ...] = ()
    created: float = field(default_factory=time.time)

    @property
    def targets(self) -> tuple[tuple[str, int], ...]:
        """Each target group that its tasks register with, and the port; none without a load balancer."""
        first = ((self.group, self.reached[1]),) if self.group else ()
        return (*first, *((group, port) for group, _, port in self.further))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ends: what ECS says, what the container's log holds, what the service's event says of it.

    Attributes:
        code: ECS's stop code.
        reason: ECS's stopped reason.
        exit_code: The container's exit code; ``None`` when it did not run.
        container_reason: ECS's reason for the container.
        log: The last lines of the container's log.
        event: A part of an event of the service: what the load balancer has against the task.
    """

    code: str
    reason: str
    exit_code: int | None = None
    container_reason: str = ""
    log: tuple[str, ...] = ()
    event: str = ""


@dataclass(slots=True)
class Task:
    """One task.

    Attributes:
        healthy: Whether the load balancer's health checks and its containers' own have found it well.
        failed: Whether it ended, or is ended, for a reason that lies in itself.
        exits: Exit code and reason of each container, where they are not the same for all.
        started_by: What somebody who has run it has said of that; empty for one of a service.
        tags: Its tags, by their keys.
    """

    arn: str
    revision: Revision
    deployment: str
    status: str = "PENDING"
    created: float = field(default_factory=time.time)
    stopped: bool = False
    stop_code: str = ""
    stopped_reason: str = ""
    exit_code: int | None = None
    container_reason: str = ""
    healthy: bool = False
    failed: bool = False
    exits: dict[str, tuple[int | None, str]] = field(default_factory=dict)
    started_by: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def definition(self) -> dict[str, Any]:
        """The task definition it runs."""
        return self.revision.definition

    @property
    def identity(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2]

    @property
    def fit(self) -> bool:
        """Whether it runs and is well."""
        return self.status == "RUNNING" and self.healthy

    def run(self, *, healthy: bool = False) -> None:
        """Its containers have started."""
        self.status, self.healthy = "RUNNING", healthy

    def begin_to_stop(self, ending: Ending) -> None:
        """Let ECS set its desired status to STOPPED; how its containers ended is known when it has stopped."""
        self.status, self.stop_code, self.stopped_reason = "DEPROVISIONING", ending.code, ending.reason
        self.exit_code, self.container_reason = ending.exit_code, ending.container_reason

    def stop(self, ending: Ending) -> None:
        """End it, saying why."""
        self.begin_to_stop(ending)
        self.status, self.stopped = "STOPPED", True

    def view(self, cluster: str) -> dict[str, Any]:
        """As DescribeTasks answers."""
        containers: list[dict[str, Any]] = []
        for part in self.definition["containerDefinitions"]:
            container = {
                "name": part["name"],
                "image": part["image"],
                "lastStatus": self.status,
            }
            exit_code, reason = self.exits.get(part["name"], (self.exit_code, self.container_reason))
            if exit_code is not None and self.stopped:
                container["exitCode"] = exit_code
            if reason and self.stopped:
                container["reason"] = reason
            containers.append(container)
        answer: dict[str, Any] = {
            "taskArn": self.arn,
            "clusterArn": cluster,
            "taskDefinitionArn": self.definition["taskDefinitionArn"],
            "startedBy": self.started_by or f"ecs-svc/{self.deployment}",
            "lastStatus": self.status,
            "desiredStatus": "STOPPED" if self.stop_code else "RUNNING",
            "createdAt": self.created,
            "containers": containers,
            **self.revision.placement.runs_on,
        }
        if self.stop_code:
            answer |= {"stopCode": self.stop_code, "stoppedReason": self.stopped_reason}
        return answer


@dataclass(slots=True)
class Deployment:
    """One service deployment; `course` brings it a step further each time it is looked at."""

    arn: str
    target: Revision
    sources: tuple[Revision, ...]
    configuration: dict[str, Any]
    requested: int
    # Another deployment was under way when this one began.
    reconciles: bool = False
    status: str = "PENDING"
    reason: str = ""
    stage: str = ""
    failures: int = 0
    breaker: str = "MONITORING"
    triggered: tuple[str, ...] = ()
    rollback: dict[str, Any] = field(default_factory=dict)
    hook: dict[str, Any] = field(default_factory=dict)
    traffic: float = 0.0
    test_traffic: float = 0.0
    created: float = field(default_factory=time.time)
    course: Iterator[None] = field(default_factory=lambda: iter(()))

    @property
    def identity(self) -> str:
        """What tells it apart."""
        return self.arn.rpartition("/")[2]

    @property
    def strategy(self) -> str:
        """ROLLING, BLUE_GREEN, CANARY or LINEAR."""
        return str(self.configuration.get("strategy", "ROLLING"))

    @property
    def threshold(self) -> int:
        """How many failed tasks trigger the circuit breaker."""
        return min(200, max(3, -(-self.requested // 2)))

    def share(self, percent: str, usual: int, *, up: bool) -> int:
        """A share of the tasks by its configuration, rounded up or down: minimumHealthyPercent or maximumPercent."""
        hundredths = self.requested * int(self.configuration.get(percent, usual))
        return -(-hundredths // 100) if up else hundredths // 100

    def on(self, what: str, key: str = "enable") -> bool:
        """Whether its configuration turns this on: deploymentCircuitBreaker or alarms."""
        return bool(self.configuration.get(what, {}).get(key))

    def end(self, status: str, reason: str = "") -> None:
        """It is over."""
        self.status, self.reason = status, reason or self.reason
        if self.breaker == "MONITORING":
            self.breaker = "MONITORING_COMPLETE"

    def brief(self, service: str, cluster: str) -> dict[str, Any]:
        """As ListServiceDeployments answers."""
        answer: dict[str, Any] = {
            "serviceDeploymentArn": self.arn,
            "serviceArn": service,
            "clusterArn": cluster,
            "createdAt": self.created,
            "targetServiceRevisionArn": self.target.arn,
            "status": self.status,
        }
        if self.reason:
            answer["statusReason"] = self.reason
        return answer

    def view(self, service: Service) -> dict[str, Any]:
        """As DescribeServiceDeployments answers."""
        answer = self.brief(service.arn, service.cluster)
        del answer["targetServiceRevisionArn"]
        target = {
            "arn": self.target.arn,
            "requestedTaskCount": self.requested,
            "runningTaskCount": service.count(self.target, "RUNNING"),
        }
        if self.strategy != "ROLLING":
            target |= {
                "requestedProductionTrafficWeight": self.traffic,
                "requestedTestTrafficWeight": self.test_traffic,
            }
        answer |= {
            "targetServiceRevision": target,
            "deploymentConfiguration": self.configuration,
            "deploymentCircuitBreaker": {
                "status": self.breaker if self.on("deploymentCircuitBreaker") else "DISABLED",
                "failureCount": self.failures,
                "threshold": self.threshold,
            },
        }
        if self.on("alarms"):
            watching = "MONITORING" if self.status in ONGOING else "MONITORING_COMPLETE"
            answer["alarms"] = {
                "status": "TRIGGERED" if self.triggered else watching,
                "alarmNames": self.configuration["alarms"]["alarmNames"],
                "triggeredAlarmNames": list(self.triggered),
            }
        if self.hook:
            answer["lifecycleHookDetails"] = [dict(self.hook)]
        if self.stage:
            answer["lifecycleStage"] = self.stage
        if self.rollback:
            answer["rollback"] = self.rollback
        return answer


@dataclass(slots=True)
class TaskSet:
    """One task set of a service whose deployments CodeDeploy makes.

    Attributes:
        arn: Its ARN.
        revision: What it runs.
        desired: How many tasks it is to have, at its scale of 100 percent; 0 until ECS has computed it.
        external_id: The CodeDeploy deployment that made it; empty for the service's first.
        status: PRIMARY, ACTIVE or DRAINING.
        steady: Whether all its tasks run and are healthy.
    """

    arn: str
    revision: Revision
    desired: int = 0
    external_id: str = ""
    status: str = "ACTIVE"
    steady: bool = True
    created: float = field(default_factory=time.time)

    @property
    def identity(self) -> str:
        """Its number; its ID is ``ecs-svc/`` and this."""
        return self.arn.rpartition("/")[2]

    def view(self, service: Service) -> dict[str, Any]:
        """As DescribeServices answers."""
        answer: dict[str, Any] = {
            "id": f"ecs-svc/{self.identity}",
            "taskSetArn": self.arn,
            "status": self.status,
            "taskDefinition": self.revision.definition["taskDefinitionArn"],
            "computedDesiredCount": self.desired,
            "runningCount": service.count(self.revision, "RUNNING"),
            "createdAt": self.created,
            **self.revision.placement.view,
            "stabilityStatus": "STEADY_STATE" if self.steady else "STABILIZING",
            "stabilityStatusAt": time.time(),
            "loadBalancers": [
                {**balancer, "targetGroupArn": self.revision.group} for balancer in service.load_balancers
            ],
        }
        if self.external_id:
            answer |= {"startedBy": "CODE_DEPLOY", "externalId": self.external_id}
        return answer


@dataclass(slots=True)
class Service:
    """One service."""

    arn: str
    name: str
    cluster: str
    definition: dict[str, Any]
    desired: int
    configuration: dict[str, Any]
    controller: str = "ECS"
    status: str = "ACTIVE"
    placement: Placement = field(default_factory=Placement)
    # What it was made with; a deployment of CodeDeploy without a strategy goes back to it.
    launch_type: str = "EC2"
    load_balancers: list[dict[str, Any]] = field(default_factory=list)
    # Seconds in which a starting task may fail its health checks.
    grace: float = 0.0
    connect: dict[str, Any] = field(default_factory=dict)
    registries: list[dict[str, Any]] = field(default_factory=list)
    # What the last deployment that succeeded brought; nothing before the first.
    stable: Revision | None = None
    tasks: list[Task] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    task_sets: list[TaskSet] = field(default_factory=list)
    # What CodeDeploy is doing to it, a step each time somebody looks at the service.
    course: Iterator[None] = field(default_factory=lambda: iter(()))
    events: list[dict[str, Any]] = field(default_factory=list)

    def count(self, revision: Revision, status: str) -> int:
        """How many tasks of a revision have this status."""
        return len(self.alive(revision, status))

    def alive(self, revision: Revision, *statuses: str) -> list[Task]:
        """The tasks of a revision that have one of these statuses."""
        return [task for task in self.tasks if task.revision is revision and task.status in statuses]

    def of(self, revision: Revision) -> list[Task]:
        """The tasks of a revision that have not stopped."""
        return [task for task in self.tasks if task.revision is revision and task.status != "STOPPED"]

    def fit(self, revision: Revision) -> int:
        """How many tasks of a revision run and are well."""
        return sum(task.fit for task in self.of(revision))

    def missing(self, revision: Revision, wanted: int, at_once: int) -> int:
        """How many tasks of a revision to start now, of which so many may be starting at the same time."""
        starting = sum(not task.fit for task in self.of(revision))
        return max(0, min(wanted - len(self.alive(revision, "PENDING", "RUNNING")), at_once - starting))

    @property
    def group(self) -> str:
        """The ARN of the target group its tasks are in; empty without a load balancer."""
        return str(self.load_balancers[0]["targetGroupArn"]) if self.load_balancers else ""

    @property
    def _advanced(self) -> dict[str, Any]:
        return dict(self.load_balancers[0].get("advancedConfiguration", {})) if self.load_balancers else {}

    @property
    def other_group(self) -> str:
        """The ARN of the target group that the next deployment's tasks register with, when ECS shifts traffic."""
        return str(self._advanced.get("alternateTargetGroupArn", self.group))

    @property
    def rules(self) -> tuple[str, str]:
        """The ARNs of the listeners' rules by which ECS moves the users' traffic and the tests'."""
        return self._advanced.get("productionListenerRule", ""), self._advanced.get("testListenerRule", "")

    @property
    def reached(self) -> tuple[str, int]:
        """The container and the port that the load balancer sends traffic to; nothing without one."""
        first = self.load_balancers[0] if self.load_balancers else {}
        return str(first.get("containerName", "")), int(first.get("containerPort", 0))

    @property
    def further(self) -> tuple[tuple[str, str, int], ...]:
        """ARN, container and port of each target group beside the first."""
        return tuple(
            (str(each["targetGroupArn"]), str(each["containerName"]), int(each["containerPort"]))
            for each in self.load_balancers[1:]
        )

    def reach(self, source: Revision) -> None:
        """Let the load balancers send traffic where they sent it with another revision."""
        container, port = source.reached
        reached = {"containerName": container, "containerPort": port}
        self.load_balancers = [
            *({**balancer, **reached} for balancer in self.load_balancers[:1]),
            *(
                {"targetGroupArn": group, "containerName": name, "containerPort": number}
                for group, name, number in source.further
            ),
        ]

    def exchange_groups(self, serves: str) -> None:
        """Let the two target groups change places, unless this one is already the one that serves."""
        if serves not in ("", self.group):
            balancer = self.load_balancers[0]
            advanced = {**self._advanced, "alternateTargetGroupArn": self.group}
            self.load_balancers = [{**balancer, "targetGroupArn": serves, "advancedConfiguration": advanced}]

    def task_set(self, task: Task) -> TaskSet | None:
        """The task set that a task belongs to."""
        return next((found for found in self.task_sets if found.revision is task.revision), None)

    @property
    def running(self) -> list[str]:
        """The revisions of the task definition that run, as family:revision."""
        arns = {task.definition["taskDefinitionArn"] for task in self.tasks if task.status == "RUNNING"}
        return sorted(arn.rpartition("/")[2] for arn in arns)

    def says(self, message: str, task_set: TaskSet | None = None) -> None:
        """Add to its events, newest first."""
        identity = f"00000000-0000-4000-8000-{len(self.events):012d}"
        who = f"service {self.name}" + (f", taskSet ecs-svc/{task_set.identity}" if task_set else "")
        event = {"id": identity, "createdAt": time.time(), "message": f"({who}) {message}"}
        self.events.insert(0, event)

    @property
    def _primary(self) -> dict[str, Any]:
        """The deployment that it is asked to run, as DescribeServices answers."""
        return {
            "id": f"ecs-svc/{self.deployments[0].identity}",
            "status": "PRIMARY",
            "taskDefinition": self.definition["taskDefinitionArn"],
            "desiredCount": self.desired,
            **({"serviceConnectConfiguration": self.connect} if self.connect else {}),
        }

    def view(self) -> dict[str, Any]:
        """As DescribeServices answers."""
        answer: dict[str, Any] = {
            "serviceArn": self.arn,
            "serviceName": self.name,
            "clusterArn": self.cluster,
            "status": self.status,
            "desiredCount": self.desired,
            "runningCount": sum(task.status == "RUNNING" for task in self.tasks),
            "taskDefinition": self.definition["taskDefinitionArn"],
            "deploymentController": {"type": self.controller},
            "deploymentConfiguration": self.configuration,
            "loadBalancers": self.load_balancers,
            "serviceRegistries": self.registries,
            "events": self.events[:100],
            **self.placement.view,
        }
        if self.controller == "ECS" and self.deployments:
            answer["deployments"] = [self._primary]
        if self.controller == "CODE_DEPLOY":
            answer["taskSets"] = [task_set.view(self) for task_set in self.task_sets]
        return answer

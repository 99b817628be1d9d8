"""What a way to deploy is: facts that the stack file, the hosting and the stages ask for, and how it deploys."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

from components.engines.target import DeploymentTarget
from components.foundation.iam import Statement
from components.jobs.build_project import LAMBDA_MINUTES
from components.jobs.job_component import JobComponent, JobContext
from components.pipeline.model import Action

Strategy = Literal["allAtOnce", "rolling", "blueGreen", "canary", "linear"]

DEPLOY_ACTION = "DeployService"
"""The action that moves the service, whichever engine does it."""
MINUTES_TO_ROLL_BACK = 3
"""What a job gets beyond its own timeout, to ask for the rollback and to say why: a dozen requests, no waiting."""
QUICK_MINUTES = LAMBDA_MINUTES - MINUTES_TO_ROLL_BACK
"""How long a job on a Lambda machine follows a deployment."""
MINUTES_TO_START = 2
"""What a task on Fargate takes until its health checks begin to count: a machine, the image, the first checks."""
MINUTES_TO_STOP = 2
"""The most that ECS gives the containers of a task to stop.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
"""

WRITTEN_BY_DEPLOYMENTS = ("taskDefinition", "capacityProviderStrategies")
"""Properties of the service that the deployments of every engine write.

The capacity provider is one of them because AWS's provider changes it by making a new service, unless it is given
``forceNewDeployment``, which it then sends with every change: capacityProviderStrategyCustomizeDiff in
https://github.com/hashicorp/terraform-provider-aws/blob/v6.58.0/internal/service/ecs/service.go.
"""
WORD_MINUTES = 15
"""How long a deployment waits for the word of the job that checks the new version, which takes seven minutes at most.

A job that has died gives none: the deployment is rolled back then, and users keep the old version.
"""
NAMED_BY_TASK_DEFINITION = ("loadBalancers[*].containerName", "loadBalancers[*].containerPort")
"""ECS refuses a name or a port that the running task definition does not have: they change together with it."""
SERVICE_CONNECT = "serviceConnectConfiguration"
"""Names a port of the task definition, too: only an engine that ships the two together writes it.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceConnectService.html
"""


class TrafficSwitch(Enum):
    """What a deployment turns to the new tasks, when it moves traffic between two target groups."""

    LISTENERS = "listeners"
    """The load balancer's listeners themselves."""
    RULES = "rules"
    """Rules of the listeners."""
    NOTHING = "nothing"
    """There is one target group, and tasks are replaced in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestTraffic:
    """What the new version has to answer at the test listener before users get it.

    Attributes:
        checks: The HTTP checks, as the job reads them.
        headers: What goes with each request: names, and the secrets that hold the values.
        minutes: The longest time that the checks take.
    """

    checks: str
    headers: tuple[tuple[str, str], ...] = ()
    minutes: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """How users' traffic moves to the new version, and what stops it.

    Attributes:
        strategy: ``allAtOnce``, ``rolling``, ``blueGreen``, ``canary`` (one step, then the rest) or ``linear`` (equal
            steps).
        percent: Share of the traffic moved by a step.
        interval_minutes: Wait after a step.
        bake_minutes: Minutes that both versions run after the last step, with engine ``ecs``.
        termination_wait_minutes: Minutes that the old tasks stay after the last step, with engine ``codeDeploy``.
        timeout_minutes: Longest time the deployment may take.
        minimum_healthy_percent: Share of the tasks that stays healthy while they are replaced, with ``rolling``.
        maximum_percent: Share of the tasks that may run then.
        alarms: CloudWatch alarms that roll the deployment back.
        test_traffic: What decides whether users get the new version, once test traffic reaches it; ``None``: nothing.
        stated: The fields of the section ``deploy`` that the stack file has, and that are no defaults.
    """

    strategy: Strategy
    percent: int = 100
    interval_minutes: int = 0
    bake_minutes: int = 0
    termination_wait_minutes: int = 0
    timeout_minutes: int = 60
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200
    alarms: tuple[str, ...] = ()
    test_traffic: TestTraffic | None = None
    stated: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def checking_minutes(self) -> int:
        """Minutes that the new version is asked before users get it."""
        return self.test_traffic.minutes if self.test_traffic else 0

    @property
    def shift_minutes(self) -> int:
        """Minutes the strategy waits between its first and its last shift of traffic.

        Canary waits once; linear waits after each step but the last.
        """
        waits = 1 if self.strategy == "canary" else math.ceil(100 / self.percent) - 1
        return waits * self.interval_minutes

    @property
    def shifts_traffic(self) -> bool:
        """Whether traffic moves between two target groups, instead of tasks being replaced in one."""
        return self.strategy != "rolling"

    def batches(self, tasks: int) -> int:
        """Return in how many goes so many tasks are replaced in one target group.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
        """
        more = tasks * self.maximum_percent // 100 - tasks
        fewer = tasks - math.ceil(tasks * self.minimum_healthy_percent / 100)
        return math.ceil(tasks / max(more, fewer, 1))

    def with_alarms(self, alarms: tuple[str, ...]) -> Rollout:
        """The same with more alarms."""
        return replace(self, alarms=(*self.alarms, *alarms))

    def within(self, minimum_healthy_percent: int, maximum_percent: int) -> Rollout:
        """The same between other shares of the tasks."""
        return replace(self, minimum_healthy_percent=minimum_healthy_percent, maximum_percent=maximum_percent)


def minutes_to_decide(desired_count: int, grace_period_seconds: int) -> int:
    """Return how long it takes until as many tasks have failed their health checks as stop a deployment.

    Three tasks at least, or half of them all; one that fails is started again. The rule is that of the deployment
    circuit breaker: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html

    Args:
        desired_count: Number of tasks that start side by side.
        grace_period_seconds: How long a starting task may fail its health checks.
    """
    rounds = math.ceil(max(3, desired_count / 2) / desired_count)
    return math.ceil(rounds * (MINUTES_TO_START + grace_period_seconds / 60))


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """What the deploy stage hands to its engine.

    Attributes:
        name: The stage's Pulumi name.
        stage: The stage: makes build projects, and is the parent of what an engine makes.
        context: What jobs are made with.
        target: The service.
        rollout: How it moves; its alarms are those of the stack file and of the hosting.
        container: Name of the application's container.
        desired_count: Number of tasks that start side by side.
    """

    name: str
    stage: JobComponent
    context: JobContext
    target: DeploymentTarget
    rollout: Rollout
    container: str
    desired_count: int

    @property
    def minutes_to_decide(self) -> int | None:
        """How long it takes until it is known whether users get the new version; ``None`` where nobody knows."""
        grace = self.target.grace_period_seconds
        if grace is None:
            return None
        return minutes_to_decide(self.desired_count, grace) + self.rollout.checking_minutes

    @property
    def minutes_of_ecs(self) -> int | None:
        """How long a deployment by ECS takes by itself: starts, checks, shifts, bake time, the end of the old tasks.

        ``None`` where nobody knows, of a service that exists. Longer than that it takes when something is wrong.
        """
        grace, rollout, decided = self.target.grace_period_seconds, self.rollout, self.minutes_to_decide
        if grace is None or decided is None:
            return None
        starts = MINUTES_TO_START + grace / 60
        leaves = self.target.deregistration_seconds / 60 + MINUTES_TO_STOP
        if not rollout.shifts_traffic:
            return max(decided, math.ceil(rollout.batches(self.desired_count) * starts + leaves))
        waits = rollout.checking_minutes + rollout.shift_minutes + rollout.bake_minutes
        return max(decided, math.ceil(starts + waits + leaves))


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """One way to deploy.

    Attributes:
        name: What the stack file calls it.
        moved_by: Who shifts the traffic, for messages and docs.
        strategies: What it offers; the first is its default.
        timeout_minutes: Longest time of a deployment by default.
        longest_timeout_minutes: What the service behind it allows.
        options: The fields of the section ``deploy`` that have an effect with it, besides strategy, step and files.
        old_tasks_stay: The field of ``options`` that sets how long the old tasks stay after the last shift of traffic.
        smallest_linear_percent: Smallest step of the strategy linear.
        longest_interval_minutes: Longest wait of one step.
        longest_shift_minutes: Longest time between the first and the last shift; ``None`` where nothing limits it.
        controller: ECS's ``deploymentController`` of the service.
        traffic_switch: What a deployment turns to the new tasks.
        writes: Properties of the service that its deployments write, so that the program must not.
        writes_when_shifting: Those it writes besides when traffic moves between two target groups.
        one_at_a_time: Whether it refuses a second deployment while one runs.
        ships_image_only: Whether it changes nothing of the running task definition but the image.
        deploy: Makes what a deployment needs; returns the actions and what the pipeline's role needs for them.
    """

    name: str
    moved_by: str
    strategies: tuple[Strategy, ...]
    timeout_minutes: int
    longest_timeout_minutes: int
    options: frozenset[str]
    old_tasks_stay: str | None = None
    smallest_linear_percent: int = 1
    longest_interval_minutes: int = 2880
    longest_shift_minutes: int | None = None
    controller: str
    traffic_switch: TrafficSwitch
    writes: tuple[str, ...]
    writes_when_shifting: tuple[str, ...] = ()
    one_at_a_time: bool = False
    ships_image_only: bool = False
    deploy: Callable[[Deployment], tuple[tuple[Action, ...], tuple[Statement, ...]]]

    @property
    def deployed_by_ecs(self) -> bool:
        """Whether ECS itself deploys, so that the service carries its deployment configuration."""
        return self.controller == "ECS"

    @property
    def watches_alarms(self) -> bool:
        """Whether alarms roll its deployments back."""
        return "alarms" in self.options

    @property
    def connects(self) -> bool:
        """Whether its deployments set Service Connect of the service."""
        return SERVICE_CONNECT in self.writes

    def written(self, rollout: Rollout) -> tuple[str, ...]:
        """The properties of the service that its deployments write."""
        return (*self.writes, *(self.writes_when_shifting if rollout.shifts_traffic else ()))

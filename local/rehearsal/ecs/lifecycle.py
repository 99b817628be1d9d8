"""How a deployment goes, step by step.

With a scripted fleet each look at it brings it one step further, so no test waits for a clock.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ with service-deployment.html,
deployment-failure-detection.html, deployment-circuit-breaker.html and deployment-type-blue-green.html behind it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator

from local.rehearsal.ecs.endings import scaled_in
from local.rehearsal.ecs.fleet import Fleet, passing
from local.rehearsal.ecs.state import Deployment, Revision, Service, Task

Course = Generator[None, None, str]
"""The steps of a part of a deployment, and why it failed; nothing when it did not."""


class Lifecycle:
    """The course of one deployment of one service."""

    def __init__(
        self, service: Service, deployment: Deployment, fleet: Fleet, task: Callable[[Revision], Task]
    ) -> None:
        self._service, self._deployment = service, deployment
        self._fleet, self._task = fleet, task
        self._counted: set[str] = set()

    def forward(self) -> Iterator[None]:
        """From PENDING to the end."""
        made = self._deployment
        yield
        made.status = "IN_PROGRESS"
        if made.strategy == "ROLLING":
            failure = yield from self._scale_up(replacing=True)
        else:
            failure = yield from self._shift()
        if failure:
            yield from self.fail(failure)
            return
        self._stop_others(made.target)
        made.end("SUCCESSFUL")
        self._service.stable = made.target
        self._service.exchange_groups(made.target.group)
        self._service.says("has reached a steady state.")

    def fail(self, why: str) -> Iterator[None]:
        """What happens on a failure: back to the source if that is wished for and there is one, else a full stop."""
        made = self._deployment
        watcher = "alarms" if made.triggered else "deploymentCircuitBreaker"
        hooked = made.hook.get("status") == "TIMED_OUT"
        if (hooked or made.on(watcher, "rollback")) and made.sources:
            yield from self.roll_back(f"Service deployment rolled back because {why}.")
            return
        self._stop(made.target, "PENDING")
        made.end("STOPPED", f"Service deployment stopped because {why}.")

    def roll_back(self, reason: str) -> Iterator[None]:
        """Back to the source revision."""
        made, source = self._deployment, self._deployment.sources[0]
        made.status, made.reason = "ROLLBACK_IN_PROGRESS", reason
        made.rollback = {"reason": reason, "startedAt": time.time(), "serviceRevisionArn": source.arn}
        self._route(production=0.0, test=0.0)
        self._service.definition, self._service.placement = source.definition, source.placement
        self._service.reach(source)
        self._service.connect = source.connect
        self._fleet.connect(self._service, source)
        self._service.says(f"rolling back to deployment ecs-svc/{made.identity}.")
        yield
        while True:
            self._look(source)
            if self._service.fit(source) >= made.requested:
                break
            self._start_missing(source)
            if self._service.fit(source) >= made.requested:
                break
            yield
        self._stop(made.target)
        yield
        made.end("ROLLBACK_SUCCESSFUL")

    def stop(self, reason: str) -> Iterator[None]:
        """Another deployment has taken its place."""
        self._deployment.status = "STOP_REQUESTED"
        yield
        self._deployment.end("STOPPED", reason)

    def _shift(self) -> Course:
        """The new revision runs beside the old one; the traffic follows by the strategy."""
        made = self._deployment
        if made.reconciles:
            made.stage = "RECONCILE_SERVICE"
            self._route(production=0.0, test=0.0)
            self._stop_others(made.target, *made.sources)
            yield
        made.stage = "PRE_SCALE_UP"
        yield
        made.stage = "SCALE_UP"
        failure = yield from self._scale_up(replacing=False)
        if failure:
            return failure
        made.stage = "POST_SCALE_UP"
        yield
        made.stage = "TEST_TRAFFIC_SHIFT"
        self._route(production=0.0, test=100.0)
        yield
        made.stage = "POST_TEST_TRAFFIC_SHIFT"
        if failure := (yield from self._pause()):
            return failure
        made.stage = "PRODUCTION_TRAFFIC_SHIFT"
        for weight, minutes in self._weights():
            self._route(production=weight, test=100.0)
            if failure := (yield from self._watch(minutes)):
                return failure
        made.stage = "POST_PRODUCTION_TRAFFIC_SHIFT"
        yield
        made.stage = "BAKE_TIME"
        if failure := (yield from self._watch(made.configuration.get("bakeTimeInMinutes", 0))):
            return failure
        made.stage = "CLEAN_UP"
        yield
        return ""

    def _pause(self) -> Course:
        """Wait for a word where a hook wants one; nobody gives it to a service's first deployment here.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html
        """
        made = self._deployment
        hooks = made.configuration.get("lifecycleHooks", [])
        if not hooks:
            yield
            return ""
        limit = hooks[0].get("timeoutConfiguration", {})
        minutes, action = limit.get("timeoutInMinutes", 1440), limit.get("action", "ROLLBACK")
        made.hook = {
            "hookId": f"ecs-pause-{made.identity}",
            "targetType": "PAUSE",
            "status": "AWAITING_ACTION",
            "expiresAt": time.time() + 60 * minutes,
            "timeoutAction": action,
        }
        since = time.monotonic()
        yield  # whoever looks now sees it, and may answer before the next look
        while made.hook["status"] == "AWAITING_ACTION":
            yield
            if self._fleet.expired(since, minutes) and made.hook["status"] == "AWAITING_ACTION":
                made.hook["status"] = "TIMED_OUT"
        given_up = made.hook["status"] == "TIMED_OUT" and action == "ROLLBACK"
        return "a lifecycle hook timed out" if given_up else ""

    def _weights(self) -> list[tuple[float, float]]:
        """The steps of the production traffic in percent, and the minutes after each."""
        configuration = self._deployment.configuration
        match self._deployment.strategy:
            case "CANARY":
                own = configuration.get("canaryConfiguration", {})
                return [(own.get("canaryPercent", 5.0), own.get("canaryBakeTimeInMinutes", 10)), (100.0, 0)]
            case "LINEAR":
                own = configuration.get("linearConfiguration", {})
                step, minutes = own.get("stepPercent", 10.0), own.get("stepBakeTimeInMinutes", 6)
                steps = itertools.takewhile(lambda weight: weight < 100, itertools.count(step, step))
                return [*((weight, minutes) for weight in steps), (100.0, 0)]
            case _:
                return [(100.0, 0)]

    def _route(self, *, production: float, test: float) -> None:
        """Send so many percent of the users' traffic and of the tests' to the new revision."""
        made = self._deployment
        made.traffic, made.test_traffic = production, test
        for rule, percent in zip(self._service.rules, (production, test), strict=False):
            if rule and made.sources and made.strategy != "ROLLING":
                source = made.sources[0].group
                self._fleet.route(rule, {source: 100.0 - percent, made.target.group: percent})

    def _scale_up(self, *, replacing: bool) -> Course:
        """Start the tasks; the answer is why it failed, or nothing."""
        made = self._deployment
        while True:
            self._look(made.target)
            if failure := self._failure() or (self._alarm() if replacing else ""):
                return failure
            if self._service.fit(made.target) >= made.requested:
                return ""
            if replacing:
                self._replace()
            self._start_missing(made.target, most=self._room if replacing else None)
            yield

    def _replace(self) -> None:
        """Stop as many old tasks as new ones are well; where there is no room for new ones, as many as may be missing.

        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
        """
        made, service = self._deployment, self._service
        fit = service.fit(made.target) + sum(service.count(source, "RUNNING") for source in made.sources)
        surplus = fit - made.requested
        if self._room <= 0:
            surplus = max(surplus, fit - made.share("minimumHealthyPercent", 100, up=True))
        for source in made.sources:
            self._stop(source, "RUNNING", most=max(0, surplus))

    @property
    def _room(self) -> int:
        """How many tasks may start beside those that have not stopped."""
        made, service = self._deployment, self._service
        there = sum(len(service.of(revision)) for revision in (made.target, *made.sources))
        return made.share("maximumPercent", 200, up=False) - there

    def _watch(self, minutes: float) -> Course:
        """Wait, as long as the new tasks stay well; those that end are replaced."""
        made = self._deployment
        for _ in passing(self._fleet, minutes if made.sources else 0):
            yield
            self._look(made.target)
            if failure := self._failure() or self._alarm():
                return failure
            self._start_missing(made.target)
        return ""

    def _failure(self) -> str:
        """Count the new tasks that have failed; the answer is that they are too many, or nothing."""
        made, service = self._deployment, self._service
        for task in service.tasks:
            if task.revision is made.target and task.failed and task.arn not in self._counted:
                self._counted.add(task.arn)
                made.failures += 1
                service.says(f"(task {task.identity}) failed to start or stay up: {task.stopped_reason}")
                if made.on("deploymentCircuitBreaker") and made.failures >= made.threshold:
                    made.breaker = "TRIGGERED"
                    return "the circuit breaker threshold was exceeded"
        return ""

    def _alarm(self) -> str:
        made = self._deployment
        running = self._service.alive(made.target, "RUNNING")
        if not made.on("alarms"):
            return ""
        names = made.configuration["alarms"]["alarmNames"]
        made.triggered = self._fleet.alarms(self._service, running[-1] if running else None, names)
        return "one or more alarms were triggered" if made.triggered else ""

    def _look(self, revision: Revision) -> None:
        for task in self._service.of(revision):
            self._fleet.look(self._service, task)

    def _start_missing(self, revision: Revision, *, most: int | None = None) -> None:
        service = self._service
        missing = service.missing(revision, self._deployment.requested, self._fleet.at_once)
        for _ in range(missing if most is None else min(missing, most)):
            task = self._task(revision)
            service.tasks.append(task)
            service.says(f"has started 1 tasks: (task {task.identity}).")
            self._fleet.start(service, task)

    def _stop(self, revision: Revision, *statuses: str, most: int | None = None) -> None:
        """Stop tasks of a revision, in the course of things."""
        for task in self._service.alive(revision, *(statuses or ("PENDING", "RUNNING")))[:most]:
            self._fleet.stop(self._service, task, scaled_in(self._deployment.identity))

    def _stop_others(self, *kept: Revision) -> None:
        for task in self._service.tasks:
            if task.revision not in kept and not task.stop_code:
                self._fleet.stop(self._service, task, scaled_in(self._deployment.identity))

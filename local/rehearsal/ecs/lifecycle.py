"""How a deployment goes, step by step: each look at it brings it one step further, so no test waits for a clock.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ with service-deployment.html,
deployment-failure-detection.html, deployment-circuit-breaker.html and deployment-type-blue-green.html behind it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence

from local.rehearsal.ecs.endings import ending, scaled_in
from local.rehearsal.ecs.state import Behaviour, Deployment, Revision, Service, Task

Course = Generator[None, None, str]
"""The steps of a part of a deployment, and why it failed; nothing when it did not."""


class Lifecycle:
    """The course of one deployment of one service."""

    def __init__(
        self,
        service: Service,
        deployment: Deployment,
        behaviour: Behaviour,
        task: Callable[[Revision], Task],
        log: Callable[[Task, Sequence[str]], None],
    ) -> None:
        self._service, self._deployment = service, deployment
        self._behaviour, self._task, self._log = behaviour, task, log

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
        for task in self._service.tasks:
            if task.revision is not made.target and task.status != "STOPPED":
                self._replaced(task)
        made.end("SUCCESSFUL")
        self._service.stable = made.target
        self._service.says("has reached a steady state.")

    def fail(self, why: str) -> Iterator[None]:
        """What happens on a failure: back to the source if that is wished for and there is one, else a full stop."""
        made = self._deployment
        watcher = "alarms" if made.triggered else "deploymentCircuitBreaker"
        if made.on(watcher, "rollback") and made.sources:
            yield from self.roll_back(f"Service deployment rolled back because {why}.")
            return
        self._stop(made.target, "PENDING")
        made.end("STOPPED", f"Service deployment stopped because {why}.")

    def roll_back(self, reason: str) -> Iterator[None]:
        """Back to the source revision."""
        made, source = self._deployment, self._deployment.sources[0]
        made.status, made.reason = "ROLLBACK_IN_PROGRESS", reason
        made.rollback = {"reason": reason, "startedAt": time.time(), "serviceRevisionArn": source.arn}
        made.traffic = made.test_traffic = 0.0
        self._service.definition = source.definition
        self._service.says(f"rolling back to deployment ecs-svc/{made.identity}.")
        yield
        while self._service.count(source, "RUNNING") < made.requested:
            self._start(source)
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
        made.stage = "PRE_SCALE_UP"
        yield
        made.stage = "SCALE_UP"
        failure = yield from self._scale_up(replacing=False)
        if failure:
            return failure
        made.stage = "POST_SCALE_UP"
        yield
        made.stage, made.test_traffic = "TEST_TRAFFIC_SHIFT", 100.0
        yield
        made.stage = "POST_TEST_TRAFFIC_SHIFT"
        yield
        made.stage = "PRODUCTION_TRAFFIC_SHIFT"
        for made.traffic in self._weights():
            yield
        made.stage = "POST_PRODUCTION_TRAFFIC_SHIFT"
        yield
        made.stage = "BAKE_TIME"
        yield
        if failure := self._alarm():
            return failure
        made.stage = "CLEAN_UP"
        yield
        return ""

    def _weights(self) -> list[float]:
        """The steps of the production traffic in percent."""
        configuration = self._deployment.configuration
        match self._deployment.strategy:
            case "CANARY":
                return [configuration.get("canaryConfiguration", {}).get("canaryPercent", 5.0), 100.0]
            case "LINEAR":
                step = configuration.get("linearConfiguration", {}).get("stepPercent", 10.0)
                steps = itertools.takewhile(lambda weight: weight < 100, itertools.count(step, step))
                return [*steps, 100.0]
            case _:
                return [100.0]

    def _scale_up(self, *, replacing: bool) -> Course:
        """Start the tasks; the answer is why it failed, or nothing."""
        made = self._deployment
        if self._behaviour in (Behaviour.HEALTHY, Behaviour.ALARM):
            while self._service.count(made.target, "RUNNING") < made.requested:
                self._start(made.target)
                if replacing:
                    for source in made.sources:
                        self._stop(source, "RUNNING", most=1)
                yield
            return self._alarm() if replacing else ""
        while True:
            task = self._add(made.target)
            yield
            if self._behaviour is Behaviour.SLOW:
                while True:
                    yield
            self._end_badly(task)
            made.failures += 1
            self._service.says(f"(task {task.identity}) failed to start or stay up: {task.stopped_reason}")
            if made.on("deploymentCircuitBreaker") and made.failures >= made.threshold:
                made.breaker = "TRIGGERED"
                return "the circuit breaker threshold was exceeded"

    def _end_badly(self, task: Task) -> None:
        image = str(task.definition["containerDefinitions"][0]["image"])
        end = ending(self._behaviour, image, self._service.load_balancers)
        self._log(task, end.log)
        if end.event:
            self._service.says(f"(task {task.identity}) {end.event}")
        task.stop(end)

    def _alarm(self) -> str:
        made = self._deployment
        if self._behaviour is not Behaviour.ALARM or not made.on("alarms"):
            return ""
        made.triggered = tuple(made.configuration["alarms"]["alarmNames"][:1])
        return "one or more alarms were triggered"

    def _add(self, revision: Revision) -> Task:
        task = self._task(revision)
        self._service.tasks.append(task)
        return task

    def _start(self, revision: Revision) -> None:
        task = self._add(revision)
        task.status = "RUNNING"
        self._service.says(f"has started 1 tasks: (task {task.identity}).")

    def _stop(self, revision: Revision, *statuses: str, most: int | None = None) -> None:
        """Stop tasks of a revision, in the course of things."""
        for task in self._service.alive(revision, *(statuses or ("PENDING", "RUNNING")))[:most]:
            self._replaced(task)

    def _replaced(self, task: Task) -> None:
        task.stop(scaled_in(self._deployment.identity))

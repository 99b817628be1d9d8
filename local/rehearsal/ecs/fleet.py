"""What runs an emulated service's tasks and sends them traffic, as far as the courses of deployments are concerned.

There are two: `ScriptedFleet` runs nothing and does what it is told, `local.rehearsal.hosting` runs containers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from local.rehearsal.ecs.endings import ending
from local.rehearsal.ecs.state import Behaviour, Ending, Revision, Service, Task


class Fleet(Protocol):
    """Where tasks run.

    Attributes:
        at_once: How many tasks of a revision may be starting at the same time.
    """

    at_once: int

    def connect(self, service: Service, revision: Revision) -> None:
        """Give a revision the endpoints of Service Connect that it has, and those that its tasks can call.

        Raises:
            Refused: Another service has one of its endpoints.
        """

    def start(self, service: Service, task: Task) -> None:
        """Begin to start a task, which registers with the target group of its revision as soon as it runs."""

    def look(self, service: Service, task: Task) -> None:
        """Bring what is known of a task up to date."""

    def stop(self, service: Service, task: Task, why: Ending) -> None:
        """Begin to stop a task that is no longer wanted; its target group drains it first."""

    def route(self, place: str, weights: Mapping[str, float]) -> None:
        """Let a listener, or a rule of one, forward to these target groups, by their ARNs, in these proportions."""

    def over(self, since: float, minutes: float) -> bool:
        """Whether a wait of so many minutes is over that began then, by the monotonic clock."""

    def expired(self, since: float, minutes: float) -> bool:
        """Whether a job has had so many minutes since then; jobs take as long here as anywhere."""

    def alarms(self, service: Service, target: Task | None, names: Sequence[str]) -> tuple[str, ...]:
        """Which of these CloudWatch alarms have gone off, while this task is the newest of the new version."""


def passing(fleet: Fleet, minutes: float) -> Iterator[None]:
    """Steps until so many minutes have passed; one at least."""
    since = time.monotonic()
    yield
    while not fleet.over(since, minutes):
        yield


class ScriptedFleet:
    """Runs nothing: what becomes of a task is said by its task definition, a step each time it is looked at."""

    at_once = 1

    def connect(self, service: Service, revision: Revision) -> None:
        """Nobody calls anybody."""

    def __init__(
        self, behaviour: Callable[[dict[str, Any]], Behaviour], log: Callable[[Task, Sequence[str]], None]
    ) -> None:
        self._behaviour, self._log = behaviour, log
        self._scripts: dict[str, Iterator[None]] = {}

    def start(self, service: Service, task: Task) -> None:
        """Let its script begin; what ECS itself deploys, and what runs from the start, is there at once."""
        behaviour, by_ecs = self._behaviour(task.definition), service.controller == "ECS"
        well = behaviour in (Behaviour.HEALTHY, Behaviour.ALARM)
        if (by_ecs and well) or (not by_ecs and service.stable is task.revision):
            task.run(healthy=True)
        else:
            self._scripts[task.arn] = self._script(service, task, behaviour, slowly=not by_ecs)

    def look(self, service: Service, task: Task) -> None:  # noqa: ARG002 - the script knows its service
        """Go on by a step."""
        next(self._scripts.get(task.arn, iter(())), None)

    def _script(self, service: Service, task: Task, behaviour: Behaviour, *, slowly: bool) -> Iterator[None]:
        if behaviour is Behaviour.SLOW:
            return
        if behaviour in (Behaviour.HEALTHY, Behaviour.ALARM):
            task.run(healthy=True)
            return
        end = ending(behaviour, str(task.definition["containerDefinitions"][0]["image"]), service.load_balancers)
        if slowly and end.exit_code is not None:
            task.run()
            yield
        self._log(task, end.log)
        if end.event:
            service.says(f"(task {task.identity}) {end.event}", service.task_set(task))
        task.failed = True
        task.begin_to_stop(end)
        if slowly:
            yield
        task.stop(end)

    def stop(self, service: Service, task: Task, why: Ending) -> None:  # noqa: ARG002 - as the protocol has it
        """It ends at once, whatever its script had still in store."""
        self._scripts.pop(task.arn, None)
        task.stop(why)

    def route(self, place: str, weights: Mapping[str, float]) -> None:
        """There is no traffic."""

    def over(self, since: float, minutes: float) -> bool:  # noqa: ARG002 - as the protocol has it
        """No test waits for a clock."""
        return True

    expired = over

    def alarms(self, service: Service, target: Task | None, names: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002 - as the protocol has it
        """The first one goes off when the version that is scripted to set it off runs."""
        scripted = target is not None and self._behaviour(target.definition) is Behaviour.ALARM
        return tuple(names[:1]) if scripted else ()

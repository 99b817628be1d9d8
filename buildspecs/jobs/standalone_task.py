"""A task that belongs to no service: started beside the service's, followed to its end, and stopped when it must.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/standalone-tasks.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from jobs import ecs_service, inputs, job, stopped_tasks

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
PATIENCE = 12
"""Answers in a row without the task: what has just been started may not be visible yet, ECS is eventually consistent.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""
TAIL = 40
"""Lines of a container's log that are shown."""
ON_FARGATE = ("FARGATE", "FARGATE_SPOT")


@dataclass(frozen=True)
class Standalone:
    """What is run.

    Attributes:
        what: What it is, as the log says it: `The command`.
        stands: What serves when it fails, as a sentence.
        cluster: The cluster's name.
        family: The family of its task definition, which no service has.
        tag: The key of the tag by which this job may stop the task; its value is the family.
        container: The container whose exit code counts.
        log_group: The log group of the containers.
        minutes: Longest time of the task.
        minutes_to_stop: How long its end is waited for when it is stopped.
    """

    what: str
    stands: str
    cluster: str
    family: str
    tag: str
    container: str
    log_group: str
    minutes: int
    minutes_to_stop: int

    def fail(self, message: str, *lines: str, code: int = job.FAILED) -> NoReturn:
        """End the job, saying what serves now."""
        job.fail("\n".join([f"{message}. {self.stands}", *lines]), code)


def on_fargate(service: dict[str, Any]) -> bool:
    """Return whether a task of the service's place runs on Fargate."""
    serves = ecs_service.serving(service)
    providers = serves.get("capacityProviderStrategy") or []
    return serves.get("launchType") == "FARGATE" or (
        bool(providers) and all(item["capacityProvider"] in ON_FARGATE for item in providers)
    )


def network(service: dict[str, Any]) -> dict[str, Any]:
    """Return the service's `networkConfiguration`; empty where its tasks have no network of their own."""
    return dict(ecs_service.serving(service).get("networkConfiguration") or {})


def placement(service: dict[str, Any]) -> list[str]:
    """Return the options of RunTask that put a task where those of the service are; of Fargate on-demand capacity."""
    serves = ecs_service.serving(service)
    providers = serves.get("capacityProviderStrategy") or []
    if on_fargate(service):
        options = ["--launch-type", "FARGATE"]
        options += ["--platform-version", serves["platformVersion"]] if serves.get("platformVersion") else []
    elif providers:
        options = ["--capacity-provider-strategy", json.dumps(providers)]
    else:
        options = ["--launch-type", serves.get("launchType") or "EC2"]
    own = network(service)
    return [*options, *(["--network-configuration", json.dumps(own)] if own else [])]


def known(run: Standalone, *, again: bool = False) -> list[dict[str, Any]]:
    """Return the tasks of the family that ECS knows, the newest first; it forgets one an hour after its end."""
    arns: list[str] = []
    for status in ("RUNNING", "STOPPED"):
        where = ("--cluster", run.cluster, "--family", run.family, "--desired-status", status)
        arns += job.aws(f"List its tasks that are {status}", "ecs", "list-tasks", *where, again=again)["taskArns"]
    found = ecs_service.described(job.aws, "Look at them", run.cluster, arns, again=again)
    return sorted(found, key=lambda task: inputs.moment(task["createdAt"]), reverse=True)


def ended(task: dict[str, Any]) -> bool:
    """Whether the exit codes of a task are known."""
    return task.get("lastStatus") == "STOPPED"


def look_up(run: Standalone, name: str) -> dict[str, Any]:
    """Return the service; ends the job when it is not there."""
    look = ("ecs", "describe-services", "--cluster", run.cluster, "--services", name)
    services = job.aws("Look at the service", *look)["services"]
    if not services or services[0].get("status") != "ACTIVE":
        run.fail(f"the cluster {run.cluster} has no active service {name}")
    return dict(services[0])


def register(definition: dict[str, Any], file: str) -> str:
    """Register a task definition by way of a file of this job; returns its ARN."""
    Path(file).write_text(json.dumps(definition), encoding="utf-8")
    command = ("ecs", "register-task-definition", "--cli-input-json", f"file://{file}")
    return str(job.aws("Register its task definition", *command)["taskDefinition"]["taskDefinitionArn"])


def start(run: Standalone, definition: str, service: dict[str, Any], *more: str) -> dict[str, Any] | None:
    """Start a task; ends the job when ECS starts none.

    Args:
        run: What is run.
        definition: The ARN of its task definition.
        service: The service that it runs beside.
        more: Further options of RunTask.

    Returns:
        The task; `None` when ECS has started one for the same `--client-token` already.
    """
    what = ("--cluster", run.cluster, "--task-definition", definition, "--tags", f"key={run.tag},value={run.family}")
    answer = job.aws("Run it", "ecs", "run-task", *what, *placement(service), *more, absent="ConflictException")
    if answer is None:
        return None
    if not answer["tasks"]:
        why = "; ".join(f"{part.get('reason')} {part.get('detail', '')}".strip() for part in answer["failures"])
        run.fail(f"ECS starts no task: {why}")
    return dict(answer["tasks"][0])


def stop(run: Standalone, task: dict[str, Any], reason: str, ask: Callable[..., Any] | None = None) -> None:
    """Ask ECS to stop a task, with `job.aws` or what goes on when that fails."""
    (ask or job.aws)(
        "Stop it", "ecs", "stop-task", "--cluster", run.cluster, "--task", task["taskArn"], "--reason", reason
    )


def follow(run: Standalone, task: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Wait for the end of a task, which is stopped when it takes too long; returns it, and whether it was."""
    arn, name = str(task["taskArn"]), stopped_tasks.identity(task)
    took = max(0.0, time.time() - inputs.moment(task["createdAt"]))
    deadline, pause, line = time.monotonic() + run.minutes * 60 - took, FIRST_PAUSE, ""
    missing, stopped = 0, False
    while not ended(task):
        if (state := f"task {name}: {task.get('lastStatus', 'PROVISIONING')}") != line:
            line = state
            job.say(line)
        if time.monotonic() > deadline:
            if stopped:
                run.fail(f"task {name} was asked to stop, and has not stopped: it may still run")
            stopped, deadline = True, time.monotonic() + run.minutes_to_stop * 60
            stop(run, task, f"{run.what} took longer than {run.minutes} minutes.")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
        look = ("ecs", "describe-tasks", "--cluster", run.cluster, "--tasks", arn)
        answer = job.aws("Look at it", *look, again=bool(line) and not missing)["tasks"]
        missing = 0 if answer else missing + 1
        if missing > PATIENCE:
            run.fail(f"ECS does not know task {name} any more, so that nobody knows how it ended")
        task = answer[0] if answer else task
    return task, stopped


def exit_code(run: Standalone, task: dict[str, Any]) -> int | None:
    """Return what the container ended with by itself; `None` when it did not: one that is stopped may end with 0."""
    own = (part.get("exitCode") for part in task.get("containers", []) if part.get("name") == run.container)
    return next(own, None) if task.get("stopCode") == "EssentialContainerExited" else None


def show_log(run: Standalone, task: dict[str, Any], definition: dict[str, Any]) -> None:
    """Print the last lines that the container has written."""
    parts = [part for part in definition["containerDefinitions"] if part.get("name") == run.container]
    lines = stopped_tasks.log_of(task, {"containerDefinitions": parts}, run.log_group, TAIL)
    if lines:
        job.say("\n".join([f"The last lines of its log, at most {TAIL}:", *(f"  | {line}" for line in lines)]))

"""Why the tasks of a new version stopped: one sentence with the cause and the remedy, and what ECS and the log say.

The texts are those of Amazon ECS: "Stopped tasks error messages" and "Service event messages" in its developer guide,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html and
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from jobs import ecs_service, job

SHOWN = 10
"""Stopped tasks, and lines of a log, that are worth showing."""
SHOWN_EVENTS = 5
NO_TASK = "ECS names no stopped task of this version"
BAD_NEWS = re.compile("un(healthy|able)|fail")
FROM_OUTSIDE = ("UserInitiated", "SpotInterruption", "TerminationNotice", "InfrastructureHealth")
"""Stop codes that say nothing about the version: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html"""

CAUSES = (
    (
        r"exec format error|descriptor matching platform",
        "the image is for another processor than the task: application.architecture must be the image's",
    ),
    (
        r"read-only file system|\bEROFS\b",
        "a container writes to its read-only root file system: use /tmp, name the path in writablePaths, or set "  # noqa: ISC004 - one sentence
        "readOnlyRootFilesystem to false, below application or the container",
    ),
    (r"OutOfMemory", "a container needs more memory than it has: raise application.memory"),
    (
        r"retrieve secrets?.*(AccessDenied|not authorized)",
        "the execution role may not read a secret of application.secrets, or not use its key",
    ),
    (
        r"(retrieve secrets?|registry auth|CannotPull).*(timeout|connection issue|deadline|canceled|no such host)",
        "the task cannot reach the registry or AWS: its subnets need a NAT gateway, VPC endpoints or public addresses",
    ),
    (r"retrieve secrets?|json key", "a secret of application.secrets, or the key named in it, does not exist"),
    (r"CannotPull.*(toomanyrequests|429)", "the registry limits pulls: retry later, or take the image from ECR"),
    (
        r"(CannotPull|registry auth).*(denied|not authorized|403|no basic auth)",
        "the execution role may not pull the image",
    ),
    (r"CannotPull.*(not found|manifest unknown|does not exist)", "the image is not in the registry: build it again"),
    (r"CannotPull", "the image cannot be pulled"),
    (r"logger args|Cloudwatch log", "the task cannot write its log: see the log group and the execution role"),
    (
        r"dependency \[([\w-]+)\(.* did not exit successfully",
        r"the container \1, which others wait for (dependsOn: SUCCESS), failed: the last lines of its log say why",
    ),
    (
        r"dependency \[([\w-]+)\(.* is not healthy",
        r"the container \1, which others wait for (dependsOn: HEALTHY), did not become healthy: see its healthCheck",
    ),
    (
        r"executable file not found|CannotStartContainer|OCI runtime|exit code 12[67]\b",
        "the container's command cannot be started: see the command in the stack file, ENTRYPOINT and CMD",
    ),
    (
        r"failed with these codes: \[([\d, ]+)\]",
        r"the health check was answered \1: application.healthCheckPath must answer 2xx or 3xx",
    ),
    (
        r"ELB health checks",
        "the health check got no answer: the application must listen on application.port at 0.0.0.0, within the "  # noqa: ISC004 - one sentence
        "grace period",
    ),
    (r"container health checks", "a container's own health check failed: see its healthCheck"),
    (
        r"s6-overlay-suexec: fatal: can only run as pid 1|must be (run as )?(pid|process) 1",
        "a container's program has to be process 1: set application.initProcess to false",
    ),
    (r"assume the role", "ECS may not use a role of the task: its trust policy must name ecs-tasks.amazonaws.com"),
    (
        r"Capacity is unavailable|network interface|number of vCPUs",
        "no capacity, address or quota left: retry, or raise the quota",
    ),
    (r"exit code 139\b", "the program crashed with a segmentation fault (exit code 139)"),
    # Of a task with several containers the others are asked to end, and killed when they do not.
    (r"exit code (?!(?:0|137|143)\b)(\d+)", r"the program ended with exit code \1: the last lines of its log say why"),
    (r"exit code 0\b", "the program ended by itself (exit code 0), and a service has to keep running"),
    (r"exit code 137\b", "a container was killed (exit code 137): out of memory, or it did not end when asked to"),
    (r"exit code 143\b", "the program was asked to end (SIGTERM, exit code 143)"),
)
"""What is found in the text, in this order, and what it means."""


class Explanation(NamedTuple):
    """One sentence, and the lines it is drawn from."""

    sentence: str
    lines: list[str]


def cause(text: str) -> str:
    """Return what the text of tasks, log and events means, as a part of a sentence; empty when it says nothing."""
    for pattern, meaning in CAUSES:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return found.expand(meaning)
    return ""


def ask(why: str, *arguments: str, absent: str = "", again: bool = False) -> dict[str, Any]:
    """Call the AWS CLI as ``job.aws`` does, but go on with an empty answer when it fails, saying so.

    Whoever asks for reasons has something to say without them.
    """
    result = job.run(why, "aws", *arguments, "--output", "json", check=False, again=again)
    if not result.code:
        return dict(json.loads(result.output)) if result.output.strip() else {}
    if not absent or f"({absent})" not in result.errors:
        last = [line for line in result.errors.splitlines() if line.strip()][-1:] or ["it printed nothing"]
        job.say(f"    ended with code {result.code}: {last[0]}")
    return {}


def described(cluster: str, arns: list[str], *, again: bool = False) -> list[dict[str, Any]]:
    """Return what ECS knows of these tasks, as far as it answers."""
    return ecs_service.described(ask, "Ask why they stopped", cluster, arns, again=again)


def listed(cluster: str, service: str, *, again: bool = False) -> list[str]:
    """Return the ARNs of the service's tasks that ECS has stopped or is stopping, as long as it remembers them."""
    command = ("ecs", "list-tasks", "--cluster", cluster, "--service-name", service, "--desired-status", "STOPPED")
    return list(ask("List the stopped tasks", *command, again=again).get("taskArns", []))


def failed(task: dict[str, Any]) -> bool:
    """Return whether the task stopped for a reason that lies in its version."""
    reason = str(task.get("stoppedReason", ""))
    return bool(reason) and task.get("stopCode") not in FROM_OUTSIDE and not reason.startswith("Scaling activity")


def lines_of(task: dict[str, Any], definition: dict[str, Any]) -> Iterator[str]:
    """Yield why a task stopped, and how its containers ended; one that need not run on may end well."""
    parts = definition.get("containerDefinitions", [])
    may_end = [part.get("name") for part in parts if not part.get("essential", True)]
    yield f"task {identity(task)}: {' '.join(str(task.get('stoppedReason', 'no reason given')).split())}"
    for part in task.get("containers", []):
        ended = "exitCode" in part and part.get("name") not in may_end
        ended_it = ended and task.get("stopCode") == "EssentialContainerExited"
        if part.get("reason") or part.get("exitCode") or ended_it:
            how = f"exit code {part['exitCode']}" if "exitCode" in part else "it did not run"
            yield f"  container {part.get('name')}: {how}. {' '.join(str(part.get('reason', '')).split())}".rstrip(". ")


def identity(task: dict[str, Any]) -> str:
    """Return the last part of the task's ARN."""
    return str(task["taskArn"]).rsplit("/", 1)[-1]


def logging_to(group: str, definition: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the names of the containers that log to this group, each with the options of its log driver."""
    containers = definition.get("containerDefinitions", [])
    found = [(part.get("name"), part.get("logConfiguration", {}).get("options", {})) for part in containers]
    return [(name, options) for name, options in found if group and options.get("awslogs-group") == group]


def log_of(task: dict[str, Any], definition: dict[str, Any], group: str, most: int = SHOWN) -> list[str]:
    """Return the last lines that the task's containers have written to this log group; none if they did not run."""
    lines: list[str] = []
    ran = [part.get("name") for part in task.get("containers", []) if "exitCode" in part]
    for container, options in logging_to(group, definition):
        if container not in ran:
            continue
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html#create_awslogs_logdriver_options
        stream = f"{options.get('awslogs-stream-prefix')}/{container}/{identity(task)}"
        where = ("--log-group-name", group, "--log-stream-name", stream, "--limit", str(most))
        answer = ask("Read its last lines", "logs", "get-log-events", *where, absent="ResourceNotFoundException")
        lines += [str(event.get("message", "")).rstrip() for event in answer.get("events", [])]
    return lines


def explain(tasks: list[dict[str, Any]], events: list[str], definition: dict[str, Any], group: str) -> Explanation:
    """Return why these tasks stopped.

    Args:
        tasks: Stopped tasks of the new version.
        events: The service's events of the deployment, the newest first.
        definition: The task definition of the version.
        group: The log group of its containers.
    """
    tasks = sorted(filter(failed, tasks), key=lambda task: str(task.get("createdAt")))[-SHOWN:]
    reasons = [line for task in tasks for line in lines_of(task, definition)]
    ran = [task for task in tasks if any("exitCode" in part for part in task.get("containers", []))]
    log = log_of(ran[-1], definition, group) if ran else []
    text = "\n".join([*reasons, *log])
    # Of a task that fails for another reason the load balancer says that it is unhealthy, too.
    if "ELB health checks" in text:
        text = "\n".join([text, *events])
    lines = [f"{'  ' if line.startswith(' ') else '  - '}{line}" for line in reasons or [NO_TASK]]
    lines += [f"  - {event}" for event in events if BAD_NEWS.search(event)][:SHOWN_EVENTS]
    if log:
        lines += [f"  The last lines of task {identity(ran[-1])}:", *(f"  | {line}" for line in log)]
    if logging_to(group, definition):
        lines.append(f"More: aws logs tail {group} --since 30m")
    return Explanation(cause(text), lines)

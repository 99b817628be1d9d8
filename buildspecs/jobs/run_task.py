"""Run a command as one task of the new version, before or after the service moves, and take its exit code as verdict.

Reads deployment.json and taskdef.json. The task has the task definition that is deployed, in a family of its own, and
the network, launch type and platform of the service's tasks; of Fargate always the on-demand capacity. It is none of
the service's, and no load balancer knows it. When the command has succeeded once for an image, a command, an
environment and secrets, it is not run again: a record in the artifact bucket says so. Run again, the job follows a task
that still runs, and takes the end of one that ended unseen; one that has failed is run again. A task that takes longer
than the timeout is stopped.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, WHEN (before or after), CLUSTER, SERVICE (names), FAMILY (of the task),
TASK_TAG (the key of the tag by which this job may stop it), COMMAND (JSON: a list of words), LOG_GROUP (of the
containers), RECORDS (s3:// address of a folder), TIMEOUT_MINUTES.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from jobs import delivered, ecs_service, inputs, job, stopped_tasks, taskdef

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
MINUTES_TO_STOP = 4
"""More than ECS gives a task that is stopped: its containers have at most 2 minutes to end.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
"""
PATIENCE = 12
"""Answers in a row without the task: what has just been started may not be visible yet, ECS is eventually consistent.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""
TAIL = 40
"""Lines of the command's log that are shown."""
ON_FARGATE = ("FARGATE", "FARGATE_SPOT")
DEFINITION, RECORD = "task.json", "record.json"
"""Files of this job alone."""
STANDS = {
    "before": "Nothing was deployed: the version that runs keeps serving.",
    "after": "The new version serves already.",
}


class Command(NamedTuple):
    """What is run.

    Attributes:
        when: Before or after the deployment.
        cluster: The cluster's name.
        family: The family of its task definition.
        container: The container whose command it replaces.
        words: The command.
        definition: The task definition that is deployed.
        log_group: The log group of the containers.
        minutes: Longest time of its task.
        key: Stands for family, image, command, environment and secrets.
    """

    when: str
    cluster: str
    family: str
    container: str
    words: list[str]
    definition: dict[str, Any]
    log_group: str
    minutes: int
    key: str

    @property
    def own(self) -> dict[str, Any]:
        """The container in the task definition."""
        return dict(next(p for p in self.definition["containerDefinitions"] if p.get("name") == self.container))

    def fail(self, message: str, *lines: str) -> NoReturn:
        """End the job, saying what serves now."""
        job.fail("\n".join([f"{message}. {STANDS[self.when]}", *lines]))


class Record:
    """What is kept of a command: how often it has failed, and whether it has succeeded."""

    def __init__(self, folder: str, key: str) -> None:
        bucket, _, path = folder.removeprefix("s3://").partition("/")
        self.address, self._key = f"{folder}/{key}.json", key
        self._where = ("--bucket", bucket, "--key", f"{path}/{key}.json")
        # Amazon S3 tells of an object that is missing by its list alone, to who may list.
        look = ("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", f"{path}/{key}.json")
        found = job.aws("Look for its record", *look).get("Contents")
        if found:
            job.aws("Read it", "s3api", "get-object", *self._where, RECORD)
        said = job.read_json(RECORD) if found else {}
        self.failures, self.task = int(said.get("failures", 0)), str(said.get("task", ""))
        self.succeeded = bool(said.get("succeeded"))

    @property
    def attempt(self) -> str:
        """What tells the next attempt from those that have failed."""
        return f"{self._key}-{self.failures}"

    @property
    def again(self) -> str:
        """The shell command after which the next run makes another attempt, which ECS tells from the ones before."""
        return f"""echo '{{"failures": {self.failures + 1}}}' | aws s3 cp - {self.address}"""

    def write(self, task: str, *, succeeded: bool) -> None:
        """Keep how a task has ended."""
        self.failures, self.task, self.succeeded = self.failures + (not succeeded), task, succeeded
        said = {"succeeded": succeeded, "failures": self.failures, "task": task}
        Path(RECORD).write_text(json.dumps(said) + "\n", encoding="utf-8")
        job.aws("Keep the record", "s3api", "put-object", *self._where, "--body", RECORD)


def key_of(family: str, digest: str, words: list[str], container: dict[str, Any]) -> str:
    """Return what stands for a command and all that decides what it works on; ECS takes it once in a cluster."""
    settings = [container.get(key) or [] for key in ("environment", "environmentFiles", "secrets")]
    text = json.dumps([family, digest, words, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def placement(service: dict[str, Any]) -> list[str]:
    """Return the options of RunTask that put a task where those of the service are."""
    serves = ecs_service.serving(service)
    providers = serves.get("capacityProviderStrategy") or []
    launch = serves.get("launchType", "")
    if launch == "FARGATE" or (providers and all(item["capacityProvider"] in ON_FARGATE for item in providers)):
        options = ["--launch-type", "FARGATE"]
        options += ["--platform-version", serves["platformVersion"]] if serves.get("platformVersion") else []
    elif providers:
        options = ["--capacity-provider-strategy", json.dumps(providers)]
    else:
        options = ["--launch-type", launch or "EC2"]
    network = serves.get("networkConfiguration") or {}
    return [*options, *(["--network-configuration", json.dumps(network)] if network else [])]


def tasks(command: Command, *, again: bool = False) -> list[dict[str, Any]]:
    """Return the tasks of the family that ECS knows, the newest first; it forgets one an hour after its end."""
    arns: list[str] = []
    for status in ("RUNNING", "STOPPED"):
        where = ("--cluster", command.cluster, "--family", command.family, "--desired-status", status)
        arns += job.aws(f"List its tasks that are {status}", "ecs", "list-tasks", *where, again=again)["taskArns"]
    found = ecs_service.described(job.aws, "Look at them", command.cluster, arns, again=again)
    return sorted(found, key=lambda task: inputs.moment(task["createdAt"]), reverse=True)


def ended(task: dict[str, Any]) -> bool:
    """Whether the exit codes of a task are known."""
    return task.get("lastStatus") == "STOPPED"


def look_up(command: Command, name: str) -> dict[str, Any]:
    """Return the service; ends the job when it is not there."""
    look = ("ecs", "describe-services", "--cluster", command.cluster, "--services", name)
    services = job.aws("Look at the service", *look)["services"]
    if not services or services[0].get("status") != "ACTIVE":
        command.fail(f"the cluster {command.cluster} has no active service {name}")
    return dict(services[0])


def start(command: Command, service: dict[str, Any], record: Record) -> dict[str, Any]:
    """Start a task; ends the job when ECS does not. ECS starts one for each attempt, which it remembers for a day.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
    """
    Path(DEFINITION).write_text(json.dumps({**command.definition, "family": command.family}), encoding="utf-8")
    register = ("ecs", "register-task-definition", "--cli-input-json", f"file://{DEFINITION}")
    registered = job.aws("Register its task definition", *register)["taskDefinition"]["taskDefinitionArn"]
    attempt = record.attempt
    overrides = {"containerOverrides": [{"name": command.container, "command": command.words}]}
    tag = f"key={job.require('TASK_TAG')},value={command.family}"
    what = ("--cluster", command.cluster, "--task-definition", registered, "--overrides", json.dumps(overrides))
    named = ("--started-by", attempt, "--client-token", attempt, "--tags", tag)
    answer = job.aws("Run it", "ecs", "run-task", *what, *placement(service), *named, absent="ConflictException")
    if answer is None:
        command.fail(
            "ECS has started a task for this attempt already, and does not list it. If that was a moment ago, retry "
            f"this action; if nobody knows any more how it ended, have the next run make another one: {record.again}"
        )
    if not answer["tasks"]:
        why = "; ".join(f"{part.get('reason')} {part.get('detail', '')}".strip() for part in answer["failures"])
        command.fail(f"ECS starts no task: {why}")
    return dict(answer["tasks"][0])


def await_others(command: Command, found: list[dict[str, Any]]) -> None:
    """Wait until no task of another version, or of another command, runs: two at a time could do harm."""
    deadline, pause, shown = time.monotonic() + command.minutes * 60, FIRST_PAUSE, ""
    while running := [task for task in found if not ended(task)]:
        names = ", ".join(stopped_tasks.identity(task) for task in running)
        if names != shown:
            shown = names
            job.say(f"waiting for the end of {names}, which an earlier run has started")
        if time.monotonic() > deadline:
            stop = f"aws ecs stop-task --cluster {command.cluster} --task {stopped_tasks.identity(running[0])}"
            command.fail(f"{names} of an earlier run still runs. Wait for its end, or stop it, and retry: {stop}")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
        found = tasks(command, again=True)


def follow(command: Command, task: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Wait for the end of a task, which is stopped when it takes too long; returns it, and whether it was."""
    arn, name = str(task["taskArn"]), stopped_tasks.identity(task)
    took = max(0.0, time.time() - inputs.moment(task["createdAt"]))
    deadline, pause, line = time.monotonic() + command.minutes * 60 - took, FIRST_PAUSE, ""
    missing, stopped = 0, False
    while not ended(task):
        if (state := f"task {name}: {task.get('lastStatus', 'PROVISIONING')}") != line:
            line = state
            job.say(line)
        if time.monotonic() > deadline:
            if stopped:
                command.fail(f"task {name} was asked to stop, and has not stopped: it may still run")
            stopped, deadline = True, time.monotonic() + MINUTES_TO_STOP * 60
            reason = f"The command took longer than {command.minutes} minutes."
            job.aws("Stop it", "ecs", "stop-task", "--cluster", command.cluster, "--task", arn, "--reason", reason)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
        look = ("ecs", "describe-tasks", "--cluster", command.cluster, "--tasks", arn)
        answer = job.aws("Look at it", *look, again=bool(line) and not missing)["tasks"]
        missing = 0 if answer else missing + 1
        if missing > PATIENCE:
            command.fail(f"ECS does not know task {name} any more, so that nobody knows how it ended")
        task = answer[0] if answer else task
    return task, stopped


def succeeded(command: Command, task: dict[str, Any]) -> bool:
    """Whether the command has ended by itself, with exit code 0: one that is stopped may end with 0 half-way."""
    own = [part.get("exitCode") for part in task.get("containers", []) if part.get("name") == command.container]
    return task.get("stopCode") == "EssentialContainerExited" and own == [0]


def show_log(command: Command, task: dict[str, Any]) -> None:
    """Print the last lines that the command has written."""
    own = {"containerDefinitions": [command.own]}
    lines = stopped_tasks.log_of(task, own, command.log_group, TAIL)
    if lines:
        job.say("\n".join([f"The last lines of its log, at most {TAIL}:", *(f"  | {line}" for line in lines)]))


def give_up(command: Command, task: dict[str, Any], *, stopped: bool) -> NoReturn:
    """End the job with why the task did not succeed."""
    words, lines = " ".join(command.words), [f"  {line}" for line in stopped_tasks.lines_of(task, command.definition)]
    if stopped:
        command.fail(f"`{words}` took longer than {command.minutes} minutes and was stopped half-way", *lines)
    cause = stopped_tasks.cause("\n".join(lines))
    command.fail(f"`{words}` has failed: {cause or 'its container did not run'}", *lines)


def read_command() -> Command:
    """Return what is to be run; ends the job when its task would not end with it."""
    deployment = delivered.read_json("deployment.json", "container")
    definition = taskdef.read(deployment)
    words = inputs.parsed("COMMAND", job.require("COMMAND"), list)
    when, container = job.require("WHEN"), str(deployment["container"])
    own = next(part for part in definition["containerDefinitions"] if part.get("name") == container)
    command = Command(
        when=when,
        cluster=job.require("CLUSTER"),
        family=job.require("FAMILY"),
        container=container,
        words=words,
        definition=definition,
        log_group=job.require("LOG_GROUP"),
        minutes=inputs.number("TIMEOUT_MINUTES", job.require("TIMEOUT_MINUTES")),
        key=key_of(job.require("FAMILY"), str(deployment["digest"]), words, own),
    )
    if not own.get("essential", True):
        command.fail(f"the container {container!r} is not essential, so that a task would not end with its command")
    return command


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    command = read_command()
    record = Record(job.require("RECORDS").rstrip("/"), command.key)
    if record.succeeded:
        job.say(
            f"`{' '.join(command.words)}` has succeeded for this image, environment and secrets already, as task "
            f"{record.task.rpartition('/')[2]}: it is not run again. To have it run again: {record.again}"
        )
        return
    found = tasks(command)
    task = next((task for task in found if task.get("startedBy") == record.attempt), {})
    if task and ended(task) and not succeeded(command, task):
        job.say(f"task {stopped_tasks.identity(task)} has failed while nobody looked: the command is run again")
        record.write(task["taskArn"], succeeded=False)
        task = {}
    if task:
        job.say(f"task {stopped_tasks.identity(task)} has been started already: this run follows it")
    else:
        await_others(command, found)
        task = start(command, look_up(command, job.require("SERVICE")), record)
    task, stopped = follow(command, task)
    show_log(command, task)
    well = succeeded(command, task)
    record.write(task["taskArn"], succeeded=well)
    if not well:
        give_up(command, task, stopped=stopped)
    job.say(f"`{' '.join(command.words)}` has succeeded, as task {stopped_tasks.identity(task)}")

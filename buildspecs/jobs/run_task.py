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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from jobs import delivered, inputs, job, oncall, standalone_task, stopped_tasks, taskdef
from jobs.standalone_task import FIRST_PAUSE, LONGEST_PAUSE, ended, exit_code, known

DEFINITION, RECORD = "task.json", "record.json"
"""Files of this job alone."""
MINUTES_TO_STOP = 4
"""More than ECS gives a task that is stopped: its containers have at most 2 minutes to end.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
"""
STANDS = {"before": oncall.NOT_DEPLOYED, "after": oncall.DEPLOYED}


@dataclass(frozen=True)
class Command(standalone_task.Standalone):
    """What is run.

    Attributes:
        words: The command, which replaces the container's own.
        definition: The task definition that is deployed.
        key: Stands for family, image, command, environment and secrets.
    """

    words: list[str]
    definition: dict[str, Any]
    key: str


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


def start(command: Command, service: dict[str, Any], record: Record) -> dict[str, Any]:
    """Start a task; ends the job when ECS does not. ECS starts one for each attempt, which it remembers for a day.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
    """
    registered = standalone_task.register({**command.definition, "family": command.family}, DEFINITION)
    overrides = {"containerOverrides": [{"name": command.container, "command": command.words}]}
    named = ("--started-by", record.attempt, "--client-token", record.attempt)
    task = standalone_task.start(command, registered, service, "--overrides", json.dumps(overrides), *named)
    if task is None:
        command.fail(
            "ECS has started a task for this attempt already, and does not list it. If that was a moment ago, retry "
            f"this action; if nobody knows any more how it ended, have the next run make another one: {record.again}"
        )
    return task


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
        found = known(command, again=True)


def succeeded(command: Command, task: dict[str, Any]) -> bool:
    """Whether the command has ended by itself, with exit code 0."""
    return exit_code(command, task) == 0


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
    container = str(deployment["container"])
    own = next(part for part in definition["containerDefinitions"] if part.get("name") == container)
    command = Command(
        what="The command",
        stands=STANDS[job.require("WHEN")],
        cluster=job.require("CLUSTER"),
        family=job.require("FAMILY"),
        tag=job.require("TASK_TAG"),
        container=container,
        words=words,
        definition=definition,
        log_group=job.require("LOG_GROUP"),
        minutes=inputs.number("TIMEOUT_MINUTES", job.require("TIMEOUT_MINUTES")),
        minutes_to_stop=MINUTES_TO_STOP,
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
    found = known(command)
    task = next((task for task in found if task.get("startedBy") == record.attempt), {})
    if task and ended(task) and not succeeded(command, task):
        job.say(f"task {stopped_tasks.identity(task)} has failed while nobody looked: the command is run again")
        record.write(task["taskArn"], succeeded=False)
        task = {}
    if task:
        job.say(f"task {stopped_tasks.identity(task)} has been started already: this run follows it")
    else:
        await_others(command, found)
        task = start(command, standalone_task.look_up(command, job.require("SERVICE")), record)
    task, stopped = standalone_task.follow(command, task)
    standalone_task.show_log(command, task, command.definition)
    well = succeeded(command, task)
    record.write(task["taskArn"], succeeded=well)
    if not well:
        give_up(command, task, stopped=stopped)
    job.say(f"`{' '.join(command.words)}` has succeeded, as task {stopped_tasks.identity(task)}")

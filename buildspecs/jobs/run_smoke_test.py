"""Run the smoke-test image as one task against the deployed service; its container's exit code is this job's.

Reads image.json of the smoke-test image. The task has a task definition of its own, and the network, launch type and
platform of the service's tasks; of Fargate always the on-demand capacity. It has no task role, and its container gets
the environment variable SERVICE_URL. A task that takes longer than the timeout is stopped, and so is the task when the
job is asked to end; one of an earlier run that still runs is stopped first.
Variables: IMAGE_REPOSITORY_URI and IMAGE_DIGEST (of the smoke-test image), SERVICE_URL, CLUSTER, SERVICE (names),
TASK_DEFINITION (JSON: all of it but what the image and the service say), TASK_TAG (the key of the tag by which this job
may stop its tasks), TIMEOUT_MINUTES.
"""

from __future__ import annotations

import signal
from typing import Any, NoReturn

from jobs import delivered, ecs_service, inputs, job, oncall, standalone_task, stopped_tasks
from jobs.standalone_task import Standalone

DEFINITION = "task.json"
"""A file of this job alone."""
MINUTES_TO_STOP = 2
"""More than ECS gives a task that is stopped: the container of this one has half a minute, as its definition says."""


def definition_of(stated: dict[str, Any], image: str, url: str, service: dict[str, Any]) -> dict[str, Any]:
    """Return the task definition: what is stated, with the image, and as the place of the service's tasks demands.

    Args:
        stated: What the project says of it; its one container has a name and a log.
        image: The image by its digest.
        url: The address of the service.
        service: The service as ECS describes it.

    Tasks with a network of their own have the mode awsvpc, which is all that Fargate has:
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
    """
    launch_type = ecs_service.serving(service).get("launchType")
    runs_on = "FARGATE" if standalone_task.on_fargate(service) else launch_type or "EC2"
    (container,) = stated["containerDefinitions"]
    own = {**container, "image": image, "environment": [{"name": "SERVICE_URL", "value": url}]}
    return {
        **stated,
        "networkMode": "awsvpc" if standalone_task.network(service) else "bridge",
        "requiresCompatibilities": [runs_on],
        "containerDefinitions": [own],
    }


def end_others(run: Standalone) -> None:
    """Stop the tasks that earlier runs have left, and wait for their end: two at a time could disturb each other.

    A stage of the pipeline has one run at a time, so that nobody waits for them any more.
    https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
    """
    for task in standalone_task.known(run):
        if not standalone_task.ended(task):
            job.say(f"task {stopped_tasks.identity(task)} of an earlier run still runs, and nobody waits for it")
            standalone_task.stop(run, task, "A newer smoke test begins.")
            standalone_task.follow(run, task)


def asked_to_end(number: int, _frame: object) -> NoReturn:
    """End the job as the signal would have, with what it has to clear away."""
    job.fail(f"the job was asked to end ({signal.Signals(number).name}).", 128 + number)


def followed(run: Standalone, definition: str, service: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Run the task to its end as `standalone_task.follow` does; no task is left behind when the job ends before it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, asked_to_end)
    task = standalone_task.start(run, definition, service) or {}
    try:
        return standalone_task.follow(run, task)
    except SystemExit:
        standalone_task.stop(run, task, "Nobody waits for the smoke test any more.", stopped_tasks.ask)
        raise


def give_up(run: Standalone, task: dict[str, Any], definition: dict[str, Any], url: str, *, stopped: bool) -> NoReturn:
    """End the job with why the smoke test did not pass."""
    lines = [f"  {line}" for line in stopped_tasks.lines_of(task, definition)]
    if stopped:
        run.fail(
            f"the smoke test of {url} took longer than {run.minutes} minutes (tests.timeoutMinutes) and was stopped",
            *lines,
        )
    code = standalone_task.exit_code(run, task)
    if code is None or any(part.get("reason") for part in task.get("containers", [])):
        cause = stopped_tasks.cause("\n".join(lines)).replace("application.memory", "tests.smokeTestTask.memory")
        run.fail(f"the smoke test of {url} did not run to its end: {cause or 'Amazon ECS says why'}", *lines)
    run.fail(f"the smoke test of {url} ended with code {code}; its log is above", code=code)


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    url = job.require("SERVICE_URL")
    delivered.read_json("image.json", "uri")
    stated = inputs.parsed("TASK_DEFINITION", job.require("TASK_DEFINITION"), dict)
    (container,) = stated["containerDefinitions"]
    run = Standalone(
        what="The smoke test",
        stands=oncall.DEPLOYED,
        cluster=job.require("CLUSTER"),
        family=stated["family"],
        tag=job.require("TASK_TAG"),
        container=container["name"],
        log_group=container["logConfiguration"]["options"]["awslogs-group"],
        minutes=inputs.number("TIMEOUT_MINUTES", job.require("TIMEOUT_MINUTES")),
        minutes_to_stop=MINUTES_TO_STOP,
    )
    service = standalone_task.look_up(run, job.require("SERVICE"))
    end_others(run)
    definition = definition_of(stated, delivered.image().uri, url, service)
    task, stopped = followed(run, standalone_task.register(definition, DEFINITION), service)
    standalone_task.show_log(run, task, definition)
    if standalone_task.exit_code(run, task) != 0:
        give_up(run, task, definition, url, stopped=stopped)
    job.say(f"The smoke test of {url} passed, as task {stopped_tasks.identity(task)}.")

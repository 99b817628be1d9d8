"""Deploy to Amazon ECS: register the task definition, update the service, follow the deployment to its end.

Reads deployment.json and taskdef.json. A deployment that ECS rolls back or stops fails this job at once, with the
reasons of the stopped tasks; one that takes longer than the timeout is rolled back.
Variables: IMAGE_DIGEST, CLUSTER, SERVICE (names), DEPLOYMENT_CONFIGURATION (JSON as UpdateService takes it),
TIMEOUT_MINUTES.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple, NoReturn

import delivered
import inputs
import job

POLL_SECONDS = 10
SHOWN_TASKS = 10


class State(NamedTuple):
    """How far a deployment is: done, failed or neither, and the line that says so."""

    done: bool
    failed: bool
    line: str


class Service:
    """The ECS service by its two names."""

    def __init__(self, cluster: str, name: str) -> None:
        self.cluster, self.name = cluster, name
        self._where = ("--cluster", cluster, "--service", name)

    def describe(self) -> dict[str, Any]:
        """What ECS knows of the service; ends the job when it cannot be deployed to from here."""
        command = ("ecs", "describe-services", "--cluster", self.cluster, "--services", self.name)
        found = job.aws("Look at the service", *command)["services"]
        if not found or found[0].get("status") != "ACTIVE":
            job.fail(f"the cluster {self.cluster} has no active service {self.name}.")
        controller = found[0].get("deploymentController", {}).get("type", "ECS")
        if controller != "ECS":
            job.fail(f"{self.name} is deployed by {controller}, not by ECS: deploy.engine in the stack file must fit.")
        return dict(found[0])

    def deployments(self, *, again: bool = False) -> list[str]:
        """The ARNs of the newest service deployments."""
        command = ("ecs", "list-service-deployments", *self._where)
        found = job.aws("List its deployments", *command, again=again)["serviceDeployments"]
        return [entry["serviceDeploymentArn"] for entry in found]

    def update(self, task_definition: str, configuration: str) -> None:
        """Ask ECS to run this task definition."""
        shape = ("--deployment-configuration", configuration) if configuration else ()
        command = ("ecs", "update-service", *self._where, "--task-definition", task_definition, *shape)
        job.aws("Update the service", *command)

    def stopped_tasks(self, task_definition: str) -> list[str]:
        """Why tasks of this revision stopped."""
        command = ("ecs", "list-tasks", "--cluster", self.cluster, "--service-name", self.name)
        arns = job.aws("List the stopped tasks", *command, "--desired-status", "STOPPED").get("taskArns", [])
        if not arns:
            return []
        describe = ("ecs", "describe-tasks", "--cluster", self.cluster, "--tasks", *arns[:100])
        lines = []
        for task in job.aws("Ask why they stopped", *describe)["tasks"]:
            if task.get("taskDefinitionArn") == task_definition:
                lines.append(
                    f"task {task['taskArn'].rsplit('/', 1)[-1]}: {task.get('stoppedReason', 'no reason given')}"
                )
                lines += [
                    f"  container {part['name']}: exit code {part.get('exitCode')}. {part.get('reason', '')}"
                    for part in task.get("containers", [])
                    if part.get("exitCode") or part.get("reason")
                ]
        return lines[:SHOWN_TASKS]


def described(arn: str, *, again: bool = False) -> dict[str, Any]:
    """What ECS knows of one service deployment."""
    command = ("ecs", "describe-service-deployments", "--service-deployment-arns", arn)
    return dict(job.aws("Look at the deployment", *command, again=again)["serviceDeployments"][0])


def started(service: Service, known: list[str], task_definition: str, *, again: bool) -> str:
    """The deployment that our update started: not among the known ones, and for our task definition."""
    for arn in service.deployments(again=again):
        if arn not in known:
            revision = described(arn)["targetServiceRevision"]["arn"]
            command = ("ecs", "describe-service-revisions", "--service-revision-arns", revision)
            if job.aws("Look at its revision", *command)["serviceRevisions"][0]["taskDefinition"] == task_definition:
                return arn
    return ""


def deployment_state(deployment: dict[str, Any]) -> State:
    """How far the deployment is; a rollback is not a success."""
    status, target = deployment["status"], deployment.get("targetServiceRevision", {})
    parts = [status, deployment.get("lifecycleStage", "")]
    parts.append(f"{target.get('runningTaskCount', 0)} of {target.get('requestedTaskCount', 0)} tasks running")
    if "requestedProductionTrafficWeight" in target:
        parts.append(f"{target['requestedProductionTrafficWeight']:g} % of the traffic")
    if deployment.get("deploymentCircuitBreaker", {}).get("failureCount"):
        parts.append(f"{deployment['deploymentCircuitBreaker']['failureCount']} tasks failed")
    parts.append(deployment.get("statusReason") or deployment.get("rollback", {}).get("reason", ""))
    undecided = status in ("PENDING", "IN_PROGRESS", "SUCCESSFUL")
    return State(status == "SUCCESSFUL", not undecided, ", ".join(part for part in parts if part))


def give_up(service: Service, task_definition: str, message: str) -> NoReturn:
    """End the job with the message, the stopped tasks and the service's last events."""
    reasons = service.stopped_tasks(task_definition) or ["ECS names no stopped task of this revision"]
    events = [str(event["message"]) for event in service.describe().get("events", [])[:5]]
    lines = "\n".join(f"  - {line}" for line in [*reasons, *events])
    job.fail(f"{message}\n{lines}")


def follow(service: Service, task_definition: str, known: list[str], minutes: int) -> str:
    """Wait for the deployment's end; returns its ARN, ends the job unless it succeeded."""
    deadline = time.monotonic() + minutes * 60
    arn, last = "", ""
    while time.monotonic() < deadline:
        arn = arn or started(service, known, task_definition, again=bool(last))
        state = (
            deployment_state(described(arn, again=True))
            if arn
            else State(done=False, failed=False, line="waiting for ECS to start")
        )
        if state.line != last:
            last = state.line
            job.say(last)
        if state.done:
            return arn
        if state.failed:
            give_up(service, task_definition, f"the deployment did not succeed: {last}")
        time.sleep(POLL_SECONDS)
    if arn:
        command = ("ecs", "stop-service-deployment", "--service-deployment-arn", arn, "--stop-type", "ROLLBACK")
        job.aws("Ask ECS to roll back", *command)
    give_up(service, task_definition, f"the deployment took longer than {minutes} minutes; its last state: {last}")


def main() -> None:
    """Do the job."""
    job.start(__doc__)
    service = Service(job.require("CLUSTER"), job.require("SERVICE"))
    configuration = job.optional("DEPLOYMENT_CONFIGURATION")
    inputs.parsed("DEPLOYMENT_CONFIGURATION", configuration, dict)
    minutes = inputs.number("TIMEOUT_MINUTES", job.require("TIMEOUT_MINUTES"))
    deployment = delivered.read_json("deployment.json", "container")
    definition = job.read_json("taskdef.json", "family", "containerDefinitions")
    images = {part.get("name"): part.get("image") for part in definition["containerDefinitions"]}
    image = str(images.get(deployment["container"]))
    if not image.endswith(f"@{deployment['digest']}"):
        given = f"taskdef.json gives the container {deployment['container']!r} the image {image}"
        job.fail(f"{given}, the pipeline delivers {deployment['digest']}.")

    service.describe()
    register = ("ecs", "register-task-definition", "--cli-input-json", "file://taskdef.json")
    task_definition = job.aws("Register the task definition", *register)["taskDefinition"]["taskDefinitionArn"]
    known = service.deployments()
    service.update(task_definition, configuration)
    arn = follow(service, task_definition, known, minutes)
    job.say(f"{service.name} runs {task_definition}")
    job.export(SERVICE_DEPLOYMENT_ARN=arn)


if __name__ == "__main__":
    main()

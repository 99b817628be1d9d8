"""Deploy to Amazon ECS: register the task definition, update the service, follow the deployment to its end.

Reads deployment.json and taskdef.json. A deployment that ECS rolls back or stops fails this job at once, with the
reasons of the stopped tasks; one that takes longer than the timeout is rolled back. Run again, the job starts no second
deployment of the same: it follows the one that is under way, and one that has succeeded and still serves is a success.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, CLUSTER, SERVICE (names), DEPLOYMENT_CONFIGURATION,
CAPACITY_PROVIDER_STRATEGY and SERVICE_CONNECT (JSON as UpdateService takes them; where the last two are empty, the
service keeps its own), USERS_TARGET_GROUP (ARN of the target group whose container the artifact names, of a service
with further ones, which keep theirs; empty for a service with one), LOG_GROUP (of the containers; the last lines of one
that failed are shown), TIMEOUT_MINUTES, and where the deployment pauses between the test traffic and the users':
TEST_URL (where the new version is reached then), HTTP_CHECKS and TEST_HEADERS (as run-http-checks takes them).
"""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple, NoReturn

from jobs import delivered, http_checks, inputs, job, oncall, stopped_tasks, taskdef, tested

LONGEST_PAUSE = 10
UNDECIDED = ("PENDING", "IN_PROGRESS")
ROLLS_BACK = ("ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL")
# What ECS says of a revision that is not in what was registered.
OF_A_REVISION = ("taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy", "deregisteredAt")
# The service's events of the last minutes.
EVENTS = 20


class State(NamedTuple):
    """How far a deployment is: done, failed or neither, and the line that says so."""

    done: bool
    failed: bool
    line: str


class Version(NamedTuple):
    """What is deployed: the revision, the task definition it was registered from, the log group of its containers."""

    revision: str
    definition: dict[str, Any]
    log_group: str


class Decision:
    """Whether users get the new version: checks of it, once test traffic reaches it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/continue-service-deployment.html
    """

    def __init__(self, url: str) -> None:
        self.url = url
        # Before anything is deployed: what is wrong with them is no fault of the new version.
        self._checks, self._headers = (http_checks.read(), tested.headers()) if url else ([], {})
        self.failed: list[str] = []

    def give(self, deployment: dict[str, Any]) -> None:
        """Make the checks if the deployment waits for them, and let it go on or roll it back."""
        for hook in deployment.get("lifecycleHookDetails", []):
            if self.url and hook.get("targetType") == "PAUSE" and hook.get("status") == "AWAITING_ACTION":
                job.say(f"Test traffic reaches the new version: checking it at {self.url}")
                self.failed = http_checks.failures(http_checks.run(self.url, self._headers, self._checks))
                word = "ROLLBACK" if self.failed else "CONTINUE"
                which = ("--service-deployment-arn", deployment["serviceDeploymentArn"], "--hook-id", hook["hookId"])
                why = "Roll it back" if self.failed else "Let users have it"
                job.aws(why, "ecs", "continue-service-deployment", *which, "--action", word)


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
            job.fail(
                f"{self.name} is deployed by {controller}, not by ECS: for CODE_DEPLOY, set deploy.engine codeDeploy."
            )
        return dict(found[0])

    def deployments(self, *, again: bool = False) -> list[dict[str, Any]]:
        """Return all service deployments that ECS remembers, in no order; the AWS CLI does not page them by itself."""
        command = ("ecs", "list-service-deployments", *self._where, "--max-results", "100")
        found, token = list[dict[str, Any]](), tuple[str, ...]()
        while True:
            answer = job.aws("List its deployments", *command, *token, again=again)
            found += answer["serviceDeployments"]
            if not answer.get("nextToken"):
                return found
            token, again = ("--next-token", answer["nextToken"]), True

    def update(
        self,
        revision: str,
        configuration: dict[str, Any],
        strategy: str,
        balancers: list[dict[str, Any]],
        connect: str,
    ) -> None:
        """Ask ECS to run this revision; where they are given, on other providers, at another port, connected so."""
        # ECS keeps what it is not told.
        shape = ("--deployment-configuration", json.dumps(configuration)) if configuration else ()
        # ECS takes another strategy with a forced deployment only.
        place = ("--capacity-provider-strategy", strategy, "--force-new-deployment") if strategy else ()
        port = ("--load-balancers", json.dumps(balancers)) if balancers else ()
        names = ("--service-connect-configuration", connect) if connect else ()
        given = ("--task-definition", revision, *shape, *place, *port, *names)
        job.aws("Update the service", "ecs", "update-service", *self._where, *given)

    def forget_pause(self) -> None:
        """Take the pause away: a deployment that somebody else starts would wait for a word that nobody gives."""
        command = ("aws", "ecs", "update-service", *self._where, "--deployment-configuration", '{"lifecycleHooks": []}')
        if job.run("Let later deployments go on by themselves", *command, check=False).code:
            job.say("    the service keeps its pause: the next run of the pipeline takes it away")


def said(value: Any) -> Any:  # noqa: ANN401 - any part of a task definition
    """The same in one order: that of variables, ports and the like means nothing."""
    if isinstance(value, dict):
        return {key: said(part) for key, part in value.items()}
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return sorted(map(said, value), key=str)
    return value


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two revisions, as ECS answers them, say the same."""
    return all(said(one.get(key)) == said(other.get(key)) for key in {*one, *other} - {*OF_A_REVISION})


def moved(service: dict[str, Any], strategy: list[dict[str, Any]]) -> bool:
    """Whether a service, as ECS answers it, is to run on other capacity providers than it does."""

    def providers(said: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
        return sorted((item["capacityProvider"], item.get("weight", 0), item.get("base", 0)) for item in said)

    return bool(strategy) and providers(service.get("capacityProviderStrategy", [])) != providers(strategy)


def holds(known: Any, wanted: Any) -> bool:  # noqa: ANN401 - any part of a configuration
    """Whether a configuration, as ECS answers it, says what is wanted; it may say more, such as defaults."""
    if isinstance(wanted, dict) and isinstance(known, dict):
        return all(holds(known.get(key), part) for key, part in wanted.items())
    if isinstance(wanted, list) and isinstance(known, list):
        return len(known) == len(wanted) and all(map(holds, known, wanted))
    return bool(known == wanted)


def connected(service: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a service, as ECS answers it, has this Service Connect; only its deployments tell."""
    newest = [entry for entry in service.get("deployments", []) if entry.get("status") == "PRIMARY"]
    known = (newest[0].get("serviceConnectConfiguration") if newest else None) or {"enabled": False}
    return holds(known, {"services": [], **wanted} if known.get("services") and wanted.get("enabled") else wanted)


def reached(
    service: dict[str, Any], definition: dict[str, Any], container: str, port: int, group: str
) -> list[dict[str, Any]]:
    """The load balancers of a service, at this container where the one that it has is at another; else nothing.

    Of several the one of the named target group is, and the others keep their own. Where none is named each keeps its
    own, unless the definition has that no more: ECS refuses a revision without the container and the port they name.
    """
    ports = {
        part["name"]: [mapping.get("containerPort") for mapping in part.get("portMappings", [])]
        for part in definition["containerDefinitions"]
    }
    here = {"containerName": container, "containerPort": port}
    balancers = service.get("loadBalancers", [])
    if group:
        wanted = [each | here if each.get("targetGroupArn") == group else each for each in balancers]
        for each in wanted:
            if each["containerPort"] not in ports.get(each["containerName"], []):
                job.fail(
                    f"a further listener leads to port {each['containerPort']} of the container "
                    f"{each['containerName']}, which the new task definition does not have. Take it out of "
                    "hosting.loadBalancer.listeners, run pulumi up, and start the pipeline again."
                )
        return wanted if wanted != balancers else []
    wanted = [
        each | here
        if len(balancers) == 1 or each["containerPort"] not in ports.get(each["containerName"], [])
        else each
        for each in balancers
    ]
    return wanted if wanted != balancers else []


def is_first(asked: str, family: str) -> bool:
    """Whether the service still runs what waits for its first deployment, which has a family of its own."""
    return asked.rpartition("/")[2].rpartition(":")[0] == f"{family}-bootstrap"


def without_alarms(configuration: dict[str, Any]) -> dict[str, Any]:
    """The same without alarms; ECS keeps those of the service unless it is told so in all three fields.

    https://github.com/aws/copilot-cli/pull/4565
    """
    return {**configuration, "alarms": {"alarmNames": [], "enable": False, "rollback": False}}


def described(arn: str, *, again: bool = False) -> dict[str, Any]:
    """What ECS knows of one service deployment."""
    command = ("ecs", "describe-service-deployments", "--service-deployment-arns", arn)
    answer = job.aws("Look at the deployment", *command, again=again)
    if not answer["serviceDeployments"]:
        job.fail(f"ECS does not know its deployment {arn}: {answer.get('failures')}")
    return dict(answer["serviceDeployments"][0])


def left_over(known: list[dict[str, Any]]) -> str:
    """The newest deployment, unless it has failed."""
    newest = max(known, key=lambda entry: str(entry["createdAt"]), default={"status": "none"})
    return str(newest["serviceDeploymentArn"]) if newest["status"] in (*UNDECIDED, "SUCCESSFUL") else ""


def started(service: Service, known: list[dict[str, Any]], revision: str, *, again: bool) -> str:
    """The deployment that our update started: not among the known ones, and of our revision."""
    before = [entry["serviceDeploymentArn"] for entry in known]
    for entry in service.deployments(again=again):
        if entry["serviceDeploymentArn"] not in before:
            target = ("--service-revision-arns", entry["targetServiceRevisionArn"])
            found = job.aws("Look at its revision", "ecs", "describe-service-revisions", *target)["serviceRevisions"]
            if found and found[0]["taskDefinition"] == revision:
                return str(entry["serviceDeploymentArn"])
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
    if alarms := deployment.get("alarms", {}).get("triggeredAlarmNames"):
        parts.append(f"alarm {' and '.join(alarms)}")
    parts.append(deployment.get("statusReason") or deployment.get("rollback", {}).get("reason", ""))
    done = status == "SUCCESSFUL"
    return State(done, not done and status not in UNDECIDED, ", ".join(part for part in parts if part))


def give_up(service: Service, version: Version, message: str) -> NoReturn:
    """End the job with the message and with what is known of why the tasks of the version stopped."""
    cluster, name = service.cluster, service.name
    tasks = stopped_tasks.described(cluster, stopped_tasks.listed(cluster, name))
    found = stopped_tasks.ask(
        "Look at its events", "ecs", "describe-services", "--cluster", cluster, "--services", name
    )
    events = [str(event["message"]) for part in found.get("services", []) for event in part.get("events", [])]
    ours = [task for task in tasks if task.get("taskDefinitionArn") == version.revision]
    explanation = stopped_tasks.explain(ours, events[:EVENTS], version.definition, version.log_group)
    why = [f"The new tasks stopped: {explanation.sentence}."] if explanation.sentence else []
    job.fail("\n".join([message, *why, *explanation.lines]))


def follow(
    service: Service, version: Version, known: list[dict[str, Any]], arn: str, minutes: int, decision: Decision
) -> str:
    """Wait for the end of this deployment, or of one not yet known; returns its ARN, ends the job if it failed."""
    deadline = time.monotonic() + minutes * 60
    last, pause = "", 1.0
    while time.monotonic() < deadline:
        arn = arn or started(service, known, version.revision, again=bool(last))
        deployment = described(arn, again=bool(last)) if arn else {}
        waiting = State(done=False, failed=False, line="waiting for ECS to start")
        state = deployment_state(deployment) if deployment else waiting
        if state.line != last:
            last = state.line
            job.say(last)
        if state.done:
            return arn
        if state.failed:
            serves = f" {oncall.BACK}" if last.startswith(ROLLS_BACK) else ""
            wrong = ["The new version does not answer as expected:", *decision.failed] if decision.failed else []
            ended = f"the deployment did not succeed: {last.rstrip('.')}.{serves}"
            give_up(service, version, "\n".join([ended, *wrong]))
        decision.give(deployment)
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    if arn:
        command = ("ecs", "stop-service-deployment", "--service-deployment-arn", arn, "--stop-type", "ROLLBACK")
        # A conflict says that it has just come to its end.
        if job.aws("Ask ECS to roll back", *command, absent="ConflictException") is None:
            state = deployment_state(described(arn))
            if state.done:
                return arn
            last = state.line
    give_up(
        service,
        version,
        f"the deployment took longer than {minutes} minutes (deploy.timeoutMinutes); its last state: {last}",
    )


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    service = Service(job.require("CLUSTER"), job.require("SERVICE"))
    configuration = inputs.parsed("DEPLOYMENT_CONFIGURATION", job.optional("DEPLOYMENT_CONFIGURATION"), dict)
    strategy = job.optional("CAPACITY_PROVIDER_STRATEGY")
    wanted = inputs.parsed("CAPACITY_PROVIDER_STRATEGY", strategy, list)
    connect = job.optional("SERVICE_CONNECT")
    connection = inputs.parsed("SERVICE_CONNECT", connect, dict)
    minutes = inputs.number("TIMEOUT_MINUTES", job.require("TIMEOUT_MINUTES"))
    deployment = delivered.read_json("deployment.json", "container", "reached", "port")
    definition = taskdef.read(deployment)
    port = inputs.number("the port in deployment.json", str(deployment["port"]))
    decision = Decision(job.optional("TEST_URL"))

    found = service.describe()
    asked, moves, joins = found["taskDefinition"], moved(found, wanted), not connected(found, connection)
    register = ("ecs", "register-task-definition", "--cli-input-json", "file://taskdef.json")
    registered = job.aws("Register the task definition", *register)["taskDefinition"]
    revision = str(registered["taskDefinitionArn"])
    look = ("ecs", "describe-task-definition", "--task-definition", asked)
    runs_it = same(registered, job.aws("Look at what the service is asked to run", *look)["taskDefinition"])
    known = service.deployments()
    arn = left_over(known) if runs_it and not (moves or joins) else ""
    job.stands(oncall.Entry.ROLLED_BACK, oncall.EITHER)
    if arn:
        revision = asked
        job.say(f"{revision} says the same: nothing to deploy, and no task is restarted")
    else:
        balancers = reached(found, definition, deployment["reached"], port, job.optional("USERS_TARGET_GROUP"))
        if is_first(asked, definition["family"]) and configuration.get("alarms", {}).get("enable"):
            job.say("The first deployment of the service: what it runs until now must not set an alarm off")
            configuration = without_alarms(configuration)
        service.update(revision, configuration, strategy if moves else "", balancers, connect if joins else "")
    version = Version(revision, definition, job.optional("LOG_GROUP"))
    try:
        arn = follow(service, version, known, arn, minutes, decision)
    finally:
        if decision.url:
            service.forget_pause()
    job.say(f"{service.name} runs {revision}")
    job.export(SERVICE_DEPLOYMENT_ARN=arn)

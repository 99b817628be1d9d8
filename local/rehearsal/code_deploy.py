"""An emulator of AWS CodeDeploy for one Amazon ECS service: blue/green deployments that somebody can follow and stop.

With a scripted fleet a deployment goes one step further each time somebody looks at the service, no traffic is moved,
and it never gives up by itself, where AWS's does after an hour.

Sources: https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-stop.html; the errors are those of
https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_StopDeployment.html and API_ContinueDeployment.html.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from local.rehearsal.ecs import Ecs
from local.rehearsal.ecs.endings import scaled_in
from local.rehearsal.ecs.fleet import passing
from local.rehearsal.ecs.state import Service, TaskSet
from local.rehearsal.emulated import Emulated, Json, Need, Operations, Refused

_ONGOING = ("Created", "InProgress", "Ready")
_TIMEOUT = (
    "The deployment timed out while waiting for the replacement task set to become healthy. This time out period is "
    "60 minutes."
)
_ALARM_ACTIVE = (
    "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected "
    "deployments have been stopped. Activated alarms: {}"
)
_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """How the deployment group moves traffic.

    Attributes:
        groups: The ARNs of its two target groups, of which new tasks register with the one that does not serve.
        production: The ARN of the users' listener.
        test: The ARN of the listener for tests.
        steps: The percent of the users' traffic that goes to the new tasks, and the minutes after each shift.
        ready_minutes: How long it waits for somebody's word before the first shift; ``None`` when it does not.
        termination_minutes: How long the old tasks stay after the last shift.
        alarms: The CloudWatch alarms that roll a deployment back.
        patience_minutes: How long new tasks may take to be healthy; ``None`` for as long as they like.
    """

    groups: tuple[str, str] = ("", "")
    production: str = ""
    test: str = ""
    steps: tuple[tuple[float, float], ...] = ((100.0, 0.0),)
    ready_minutes: float | None = None
    termination_minutes: float = 0.0
    alarms: tuple[str, ...] = ()
    patience_minutes: float | None = None


@dataclass(slots=True)
class BlueGreen:
    """One deployment.

    Attributes:
        identity: Its ID.
        definition: The task definition.
        placed: What its AppSpec says of network and capacity providers, as CreateTaskSet takes it.
        status: Created, InProgress, Ready (it waits for somebody's word), Succeeded, Failed or Stopped.
        error: Code and message of what went wrong.
        rolled_back: Whether it was asked to roll back when it was stopped.
        task_set: The replacement task set, once it is made.
        original: The task set that served before.
        percent: How much of the users' traffic the new tasks get.
        ended: Called with the deployment when it has come to its end.
    """

    identity: str
    definition: Json
    placed: Json
    ended: Callable[[BlueGreen], None]
    status: str = "Created"
    error: Mapping[str, str] = field(default_factory=dict)
    rolled_back: bool = False
    task_set: TaskSet | None = None
    original: TaskSet | None = None
    percent: float = 0.0
    created: float = field(default_factory=time.time)

    def end(self, status: str, code: str = "", message: str = "") -> None:
        """Let it come to its end."""
        self.status, self.error = status, {"code": code, "message": message} if code else {}
        self.ended(self)


class CodeDeploy(Emulated):
    """One application with one deployment group, which deploys one service.

    Attributes:
        deployments: All deployments, the newest last.
    """

    SERVICE = "codedeploy"
    INVALID = "InvalidInputException"

    def __init__(
        self, ecs: Ecs, service: Service, *, application: str, group: str, traffic: Traffic | None = None
    ) -> None:
        super().__init__(account=ecs.account, region=ecs.region)
        self._traffic = traffic or Traffic()
        self.lock = ecs.lock
        self._ecs, self._service = ecs, service
        self._application, self._group = application, group
        self.deployments: list[BlueGreen] = []

    def operations(self) -> Operations:
        """Return what is emulated."""
        return {
            "GetDeployment": self._get_deployment,
            "StopDeployment": self._stop_deployment,
            "ContinueDeployment": self._continue_deployment,
        }

    def needs(self, operation: str, parameters: Json) -> list[Need]:  # noqa: ARG002 - one group, whatever is asked for
        """Return the permission behind a request.

        AWS lists no resource for two of them, so that they are allowed for all deployments or for none:
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html
        """
        if operation in ("StopDeployment", "ContinueDeployment"):
            return [Need(f"codedeploy:{operation}", "*")]
        return [Need(f"codedeploy:{operation}", self.arn(f"deploymentgroup:{self._application}/{self._group}"))]

    def deploy(self, revision: str, ended: Callable[[BlueGreen], None], placed: Json | None = None) -> BlueGreen:
        """Start a deployment of a revision of the task definition, which is what CodePipeline's action does.

        Args:
            revision: The ARN of the revision.
            ended: Called when the deployment has come to its end; Amazon ECS answers nobody meanwhile.
            placed: What the AppSpec says of network and capacity providers, see `local.rehearsal.app_spec`.

        Raises:
            Refused: Another deployment of the group goes on.
        """
        if any(made.status in _ONGOING for made in self.deployments):
            message = f"The Deployment Group '{self._group}' already has an active Deployment"
            raise Refused("DeploymentLimitExceededException", message)
        definition = self._ecs.owner("DescribeTaskDefinition", taskDefinition=revision)["taskDefinition"]
        identity = f"d-{''.join(secrets.choice(_ALPHABET) for _ in range(9))}"
        made = BlueGreen(identity, definition, placed or {}, ended)
        self.deployments.append(made)
        self._service.course = self._forward(made)
        return made

    def fail(self, made: BlueGreen, code: str, message: str) -> None:
        """Let a deployment fail by itself, for a reason that lies outside of the service, such as an alarm."""
        self._service.course = self._back(made)
        made.end("Failed", code, message)

    # The course of a deployment.

    def _forward(self, made: BlueGreen) -> Iterator[None]:
        service, traffic = self._service, self._traffic
        yield
        made.status = "InProgress"
        old = made.original = next(task_set for task_set in service.task_sets if task_set.status == "PRIMARY")
        free = next((group for group in traffic.groups if group != old.revision.group), "")
        try:
            new = made.task_set = self._ecs.task_set(service, made.definition, made.identity, free, made.placed)
        except Refused as refused:
            self.fail(made, "ECS_UPDATE_ERROR", refused.message)
            return
        yield
        new.desired, new.steady = service.desired, service.desired == 0
        service.says(f"updated computedDesiredCount for taskSet ecs-svc/{new.identity} to {new.desired}.")
        yield from self._scale_up(made, new)
        if made.status not in _ONGOING:
            return
        new.steady = True
        service.says("updated state to STEADY_STATE.", new)
        yield
        self._route(traffic.test, made, 100.0)
        yield from self._wait_for_word(made)
        if made.status not in _ONGOING:
            return
        for percent, minutes in traffic.steps:
            made.percent = percent
            self._route(traffic.production, made, percent)
            if percent < 100:
                yield from self._watch(made, minutes)
            if made.status not in _ONGOING:
                return
        new.status, old.status = "PRIMARY", "ACTIVE"
        service.definition, service.placement = made.definition, new.revision.placement
        yield from self._watch(made, traffic.termination_minutes)
        if made.status not in _ONGOING:
            return
        yield from self._drain(old)
        service.says("has reached a steady state.")
        made.end("Succeeded")

    def _scale_up(self, made: BlueGreen, new: TaskSet) -> Iterator[None]:
        """Start tasks until all of them run and are well; those that fail are started again until patience ends."""
        patience, began = self._traffic.patience_minutes, time.monotonic()
        while not self._are_well(new):
            if patience is not None and self._ecs.fleet.over(began, patience):
                self.fail(made, "TIMEOUT", _TIMEOUT)
                return
            yield

    def _wait_for_word(self, made: BlueGreen) -> Iterator[None]:
        """Wait until somebody lets users have the new version, where the group says so; without a word it is stopped.

        https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_DeploymentReadyOption.html
        """
        minutes = self._traffic.ready_minutes
        if minutes is None:
            return
        made.status, since = "Ready", time.monotonic()
        yield
        while made.status == "Ready":
            if self._ecs.fleet.expired(since, minutes):
                self._service.course = self._back(made)
                made.end("Stopped")
                return
            yield

    def _are_well(self, new: TaskSet) -> bool:
        """Look at the tasks of a task set and start those that are missing; returns whether all are well."""
        service, fleet = self._service, self._ecs.fleet
        for task in service.of(new.revision):
            fleet.look(service, task)
        if service.fit(new.revision) >= new.desired:
            return True
        for _ in range(service.missing(new.revision, new.desired, fleet.at_once)):
            task = self._ecs.task(service, new.revision, new.identity)
            service.tasks.append(task)
            service.says(f"has started 1 tasks: (task {task.identity}).", new)
            fleet.start(service, task)
        return False

    def _watch(self, made: BlueGreen, minutes: float) -> Iterator[None]:
        """Wait, as long as no alarm goes off."""
        service, fleet = self._service, self._ecs.fleet
        for _ in passing(fleet, minutes):
            yield
            if made.task_set is not None:
                self._are_well(made.task_set)
                running = service.alive(made.task_set.revision, "RUNNING")
                gone_off = fleet.alarms(service, running[-1] if running else None, self._traffic.alarms)
                if gone_off:
                    self.fail(made, "ALARM_ACTIVE", _ALARM_ACTIVE.format(", ".join(f"<{name}>" for name in gone_off)))
                    return

    def _route(self, listener: str, made: BlueGreen, percent: float) -> None:
        """Send so many percent of a listener's traffic to the new tasks."""
        if listener and made.task_set and made.original:
            weights = {made.original.revision.group: 100.0 - percent, made.task_set.revision.group: percent}
            self._ecs.fleet.route(listener, weights)

    def _back(self, made: BlueGreen) -> Iterator[None]:
        old, new = made.original, made.task_set
        if not new or not old or old not in self._service.task_sets or old.status == "DRAINING":
            return  # nothing was changed yet, or there is no way back any more
        for listener in (self._traffic.production, self._traffic.test):
            self._route(listener, made, 0.0)
        made.percent, old.status = 0.0, "PRIMARY"
        self._service.definition, self._service.placement = old.revision.definition, old.revision.placement
        yield from self._drain(new)

    def _drain(self, task_set: TaskSet) -> Iterator[None]:
        """Stop the tasks of a task set and delete it."""
        task_set.status, task_set.desired, task_set.steady = "DRAINING", 0, False
        for task in self._service.alive(task_set.revision, "PENDING", "RUNNING"):
            self._ecs.fleet.stop(self._service, task, scaled_in(task_set.identity))
        yield
        self._service.task_sets.remove(task_set)

    # What callers do.

    def _found(self, parameters: Json) -> BlueGreen:
        identity = parameters["deploymentId"]
        if not identity.startswith("d-"):
            raise Refused("InvalidDeploymentIdException", f"The specified deploymentId {identity} is not valid.")
        found = next((made for made in self.deployments if made.identity == identity), None)
        if found is None:
            raise Refused("DeploymentDoesNotExistException", f"The deployment {identity} could not be found")
        return found

    def _get_deployment(self, parameters: Json) -> Json:
        made = self._found(parameters)
        info: Json = {
            "applicationName": self._application,
            "deploymentGroupName": self._group,
            "deploymentId": made.identity,
            "status": made.status,
            "createTime": made.created,
            "creator": "user",
            "computePlatform": "ECS",
        }
        return {"deploymentInfo": {**info, **({"errorInformation": dict(made.error)} if made.error else {})}}

    def _continue_deployment(self, parameters: Json) -> Json:
        made = self._found(parameters)
        if made.status in ("Succeeded", "Failed", "Stopped"):
            message = f"The deployment {made.identity} has already completed with the status {made.status}."
            raise Refused("DeploymentAlreadyCompletedException", message)
        if made.status != "Ready" or parameters.get("deploymentWaitType", "READY_WAIT") != "READY_WAIT":
            message = f"The deployment {made.identity} is not waiting for a word of this kind: it is {made.status}."
            raise Refused("DeploymentIsNotInReadyStateException", message)
        made.status = "InProgress"
        return {}

    def _stop_deployment(self, parameters: Json) -> Json:
        made = self._found(parameters)
        if made.status not in _ONGOING:
            message = f"The deployment {made.identity} has already completed with the status {made.status}."
            raise Refused("DeploymentAlreadyCompletedException", message)
        made.rolled_back = bool(parameters.get("autoRollbackEnabled"))
        self._service.course = self._back(made)
        made.end("Stopped", "MANUAL_STOP", "The deployment was stopped by a user.")
        return {"status": "Pending", "statusMessage": "Stopping the deployment"}

"""An emulator of AWS CodeDeploy for one Amazon ECS service: blue/green deployments that somebody can follow and stop.

A deployment goes one step further each time somebody looks at the service; traffic is not moved, task sets change
places. It never gives up by itself, where AWS's does after an hour.

Sources: https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-stop.html; the errors are those of
https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_StopDeployment.html.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from local.rehearsal.ecs import Behaviour, Ecs
from local.rehearsal.ecs.endings import ending, scaled_in
from local.rehearsal.ecs.state import Service, Task, TaskSet
from local.rehearsal.emulated import Emulated, Json, Need, Operations, Refused

_ONGOING = ("Created", "InProgress")
_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(slots=True)
class BlueGreen:
    """One deployment.

    Attributes:
        identity: Its ID.
        status: Created, InProgress, Succeeded, Failed or Stopped.
        error: Code and message of what went wrong.
        rolled_back: Whether it was asked to roll back when it was stopped.
        task_set: The replacement task set, once it is made.
        ended: Called with the deployment when it has come to its end.
    """

    identity: str
    definition: Json
    ended: Callable[[BlueGreen], None]
    status: str = "Created"
    error: Mapping[str, str] = field(default_factory=dict)
    rolled_back: bool = False
    task_set: TaskSet | None = None
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

    def __init__(self, ecs: Ecs, service: Service, *, application: str, group: str) -> None:
        super().__init__(account=ecs.account, region=ecs.region)
        self.lock = ecs.lock
        self._ecs, self._service = ecs, service
        self._application, self._group = application, group
        self.deployments: list[BlueGreen] = []

    def operations(self) -> Operations:
        """Return what is emulated."""
        return {"GetDeployment": self._get_deployment, "StopDeployment": self._stop_deployment}

    def needs(self, operation: str, parameters: Json) -> list[Need]:  # noqa: ARG002 - one group, whatever is asked for
        """Return the permission behind a request.

        AWS lists no resource for StopDeployment, so that it is allowed for all deployments or for none:
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html
        """
        if operation == "StopDeployment":
            return [Need("codedeploy:StopDeployment", "*")]
        return [Need(f"codedeploy:{operation}", self.arn(f"deploymentgroup:{self._application}/{self._group}"))]

    def deploy(self, revision: str, ended: Callable[[BlueGreen], None]) -> BlueGreen:
        """Start a deployment of a revision of the task definition, which is what CodePipeline's action does.

        Args:
            revision: The ARN of the revision.
            ended: Called when the deployment has come to its end.

        Raises:
            Refused: Another deployment of the group goes on.
        """
        if any(made.status in _ONGOING for made in self.deployments):
            message = f"The Deployment Group '{self._group}' already has an active Deployment"
            raise Refused("DeploymentLimitExceededException", message)
        definition = self._ecs.owner("DescribeTaskDefinition", taskDefinition=revision)["taskDefinition"]
        made = BlueGreen(f"d-{''.join(secrets.choice(_ALPHABET) for _ in range(9))}", definition, ended)
        self.deployments.append(made)
        self._service.course = self._forward(made)
        return made

    def fail(self, made: BlueGreen, code: str, message: str) -> None:
        """Let a deployment fail by itself, for a reason that lies outside of the service, such as an alarm."""
        self._service.course = self._back(made)
        made.end("Failed", code, message)

    # The course of a deployment.

    def _forward(self, made: BlueGreen) -> Iterator[None]:
        service = self._service
        yield
        made.status = "InProgress"
        old = next(task_set for task_set in service.task_sets if task_set.status == "PRIMARY")
        new = made.task_set = self._ecs.task_set(service, made.definition, made.identity)
        yield
        new.desired, new.steady = service.desired, service.desired == 0
        service.says(f"updated computedDesiredCount for taskSet ecs-svc/{new.identity} to {new.desired}.")
        yield from self._scale_up(new)
        new.steady = True
        service.says("updated state to STEADY_STATE.", new)
        yield
        new.status, old.status, service.definition = "PRIMARY", "ACTIVE", made.definition
        yield
        yield from self._drain(old)
        service.says("has reached a steady state.")
        made.end("Succeeded")

    def _scale_up(self, new: TaskSet) -> Iterator[None]:
        """Start tasks until all of them run; those that are scripted to fail are started again for ever."""
        behaviour = self._ecs.behaviour(new.revision.definition)
        while self._service.count(new.revision, "RUNNING") < new.desired:
            task = self._ecs.task(self._service, new.revision, new.identity)
            self._service.tasks.append(task)
            self._service.says(f"has started 1 tasks: (task {task.identity}).", new)
            yield
            if behaviour in (Behaviour.HEALTHY, Behaviour.ALARM):
                task.status = "RUNNING"
            elif behaviour is not Behaviour.SLOW:
                yield from self._fail_task(new, task, behaviour)
            else:
                while True:
                    yield

    def _fail_task(self, new: TaskSet, task: Task, behaviour: Behaviour) -> Iterator[None]:
        image = str(task.definition["containerDefinitions"][0]["image"])
        end = ending(behaviour, image, self._service.load_balancers)
        if end.exit_code is not None:
            task.status = "RUNNING"
            yield
        self._ecs.log(task, end.log)
        if end.event:
            self._service.says(f"(task {task.identity}) {end.event}", new)
        task.begin_to_stop(end)
        yield
        task.stop(end)

    def _back(self, made: BlueGreen) -> Iterator[None]:
        if made.task_set:
            yield from self._drain(made.task_set)

    def _drain(self, task_set: TaskSet) -> Iterator[None]:
        """Stop the tasks of a task set and delete it."""
        task_set.status, task_set.desired, task_set.steady = "DRAINING", 0, False
        for task in self._service.alive(task_set.revision, "PENDING", "RUNNING"):
            task.stop(scaled_in(task_set.identity))
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

    def _stop_deployment(self, parameters: Json) -> Json:
        made = self._found(parameters)
        if made.status not in _ONGOING:
            message = f"The deployment {made.identity} has already completed with the status {made.status}."
            raise Refused("DeploymentAlreadyCompletedException", message)
        made.rolled_back = bool(parameters.get("autoRollbackEnabled"))
        self._service.course = self._back(made)
        made.end("Stopped", "MANUAL_STOP", "The deployment was stopped by a user.")
        return {"status": "Pending", "statusMessage": "Stopping the deployment"}

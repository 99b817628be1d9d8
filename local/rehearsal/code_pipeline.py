"""An emulator of what AWS CodePipeline remembers of the actions of its runs.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListActionExecutions.html. Whether an
action that is still going shows the ID that its provider gave it is not documented, so both can be had.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from local.rehearsal.emulated import Emulated, Json, Need, Operations, Refused


@dataclass(slots=True)
class ActionExecution:
    """One action as one run has carried it out; an action that is retried has several.

    Attributes:
        run: The ID of the pipeline's execution.
        action: The action's name.
        status: InProgress, Succeeded, Failed or Abandoned.
        external_id: The provider's ID, such as that of a CodeDeploy deployment.
        error: Why it failed.
    """

    run: str
    action: str
    status: str = "InProgress"
    external_id: str = ""
    error: str = ""
    started: float = field(default_factory=time.time)
    identity: str = field(default_factory=lambda: str(uuid.uuid4()))

    def end(self, status: str, error: str = "") -> None:
        """Let it come to its end."""
        self.status, self.error = status, error


class CodePipeline(Emulated):
    """One pipeline.

    Attributes:
        executions: All executions of actions, the oldest first.
        shows_external_ids: Whether an action shows its provider's ID while it is going.
    """

    SERVICE = "codepipeline"
    INVALID = "ValidationException"

    def __init__(self, name: str, *, account: str = "123456789012", region: str = "eu-west-1") -> None:
        super().__init__(account=account, region=region)
        self._name = name
        self.executions: list[ActionExecution] = []
        self.shows_external_ids = True

    def operations(self) -> Operations:
        """Return what is emulated."""
        return {"ListActionExecutions": self._list_action_executions}

    def needs(self, operation: str, parameters: Json) -> list[Need]:
        """Return the permission behind a request."""
        return [Need(f"codepipeline:{operation}", self.arn(parameters["pipelineName"]))]

    def begin(self, run: str, *actions: str) -> list[ActionExecution]:
        """Start actions of a run at the same time."""
        begun = [ActionExecution(run, action) for action in actions]
        self.executions += begun
        return begun

    def _list_action_executions(self, parameters: Json) -> Json:
        if parameters["pipelineName"] != self._name:
            message = f"The account with id '{self.account}' does not include a pipeline with the name"
            raise Refused("PipelineNotFoundException", f"{message} '{parameters['pipelineName']}'")
        run = parameters.get("filter", {}).get("pipelineExecutionId")
        found = [self._view(made) for made in reversed(self.executions) if run in (None, made.run)]
        return {"actionExecutionDetails": found}

    def _view(self, made: ActionExecution) -> Json:
        result: Json = {}
        if made.external_id and (self.shows_external_ids or made.status != "InProgress"):
            result["externalExecutionId"] = made.external_id
        if made.error:
            result["errorDetails"] = {"code": "JobFailed", "message": made.error}
        return {
            "pipelineExecutionId": made.run,
            "actionExecutionId": made.identity,
            "pipelineVersion": 1,
            "stageName": "Deploy",
            "actionName": made.action,
            "startTime": made.started,
            "lastUpdateTime": time.time(),
            "status": made.status,
            "output": {"outputArtifacts": [], "executionResult": result},
        }

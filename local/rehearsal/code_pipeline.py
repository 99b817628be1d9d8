"""An emulator of what AWS CodePipeline remembers of its runs and their actions.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListActionExecutions.html and
https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListPipelineExecutions.html. Whether an
action that is still going shows the ID that its provider gave it is not documented, so both can be had.
"""

from __future__ import annotations

import time

from local.rehearsal.deployed import Action
from local.rehearsal.emulated import Emulated, Json, Need, Operations, Refused
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status


class CodePipeline(Emulated):
    """One pipeline.

    Attributes:
        executions: All executions of actions, the oldest first.
        runs: All its runs, the oldest first.
        shows_external_ids: Whether an action shows its provider's ID while it is going.
    """

    SERVICE = "codepipeline"
    INVALID = "ValidationException"

    def __init__(self, name: str, *, account: str = "123456789012", region: str = "eu-west-1") -> None:
        super().__init__(account=account, region=region)
        self._name = name
        self.executions: list[ActionRun] = []
        self.runs: list[Execution] = []
        self.shows_external_ids = True

    def operations(self) -> Operations:
        """Return what is emulated."""
        return {
            "ListActionExecutions": self._list_action_executions,
            "ListPipelineExecutions": self._list_pipeline_executions,
        }

    def needs(self, operation: str, parameters: Json) -> list[Need]:
        """Return the permission behind a request."""
        return [Need(f"codepipeline:{operation}", self.arn(parameters["pipelineName"]))]

    def begin(self, execution: str, *actions: str) -> list[ActionRun]:
        """Start actions of a run's deploy stage at the same time."""
        deploys: Json = {"stage": "Deploy", "run_order": 1, "category": "Deploy", "provider": "CodeDeployToECS"}
        nothing: Json = {"inputs": (), "outputs": (), "configuration": {}}
        begun = [ActionRun(execution, Action(name=name, **deploys, **nothing)) for name in actions]
        self.executions += begun
        return begun

    def remember(self, run: ActionRun | None, execution: Execution | None = None) -> None:
        """List a run, and an action, from now on, if it is not listed yet."""
        with self.lock:
            if run is not None and all(run is not known for known in self.executions):
                self.executions.append(run)
            if execution is not None and all(execution is not known for known in self.runs):
                self.runs.append(execution)

    def _check_name(self, parameters: Json) -> None:
        if parameters["pipelineName"] != self._name:
            message = f"The account with id '{self.account}' does not include a pipeline with the name"
            raise Refused("PipelineNotFoundException", f"{message} '{parameters['pipelineName']}'")

    def _list_pipeline_executions(self, parameters: Json) -> Json:
        self._check_name(parameters)
        return {
            "pipelineExecutionSummaries": [
                {
                    "pipelineExecutionId": run.identity,
                    "status": run.status,
                    "startTime": run.started,
                    "lastUpdateTime": time.time(),
                    "executionType": run.kind,
                }
                for run in sorted(self.runs, key=lambda run: run.started, reverse=True)
            ]
        }

    def _list_action_executions(self, parameters: Json) -> Json:
        self._check_name(parameters)
        run = parameters.get("filter", {}).get("pipelineExecutionId")
        found = [self._view(made) for made in reversed(self.executions) if run in (None, made.execution)]
        return {"actionExecutionDetails": found}

    def _view(self, made: ActionRun) -> Json:
        result: Json = {}
        if made.external_id and (self.shows_external_ids or made.status != Status.IN_PROGRESS):
            result["externalExecutionId"] = made.external_id
        if made.error:
            result["errorDetails"] = {"code": "JobFailed", "message": made.error}
        kind = {"category": made.action.category, "owner": "AWS", "provider": made.action.provider, "version": "1"}
        given = {"actionTypeId": kind, "configuration": dict(made.action.configuration)}
        return {
            "pipelineExecutionId": made.execution,
            "actionExecutionId": made.identity,
            "pipelineVersion": 1,
            "stageName": made.action.stage,
            "actionName": made.action.name,
            "startTime": made.started,
            "lastUpdateTime": time.time(),
            "status": made.status,
            "input": {**given, "resolvedConfiguration": dict(made.configuration)},
            "output": {"outputArtifacts": [], "executionResult": result, "outputVariables": dict(made.variables)},
        }

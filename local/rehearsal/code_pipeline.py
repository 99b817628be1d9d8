"""An emulator of AWS CodePipeline: what it remembers of its runs, and, for one that runs here, what people have it do.

Source: the pages of its operations, such as
https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListPipelineExecutions.html. Whether an
action that is still going shows the ID that its provider gave it is not documented, so both can be had.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from local.aws_models import service_model
from local.errors import Refusal
from local.rehearsal.deployed import Action
from local.rehearsal.emulated import Emulated, Json, Need, Operations, Refused
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.pipeline.runner import PipelineRunner, RollbackRefused
from local.rehearsal.pipeline.triggers import revisions_of

_PAGE = 100
"""What a list gives at most in one answer."""
_OF_A_STAGE = ("RetryStageExecution", "RollbackStage", "DisableStageTransition", "EnableStageTransition")
"""The operations whose permission is about one stage.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html
"""


class CodePipeline(Emulated):
    """One pipeline.

    Attributes:
        executions: All executions of actions, the oldest first.
        runs: All its runs, the oldest first.
        shows_external_ids: Whether an action shows its provider's ID while it is going.
        runner: Runs the pipeline; ``None`` where runs are made by hand, which have no stages to go back to.
    """

    SERVICE = "codepipeline"
    INVALID = "ValidationException"

    def __init__(self, name: str, *, account: str = "123456789012", region: str = "eu-west-1") -> None:
        super().__init__(account=account, region=region)
        self._name = name
        self.executions: list[ActionRun] = []
        self.runs: list[Execution] = []
        self.shows_external_ids = True
        self.runner: PipelineRunner | None = None
        self._reasons: dict[str, str] = {}

    def operations(self) -> Operations:
        """Return what is emulated."""
        remembered = {
            "ListActionExecutions": self._list_action_executions,
            "ListPipelineExecutions": self._list_pipeline_executions,
        }
        if (runner := self.runner) is None:
            return remembered
        return {
            **remembered,
            "GetPipelineExecution": self._get_pipeline_execution,
            "GetPipelineState": lambda parameters: self._get_pipeline_state(parameters, runner),
            "StartPipelineExecution": lambda parameters: self._start(parameters, runner),
            "StopPipelineExecution": lambda parameters: self._stop(parameters, runner),
            "RetryStageExecution": lambda parameters: self._retry(parameters, runner),
            "RollbackStage": lambda parameters: self._rollback_stage(parameters, runner),
            "DisableStageTransition": lambda parameters: self._disable_stage_transition(parameters, runner),
            "EnableStageTransition": lambda parameters: self._enable_stage_transition(parameters, runner),
        }

    def needs(self, operation: str, parameters: Json) -> list[Need]:
        """Return the permission behind a request."""
        resource = parameters.get("pipelineName") or parameters["name"]
        if operation in _OF_A_STAGE:
            resource = f"{resource}/{parameters['stageName']}"
        return [Need(f"codepipeline:{operation}", self.arn(resource))]

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

    def _check_name(self, name: str) -> None:
        if name != self._name:
            message = f"The account with id '{self.account}' does not include a pipeline with the name"
            raise Refused("PipelineNotFoundException", f"{message} '{name}'")

    def _version(self) -> int:
        return self.runner.version if self.runner else 1

    def _list_pipeline_executions(self, parameters: Json) -> Json:
        """The filter is about the current version of the pipeline.

        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_SucceededInStageFilter.html
        """
        self._check_name(parameters["pipelineName"])
        found = sorted(self.runs, key=lambda run: run.started, reverse=True)
        if stage := parameters.get("filter", {}).get("succeededInStage", {}).get("stageName"):
            succeeded = (run for run in found if run.stages.get(stage) == Status.SUCCEEDED)
            found = [run for run in succeeded if run.version == self._version()]
        return _page("pipelineExecutionSummaries", [_summary(run) for run in found], parameters)

    def _get_pipeline_execution(self, parameters: Json) -> Json:
        self._check_name(parameters["pipelineName"])
        run = self._run(parameters["pipelineExecutionId"])
        told = {key: value for key, value in _summary(run).items() if key not in ("startTime", "lastUpdateTime")}
        reason = {"statusSummary": run.reason} if run.reason else {}
        return {
            "pipelineExecution": {"pipelineName": self._name, "pipelineVersion": run.version, **told, **reason},
        }

    def _run(self, identity: str) -> Execution:
        for run in self.runs:
            if run.identity == identity:
                return run
        raise Refused("PipelineExecutionNotFoundException", f"{self._name} has no pipeline execution {identity}")

    def _get_pipeline_state(self, parameters: Json, runner: PipelineRunner) -> Json:
        self._check_name(parameters["name"])
        stages = [self._state_of(stage, runner) for stage in runner.deployed.stages]
        return {"pipelineName": self._name, "pipelineVersion": runner.version, "stageStates": stages}

    def _state_of(self, stage: str, runner: PipelineRunner) -> Json:
        latest = next((run for run in sorted(self.runs, key=lambda run: -run.number) if stage in run.stages), None)
        reason = self._reasons.get(stage)
        return {
            "stageName": stage,
            "inboundTransitionState": {
                "enabled": not runner.is_held(stage),
                **({"disabledReason": reason} if runner.is_held(stage) and reason else {}),
            },
            "inboundExecutions": [_stage_execution(run, "InProgress") for run in runner.waiting(stage)],
            **({"latestExecution": _stage_execution(latest, latest.stages[stage])} if latest else {}),
        }

    def _start(self, parameters: Json, runner: PipelineRunner) -> Json:
        self._check_name(parameters["name"])

        def start() -> Execution:
            given = {"sourceRevisions": parameters.get("sourceRevisions", [])}
            return runner.start("A person", revisions_of(given, runner.deployed))

        return self._allowed(self.INVALID, start)

    def _stop(self, parameters: Json, runner: PipelineRunner) -> Json:
        self._check_name(parameters["pipelineName"])
        run = self._run(parameters["pipelineExecutionId"])
        if run.status != Status.IN_PROGRESS:
            raise Refused("PipelineExecutionNotStoppableException", f"The run is {run.status}")
        runner.stop(run)
        return {"pipelineExecutionId": run.identity}

    def _retry(self, parameters: Json, runner: PipelineRunner) -> Json:
        self._check_name(parameters["pipelineName"])
        run = self._run(parameters["pipelineExecutionId"])
        if run.stage != parameters["stageName"]:
            raise Refused("StageNotRetryableException", f"The run has not failed in stage {parameters['stageName']}")
        return self._allowed("StageNotRetryableException", lambda: runner.retry(run))

    def _allowed(self, code: str, asked: Callable[[], Execution]) -> Json:
        """Do what is asked for, and return the run; say no in the service's words."""
        try:
            run = asked()
        except Refusal as refusal:
            raise Refused(code, str(refusal)) from refusal
        self.remember(None, run)
        return {"pipelineExecutionId": run.identity}

    def _rollback_stage(self, parameters: Json, runner: PipelineRunner) -> Json:
        self._check_name(parameters["pipelineName"])
        target = self._run(parameters["targetPipelineExecutionId"])
        try:
            execution = runner.roll_back(parameters["stageName"], target)
        except RollbackRefused as refused:
            raise Refused(refused.code, str(refused)) from None
        self.remember(None, execution)
        return {"pipelineExecutionId": execution.identity}

    def _disable_stage_transition(self, parameters: Json, runner: PipelineRunner) -> Json:
        stage = self._checked_stage(parameters, runner)
        pattern = service_model(self.SERVICE).shape_for("DisabledReason").metadata["pattern"]
        if not re.fullmatch(pattern, parameters["reason"]):
            raise Refused(self.INVALID, f"reason: {parameters['reason']!r} does not match {pattern}")
        runner.hold(stage)
        self._reasons[stage] = parameters["reason"]
        return {}

    def _enable_stage_transition(self, parameters: Json, runner: PipelineRunner) -> Json:
        runner.release(self._checked_stage(parameters, runner))
        return {}

    def _checked_stage(self, parameters: Json, runner: PipelineRunner) -> str:
        self._check_name(parameters["pipelineName"])
        stage = str(parameters["stageName"])
        if stage not in runner.deployed.stages:
            raise Refused("StageNotFoundException", f"{self._name} has no stage {stage}")
        if parameters["transitionType"] != "Inbound":
            raise Refused("UnsupportedFeatureException", "only inbound transitions are rehearsed here")
        return stage

    def _list_action_executions(self, parameters: Json) -> Json:
        self._check_name(parameters["pipelineName"])
        run = parameters.get("filter", {}).get("pipelineExecutionId")
        found = [self._view(made) for made in reversed(self.executions) if run in (None, made.execution)]
        return _page("actionExecutionDetails", found, parameters)

    def _view(self, made: ActionRun) -> Json:
        result: Json = {}
        if made.external_id and (self.shows_external_ids or made.status != Status.IN_PROGRESS):
            result["externalExecutionId"] = made.external_id
        if made.error:
            result["errorDetails"] = {"code": "JobFailed", "message": made.error}
        kind = {"category": made.action.category, "owner": "AWS", "provider": made.action.provider, "version": "1"}
        given: Json = {"actionTypeId": kind, "configuration": dict(made.action.configuration)}
        if made.action.namespace:
            given["namespace"] = made.action.namespace
        return {
            "pipelineExecutionId": made.execution,
            "actionExecutionId": made.identity,
            "pipelineVersion": next((run.version for run in self.runs if run.identity == made.execution), 1),
            "stageName": made.action.stage,
            "actionName": made.action.name,
            "startTime": made.started,
            "lastUpdateTime": time.time(),
            "status": made.status,
            "input": {**given, "resolvedConfiguration": dict(made.configuration)},
            "output": {"outputArtifacts": [], "executionResult": result, "outputVariables": dict(made.variables)},
        }


def _page(key: str, found: Sequence[Json], parameters: Json) -> Json:
    begin, most = int(parameters.get("nextToken", 0)), parameters.get("maxResults", _PAGE)
    more = {"nextToken": str(begin + most)} if begin + most < len(found) else {}
    return {key: list(found[begin : begin + most]), **more}


def _summary(run: Execution) -> Json:
    return {
        "pipelineExecutionId": run.identity,
        "status": run.status,
        "startTime": run.started,
        "lastUpdateTime": time.time(),
        "executionType": run.kind,
        **({"rollbackMetadata": {"rollbackTargetPipelineExecutionId": run.target}} if run.target else {}),
    }


def _stage_execution(run: Execution, status: str) -> Json:
    return {"pipelineExecutionId": run.identity, "status": status, "type": run.kind}

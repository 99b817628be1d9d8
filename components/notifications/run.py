"""What is known of a run of the pipeline: for every function here that AWS Lambda calls.

Python's standard library alone, in the version of Lambda's runtime.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

Json = dict[str, Any]

REASON = "FAILED: "
"""What the last words of a job begin with: ``jobs.job.fail``."""
LINES = 200
"""How many lines of a job's log are looked through for its last words, from the end."""
LONGEST = 400
"""Characters of a reason, a commit's message, a question."""
ROLLED_BACK = ("rolled back", "ROLLBACK", "The previous version keeps serving")
"""What the jobs and Amazon ECS say of a deployment that has been taken back."""


class Ask(Protocol):
    """Asks a service of AWS, in botocore's words, and returns the response."""

    def __call__(self, service: str, operation: str, **parameters: object) -> Json:
        """Ask."""


class Run:
    """One run of the pipeline, as far as CodePipeline and its actions' services tell.

    Args:
        event: What EventBridge hands in.
        ask: Asks AWS.
    """

    def __init__(self, event: Json, ask: Ask) -> None:
        self.detail: Json = event["detail"]
        self.region: str = event["region"]
        self.pipeline: str = self.detail["pipeline"]
        self.identity: str = self.detail["execution-id"]
        self._ask = ask

    @cached_property
    def actions(self) -> list[Json]:
        """The run's actions, the newest first; a retried one has several."""
        return self._actions_of(self.identity)

    @cached_property
    def runs(self) -> list[Json]:
        """The newest runs of the pipeline, the newest first."""
        found = self._ask("codepipeline", "list_pipeline_executions", pipelineName=self.pipeline)
        return list(found.get("pipelineExecutionSummaries", []))

    @cached_property
    def summary(self) -> Json:
        """What CodePipeline knows of the run itself."""
        return next((run for run in self.runs if run["pipelineExecutionId"] == self.identity), {})

    @cached_property
    def failed(self) -> list[Json]:
        """The actions whose last attempt failed."""
        last: dict[str, Json] = {}
        for action in self.actions:
            last.setdefault(action["actionName"], action)
        return [action for action in last.values() if action["status"] == "Failed"]

    @property
    def failed_names(self) -> str:
        """The same, as stage and action, with commas between them."""
        return ", ".join(f"{action['stageName']}/{action['actionName']}" for action in self.failed)

    @property
    def is_rollback(self) -> bool:
        """Whether it takes a stage back to what an earlier run delivered.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
        """
        return bool(self.summary.get("executionType") == "ROLLBACK")

    @property
    def after_a_failure(self) -> bool:
        """Whether an earlier attempt at this run failed, or the last run before it that came to an end by itself."""
        if any(action["status"] == "Failed" for action in self.actions):
            return True
        ids = [run["pipelineExecutionId"] for run in self.runs]
        earlier = self.runs[ids.index(self.identity) + 1 :] if self.identity in ids else []
        return next((run["status"] for run in earlier if run["status"] in ("Succeeded", "Failed")), "") == "Failed"

    @cached_property
    def deployment(self) -> Json:
        """The CodeDeploy deployment of a failed action; nothing where there is none."""
        for action in self.failed:
            if _provider(action) == "CodeDeployToECS" and (identity := _result(action).get("externalExecutionId")):
                return dict(self._ask("codedeploy", "get_deployment", deploymentId=identity).get("deploymentInfo", {}))
        return {}

    @cached_property
    def reason(self) -> str:
        """Why it failed, in one line; empty where nobody says it."""
        for action in self.failed:
            if _provider(action) == "CodeBuild" and (words := self._last_words(_result(action))):
                return words
        if words := self.deployment.get("errorInformation", {}).get("message"):
            return in_one_line(words)
        said = (_result(action).get("errorDetails", {}).get("message") for action in self.failed)
        return in_one_line(next(filter(None, said), ""))

    @property
    def rolled_back(self) -> bool:
        """Whether the deployment of a run that failed has been taken back."""
        return bool(self.deployment.get("rollbackInfo")) or any(words in self.reason for words in ROLLED_BACK)

    @property
    def commit(self) -> str:
        """The commit that is delivered: what the source has fetched, or else what the image says; empty if unknown."""
        return self.variable("CommitId", "DEPLOYED_COMMIT")

    @property
    def author(self) -> str:
        """The name of the commit's author; empty if unknown.

        Connection actions leave it, beside what AWS's page of them lists
        (https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html), so
        it is shown where it is there. The address that they leave, too, is nobody's business.
        """
        return self.variable("AuthorDisplayName")

    @property
    def version(self) -> str:
        """The version that is delivered; empty if unknown."""
        return self.variable("DEPLOYED_VERSION", "IMAGE_VERSION")

    def variable(self, *names: str) -> str:
        """Return the first of these variables that an action of this run, or of the one it goes back to, has left."""
        left = [
            action.get("output", {}).get("outputVariables", {})
            for action in (*self.actions, *self._actions_gone_back_to)
        ]
        return next((str(variables[name]) for name in names for variables in left if variables.get(name)), "")

    def approval(self) -> Json:
        """Return the configuration of the approval that waits, with the values of this run."""
        for action in self.actions:
            if action["actionName"] == self.detail.get("action"):
                given = action.get("input", {})
                return dict(given.get("resolvedConfiguration") or given.get("configuration") or {})
        return {}

    def is_before(self, other: str) -> bool:
        """Return whether another run, by its ID, is known and began later."""
        ids = [run["pipelineExecutionId"] for run in self.runs]
        return other in ids and self.identity in ids and ids.index(other) < ids.index(self.identity)

    @property
    def url(self) -> str:
        """Where to watch it."""
        place = f"https://{self.region}.console.aws.amazon.com/codesuite/codepipeline/pipelines/{self.pipeline}"
        return f"{place}/executions/{self.identity}/timeline?region={self.region}"

    @cached_property
    def _actions_gone_back_to(self) -> list[Json]:
        """The actions of the run that this one goes back to: a rollback runs one stage, and fetches and builds nothing.

        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineRollbackMetadata.html
        """
        target = self.summary.get("rollbackMetadata", {}).get("rollbackTargetPipelineExecutionId")
        return self._actions_of(target) if target else []

    def _actions_of(self, run: str) -> list[Json]:
        found = self._ask(
            "codepipeline",
            "list_action_executions",
            pipelineName=self.pipeline,
            filter={"pipelineExecutionId": run},
        )
        return sorted(found.get("actionExecutionDetails", []), key=lambda action: action["startTime"], reverse=True)

    def _last_words(self, result: Json) -> str:
        """The last words of a job, out of the log of its build.

        A build's stream is named after its ID:
        https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CloudWatchLogsConfig.html
        """
        project, _, build = result.get("externalExecutionId", "").partition(":")
        if not build:
            return ""
        place = {"logGroupName": f"/aws/codebuild/{project}", "logStreamName": build}
        events = self._ask("logs", "get_log_events", **place, limit=LINES, startFromHead=False).get("events", [])
        lines = [line for event in events for line in event["message"].splitlines() if line.startswith(REASON)]
        return in_one_line(lines[-1].removeprefix(REASON)) if lines else ""


def in_one_line(text: str) -> str:
    """Return the first line of a text, of which nobody needs more than a sentence."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _provider(action: Json) -> str:
    return str(action.get("input", {}).get("actionTypeId", {}).get("provider", ""))


def _result(action: Json) -> Json:
    return dict(action.get("output", {}).get("executionResult", {}))

"""Say what became of a run of the pipeline: the one file that AWS Lambda runs.

EventBridge calls `handler` when a run ends, and when an approval waits:
https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html. What the event
does not say (version, commit, reason) is looked up; where that fails the message goes out without it. When the message
itself fails, Lambda tries twice more: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html.

Python's standard library and botocore, which is part of Lambda's runtime:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

Json = dict[str, Any]

REASON = "FAILED: "
"""What the last words of a job begin with: ``jobs.job.fail``."""
LINES = 200
"""How many lines of a job's log are looked through for its last words, from the end."""
LONGEST = 400
"""Characters of a reason, a commit's message, a question."""
LONGEST_SUBJECT = 99
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
ROLLED_BACK = ("rolled back", "ROLLBACK", "The previous version keeps serving")
"""What the jobs and Amazon ECS say of a deployment that has been taken back."""

TITLES: Mapping[str, str] = {
    "failed": "the delivery failed",
    "rolledBack": "the deployment was rolled back",
    "stopped": "the delivery was stopped",
    "recovered": "the delivery succeeds again",
    "succeeded": "the delivery succeeded",
    "approval": "a person has to approve",
}


class Message(NamedTuple):
    """What people are told.

    Attributes:
        kind: What it is about, the first of `kinds`.
        title: In one line, without a line break.
        facts: What is known, by its name.
        steps: What to do next.
    """

    kind: str
    title: str
    facts: Mapping[str, str]
    steps: tuple[str, ...]

    @property
    def text(self) -> str:
        """For e-mail, and whoever reads the topic otherwise."""
        facts = [f"{name}: {value}" for name, value in self.facts.items()]
        return "\n".join([self.title, "", *facts, "", "Next:", *(f"  {step}" for step in self.steps)])

    def chat(self, thread: str) -> Json:
        """For Slack and Teams, by the event schema of custom notifications.

        https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
        """
        return {
            "version": "1.0",
            "source": "custom",
            "content": {
                "textType": "client-markdown",
                "title": _plain(self.title),
                "description": "\n".join(f"*{name}:* {_plain(value)}" for name, value in self.facts.items()),
                "nextSteps": [_plain(step) for step in self.steps],
                "keywords": [self.facts["Application"], self.facts["Environment"], self.kind],
            },
            "metadata": {"threadId": thread, "summary": _plain(self.title), "eventType": self.kind},
        }


class Run:
    """One run of the pipeline, as far as CodePipeline and its actions' services tell.

    Args:
        event: What EventBridge hands in.
        client: Makes the client of a service.
        say: Writes a line of the log.
    """

    def __init__(self, event: Json, client: Callable[[str], Any], say: Callable[[str], None]) -> None:
        self.detail: Json = event["detail"]
        self.region: str = event["region"]
        self.pipeline: str = self.detail["pipeline"]
        self.identity: str = self.detail["execution-id"]
        self._client, self._say = client, say

    @cached_property
    def actions(self) -> list[Json]:
        """The run's actions, the newest first; a retried one has several."""
        found = self._ask(
            "codepipeline",
            "list_action_executions",
            pipelineName=self.pipeline,
            filter={"pipelineExecutionId": self.identity},
        )
        return sorted(found.get("actionExecutionDetails", []), key=lambda action: action["startTime"], reverse=True)

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
            return _line(words)
        said = (_result(action).get("errorDetails", {}).get("message") for action in self.failed)
        return _line(next(filter(None, said), ""))

    @property
    def rolled_back(self) -> bool:
        """Whether the deployment of a run that failed has been taken back."""
        return bool(self.deployment.get("rollbackInfo")) or any(words in self.reason for words in ROLLED_BACK)

    def variable(self, *names: str) -> str:
        """Return the first of these variables that an action has left."""
        left = [action.get("output", {}).get("outputVariables", {}) for action in self.actions]
        return next((str(variables[name]) for name in names for variables in left if variables.get(name)), "")

    def approval(self) -> Json:
        """Return the configuration of the approval that waits, with the values of this run."""
        for action in self.actions:
            if action["actionName"] == self.detail.get("action"):
                given = action.get("input", {})
                return dict(given.get("resolvedConfiguration") or given.get("configuration") or {})
        return {}

    @property
    def url(self) -> str:
        """Where to watch it."""
        place = f"https://{self.region}.console.aws.amazon.com/codesuite/codepipeline/pipelines/{self.pipeline}"
        return f"{place}/executions/{self.identity}/timeline?region={self.region}"

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
        return _line(lines[-1].removeprefix(REASON)) if lines else ""

    def _ask(self, service: str, operation: str, **parameters: object) -> Json:
        """Return the answer; nothing where the service refuses, since a message without it is better than none."""
        try:
            return dict(getattr(self._client(service), operation)(**parameters))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not keep the message back
            self._say(f"The message goes out without what {service} {operation} would say: {error}")
            return {}


def kinds(run: Run) -> tuple[str, ...]:
    """Return what the event is about: what is said of it first, then what else it is."""
    if "action" in run.detail:
        return ("approval",)
    match run.detail["state"]:
        case "FAILED":
            return ("rolledBack", "failed") if run.rolled_back else ("failed",)
        case "STOPPED":
            return ("stopped",)
        case "SUCCEEDED" if run.summary.get("executionType") == "ROLLBACK":
            return ("rolledBack",)
        case "SUCCEEDED":
            return ("recovered", "succeeded") if run.after_a_failure else ("succeeded",)
    return ()


def message(run: Run, kind: str, application: str, environment: str) -> Message:
    """Return what is said.

    Args:
        run: The run.
        kind: What it is about.
        application: The application's name.
        environment: The stack's name.
    """
    commit, words = run.variable("CommitId", "DEPLOYED_COMMIT"), _line(run.variable("CommitMessage"))
    where = ", ".join(f"{action['stageName']}/{action['actionName']}" for action in run.failed)
    facts = {
        "Application": application,
        "Environment": environment,
        "Version": run.variable("DEPLOYED_VERSION", "IMAGE_VERSION"),
        "Commit": f"{commit[:12]} {words}".strip(),
        "Started by": _started_by(run.summary.get("trigger", {})),
    }
    if kind in ("failed", "rolledBack"):
        facts |= {"Action": where, "Reason": run.reason}
    if kind == "stopped":
        facts["Reason"] = _line(run.summary.get("stopTrigger", {}).get("reason", ""))
    steps = _steps(run, kind)
    if kind == "approval":
        asked = run.approval()
        facts |= {
            "Action": f"{run.detail['stage']}/{run.detail['action']}",
            "Question": _line(asked.get("CustomData", "")),
        }
        steps = (*steps, *(f"Look at it first: {link}" for link in [asked.get("ExternalEntityLink")] if link))
    title = f"{application} in {environment}: {TITLES[kind]}"
    return Message(kind, title, {name: value for name, value in facts.items() if value}, steps)


def _steps(run: Run, kind: str) -> tuple[str, ...]:
    look = f"Look at the run: {run.url}"
    name = f"--pipeline-name {run.pipeline} --region {run.region}"
    if kind == "approval":
        return (f"Approve or reject: {run.url}",)
    if kind in ("failed", "rolledBack") and run.failed:
        again = f"--stage-name {run.failed[0]['stageName']} --pipeline-execution-id {run.identity}"
        retry = f"aws codepipeline retry-stage-execution {name} {again} --retry-mode FAILED_ACTIONS"
        return (look, f"If the reason is gone, run what failed again: {retry}")
    if kind == "stopped":
        return (
            look,
            f"Start a new run: aws codepipeline start-pipeline-execution --name {run.pipeline} --region {run.region}",
        )
    return (look,)


def tell(
    event: Json, environment: Mapping[str, str], client: Callable[[str], Any], say: Callable[[str], None]
) -> Message | None:
    """Publish what an event means, if somebody wants to know; returns it.

    Args:
        event: What EventBridge hands in.
        environment: ``APPLICATION``, ``ENVIRONMENT``, ``TOPIC_ARN`` and ``KINDS``, separated by commas.
        client: Makes the client of a service.
        say: Writes a line of the log.
    """
    run = Run(event, client, say)
    about = kinds(run)
    if not set(about) & set(environment["KINDS"].split(",")):
        return None
    said = message(run, about[0], environment["APPLICATION"], environment["ENVIRONMENT"])
    chat = json.dumps(said.chat(run.identity))
    client("sns").publish(
        TopicArn=environment["TOPIC_ARN"],
        Subject=said.title[:LONGEST_SUBJECT],
        MessageStructure="json",
        # Amazon Q Developer is subscribed by HTTPS.
        Message=json.dumps({"default": said.text, "https": chat}),
    )
    return said


def handler(event: Json, _context: object) -> None:
    """What Lambda calls."""
    import botocore.session  # type: ignore[import-untyped]  # noqa: PLC0415 - ships no types; `components` needs none of it

    said = tell(event, os.environ, botocore.session.get_session().create_client, print)
    print(said.text if said else "Nobody wants to know of it.")  # noqa: T201 - its log


def _started_by(trigger: Json) -> str:
    """Say who started a run by hand.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ExecutionTrigger.html
    """
    if trigger.get("triggerType") != "StartPipelineExecution":
        return ""
    return str(trigger.get("triggerDetail", "")).rpartition(":")[2]


def _provider(action: Json) -> str:
    return str(action.get("input", {}).get("actionTypeId", {}).get("provider", ""))


def _result(action: Json) -> Json:
    return dict(action.get("output", {}).get("executionResult", {}))


def _line(text: str) -> str:
    """The first line of a text, of which nobody needs more than a sentence."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _plain(text: str) -> str:
    """Text that a chat takes for text: whoever writes a commit's message calls nobody by it, and hides no link.

    https://docs.slack.dev/messaging/formatting-message-text/#escaping; Teams takes `[words](address)` for a link.
    """
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("](", "] (")):
        text = text.replace(character, written)
    return text

"""Say what became of a run of the pipeline: what AWS Lambda runs, with ``run.py`` beside it.

EventBridge calls `handler` when a run ends, and when an approval waits:
https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html. What the event
does not say (version, commit, author, reason) is looked up; where that fails the message goes out without it. When the
message itself fails, Lambda tries twice more:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html.

Python's standard library and botocore, which is part of Lambda's runtime:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .run import Ask, Json, Run, in_one_line

LONGEST_SUBJECT = 99
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
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


def kinds(run: Run) -> tuple[str, ...]:
    """Return what the event is about: what is said of it first, then what else it is."""
    if "action" in run.detail:
        return ("approval",)
    match run.detail["state"]:
        case "FAILED":
            return ("rolledBack", "failed") if run.rolled_back else ("failed",)
        case "STOPPED":
            return ("stopped",)
        case "SUCCEEDED" if run.is_rollback:
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
    words = in_one_line(run.variable("CommitMessage"))
    facts = {
        "Application": application,
        "Environment": environment,
        "Version": run.version,
        "Commit": f"{run.commit[:12]} {words}".strip(),
        "Author": in_one_line(run.author),
        "Started by": _started_by(run.summary.get("trigger", {})),
    }
    if kind in ("failed", "rolledBack"):
        facts |= {"Action": run.failed_names, "Reason": run.reason}
    if kind == "stopped":
        facts["Reason"] = in_one_line(run.summary.get("stopTrigger", {}).get("reason", ""))
    steps = _steps(run, kind)
    if kind == "approval":
        asked = run.approval()
        facts |= {
            "Action": f"{run.detail['stage']}/{run.detail['action']}",
            "Question": in_one_line(asked.get("CustomData", "")),
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
    run = Run(event, as_far_as_possible(client, say))
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


def as_far_as_possible(client: Callable[[str], Any], say: Callable[[str], None]) -> Ask:
    """Return who looks up: nothing comes of what a service refuses, since a message without it is better than none."""

    def ask(service: str, operation: str, **parameters: object) -> Json:
        try:
            return dict(getattr(client(service), operation)(**parameters))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not keep the message back
            say(f"The message goes out without what {service} {operation} would say: {error}")
            return {}

    return ask


def _started_by(trigger: Json) -> str:
    """Say who started a run by hand.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ExecutionTrigger.html
    """
    if trigger.get("triggerType") != "StartPipelineExecution":
        return ""
    return str(trigger.get("triggerDetail", "")).rpartition(":")[2]


def _plain(text: str) -> str:
    """Text that a chat takes for text: whoever writes a commit's message calls nobody by it, and hides no link.

    https://docs.slack.dev/messaging/formatting-message-text/#escaping; Teams takes `[words](address)` for a link.
    """
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("](", "] (")):
        text = text.replace(character, written)
    return text

"""Sends messages: EventBridge rules for what happens to the pipeline, and the function that says what it means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import pulumi

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement
from components.notifications.event_function import (
    EventFunction,
    EventFunctionArgs,
    Pattern,
    follow_runs,
    run_pattern,
)
from components.notifications.topic import NotificationTopic
from components.pipeline.model import Action, Category, PipelineModel, Provider
from components.settings.sections.notifications import Happening

FUNCTION: Final = Path(__file__).with_name("function.py")
"""What the function runs."""

STATES: Final[Mapping[Happening, tuple[str, ...]]] = {
    "failed": ("FAILED",),
    "rolledBack": ("FAILED", "SUCCEEDED"),
    "stopped": ("STOPPED",),
    "recovered": ("SUCCEEDED",),
    "succeeded": ("SUCCEEDED",),
}
"""In which states of a run each of them is found.

A rollback of a stage is a run of its own, which succeeds:
https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
"""


def end_pattern(pipeline: str, events: Collection[Happening]) -> Pattern | None:
    """The EventBridge pattern of a run's end; ``None`` when nobody wants to know of any."""
    states = {state for event in events for state in STATES.get(event, ())}
    return run_pattern(pipeline, states) if states else None


def approval_pattern(pipeline: PipelineModel, events: Collection[Happening]) -> Pattern | None:
    """The EventBridge pattern of an approval that begins to wait; ``None`` without one, or if nobody wants to know."""
    if "approval" not in events or all(action.category is not Category.APPROVAL for action in pipeline.actions):
        return None
    return {
        "source": ["aws.codepipeline"],
        "detail-type": ["CodePipeline Action Execution State Change"],
        "detail": {"pipeline": [pipeline.name], "state": ["STARTED"], "type": {"category": ["Approval"]}},
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class MessengerArgs:
    """What distinguishes one messenger from another.

    Attributes:
        foundation: What it is made with.
        application: The application's name.
        environment: The stack's name.
        pipeline: The pipeline it tells of; it need not be made yet.
        events: What messages are sent about.
        topic: Where they are sent.
    """

    foundation: Foundation
    application: str
    environment: str
    pipeline: PipelineModel
    events: Collection[Happening]
    topic: NotificationTopic


class Messenger(pulumi.ComponentResource):
    """A function of AWS Lambda, its role and the rules that call it."""

    TYPE: ClassVar[str] = "ecs-delivery:index:Messenger"

    def __init__(self, name: str, args: MessengerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        pipeline = args.pipeline.name
        patterns = {
            "run": (f"A run of {pipeline} has come to its end", end_pattern(pipeline, args.events)),
            "approval": (f"A person has to approve a run of {pipeline}", approval_pattern(args.pipeline, args.events)),
        }
        wanted = {which: (words, pattern) for which, (words, pattern) in patterns.items() if pattern is not None}
        if wanted:
            function = EventFunction(name, self._function(), self)
            for which, (words, pattern) in wanted.items():
                function.call_on(which, pattern, rule=f"{which}-message", description=words)
        self.register_outputs({})

    def _function(self) -> EventFunctionArgs:
        args = self._args
        return EventFunctionArgs(
            foundation=args.foundation,
            kind="messenger",
            description=f"Says what became of runs of {args.pipeline.name}",
            file=FUNCTION,
            statements=[*args.topic.publish(), *self._look_up()],
            environment={
                "APPLICATION": args.application,
                "ENVIRONMENT": args.environment,
                "KINDS": ",".join(sorted(args.events)),
                "TOPIC_ARN": args.topic.arn,
            },
            timeout=60,
        )

    def _look_up(self) -> Iterator[Statement]:
        """Yield permissions to ask what happened."""
        account, actions = self._args.foundation.account, self._args.pipeline.actions
        yield follow_runs(self._args.foundation, self._args.pipeline.name)
        projects = _configured(actions, Provider.CODEBUILD, "ProjectName")
        if projects:
            yield Statement(
                sid="ReadLastWordsOfBuilds",
                actions=("logs:GetLogEvents",),
                resources=tuple(
                    pulumi.Output.concat(account.arn("logs", "log-group:/aws/codebuild/"), project, ":log-stream:*")
                    for (project,) in projects
                ),
            )
        groups = _configured(actions, Provider.CODEDEPLOY_TO_ECS, "ApplicationName", "DeploymentGroupName")
        if groups:
            yield Statement(
                sid="ReadDeployments",
                actions=("codedeploy:GetDeployment",),
                resources=tuple(
                    pulumi.Output.concat(account.arn("codedeploy", "deploymentgroup:"), application, "/", group)
                    for application, group in groups
                ),
            )


def _configured(actions: Iterable[Action], provider: Provider, *keys: str) -> list[tuple[pulumi.Input[str], ...]]:
    """The values of some keys, of each action of a provider, once each."""
    found = (
        tuple(_text(action.configuration[key]) for key in keys) for action in actions if action.provider is provider
    )
    return list(dict.fromkeys(found))


def _text(value: object) -> pulumi.Input[str]:
    # The model is pure and knows no inputs; every value in it is text or an output of text.
    return value if isinstance(value, str | pulumi.Output) else str(value)

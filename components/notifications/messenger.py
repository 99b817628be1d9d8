"""Sends messages: EventBridge rules for what happens to the pipeline, and the function that says what it means."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import pulumi
from pulumi_aws import cloudwatch, iam, lambda_

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust
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


def run_pattern(pipeline: str, events: Collection[Happening]) -> dict[str, object] | None:
    """The EventBridge pattern of a run's end; ``None`` when nobody wants to know of any.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
    """
    states = sorted({state for event in events for state in STATES.get(event, ())})
    if not states:
        return None
    return {
        "source": ["aws.codepipeline"],
        "detail-type": ["CodePipeline Pipeline Execution State Change"],
        "detail": {"pipeline": [pipeline], "state": states},
    }


def approval_pattern(pipeline: PipelineModel, events: Collection[Happening]) -> dict[str, object] | None:
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
            "run": (f"A run of {pipeline} has come to its end", run_pattern(pipeline, args.events)),
            "approval": (f"A person has to approve a run of {pipeline}", approval_pattern(args.pipeline, args.events)),
        }
        wanted = {which: (words, pattern) for which, (words, pattern) in patterns.items() if pattern is not None}
        if wanted:
            function = self._function()
            for which, (words, pattern) in wanted.items():
                self._call(function, which, words, pattern)
        self.register_outputs({})

    def _function(self) -> lambda_.Function:
        args, name, child = self._args, self._name, pulumi.ResourceOptions(parent=self)
        foundation = args.foundation
        function_name = f"{foundation.prefix}-messenger"
        logs = foundation.log_group(f"{name}-logs", f"/aws/lambda/{function_name}", self)
        role = iam.Role(
            f"{name}-role",
            description=f"Says what became of runs of {args.pipeline.name}",
            assume_role_policy=service_trust("lambda.amazonaws.com", account_id=foundation.account.id),
            permissions_boundary=foundation.permissions_boundary,
            tags=foundation.tags,
            opts=child,
        )
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(
                [
                    *args.topic.publish(),
                    *self._look_up(),
                    Statement(
                        sid="WriteLog",
                        actions=("logs:CreateLogStream", "logs:PutLogEvents"),
                        resources=(logs.arn.apply(lambda arn: f"{arn}:*"),),
                    ),
                ]
            ),
            opts=child,
        )
        return lambda_.Function(
            f"{name}-function",
            name=function_name,
            description=f"Says what became of runs of {args.pipeline.name}",
            code=pulumi.AssetArchive({FUNCTION.name: pulumi.StringAsset(FUNCTION.read_text(encoding="utf-8"))}),
            handler=f"{FUNCTION.stem}.handler",
            runtime=lambda_.Runtime.PYTHON3D14,
            architectures=["arm64"],
            role=role.arn,
            memory_size=256,
            timeout=60,
            environment={
                "variables": {
                    "APPLICATION": args.application,
                    "ENVIRONMENT": args.environment,
                    "KINDS": ",".join(sorted(args.events)),
                    "TOPIC_ARN": args.topic.arn,
                }
            },
            logging_config={"log_format": "Text", "log_group": logs.name},
            tags=foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _call(self, function: lambda_.Function, which: str, words: str, pattern: Mapping[str, object]) -> None:
        child = pulumi.ResourceOptions(parent=self)
        rule = cloudwatch.EventRule(
            f"{self._name}-{which}-rule",
            name=f"{self._args.foundation.prefix}-{which}-message",
            description=words,
            event_pattern=json.dumps(pattern),
            tags=self._args.foundation.tags,
            opts=child,
        )
        permission = lambda_.Permission(
            f"{self._name}-{which}-permission",
            action="lambda:InvokeFunction",
            function=function.name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            opts=child,
        )
        cloudwatch.EventTarget(
            f"{self._name}-{which}-target",
            rule=rule.name,
            arn=function.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )

    def _look_up(self) -> Iterator[Statement]:
        """Yield permissions to ask what happened: https://docs.aws.amazon.com/codepipeline/latest/userguide/permissions-reference.html."""
        account, actions = self._args.foundation.account, self._args.pipeline.actions
        yield Statement(
            sid="FollowRuns",
            actions=("codepipeline:ListActionExecutions", "codepipeline:ListPipelineExecutions"),
            resources=(account.arn("codepipeline", self._args.pipeline.name),),
        )
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

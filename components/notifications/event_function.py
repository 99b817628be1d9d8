"""A function of AWS Lambda that what happens to the pipeline calls: its role, its log, and the rules that call it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
from pulumi_aws import cloudwatch, iam, lambda_

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust

_FOLDER: Final = Path(__file__).parent
RUN: Final = _FOLDER / "run.py"
"""What every function knows of a run."""

Pattern = Mapping[str, object]
"""A pattern of EventBridge."""


def run_pattern(pipeline: str, states: Iterable[str]) -> Pattern:
    """Return the pattern of a run that gets into one of these states.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
    """
    return {
        "source": ["aws.codepipeline"],
        "detail-type": ["CodePipeline Pipeline Execution State Change"],
        "detail": {"pipeline": [pipeline], "state": sorted(states)},
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class EventFunctionArgs:
    """What distinguishes one function from another.

    Attributes:
        foundation: What it is made with.
        kind: What it is, in a word: the end of its name.
        description: What it does.
        file: What it runs, in this folder; it imports nothing but `RUN` beside Lambda's own.
        statements: What it may do, besides writing its log.
        environment: Its variables.
        timeout: Seconds it has.
    """

    foundation: Foundation
    kind: str
    description: str
    file: Path
    statements: Iterable[Statement]
    environment: Mapping[str, pulumi.Input[str]]
    timeout: int


class EventFunction:
    """The resources of a function, as children of the component that it belongs to.

    Attributes:
        name: The function's name.
        policy: What its role may do, which must exist before anything calls it.
    """

    def __init__(self, name: str, args: EventFunctionArgs, parent: pulumi.ComponentResource) -> None:
        self._name, self._args, self._parent = name, args, parent
        foundation, child = args.foundation, pulumi.ResourceOptions(parent=parent)
        function_name = f"{foundation.prefix}-{args.kind}"
        logs = foundation.log_group(f"{name}-logs", f"/aws/lambda/{function_name}", parent)
        role = iam.Role(
            f"{name}-role",
            description=args.description,
            assume_role_policy=service_trust("lambda.amazonaws.com", account_id=foundation.account.id),
            permissions_boundary=foundation.permissions_boundary,
            tags=foundation.tags,
            opts=child,
        )
        self.policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(
                [
                    *args.statements,
                    Statement(
                        sid="WriteLog",
                        actions=("logs:CreateLogStream", "logs:PutLogEvents"),
                        resources=(logs.arn.apply(lambda arn: f"{arn}:*"),),
                    ),
                ]
            ),
            opts=child,
        )
        self._function = lambda_.Function(
            f"{name}-function",
            name=function_name,
            description=args.description,
            code=pulumi.AssetArchive(
                {
                    f"{_FOLDER.name}/{file.name}": pulumi.StringAsset(file.read_text(encoding="utf-8"))
                    for file in (args.file, RUN)
                }
            ),
            handler=f"{_FOLDER.name}.{args.file.stem}.handler",
            runtime=lambda_.Runtime.PYTHON3D14,
            architectures=["arm64"],
            role=role.arn,
            memory_size=256,
            timeout=args.timeout,
            environment={"variables": args.environment},
            logging_config={"log_format": "Text", "log_group": logs.name},
            tags=foundation.tags,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[self.policy]),
        )
        self.name = self._function.name

    def call_on(self, which: str, pattern: Pattern, *, rule: str, description: str) -> None:
        """Have EventBridge call it on what matches a pattern.

        Args:
            which: What that is in a word, for the names of resources.
            pattern: The pattern.
            rule: The end of the rule's name.
            description: The rule's description.
        """
        foundation, child = self._args.foundation, pulumi.ResourceOptions(parent=self._parent)
        made = cloudwatch.EventRule(
            f"{self._name}-{which}-rule",
            name=f"{foundation.prefix}-{rule}",
            description=description,
            event_pattern=json.dumps(pattern),
            tags=foundation.tags,
            opts=child,
        )
        permission = lambda_.Permission(
            f"{self._name}-{which}-permission",
            action="lambda:InvokeFunction",
            function=self._function.name,
            principal="events.amazonaws.com",
            source_arn=made.arn,
            opts=child,
        )
        cloudwatch.EventTarget(
            f"{self._name}-{which}-target",
            rule=made.name,
            arn=self._function.arn,
            opts=pulumi.ResourceOptions(parent=self._parent, depends_on=[permission]),
        )


def follow_runs(foundation: Foundation, pipeline: str) -> Statement:
    """Return permission to look up the runs of a pipeline and their actions.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/permissions-reference.html
    """
    return Statement(
        sid="FollowRuns",
        actions=("codepipeline:ListActionExecutions", "codepipeline:ListPipelineExecutions"),
        resources=(foundation.account.arn("codepipeline", pipeline),),
    )

"""Shows on GitHub what becomes of runs: EventBridge rules for stages and ends of runs, and the function they call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import pulumi
from pulumi_aws import lambda_

from components.foundation.foundation import Foundation
from components.foundation.secret import SecretReference
from components.notifications.event_function import (
    EventFunction,
    EventFunctionArgs,
    Pattern,
    follow_runs,
    run_pattern,
)
from components.notifications.topic import NotificationTopic

STATUS_FUNCTION: Final = Path(__file__).with_name("github_status.py")
"""What the function runs."""

BEGINS: Final = ("STARTED", "RESUMED")
ENDS: Final = ("SUCCEEDED", "FAILED", "STOPPED", "CANCELED")
"""States of a stage, and with one more of a run.

https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
"""


def stage_pattern(pipeline: str, states: tuple[str, ...], *, stage: str | None = None) -> Pattern:
    """The EventBridge pattern of stages that get into one of these states; of one of them alone, if it is named."""
    detail: dict[str, object] = {"pipeline": [pipeline], "state": sorted(states)}
    return {
        "source": ["aws.codepipeline"],
        "detail-type": ["CodePipeline Stage Execution State Change"],
        "detail": {**detail, "stage": [stage]} if stage else detail,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusReporterArgs:
    """What distinguishes one reporter from another.

    Attributes:
        foundation: What it is made with.
        environment: The stack's name.
        pipeline: The pipeline whose runs are shown; it need not be made yet.
        api_url: Where GitHub's API is.
        repository: ``owner/name`` of the repository that has the commits.
        token: The token that it writes with, which nobody else gets from here.
        commit_status: Whether commits get a status.
        deploy_stage: The stage whose deployments are shown; ``None`` for none.
        github_environment: What they are shown of.
        service_url: Where the service is reached; ``None`` where it is not.
        topic: Who is told of what could not be shown; ``None`` for nobody.
    """

    foundation: Foundation
    environment: str
    pipeline: str
    api_url: str
    repository: str
    token: SecretReference
    commit_status: bool
    deploy_stage: str | None
    github_environment: str
    service_url: pulumi.Input[str] | None
    topic: NotificationTopic | None


class StatusReporter(pulumi.ComponentResource):
    """A function of AWS Lambda with a token of its own, its role, and the rules that call it."""

    TYPE: ClassVar[str] = "ecs-delivery:index:StatusReporter"

    note: pulumi.Output[str]
    """What a person has to do before GitHub takes anything."""

    def __init__(self, name: str, args: StatusReporterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        foundation, pipeline, topic = args.foundation, args.pipeline, args.topic
        function = EventFunction(
            name,
            EventFunctionArgs(
                foundation=foundation,
                kind="github-status",
                description=f"Shows on GitHub what becomes of runs of {pipeline}",
                file=STATUS_FUNCTION,
                statements=[
                    args.token.read("ReadGitHubToken", foundation.account),
                    follow_runs(foundation, pipeline),
                    *(topic.publish() if topic else ()),
                ],
                environment=_environment(args),
                timeout=900,  # the most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
            ),
            self,
        )
        if args.commit_status:
            function.call_on(
                "stage",
                stage_pattern(pipeline, BEGINS),
                rule="stage-status",
                description=f"A stage of {pipeline} begins",
            )
            function.call_on(
                "run",
                run_pattern(pipeline, (*ENDS, "SUPERSEDED")),
                rule="run-status",
                description=f"A run of {pipeline} has come to its end",
            )
        if args.deploy_stage:
            # With commit statuses, its beginning calls the function already.
            states = ENDS if args.commit_status else (*BEGINS, *ENDS)
            function.call_on(
                "deployment",
                stage_pattern(pipeline, states, stage=args.deploy_stage),
                rule="deployment-status",
                description=f"{pipeline} deploys",
            )
        if topic:
            lambda_.FunctionEventInvokeConfig(
                f"{name}-failures",
                function_name=function.name,
                # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
                destination_config={"on_failure": {"destination": topic.arn}},
                opts=pulumi.ResourceOptions(parent=self, depends_on=[function.policy]),
            )
        self.note = args.token.keep("token", description=_wanted(args), region=foundation.region)
        self.register_outputs({})


def _environment(args: StatusReporterArgs) -> dict[str, pulumi.Input[str]]:
    given: dict[str, pulumi.Input[str] | None] = {
        "ENVIRONMENT": args.environment,
        "GITHUB_API_URL": args.api_url,
        "GITHUB_REPOSITORY": args.repository,
        "TOKEN_SECRET": args.token.name_or_arn,
        "TOKEN_KEY": args.token.key,
        "CONTEXT": f"ecs-delivery/{args.foundation.prefix}" if args.commit_status else None,
        "DEPLOY_STAGE": args.deploy_stage,
        "GITHUB_ENVIRONMENT": args.github_environment if args.deploy_stage else None,
        "ENVIRONMENT_URL": args.service_url if args.deploy_stage else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _wanted(args: StatusReporterArgs) -> str:
    """What the token must be good for.

    https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
    """
    permissions = [
        *(["Commit statuses"] if args.commit_status else []),
        *(["Deployments"] if args.deploy_stage else []),
    ]
    return f"a fine-grained token for {args.repository} ({' and '.join(permissions)}: read and write)"

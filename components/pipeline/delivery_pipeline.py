"""The pipeline itself: renders stages into AWS CodePipeline and knows no provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, cast

import pulumi
from pulumi_aws import codepipeline, iam

from components.foundation.account import AwsAccount
from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust, united
from components.pipeline.image_push_trigger import ImagePushTriggerRule, arrival_of
from components.pipeline.model import (
    Action,
    GitTrigger,
    ImagePushTrigger,
    PipelineModel,
    Provider,
    UploadTrigger,
    environment_variables,
    validate,
)
from components.pipeline.start_rule import StartRuleArgs
from components.pipeline.upload_trigger import UploadTriggerRule, upload_of


class PipelineError(ValueError):
    """The stages do not fit together. A fault of the program, never of a stack file; lists every problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryPipelineArgs:
    """What distinguishes one pipeline from another.

    Attributes:
        foundation: What the pipeline is made with.
        model: Stages, actions and execution mode.
        grants: What the pipeline's role needs for the actions.
        artifacts: The artifact store.
        after: What the first run, which starts at once, needs beside the role.
    """

    foundation: Foundation
    model: PipelineModel
    grants: Sequence[Statement]
    artifacts: ArtifactBucket
    after: Sequence[pulumi.Resource] = ()


class DeliveryPipeline(pulumi.ComponentResource):
    """A CodePipeline of type V2 with a role of its own, started by its explicit triggers only.

    Raises:
        PipelineError: When the model would be refused by CodePipeline.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:DeliveryPipeline"

    name: pulumi.Output[str]
    """The pipeline's name."""
    arn: pulumi.Output[str]
    """The pipeline's ARN."""
    console_url: pulumi.Output[str]
    """Where to watch it."""

    def __init__(self, name: str, args: DeliveryPipelineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        model = args.model
        if problems := validate(model):
            raise PipelineError("\n".join([f"the pipeline {model.name} cannot work:", *problems]))
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account, tags = args.foundation.account, args.foundation.tags
        role = iam.Role(
            f"{name}-role",
            description=f"Runs the pipeline {model.name}",
            assume_role_policy=service_trust("codepipeline.amazonaws.com", account_id=account.id),
            permissions_boundary=args.foundation.permissions_boundary,
            tags=tags,
            opts=child,
        )
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(united([*args.artifacts.read_write(), *args.grants])),
            opts=child,
        )
        pipeline = codepipeline.Pipeline(
            f"{name}-pipeline",
            name=model.name,
            pipeline_type="V2",
            execution_mode=model.execution_mode.value,
            role_arn=role.arn,
            artifact_stores=[
                {
                    "type": "S3",
                    "location": args.artifacts.name,
                    "encryption_key": {"type": "KMS", "id": args.foundation.key.arn},
                }
            ],
            stages=[
                {"name": stage.name, "actions": [_render_action(action) for action in stage.actions]}
                for stage in model.stages
            ],
            triggers=[
                _render_trigger(action.name, action.trigger)
                for action in model.actions
                if isinstance(action.trigger, GitTrigger)
            ],
            variables=[
                {"name": item.name, "default_value": item.default, "description": item.description}
                for item in model.variables
            ],
            tags=tags,
            # A pipeline runs as soon as it is made: its role must be able to by then.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, args.artifacts.bucket_policy, *args.after]),
        )
        self.name = pipeline.name
        self.arn = pipeline.arn
        self.console_url = pulumi.Output.format(
            "https://{0}.console.aws.amazon.com/codesuite/codepipeline/pipelines/{1}/view?region={0}",
            account.region,
            pipeline.name,
        )
        start = partial(StartRuleArgs, foundation=args.foundation, pipeline_name=model.name, pipeline_arn=pipeline.arn)
        for action in model.actions:
            if isinstance(action.trigger, ImagePushTrigger):
                rule = start(source_action=action.name, occasion=arrival_of(action.trigger))
                ImagePushTriggerRule(f"{name}-on-image-push", rule, opts=child)
            elif isinstance(action.trigger, UploadTrigger):
                rule = start(source_action=action.name, occasion=upload_of(action.trigger))
                UploadTriggerRule(f"{name}-on-upload", rule, opts=child)
        self.register_outputs({"name": self.name, "consoleUrl": self.console_url})


def follow_run(pipeline_name: str, account: AwsAccount) -> Statement:
    """Return the permission to ask what became of the actions of a run.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/permissions-reference.html

    Args:
        pipeline_name: The pipeline's name; it need not be made yet.
        account: Where it is.
    """
    return Statement(
        sid="FollowRun",
        actions=("codepipeline:ListActionExecutions",),
        resources=(account.arn("codepipeline", pipeline_name),),
    )


def _render_action(action: Action) -> codepipeline.PipelineStageActionArgsDict:
    # The model is pure and knows no inputs; every value in it is text or an output of text.
    configuration = cast("dict[str, pulumi.Input[str]]", dict(action.configuration))
    if action.environment:
        configuration["EnvironmentVariables"] = environment_variables(action.environment)
    rendered: codepipeline.PipelineStageActionArgsDict = {
        "name": action.name,
        "category": action.category.value,
        "owner": "AWS",
        "provider": action.provider.value,
        "version": "1",
        "configuration": configuration,
        "input_artifacts": [artifact.value for artifact in action.reads],
        "output_artifacts": [artifact.value for artifact in action.writes],
        "run_order": action.run_order,
    }
    if action.namespace is not None:
        rendered["namespace"] = action.namespace
    if action.timeout_minutes is not None:
        rendered["timeout_in_minutes"] = action.timeout_minutes
    return rendered


def _render_trigger(source_action: str, trigger: GitTrigger) -> codepipeline.PipelineTriggerArgs:
    """A push of tags, where tags are named, else a push to the branch, or to those that the patterns let pass.

    Tags and branches never stand in one filter: CodePipeline would want both at once (terraform-provider-aws#43105).
    """
    if trigger.tags or trigger.ignored_tags:
        push = codepipeline.PipelineTriggerGitConfigurationPushArgs(
            tags=codepipeline.PipelineTriggerGitConfigurationPushTagsArgs(
                includes=_given(trigger.tags), excludes=_given(trigger.ignored_tags)
            )
        )
    else:
        push = codepipeline.PipelineTriggerGitConfigurationPushArgs(
            branches=codepipeline.PipelineTriggerGitConfigurationPushBranchesArgs(
                includes=_given(trigger.branches) or (None if trigger.ignored_branches else [trigger.branch]),
                excludes=_given(trigger.ignored_branches),
            ),
            file_paths=codepipeline.PipelineTriggerGitConfigurationPushFilePathsArgs(
                includes=_given(trigger.paths), excludes=_given(trigger.ignored_paths)
            )
            if trigger.paths or trigger.ignored_paths
            else None,
        )
    return codepipeline.PipelineTriggerArgs(
        provider_type=Provider.CONNECTION.value,
        git_configuration=codepipeline.PipelineTriggerGitConfigurationArgs(
            source_action_name=source_action, pushes=[push]
        ),
    )


def _given(patterns: Sequence[str]) -> list[str] | None:
    """Only a list that holds something: CodePipeline refuses an empty one."""
    return list(patterns) or None

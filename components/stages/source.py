"""Source: a commit on GitHub, an image in ECR, or both."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import pulumi
from pulumi_aws import codeconnections

from components.iam import Statement
from components.pipeline_model import Action, Artifact, Category, GitTrigger, ImagePushTrigger, Provider
from components.settings import Settings, Source
from components.settings.source import Ecr, Github
from components.stages.stage import Stage, StageContext
from components.stages.variables import SOURCE, SOURCE_IMAGE


class SourceStage(Stage):
    """Where a run starts, and what starts it."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Source"
    NAME: ClassVar[str] = "Source"

    connection_arn: pulumi.Output[str] | None = None
    """The connection to GitHub, when there is a GitHub source."""

    def __init__(
        self, name: str, args: Source, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        actions: list[Action] = []
        grants: list[Statement] = []
        if args.github is not None:
            self.connection_arn = self._connection(args.github)
            actions.append(self._commit(args.github, self.connection_arn))
            grants.extend(_use_connection(self.connection_arn, args.github.repository))
        if args.ecr is not None and context.registry.source is not None:
            actions.append(_image(args.ecr))
            grants.append(
                Statement(
                    sid="FindSourceImage",
                    actions=("ecr:DescribeImages",),
                    resources=(context.registry.source.arn,),
                )
            )
        self.actions = tuple(actions)
        self.grants = tuple(grants)
        self.register_outputs({"connectionArn": self.connection_arn})

    @classmethod
    def wanted(cls, settings: Settings) -> Source:
        """Every pipeline has a source."""
        return settings.source

    def _connection(self, github: Github) -> pulumi.Output[str]:
        if github.connection_arn is not None:
            return pulumi.Output.from_input(github.connection_arn)
        connection = codeconnections.Connection(
            f"{self._name}-connection",
            name=self._context.prefix,
            provider_type="GitHub",
            tags=self._context.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        region = self._context.artifacts.account.region
        self.notes = (
            pulumi.Output.format(
                "Connect GitHub: open https://{0}.console.aws.amazon.com/codesuite/settings/connections?region={0}, "
                "choose {1} and then 'Update pending connection'. The pipeline's first run, which starts by itself, "
                "fails before that; start the next with: aws codepipeline start-pipeline-execution --name {1}",
                region,
                self._context.prefix,
            ),
        )
        return connection.arn

    @staticmethod
    def _commit(github: Github, connection_arn: pulumi.Output[str]) -> Action:
        return Action(
            name=SOURCE,
            category=Category.SOURCE,
            provider=Provider.CONNECTION,
            configuration={
                "ConnectionArn": connection_arn,
                "FullRepositoryId": github.repository,
                "BranchName": github.branch,
                "OutputArtifactFormat": "CODE_ZIP",
                # The explicit trigger decides; both together would start two runs.
                "DetectChanges": "false",
            },
            writes=(Artifact.SOURCE,),
            namespace=SOURCE,
            trigger=GitTrigger(
                branch=github.branch,
                paths=tuple(github.paths.include),
                ignored_paths=tuple(github.paths.exclude),
                tags=tuple(github.tags.include),
                ignored_tags=tuple(github.tags.exclude),
            ),
        )


def _image(source: Ecr) -> Action:
    return Action(
        name=SOURCE_IMAGE,
        category=Category.SOURCE,
        provider=Provider.ECR,
        configuration={"RepositoryName": source.repository, "ImageTag": source.tag},
        writes=(Artifact.SOURCE_IMAGE,),
        namespace=SOURCE_IMAGE,
        trigger=ImagePushTrigger(repository=source.repository, tag=source.tag),
    )


def _use_connection(connection_arn: pulumi.Output[str], repository: str) -> tuple[Statement, ...]:
    """Return permission to use the connection for this repository, and for no other where one is named.

    Both services answer for the same connection, depending on its age and on who asks
    (awslabs/landing-zone-accelerator-on-aws#828). Each action goes with the ARN of its own prefix; IAM would ignore it
    on the other. CodePipeline first uses the connection without naming a repository, which the condition lets pass
    (cloudposse/terraform-aws-ecs-codepipeline#75; https://docs.aws.amazon.com/dtconsole/latest/userguide/
    security-iam.html#permissions-reference-connections: supported only when a specific repository is accessed).
    """
    return tuple(
        Statement(
            sid=sid,
            actions=(f"{service}:UseConnection",),
            resources=(connection_arn.apply(partial(_with_service, service)),),
            conditions={"StringEqualsIfExists": {f"{service}:FullRepositoryId": repository}},
        )
        for sid, service in (
            ("UseConnection", "codeconnections"),
            ("UseConnectionByOldName", "codestar-connections"),
        )
    )


def _with_service(service: str, arn: str) -> str:
    parts = arn.split(":")
    return ":".join([*parts[:2], service, *parts[3:]])

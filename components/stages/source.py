"""Source: a commit on GitHub, an image in ECR, or both."""

from __future__ import annotations

from typing import ClassVar

import pulumi

from components.connection import Connection
from components.iam import Statement
from components.pipeline_model import (
    CLONE_REFERENCE,
    Action,
    Artifact,
    Category,
    GitTrigger,
    ImagePushTrigger,
    Provider,
)
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
        if args.github is not None and context.connection is not None:
            self.connection_arn = context.connection.arn
            if context.connection.made:
                self.notes = (self._handshake(),)
            actions.append(_commit(args.github, context.connection))
            grants.extend(context.connection.fetch())
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

    def _handshake(self) -> pulumi.Output[str]:
        """What a person has to do before a connection that this stack makes can be used."""
        return pulumi.Output.format(
            "Connect GitHub: open https://{0}.console.aws.amazon.com/codesuite/settings/connections?region={0}, "
            "choose {1} and then 'Update pending connection'. The pipeline's first run, which starts by itself, "
            "fails before that; start the next with: aws codepipeline start-pipeline-execution --name {1}",
            self._context.artifacts.account.region,
            self._context.prefix,
        )


def _commit(github: Github, connection: Connection) -> Action:
    return Action(
        name=SOURCE,
        category=Category.SOURCE,
        provider=Provider.CONNECTION,
        configuration={
            "ConnectionArn": connection.arn,
            "FullRepositoryId": github.repository,
            "BranchName": github.branch,
            "OutputArtifactFormat": CLONE_REFERENCE if connection.full_clone else "CODE_ZIP",
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

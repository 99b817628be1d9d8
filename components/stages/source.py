"""Source: a commit in a Git repository, an image in ECR, or both."""

from __future__ import annotations

from typing import ClassVar

import pulumi

from components.foundation.commands import aws_command
from components.foundation.iam import Statement
from components.pipeline.connection import Connection
from components.pipeline.model import (
    CLONE_REFERENCE,
    Action,
    Artifact,
    Category,
    GitTrigger,
    ImagePushTrigger,
    Provider,
)
from components.pipeline.variables import SOURCE, SOURCE_IMAGE
from components.settings import SourceSection
from components.settings.sections.source import CodeSection, EcrSection
from components.stages.stage import SharedFacts, Stage, StageContext


class SourceStage(Stage[SourceSection, SourceSection]):
    """Where a run starts, and what starts it."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Source"
    NAME: ClassVar[str] = "Source"
    SECTION: ClassVar[str] = "source"

    connection_arn: pulumi.Output[str] | None = None
    """The connection to the Git provider, when there is code."""

    def __init__(
        self, name: str, args: SourceSection, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        actions: list[Action] = []
        grants: list[Statement] = []
        notes: list[pulumi.Input[str]] = []
        code, connection = args.code, context.connection
        if code is not None and connection is not None:
            self.connection_arn = connection.arn
            actions.append(_commit(code, connection))
            grants.extend(connection.fetch())
            notes.extend(
                self._handshake(code.PROVIDER, connection.arn)
                if connection.made
                else [self._availability(connection.arn)]
            )
            notes.append(_what_starts_it(code))
        if args.ecr is not None and context.registry.source is not None:
            actions.append(_image(args.ecr))
            notes.append(self._first_image(args.ecr))
            grants.append(
                Statement(
                    sid="FindSourceImage",
                    actions=("ecr:DescribeImages",),
                    resources=(context.registry.source.arn,),
                )
            )
        self.actions = tuple(actions)
        self.grants = tuple(grants)
        self.notes = tuple(notes)
        self.register_outputs({"connectionArn": self.connection_arn})

    @classmethod
    def wanted(cls, section: SourceSection, shared: SharedFacts) -> SourceSection:  # noqa: ARG003 - as every stage
        """Every pipeline has a source."""
        return section

    def _handshake(self, provider: str, connection_arn: pulumi.Output[str]) -> list[pulumi.Output[str]]:
        """Return what only a person can do with a new connection, in order.

        A trigger that is registered while the connection is PENDING may never be told of a push, and nothing that
        Pulumi could change is wrong then: https://github.com/pulumi/pulumi-aws/issues/2167,
        https://github.com/aws-ia/terraform-aws-control_tower_account_factory/issues/589. Saving the pipeline once more
        is what can be done from outside; no page of AWS describes the case.
        """
        region, pipeline = self._context.foundation.region, self._context.foundation.prefix
        get = aws_command("codepipeline", "get-pipeline", region=region, name=pipeline, query="pipeline", output="json")
        update = aws_command("codepipeline", "update-pipeline", region=region, pipeline=f"file://{pipeline}.json")
        return [
            pulumi.Output.format(
                "Connect {2}: open https://{0}.console.aws.amazon.com/codesuite/settings/connections?region={0}, "
                "choose {1} and then 'Update pending connection'. The pipeline's first run, which starts by itself, "
                "fails before that.",
                region,
                pipeline,
                provider,
            ),
            self._availability(connection_arn),
            pulumi.Output.concat(
                "If a push starts nothing although the connection is AVAILABLE, register the trigger again, by saving "
                "the pipeline as it is: ",
                get,
                f" > {pipeline}.json && ",
                update,
            ),
            pulumi.Output.concat("Start the next run: ", self._start()),
        ]

    def _availability(self, connection_arn: pulumi.Output[str]) -> pulumi.Output[str]:
        return pulumi.Output.concat(
            "Check that the connection is AVAILABLE, because no run gets past its source before: ",
            aws_command(
                "codeconnections",
                "get-connection",
                region=connection_arn.apply(lambda arn: arn.split(":")[3]),
                connection_arn=connection_arn,
                query="Connection.ConnectionStatus",
                output="text",
            ),
        )

    def _first_image(self, source: EcrSection) -> pulumi.Output[str]:
        return pulumi.Output.concat(
            f"The first run, which starts by itself, fails while no image in {source.repository} has the tag "
            f"{source.tag}. {_what_arrives(source)} starts a run; to start one by hand: ",
            self._start(),
        )

    def _start(self) -> pulumi.Output[str]:
        context = self._context
        return aws_command(
            "codepipeline", "start-pipeline-execution", region=context.foundation.region, name=context.foundation.prefix
        )


def _commit(code: CodeSection, connection: Connection) -> Action:
    return Action(
        name=SOURCE,
        category=Category.SOURCE,
        provider=Provider.CONNECTION,
        configuration={
            "ConnectionArn": connection.arn,
            "FullRepositoryId": code.repository,
            "BranchName": code.branch,
            "OutputArtifactFormat": CLONE_REFERENCE if connection.full_clone else "CODE_ZIP",
            # The explicit trigger decides; both together would start two runs.
            "DetectChanges": "false",
        },
        writes=(Artifact.SOURCE,),
        namespace=SOURCE,
        trigger=GitTrigger(
            branch=code.branch,
            branches=tuple(code.branches.include),
            ignored_branches=tuple(code.branches.exclude),
            paths=tuple(code.paths.include),
            ignored_paths=tuple(code.paths.exclude),
            tags=tuple(code.tags.include),
            ignored_tags=tuple(code.tags.exclude),
        ),
    )


def _what_starts_it(code: CodeSection) -> str:
    """Return which pushes start the pipeline: a branch of another name starts nothing, and nothing says so."""
    key = f"source.{code.key()}"
    if code.tags.include or code.tags.exclude:
        return f"A push of a git tag to {code.repository} starts the pipeline, where {key}.tags lets it pass."
    filtered = f", where {key}.paths lets it pass" if code.paths.include or code.paths.exclude else ""
    if code.branches.include or code.branches.exclude:
        return (
            f"A push to a branch of {code.repository} that {key}.branches lets pass starts the pipeline{filtered}. A "
            f"run that is started by hand takes the branch {code.branch}."
        )
    return (
        f"A push to the branch {code.branch} of {code.repository} starts the pipeline{filtered}. Name another "
        f"branch in {key}.branch."
    )


def _what_arrives(source: EcrSection) -> str:
    """Return which arrivals start the pipeline: with any other nothing happens, and nothing says so."""
    tag = f"a tag that matches {source.tag_pattern}" if source.tag_pattern else "that tag"
    return {
        "push": f"Each push of {tag}",
        "replication": f"Each replication of {tag}, by a rule of the registry that the image comes from,",
        "pullThroughCache": f"Each pull through the cache that brings a new image of {tag}",
    }[source.arrives_by]


def _image(source: EcrSection) -> Action:
    return Action(
        name=SOURCE_IMAGE,
        category=Category.SOURCE,
        provider=Provider.ECR,
        configuration={"RepositoryName": source.repository, "ImageTag": source.tag},
        writes=(Artifact.SOURCE_IMAGE,),
        namespace=SOURCE_IMAGE,
        trigger=ImagePushTrigger(
            repository=source.repository, tag=source.tag_pattern or source.tag, arrives_by=source.arrives_by
        ),
    )

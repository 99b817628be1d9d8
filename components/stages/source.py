"""Source: a commit in a Git repository or an archive in a bucket, an image in ECR, or both."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import ClassVar

import pulumi

from components.foundation.commands import aws_command
from components.foundation.iam import Statement
from components.foundation.open_steps import unless
from components.pipeline.connection import Connection
from components.pipeline.model import (
    CLONE_REFERENCE,
    Action,
    Artifact,
    Category,
    GitTrigger,
    ImagePushTrigger,
    Provider,
    UploadTrigger,
)
from components.pipeline.variables import SOURCE, SOURCE_IMAGE
from components.settings import SourceSection
from components.settings.sections.source import EcrSection, GitSection, S3Section
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
        notes: list[pulumi.Input[str | None]] = []
        git, connection = args.git, context.connection
        if git is not None and connection is not None:
            self.connection_arn = connection.arn
            actions.append(_commit(git, connection))
            grants.extend(connection.fetch())
            if connection.status is None:
                notes.append(self._availability(connection.arn))
            else:
                status = connection.status
                notes.extend(
                    unless(status, "AVAILABLE", step) for step in self._handshake(git.PROVIDER, connection.arn)
                )
            notes.extend(_branch_to_check(git))
        if args.s3 is not None:
            actions.append(_archive(args.s3))
            grants.extend(self._fetch(args.s3))
            notes.extend(self._events(args.s3))
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

    def _fetch(self, source: S3Section) -> list[Statement]:
        """Return permission to fetch the object, and to keep its tags, where it has some, on the artifact.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html,
        https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        """
        account = self._context.foundation.account
        own = {"StringEquals": {"aws:ResourceAccount": account.id}}
        statements = [
            Statement(
                sid="FetchUploadedCode",
                actions=("s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"),
                resources=(account.arn("s3", f"{source.bucket}/{source.object_key}", region="", account_id=""),),
                conditions=own,
            ),
            Statement(
                sid="FindUploadedCode",
                actions=("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"),
                resources=(account.arn("s3", source.bucket, region="", account_id=""),),
                conditions=own,
            ),
            self._context.artifacts.keep_tags(),
        ]
        if source.kms_key_arn:
            statements.append(
                Statement(sid="DecryptUploadedCode", actions=("kms:Decrypt",), resources=(source.kms_key_arn,))
            )
        return statements

    def _events(self, source: S3Section) -> list[pulumi.Output[str]]:
        """Return what the bucket's owner has to see to, since only the owner of a bucket configures it.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html: what is put
        replaces what is there.
        """
        region = self._context.foundation.region
        ask = aws_command("s3api", "get-bucket-notification-configuration", region=region, bucket=source.bucket)
        version = aws_command(
            "s3api",
            "put-bucket-versioning",
            region=region,
            bucket=source.bucket,
            versioning_configuration="Status=Enabled",
        )
        send = aws_command(
            "s3api",
            "put-bucket-notification-configuration",
            region=region,
            bucket=source.bucket,
            notification_configuration="EventBridgeConfiguration={}",
        )
        return [
            pulumi.Output.concat(
                f"Have {source.bucket} keep the versions of its objects, without which no run gets past its source: ",
                version,
            ),
            pulumi.Output.concat(
                f"See what {source.bucket} sends elsewhere, because the next command replaces all of it: ", ask
            ),
            pulumi.Output.concat(
                f"Have {source.bucket} send its events to EventBridge, without which an upload starts nothing. If the "
                "command before has printed something, put EventBridgeConfiguration into that instead: ",
                send,
            ),
            pulumi.Output.concat(
                f"The first run, which starts by itself, fails while {source.bucket} has no {source.object_key}. Each "
                "upload of it starts a run; to start one of the newest by hand: ",
                self._start(),
            ),
        ]

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


def _commit(code: GitSection, connection: Connection) -> Action:
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


def _branch_to_check(code: GitSection) -> Iterator[str]:
    """Yield a branch that the stack file does not name: where the repository's is another one, nothing ever starts."""
    filters = (code.tags, code.branches)
    if "branch" in code.model_fields_set or any(each.include or each.exclude for each in filters):
        return
    ask = shlex.join(["git", "ls-remote", "--symref", f"{code.server_url}/{code.repository}", "HEAD"])
    yield (
        f"Check that {code.repository} has the branch {code.branch}, because pushes to it start the pipeline; name "
        f"another one in source.{code.key()}.branch: {ask}"
    )


def _archive(source: S3Section) -> Action:
    return Action(
        name=SOURCE,
        category=Category.SOURCE,
        provider=Provider.S3,
        configuration={
            "S3Bucket": source.bucket,
            "S3ObjectKey": source.object_key,
            # The rule decides; both together would start two runs.
            "PollForSourceChanges": "false",
        },
        writes=(Artifact.SOURCE,),
        namespace=SOURCE,
        trigger=UploadTrigger(bucket=source.bucket, object_key=source.object_key),
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

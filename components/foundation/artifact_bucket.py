"""The S3 bucket that every stage's artifacts pass through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import pulumi
from pulumi_aws import s3

from components.foundation.access_log_bucket import AccessLogBucket, of_bucket
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement
from components.foundation.private_bucket import bucket_policy, private_bucket


class ArtifactBucket(pulumi.ComponentResource):
    """A private, versioned bucket, encrypted with the stack's key, readable by this account only.

    The pipeline's role gets :meth:`read_write`, that of a build :meth:`exchange`; the bucket's own policy only takes
    away: plain HTTP, other accounts, objects under another key.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:ArtifactBucket"

    name: pulumi.Output[str]
    """The bucket's name."""
    arn: pulumi.Output[str]
    """The bucket's ARN."""
    bucket_policy: pulumi.Resource
    """What must exist before the first object is written."""

    def __init__(
        self,
        name: str,
        foundation: Foundation,
        opts: pulumi.ResourceOptions | None = None,
        *,
        access_logs: bool = False,
    ) -> None:
        """Make the bucket.

        Args:
            name: Starts every Pulumi name.
            foundation: What it is made with.
            opts: Options of the component.
            access_logs: Whether every request is logged, into a bucket of its own.
        """
        super().__init__(self.TYPE, name, {}, opts)
        self._foundation = foundation
        self._prefix = artifact_prefix(foundation.prefix)
        child = pulumi.ResourceOptions(parent=self, protect=foundation.protect)

        bucket = private_bucket(name, self, foundation)
        self.name = bucket.bucket
        self.arn = bucket.arn
        s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": foundation.key.arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=child,
        )
        s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "expire-artifacts",
                    "status": "Enabled",
                    # Only CodePipeline's artifacts: the task definition's template must outlive them.
                    "filter": {"prefix": f"{self._prefix}/"},
                    "expiration": {"days": foundation.artifact_days},
                },
                {
                    "id": "expire-what-was-replaced",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": foundation.artifact_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
                },
            ],
            opts=child,
        )
        self.bucket_policy = bucket_policy(name, self, bucket, foundation, self._own_statements())
        if access_logs:
            self._log(name, bucket)
        self.register_outputs({"bucket": self.name})

    def _log(self, name: str, bucket: s3.Bucket) -> None:
        logs = AccessLogBucket(
            f"{name}-access-logs",
            of_bucket(self._foundation, bucket.arn, "artifacts"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        s3.BucketLogging(
            f"{name}-logging",
            bucket=bucket.bucket,
            target_bucket=logs.name,
            target_prefix="artifacts/",
            opts=pulumi.ResourceOptions(parent=self, protect=self._foundation.protect, depends_on=[logs.policy]),
        )

    def read_write(self) -> tuple[Statement, ...]:
        """Return the pipeline's permission to exchange all artifacts; the rest of the bucket stays out of reach.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html. CodePipeline stores what a
        source action fetched with an access control list, which needs a permission of its own although the bucket has
        lists disabled (aws-cdk#13557).
        """
        return (
            Statement(
                sid="ExchangeArtifacts",
                actions=("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl"),
                resources=(self._object(f"{self._prefix}/*"),),
            ),
            Statement(
                sid="FindArtifactBucket",
                actions=("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket"),
                resources=(self.arn,),
            ),
            self._use_key("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
        )

    def keep_tags(self) -> Statement:
        """Return permission to keep the tags of an object that becomes an artifact, for the pipeline's role.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        """
        return Statement(
            sid="KeepTags",
            actions=("s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"),
            resources=(self._object(f"{self._prefix}/*"),),
        )

    def exchange(self, *, reads: Iterable[str], writes: Iterable[str]) -> tuple[Statement, ...]:
        """Return a build's permission to fetch its input artifacts and to store its output.

        Actions on the bucket: https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html.
        Uses of the key: https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-kms.html; nothing shows that
        CodeBuild works without ``kms:DescribeKey`` and, where it stores an output, ``kms:Encrypt``.

        Args:
            reads: The names of the artifacts that its action reads.
            writes: Of those that it writes.
        """
        output = [self._object(f"{artifact_folder(self._prefix, name)}/*") for name in writes]
        return (
            Statement(
                sid="ReadArtifacts",
                actions=("s3:GetObject", "s3:GetObjectVersion"),
                resources=tuple(self._object(f"{artifact_folder(self._prefix, name)}/*") for name in reads),
            ),
            *((Statement(sid="WriteArtifacts", actions=("s3:PutObject",), resources=tuple(output)),) if output else ()),
            Statement(
                sid="FindArtifactBucket", actions=("s3:GetBucketAcl", "s3:GetBucketLocation"), resources=(self.arn,)
            ),
            self._use_key(
                "kms:Decrypt", "kms:DescribeKey", *(("kms:Encrypt", "kms:GenerateDataKey") if output else ())
            ),
        )

    def _object(self, key: str) -> pulumi.Output[str]:
        return self.arn.apply(lambda arn: f"{arn}/{key}")

    def _use_key(self, *actions: str, sid: str = "UseArtifactKey") -> Statement:
        return Statement(sid=sid, actions=actions, resources=(self._foundation.key.arn,))

    def store(
        self,
        name: str,
        key: str,
        content: pulumi.Input[str] | pulumi.Asset,
        *,
        content_type: str,
        parent: pulumi.Resource,
        retain: bool = False,
    ) -> pulumi.Output[str]:
        """Keep one object outside the artifacts, which expire and which builds may write.

        Args:
            name: Pulumi's name of the object.
            key: Its key; no pipeline's name starts with the underscore that this begins with.
            content: A text, or an asset, which the state holds by its hash only.
            content_type: Its media type.
            parent: The component it belongs to.
            retain: Whether it stays in the bucket when it is replaced or no longer declared.

        Returns:
            its ``s3://`` address.
        """
        stored = s3.BucketObjectv2(
            name,
            bucket=self.name,
            key=key,
            content=None if isinstance(content, pulumi.Asset) else content,
            source=content if isinstance(content, pulumi.Asset) else None,
            content_type=content_type,
            tags=self._foundation.tags,
            opts=pulumi.ResourceOptions(
                parent=parent, depends_on=[self.bucket_policy], retain_on_delete=retain or None
            ),
        )
        return pulumi.Output.concat("s3://", self.name, "/", stored.key)

    def read(self, sid: str, key: str) -> Statement:
        """Permission to read one object outside the artifacts."""
        return Statement(sid=sid, actions=("s3:GetObject",), resources=(self._object(key),))

    def keep(self, what: str, folder: str) -> tuple[Statement, ...]:
        """Return permission to keep objects in a folder outside the artifacts, which do not expire, and to list it.

        Who may not list is not told that an object is missing:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

        Args:
            what: What is kept, for the statements' sids.
            folder: The folder; no pipeline's name starts with the underscore that this begins with.
        """
        return (
            Statement(
                sid=f"Keep{what}", actions=("s3:GetObject", "s3:PutObject"), resources=(self._object(f"{folder}/*"),)
            ),
            Statement(
                sid=f"Find{what}",
                actions=("s3:ListBucket",),
                resources=(self.arn,),
                conditions={"StringLike": {"s3:prefix": f"{folder}/*"}},
            ),
            self._use_key("kms:GenerateDataKey", sid=f"Encrypt{what}"),
        )

    def _own_statements(self) -> list[dict[str, Any]]:
        objects = self.arn.apply(lambda arn: f"{arn}/*")
        return [
            {
                "Sid": "DenyOtherAccounts",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [self.arn, objects],
                "Condition": {
                    "StringNotEquals": {"aws:PrincipalAccount": self._foundation.account.id},
                    "Bool": {"aws:PrincipalIsAWSService": "false"},
                },
            },
            {
                "Sid": "DenyOtherKeys",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": [objects],
                # An upload that names no encryption gets the bucket's own; one that does must name our key.
                "Condition": {
                    "Null": {"s3:x-amz-server-side-encryption": "false"},
                    "ArnNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": self._foundation.key.arn},
                },
            },
        ]


def artifact_prefix(pipeline_name: str) -> str:
    """The folder CodePipeline keeps a pipeline's artifacts in: it cuts the name at 20 characters."""
    return pipeline_name[:20]


def artifact_folder(pipeline_name: str, artifact_name: str) -> str:
    """The folder CodePipeline keeps an artifact's objects in: it cuts the artifact's name at 10 characters.

    AWS's examples have ``myPipeline/SourceArti/...`` of an artifact named SourceArtifact:
    https://docs.aws.amazon.com/code-library/latest/ug/cli_2_codepipeline_code_examples.html
    and the CLI's own of CodeBuild ``CodeBuild-Python-Pip/SourceArti/...``, whose pipeline has exactly 20 characters:
    https://github.com/aws/aws-cli/blob/develop/awscli/examples/codebuild/batch-get-builds.rst
    """
    return f"{artifact_prefix(pipeline_name)}/{artifact_name[:10]}"

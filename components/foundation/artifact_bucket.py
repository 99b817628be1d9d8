"""The S3 bucket that every stage's artifacts pass through."""

from __future__ import annotations

from typing import Any, ClassVar

import pulumi
from pulumi_aws import s3

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement
from components.foundation.private_bucket import bucket_policy, private_bucket


class ArtifactBucket(pulumi.ComponentResource):
    """A private, versioned bucket, encrypted with the stack's key, readable by this account only.

    The roles that may use it get :meth:`read_write`; the bucket's
    own policy only takes away: plain HTTP, other accounts, objects under another key.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:ArtifactBucket"

    name: pulumi.Output[str]
    """The bucket's name."""
    arn: pulumi.Output[str]
    """The bucket's ARN."""
    bucket_policy: pulumi.Resource
    """What must exist before the first object is written."""

    def __init__(self, name: str, foundation: Foundation, opts: pulumi.ResourceOptions | None = None) -> None:
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
        self.register_outputs({"bucket": self.name})

    def read_write(self, *, as_pipeline: bool = False) -> tuple[Statement, ...]:
        """Return permission to exchange artifacts; the rest of the bucket stays out of reach.

        Args:
            as_pipeline: Whether the role is the pipeline's: CodePipeline stores what a source action fetched with an
                access control list, which needs a permission of its own although the bucket has lists disabled
                (aws-cdk#13557; https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html).
        """
        sets_acl = ("s3:PutObjectAcl",) if as_pipeline else ()
        return (
            Statement(
                sid="ExchangeArtifacts",
                actions=("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", *sets_acl),
                resources=(self.arn.apply(lambda arn: f"{arn}/{self._prefix}/*"),),
            ),
            Statement(
                sid="FindArtifactBucket",
                # GetBucketAcl: AWS's policies for the service roles of CodePipeline and of CodeBuild have it.
                # https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
                actions=("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket"),
                resources=(self.arn,),
            ),
            Statement(
                sid="UseArtifactKey",
                actions=("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
                resources=(self._foundation.key.arn,),
            ),
        )

    def keep_tags(self) -> Statement:
        """Return permission to keep the tags of an object that becomes an artifact, for the pipeline's role.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        """
        return Statement(
            sid="KeepTags",
            actions=("s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"),
            resources=(self.arn.apply(lambda arn: f"{arn}/{self._prefix}/*"),),
        )

    def read_artifacts(self) -> tuple[Statement, ...]:
        """Return permission to read artifacts, for a build that writes none."""
        return (
            Statement(
                sid="ReadArtifacts",
                actions=("s3:GetObject", "s3:GetObjectVersion"),
                resources=(self.arn.apply(lambda arn: f"{arn}/{self._prefix}/*"),),
            ),
            Statement(
                sid="FindArtifactBucket",
                actions=("s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning"),
                resources=(self.arn,),
            ),
            Statement(
                sid="UseArtifactKey",
                actions=("kms:Decrypt", "kms:DescribeKey"),
                resources=(self._foundation.key.arn,),
            ),
        )

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
        return Statement(sid=sid, actions=("s3:GetObject",), resources=(self.arn.apply(lambda arn: f"{arn}/{key}"),))

    def keep(self, sid: str, folder: str) -> Statement:
        """Return permission to keep objects in a folder outside the artifacts, where they do not expire.

        Args:
            sid: Why.
            folder: The folder; no pipeline's name starts with the underscore that this begins with.
        """
        return Statement(
            sid=sid,
            actions=("s3:GetObject", "s3:PutObject"),
            resources=(self.arn.apply(lambda arn: f"{arn}/{folder}/*"),),
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

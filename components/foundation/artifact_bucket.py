"""The S3 bucket that every stage's artifacts pass through, and the key that everything of a stack is encrypted with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pulumi
from pulumi_aws import kms, s3

from components.foundation.account import AwsAccount
from components.foundation.iam import Statement, resource_policy
from components.foundation.private_bucket import bucket_policy, private_bucket


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactBucketArgs:
    """What distinguishes one artifact bucket from another.

    Attributes:
        pipeline_name: CodePipeline stores artifacts under the first 20 characters of it.
        expire_after_days: Artifacts are deleted after so many days; other objects stay.
        protect: Pulumi refuses to delete bucket and key, and a bucket that is not empty is kept.
        tags: Tags of bucket and key.
    """

    pipeline_name: str
    expire_after_days: int
    protect: bool
    tags: Mapping[str, str]


class ArtifactBucket(pulumi.ComponentResource):
    """A private, versioned bucket, encrypted with a key of its own, readable by this account only.

    The roles that may use it get :meth:`read_write`; the bucket's
    own policy only takes away: plain HTTP, other accounts, objects under another key.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:ArtifactBucket"

    name: pulumi.Output[str]
    """The bucket's name."""
    arn: pulumi.Output[str]
    """The bucket's ARN."""
    key_arn: pulumi.Output[str]
    """ARN of the KMS key; an alias would resolve in the caller's account, an ARN does not."""
    account: AwsAccount
    """Where the bucket lives."""
    key_policy: pulumi.Resource
    """What must exist before a log group can use the key."""
    bucket_policy: pulumi.Resource
    """What must exist before the first object is written."""

    def __init__(self, name: str, args: ArtifactBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._prefix = artifact_prefix(args.pipeline_name)
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect)
        child = pulumi.ResourceOptions(parent=self)

        key = kms.Key(
            f"{name}-key",
            description=f"Artifacts, images and logs of the pipeline {args.pipeline_name}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if args.protect else 7,
            tags=args.tags,
            opts=kept,
        )
        self.key_arn = key.arn
        self.account = AwsAccount(key.arn)
        self.key_policy = kms.KeyPolicy(f"{name}-key-policy", key_id=key.key_id, policy=self._key_policy(), opts=child)

        bucket = private_bucket(name, self, protect=args.protect, tags=args.tags)
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
                        "kms_master_key_id": key.arn,
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
                    "expiration": {"days": args.expire_after_days},
                },
                {
                    "id": "expire-what-was-replaced",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": args.expire_after_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
                },
            ],
            opts=child,
        )
        self.bucket_policy = bucket_policy(name, self, bucket, self._own_statements())
        self.register_outputs({"bucket": self.name, "keyArn": self.key_arn})

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
                resources=(self.key_arn,),
            ),
        )

    def store(
        self,
        name: str,
        key: str,
        content: pulumi.Input[str] | pulumi.Asset,
        *,
        content_type: str,
        tags: Mapping[str, str],
        parent: pulumi.Resource,
        retain: bool = False,
    ) -> pulumi.Output[str]:
        """Keep one object outside the artifacts, which expire and which builds may write.

        Args:
            name: Pulumi's name of the object.
            key: Its key; no pipeline's name starts with the underscore that this begins with.
            content: A text, or an asset, which the state holds by its hash only.
            content_type: Its media type.
            tags: Tags of the object.
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
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=parent, depends_on=[self.bucket_policy], retain_on_delete=retain or None
            ),
        )
        return pulumi.Output.concat("s3://", self.name, "/", stored.key)

    def read(self, sid: str, key: str) -> Statement:
        """Permission to read one object outside the artifacts."""
        return Statement(sid=sid, actions=("s3:GetObject",), resources=(self.arn.apply(lambda arn: f"{arn}/{key}"),))

    def _key_policy(self) -> pulumi.Output[str]:
        account = self.account
        root = account.arn("iam", "root", region="")
        return resource_policy(
            [
                {
                    # Without it nobody could ever change the key again:
                    # https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
                    "Sid": "AccountDecidesByIam",
                    "Effect": "Allow",
                    "Principal": {"AWS": root},
                    "Action": "kms:*",
                    "Resource": "*",
                },
                {
                    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
                    "Sid": "EncryptLogsOfThisAccount",
                    "Effect": "Allow",
                    "Principal": {"Service": account.service_principal("logs")},
                    "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                    "Resource": "*",
                    "Condition": {
                        "ArnLike": {"kms:EncryptionContext:aws:logs:arn": account.arn("logs", "log-group:*")}
                    },
                },
            ]
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
                    "StringNotEquals": {"aws:PrincipalAccount": self.account.id},
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
                    "ArnNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": self.key_arn},
                },
            },
        ]


def artifact_prefix(pipeline_name: str) -> str:
    """The folder CodePipeline keeps a pipeline's artifacts in: it cuts the name at 20 characters."""
    return pipeline_name[:20]

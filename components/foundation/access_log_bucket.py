"""The bucket that a load balancer or another bucket has its access logs written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pulumi
from pulumi_aws import s3

from components.foundation.foundation import Foundation
from components.foundation.private_bucket import bucket_policy, private_bucket


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessLogBucketArgs:
    """What distinguishes one bucket of access logs from another.

    Attributes:
        foundation: What it is made with.
        writer: The service that writes the logs.
        folder: Where in the bucket it writes them.
        conditions: What a request of it must meet, as IAM's ``Condition``.
    """

    foundation: Foundation
    writer: str
    folder: pulumi.Input[str]
    conditions: Mapping[str, object] = field(default_factory=dict)


def of_load_balancers(foundation: Foundation) -> AccessLogBucketArgs:
    """The bucket of load balancers; the account in the path keeps those of others out.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    """
    return AccessLogBucketArgs(
        foundation=foundation,
        writer="logdelivery.elasticloadbalancing.amazonaws.com",
        folder=pulumi.Output.concat("AWSLogs/", foundation.account.id),
    )


def of_bucket(foundation: Foundation, bucket: pulumi.Input[str], folder: str) -> AccessLogBucketArgs:
    """The bucket of another bucket's server access logs.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html

    Args:
        foundation: What it is made with.
        bucket: ARN of the bucket whose requests are logged.
        folder: Where the logs are written.
    """
    return AccessLogBucketArgs(
        foundation=foundation,
        writer="logging.s3.amazonaws.com",
        folder=folder,
        conditions={
            "ArnLike": {"aws:SourceArn": bucket},
            "StringEquals": {"aws:SourceAccount": foundation.account.id},
        },
    )


class AccessLogBucket(pulumi.ComponentResource):
    """A private bucket that one service adds objects to.

    Encrypted by S3's own keys: neither Elastic Load Balancing nor S3 itself writes access logs under any other.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:AccessLogBucket"

    name: pulumi.Output[str]
    """The bucket's name."""
    policy: pulumi.Resource
    """What must exist before anything is told to log here: AWS tries to write at once."""

    def __init__(self, name: str, args: AccessLogBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        foundation = args.foundation
        child = pulumi.ResourceOptions(parent=self, protect=foundation.protect)
        bucket = private_bucket(name, self, foundation)
        self.name = bucket.bucket
        s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        )
        s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "expire-logs",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": foundation.log_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
                }
            ],
            opts=child,
        )
        self.policy = bucket_policy(
            name,
            self,
            bucket,
            foundation,
            [
                {
                    "Sid": "AddAccessLogs",
                    "Effect": "Allow",
                    "Principal": {"Service": args.writer},
                    "Action": "s3:PutObject",
                    "Resource": pulumi.Output.concat(bucket.arn, "/", args.folder, "/*"),
                    **({"Condition": args.conditions} if args.conditions else {}),
                }
            ],
        )
        self.register_outputs({"bucket": self.name})

"""The bucket a load balancer writes its access logs to."""

from __future__ import annotations

from typing import ClassVar

import pulumi
from pulumi_aws import s3

from components.foundation.foundation import Foundation
from components.foundation.private_bucket import bucket_policy, private_bucket


class AccessLogBucket(pulumi.ComponentResource):
    """A private bucket that Elastic Load Balancing adds objects to.

    Encrypted by S3's own keys: load balancers can write under no other.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:AccessLogBucket"

    name: pulumi.Output[str]
    """The bucket's name."""
    policy: pulumi.Resource
    """What must exist before a load balancer is told to log: it tries to write at once."""

    def __init__(self, name: str, foundation: Foundation, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
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
        logs = pulumi.Output.all(bucket.arn, foundation.account.id).apply(
            lambda parts: f"{parts[0]}/AWSLogs/{parts[1]}/*"
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
                    "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                    "Action": "s3:PutObject",
                    # The account in the path keeps the load balancers of others out.
                    "Resource": logs,
                }
            ],
        )
        self.register_outputs({"bucket": self.name})

"""What every bucket of this program has, whatever it holds: no public access, no ACLs, no plain HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_aws import s3

from components.foundation.foundation import Foundation
from components.foundation.iam import resource_policy


def private_bucket(name: str, component: pulumi.ComponentResource, foundation: Foundation) -> s3.Bucket:
    """Make a component's bucket, closed to the public and owned by the account, whoever writes into it.

    Args:
        name: The component's name; the bucket becomes ``<name>-bucket``.
        component: What the bucket belongs to.
        foundation: Its tags, and whether the bucket is protected.
    """
    bucket = s3.Bucket(
        f"{name}-bucket",
        force_destroy=not foundation.protect,
        tags=foundation.tags,
        opts=pulumi.ResourceOptions(parent=component, protect=foundation.protect),
    )
    s3.BucketOwnershipControls(
        f"{name}-ownership",
        bucket=bucket.bucket,
        rule={"object_ownership": "BucketOwnerEnforced"},
        opts=pulumi.ResourceOptions(parent=component, protect=foundation.protect),
    )
    return bucket


def bucket_policy(
    name: str,
    component: pulumi.ComponentResource,
    bucket: s3.Bucket,
    foundation: Foundation,
    statements: Sequence[Mapping[str, Any]],
) -> s3.BucketPolicy:
    """Block public access, then set the policy: the statements, and that nobody comes over plain HTTP.

    Args:
        name: The component's name.
        component: What the bucket belongs to.
        bucket: The bucket.
        foundation: Whether the bucket is protected, and with it what keeps it closed.
        statements: What else the bucket's own policy says.
    """
    public_access = s3.BucketPublicAccessBlock(
        f"{name}-public-access",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=pulumi.ResourceOptions(parent=component, protect=foundation.protect),
    )
    deny_plain_http = {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.arn, bucket.arn.apply(lambda arn: f"{arn}/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return s3.BucketPolicy(
        f"{name}-policy",
        bucket=bucket.bucket,
        policy=resource_policy([deny_plain_http, *statements]),
        # S3 refuses two changes of a bucket's access at the same moment.
        opts=pulumi.ResourceOptions(parent=component, depends_on=[public_access], protect=foundation.protect),
    )

"""Foundation: name prefix, region, key, tags and retention, which all resources of a stack share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch

from components.foundation.account import AwsAccount
from components.foundation.encryption_key import EncryptionKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Foundation:
    """Where a stack lives, what its things are called, encrypted and tagged with, and how long they are kept.

    Attributes:
        prefix: ``<application>-<environment>``; starts every name in AWS that others must know.
        stack: The stack's name.
        region: The stack's region; known before anything is made where the stack file names it.
        key: What artifacts, images and logs are encrypted with.
        tags: Tags of all taggable resources.
        log_days: Log retention in days.
        artifact_days: Days after which artifacts are deleted.
        images: Number of tagged images to keep in each repository.
        protect: Whether Pulumi refuses to delete key, buckets, repositories, load balancer and service, and AWS
            those of them that are not empty, and the load balancer.
        permissions_boundary: ARN of the policy that bounds what every role made here may do; ``None`` for none.
    """

    prefix: str
    stack: str
    region: pulumi.Input[str]
    key: EncryptionKey
    tags: Mapping[str, str]
    log_days: int
    artifact_days: int
    images: int
    protect: bool
    permissions_boundary: str | None = None

    @property
    def account(self) -> AwsAccount:
        """The account that everything is made in."""
        return self.key.account

    def log_group(
        self, name: str, log_group: str, parent: pulumi.Resource, *, retained: bool = False
    ) -> cloudwatch.LogGroup:
        """Make a log group with the stack's log retention and key.

        Args:
            name: Pulumi's name of it.
            log_group: Its name in CloudWatch.
            parent: The component it belongs to.
            retained: Whether it stays in AWS when the stack has it no more.
        """
        return cloudwatch.LogGroup(
            name,
            name=log_group,
            retention_in_days=self.log_days,
            kms_key_id=self.key.arn,
            tags=self.tags,
            # CloudWatch Logs tries the key at once, so the key's policy must be there.
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[self.key.policy], retain_on_delete=retained),
        )

"""The KMS key that artifacts, images and logs of a stack are encrypted with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import kms

from components.foundation.account import AwsAccount
from components.foundation.iam import resource_policy


@dataclass(frozen=True, kw_only=True, slots=True)
class EncryptionKeyArgs:
    """What distinguishes one key from another.

    Attributes:
        prefix: ``<application>-<stack>``, for the key's description.
        protect: Pulumi refuses to delete the key and its policy, and a deleted key can be restored for 30 days instead
            of 7.
        tags: Tags of the key.
        formerly: Parent and name of the key in stacks that were made when it belonged to another component.
        encrypts_alarms: Whether alarms are published to a topic that is encrypted with it.
    """

    prefix: str
    protect: bool
    tags: Mapping[str, str]
    formerly: tuple[pulumi.Input[str], str] | None = None
    encrypts_alarms: bool = False


class EncryptionKey(pulumi.ComponentResource):
    """A key with yearly rotation, for this account's roles as IAM decides and for its log groups."""

    TYPE: ClassVar[str] = "ecs-delivery:index:EncryptionKey"

    arn: pulumi.Output[str]
    """The key's ARN; an alias would resolve in the caller's account, an ARN does not."""
    policy: pulumi.Resource
    """What must exist before a log group can use the key."""
    account: AwsAccount
    """Where the key lives."""

    def __init__(self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._formerly, self._args = args.formerly, args
        key = kms.Key(
            f"{name}-key",
            description=f"Artifacts, images and logs of the pipeline {args.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if args.protect else 7,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, aliases=self._formerly_named("")),
        )
        self.arn = key.arn
        self.account = AwsAccount(key.arn)
        self.policy = kms.KeyPolicy(
            f"{name}-key-policy",
            key_id=key.key_id,
            policy=self._policy(),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, aliases=self._formerly_named("-policy")),
        )
        self.register_outputs({"arn": self.arn})

    def _formerly_named(self, suffix: str) -> list[pulumi.Input[str | pulumi.Alias]]:
        if self._formerly is None:
            return []
        parent, name = self._formerly
        return [pulumi.Alias(name=f"{name}{suffix}", parent=parent)]

    def _policy(self) -> pulumi.Output[str]:
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
                *([self._for_alarms()] if self._args.encrypts_alarms else []),
            ]
        )

    def _for_alarms(self) -> dict[str, object]:
        """Let CloudWatch publish the stack's alarms to an encrypted topic.

        https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services. That
        CloudWatch, other than EventBridge, sends the keys of the condition is what a library of AWS relies on:
        https://aws.github.io/modern-data-architecture-accelerator/typedocs/functions/_aws-mdaa_cloudwatch-constructs.grantCloudWatchAlarmsTopicAccess.html
        """
        account = self.account
        return {
            "Sid": "EncryptAlarmsOfThisStack",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": account.id},
                "ArnLike": {"aws:SourceArn": account.arn("cloudwatch", f"alarm:{self._args.prefix}-*")},
            },
        }

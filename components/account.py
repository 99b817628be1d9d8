"""Partition, region and account, read off an ARN that AWS gave us instead of asking for them."""

from __future__ import annotations

import pulumi


class AwsAccount:
    """Where a stack's resources live, without a data-source call.

    Attributes:
        partition: ``aws``, ``aws-cn``, ``aws-us-gov``.
        region: For example ``eu-west-1``.
        id: Twelve digits.
    """

    partition: pulumi.Output[str]
    region: pulumi.Output[str]
    id: pulumi.Output[str]

    def __init__(self, arn: pulumi.Output[str]) -> None:
        """Read the account off ``arn``, a regional ARN such as that of a KMS key."""
        self.partition = arn.apply(lambda value: value.split(":")[1])
        self.region = arn.apply(lambda value: value.split(":")[3])
        self.id = arn.apply(lambda value: value.split(":")[4])

    def arn(self, service: str, resource: pulumi.Input[str], *, region: str | None = None) -> pulumi.Output[str]:
        """The ARN of a regional resource of this account whose name is known.

        Args:
            service: For example ``ecr``.
            resource: The part behind the account, for example ``repository/shop``.
            region: Another region than the stack's own.
        """
        return pulumi.Output.concat(
            "arn:", self.partition, ":", service, ":", region or self.region, ":", self.id, ":", resource
        )

    def role_arn(self, name_or_arn: str) -> pulumi.Output[str]:
        """The ARN of a role of this account given by name; an ARN is returned as it is."""
        if name_or_arn.startswith("arn:"):
            return pulumi.Output.from_input(name_or_arn)
        return pulumi.Output.concat("arn:", self.partition, ":iam::", self.id, ":role/", name_or_arn)

    def registry(self, account_id: pulumi.Input[str] | None = None, region: str | None = None) -> pulumi.Output[str]:
        """The host name of an ECR registry, this account's unless another is named."""
        suffix = self.partition.apply(
            lambda partition: "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        )
        return pulumi.Output.concat(account_id or self.id, ".dkr.ecr.", region or self.region, ".", suffix)

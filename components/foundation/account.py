"""Partition, region and account, read off an ARN that AWS gave us instead of asking for them."""

from __future__ import annotations

from typing import NamedTuple

import pulumi


class AwsLocation(NamedTuple):
    """Where resources live.

    Attributes:
        partition: ``aws``, ``aws-cn``, ``aws-us-gov``.
        region: For example ``eu-west-1``.
        account: Twelve digits.
    """

    partition: str
    region: str
    account: str


class AwsAccount:
    """Where a stack's resources live, without a data-source call.

    Every name is written with one ``apply``: each output costs time, and a stack has hundreds of ARNs.
    """

    def __init__(self, arn: pulumi.Output[str]) -> None:
        """Read the account off ``arn``, a regional ARN such as that of a KMS key."""
        self._place = arn.apply(_place)

    @property
    def region(self) -> pulumi.Output[str]:
        """The stack's region, for example ``eu-west-1``."""
        return self._place.apply(lambda place: place.region)

    @property
    def id(self) -> pulumi.Output[str]:
        """The account's twelve digits."""
        return self._place.apply(lambda place: place.account)

    def arn(
        self, service: str, resource: str, *, region: str | None = None, account_id: str | None = None
    ) -> pulumi.Output[str]:
        """The ARN of a resource whose name is known.

        Args:
            service: For example ``ecr``.
            resource: The part behind the account, for example ``repository/shop``.
            region: Another region than the stack's own; empty for a global service.
            account_id: Another account than the stack's own; empty where the service names none.
        """
        return self._place.apply(
            lambda place: ":".join(
                (
                    "arn",
                    place.partition,
                    service,
                    place.region if region is None else region,
                    place.account if account_id is None else account_id,
                    resource,
                )
            )
        )

    def role_arn(self, name_or_arn: str) -> pulumi.Output[str]:
        """The ARN of a role of this account given by name; an ARN is returned as it is."""
        if name_or_arn.startswith("arn:"):
            return pulumi.Output.from_input(name_or_arn)
        return self.arn("iam", f"role/{name_or_arn}", region="")

    def parameter_arn(self, source: str) -> pulumi.Input[str]:
        """The ARN of a parameter of this account and region given by name; an ARN is returned as it is."""
        return source if source.startswith("arn:") else self.arn("ssm", f"parameter{source}")

    def image(self, name: str, *, account_id: str | None = None, region: str | None = None) -> pulumi.Output[str]:
        """The address of an ECR repository, without tag; this account's and region's unless others are named."""

        def address(place: AwsLocation) -> str:
            suffix = "amazonaws.com.cn" if place.partition == "aws-cn" else "amazonaws.com"
            return f"{account_id or place.account}.dkr.ecr.{region or place.region}.{suffix}/{name}"

        return self._place.apply(address)

    def service_principal(self, service: str) -> pulumi.Output[str]:
        """The principal of a service that answers per region, such as ``logs.eu-west-1.amazonaws.com``."""
        return self._place.apply(lambda place: f"{service}.{place.region}.amazonaws.com")


def _place(arn: str) -> AwsLocation:
    _, partition, _, region, account, *_ = arn.split(":")
    return AwsLocation(partition, region, account)

"""Section `promotion`: hands a tested image on to the next environment's registry."""

from collections.abc import Iterator

from pydantic import Field

from components.settings.names import AccountId, EcrRepository, ImageTag, Region, RoleArn
from components.settings.section import Problem, Section
from components.settings.sections.approval import ApprovalSection


class PromotionSection(Section):
    """Hands a tested image on to the next environment's registry, by digest."""

    enabled: bool = Field(default=False, description="Whether tested images are promoted.", examples=[True])
    repository: EcrRepository | None = Field(
        default=None,
        description="ECR repository the image is copied to, the one the next stack watches.",
        examples=["shop-prod"],
    )
    account_id: AccountId | None = Field(
        default=None,
        description="Account of that repository; this stack's own when left out.",
        examples=["123456789012"],
    )
    region: Region | None = Field(
        default=None, description="Region of that repository; this stack's own when left out.", examples=["eu-west-1"]
    )
    role_arn: RoleArn | None = Field(
        default=None,
        description="Role of the other account that may push there; goes with `accountId`.",
        examples=["arn:aws:iam::123456789012:role/shop-promote"],
    )
    tag: ImageTag = Field(
        default="promoted",
        description="Tag put on the promoted image, the one the next stack watches.",
        examples=["promoted"],
    )
    approval: ApprovalSection = Field(
        default=ApprovalSection(), description="A person's yes before the promotion.", examples=[{"enabled": True}]
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a promotion without a target, and another account without its role or with a role of a third one."""
        if self.enabled and self.repository is None:
            yield Problem(
                path=("repository",),
                message="is missing; a promotion needs the ECR repository the image is copied to",
                fix="edit the file: write repository: <repository that the next stack watches>",
            )
        if self.account_id and not self.role_arn:
            yield Problem(
                path=("roleArn",),
                message="is missing; a promotion into another account needs a role of that account that may push there",
                fix=f"edit the file: write roleArn: arn:aws:iam::{self.account_id}:role/<role>",
            )
        if self.role_arn:
            account = self.role_arn.split(":")[4]
            if not self.account_id:
                yield Problem(
                    path=("accountId",),
                    message="is missing; roleArn names a role of another account, so name the account of the "
                    "repository",
                    fix=f'edit the file: add accountId: "{account}" (with the quotes) below ecs-delivery:promotion',
                )
            elif account != self.account_id:
                yield Problem(
                    path=("roleArn",),
                    message=f"must be a role of account {self.account_id} (accountId), got one of account {account}",
                    fix=f"edit the file: write roleArn: arn:aws:iam::{self.account_id}:role/<role>",
                )

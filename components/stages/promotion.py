"""Promotion: the tested image goes, by digest, to the registry that the next environment watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.iam import Statement
from components.images.repository import (
    existing_repository,
    pull_images,
    push_images,
    registry_login,
    repository_beside,
)
from components.jobs.build_project import LONG_RUNNING
from components.pipeline.model import Artifact, in_a_row, variable
from components.pipeline.variables import BUILD_IMAGE, delivered_images
from components.settings import PromotionSection
from components.stages.approval import ManualApproval
from components.stages.signature import profile_that_signs, verify_signatures
from components.stages.stage import SharedFacts, Stage, StageContext
from components.stages.verification import ImageVerification, VerificationArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class PromotionStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        promotion: The section ``promotion``.
        repository: The ECR repository that the image is copied to.
        verification: What the image has to prove before; ``None`` for nothing.
        signed_with: The signing profile that it has to be signed with before; ``None`` for none.
    """

    promotion: PromotionSection
    repository: str
    verification: VerificationArgs | None
    signed_with: str | None


class PromotionStage(Stage[PromotionSection, PromotionStageArgs]):
    """Copies the verified image, then moves ``promotion.tag``, whose push starts the next pipeline; asks first."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Promotion"
    NAME: ClassVar[str] = "Promote"
    SECTION: ClassVar[str] = "promotion"

    role_arn: pulumi.Output[str]
    """The role that copies; the other account must let it in."""

    def __init__(
        self, name: str, args: PromotionStageArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        promotion, account = args.promotion, context.foundation.account
        further = context.registry.further
        names = [args.repository, *(repository_beside(args.repository, image) for image in further)]
        targets = [
            existing_repository(name, account, account_id=promotion.account_id, region=promotion.region)
            for name in names
        ]
        if promotion.role_arn is None:
            statements = [push_images(targets)]
        else:
            statements = [
                Statement(sid="EnterTargetAccount", actions=("sts:AssumeRole",), resources=(promotion.role_arn,))
            ]
        # Every byte goes through the job, also within a registry: ECR mounts layers only where the account setting
        # BLOB_MOUNTING is on and both repositories have one key, and each stack has its own.
        # https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
        machine = context.transfer if promotion.region is None else LONG_RUNNING
        project = self.project(
            "promote-image",
            description=f"Copies the image by digest to {args.repository} and moves the tag {promotion.tag}",
            machine=machine,
            reads=(Artifact.DEPLOYMENT,),
            timeout_minutes=machine.at_most(120),
            variables={
                "TARGET_REPOSITORY": args.repository,
                "TARGET_REGISTRY": promotion.account_id or account.id,
                "TARGET_REGION": promotion.region or account.region,
                "TARGET_ROLE_ARN": promotion.role_arn or "",
                "CHANNEL_TAG": promotion.tag,
                **context.registry.further_images,
            },
            # Each side names the other's role before it exists, so the role's name is fixed.
            role_name=f"{context.foundation.prefix}-promote-image",
            statements=[pull_images(context.registry.every_delivered), registry_login(), *statements],
        )
        self.role_arn = project.role_arn
        approval = ManualApproval(
            "ApprovePromotion",
            promotion.approval,
            question=(
                f"Promote version {variable(BUILD_IMAGE, 'IMAGE_VERSION')} "
                f"({variable(BUILD_IMAGE, 'IMAGE_DIGEST')}) to {args.repository}?"
            ),
            # Where that version can be looked at.
            link=context.hosting.service_url,
            sid="AskForApproval",
        )
        delivered = delivered_images(further)
        steps = [*((action,) for action in approval.actions), (project.action("PromoteImage", environment=delivered),)]
        self.grants = (project.start(), *approval.grants)
        child = pulumi.ResourceOptions(parent=self)
        if args.signed_with is not None:
            signed = verify_signatures(f"{name}-signature", args.signed_with, delivered, context, child)
            steps = [(signed.action,), *steps]
            self.grants += (signed.start,)
        if args.verification is not None:
            verification = ImageVerification(f"{name}-verification", args.verification, delivered, context, child)
            steps = [(verification.action,), *steps]
            self.grants += (verification.start,)
        self.actions = in_a_row(steps)
        if promotion.role_arn is not None:
            self.notes = (
                pulumi.Output.format(
                    "Let {0} into the other account: the stack that owns {2} names it under source.ecr.promoters, "
                    "which makes the role {1}.",
                    self.role_arn,
                    promotion.role_arn,
                    args.repository,
                ),
            )
        self.register_outputs({"roleArn": self.role_arn})

    @classmethod
    def wanted(cls, section: PromotionSection, shared: SharedFacts) -> PromotionStageArgs | None:
        """On with ``promotion.enabled``."""
        if not section.enabled or section.repository is None:
            return None
        return PromotionStageArgs(
            promotion=section,
            repository=section.repository,
            verification=VerificationArgs.wanted(shared, "promotion"),
            signed_with=profile_that_signs(shared),
        )

"""Promotion: the tested image goes, by digest, to the registry that the next environment watches."""

from __future__ import annotations

from typing import ClassVar

import pulumi

from components.foundation.iam import Statement
from components.images.image_repository import existing_repository, registry_login
from components.jobs.build_project import PATIENT
from components.pipeline.model import Action, Artifact, Category, Provider, variable
from components.settings import PromotionSection, Settings
from components.stages.stage import Stage, StageContext
from components.stages.variables import BUILD_IMAGE, DELIVERED_IMAGE


class PromotionStage(Stage):
    """Copies the image, then moves the channel tag; asks a person first when told to."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Promotion"
    NAME: ClassVar[str] = "Promote"

    role_arn: pulumi.Output[str]
    """The role that copies; the other account must let it in."""

    def __init__(
        self, name: str, args: PromotionSection, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        if args.repository is None:
            raise ValueError(f"{name}: promotion needs the repository it promotes into")
        account = context.foundation.account
        target = existing_repository(args.repository, account, account_id=args.account_id, region=args.region)
        if args.role_arn is None:
            statements = [target.push()]
        else:
            statements = [Statement(sid="EnterTargetAccount", actions=("sts:AssumeRole",), resources=(args.role_arn,))]
        project = self.project(
            "promote-image",
            description=f"Copies the image by digest to {args.repository} and moves the tag {args.tag}",
            # Every byte goes through the job, also within a registry: ECR mounts layers only where the account setting
            # BLOB_MOUNTING is on and both repositories have one key, and each stack has its own.
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
            machine=context.transfer if args.region is None else PATIENT,
            timeout_minutes=120,
            variables={
                "TARGET_REPOSITORY": args.repository,
                "TARGET_REGISTRY": args.account_id or account.id,
                "TARGET_REGION": args.region or account.region,
                "TARGET_ROLE_ARN": args.role_arn or "",
                "CHANNEL_TAG": args.tag,
            },
            # The other account must name this role before it exists, and ours that account's.
            role_name=f"{context.foundation.prefix}-promote-image" if args.role_arn else None,
            statements=[context.registry.app.pull(), registry_login(), *statements],
        )
        self.role_arn = project.role_arn
        approval = _approval(args, context.hosting.service_url)
        self.actions = (
            *approval,
            project.action(
                "PromoteImage",
                reads=(Artifact.DEPLOYMENT,),
                environment=DELIVERED_IMAGE,
                run_order=1 + len(approval),
            ),
        )
        self.grants = (project.start(), *_notify(args))
        if args.role_arn is not None:
            self.notes = (
                pulumi.Output.format(
                    "Let {0} into the other account: the stack that owns {2} names it under source.ecr.promoters, "
                    "which makes the role {1}.",
                    self.role_arn,
                    args.role_arn,
                    args.repository,
                ),
            )
        self.register_outputs({"roleArn": self.role_arn})

    @classmethod
    def wanted(cls, settings: Settings) -> PromotionSection | None:
        """On with ``promotion.enabled``."""
        return settings.promotion if settings.promotion.enabled else None


def _approval(args: PromotionSection, service_url: pulumi.Output[str] | None) -> tuple[Action, ...]:
    """Asks with version and digest, and a link to where that version can be looked at."""
    if not args.approval.enabled:
        return ()
    topic = args.approval.notify_topic_arn
    return (
        Action(
            name="ApprovePromotion",
            category=Category.APPROVAL,
            provider=Provider.MANUAL,
            configuration={
                "CustomData": (
                    f"Promote version {variable(BUILD_IMAGE, 'IMAGE_VERSION')} "
                    f"({variable(BUILD_IMAGE, 'IMAGE_DIGEST')}) to {args.repository}?"
                ),
                **({"ExternalEntityLink": service_url} if service_url else {}),
                **({"NotificationArn": topic} if topic else {}),
            },
            timeout_minutes=args.approval.timeout_minutes,
        ),
    )


def _notify(args: PromotionSection) -> tuple[Statement, ...]:
    topic = args.approval.notify_topic_arn
    if not args.approval.enabled or topic is None:
        return ()
    return (Statement(sid="AskForApproval", actions=("sns:Publish",), resources=(topic,)),)

"""Promotion: the tested image goes, by digest, to the registry that the next environment watches."""

from __future__ import annotations

from typing import ClassVar

import pulumi

from components.build_project import QUICK
from components.iam import Statement
from components.image_repository import existing_repository, registry_login
from components.pipeline_model import Action, Artifact, Category, Provider
from components.settings import Promotion, Settings
from components.stages.stage import Stage, StageContext


class PromotionStage(Stage):
    """Copies the image, then moves the channel tag; asks a person first when told to."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Promotion"
    NAME: ClassVar[str] = "Promote"

    role_arn: pulumi.Output[str]
    """The role that copies; the other account must let it in."""

    def __init__(
        self, name: str, args: Promotion, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        if args.repository is None:
            raise ValueError(f"{name}: promotion needs the repository it promotes into")
        account = context.artifacts.account
        target = existing_repository(args.repository, account, account_id=args.account_id, region=args.region)
        if args.role_arn is None:
            statements = [target.push()]
        else:
            statements = [Statement(sid="EnterTargetAccount", actions=("sts:AssumeRole",), resources=(args.role_arn,))]
        project = self.project(
            "promote-image",
            description=f"Copies the image by digest to {args.repository} and moves the tag {args.tag}",
            machine=QUICK,
            variables={
                "TARGET_REPOSITORY": args.repository,
                "TARGET_REGISTRY": args.account_id or account.id,
                "TARGET_REGION": args.region or account.region,
                "TARGET_ROLE_ARN": args.role_arn or "",
                "CHANNEL_TAG": args.tag,
            },
            statements=[context.registry.app.pull(), registry_login(), *statements],
        )
        self.role_arn = project.role_arn
        approval = _approval(args)
        self.actions = (
            *approval,
            project.action("PromoteImage", reads=(Artifact.DEPLOYMENT,), run_order=1 + len(approval)),
        )
        self.grants = (project.start(), *_notify(args))
        if args.role_arn is not None:
            self.notes = (
                pulumi.Output.format(
                    "Let {0} assume {1}: in the stack that owns {2}, add it to source.ecr.promoters.",
                    self.role_arn,
                    args.role_arn,
                    args.repository,
                ),
            )
        self.register_outputs({"roleArn": self.role_arn})

    @classmethod
    def wanted(cls, settings: Settings) -> Promotion | None:
        """On with ``promotion.enabled``."""
        return settings.promotion if settings.promotion.enabled else None


def _approval(args: Promotion) -> tuple[Action, ...]:
    if not args.approval.enabled:
        return ()
    topic = args.approval.notify_topic_arn
    return (
        Action(
            name="ApprovePromotion",
            category=Category.APPROVAL,
            provider=Provider.MANUAL,
            configuration={
                "CustomData": f"Promote this image to {args.repository}?",
                **({"NotificationArn": topic} if topic else {}),
            },
            timeout_minutes=args.approval.timeout_minutes,
        ),
    )


def _notify(args: Promotion) -> tuple[Statement, ...]:
    topic = args.approval.notify_topic_arn
    if not args.approval.enabled or topic is None:
        return ()
    return (Statement(sid="AskForApproval", actions=("sns:Publish",), resources=(topic,)),)

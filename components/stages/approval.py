"""A manual approval: what is asked, who is notified, and what the pipeline's role needs for that."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components.foundation.iam import Statement
from components.pipeline.model import Action, Category, Provider
from components.settings.sections.approval import ApprovalSection


class ManualApproval:
    """The actions and grants of a section ``approval``; none where it is off.

    CodePipeline takes variables of earlier actions in both texts, and 1,000 characters:
    https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-variables.html#actions-variables-examples-approvals
    """

    actions: Sequence[Action] = ()
    """The one action that waits for a person."""
    grants: Sequence[Statement] = ()
    """What the pipeline's role needs for it."""

    def __init__(
        self, name: str, approval: ApprovalSection, *, question: str, link: pulumi.Input[str] | None, sid: str
    ) -> None:
        """Describe it.

        Args:
            name: The action's name.
            approval: The section.
            question: What a person is asked.
            link: Where that person can look; ``None`` for nowhere.
            sid: Why the pipeline's role may notify somebody.
        """
        if not approval.enabled:
            return
        topic = approval.notify_topic_arn
        self.actions = (
            Action(
                name=name,
                category=Category.APPROVAL,
                provider=Provider.MANUAL,
                configuration={
                    "CustomData": question,
                    **({"ExternalEntityLink": link} if link else {}),
                    **({"NotificationArn": topic} if topic else {}),
                },
                timeout_minutes=approval.timeout_minutes,
            ),
        )
        if topic:
            self.grants = (Statement(sid=sid, actions=("sns:Publish",), resources=(topic,)),)

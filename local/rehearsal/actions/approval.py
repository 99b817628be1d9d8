"""Manual approval: a person decides, or nobody does in time.

https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed

_DAYS = 7
"""How long a person has where the action says nothing."""

Decide = Callable[[str, str, float], bool | None]
"""Asked with the action's name, what is to be looked at, and the seconds there are; ``None`` when nobody answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """People who approve.

    Attributes:
        decide: Asks them.
        time_factor: What AWS's waiting time is multiplied by.
    """

    decide: Decide
    time_factor: float = 1.0

    def run(self, context: ActionContext) -> Completed:
        """Wait for a decision."""
        minutes = context.action.timeout_minutes or _DAYS * 24 * 60
        about = context.configuration.get("CustomData", "")
        decision = self.decide(context.action.name, about, minutes * 60 * self.time_factor)
        if decision is None:
            raise ActionFailed(f"Nobody has approved within {minutes:g} minutes.")
        if not decision:
            raise ActionFailed("The approval was rejected.")
        return Completed(summary="approved")

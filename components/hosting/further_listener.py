"""A further listener of a load balancer, and the target group of its own that it leads to."""

from __future__ import annotations

from dataclasses import dataclass

from pulumi_aws import lb


@dataclass(frozen=True, kw_only=True, slots=True)
class FurtherListener:
    """A listener beside the one of the users.

    Attributes:
        name: What the stack file calls it.
        listener: The listener.
        target_group: Where it leads to.
    """

    name: str
    listener: lb.Listener
    target_group: lb.TargetGroup

"""The tags that every taggable resource carries."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def standard_tags(*, application: str, environment: str) -> Mapping[str, str]:
    """Tags for cost reports and for telling at a glance what made a resource.

    Args:
        application: ``application.name`` of the stack file.
        environment: The stack's name, for example ``dev``.
    """
    return MappingProxyType({"Application": application, "Environment": environment, "ManagedBy": "ecs-delivery"})

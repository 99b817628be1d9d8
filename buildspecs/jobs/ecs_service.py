"""A service as Amazon ECS describes it."""

from __future__ import annotations

from typing import Any


def serving(service: dict[str, Any]) -> dict[str, Any]:
    """Return what says what serves, and where: the primary task set where CodeDeploy deploys, else the service."""
    return next((found for found in service.get("taskSets", []) if found.get("status") == "PRIMARY"), service)

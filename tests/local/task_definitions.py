"""A task definition for the tests of the emulators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NEW = "registry.example.com/shop:new"
_LOG = {
    "logDriver": "awslogs",
    "options": {"awslogs-group": "/ecs/shop", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "shop"},
}
LOGS: Mapping[str, object] = {"logConfiguration": _LOG}
"""What a container has that writes a log."""


def definition(
    image: str = "registry.example.com/shop:old", container: Mapping[str, object] | None = None, **changes: object
) -> dict[str, Any]:
    """Return a task definition that ECS takes.

    Args:
        image: The image of its container.
        container: What the container has beside that.
        changes: What differs.
    """
    only = {"name": "shop", "image": image, "portMappings": [{"containerPort": 8080}], **(container or {})}
    return {
        "family": "shop",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [only],
        **changes,
    }

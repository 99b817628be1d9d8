"""A service as Amazon ECS describes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AT_ONCE = 100
"""Tasks that one request may describe: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html"""


def serving(service: dict[str, Any]) -> dict[str, Any]:
    """Return what says what serves, and where: the primary task set where CodeDeploy deploys, else the service."""
    return next((found for found in service.get("taskSets", []) if found.get("status") == "PRIMARY"), service)


def described(
    ask: Callable[..., dict[str, Any]], why: str, cluster: str, arns: list[str], *, again: bool = False
) -> list[dict[str, Any]]:
    """Return what ECS knows of these tasks.

    Args:
        ask: `job.aws`, or what asks where no answer is no failure.
        why: What for, as the log says it.
        cluster: Their cluster.
        arns: Their ARNs.
        again: Whether it was asked before, so that the log need not say it.
    """
    found: list[dict[str, Any]] = []
    for first in range(0, len(arns), AT_ONCE):
        command = ("ecs", "describe-tasks", "--cluster", cluster, "--tasks", *arns[first : first + AT_ONCE])
        found += ask(why, *command, again=again).get("tasks", [])
    return found

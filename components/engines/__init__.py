"""What shifts a service to a new version: one file for each way to deploy."""

from collections.abc import Mapping
from typing import Final

from components.engines.code_deploy import CODE_DEPLOY
from components.engines.ecs import ECS
from components.engines.ecs_action import ECS_ACTION
from components.engines.engine import Engine, Rollout, Strategy, TestTraffic, TrafficSwitch
from components.engines.target import DeploymentTarget, Placement

ENGINES: Final[Mapping[str, Engine]] = {engine.name: engine for engine in (CODE_DEPLOY, ECS, ECS_ACTION)}
"""Every way to deploy there is, by the name that the stack file gives it; the first is the default."""

__all__ = ["ENGINES", "DeploymentTarget", "Engine", "Placement", "Rollout", "Strategy", "TestTraffic", "TrafficSwitch"]

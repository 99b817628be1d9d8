"""How ECS itself deploys: one description, for the service when it is made and for every deployment of the pipeline.

Pure. Both must say the same, or a preview after a deployment would undo what the deployment set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from components.settings import DeploySection

STRATEGIES: Final = {"rolling": "ROLLING", "blueGreen": "BLUE_GREEN", "canary": "CANARY", "linear": "LINEAR"}
"""ECS's names of the strategies."""


def shifts_traffic(deploy: DeploySection) -> bool:
    """Whether a deployment moves traffic between two target groups, instead of replacing tasks in one."""
    return deploy.effective_strategy != "rolling"


def deployment_configuration(deploy: DeploySection, alarms: Sequence[str] = ()) -> dict[str, object]:
    """ECS's ``deploymentConfiguration`` of an ``UpdateService`` request.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html

    Args:
        deploy: The stack file's ``deploy``, with engine ``ecs`` or ``ecsAction``.
        alarms: CloudWatch alarms that roll a deployment back, beside the ones ``deploy`` names.
    """
    configuration: dict[str, object] = {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        # The old tasks stay until as many new ones are healthy.
        "minimumHealthyPercent": 100,
        "maximumPercent": 200,
    }
    if watched := [*deploy.alarms, *alarms]:
        configuration["alarms"] = {"alarmNames": watched, "enable": True, "rollback": True}
    strategy, step = deploy.effective_strategy, deploy.effective_step
    configuration["strategy"] = STRATEGIES[strategy]
    if strategy != "rolling":
        configuration["bakeTimeInMinutes"] = deploy.bake_minutes
    if step is not None and strategy == "canary":
        configuration["canaryConfiguration"] = {
            "canaryPercent": step.percent,
            "canaryBakeTimeInMinutes": step.interval_minutes,
        }
    if step is not None and strategy == "linear":
        configuration["linearConfiguration"] = {
            "stepPercent": step.percent,
            "stepBakeTimeInMinutes": step.interval_minutes,
        }
    return configuration

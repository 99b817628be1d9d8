"""How ECS itself deploys: one description, for the service when it is made and for every deployment of the pipeline.

Pure. Both must say the same, or a preview after a deployment would undo what the deployment set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from components.engines.engine import Rollout, Strategy

STRATEGIES: Final[Mapping[Strategy, str]] = {
    "rolling": "ROLLING",
    "blueGreen": "BLUE_GREEN",
    "canary": "CANARY",
    "linear": "LINEAR",
}
"""ECS's names of the strategies."""
NO_ALARMS: Final[Mapping[str, object]] = {"alarmNames": [], "enable": False, "rollback": False}
"""What takes the alarms of a service away: ECS keeps what it is not told, and wants all three fields.

https://github.com/aws/copilot-cli/pull/4565
"""


def deployment_configuration(rollout: Rollout) -> dict[str, object]:
    """ECS's ``deploymentConfiguration`` of an ``UpdateService`` request.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
    """
    return {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        # By default the old tasks stay until as many new ones are healthy.
        "minimumHealthyPercent": rollout.minimum_healthy_percent,
        "maximumPercent": rollout.maximum_percent,
        **_strategy(rollout),
        **_alarms(rollout),
    }


def stated_configuration(rollout: Rollout) -> dict[str, object]:
    """Return what the stack file states of it, for a service that exists: ECS keeps what a request leaves out.

    AWS's Terraform provider sends the changed parts alone, too: ``resourceServiceUpdate`` in
    https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ecs/service.go
    """
    none = {"alarms": NO_ALARMS} if "alarms" in rollout.stated else {}
    return {**(_strategy(rollout) if "strategy" in rollout.stated else {}), **none, **_alarms(rollout)}


def _alarms(rollout: Rollout) -> dict[str, object]:
    if not rollout.alarms:
        return {}
    return {"alarms": {"alarmNames": list(rollout.alarms), "enable": True, "rollback": True}}


def _strategy(rollout: Rollout) -> dict[str, object]:
    """The strategy with its times and steps."""
    configuration: dict[str, object] = {"strategy": STRATEGIES[rollout.strategy]}
    if rollout.shifts_traffic:
        configuration["bakeTimeInMinutes"] = rollout.bake_minutes
    if rollout.strategy == "canary":
        configuration["canaryConfiguration"] = {
            "canaryPercent": rollout.percent,
            "canaryBakeTimeInMinutes": rollout.interval_minutes,
        }
    if rollout.strategy == "linear":
        configuration["linearConfiguration"] = {
            "stepPercent": rollout.percent,
            "stepBakeTimeInMinutes": rollout.interval_minutes,
        }
    return configuration

"""How ECS itself deploys: one description, for the service when it is made and for every deployment of the pipeline.

Pure. Both must say the same, or a preview after a deployment would undo what the deployment set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from components.engines.engine import WORD_MINUTES, Rollout, Strategy

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


def pause(rollout: Rollout) -> dict[str, object]:
    """The pause before users get the new version, or its absence; not with a strategy that has no test traffic.

    Only the job's deployments have it: nobody gives the word for one that ``pulumi up`` starts, such as the first. ECS
    keeps hooks until it is told that there are none (terraform-provider-aws#47096).
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html
    """
    if not rollout.shifts_traffic:
        return {}
    hook = {
        "targetType": "PAUSE",
        "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"],
        "timeoutConfiguration": {"timeoutInMinutes": WORD_MINUTES, "action": "ROLLBACK"},
    }
    return {"lifecycleHooks": [hook] if rollout.test_traffic else []}


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

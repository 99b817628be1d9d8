"""How ECS deploys a service by itself, said as the pipeline's job says it with every deployment.

But for the alarms, which the job alone names: AWS's provider could not take them away again, since it gives no names
then, and ECS wants all three fields (https://github.com/aws-controllers-k8s/community/issues/2087).
"""

from __future__ import annotations

from typing import Any

from pulumi_aws import ecs

from components.engines import Engine, Rollout
from components.engines.deployment_configuration import deployment_configuration


def own_deployments(engine: Engine, rollout: Rollout) -> dict[str, Any]:
    """What Pulumi's service takes to know how ECS deploys; nothing where something else does.

    Args:
        engine: What deploys.
        rollout: How the service moves, and all alarms that roll it back.
    """
    if not engine.deployed_by_ecs:
        return {}
    said: dict[str, Any] = deployment_configuration(rollout)
    canary, linear = said.get("canaryConfiguration"), said.get("linearConfiguration")
    return {
        "deployment_circuit_breaker": said["deploymentCircuitBreaker"],
        "deployment_minimum_healthy_percent": said["minimumHealthyPercent"],
        "deployment_maximum_percent": said["maximumPercent"],
        "deployment_configuration": ecs.ServiceDeploymentConfigurationArgs(
            strategy=said["strategy"],
            # The provider takes text.
            bake_time_in_minutes=str(said["bakeTimeInMinutes"]) if "bakeTimeInMinutes" in said else None,
            canary_configuration=ecs.ServiceDeploymentConfigurationCanaryConfigurationArgs(
                canary_percent=canary["canaryPercent"],
                canary_bake_time_in_minutes=str(canary["canaryBakeTimeInMinutes"]),
            )
            if canary
            else None,
            linear_configuration=ecs.ServiceDeploymentConfigurationLinearConfigurationArgs(
                step_percent=linear["stepPercent"],
                step_bake_time_in_minutes=str(linear["stepBakeTimeInMinutes"]),
            )
            if linear
            else None,
        ),
    }

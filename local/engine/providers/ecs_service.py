"""What becomes of a changed service of Amazon ECS: a refusal, a deployment, or neither.

AWS's provider sends what has changed in one UpdateService request, with ``forceNewDeployment`` whenever that is given,
whatever else has changed but tags: resourceServiceUpdate in
https://github.com/hashicorp/terraform-provider-aws/blob/v6.58.0/internal/service/ecs/service.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.ecs_updates import GRACE_REFUSED, load_balancers_refused, refused_with_code_deploy, starts_deployment
from local.engine.providers import changes
from local.engine.providers.protocol import Value

TOKEN = "aws:ecs/service:Service"  # noqa: S105 - a resource's type
Values = Mapping[str, Value]

_CONFIGURATION = (
    "alarms",
    "deploymentCircuitBreaker",
    "deploymentMaximumPercent",
    "deploymentMinimumHealthyPercent",
)
_MEMBERS: Mapping[str, str] = {
    **dict.fromkeys(_CONFIGURATION, "deploymentConfiguration"),
    "capacityProviderStrategies": "capacityProviderStrategy",
    "enableEcsManagedTags": "enableECSManagedTags",
    "orderedPlacementStrategies": "placementStrategy",
    "volumeConfiguration": "volumeConfigurations",
}
"""Members of the request, where they have another name than the property of pulumi-aws."""
_PROVIDERS_OWN = frozenset({"forceNewDeployment", "sigintRollback", "triggers", "waitForSteadyState"})
"""Properties that bring a request about and are no member of it, or one that is always in it."""
_NO_REQUEST = frozenset({"forceDelete", "tags", "tagsAll"})
_WITHOUT_ROLE = (
    "The service couldn't be updated because a valid taskRoleArn is not being used. Specify a valid task role in your "
    "task definition and try again."
)
"""https://github.com/aws/aws-cli/issues/6242"""


def sent(before: Values, after: Values) -> frozenset[str]:
    """Return the members of the request that a change brings about; none when there is no request.

    Args:
        before: What is known of the service.
        after: The same as it is to be.
    """
    names = changes.changed(TOKEN, before, before, after) & changes.properties(TOKEN).keys() - _NO_REQUEST
    members = {_MEMBERS.get(name, name) for name in names - _PROVIDERS_OWN}
    return frozenset(members | ({"forceNewDeployment"} if names and after.get("forceNewDeployment") is True else set()))


def refusal(before: Values, after: Values, has_role: Callable[[], bool]) -> str:
    """Return what ECS says to a change; nothing when it does it.

    Args:
        before: What is known of the service.
        after: The same as it is to be.
        has_role: Whether the tasks of what it runs have a role.
    """
    members = sent(before, after)
    by_code_deploy = _controller(before) == _controller(after) == "CODE_DEPLOY"
    if by_code_deploy and (said := refused_with_code_deploy(members)):
        return said
    if "healthCheckGracePeriodSeconds" in members and not before.get("loadBalancers"):
        return GRACE_REFUSED
    if "enableExecuteCommand" in members and after.get("enableExecuteCommand") is True and not has_role():
        return _WITHOUT_ROLE
    return ""


def deployment(before: Values, after: Values) -> list[str]:
    """Return the members of the request for which ECS starts a deployment of the service."""
    return sorted(filter(starts_deployment, sent(before, after)))


def load_balancers(values: Values, containers: Sequence[Mapping[str, Any]]) -> str:
    """Return what ECS says to the load balancers of a service; nothing when it takes them.

    Args:
        values: What is known of the service.
        containers: The container definitions of what it runs.
    """
    given = values.get("loadBalancers")
    balancers = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return load_balancers_refused(balancers, containers, _controller(values))


def _controller(values: Values) -> str:
    controller = values.get("deploymentController")
    return str(controller.get("type", "ECS")) if isinstance(controller, dict) else "ECS"

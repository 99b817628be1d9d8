"""What Amazon ECS makes of the members of an UpdateService request, by its model, which botocore ships."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from local.aws_models import service_model

WITH_CODE_DEPLOY = frozenset(
    {
        "desiredCount",
        "deploymentConfiguration",
        "healthCheckGracePeriodSeconds",
        "placementConstraints",
        "placementStrategy",
        "enableECSManagedTags",
        "propagateTags",
    }
)
"""What the model says can be updated of a service with the controller CODE_DEPLOY."""
_USE_CODE_DEPLOY = (
    "on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."
)
_REFUSED: Mapping[str, str] = {
    # https://github.com/aws/aws-toolkit-vscode/issues/4017
    "forceNewDeployment": f"Cannot force a new deployment {_USE_CODE_DEPLOY}",
    "taskDefinition": f"Unable to update task definition {_USE_CODE_DEPLOY}",
    # https://github.com/hashicorp/terraform-provider-aws/issues/8005
    "networkConfiguration": f"Unable to update network parameters {_USE_CODE_DEPLOY}",
}
"""ECS's words, where somebody has published them; for other members they are made like these."""

GRACE_REFUSED = "Health check grace period is only valid for services configured to use load balancers"
"""What ECS says to a grace period without a load balancer (https://github.com/hashicorp/terraform-provider-aws/issues/31104),
and to one that comes with the first load balancer of a service that runs
(https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1313)."""


MOST_TARGET_GROUPS = 5
"""Of one service: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/register-multiple-targetgroups.html"""


def load_balancers_refused(
    balancers: Sequence[Mapping[str, Any]], containers: Sequence[Mapping[str, Any]], controller: str
) -> str:
    """Return what ECS says to a service's load balancers; nothing when it takes them.

    Published are its words for a container (https://github.com/aws/amazon-ecs-agent/issues/1276) and for a port
    (https://github.com/pulumi/pulumi-awsx/issues/1172) that are not there; the others are made up, since the page above
    says only what is supported.

    Args:
        balancers: As CreateService and UpdateService take them.
        containers: The container definitions of what the service runs.
        controller: Its deployment controller.
    """
    if len(balancers) > MOST_TARGET_GROUPS:
        return f"A service can have {MOST_TARGET_GROUPS} target groups at most."
    if len(balancers) > 1 and controller != "ECS":
        return f"Multiple target groups are not supported on services with a {controller} deployment controller."
    ports = {
        part["name"]: [mapping["containerPort"] for mapping in part.get("portMappings", [])] for part in containers
    }
    for balancer in balancers:
        name, port = balancer.get("containerName"), balancer.get("containerPort")
        if name not in ports:
            return f"The container {name} does not exist in the task definition."
        if port not in ports[name]:
            return f"The container {name} did not have a container port {port} defined."
    return ""


@cache
def documented(member: str = "") -> str:
    """Return what the model says of a member of the request, or of the request itself."""
    operation = service_model("ecs").operation_model("UpdateService")
    members = operation.input_shape.members
    text = members[member].documentation if member in members else "" if member else operation.documentation
    return re.sub(r"<[^>]+>", "", text)


def starts_deployment(member: str) -> bool:
    """Return whether ECS starts a deployment when this member is in the request."""
    said = "This parameter triggers a new service deployment" in documented(member)
    return member == "forceNewDeployment" or said


def refused_with_code_deploy(members: Iterable[str]) -> str:
    """Return what ECS says to a request for a service that CodeDeploy deploys; nothing when it takes it."""
    refused = sorted(set(members) - WITH_CODE_DEPLOY, key=lambda member: (member not in _REFUSED, member))
    return _REFUSED.get(refused[0], f"Unable to update {refused[0]} {_USE_CODE_DEPLOY}") if refused else ""

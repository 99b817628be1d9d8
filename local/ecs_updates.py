"""What Amazon ECS makes of the members of an UpdateService request, by its model, which botocore ships."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

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

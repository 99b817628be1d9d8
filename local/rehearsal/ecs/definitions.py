"""Task definitions: what ECS refuses of one, and what it adds to it.

What each parameter may be: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from local.rehearsal.emulated import Json, Refused

_ADDED_TO_CONTAINERS: Mapping[str, Any] = {"cpu": 0, "essential": True} | {
    key: [] for key in ("portMappings", "environment", "mountPoints", "volumesFrom", "systemControls")
}
_HEALTH_CHECK = {"interval": 30, "timeout": 5, "retries": 3}
_OWN_PORTS = ("awsvpc", "host")
"""Network modes in which a container's port is the host's; in the others the host takes any that is free."""
_FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
_MOST_CONTAINERS = 10
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""
_BOUNDS: Mapping[str, tuple[int, int]] = {
    "interval": (5, 300),
    "timeout": (2, 60),
    "retries": (1, 10),
    "startPeriod": (0, 300),
}
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html"""
_TIMEOUTS = (2, 120)
_DISK = (21, 200)
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EphemeralStorage.html"""


def registered(wanted: Json) -> Json:
    """Return a task definition with what its description has besides, but for what names the revision."""
    for container in wanted["containerDefinitions"]:
        for key, value in _ADDED_TO_CONTAINERS.items():
            container.setdefault(key, copy.deepcopy(value))
        for mapping in container["portMappings"]:
            own = wanted.get("networkMode") in _OWN_PORTS
            mapping.setdefault("hostPort", mapping["containerPort"] if own else 0)
            mapping.setdefault("protocol", "tcp")
        if "healthCheck" in container:
            container["healthCheck"] = {**_HEALTH_CHECK, **container["healthCheck"]}
    fits = wanted.get("networkMode") == "awsvpc" and not list(_fargate_problems(wanted))
    return {
        "volumes": [],
        "placementConstraints": [],
        **wanted,
        "status": "ACTIVE",
        "compatibilities": ["EC2", "FARGATE"] if fits else ["EC2"],
        "requiresAttributes": [{"name": "ecs.capability.task-eni"}],
    }


def check(definition: Json, tags: Sequence[Json]) -> None:
    """Refuse what ECS itself refuses, beyond what the model says.

    Raises:
        Refused: So it is.
    """
    reserved = [tag["key"] for tag in tags if tag["key"].lower().startswith("aws:")]
    if reserved:
        # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html
        raise Refused("InvalidParameterException", f"The tag key {reserved[0]} uses the reserved prefix aws:.")
    problems = list(_problems(definition))
    if problems:
        raise Refused("ClientException", " ".join(problems))


def _problems(definition: Json) -> Iterator[str]:
    containers = definition["containerDefinitions"]
    names = [part.get("name") for part in containers]
    volumes = {volume.get("name") for volume in definition.get("volumes", [])}
    if not all(part.get("image") and part.get("name") for part in containers):
        yield "Container.name and Container.image should not be null or empty."
    if len(set(names)) < len(names):
        yield "Container names must be unique."
    for part in containers:
        used = {mount.get("sourceVolume") for mount in part.get("mountPoints", [])}
        yield from (f"Unknown volume '{name}'." for name in used - volumes)
        needed = {condition.get("containerName") for condition in part.get("dependsOn", [])}
        yield from (f"Unknown container '{name}' in dependsOn." for name in needed.difference(names))
        # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
        if not (definition.get("memory") or part.get("memory") or part.get("memoryReservation")):
            yield (
                f"Invalid setting for container '{part.get('name')}'. At least one of 'memory' or 'memoryReservation' "
                "must be specified."
            )
        variables = {entry.get("name") for entry in part.get("environment", [])}
        yield from (
            "The secret name must be unique and not shared with any new or existing environment variables set on the "
            f"container, such as '{secret['name']}'."
            for secret in part.get("secrets", [])
            if secret["name"] in variables
        )
        yield from _health_check_problems(part)
    if len(containers) > _MOST_CONTAINERS:
        yield f"A task definition has {_MOST_CONTAINERS} containers at most."
    if not any(part.get("essential", True) for part in containers):
        yield "All tasks must have at least one essential container."
    yield from _dependency_problems(containers)
    yield from _log_problems(containers)
    yield from _volume_problems(definition)
    if "FARGATE" in definition.get("requiresCompatibilities", []):
        yield from _fargate_problems(definition)
    if any(part.get("secrets") for part in containers) and not definition.get("executionRoleArn"):
        yield "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."


def _dependency_problems(containers: Sequence[Json]) -> Iterator[str]:
    """Yield dependencies that cannot be met; the words are this program's.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
    """
    parts = {part.get("name"): part for part in containers}
    graph = {name: {entry["containerName"] for entry in part.get("dependsOn", [])} for name, part in parts.items()}
    for name, part in parts.items():
        for entry in part.get("dependsOn", []):
            other, condition = parts.get(entry["containerName"], {}), entry["condition"]
            if condition == "HEALTHY" and other and not other.get("healthCheck"):
                yield f"'{name}' depends on '{other['name']}' being HEALTHY, which has no health check."
            if condition in ("COMPLETE", "SUCCESS") and other.get("essential", True) and other:
                yield f"'{name}' depends on '{other['name']}' with {condition}, which is essential."
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"Containers depend on each other: {' -> '.join(error.args[1])}."


def _health_check_problems(container: Json) -> Iterator[str]:
    check = container.get("healthCheck", {})
    # Its command is to start with CMD or CMD-SHELL; published definitions show that ECS takes others, too.
    for key, (least, most) in _BOUNDS.items():
        if not least <= check.get(key, least) <= most:
            yield f"The health check {key} must be between {least} and {most}."


def _log_problems(containers: Sequence[Json]) -> Iterator[str]:
    """Yield log routers that are missing; the words are this program's.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_firelens.html
    """
    routers = [part["name"] for part in containers if part.get("firelensConfiguration")]
    if len(routers) > 1:
        yield "A task definition has one container with firelensConfiguration at most."
    for part in containers:
        if part.get("logConfiguration", {}).get("logDriver") == "awsfirelens" and routers in ([], [part["name"]]):
            yield f"'{part['name']}' logs to awsfirelens, and no other container has firelensConfiguration."


def _volume_problems(definition: Json) -> Iterator[str]:
    """Yield what ECS refuses of file systems and of files with variables.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EFSVolumeConfiguration.html
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html
    """
    for volume in definition.get("volumes", []):
        efs = volume.get("efsVolumeConfiguration", {})
        access = efs.get("authorizationConfig", {})
        if access.get("accessPointId") and efs.get("rootDirectory", "/") != "/":
            yield "rootDirectory must be omitted or / with an access point."
        if access and efs.get("transitEncryption") != "ENABLED":
            yield "transitEncryption must be ENABLED with an access point or IAM authorization."
        if access.get("iam") == "ENABLED" and not definition.get("taskRoleArn"):
            yield "IAM authorization needs a task role."
    files = [file["value"] for part in definition["containerDefinitions"] for file in part.get("environmentFiles", [])]
    if any(not file.endswith(".env") for file in files):
        yield "An environment file must have the extension .env."
    if files and not definition.get("executionRoleArn"):
        yield "When you are specifying environment files, you must also specify a value for 'executionRoleArn'."


def _of_fargate(definition: Json) -> Iterator[str]:
    """Yield what containers on Fargate may not have, and more than the task has."""
    containers = definition["containerDefinitions"]
    for part in containers:
        for key in ("startTimeout", "stopTimeout"):
            if not _TIMEOUTS[0] <= part.get(key, _TIMEOUTS[0]) <= _TIMEOUTS[1]:
                yield f"{key} must be between {_TIMEOUTS[0]} and {_TIMEOUTS[1]} on Fargate."
        driver = part.get("logConfiguration", {}).get("logDriver", "awslogs")
        if driver not in ("awslogs", "splunk", "awsfirelens"):
            yield f"Fargate does not support the log driver {driver}."
        if part.get("firelensConfiguration", {}).get("options", {}).get("config-file-type", "file") != "file":
            yield "Fargate takes a log router's configuration from a file of its image only."
        names = {limit["name"] for limit in part.get("ulimits", [])} - {"nofile"}
        if names:
            yield f"Fargate only supports the ulimit nofile, not {', '.join(sorted(names))}."
    if sum(part.get("cpu", 0) for part in containers) > int(definition["cpu"]):
        yield "The total cpu of the containers is more than the task's."
    kept = sum(part.get("memoryReservation") or part.get("memory") or 0 for part in containers)
    if kept > int(definition["memory"]) or any(
        part.get("memory", 0) > int(definition["memory"]) for part in containers
    ):
        yield "The total memory of the containers is more than the task's."
    disk = definition.get("ephemeralStorage")
    if disk and not _DISK[0] <= disk["sizeInGiB"] <= _DISK[1]:
        yield f"ephemeralStorage must be between {_DISK[0]} and {_DISK[1]} GiB."


def _fargate_problems(definition: Json) -> Iterator[str]:
    cpu, memory = str(definition.get("cpu")), str(definition.get("memory"))
    if definition.get("networkMode") != "awsvpc":
        yield "Fargate only supports network mode 'awsvpc'."
        return
    fits = cpu.isdigit() and memory.isdigit() and int(cpu) * 2 <= int(memory) <= int(cpu) * 8
    if not fits or cpu not in ("256", "512", "1024", "2048", "4096", "8192", "16384"):
        yield "No Fargate configuration exists for given values."
        return
    yield from _of_fargate(definition)


def logs_in_elsewhere(container: Json) -> bool:
    """Return whether an image of Amazon ECR is pulled with the login of another registry: ECS takes it, no task starts.

    ECS logs in with what the secret says. ECR needs no secret, and its own password lasts for 12 hours:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
    """
    return "repositoryCredentials" in container and ".dkr.ecr." in container["image"]


def check_launch_type(definition: Json, placed: Mapping[str, Any]) -> None:
    """Refuse a task definition that does not run where the service's tasks do.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html

    Raises:
        Refused: So it is.
    """
    providers = [entry["capacityProvider"] for entry in placed.get("capacityProviderStrategy", ())]
    launch = "FARGATE" if any(name in _FARGATE_PROVIDERS for name in providers) else placed.get("launchType", "")
    allowed = definition.get("requiresCompatibilities") or definition["compatibilities"]
    if launch in ("EC2", "FARGATE") and launch not in allowed:
        raise Refused("InvalidParameterException", f"Task definition does not support launch_type {launch}.")

"""What a running task definition and a rendered one say differently, whatever AWS filled in by itself."""

from __future__ import annotations

import json
from typing import Any

# Set by ECS when a revision is registered, or kept beside it.
_NOT_COMPARED = (
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities"),
    *("registeredAt", "registeredBy", "deregisteredAt", "deleteRequestedAt", "tags"),
)
# What ECS answers when nothing was asked (API reference: ContainerDefinition, HealthCheck, PortMapping).
_CONTAINER_DEFAULTS = {"essential": True, "cpu": 0}
_HEALTH_CHECK_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3}
# What tells the entries of a list apart, so that their order does not count.
_IDENTITIES = ("name", "containerPort", "containerPath", "containerName", "sourceContainer")


def _container(container: dict[str, Any], without_image: str) -> dict[str, Any]:
    """The container with AWS's defaults filled in, and without the image if it is the one that is replaced."""
    filled = {**_CONTAINER_DEFAULTS, **container}
    if container.get("name") == without_image:
        filled.pop("image", None)
    filled["portMappings"] = [
        {"hostPort": mapping.get("containerPort"), "protocol": "tcp", **mapping}
        for mapping in filled.get("portMappings", [])
    ]
    if filled.get("healthCheck"):
        filled["healthCheck"] = {**_HEALTH_CHECK_DEFAULTS, **filled["healthCheck"]}
    return filled


def _flat(value: object, path: str) -> dict[str, str]:
    """Every place that says something, with what it says; what is empty or off says nothing."""
    if value is None or value is False or value in ([], {}, ""):
        return {}
    if isinstance(value, dict):
        return {place: text for key, part in value.items() for place, text in _flat(part, f"{path}.{key}").items()}
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return {
            place: text for number, entry in enumerate(value) for place, text in _entry(entry, path, number).items()
        }
    return {path.lstrip("."): json.dumps(value, sort_keys=True)}


def _entry(entry: dict[str, Any], path: str, number: int) -> dict[str, str]:
    identity = next((key for key in _IDENTITIES if key in entry), "")
    place = f"{path}.{entry[identity] if identity else number}"
    says = _flat({key: part for key, part in entry.items() if key != identity}, place)
    return says or {place.lstrip("."): "there"}


def _comparable(definition: dict[str, Any], container: str) -> dict[str, str]:
    kept = {key: value for key, value in definition.items() if key not in _NOT_COMPARED}
    kept["containerDefinitions"] = [_container(part, container) for part in kept.get("containerDefinitions", [])]
    return _flat(kept, "")


def differences(running: dict[str, Any], wanted: dict[str, Any], container: str) -> list[str]:
    """One line for each place where the two differ; the image of the named container does not count."""
    ours, theirs = _comparable(wanted, container), _comparable(running, container)
    return [
        f"{place}: running {theirs.get(place, 'nothing')}, wanted {ours.get(place, 'nothing')}"
        for place in sorted({*ours, *theirs})
        if ours.get(place) != theirs.get(place)
    ]

"""Task definitions: what ECS describes as what it registers, and what two of them say differently."""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple

from jobs import job

OF_A_REVISION = (
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities"),
    *("registeredAt", "registeredBy", "deregisteredAt", "deleteRequestedAt"),
)
"""What ECS says of a revision, and takes in no registration; a test holds this against AWS's model."""
RESERVED_TAGS = "aws:"
"""How the keys of tags begin that AWS alone sets, in upper or lower case, and refuses in a request.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html
"""
_NOT_COMPARED = (*OF_A_REVISION, "tags")
# What ECS answers when nothing was asked (API reference: ContainerDefinition, HealthCheck, PortMapping).
_CONTAINER_DEFAULTS = {"essential": True, "cpu": 0}
_HEALTH_CHECK_DEFAULTS = {"interval": 30, "timeout": 5, "retries": 3}
# Where a container's port is the host's, unless another one is given; elsewhere the host takes any that is free.
_OWN_PORTS = ("awsvpc", "host")
# Where nobody writes a secret: sizes, switches, and the names of what AWS knows.
_PUBLIC = (
    *("family", "cpu", "memory", "networkMode", "executionRoleArn", "taskRoleArn", "requiresCompatibilities"),
    *("runtimePlatform", "pidMode", "ipcMode", "ephemeralStorage", "enableFaultInjection"),
)
_PUBLIC_OF_CONTAINERS = (
    *("image", "cpu", "memory", "memoryReservation", "essential", "portMappings", "readonlyRootFilesystem", "user"),
    *("privileged", "startTimeout", "stopTimeout", "disableNetworking", "interactive", "pseudoTerminal"),
    *("mountPoints", "dependsOn", "ulimits", "restartPolicy", "versionConsistency"),
)
# What tells the entries of a list apart, so that their order does not count.
_IDENTITIES = ("name", "containerPort", "containerPath", "containerName", "sourceContainer")


def _container(container: dict[str, Any], without_image: tuple[str, ...], network: str) -> dict[str, Any]:
    """The container with AWS's defaults filled in, and without the image if it is one that is replaced."""
    filled = {**_CONTAINER_DEFAULTS, **container}
    if container.get("name") in without_image:
        filled.pop("image", None)
    filled["portMappings"] = [
        {"hostPort": mapping.get("containerPort") if network in _OWN_PORTS else 0, "protocol": "tcp", **mapping}
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
        entries = [_entry(entry, path, number) for number, entry in enumerate(value)]
        # Two entries of one name: a port that is mapped for two protocols.
        return {
            f"{place} (again)" if any(place in earlier for earlier in entries[:number]) else place: text
            for number, entry in enumerate(entries)
            for place, text in entry.items()
        }
    return {path.lstrip("."): json.dumps(value, sort_keys=True)}


def _entry(entry: dict[str, Any], path: str, number: int) -> dict[str, str]:
    identity = next((key for key in _IDENTITIES if key in entry), "")
    place = f"{path}.{entry[identity] if identity else number}"
    says = _flat({key: part for key, part in entry.items() if key != identity}, place)
    return says or {place.lstrip("."): "there"}


def _comparable(definition: dict[str, Any], containers: tuple[str, ...]) -> dict[str, str]:
    kept = {key: value for key, value in definition.items() if key not in _NOT_COMPARED}
    network = str(kept.get("networkMode", ""))
    kept["containerDefinitions"] = [
        _container(part, containers, network) for part in kept.get("containerDefinitions", [])
    ]
    return _flat(kept, "")


class Difference(NamedTuple):
    """One place where two task definitions differ.

    Attributes:
        place: The names of the keys and entries that lead there, with dots between them.
        running: What the service runs, as JSON; empty for nothing.
        wanted: What is to run.
    """

    place: str
    running: str
    wanted: str

    def __str__(self) -> str:
        """Say both values."""
        return f"{self.place}: running {self.running or 'nothing'}, wanted {self.wanted or 'nothing'}"

    def shown(self) -> str:
        """Say both values, but the running one only where it can be no secret."""
        secret = self.running and not self.running_is_public()
        return str(self._replace(running="another value") if secret else self)

    def running_is_public(self) -> bool:
        """Return whether nobody writes a secret there. The name of a container has no dots."""
        keys = self.place.split(".")
        if keys[0] != "containerDefinitions":
            return keys[0] in _PUBLIC
        return len(keys) < len(("containerDefinitions", "name", "key")) or keys[2] in _PUBLIC_OF_CONTAINERS


def differences(running: dict[str, Any], wanted: dict[str, Any], *containers: str) -> list[Difference]:
    """Return each place where the two differ; the images of the named containers do not count."""
    ours, theirs = _comparable(wanted, containers), _comparable(running, containers)
    return [
        Difference(place, theirs.get(place, ""), ours.get(place, ""))
        for place in sorted({*ours, *theirs})
        if ours.get(place) != theirs.get(place)
    ]


def containers(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of taskdef.json; ends the job when it has none."""
    found = definition["containerDefinitions"]
    if not isinstance(found, list) or not found or not all(isinstance(part, dict) for part in found):
        job.fail("taskdef.json is no task definition: it has no list containerDefinitions.")
    return found


def as_registered(described: dict[str, Any]) -> dict[str, Any]:
    """Return a task definition as ``RegisterTaskDefinition`` takes it.

    Args:
        described: As a file has it, or as ``describe-task-definition`` prints it, in ``taskDefinition`` or not.
    """
    inner = described.get("taskDefinition")
    tags = described.get("tags")
    definition = dict(inner) if isinstance(inner, dict) else dict(described)
    if isinstance(inner, dict) and tags:
        definition["tags"] = tags
    kept: dict[str, Any] = _without_nulls({key: part for key, part in definition.items() if key not in OF_A_REVISION})
    if isinstance(kept.get("tags"), list):
        kept["tags"] = [tag for tag in kept["tags"] if not _reserved(tag)]
        if not kept["tags"]:
            del kept["tags"]
    return kept


def _reserved(tag: object) -> bool:
    """Return whether AWS alone sets this tag."""
    return isinstance(tag, dict) and str(tag.get("key")).lower().startswith(RESERVED_TAGS)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the value without what the console of ECS writes as null, which the AWS CLI refuses."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def with_stated(base: dict[str, Any], stated: dict[str, Any], container: str) -> dict[str, Any]:
    """Return a task definition with what the stack file states put into it, and all else as it was.

    A variable of the environment, or a secret, is put beside those that are there: a name is in one of the two.

    Args:
        base: What is kept.
        stated: What is put in: properties of the task, and those of the one container.
        container: The container's name.
    """
    made = copy.deepcopy(base)
    made.update({key: value for key, value in stated.items() if key != "containerDefinitions"})
    own = next(part for part in made["containerDefinitions"] if part.get("name") == container)
    for part in stated.get("containerDefinitions", []):
        for key, value in part.items():
            if key not in ("environment", "secrets"):
                own[key] = value
                continue
            names = {entry["name"] for entry in value}
            for place in ("environment", "secrets"):
                if place in own:
                    own[place] = [entry for entry in own[place] if entry.get("name") not in names]
            own[key] = [*own.get(key, []), *value]
    return made

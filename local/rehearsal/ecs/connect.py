"""Service Connect of a service, and its registry: what ECS refuses of them. The words are this program's.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceConnectConfiguration.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceRegistry.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from local.rehearsal.emulated import Json, Refused

_DISCOVERY_NAME = r"[a-z0-9_][a-z0-9_-]{0,63}"
_DNS_NAME = r"[a-z0-9_.][a-z0-9_.-]{0,126}"


def check_connect(wanted: Json, definition: Json, before: tuple[Json, Json], controller: str) -> None:
    """Refuse a configuration that ECS does not take.

    Args:
        wanted: The configuration.
        definition: The task definition that the service is to run.
        before: The configuration that the service has, and the task definition that it runs.
        controller: The deployment controller.

    Raises:
        Refused: So it is.
    """
    for problem in _problems(wanted, definition, before, controller) if wanted.get("enabled") else ():
        raise Refused("InvalidParameterException", problem)


def _problems(wanted: Json, definition: Json, before: tuple[Json, Json], controller: str) -> Iterator[str]:
    if controller != "ECS":
        yield f"Service Connect is not supported with the deployment controller {controller}."
    if not wanted.get("namespace"):
        yield "A namespace is required: the cluster has no default."
    mappings, known = _named_ports(definition), _named_ports(before[1])
    names, aliases = set[str](), set[tuple[str, int]]()
    had = {service["portName"] for service in before[0].get("services", [])}
    for service in wanted.get("services", []):
        port = service["portName"]
        if port not in mappings:
            yield f"The port name {port} is not in the task definition."
            continue
        given = service.get("clientAliases", [])
        if len(given) != 1:
            yield f"The service of {port} must have one client alias."
            continue
        name = service.get("discoveryName", port)
        alias = (given[0].get("dnsName", f"{name}.{wanted.get('namespace')}"), given[0]["port"])
        if not re.fullmatch(_DISCOVERY_NAME, name) or not re.fullmatch(_DNS_NAME, alias[0]):
            yield f"{name} or {alias[0]} is not a valid name."
        if name in names or alias in aliases:
            yield f"Discovery names and endpoints must be unique, and {name} is not."
        names.add(name)
        aliases.add(alias)
        if port in had and mappings[port] != known.get(port, mappings[port]):
            # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html
            yield f"protocol and appProtocol of {port} cannot be changed in a Service Connect service."
    kept = sum(part.get("memory", 0) for part in definition["containerDefinitions"])
    if not definition.get("memory") or kept >= int(definition["memory"]):
        yield "The task memory must be greater than the sum of the container memory limits."


def _named_ports(definition: Json) -> dict[str, tuple[str, str]]:
    """Protocol and application protocol of each port with a name."""
    mappings = [mapping for part in definition["containerDefinitions"] for mapping in part.get("portMappings", [])]
    return {
        mapping["name"]: (mapping.get("protocol", "tcp"), mapping.get("appProtocol", ""))
        for mapping in mappings
        if mapping.get("name")
    }


def port_of(definition: Json, name: str) -> int:
    """Return the container's port behind a port name."""
    mappings = [mapping for part in definition["containerDefinitions"] for mapping in part["portMappings"]]
    return next(int(mapping["containerPort"]) for mapping in mappings if mapping.get("name") == name)


def check_registries(registries: Sequence[Json]) -> None:
    """Refuse more than one registry, and a port, which goes with SRV records only.

    Raises:
        Refused: So it is.
    """
    if len(registries) > 1:
        raise Refused("InvalidParameterException", "A service is associated with one service registry at most.")
    if any(entry.keys() & {"port", "containerName", "containerPort"} for entry in registries):
        raise Refused("InvalidParameterException", "Only registries with A records are rehearsed here.")

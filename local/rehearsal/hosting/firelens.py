"""What FireLens makes of a task with a log router: where the router listens, and how it is told where lines go.

As Amazon ECS's own agent does it, https://github.com/aws/amazon-ecs-agent: the router's files and the variables of
secret options in ``agent/api/task/task.go``, its configuration in
``agent/taskresource/firelens/firelensconfig_unix.go``, the log driver of the other containers in
``agent/engine/docker_task_engine.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SOCKET_FOLDER = "/var/run"
"""Where the router has the socket that the engine writes lines to."""
_SOCKET = "fluent.sock"
_PORT = 24224
_FILES = {"fluentbit": "/fluent-bit/etc/fluent-bit.conf", "fluentd": "/fluentd/etc/fluent.conf"}
VARIABLES = {"FLUENT_HOST": "127.0.0.1", "FLUENT_PORT": str(_PORT)}
"""For programs that send lines themselves."""

Definition = Mapping[str, Any]


def router_of(containers: Sequence[Definition]) -> Definition | None:
    """Return the container that is the task's log router."""
    return next((part for part in containers if part.get("firelensConfiguration")), None)


def is_routed(container: Definition) -> bool:
    """Return whether a container's lines go to the router."""
    return bool(container.get("logConfiguration", {}).get("logDriver") == "awsfirelens")


def ordered(containers: Sequence[Definition]) -> list[Definition]:
    """Return containers that start after their router, and so end before it."""
    router = router_of(containers)
    if router is None:
        return list(containers)
    first = {"containerName": router["name"], "condition": "START"}
    return [
        {**part, "dependsOn": [*part.get("dependsOn", ()), first]} if is_routed(part) else part for part in containers
    ]


def log_driver(container: Definition, task: str, folder: str) -> dict[str, Any]:
    """Return how the engine hands a container's lines to the router.

    Args:
        container: Its definition.
        task: The task's ID.
        folder: Where the engine finds the router's folder of the socket.
    """
    options = {
        "tag": _tag(container, task),
        "fluentd-address": f"unix://{folder}/{_SOCKET}",
        "fluentd-async": "true",
        "fluentd-sub-second-precision": "true",
    }
    limit = container["logConfiguration"].get("options", {}).get("log-driver-buffer-limit")
    return {"Type": "fluentd", "Config": {**options, **({"fluentd-buffer-limit": limit} if limit else {})}}


def secret_variables(containers: Sequence[Definition]) -> Iterator[tuple[str, str]]:
    """Yield the variables by which the router gets the others' secret options: name, and where ECS reads the value."""
    for number, part in enumerate(containers):
        for secret in part["logConfiguration"].get("secretOptions", ()) if is_routed(part) else ():
            yield f"{secret['name']}_{number}", secret["valueFrom"]


def configuration(containers: Sequence[Definition], task: str) -> tuple[str, str]:
    """Return where the router reads its configuration, and what is in it.

    Args:
        containers: All containers of a task with a router.
        task: The task's ID.
    """
    router = router_of(containers)
    firelens = router["firelensConfiguration"] if router else {}
    own = firelens.get("options", {}).get("config-file-value", "")
    write = _fluentd if firelens.get("type") == "fluentd" else _fluent_bit
    outputs = []
    for number, part in enumerate(containers):
        if is_routed(part):
            options = dict(part["logConfiguration"].get("options", {}))
            options.pop("log-driver-buffer-limit", None)
            secret = {
                each["name"]: f"{each['name']}_{number}" for each in part["logConfiguration"].get("secretOptions", ())
            }
            outputs.append((_tag(part, task), options, secret))
    return _FILES[firelens.get("type", "fluentbit")], write(own, outputs)


_Output = tuple[str, dict[str, str], dict[str, str]]
"""Tag, options, and the variable of each secret option."""


def _tag(container: Definition, task: str) -> str:
    return f"{container['name']}-firelens-{task}"


def _fluent_bit(own: str, outputs: Sequence[_Output]) -> str:
    inputs = [
        ("INPUT", {"Name": "forward", "unix_path": f"{SOCKET_FOLDER}/{_SOCKET}"}),
        ("INPUT", {"Name": "forward", "Listen": VARIABLES["FLUENT_HOST"], "Port": str(_PORT)}),
    ]
    lines = [_section(name, said) for name, said in inputs]
    if own:
        lines.append(f"@INCLUDE {own}")
    for tag, options, secret in outputs:
        for key, kind in (("include-pattern", "Regex"), ("exclude-pattern", "Exclude")):
            if pattern := options.pop(key, ""):
                lines.append(f"[FILTER]\n    Name grep\n    Match {tag}\n    {kind} log {pattern}")
        if "Name" in options:
            said = {"Name": options.pop("Name"), "Match": tag, **options}
            said |= {key: f"${{{variable}}}" for key, variable in secret.items()}
            lines.append(_section("OUTPUT", said))
    return "\n\n".join(lines) + "\n"


def _section(name: str, said: Mapping[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"    {key} {value}" for key, value in said.items())])


def _fluentd(own: str, outputs: Sequence[_Output]) -> str:
    lines = [
        f"<source>\n    @type unix\n    path {SOCKET_FOLDER}/{_SOCKET}\n</source>",
        f"<source>\n    @type forward\n    bind {VARIABLES['FLUENT_HOST']}\n    port {_PORT}\n</source>",
    ]
    if own:
        lines.append(f"@include {own}")
    for tag, options, secret in outputs:
        for key, kind in (("include-pattern", "regexp"), ("exclude-pattern", "exclude")):
            if pattern := options.pop(key, ""):
                lines.append(
                    f"<filter {tag}>\n    @type grep\n    <{kind}>\n        key log\n        pattern {pattern}\n"
                    f"    </{kind}>\n</filter>"
                )
        said = {**options, **{key: f"\"#{{ENV['{variable}']}}\"" for key, variable in secret.items()}}
        if "@type" in said:
            lines.append(
                "\n".join([f"<match {tag}>", *(f"    {key} {value}" for key, value in said.items()), "</match>"])
            )
    return "\n\n".join(lines) + "\n"

"""What a Dockerfile says of the port and the health check of its application."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?-(?P<default>[^}]*))?\})")
_ADDRESS = re.compile(r"https?://[^/\s\"'|;&)]+(?P<path>/[^\s\"'|;&)?#]*)?")


@dataclass(frozen=True, slots=True)
class Said:
    """What a Dockerfile says.

    Attributes:
        ports: The TCP ports of its last stage, in the file's order.
        health_path: The path that its health check asks for; empty where it has none that asks for one.
    """

    ports: tuple[int, ...] = ()
    health_path: str = ""


def read(text: str) -> Said:
    """Return what a Dockerfile says: of its last stage, and of the stages that this one is built on.

    https://docs.docker.com/reference/dockerfile/#expose and #healthcheck: ports are TCP unless they say otherwise, a
    range is no port that one listens on, and the last health check counts.
    """
    stages: dict[str, Said] = {}
    names: list[str] = []
    found, variables, name = Said(), dict[str, str](), ""
    for instruction, arguments in _instructions(text):
        if instruction == "FROM":
            stages[name] = found
            words = [word for word in arguments.split() if not word.startswith("--")]
            found = stages.get(words[0].lower() if words else "", Said())
            name = words[2].lower() if len(words) > 2 and words[1].upper() == "AS" else str(len(names))
            names.append(name)
        elif instruction in {"ARG", "ENV"}:
            variables |= dict(_assigned(arguments, variables))
        elif instruction == "EXPOSE":
            ports = dict.fromkeys([*found.ports, *_ports(_filled(arguments, variables))])
            found = Said(tuple(ports), found.health_path)
        elif instruction == "HEALTHCHECK":
            found = Said(found.ports, _asked(_filled(arguments, variables)))
    return found


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"[\\`][ \t]*\n", " ", "\n".join(lines)).splitlines():
        instruction, _, arguments = line.strip().partition(" ")
        if instruction:
            yield instruction.upper(), arguments.strip()


def _assigned(arguments: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that ARG or ENV gives a value: `NAME=value`, or `NAME value` of old."""
    try:
        words = shlex.split(_filled(arguments, variables))
    except ValueError:
        return
    if len(words) == 2 and "=" not in words[0]:
        yield words[0], words[1]
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with its variables filled in; one that has no value stays."""

    def value(match: re.Match[str]) -> str:
        return variables.get(match["plain"] or match["name"]) or match["default"] or match[0]

    return _VARIABLE.sub(value, text)


def _ports(arguments: str) -> Iterator[int]:
    for word in arguments.split():
        port, _, protocol = word.partition("/")
        if port.isdecimal() and protocol.lower() in {"", "tcp"}:
            yield int(port)


def _asked(arguments: str) -> str:
    """Return the path that a health check asks for."""
    command = re.sub(r"^(--\S+\s+)*", "", arguments).removeprefix("CMD").strip()
    if command.startswith("["):
        try:
            command = " ".join(map(str, json.loads(command)))
        except ValueError:
            return ""
    address = _ADDRESS.search(command)
    return (address["path"] or "/") if address else ""

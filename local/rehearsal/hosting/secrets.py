"""The secrets that an application's containers, its build and its tests read: their values are in a file of the user's.

They are never shown. On AWS, ECS reads those of the containers: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specifying-sensitive-data.html.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dotenv.parser import parse_stream

from local.errors import Refusal
from local.rehearsal.resources import Graph, templates_of, values_of

READ_BY_JOBS = ("BUILD_MOUNTS", "TEST_HEADERS")
"""The variables of build projects that name secrets: those that a Dockerfile mounts, and those that tests send."""
REGISTRY_LOGINS = "REGISTRY_LOGINS"
"""The variable that names the registries it signs in to, where nobody is asked here."""
_HIDDEN = "***"
_SHORT = 4
"""Characters below which a text is not hidden: it would be found in every other line."""
_SECRET_ARN = re.compile(r"(arn:[^:]+:secretsmanager:[^:]*:\d+:secret:([^:]+))(?::([^:]*)(?::[^:]*:[^:]*)?)?")
_SECRET_NAME = re.compile(r"(?!arn:)(([A-Za-z0-9/_+=.@-]+)):([A-Za-z0-9_.-]+)")
"""A secret of the build by its name, and the key of its JSON."""
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
"""What ARNs have behind a name: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html"""


class MissingSecret(LookupError):  # noqa: N818 - an answer, not a fault
    """A secret cannot be had; its text is AWS's reason."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets as a task definition names them.

    Attributes:
        values: What a container gets, by ``valueFrom``.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, graphs: Mapping[str, Graph], file: Path | None) -> Self:
        """Return all that deployed stacks read, with the values of a file.

        Args:
            graphs: The graph of each stack by its name.
            file: Lines of ``NAME=VALUE`` or a JSON object. A name is that of the container's variable, or the name or
                ARN of the secret or parameter.

        Raises:
            Refusal: The file cannot be read, or values are missing; it names all of them, and shows no value.
        """
        given = _read(file) if file else {}
        values: dict[str, str] = {}
        missing: dict[tuple[str, str], list[str]] = {}
        for stack, graph in graphs.items():
            for variable, value_from in _read_by(graph):
                value = _value(variable, value_from, given)
                if value is None:
                    missing.setdefault((variable, value_from), []).append(stack)
                else:
                    values[value_from] = value
        if missing:
            lines = (f"  {name} of {' and '.join(at)}: {source}" for (name, source), at in missing.items())
            raise Refusal(
                "\n".join(
                    [f"The application, its build or its tests read secrets, and {_lacking(file)}:", *lines, _WAY]
                )
            )
        return cls(values)

    @property
    def fingerprint(self) -> str:
        """A text that changes with them and from which nobody can guess them."""
        text = json.dumps(dict(self.values), sort_keys=True).encode()
        return hashlib.scrypt(text, salt=b"ecs-delivery", n=2**14, r=8, p=1).hex() if self.values else ""

    def value(self, value_from: str) -> str:
        """Return what a container gets.

        Raises:
            MissingSecret: There is no such secret.
        """
        if value_from not in self.values:
            raise MissingSecret(f"failed to fetch secret {value_from}: ResourceNotFoundException: it has no value here")
        return self.values[value_from]

    def hide(self, text: str) -> str:
        """Return a text without any of their values, or parts of them."""
        for part in sorted({part for value in self.values.values() for part in _parts(value)}, key=len, reverse=True):
            text = text.replace(part, _HIDDEN)
        return text


_WAY = (
    "Write them into a file, one NAME=VALUE a line or as a JSON object, and give it by --secrets FILE. A name is that "
    "of the variable, or the name or ARN of the secret or parameter."
)


def _lacking(file: Path | None) -> str:
    return f"{file} has no value for these" if file else "none is given"


def _read(file: Path) -> dict[str, str]:
    """The values of a file by their names."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise Refusal(
            f"--secrets {file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from None
    if text.lstrip().startswith("{"):
        try:
            return {
                name: value if isinstance(value, str) else json.dumps(value) for name, value in json.loads(text).items()
            }
        except ValueError as error:  # its own text may show a value
            line = getattr(error, "lineno", 1)
            raise Refusal(f"--secrets {file}:{line} is no JSON") from None
    found = {}
    for each in parse_stream(io.StringIO(text)):
        if each.error or (each.key and each.value is None):
            said = each.original.string
            line = each.original.line + said[: len(said) - len(said.lstrip())].count("\n")
            raise Refusal(
                f"--secrets {file}:{line} is not NAME=VALUE; a value with blanks or several lines is in quotes"
            )
        if each.key:
            found[each.key] = each.value or ""
    return found


def _read_by(graph: Graph) -> Iterator[tuple[str, str]]:
    """The variable and ``valueFrom`` of each secret in the task definitions that a stack's pipeline fills in.

    And the ids and references of those that its jobs read. A file with variables is one, too: it is in S3, and its
    content is given in the same way.
    """
    for definition in templates_of(graph):
        for container in definition["containerDefinitions"]:
            for secret in container.get("secrets", ()):
                yield secret["name"], secret["valueFrom"]
            for option in container.get("logConfiguration", {}).get("secretOptions", ()):
                yield option["name"], option["valueFrom"]
            for file in container.get("environmentFiles", ()):
                yield file["value"].rpartition("/")[2], file["value"]
    for project in values_of(graph, "aws:codebuild/project:Project"):
        for variable in project["environment"]["environmentVariables"]:
            if variable["name"] in READ_BY_JOBS:
                yield from json.loads(variable["value"]).items()


def _value(variable: str, value_from: str, given: Mapping[str, str]) -> str | None:
    """What is given for a secret, or the key of it that is named; ``None`` when it is not."""
    secret = _SECRET_ARN.fullmatch(value_from) or _SECRET_NAME.fullmatch(value_from)
    if secret is None and ":s3:::" in value_from:
        key = value_from.partition("/")[2]
        return next((given[name] for name in (value_from, key, variable) if name in given), None)
    if secret is None:
        path = value_from.rpartition(":parameter")[2]
        names = (value_from, path, path.removeprefix("/"), variable)
        return next((given[name] for name in names if name in given), None)
    arn, name, key = secret.groups()
    if value_from in given:
        return given[value_from]
    whole = next((given[known] for known in (arn, name, _SUFFIX.sub("", name)) if known in given), None)
    if whole is None or not key:
        return given.get(variable) if whole is None else whole
    try:
        found = json.loads(whole)[key]
    except (ValueError, KeyError, TypeError):
        raise Refusal(f"The value that --secrets gives for {name} is no JSON object with the key {key}") from None
    return found if isinstance(found, str) else json.dumps(found)


def _parts(value: str) -> Iterator[str]:
    """What is hidden of a value: all of it, each of its lines, and each text in its JSON."""
    for text in (value, *value.splitlines(), *_leaves(value)):
        if len(text.strip()) >= _SHORT:
            yield text


def _leaves(value: str) -> Iterator[str]:
    try:
        inside = json.loads(value)
    except ValueError:
        return
    waiting: list[Any] = [inside]
    while waiting:
        match waiting.pop():
            case dict() as pairs:
                waiting += pairs.values()
            case list() as entries:
                waiting += entries
            case str() as text:
                yield text

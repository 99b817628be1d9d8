"""GitHub's own description of its REST API (OpenAPI), to hold requests and answers against.

It comes as an npm package of 11 MB a variant. Of these, GitHub.com's is kept in the user's cache directory.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from local.go_tool import cache_directory
from local.npm import npm_ci

PACKAGE = Path(__file__).parent / "description"
_FILE = "node_modules/@octokit/openapi/generated/api.github.com.json"
_REPOSITORY = "/repos/{owner}/{repo}"
_OPEN_ENDED = {"ref", "basehead"}
"""Path parameters that may hold slashes: the description marks them with `x-multi-segment`, or says so in words."""


class Operation(NamedTuple):
    """What a request asks for.

    Attributes:
        name: method, and path behind the repository.
        values: the path's own values by the names in braces.
        query: the query's values by name.
    """

    name: str
    values: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def repository(self) -> str:
        """The repository, `owner/name`."""
        return "{owner}/{repo}".format_map(self.values)


def operation_of(method: str, target: str, names: tuple[str, ...]) -> Operation | None:
    """Return which of these operations a request asks for; None when it is none of them."""
    path, _, query = target.partition("?")
    for name, pattern in _patterns(names).items():
        if name.startswith(f"{method} ") and (match := pattern.fullmatch(path)):
            values = {key: unquote(value) for key, value in match.groupdict().items()}
            return Operation(name, values, dict(parse_qsl(query, keep_blank_values=True)))
    return None


@cache
def _patterns(names: tuple[str, ...]) -> dict[str, re.Pattern[str]]:
    """The patterns of the paths; the longer of two that fit goes first, and one without names before one with.

    `releases/latest` is no release's number, and `commits/main/statuses` no commit.
    """
    found = {}
    for name in sorted(names, key=lambda name: (name.count("{"), -len(name))):
        template = f"{_REPOSITORY}/{name.partition(' ')[2]}"
        found[name] = re.compile(
            re.sub(r"\{(\w+)\}", lambda key: f"(?P<{key[1]}>{'.+' if key[1] in _OPEN_ENDED else '[^/]+'})", template)
        )
    return found


class Description:
    """The part of GitHub's description that the stand-in answers."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    @classmethod
    def load(cls) -> Description:
        """The description; npm fetches it the first time.

        Raises:
            MissingTool: npm would be needed and is not there.
            Refusal: npm could not fetch it.
        """
        digest = hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()[:12]
        kept = cache_directory() / f"github-{digest}.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                npm_ci("GitHub's description", PACKAGE, Path(folder))
                Path(folder, _FILE).replace(kept)  # at once: others may be looking for it
        return cls(_document(kept))

    def request_problems(self, operation: Operation, content_type: str, body: bytes) -> list[str]:
        """What is wrong with a request by the description."""
        described = self._described(operation)
        parameters = {entry["name"]: entry for entry in map(self._resolved, described.get("parameters", []))}
        given = {**operation.values, **operation.query}
        problems = [f"query parameter {name} is not known" for name in given if name not in parameters]
        for name, parameter in parameters.items():
            if name in given:
                schema = parameter["schema"]
                problems += self._problems(schema, _read(given[name], schema), f"parameter {name}")
            elif parameter.get("required"):
                problems.append(f"{parameter['in']} parameter {name} is missing")
        return [*problems, *self._body_problems(described.get("requestBody"), content_type, body)]

    def _body_problems(self, described: Mapping[str, Any] | None, content_type: str, body: bytes) -> Iterator[str]:
        if described is None:
            if body:
                yield "the request has a body and none is described"
        elif "application/octet-stream" in described["content"]:
            if not content_type:
                yield "the upload has no Content-Type"
        elif content_type.partition(";")[0] != "application/json":
            yield f"Content-Type must be application/json, got {content_type!r}"
        else:
            try:
                value = json.loads(body)
            except ValueError as error:
                yield f"the body is not JSON: {error}"
                return
            schema = described["content"]["application/json"]["schema"]
            yield from self._problems(schema, value, "body")
            # The description allows any property; one that GitHub would ignore is a mistake all the same.
            forms = [form for form in (schema, *schema.get("oneOf", ())) if "properties" in form]
            known = {name for form in forms for name in form["properties"]}
            yield from (f"body.{name} is not described" for name in value if name not in known)

    def answer_problems(self, operation: Operation, status: int, value: object) -> list[str]:
        """What is wrong with an answer by the description; what the job does not read may be missing."""
        responses = self._described(operation)["responses"]
        if str(status) in responses:
            content = self._resolved(responses[str(status)]).get("content", {})
            schema = content.get("application/json", {}).get("schema")
        elif status >= 400:  # many operations do not mention that a token may be refused
            schema = {"$ref": "#/components/schemas/basic-error"}
        else:
            return [f"status {status} is not described"]
        if schema is None:
            return ["there is a body and none is described"] if value is not None and status < 400 else []
        return self._problems(schema, value, "answer", ignored="required")

    def _described(self, operation: Operation) -> Mapping[str, Any]:
        method, _, path = operation.name.partition(" ")
        described: Mapping[str, Any] = self._document["paths"][f"{_REPOSITORY}/{path}"][method.lower()]
        return described

    def _resolved(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Any = self._document if "$ref" in entry else entry
        for step in entry.get("$ref", "").split("/")[1:]:
            found = found[step]
        value: Mapping[str, Any] = found
        return value

    def _problems(self, schema: Mapping[str, Any], value: object, where: str, ignored: str = "") -> list[str]:
        from openapi_schema_validator import OAS30Validator  # noqa: PLC0415 - a rehearsal starts, and goes, without it

        root = {**schema, "components": self._document["components"]}
        found = [error for error in OAS30Validator(root).iter_errors(value) if error.validator != ignored]
        return [f"{where}{''.join(f'.{step}' for step in error.absolute_path)}: {error.message}" for error in found]


def _read(text: str, schema: Mapping[str, Any]) -> object:
    """A parameter's text as the type it is described with, if it can be read so."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


@cache
def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document

"""GitHub's own description of its REST API (OpenAPI), to hold requests and answers against.

It comes as an npm package of 11 MB a variant. What the stand-in answers is cut out of it once, and kept in the user's
cache directory.
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

from openapi_schema_validator import OAS30Validator

from local.go_tool import cache_directory
from local.npm import npm_ci

PACKAGE = Path(__file__).parent / "description"
_FILE = "node_modules/@octokit/openapi/generated/api.github.com.json"
_REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = (
    ("GET", f"{_REPOSITORY}/commits/{{ref}}"),
    ("GET", f"{_REPOSITORY}/compare/{{basehead}}"),
    ("GET", f"{_REPOSITORY}/releases"),
    ("POST", f"{_REPOSITORY}/releases"),
    ("POST", f"{_REPOSITORY}/releases/generate-notes"),
    ("GET", f"{_REPOSITORY}/releases/latest"),
    ("PATCH", f"{_REPOSITORY}/releases/{{release_id}}"),
    ("DELETE", f"{_REPOSITORY}/releases/{{release_id}}"),
    ("GET", f"{_REPOSITORY}/releases/{{release_id}}/assets"),
    ("POST", f"{_REPOSITORY}/releases/{{release_id}}/assets"),
    ("DELETE", f"{_REPOSITORY}/releases/assets/{{asset_id}}"),
)
"""What the stand-in answers."""
_OPEN_ENDED = {"ref", "basehead"}
"""Path parameters that may hold slashes: the description marks them with `x-multi-segment`, or says so in words."""


class Operation(NamedTuple):
    """What a request asks for.

    Attributes:
        method: as in `GET`.
        path: as the description spells it, with names in braces.
        values: the path's own values by those names.
        query: the query's values by name.
    """

    method: str
    path: str
    values: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def name(self) -> str:
        """Method and path behind the repository, such as `POST releases`."""
        return f"{self.method} {self.path.removeprefix(f'{_REPOSITORY}/')}"

    @property
    def repository(self) -> str:
        """The repository, `owner/name`."""
        return "{owner}/{repo}".format_map(self.values)


def operation_of(method: str, target: str) -> Operation | None:
    """Return what a request asks for; None when there is no such path and method."""
    path, _, query = target.partition("?")
    for pattern, (known, template) in _patterns():
        if known == method and (match := pattern.fullmatch(path)):
            values = {name: unquote(value) for name, value in match.groupdict().items()}
            return Operation(method, template, values, dict(parse_qsl(query, keep_blank_values=True)))
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], tuple[str, str]]]:
    found = []
    # A path without names goes before one with: `releases/latest` is no release's number.
    for method, template in sorted(OPERATIONS, key=lambda item: (item[1].count("{"), item[1])):
        text = re.sub(
            r"\{(\w+)\}", lambda name: f"(?P<{name[1]}>{'.+' if name[1] in _OPEN_ENDED else '[^/]+'})", template
        )
        found.append((re.compile(text), (method, template)))
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
        lock = (PACKAGE / "package-lock.json").read_bytes()
        digest = hashlib.sha256(lock + json.dumps(OPERATIONS).encode()).hexdigest()[:12]
        kept = cache_directory() / f"github-description-{digest}.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                part = Path(folder, "part.json")
                part.write_text(json.dumps(_part(_fetched(Path(folder)))), encoding="utf-8")
                part.replace(kept)  # at once: others may be looking for it
        return cls(json.loads(kept.read_text(encoding="utf-8")))

    def request_problems(self, operation: Operation, content_type: str, body: bytes) -> list[str]:
        """What is wrong with a request by the description."""
        described = self._described(operation)
        problems: list[str] = []
        known = set()
        for entry in described.get("parameters", []):
            parameter = self._resolved(entry)
            name = parameter["name"]
            given = {"path": operation.values, "query": operation.query}[parameter["in"]].get(name)
            known.add(name)
            if given is None:
                problems += [f"{parameter['in']} parameter {name} is missing"] if parameter.get("required") else []
            else:
                problems += self._problems(parameter["schema"], _read(given, parameter["schema"]), f"parameter {name}")
        problems += [f"query parameter {name} is not known" for name in operation.query if name not in known]
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
            yield from (f"body.{name} is not described" for name in value if name not in schema["properties"])

    def answer_problems(self, operation: Operation, status: int, value: object) -> list[str]:
        """What is wrong with an answer by the description."""
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
        return self._problems(schema, value, "answer")

    def _described(self, operation: Operation) -> Mapping[str, Any]:
        described: Mapping[str, Any] = self._document["operations"][f"{operation.method} {operation.path}"]
        return described

    def _resolved(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = entry.get("$ref")
        return _at(self._document, reference) if reference else entry

    def _problems(self, schema: Mapping[str, Any], value: object, where: str) -> list[str]:
        root = {**schema, "components": self._document["components"]}
        found = OAS30Validator(root).iter_errors(value)
        return [f"{where}{''.join(f'.{step}' for step in error.absolute_path)}: {error.message}" for error in found]


def _read(text: str, schema: Mapping[str, Any]) -> object:
    """A parameter's text as the type it is described with, if it can be read so."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


def _fetched(folder: Path) -> dict[str, Any]:
    npm_ci("GitHub's description", PACKAGE, folder)
    document: dict[str, Any] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    return document


def _part(document: Mapping[str, Any]) -> dict[str, Any]:
    """The operations of interest, with all that they refer to."""
    operations = {f"{method} {path}": document["paths"][path][method.lower()] for method, path in OPERATIONS}
    part: dict[str, Any] = {"operations": operations, "components": {}}
    waiting = [*_references(operations), "#/components/schemas/basic-error"]
    done = set()
    while waiting:
        reference = waiting.pop()
        if reference not in done:
            done.add(reference)
            _, components, kind, name = reference.split("/")
            found = _at(document, reference)
            part[components].setdefault(kind, {})[name] = found
            waiting += _references(found)
    return part


def _at(document: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    value: Mapping[str, Any] = found
    return value


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item
            elif key not in ("example", "examples"):
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)

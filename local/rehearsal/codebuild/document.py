"""Reads a buildspec: YAML that fits the format, or a refusal that says where it does not.

Source of the format: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from local.rehearsal.codebuild.model import BuildspecProblem

SCHEMA = Path(__file__).parents[1] / "buildspec.schema.json"


def read_document(text: str, name: str = "buildspec") -> dict[str, Any]:
    """The buildspec of this text.

    Args:
        text: YAML, as the CodeBuild project holds it.
        name: What messages call it.

    Raises:
        BuildspecProblem: it is no YAML, or does not fit the format; a line for each problem.
    """
    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise BuildspecProblem(f"{name}: YAML_FILE_ERROR: {error}") from None
    found = sorted(_validator().iter_errors(document), key=lambda error: [str(step) for step in error.absolute_path])
    problems = list(dict.fromkeys(line for error in found for line in _said(error)))
    if problems:
        raise BuildspecProblem("\n".join(f"{name}: YAML_FILE_ERROR: {problem}" for problem in problems))
    checked: dict[str, Any] = document
    return checked


@lru_cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _said(error: ValidationError) -> Iterator[str]:
    """What is wrong, with its place, in the words of somebody who writes buildspecs."""
    place = ".".join(_step(step) for step in error.absolute_path) or "the file"
    wrong: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "additionalProperties":
            allowed = ", ".join(schema["properties"])
            for key in sorted(map(str, set(wrong) - set(schema["properties"]))):
                yield f"{place}: {key!r} is not known here; allowed: {allowed}"
        case "required":
            yield f"{place}: lacks {', '.join(key for key in schema['required'] if key not in wrong)}"
        case "type" if schema["type"] == "string":
            hint = "; quote it, YAML takes a colon for the end of a key" if isinstance(wrong, dict) else "; quote it"
            yield f"{place}: must be a text, YAML reads it as {wrong!r}{hint}"
        case "type":
            kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            names = {"array": "a list", "object": "a mapping", "boolean": "true or false", "number": "a number"}
            yield f"{place}: must be {' or '.join(names.get(kind, f'a {kind}') for kind in kinds)}, got {wrong!r}"
        case "enum":
            yield f"{place}: must be {' or '.join(map(str, dict.fromkeys(map(str, schema['enum']))))}, got {wrong!r}"
        case "pattern":
            yield f"{place}: {schema['description']}, got {wrong!r}"
        case _:
            yield f"{place}: {error.message}"


def _step(step: object) -> str:
    """A step into the document; entries of lists count from 1, and `on` as a key is a boolean to YAML."""
    return str(step + 1) if isinstance(step, int) and not isinstance(step, bool) else str(step)

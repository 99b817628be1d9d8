"""Holds the values a program sends against the types its SDK declares.

The real provider finds a misspelt or mistyped property when it talks to AWS, or never; here it is found at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from local.engine.providers.protocol import Value, is_special, is_unknown
from local.engine.providers.sdk_types import ObjectType, Sdk, Shape

_ARTICLES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "asset": "an asset or archive",
    "list": "a list",
    "map": "a map",
    "object": "an object",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what the program sent.

    Attributes:
        path: where, as in `stages[0].actions[1].category`.
        reason: what is wrong there, given and allowed.
    """

    path: str
    reason: str


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, or nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean `{near[0]}`?" if near else ""


def problems(sdk: Sdk, expected: ObjectType, given: Mapping[str, Value]) -> list[Problem]:
    """Compare an object with its type, nested structures included.

    Args:
        sdk: where nested structures are looked up.
        expected: the type.
        given: the values, free of secret wrappers. Unknown values fit everywhere; null means "not given".

    Returns:
        every problem, in the order of the values; missing properties first.
    """
    return list(_object_problems(sdk, expected, given, ""))


def _object_problems(sdk: Sdk, expected: ObjectType, given: Mapping[str, Value], prefix: str) -> Iterator[Problem]:
    for name in sorted(expected.required):
        if given.get(name) is None:
            yield Problem(prefix + name, "is required and missing")
    for name, value in given.items():
        shape = expected.properties.get(name)
        if shape is not None:
            yield from _value_problems(sdk, shape, value, prefix + name)
        elif not name.startswith("__"):  # the engine's own, such as __defaults
            yield Problem(prefix + name, f"is not a known property{suggest(name, expected.properties)}")


def _value_problems(sdk: Sdk, shape: Shape, value: Value, path: str) -> Iterator[Problem]:
    if value is None or shape.kind == "any" or is_unknown(value):
        return
    if shape.kind == "either":
        attempts = [list(_value_problems(sdk, part, value, path)) for part in shape.parts]
        if all(attempts):
            # The alternative that got furthest into the value explains it best.
            yield from max(attempts, key=lambda found: len(found[0].path))
    elif not _fits(shape.kind, value):
        yield Problem(path, f"must be {_ARTICLES[shape.kind]}, got {_describe(value)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _value_problems(sdk, shape.parts[0], item, f"{path}[{index}]")
    elif isinstance(value, dict) and shape.kind == "map":
        for key, item in value.items():
            yield from _value_problems(sdk, shape.parts[0], item, f"{path}[{key!r}]")
    elif isinstance(value, dict) and shape.kind == "object":
        yield from _object_problems(sdk, sdk.structure(shape.name), value, f"{path}.")


def _fits(kind: str, value: Value) -> bool:
    """Whether a value is of a kind at all, whatever is inside it."""
    if kind in {"map", "object", "asset"}:
        return isinstance(value, dict) and is_special(value) == (kind == "asset")
    if kind in {"integer", "number"}:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return kind == "number" or value == int(value)
    return isinstance(value, {"boolean": bool, "string": str, "list": list}[kind])


def _describe(value: Value) -> str:
    """What was given, without echoing text that might be confidential."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value:g}"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"

"""What botocore's service models say about a request.

botocore itself checks structure, types, required members and lower bounds before it sends anything;
enums, patterns and upper bounds it leaves to the service, so they are read off the shapes here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from aws_requests import Described, NoRequestError, Request, requests_of
from botocore.model import Shape  # type: ignore[import-untyped]  # ships no types
from botocore.validate import ParamValidator  # type: ignore[import-untyped]  # ships no types

from local.aws_models import service_model


def problems(request: Request) -> list[str]:
    """Everything the service model has against a request, each with the member it is about."""
    shape = service_model(request.service).operation_model(request.operation).input_shape
    if shape is None:
        return [f"{request.origin}: {request.service} {request.operation} takes no parameters"] * bool(request.params)
    report = ParamValidator().validate(request.params, shape).generate_report()
    found = [*report.splitlines(), *_limits(request.params, shape, request.operation)]
    return [f"{request.origin}: {request.service} {request.operation}: {problem}" for problem in found]


def judged(graph: Iterable[Described]) -> list[str]:
    """Everything the service models have against a graph, and every type that stands for no request."""
    found: list[str] = []
    for resource in graph:
        try:
            found.extend(problem for request in requests_of([resource]) for problem in problems(request))
        except NoRequestError as error:
            found.append(str(error))
    return found


def _limits(value: Any, shape: Shape, path: str) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Enums, patterns and upper bounds; a value of the wrong type is the validator's business."""
    yield from _bounds(value, shape, path)
    match shape.type_name, value:
        case "structure", dict():
            known = value.keys() & shape.members.keys()
            below = [(value[member], shape.members[member], f"{path}.{member}") for member in sorted(known)]
        case "list", list():
            below = [(item, shape.member, f"{path}[{index}]") for index, item in enumerate(value)]
        case "map", dict():
            keys = [(key, shape.key, f"{path} (key {key})") for key in value]
            below = [*keys, *((item, shape.value, f"{path}.{key}") for key, item in value.items())]
        case _:
            below = []
    for item, item_shape, item_path in below:
        yield from _limits(item, item_shape, item_path)


def _bounds(value: Any, shape: Shape, path: str) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """What one value breaks by itself."""
    most = shape.metadata.get("max")
    match shape.type_name, value:
        case (("list" | "map"), (list() | dict())) if most is not None and len(value) > most:
            yield f"{path}: {len(value)} entries, more than {most}"
        case "string", str():
            yield from _text(value, shape, path)
        case (("integer" | "long" | "float" | "double"), (int() | float())) if most is not None and value > most:
            yield f"{path}: {value} is more than {most}"


def _text(value: str, shape: Shape, path: str) -> Iterator[str]:
    most, pattern = shape.metadata.get("max"), shape.metadata.get("pattern")
    if most is not None and len(value) > most:
        yield f"{path}: {len(value)} characters, more than {most}"
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
    if pattern is not None and not re.fullmatch(_in_python(pattern), value):
        yield f"{path}: {value!r} does not match {pattern}"


def _in_python(pattern: str) -> str:
    """A pattern of Java's in Python's words: letters, digits and blanks of any script, and signs of two code units."""
    pattern = pattern.replace(r"\p{Print}", r"[\x20-\x7E]")
    words = pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d").replace(r"\p{Z}", r"\s")
    return words.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")

"""Requests and answers held against botocore's own model of a service.

botocore checks names, types, required members and lower bounds before it sends anything; enums and upper bounds it
leaves to the service, so both are read off the shapes here, for both directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from local.aws_models import service_model

if TYPE_CHECKING:
    from botocore.model import Shape  # type: ignore[import-untyped]  # ships no types


def request_problems(service: str, operation: str, parameters: dict[str, Any]) -> list[str]:
    """Return what the model has against a request; each line names the member it is about."""
    return _problems(parameters, service_model(service).operation_model(operation).input_shape, operation)


def answer_problems(service: str, operation: str, answer: dict[str, Any]) -> list[str]:
    """Return what the model has against an answer."""
    return _problems(answer, service_model(service).operation_model(operation).output_shape, operation)


def _problems(value: dict[str, Any], shape: Shape | None, operation: str) -> list[str]:
    if shape is None:  # the operation has no body
        return [f"{operation}: {name} is not known" for name in sorted(value)]
    from botocore.validate import ParamValidator  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    report = ParamValidator().validate(value, shape).generate_report()
    return [*report.splitlines(), *_limits(value, shape, operation)]


def _limits(value: object, shape: Shape, path: str) -> Iterator[str]:
    """Enums and upper bounds; a value of the wrong type is the validator's business, but for a boolean as a number."""
    most = shape.metadata.get("max")
    match shape.type_name, value:
        case (("integer" | "long"), bool()):
            yield f"{path}: {value} is no number"
        case (("integer" | "long" | "float" | "double"), (int() | float())) if most is not None and value > most:
            yield f"{path}: {value} is more than {most}"
        case "string", str() if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is none of {', '.join(shape.enum)}"
        case "structure", dict():
            for name in sorted(value.keys() & shape.members.keys()):
                yield from _limits(value[name], shape.members[name], f"{path}.{name}")
        case "list", list():
            for number, item in enumerate(value):
                yield from _limits(item, shape.member, f"{path}[{number}]")
        case "map", dict():
            for key, item in value.items():
                yield from _limits(item, shape.value, f"{path}.{key}")

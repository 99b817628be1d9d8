"""What GitHub sends back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_DOCUMENTATION = "https://docs.github.com/rest"


class Answer(NamedTuple):
    """What is sent back: the HTTP status, the JSON (None for no body), and more than the usual headers."""

    status: int
    value: object = None
    headers: Mapping[str, str] = {}


def error(status: int, message: str) -> Answer:
    """Return a refusal with a message."""
    return Answer(status, {"message": message, "documentation_url": _DOCUMENTATION, "status": str(status)})


def invalid(resource: str, field: str, code: str, message: str = "") -> Answer:
    """Return the refusal of one field of a request."""
    errors = [{"resource": resource, "code": code, "field": field, **({"message": message} if message else {})}]
    return Answer(422, {"message": "Validation Failed", "errors": errors, "documentation_url": _DOCUMENTATION})

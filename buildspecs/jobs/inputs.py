"""Variables, and values of answers, that are more than a text."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from jobs import job


def number(name: str, text: str) -> int:
    """The variable's text as a whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        job.fail(f"{name} must be a whole number above 0, got {text!r}.", job.MISUSED)
    return int(text)


def parsed(name: str, text: str, kind: type) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """JSON text as a `dict` or a `list`, whichever `kind` asks for; empty text is the empty one."""
    try:
        value = json.loads(text) if text else kind()
    except ValueError as error:
        job.fail(f"{name} is not JSON: {error}. Given: {text[:200]}", job.MISUSED)
    if not isinstance(value, kind):
        job.fail(f"{name} must be a JSON {'object' if kind is dict else 'list'}, got {text[:200]}", job.MISUSED)
    return value


def moment(value: Any) -> float:  # noqa: ANN401 - JSON
    """Return a time as seconds since 1970: the AWS CLI gives ISO 8601, or a number where it is configured so."""
    if isinstance(value, (int, float)):
        return float(value)
    return dt.datetime.fromisoformat(str(value)).timestamp()

"""What stands in place of a value that a preview cannot know, or that nobody may read."""

from __future__ import annotations

from typing import Any

UNKNOWN = "[known after up]"
"""Stands for a value that a preview cannot know."""
SECRET = "[secret]"  # noqa: S105 - what is shown in place of one

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the engine's mark of a secret, not one
_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What events and previews have for a value of any type that is not known:
https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/resource/stack/deployment.go, ``computedValuePlaceholder``."""


def readable(value: Any) -> Any:  # noqa: ANN401 - whatever a program hands out
    """Return a value of the state or an event with the engine's own marks replaced by words."""
    match value:
        case dict() if value.get(_SIGNATURE) == _SECRET_SIGNATURE:
            return SECRET
        case dict():
            return {key: readable(item) for key, item in value.items()}
        case list():
            return [readable(item) for item in value]
        case str() if value == _UNKNOWN_TEXT:
            return UNKNOWN
        case _:
            return value

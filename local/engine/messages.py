"""What the engine says, without what it and the Python runtime wrap around it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_COLOUR = re.compile(r"<\{%.*?%\}>|\x1b\[[0-9;]*m")
_FAILED = ("preview failed", "update failed")
"""What the engine says beside the reason."""
_FAILED_CLEAN_UP = "Exception calling application: "
"""gRPC's words when the SDK trips over registrations that are still open while it cleans up after a crash."""


def told(errors: Sequence[str]) -> list[str]:
    """Return errors without those that say nothing new; whether a clean-up after them fails is a race besides."""
    reasons = [error for error in errors if not error.startswith(_FAILED_CLEAN_UP)]
    return [error for error in reasons if error not in _FAILED] or reasons


def tidy(message: str) -> str:
    """Return a message without what is wrapped around it."""
    text = _COLOUR.sub("", message).strip()
    for wrapping in ("error: ", "an unhandled error occurred: ", "python inline source runtime error: "):
        text = text.removeprefix(wrapping)
    before, traceback_line, frames = text.partition("Traceback (most recent call last):\n")
    if not traceback_line:
        return text
    own = re.search(r'^ *File "(?!.*(?:site-packages|/lib/python)).*\Z', frames, re.MULTILINE | re.DOTALL)
    return f"{traceback_line}{own[0]}" if own else before.strip()

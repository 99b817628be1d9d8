"""Durations, sizes and times in words, and log lines as they may be shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold and no reader wants."""
_TROUBLE = re.compile(
    r"\b(errors?|exception|traceback|fatal|panic|denied|refused|unauthorized|not authorized|failed|failure|fail)\b",
    re.IGNORECASE,
)
_NO_TROUBLE = re.compile(
    r"\b(0|no|without) (errors?|failures?|failed)\b|\b(errors?|failures?|failed)[:=] ?0\b", re.IGNORECASE
)


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``0.4 s``, ``42 s``, ``1 min 42 s``, ``1 h 3 min``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def clock(seconds: float) -> str:
    """Return a time since the beginning: ``0:07``, ``1:02:03``."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(epoch: float) -> str:
    """Return a point in time: ``28 Nov 2026, 23:40 UTC``."""
    at = datetime.fromtimestamp(epoch, UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def size(number: int) -> str:
    """Return a number of bytes: ``512 B``, ``1.2 kB``, ``34 MB``."""
    if number < 1000:
        return f"{number} B"
    amount = float(number)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5 or unit == "GB":
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def number(amount: float) -> str:
    """Return a number without a needless point, with its thousands apart: ``12,345``, ``92.5``."""
    return f"{amount:,.0f}" if amount == int(amount) else f"{amount:,.1f}"


def plain(line: str) -> str:
    """Return a log line without colours and control characters; of a progress bar what was left standing."""
    for part in reversed(line.rstrip("\r\n").split("\r")):
        text = _CONTROL.sub("", _colourless(part) if "\x1b" in part else part)
        if text:
            return text
    return ""


def _colourless(line: str) -> str:
    from rich.text import Text  # noqa: PLC0415 - most logs have no colours, and a rehearsal need not wait for Rich

    return Text.from_ansi(line).plain


def last_lines(log: Sequence[str], reason: str, most: int) -> list[str]:
    """Return the last lines of a log that the reason of a failure does not quote, as they may be shown.

    Args:
        log: Its lines.
        reason: Why the action failed, which may quote lines of it, with a bar before each.
        most: How many are wanted.
    """
    quoted = {_bare(line) for line in reason.splitlines()}
    own = (line for line in reversed(log) if _bare(line) not in quoted)
    return [plain(line) for line in islice(own, most)][::-1]


def _bare(line: str) -> str:
    return plain(line).strip().removeprefix("FAILED: ").removeprefix("| ")


def is_trouble(line: str) -> bool:
    """Return whether somebody who looks for what went wrong should see a log line."""
    return bool(_TROUBLE.search(_NO_TROUBLE.sub("", line)))

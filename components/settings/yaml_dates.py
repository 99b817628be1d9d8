"""A date without quotes: YAML reads it as a moment, and Pulumi hands on that moment's text instead of the date."""

import re
from typing import Final

_MOMENT: Final = re.compile(r"(?P<date>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d:\d\d)(\.\d+)? [+-]\d{4} \w+")


def as_moment(date: str) -> str:
    """Return what Pulumi makes of a date (`2026-11-01`) that stands in a stack file without quotes."""
    return f"{date} 00:00:00 +0000 UTC"


def as_written(text: str) -> str | None:
    """Return the date, or date and time, that Pulumi made this text of; None for any other text."""
    if not (moment := _MOMENT.fullmatch(text)):
        return None
    return moment["date"] if moment["time"] == "00:00:00" else f"{moment['date']}T{moment['time']}Z"

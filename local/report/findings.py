"""What a reviewer has to know of a change, one sentence each, in the order in which it matters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

DESTROYS, BROADENS = "pipeline/destroys", "pipeline/broadens"
"""The labels of a change: a rule may ask for a second reviewer by them."""
UNKNOWN_BEFORE_UP = "not known before up"
_LONGEST = 160


class Section(Enum):
    """What a finding is about, the weightiest first."""

    LOSS = "Cannot be undone"
    USERS = "Users notice"
    PERMISSIONS = "Permissions broadened"
    PIPELINE = "Pipeline"
    NEXT_RUN = "Ships with the next run"
    JOBS = "Jobs with new code"
    FIGURES = "Seconds and dollars"
    NARROWED = "Permissions narrowed"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a reviewer has to know.

    Attributes:
        section: What it is about.
        words: A sentence. What comes from the program or from AWS stands between backticks, as :func:`code` puts it.
        details: More of it, a line each, for whoever unfolds it.
        destroys: Whether something is lost that nobody can bring back, or what has kept it from being lost.
        broadens: Whether somebody may do more than before, or less has to be passed than before.
    """

    section: Section
    words: str
    details: tuple[str, ...] = ()
    destroys: bool = False
    broadens: bool = False


def labels(findings: Iterable[Finding]) -> list[str]:
    """Return the labels of a change with these findings."""
    several = list(findings)
    return [
        *([DESTROYS] if any(each.destroys for each in several) else []),
        *([BROADENS] if any(each.broadens for each in several) else []),
    ]


def code(value: object) -> str:
    """Return a name or a value between backticks: on one line, short, and unable to end them."""
    text = " ".join(str(value).replace("`", "'").split())
    return f"`{text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'}`"


def listed(values: Sequence[object], most: int = 3) -> str:
    """Return some values as code, the first few of them and how many more there are."""
    shown = [code(value) for value in values[:most]]
    if len(values) > most:
        shown.append(f"{len(values) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"

"""The report as a page: one HTML file that needs no network, with everything that a comment has no room for."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from local.report.findings import Finding, Section
from local.report.model import Report, StackReport
from local.report.picture import WORDS, Box, drawn
from local.report.text import tree
from local.templates import environment

_CHARACTER = 8.4
"""Width of a character in the widest of the fonts that browsers fall back to."""
_PADDING, _GAP, _HEAD, _BOX, _BETWEEN = 10.0, 30.0, 30.0, 40.0, 8.0
_NARROWEST, _EDGE = 130.0, 2.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A box of the picture with its place."""

    x: float
    y: float
    width: float
    height: float
    box: Box

    @property
    def words(self) -> str:
        """What becomes of it, in words."""
        return WORDS[self.box.state]


@dataclass(frozen=True, slots=True)
class Picture:
    """The pipeline of a stack."""

    width: float
    height: float
    stages: tuple[Shape, ...]
    actions: tuple[Shape, ...]


def picture(stages: Sequence[Box]) -> Picture:
    """Return where everything stands."""
    columns: list[Shape] = []
    actions: list[Shape] = []
    left = _EDGE
    for stage in stages:
        longest = max([len(stage.name), *(len(box.name) for box in stage.boxes)])
        width = max(longest * _CHARACTER + 4 * _PADDING, _NARROWEST)
        for number, box in enumerate(stage.boxes):
            y = _EDGE + _HEAD + number * (_BOX + _BETWEEN)
            actions.append(Shape(left + _PADDING, y, width - 2 * _PADDING, _BOX, box))
        height = _HEAD + len(stage.boxes) * (_BOX + _BETWEEN) + _PADDING - _BETWEEN
        columns.append(Shape(left, _EDGE, width, height, stage))
        left += width + _GAP
    height = max((column.height for column in columns), default=0.0) + 2 * _EDGE
    return Picture(max(left - _GAP, 0) + _EDGE, height, tuple(columns), tuple(actions))


def page(report: Report) -> str:
    """Return the page."""
    templates = environment(Path(__file__).parent / "templates")
    templates.filters["marked"] = _marked
    return templates.get_template("page.html").render(
        report=report,
        sections=list(Section),
        of=_of,
        picture=functools.partial(_picture_of),
        tree=lambda stack: tree(stack.preview.steps),
    )


def _picture_of(stack: StackReport) -> Picture | None:
    stages = drawn(stack.preview)
    return picture(stages) if stages else None


def _of(stack: StackReport, section: Section) -> list[Finding]:
    return [finding for finding in stack.findings if finding.section is section]


def _marked(words: str) -> Markup:
    """A sentence with its names as code."""
    parts = words.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )

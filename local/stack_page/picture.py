"""Where everything stands in the pictures of a stack: numbers only, drawn by the templates."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from local.diagram import Stages
from local.rehearsal.report.model import Pipeline, PlannedAction, Stage
from local.rehearsal.report.pictures import pipelines
from local.stack_page.parts import Part, lines_of

_WIDTH, _LINE, _HEAD, _PADDING = 206.0, 17.0, 26.0, 9.0
_BETWEEN, _GAP, _EDGE = 16.0, 62.0, 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A part of the stack."""

    x: float
    y: float
    width: float
    height: float
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """All of it; ``paths`` are the arrows."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    paths: tuple[str, ...]


def draw_pipeline(stack: str, name: str, stages: Stages) -> pipelines.Picture:
    """Return where stages and actions stand, as in the report of a rehearsal."""
    planned = tuple(
        Stage(
            name=stage,
            groups=tuple(
                tuple(PlannedAction(name=action.name, category="", provider=action.does) for action in together)
                for _, together in itertools.groupby(actions, lambda action: action.run_order)
            ),
        )
        for stage, actions in stages.items()
    )
    return pipelines.draw([Pipeline(stack=stack, name=name, execution_mode="", stages=planned)])


def draw_parts(parts: Sequence[Part]) -> Picture:
    """Return where the parts stand: those that need nothing on the left, the others to the right of what they need."""
    layers = [
        [part for part in parts if part.layer == layer]
        for layer in range(max((p.layer for p in parts), default=-1) + 1)
    ]
    heights = [sum(_height(part) + _BETWEEN for part in layer) - _BETWEEN for layer in layers]
    tallest = max(heights, default=0.0)
    boxes: dict[str, Box] = {}
    for place, (layer, height) in enumerate(zip(layers, heights, strict=True)):
        x, y = _EDGE + place * (_WIDTH + _GAP), _EDGE + (tallest - height) / 2
        for part in sorted(layer, key=lambda part: _middle(part, boxes)):
            boxes[part.name] = Box(
                x=x, y=round(y, 1), width=_WIDTH, height=_height(part), title=part.title, lines=tuple(lines_of(part))
            )
            y += _height(part) + _BETWEEN
    return Picture(
        width=len(layers) * (_WIDTH + _GAP) - _GAP + 2 * _EDGE,
        height=tallest + 2 * _EDGE,
        boxes=tuple(boxes.values()),
        paths=tuple(_arrow(boxes[other], boxes[part.name]) for part in parts for other in part.needs),
    )


def _height(part: Part) -> float:
    return _HEAD + _LINE * len(lines_of(part)) + _PADDING


def _middle(part: Part, boxes: dict[str, Box]) -> float:
    """How high what a part needs stands on average, so that arrows cross seldom."""
    found = [boxes[name].y + boxes[name].height / 2 for name in part.needs if name in boxes]
    return sum(found) / len(found) if found else 0.0


def _arrow(start: Box, end: Box) -> str:
    x1, y1 = start.x + start.width, start.y + start.height / 2
    x2, y2 = end.x - 2, end.y + end.height / 2
    bend = _GAP / 2
    return f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"

"""The picture of the pipelines: lanes, stages as columns, actions as boxes, and the promotion between lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local.rehearsal.report.model import Pipeline, Run, Stage
from local.rehearsal.report.states import State, of_attempt, words

_CHARACTER = 9.0
"""Width of a character of a box's name in the widest of the fonts that browsers fall back to."""
_NARROWEST, _WIDEST = 138.0, 236.0
_BOX, _BETWEEN, _BETWEEN_GROUPS = 44.0, 6.0, 22.0
_PADDING, _HEAD, _TITLE = 10.0, 32.0, 34.0
_GAP, _BETWEEN_LANES = 28.0, 58.0
_EDGE = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """An action."""

    x: float
    y: float
    width: float
    height: float
    name: str
    shown: str
    words: str
    state: State
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Actions that run at the same time; drawn as a frame when they are several."""

    y: float
    height: float
    boxes: tuple[Box, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A stage."""

    x: float
    y: float
    width: float
    height: float
    name: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """A pipeline."""

    x: float
    y: float
    stack: str
    about: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """What starts the next pipeline: a line from the end of one to the beginning of the next."""

    path: str
    label: str
    x: float
    y: float
    happened: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """All of it."""

    width: float
    height: float
    lanes: tuple[Lane, ...]
    promotions: tuple[Promotion, ...]


def draw(pipelines: Sequence[Pipeline]) -> Picture:
    """Return where everything stands; of each pipeline its newest run is shown."""
    lanes: list[Lane] = []
    promotions: list[Promotion] = []
    top = _EDGE
    for pipeline in pipelines:
        lane = _lane(pipeline, top, promoted=bool(lanes))
        if lanes:
            promotions.append(_promotion(lanes[-1], lane, pipeline.latest))
        lanes.append(lane)
        top = max((column.y + column.height for column in lane.columns), default=top) + _BETWEEN_LANES
    width = max((column.x + column.width for lane in lanes for column in lane.columns), default=0) + _EDGE
    return Picture(width=width, height=top - _BETWEEN_LANES + _EDGE, lanes=tuple(lanes), promotions=tuple(promotions))


def _lane(pipeline: Pipeline, top: float, *, promoted: bool) -> Lane:
    columns: list[Column] = []
    left = _EDGE
    for stage in pipeline.stages:
        columns.append(_column(stage, pipeline.latest, left, top + _TITLE))
        left = columns[-1].x + columns[-1].width + _GAP
    about = f"{pipeline.name}, mode {pipeline.execution_mode}"
    if pipeline.latest is None:
        about += ", never started"
    elif len(pipeline.runs) > 1:
        about += f", run {pipeline.latest.number} of {len(pipeline.runs)}"
    # The line of the promotion ends at the first stage, and the name stands beside it.
    x = columns[0].x + columns[0].width / 2 + 16 if promoted else _EDGE
    return Lane(x=x, y=top + 16, stack=pipeline.stack, about=about, columns=tuple(columns))


def _column(stage: Stage, run: Run | None, left: float, top: float) -> Column:
    longest = max(len(action.name) for action in stage.actions)
    width = min(max(longest * _CHARACTER + 44 + 2 * _PADDING, _NARROWEST), _WIDEST)
    groups: list[Group] = []
    y = top + _HEAD
    for group in stage.groups:
        boxes: list[Box] = []
        start = y
        for action in group:
            attempt = run.last(action.name) if run else None
            room = int((width - 2 * _PADDING - 40) / _CHARACTER)
            boxes.append(
                Box(
                    x=left + _PADDING,
                    y=y,
                    width=width - 2 * _PADDING,
                    height=_BOX,
                    name=action.name,
                    shown=action.name if len(action.name) <= room else f"{action.name[: room - 1]}…",
                    words=words(attempt) + _again(run, action.name),
                    state=of_attempt(attempt),
                    link=f"#action-{attempt.identity}" if attempt else "",
                )
            )
            y += _BOX + _BETWEEN
        groups.append(Group(y=start, height=y - _BETWEEN - start, boxes=tuple(boxes)))
        y += _BETWEEN_GROUPS - _BETWEEN
    height = y - _BETWEEN_GROUPS + _PADDING - top
    return Column(x=left, y=top, width=width, height=height, name=stage.name, groups=tuple(groups))


def _again(run: Run | None, action: str) -> str:
    times = run.attempts_at(action) if run else 0
    return f", attempt {times}" if times > 1 else ""


def _promotion(before: Lane, lane: Lane, run: Run | None) -> Promotion:
    last, first = before.columns[-1], lane.columns[0]
    x_from, y_from = last.x + last.width / 2, last.y + last.height
    x_to, y_to = first.x + first.width / 2, first.y
    bottom = max(column.y + column.height for column in before.columns)
    middle, r = bottom + 20, 8
    path = (
        f"M{x_from:g} {y_from:g}V{middle - r:g}q0 {r} {-r} {r}H{x_to + r:g}q{-r} 0 {-r} {r}V{y_to - 2:g}"
        if x_from > x_to + 2 * r
        else f"M{x_from:g} {y_from:g}V{y_to - 2:g}"
    )
    label = run.trigger if run else "not promoted"
    return Promotion(path=path, label=label, x=(x_from + x_to) / 2, y=middle, happened=run is not None)

"""The timeline: a row for each action, a bar for each attempt at it."""

from __future__ import annotations

from dataclasses import dataclass

from local.rehearsal.report.model import Attempt, Pipeline, Rehearsal
from local.rehearsal.report.pictures.scale import Scale, Tick
from local.rehearsal.report.states import State, of_attempt, words

_WIDTH, _LABELS, _RIGHT = 1100.0, 250.0, 20.0
_STAGE = 86.0
_ROW, _HEAD, _AXIS, _BETWEEN = 24.0, 30.0, 26.0, 12.0
_LEAST = 3.0
"""A bar that is not to be overlooked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """An attempt."""

    x: float
    y: float
    width: float
    state: State
    words: str
    label_x: float
    label_end: bool
    label: str
    link: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An action; ``stage`` is empty when it is that of the row above."""

    y: float
    stage: str
    action: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A pipeline."""

    y: float
    stack: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """All of it."""

    width: float
    height: float
    left: float
    stage_x: float
    action_x: float
    row: float
    blocks: tuple[Block, ...]
    ticks: tuple[Tick, ...]
    reused: bool


def draw(rehearsal: Rehearsal) -> Timeline:
    """Return where everything stands; an action that was never reached has no row."""
    scale = Scale(started=rehearsal.started, ended=rehearsal.ended, left=_LABELS, width=_WIDTH - _LABELS - _RIGHT)
    blocks: list[Block] = []
    y = _AXIS
    for pipeline in rehearsal.pipelines:
        if not any(run.attempts for run in pipeline.runs):
            continue
        block = _block(pipeline, scale, y)
        blocks.append(block)
        y = block.rows[-1].y + _ROW + _BETWEEN
    return Timeline(
        width=_WIDTH,
        height=y,
        left=_LABELS,
        stage_x=4,
        action_x=_STAGE,
        row=_ROW,
        blocks=tuple(blocks),
        ticks=scale.ticks(rehearsal.started),
        reused=any(attempt.reused for _, _, attempt in rehearsal.attempts),
    )


def _block(pipeline: Pipeline, scale: Scale, top: float) -> Block:
    rows: list[Row] = []
    y = top + _HEAD
    for stage in pipeline.stages:
        named = False
        for action in stage.actions:
            attempts = [each for run in pipeline.runs for each in run.attempts if each.action == action.name]
            if not attempts:
                continue
            ends = [each.started for each in attempts[1:]]
            bars = tuple(
                _bar(each, scale, y, following) for each, following in zip(attempts, [*ends, None], strict=True)
            )
            rows.append(Row(y=y, stage="" if named else stage.name, action=action.name, bars=bars))
            named = True
            y += _ROW
    return Block(y=top, stack=pipeline.stack, rows=tuple(rows))


def _bar(attempt: Attempt, scale: Scale, y: float, following: float | None) -> Bar:
    """A bar with its duration: to the right, where there is room before the next bar and the edge."""
    x = scale.x(attempt.started)
    width = max(scale.x(attempt.ended or scale.ended) - x, _LEAST)
    label = words(attempt)
    room = (scale.x(following) if following else scale.left + scale.width) - (x + width)
    needed = 6.4 * len(label) + 10
    end = room < needed
    fits = not end or (following is None and x - scale.left > needed)
    return Bar(
        x=x,
        y=y,
        width=round(width, 1),
        state=of_attempt(attempt),
        words=f"{attempt.action}: {label}",
        label_x=x - 6 if end else x + width + 6,
        label_end=end,
        label=label if fits else "",
        link=f"#action-{attempt.identity}",
    )

"""The timeline: a row for each action, a bar for each attempt at it."""

from __future__ import annotations

from dataclasses import dataclass

from local.rehearsal.report.model import Attempt, Pipeline, Rehearsal
from local.rehearsal.report.pictures.scale import Scale, Tick
from local.rehearsal.report.states import State, of_attempt, words

_HEAD, _AXIS, _BETWEEN = 30.0, 26.0, 12.0
_EDGE = 4.0
_LEAST = 3.0
"""A bar that is not to be overlooked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """How wide it is, and where names and bars stand."""

    width: float
    left: float
    right: float
    action_x: float
    row: float
    bar: float
    ticks: int
    beside: bool
    """Whether a bar has its duration beside it; otherwise it stands in the row's line of text."""


_WIDE = _Layout(width=1100, left=250, right=20, action_x=86, row=24, bar=5, ticks=9, beside=True)
_NARROW = _Layout(width=352, left=_EDGE, right=_EDGE, action_x=80, row=42, bar=22, ticks=4, beside=False)


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
    """An action; ``stage`` is empty when it is that of the row above, ``words`` when they stand beside the bars."""

    y: float
    stage: str
    action: str
    words: str
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
    stage_x: float
    action_x: float
    blocks: tuple[Block, ...]
    ticks: tuple[Tick, ...]
    reused: bool


def draw(rehearsal: Rehearsal, *, narrow: bool = False) -> Timeline:
    """Return where everything stands; an action that was never reached has no row.

    Args:
        rehearsal: What is drawn.
        narrow: Whether it is for a phone, where the names stand above the bars.
    """
    layout = _NARROW if narrow else _WIDE
    width = layout.width - layout.left - layout.right
    scale = Scale(started=rehearsal.started, ended=rehearsal.ended, left=layout.left, width=width)
    blocks: list[Block] = []
    y = _AXIS
    for pipeline in rehearsal.pipelines:
        if not any(run.attempts for run in pipeline.runs):
            continue
        block = _block(pipeline, scale, layout, y)
        blocks.append(block)
        y = block.rows[-1].y + layout.row + _BETWEEN
    return Timeline(
        width=layout.width,
        height=y,
        stage_x=_EDGE,
        action_x=layout.action_x,
        blocks=tuple(blocks),
        ticks=scale.ticks(rehearsal.started, layout.ticks),
        reused=any(attempt.reused for _, _, attempt in rehearsal.attempts),
    )


def _block(pipeline: Pipeline, scale: Scale, layout: _Layout, top: float) -> Block:
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
                _bar(each, scale, layout, y, following) for each, following in zip(attempts, [*ends, None], strict=True)
            )
            rows.append(
                Row(
                    y=y,
                    stage="" if named else stage.name,
                    action=action.name,
                    words="" if layout.beside else words(attempts[-1]),
                    bars=bars,
                )
            )
            named = True
            y += layout.row
    return Block(y=top, stack=pipeline.stack, rows=tuple(rows))


def _bar(attempt: Attempt, scale: Scale, layout: _Layout, y: float, following: float | None) -> Bar:
    """A bar with its duration: to the right, where there is room before the next bar and the edge."""
    x = scale.x(attempt.started)
    width = max(scale.x(attempt.ended or scale.ended) - x, _LEAST)
    label = words(attempt)
    room = (scale.x(following) if following else scale.left + scale.width) - (x + width)
    needed = 6.4 * len(label) + 10
    end = room < needed
    fits = layout.beside and (not end or (following is None and x - scale.left > needed))
    return Bar(
        x=x,
        y=y + layout.bar,
        width=round(width, 1),
        state=of_attempt(attempt),
        words=f"{attempt.action}: {label}",
        label_x=round(x - 6 if end else x + width + 6, 1),
        label_end=end,
        label=label if fits else "",
        link=f"#action-{attempt.identity}",
    )

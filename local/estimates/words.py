"""An estimate in a few lines, as they end a preview, and what an edit changes about it."""

from __future__ import annotations

from collections.abc import Iterator

from local.estimates.model import NOT_MEASURED, Bar, Estimate, Line, Timeline

_FROM = {"commit": "from a commit", "image": "from a new image", "archive": "from a new archive"}


def duration(seconds: float) -> str:
    """Return a time as people say it: ``42 s``, ``6 min 32 s``, ``1 h 3 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def clock(seconds: float) -> str:
    """Return a time since the beginning: ``0:07``, ``12:40``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def dollars(amount: float) -> str:
    """Return an amount: ``24.18 USD``."""
    return f"{amount:,.2f} USD"


def price(line: Line) -> str:
    """Return what a unit costs, without needless zeros: ``0.00001``; empty where no price was read."""
    return f"{line.price.value:.10f}".rstrip("0").rstrip(".") if line.price else ""


def quantity(line: Line) -> tuple[str, str]:
    """Return how much of something is paid for, and its unit: ``4,400`` and ``minutes``, ``1`` and ``key``."""
    number = f"{line.quantity:,.0f}" if line.quantity >= 1000 else f"{line.quantity:.4g}"
    return number, line.unit.removesuffix("s") if number == "1" else line.unit


def short(after: Estimate, before: Estimate | None = None) -> list[str]:
    """Return a stack's time and money in three or four lines.

    Args:
        after: The estimate of the stack as it is to be.
        before: That of what is deployed; what an edit changes is shown then.
    """
    lines = [f"Time and money, {NOT_MEASURED}"]
    lines += [f"  {line}" for line in _time(after, before)]
    lines.append(f"  {_money(after, before)}")
    lines += [f"    {line}" for line in (_changes(before, after) if before else ())]
    lines += [f"  {note}" for note in notes(after)]
    return lines


def _time(after: Estimate, before: Estimate | None) -> Iterator[str]:
    start = _FROM[after.starts_from]
    new, old = after.on_demand, before.on_demand if before else None
    run = _now(new.run, old.run if old else None)
    if new.serving is None or new.all_traffic is None or after.warm.serving is None:
        yield f"{start} to the end of the run: {run}"
        return
    serving = _now(new.serving, old.serving if old else None)
    warm = f" ({duration(after.warm.serving)} with build.fleet)" if after.warm.serving != new.serving else ""
    rest = f", all users {duration(new.all_traffic)}" if new.all_traffic != new.serving else ""
    yield f"{start} to the first user: {serving}{warm}{rest}; the run ends after {run}"


def _now(after: float, before: float | None) -> str:
    """A time, with what it was where that differs."""
    if before is None or round(before) == round(after):
        return duration(after)
    return f"{duration(before)} -> {duration(after)}"


def _money(after: Estimate, before: Estimate | None) -> str:
    pipeline = _amount(after.pipeline_dollars, before.pipeline_dollars if before else None)
    hosting = _amount(after.hosting_dollars, before.hosting_dollars if before else None)
    return f"a month: pipeline {pipeline} at {after.runs} runs, hosting {hosting} and its traffic"


def _amount(after: float, before: float | None) -> str:
    """An amount, with what it was where that differs."""
    return (
        dollars(after) if before is None or f"{before:.2f}" == f"{after:.2f}" else f"{before:,.2f} -> {dollars(after)}"
    )


_MOST_CHANGES = 5


def _changes(before: Estimate, after: Estimate) -> Iterator[str]:
    found = changes(before, after)
    for what, amount in found[:_MOST_CHANGES]:
        yield f"{what}: {_signed(amount)} a month"
    if rest := found[_MOST_CHANGES:]:
        yield f"{len(rest)} smaller ones: {_signed(sum(amount for _, amount in rest))} a month"


def changes(before: Estimate, after: Estimate) -> list[tuple[str, float]]:
    """Return what an edit changes about the bill: what, and by how many dollars a month; the most first."""
    old, new = _amounts(before), _amounts(after)
    found = [(what, new.get(what, 0.0) - old.get(what, 0.0)) for what in dict.fromkeys([*old, *new])]
    return sorted(
        ((what, amount) for what, amount in found if round(amount, 2)), key=lambda item: (-abs(item[1]), item[0])
    )


def _amounts(estimate: Estimate) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for line in estimate.lines:
        amounts[line.what] = amounts.get(line.what, 0.0) + (line.amount or 0.0)
    return amounts


def _signed(amount: float) -> str:
    return f"{'+' if amount > 0 else '-'}{dollars(abs(amount))}"


def notes(estimate: Estimate) -> list[str]:
    """Return what a reader has to know about the prices."""
    found: dict[str, float] = {}
    for line in estimate.lines:
        if line.remark and line.price is not None:
            found[line.remark] = found.get(line.remark, 0.0) + (line.amount or 0.0)
    told = [f"{dollars(amount)} of it {remark}" for remark, amount in found.items()]
    if missing := estimate.unpriced:
        told.append(
            f"no prices were read for {estimate.region}: "
            f"{len(missing)} of {len(estimate.lines)} parts of the bill are not in these sums"
        )
    return told


def bar(item: Bar) -> str:
    """Return whether a bar is met."""
    said = (
        (duration(item.value), duration(item.most)) if item.unit == "s" else (dollars(item.value), dollars(item.most))
    )
    return f"{item.what}: {said[0]}, aimed at {said[1]} at most: {'met' if item.met else 'not met'}"


def beside(run: Timeline, index: int) -> tuple[str, ...]:
    """Return the actions that run while a step of a run does."""
    own = run.steps[index]
    return tuple(step.action for step in run.steps if step is not own and step.start < own.end and own.start < step.end)

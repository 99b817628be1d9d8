"""An estimate as a page in the terminal: each action in time, each part of the bill with its arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from local.estimates.model import NOT_MEASURED, Estimate, Line, Timeline
from local.estimates.words import bar, beside, clock, dollars, duration, notes, price, quantity

_KINDS = {"commit": "the commit", "image": "the new image", "archive": "the new archive"}


def page(estimate: Estimate) -> str:
    """Return the page, lines without colour."""
    parts = [
        [f"{estimate.pipeline_name} in {estimate.region or 'a region that is not known yet'}: time and money"],
        [f"{NOT_MEASURED[0].upper()}{NOT_MEASURED[1:]}. Each figure and its source: local/estimates/constants.tsv"],
        list(_run(estimate)),
        list(_bill("Pipeline", estimate.pipeline, estimate.pipeline_dollars, estimate.runs)),
        list(_bill("Hosting", estimate.hosting, estimate.hosting_dollars, None)),
        [f"Together {dollars(estimate.dollars)} a month, without taxes and traffic to the internet", *notes(estimate)],
        list(_back(estimate.on_demand)),
        ["Aimed at", *(f"  {bar(item)}" for item in estimate.bars)] if estimate.bars else [],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _run(estimate: Estimate) -> Iterator[str]:
    run, warm = estimate.on_demand, estimate.warm
    if not run.steps:
        return
    rows = [("from", "takes", "warm", "stage", "action", "on", "beside")]
    for index, (step, quick) in enumerate(zip(run.steps, warm.steps, strict=True)):
        first = index == 0 or run.steps[index - 1].stage != step.stage
        rows.append(
            (
                clock(step.start),
                duration(step.seconds) if step.parts else "-",
                duration(quick.seconds) if quick.seconds != step.seconds else "",
                step.stage if first else "",
                step.action,
                step.machine,
                ", ".join(beside(run, index)),
            )
        )
    yield f"A run since {_KINDS[estimate.starts_from]}; warm: with build.fleet and a machine for each image"
    yield from _table(rows, right={0, 1, 2})
    yield f"  by stage: {', '.join(f'{stage} {duration(seconds)}' for stage, seconds in run.stages)}"
    for what, takes, on_warm in (
        ("answers the first user after", run.serving, warm.serving),
        ("answers all users after", run.all_traffic, warm.all_traffic),
        ("ends after", run.run, warm.run),
    ):
        if takes is not None and on_warm is not None:
            yield f"  {what} {duration(takes)}{f' (warm {duration(on_warm)})' if on_warm != takes else ''}"
    built, built_warm = estimate.built.serving, estimate.built_warm.serving
    if built is not None and built != run.serving:
        yield (
            f"  where the source tree was built before, as after a squash merge, nothing is built, and the first user "
            f"is answered after {duration(built)} (warm {duration(built_warm or built)})"
        )


def _bill(name: str, lines: Sequence[Line], total: float, runs: int | None) -> Iterator[str]:
    if not lines:
        return
    yield f"{name}, a month{f' of {runs} runs' if runs else ''}: {dollars(total)}"
    rows = [("USD", "", "quantity", "", "USD each", "decided by")]
    for line in lines:
        amount = "no price" if line.amount is None else f"{line.amount:,.2f}"
        number, unit = quantity(line)
        rows.append(
            (
                amount,
                line.what,
                number,
                f"{unit}{', assumed' if line.assumed else ''}",
                price(line),
                line.key,
            )
        )
    yield from _table(rows, right={0, 2})


def _back(run: Timeline) -> Iterator[str]:
    if run.rolled_back is None:
        return
    yield "Back to the version before"
    if run.moved_back is not None:
        yield f"  while its tasks still run: {duration(run.moved_back)}"
    yield f"  afterwards, by a rollback of the Deploy stage: {duration(run.rolled_back)}"


def _table(rows: Sequence[tuple[str, ...]], right: set[int]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def as_json(estimate: Estimate) -> dict[str, Any]:
    """Return all of it as plain values."""
    return {
        "pipeline": estimate.pipeline_name,
        "region": estimate.region,
        "runs": estimate.runs,
        "startsFrom": estimate.starts_from,
        "measured": False,
        "seconds": {"onDemand": _seconds(estimate.on_demand), "warm": _seconds(estimate.warm)},
        "dollars": {
            "pipeline": estimate.pipeline_dollars,
            "hosting": estimate.hosting_dollars,
            "lines": {
                "pipeline": [_line(line) for line in estimate.pipeline],
                "hosting": [_line(line) for line in estimate.hosting],
            },
            "notes": notes(estimate),
        },
        "bars": [
            {"what": item.what, "unit": item.unit, "value": item.value, "most": item.most, "met": item.met}
            for item in estimate.bars
        ],
    }


def _seconds(run: Timeline) -> dict[str, Any]:
    return {
        "serving": run.serving,
        "allTraffic": run.all_traffic,
        "run": run.run,
        "rolledBack": run.rolled_back,
        "movedBack": run.moved_back,
        "stages": dict(run.stages),
        "actions": [
            {
                "stage": step.stage,
                "action": step.action,
                "start": step.start,
                "seconds": step.seconds,
                "machine": step.machine,
                "parts": [{"what": what, "seconds": seconds} for what, seconds in step.parts],
            }
            for step in run.steps
        ],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "what": line.what,
        "quantity": line.quantity,
        "unit": line.unit,
        "price": line.price.value if line.price else None,
        "amount": line.amount,
        "decidedBy": line.key,
        "arithmetic": line.arithmetic,
        "assumed": line.assumed,
        "source": line.price.source if line.price else None,
        "read": line.price.read if line.price else None,
        "remark": line.remark,
    }

"""Time and money of a stack, from its graph."""

from __future__ import annotations

from collections.abc import Iterator

from local.estimates.constants import value
from local.estimates.dollars import hosting_lines, pipeline_lines
from local.estimates.model import Bar, Estimate, Line, Timeline
from local.estimates.resources import Graph, first, region_of
from local.estimates.seconds import OF_A_FLEET, timelines

RUNS = 220
"""Runs a month that are reckoned with: ten on each working day."""
_STARTS = {"CodeStarSourceConnection": "commit", "ECR": "image", "S3": "archive"}


def estimate(graph: Graph, *, runs: int = RUNS, region: str | None = None) -> Estimate:
    """Return what a stack takes, in time and money.

    Args:
        graph: Its resources; outputs that are not known yet may be missing or marked as such.
        runs: Runs of the pipeline a month.
        region: ``aws:region`` of the stack file; by default the graph is searched for it.
    """
    region = region or region_of(graph)
    on_demand, warm = timelines(graph)
    built, built_warm = timelines(graph, built=True)
    pipeline = first(graph, "codepipeline/pipeline:Pipeline")
    starts_from = next(
        (
            _STARTS[action["provider"]]
            for stage in pipeline.get("stages") or ()
            for action in stage["actions"]
            if action["provider"] in _STARTS
        ),
        "commit",
    )
    paid = pipeline_lines(graph, on_demand, runs, region) if pipeline else ()
    return Estimate(
        pipeline_name=str(pipeline.get("name", "")),
        region=region,
        runs=runs,
        starts_from=starts_from,
        on_demand=on_demand,
        warm=warm,
        built=built,
        built_warm=built_warm,
        pipeline=paid,
        hosting=hosting_lines(graph, on_demand, runs, region),
        bars=(*_lead_times(starts_from, on_demand, warm, built, built_warm), *_bars(on_demand, paid, runs)),
    )


def _lead_times(starts_from: str, *runs: Timeline) -> Iterator[Bar]:
    """What is aimed at from a commit to serving, so only where a commit starts the run; with a fleet, on it alone."""
    merged, fleet = "from the merge of what was built before to serving", "on machines of build.fleet"
    aims = (
        ("from commit to serving", "bar.seconds"),
        (f"from commit to serving, {fleet}", "bar.seconds.warm"),
        (merged, "bar.seconds.built"),
        (f"{merged}, {fleet}", "bar.seconds.built"),
    )
    reserved = any(step.machine.endswith(OF_A_FLEET) for step in runs[0].steps)
    for run, (what, most) in zip(runs, aims, strict=True):
        if starts_from == "commit" and run.serving is not None and (not reserved or fleet in what):
            yield Bar(what=what, unit="s", value=run.serving, most=value(most))


def _bars(on_demand: Timeline, paid: tuple[Line, ...], runs: int) -> Iterator[Bar]:
    """What is aimed at besides."""
    if on_demand.rolled_back is not None:
        yield Bar(what="rollback", unit="s", value=on_demand.rolled_back, most=value("bar.rollback"))
    if paid:
        dollars = sum(line.amount or 0.0 for line in paid)
        yield Bar(what=f"the pipeline at {runs} runs", unit="USD", value=dollars, most=value("bar.dollars"))

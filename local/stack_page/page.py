"""The pictures and the page, made of a stack's graph and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

import local.rehearsal.report.page
from local.diagram import stages_of
from local.estimates.estimate import RUNS, estimate
from local.estimates.model import NOT_MEASURED, Estimate, Line, Step
from local.estimates.resources import Graph
from local.estimates.words import bar, clock, dollars, duration, notes, price, quantity
from local.stack_page import parts
from local.stack_page.permissions import roles_of
from local.stack_page.picture import draw_parts, draw_pipeline
from local.templates import environment


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An action in the table of a run: its texts, and its bars in hundredths of the run."""

    stage: str
    action: str
    machine: str
    start: str
    takes: str
    warm: str
    parts: str
    x: float
    width: float
    warm_x: float
    warm_width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """A figure and what is aimed at."""

    what: str
    value: str
    words: str
    met: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """A line of the bill as text."""

    what: str
    amount: str
    quantity: str
    price: str
    source: str
    arithmetic: str
    assumed: bool
    keys: tuple[str, ...]
    remark: str


@cache
def _environment() -> Environment:
    """The templates here, and the style of the report of a rehearsal."""
    folders = [Path(__file__).parent, Path(local.rehearsal.report.page.__file__).parent]
    return environment(*(folder / "templates" for folder in folders))


def pipeline_svg(graph: Graph, stack: str, *, runs: int = RUNS) -> str:
    """Return the picture of the pipeline, with how long each action takes."""
    found = estimate(graph, runs=runs)
    picture = draw_pipeline(stack, found.pipeline_name, stages_of(graph))
    words = {step.action: _about(step) for step in found.on_demand.steps}
    # The lane's title stands above the stages; a picture of one pipeline needs none.
    top = picture.lanes[0].columns[0].y - 2
    return (
        _environment()
        .get_template("pipeline.svg")
        .render(picture=picture, words=words, name=found.pipeline_name, top=top)
    )


def _about(step: Step) -> str:
    """What stands below an action's name: how long it takes, and what on, as far as there is room."""
    machine = (
        "Lambda" if "Lambda" in step.machine else "EC2" if step.machine.startswith(("ARM", "x86")) else step.machine
    )
    return ", ".join(filter(None, [duration(step.seconds) if step.parts else "", machine]))


def resources_svg(graph: Graph, name: str) -> str:
    """Return the picture of the resources, by the components that make them."""
    picture = draw_parts(parts.parts_of(graph))
    return _environment().get_template("resources.svg").render(picture=picture, name=name)


def page(graph: Graph, stack: str, *, runs: int = RUNS) -> str:
    """Return the page: one HTML file that needs nothing else."""
    found = estimate(graph, runs=runs)
    return (
        _environment()
        .get_template("stack.html")
        .render(
            stack=stack,
            estimate=found,
            modelled=NOT_MEASURED,
            facts=list(_facts(found)),
            pipeline_svg=Markup(pipeline_svg(graph, stack, runs=runs)),  # noqa: S704 - its texts have been escaped
            resources_svg=Markup(resources_svg(graph, found.pipeline_name)),  # noqa: S704 - as above
            rows=list(_rows(found)),
            aims=list(_aims(found)),
            notes=notes(found),
            bills=[
                (f"Pipeline, {runs} runs", dollars(found.pipeline_dollars), [_cost(line) for line in found.pipeline]),
                ("Hosting", dollars(found.hosting_dollars), [_cost(line) for line in found.hosting]),
            ],
            resources=sum(1 for resource in graph if resource["type"].startswith("aws:")),
            parts=parts.parts_of(graph),
            counted=parts.counted,
            roles=roles_of(graph),
        )
    )


def _facts(found: Estimate) -> Iterator[tuple[str, str]]:
    run = found.on_demand
    if run.serving is not None and run.all_traffic is not None:
        yield (
            f"From {'a commit' if found.starts_from == 'commit' else f'an {found.starts_from}'} to the first user",
            duration(run.serving),
        )
        if run.all_traffic != run.serving:
            yield "To all users", duration(run.all_traffic)
    yield "A whole run", duration(run.run)
    yield "Pipeline, a month", dollars(found.pipeline_dollars)
    yield "Hosting, a month", dollars(found.hosting_dollars)


def _rows(found: Estimate) -> Iterator[Row]:
    whole = max(found.on_demand.run, 1.0)
    stage = ""
    for step, quick in zip(found.on_demand.steps, found.warm.steps, strict=True):
        yield Row(
            stage=step.stage if step.stage != stage else "",
            action=step.action,
            machine=step.machine,
            start=clock(step.start),
            takes=duration(step.seconds) if step.parts else "-",
            warm=duration(quick.seconds) if quick.seconds != step.seconds else "",
            parts=", ".join(f"{what} {duration(seconds)}" for what, seconds in step.parts),
            x=round(100 * step.start / whole, 2),
            width=round(max(100 * step.seconds / whole, 0.4), 2),
            warm_x=round(100 * quick.start / whole, 2),
            warm_width=round(max(100 * quick.seconds / whole, 0.4), 2),
        )
        stage = step.stage


def _aims(found: Estimate) -> Iterator[Aim]:
    for item in found.bars:
        what, value, words = bar(item).split(": ", 1)[0], *bar(item).split(": ", 1)[1].split(", ", 1)
        yield Aim(what=what, value=value, words=words, met=item.met)


def _cost(line: Line) -> Cost:
    return Cost(
        what=line.what,
        amount="no price" if line.amount is None else f"{line.amount:,.2f}",
        quantity=" ".join(quantity(line)),
        price=price(line),
        source=line.price.source if line.price else "",
        arithmetic=line.arithmetic,
        assumed=line.assumed,
        keys=tuple(filter(None, line.key.split(", "))),
        remark=line.remark,
    )

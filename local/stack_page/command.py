"""`make diagram`: a stack's pipeline and resources as Mermaid's text and as SVG, and a page with all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from local.diagram import mermaid
from local.estimates.estimate import RUNS
from local.estimates.resources import Graph
from local.rehearsal.graphs import deployed_graph
from local.stack_page import parts
from local.stack_page.page import page, pipeline_svg, resources_svg


def files(graph: Graph, stack: str, *, runs: int = RUNS) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file."""
    yield "pipeline.mmd", mermaid(graph)
    yield "pipeline.svg", pipeline_svg(graph, stack, runs=runs)
    yield "resources.mmd", parts.mermaid(parts.parts_of(graph))
    yield "resources.svg", resources_svg(graph, stack)
    yield "stack.html", page(graph, stack, runs=runs)


def draw(stack: str, stack_file: Path, folder: Path, *, runs: int = RUNS) -> Iterator[Path]:
    """Write the files, and yield where each of them is.

    Args:
        stack: The stack's name.
        stack_file: Its settings.
        folder: Where to; made if it is not there.
        runs: Runs of the pipeline a month.

    Raises:
        EngineFailure: The program or the engine refused.
        Refusal: The settings are wrong.
        MissingTool: There is no Pulumi CLI and no way to build it.
    """
    graph = deployed_graph(stack, stack_file)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(graph, stack, runs=runs):
        path = folder.resolve() / name
        path.write_text(text, encoding="utf-8")
        yield path

"""`make cost`: what a stack takes, in time and money, without deploying it."""

from __future__ import annotations

import json
from pathlib import Path

from local.estimates.estimate import estimate
from local.estimates.page import as_json, page
from local.rehearsal.graphs import deployed_graph


def cost(stack: str, stack_file: Path, *, runs: int, json_wanted: bool) -> str:
    """Return the estimate of a stack, as a page or as JSON.

    Args:
        stack: Its name.
        stack_file: Its settings.
        runs: Runs of the pipeline a month.
        json_wanted: Whether it is JSON.

    Raises:
        EngineFailure: The program or the engine refused.
        Refusal: The settings are wrong.
        MissingTool: There is no Pulumi CLI and no way to build it.
    """
    found = estimate(deployed_graph(stack, stack_file), runs=runs)
    return f"{json.dumps(as_json(found), indent=2)}\n" if json_wanted else page(found)

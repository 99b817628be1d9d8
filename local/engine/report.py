"""Tells in plain text what the engine did or would do.

The engine's own plain output lists resources in the order their answers arrive, without saying what belongs to what.
Here what matters comes first, as in the change report of a pull request, and the resources that change stand last in
the program's tree, in the same order every time, so that two outputs can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from local.engine.outcome import Outcome
from local.report import model
from local.report.preview import of_outcome
from local.report.text import sections, tree


def report(outcome: Outcome, *, planned: bool) -> str:
    """Describe an outcome: the sections of the change report, the outputs, the tree of what changes, the sums.

    Args:
        outcome: what the engine did or would do.
        planned: whether it would do it (a preview) or did it.

    Returns:
        lines without colour, each ended.
    """
    preview = of_outcome("", outcome)
    words = model.PLANNED if planned else model.DONE
    parts = [
        list(sections(model.of(preview))),
        list(_outputs(outcome.outputs)),
        tree(preview.steps),
        [model.sums(preview.steps, words)],
    ]
    return "".join(f"{line}\n" for part in parts if part for line in (*part, ""))


def _outputs(outputs: Mapping[str, object]) -> Iterator[str]:
    if not outputs:
        return
    width = max(map(len, outputs))
    yield "Outputs"
    for name in sorted(outputs):
        value = outputs[name]
        lines = value if isinstance(value, list) and value else [value]
        for index, line in enumerate(lines):
            label = name if index == 0 else ""
            yield f"  {label:<{width}}  {line if isinstance(line, str) else json.dumps(line)}"

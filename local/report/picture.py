"""The pipeline's stages before and after as one picture: Mermaid for a comment, numbers for the page's drawing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from local.diagram import merged
from local.report.preview import Preview
from local.report.structure import PIPELINE, actions, moved_stages, stages

ADDED, CHANGED, REMOVED, SAME = "added", "changed", "removed", "same"
WORDS = {ADDED: "new", CHANGED: "changed", REMOVED: "removed", SAME: ""}
"""What stands beside a name in the picture, for whoever does not see the colours."""
_COLOURS = {
    ADDED: "fill:#dafbe1,stroke:#1a7f37,color:#1a7f37",
    CHANGED: "fill:#fff8c5,stroke:#9a6700,color:#7d4e00",
    REMOVED: "fill:#ffebe9,stroke:#cf222e,color:#cf222e,stroke-dasharray:4",
}


@dataclass(frozen=True, slots=True)
class Box:
    """An action, or a stage, and what becomes of it.

    Attributes:
        name: Its name.
        state: ``added``, ``changed``, ``removed`` or ``same``.
        boxes: Of a stage, its actions.
    """

    name: str
    state: str
    boxes: tuple[Box, ...] = ()


def drawn(preview: Preview) -> list[Box]:
    """Return the stages of the stack's pipeline, those that are removed where they were; none where it has none."""
    step = next((step for step in preview.steps if step.type == PIPELINE), None)
    if step is None:
        return []
    old, new = (state.inputs if state else {} for state in (step.old, step.new))
    was, now = actions(old), actions(new)
    names = [[str(each["name"]) for each in stages(inputs)] for inputs in (old, new)]
    moved = moved_stages(*names)
    order = merged(*names)
    found = []
    for name in order:
        keys = merged([key for key in was if was[key].stage == name], [key for key in now if now[key].stage == name])
        boxes = tuple(
            Box(
                key.partition("/")[2],
                _state(was[key].values if key in was else None, now[key].values if key in now else None),
            )
            for key in keys
        )
        state = _state(
            *(next((stage for stage in stages(inputs) if stage["name"] == name), None) for inputs in (old, new))
        )
        found.append(Box(name, CHANGED if state == SAME and name in moved else state, boxes))
    return found


def _state(old: object, new: object) -> str:
    if old == new:
        return SAME
    return ADDED if old is None else REMOVED if new is None else CHANGED


def mermaid(pictures: Mapping[str, Sequence[Box]]) -> list[str]:
    """Return the lines of a picture of several stacks' stages; none where nothing of them changes."""
    shown = {stack: boxes for stack, boxes in pictures.items() if any(box.state != SAME for box in boxes)}
    if not shown:
        return []
    used = {box.state for boxes in shown.values() for box in boxes} - {SAME}
    chains = [line for number, (stack, boxes) in enumerate(shown.items()) for line in _chain(number, stack, boxes)]
    classes = [f"classDef {state} {_COLOURS[state]}" for state in _COLOURS if state in used]
    return ["flowchart LR", *chains, *classes]


def _chain(number: int, stack: str, boxes: Sequence[Box]) -> Iterator[str]:
    nodes = [f's{number}(["{_plain(stack)}"])']
    for place, box in enumerate(boxes):
        mark = "" if box.state == SAME else f":::{box.state}"
        word = f" ({WORDS[box.state]})" if mark else ""
        nodes.append(f's{number}_{place}["{_plain(box.name)}{word}"]{mark}')
    yield " --> ".join(nodes)


def _plain(text: str) -> str:
    """A name without what Mermaid would read as its own."""
    return re.sub(r"[^\w .-]", "", text)[:40]

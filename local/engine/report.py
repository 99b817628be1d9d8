"""Tells in plain text what the engine did or would do.

The engine's own plain output lists resources in the order their answers arrive, without saying what belongs to what.
Here they stand in the program's tree, in the same order every time, so that two outputs can be compared.
"""

from __future__ import annotations

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from local.engine.effects import Effect, effects
from local.engine.outcome import Outcome, Step

_SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "+-", "same": "", "read": ">"}
_PLANNED = {"create": "to create", "update": "to update", "delete": "to delete", "replace": "to replace"}
_DONE = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}
_MOST_PATHS = 4
_DEPLOYS = "ECS deploys the running version again"
"""How many changed properties of one resource are named before the rest is counted."""


def report(outcome: Outcome, *, planned: bool) -> str:
    """Describe an outcome: what users notice and when, the tree of what changes, the outputs, the sums.

    Args:
        outcome: what the engine did or would do.
        planned: whether it would do it (a preview) or did it.

    Returns:
        lines without colour, each ended.
    """
    steps = _merged(outcome.steps)
    noticed = effects(outcome.steps)
    parts = [
        list(_effects(noticed)),
        list(_tree(steps)),
        list(_deployments(outcome.deployments, noticed)),
        list(_outputs(outcome.outputs)),
        _sums(steps, _PLANNED if planned else _DONE),
    ]
    return "".join(f"{line}\n" for part in parts if part for line in (*part, ""))


def _effects(found: Sequence[Effect]) -> Iterator[str]:
    """When what takes effect; ``docs/configuration.md`` has the same sentences for every key."""
    noticed = [effect for effect in found if effect.words]
    if found and not noticed:
        yield "Users notice nothing of it."
    when = None
    for effect in noticed:
        if effect.when is not when:
            yield f"{effect.when.value.capitalize()}:"
        when = effect.when
        yield from textwrap.wrap(effect.words, 100, initial_indent="  ", subsequent_indent="  ")


def _merged(steps: Sequence[Step]) -> dict[str, Step]:
    """One step per resource: the three steps of a replacement are one thing to a reader."""
    merged: dict[str, Step] = {}
    for step in steps:
        if step.op == "replace" or step.urn not in merged:
            merged[step.urn] = step
    return merged


def _word(step: Step) -> str:
    return "replace" if step.is_replacement else step.op


def _tree(steps: Mapping[str, Step]) -> Iterator[str]:
    """The resources that change, below the components they belong to."""
    shown = {urn for urn, step in steps.items() if _word(step) not in {"same", "read"}}
    for urn in list(shown):
        while (urn := steps[urn].parent) in steps and urn not in shown:
            shown.add(urn)
    children: dict[str, list[str]] = defaultdict(list)
    for urn in sorted(shown, key=lambda urn: (steps[urn].name, steps[urn].type)):
        parent = steps[urn].parent
        children[parent if parent in shown else ""].append(urn)
    rows = list(_rows(children, "", ""))
    width = max((len(f"{lines}{steps[urn].name}") for lines, urn in rows), default=0)
    for lines, urn in rows:
        step = steps[urn]
        name = f"{lines}{step.name}"
        text = f"{_SIGNS.get(_word(step), '?'):>2}  {name:<{width}}  {_short(step.type)}  {_changes(step)}"
        yield text.rstrip()


def _rows(children: Mapping[str, Sequence[str]], parent: str, indent: str) -> Iterator[tuple[str, str]]:
    below = children.get(parent, ())
    for index, urn in enumerate(below):
        is_last = index == len(below) - 1
        branch = "" if parent == "" else "└─ " if is_last else "├─ "
        yield f"{indent}{branch}", urn
        deeper = "" if parent == "" else "   " if is_last else "│  "
        yield from _rows(children, urn, f"{indent}{deeper}")


def _short(token: str) -> str:
    """`aws:s3/bucket:Bucket` as people say it: `aws:s3:Bucket`."""
    package, _, rest = token.partition(":")
    module, _, name = rest.rpartition(":")
    return f"{package}:{module.partition('/')[0]}:{name}"


def _changes(step: Step) -> str:
    if step.op == "create" or not step.changed:
        return ""
    named = ", ".join(step.changed[:_MOST_PATHS])
    more = len(step.changed) - _MOST_PATHS
    because = (
        f"; a new one because of {', '.join(step.replaced_by)}" if step.is_replacement and step.replaced_by else ""
    )
    return f"[{named}{f' and {more} more' if more > 0 else ''}{because}]"


def _deployments(deployments: Sequence[str], noticed: Sequence[Effect]) -> Iterator[str]:
    """What the engine does not say: ECS answers some updates with a deployment, unless the effects say so already."""
    if deployments and not any(effect.words.startswith(_DEPLOYS) for effect in noticed):
        yield "ECS deploys at once, beside the pipeline"
        yield from (f"  {deployment}" for deployment in deployments)


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


def _sums(steps: Mapping[str, Step], words: Mapping[str, str]) -> list[str]:
    counts = Counter(map(_word, steps.values()))
    parts = [f"{counts[op]} {word}" for op, word in words.items() if counts[op]]
    unchanged = f"{counts['same']} unchanged" if counts["same"] else ""
    return [", ".join(filter(None, [*parts, unchanged])) or "Nothing there."]

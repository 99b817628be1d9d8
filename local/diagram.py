"""Pictures of a pipeline as Mermaid's text, which GitHub draws: one stack, an edit of it, or stacks in a row."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.estimates.resources import Graph, first, is_known, number, values_of

_PROVIDERS = {
    "CodeStarSourceConnection": "commit",
    "CodeDeployToECS": "CodeDeploy",
    "ECR": "image",
    "ECS": "Amazon ECS",
    "Manual": "a person approves",
    "S3": "archive",
}
_WORDS = {"added": " (new)", "changed": " (changed)", "removed": " (removed)", "": ""}
"""Words, since Mermaid takes a label that begins with a sign for a list, and not everybody tells the colours apart."""
_CLASSES = {
    "added": "fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
    "changed": "fill:#fff8c5,stroke:#9a6700,color:#1f2328",
    "removed": "fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray:4 3",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """An action as it is drawn.

    Attributes:
        name: Its name.
        does: What carries it out, in a few words.
        run_order: Actions of a stage with the same number run side by side.
        definition: Everything that decides what it does, to tell whether it changes.
        mark: ``added``, ``changed``, ``removed``, or empty.
    """

    name: str
    does: str
    run_order: float
    definition: str
    mark: str = ""


Stages = dict[str, list[Action]]


def stages_of(graph: Graph) -> Stages:
    """Return the actions of each stage of the graph's pipeline; none where it has no pipeline."""
    pipeline = first(graph, "codepipeline/pipeline:Pipeline")
    projects = {item["name"]: item for item in values_of(graph, "codebuild/project:Project") if "name" in item}
    return {
        stage["name"]: [
            _action(item, projects.get((item.get("configuration") or {}).get("ProjectName", ""), {}))
            for item in sorted(stage["actions"], key=lambda item: number(item.get("runOrder"), 1))
        ]
        for stage in pipeline.get("stages") or ()
    }


def _action(item: Mapping[str, Any], project: Mapping[str, Any]) -> Action:
    decisive = {
        "configuration": item.get("configuration"),
        "artifacts": [item.get("inputArtifacts") or [], item.get("outputArtifacts") or []],
        "project": [project.get("environment"), project.get("source"), project.get("buildTimeout")],
    }
    machine = str((project.get("environment") or {}).get("computeType", ""))
    job = "CodeBuild on Lambda" if "LAMBDA" in machine else "CodeBuild on EC2" if machine else "CodeBuild"
    return Action(
        name=item["name"],
        does=_PROVIDERS.get(item["provider"], job),
        run_order=number(item.get("runOrder"), 1),
        definition=json.dumps(_known(decisive), sort_keys=True),
    )


def _known(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A value without what a preview does not know: it would always differ."""
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items() if is_known(item)}
    if isinstance(value, list):
        return [_known(item) for item in value if is_known(item)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def mermaid(before: Graph, after: Graph | None = None) -> str:
    """Return a flowchart of stages and actions; of two graphs, with what is added, changed and removed.

    Args:
        before: The stack's resources; empty where nothing is deployed yet, so that nothing is marked.
        after: Them after an edit.

    Returns:
        Lines without a fence.
    """
    drawn = stages_of(before) if after is None else compared(stages_of(before), stages_of(after))
    return "\n".join(_flowchart(drawn)) + "\n"


def compared(before: Stages, after: Stages) -> Stages:
    """Return the stages of both, what differs marked; nothing where there was no pipeline before."""
    if not before:
        return after
    return {
        stage: _compared(before.get(stage, []), after.get(stage, [])) for stage in merged(list(before), list(after))
    }


def _compared(before: Sequence[Action], after: Sequence[Action]) -> list[Action]:
    old, new = {item.name: item for item in before}, {item.name: item for item in after}
    marked = []
    for name in merged(list(old), list(new)):
        item = new.get(name) or old[name]
        mark = "removed" if name not in new else "added" if name not in old else ""
        if not mark and new[name].definition != old[name].definition:
            mark = "changed"
        marked.append(
            Action(name=name, does=item.does, run_order=item.run_order, definition=item.definition, mark=mark)
        )
    return marked


def merged(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Return all names in the new order, each that is gone behind the one that stood before it."""
    found = list(new)
    for place, name in enumerate(old):
        if name not in found:
            before = next((found.index(known) for known in reversed(old[:place]) if known in found), -1)
            found.insert(before + 1, name)
    return found


def _flowchart(stages: Stages) -> Iterator[str]:
    yield "flowchart LR"
    numbers = itertools.count(1)
    marks: dict[str, list[str]] = {}
    ends: list[str] = []
    links: list[str] = []
    for place, (stage, actions) in enumerate(stages.items(), 1):
        yield f'  subgraph s{place}["{_text(stage)}"]'
        for _, together in itertools.groupby(actions, lambda action: action.run_order):
            group = []
            for action in together:
                node = f"a{next(numbers)}"
                yield f'    {node}["{_text(action.name)}{_WORDS[action.mark]}<br/>{_text(action.does)}"]'
                marks.setdefault(action.mark, []).append(node)
                group.append(node)
            if ends:
                links.append(f"  {' & '.join(ends)} --> {' & '.join(group)}")
            ends = group
        yield "  end"
    yield from links
    for mark, style in _CLASSES.items():
        if mark in marks:
            yield f"  classDef {mark} {style}"
            yield f"  class {','.join(marks[mark])} {mark}"


def mermaid_of_stacks(graphs: Mapping[str, Graph], handed_on: str) -> str:
    """Return a flowchart of stacks that hand on to one another, a box for each stage.

    Args:
        graphs: The stacks' resources by their names, in the order of deliveries.
        handed_on: What one stack gives the next.

    Returns:
        Lines without a fence.
    """
    lines = ["flowchart LR"]
    edges: list[str] = []
    last = ""
    for stack, graph in graphs.items():
        boxes = [
            f'{stack}{place}["{_stage(stage, actions)}"]'
            for place, (stage, actions) in enumerate(stages_of(graph).items(), 1)
        ]
        lines += [
            f'  subgraph {stack}["{_text(stack)} stack"]',
            "    direction LR",
            f"    {' --> '.join(boxes)}",
            "  end",
        ]
        if last:
            edges.append(f'  {last} -- "{_text(handed_on)}" --> {stack}1')
        last = f"{stack}{len(boxes)}"
    return "\n".join([*lines, *edges]) + "\n"


def _stage(stage: str, actions: Sequence[Action]) -> str:
    """A stage with its actions; of one of the same name, what carries it out."""
    named = [action.name if action.name != stage else action.does for action in actions]
    return "<br/>".join([f"<b>{_text(stage)}</b>", *map(_text, named)])


def _text(text: str) -> str:
    """A text as Mermaid takes it between quotes."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")

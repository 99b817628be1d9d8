"""A graph as a page that a reviewer can read: the golden files `tests/golden/*.txt`.

`make golden` writes them anew; the diff is the review.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mocked import REGION, Graph, Resource, build_program

from components.notifications import Messenger, StatusReporter
from components.settings import Settings, load_stack_file
from components.settings.reader.stack_file import PREFIX

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"


def stack_files() -> dict[str, Path]:
    """Every stack file of the repository by the name of its golden file."""
    found = [*ROOT.glob("Pulumi.*.yaml"), *(ROOT / "examples").glob("Pulumi.*.yaml")]
    return {path.name.split(".")[1]: path for path in sorted(found)}


def built_in_turn(graph: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same stack, with the smoke-test image built after the application's, and before what else follows that."""
    for resource in graph:
        if resource["type"] == "aws:codepipeline/pipeline:Pipeline":
            for actions in (stage["actions"] for stage in resource["inputs"]["stages"]):
                built = {action["name"]: action["runOrder"] for action in actions}
                if "BuildSmokeTestImage" in built:
                    for action in actions:
                        later = action["name"] == "BuildSmokeTestImage" or action["runOrder"] > built["BuildImage"]
                        action["runOrder"] += later
    return graph


EXAMPLES = "examples"
"""Name of the graph of :func:`section_examples`: what no stack file of the repository switches on is in it."""


def section_examples() -> dict[str, Any]:
    """A stack file's content with every section as `components/settings/root.py` gives it as an example."""
    fields = Settings.model_fields.values()
    sections = {f"{PREFIX}{field.alias}": field.examples[0] for field in fields if field.examples}
    return {"aws:region": REGION, **sections}


def graph_names() -> list[str]:
    """The names of all graphs that are judged."""
    return [*stack_files(), EXAMPLES]


@cache
def program(name: str) -> Graph:
    """One of the graphs of :func:`graph_names`; made once, so not to be changed."""
    values = section_examples() if name == EXAMPLES else load_stack_file(stack_files()[name])
    return build_program(values, stack_name=name)


def summary(graph: Graph) -> str:
    """Pipeline, resources, permissions and outputs as text."""
    return "\n".join([*_pipeline(graph), "", *_resources(graph), "", *_permissions(graph), "", *_outputs(graph)]) + "\n"


def _pipeline(graph: Graph) -> Iterator[str]:
    pipeline = graph.pipeline
    yield f"pipeline {pipeline['name']} ({pipeline['pipelineType']}, {pipeline['executionMode']})"
    for trigger in pipeline.get("triggers", []):
        yield f"  starts on {json.dumps(trigger['gitConfiguration']['pushes'], sort_keys=True)}"
    for rule in graph.of("EventRule"):
        verb = {Messenger.TYPE: "tells of", StatusReporter.TYPE: "shows"}.get(
            graph.resources[rule.parent or ""].type, "starts on"
        )
        yield f"  {verb} {rule.inputs['eventPattern']}"
    for item in pipeline.get("variables", []):
        yield f"  variable {item['name']} = {item['defaultValue']}"
    for stage, actions in graph.stages.items():
        yield f"  {stage}"
        for action in actions:
            reads = ", ".join(action.get("inputArtifacts", [])) or "-"
            writes = ", ".join(action.get("outputArtifacts", [])) or "-"
            yield f"    {int(action['runOrder'])} {action['name']} [{action['provider']}] {reads} -> {writes}"
            for key, value in sorted(action["configuration"].items()):
                yield from _configuration(key, value)


def _configuration(key: str, value: str) -> Iterator[str]:
    if key != "EnvironmentVariables":
        yield f"        {key}: {value}"
        return
    for item in json.loads(value):
        yield f"        {item['name']} = {item['value']}"


def _resources(graph: Graph) -> Iterator[str]:
    yield "resources"
    yield from _tree(graph, None, 1)


def _tree(graph: Graph, parent: str | None, depth: int) -> Iterator[str]:
    for item in sorted(graph, key=lambda found: (found.name, found.type)):
        # The stack itself is the parent of what has none of its own.
        if (item.parent if item.parent in graph.resources else None) != parent:
            continue
        marks = (" (protected)" if item.protect else "") + (" (retained on delete)" if item.retain_on_delete else "")
        yield f"{'  ' * depth}{item.type} {item.name}{marks}"
        yield from _tree(graph, item.urn, depth + 1)


def _permissions(graph: Graph) -> Iterator[str]:
    yield "permissions"
    for policy in sorted(graph.of("RolePolicy"), key=lambda found: found.name):
        role = _role(graph, policy)
        trust = json.loads(role.inputs["assumeRolePolicy"])["Statement"][0]
        yield f"  {role.name}, assumed by {', '.join(_principals(trust['Principal']))}"
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            yield f"    {statement['Sid']}: {', '.join(statement['Action'])}"
            yield from (f"      on {resource}" for resource in statement["Resource"])
            for operator, keys in statement.get("Condition", {}).items():
                yield from (f"      if {key} {operator} {value}" for key, value in keys.items())


def _principals(principal: Mapping[str, Any]) -> Iterator[str]:
    for value in principal.values():
        yield from [value] if isinstance(value, str) else value


def _role(graph: Graph, policy: Resource) -> Resource:
    return next(role for role in graph.of("aws:iam/role:Role") if role.outputs["name"] == policy.inputs["role"])


def _outputs(graph: Graph) -> Iterator[str]:
    yield "outputs"
    for key, value in sorted(graph.exports.items()):
        if isinstance(value, list):
            yield f"  {key}:"
            yield from (f"    - {line}" for line in value)
        else:
            yield f"  {key}: {value}"


def main() -> None:
    """Write every golden file."""
    GOLDEN.mkdir(exist_ok=True)
    for name in stack_files():
        (GOLDEN / f"{name}.txt").write_text(summary(program(name)), encoding="utf-8")
        print(f"wrote tests/golden/{name}.txt")  # noqa: T201 - a command's output

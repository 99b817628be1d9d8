"""Mermaid's text of a pipeline, of an edit, and of stacks in a row."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

import pytest
from mocked import build_program
from summary import program, stack_files

from components.settings import load_stack_file
from local.diagram import mermaid, mermaid_of_stacks, stages_of

PIPELINE = "aws:codepipeline/pipeline:Pipeline"


@cache
def graph_of(name: str) -> list[dict[str, Any]]:
    return [item.as_dict() for item in program(name)]


def edited(name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A graph to change, and the stages of its pipeline."""
    graph = copy.deepcopy(graph_of(name))
    (pipeline,) = (item for item in graph if item["type"] == PIPELINE)
    pipeline["outputs"] = {}
    stages: list[dict[str, Any]] = pipeline["inputs"]["stages"]
    return graph, stages


def marks(drawn: str) -> dict[str, set[str]]:
    """The actions of each class, by the words and by the colours, which must agree."""
    names = dict(re.findall(r'^    (a\d+)\["(\w+)', drawn, re.MULTILINE))
    by_colour = {
        mark: {names[node] for node in nodes.split(",")}
        for nodes, mark in re.findall(r"^  class (\S+) (\w+)$", drawn, re.MULTILINE)
    }
    by_word = {
        mark: set(re.findall(rf'\["(\w+) \({word}\)<br/>', drawn))
        for mark, word in (("added", "new"), ("changed", "changed"), ("removed", "removed"))
    }
    assert {mark: found for mark, found in by_word.items() if found} == by_colour
    return by_colour


@pytest.mark.parametrize("name", ["dev", "prod", "classic", "everything-on"])
def test_every_stage_and_action_is_drawn_and_what_follows_is_joined(name: str) -> None:
    drawn = mermaid(graph_of(name))
    stages = program(name).stages
    assert re.findall(r'^  subgraph s\d+\["(\w+)"\]$', drawn, re.MULTILINE) == list(stages)
    assert re.findall(r'^    a\d+\["(\w+)<br/>', drawn, re.MULTILINE) == [
        action["name"] for actions in stages.values() for action in sorted(actions, key=lambda item: item["runOrder"])
    ]
    groups = sum(len({action["runOrder"] for action in actions}) for actions in stages.values())
    assert len(re.findall(r"^  a.* --> a.*$", drawn, re.MULTILINE)) == groups - 1
    assert marks(drawn) == {}


def test_what_runs_side_by_side_is_joined_to_what_is_before_and_behind_it() -> None:
    drawn = mermaid(graph_of("dev"))
    assert "  a1 --> a2 & a3\n  a2 & a3 --> a4 & a5\n" in drawn
    assert "  a6 & a7 --> a8\n" in drawn


def test_two_graphs_that_are_the_same_have_no_marks() -> None:
    assert marks(mermaid(graph_of("dev"), graph_of("dev"))) == {}


def test_a_new_stack_has_no_marks() -> None:
    assert mermaid([], graph_of("dev")) == mermaid(graph_of("dev"))
    assert mermaid([]) == "flowchart LR\n"


def test_what_is_added_changed_and_removed_is_marked() -> None:
    after, stages = edited("dev")
    del stages[3]
    stages[2]["actions"][0]["configuration"]["ApplicationName"] = "other"
    stages[1]["actions"].append({**stages[1]["actions"][0], "name": "SignImage", "runOrder": 3})
    drawn = mermaid(graph_of("dev"), after)
    assert marks(drawn) == {
        "added": {"SignImage"},
        "changed": {"DeployService"},
        "removed": {"RunLighthouse", "RunSmokeTest"},
    }
    assert re.findall(r'subgraph s\d+\["(\w+)"\]', drawn) == ["Source", "Build", "Deploy", "Test", "Promote"]


def test_another_machine_or_variable_of_a_job_changes_its_action() -> None:
    after, _ = edited("dev")
    for item in after:
        if item["type"] == "aws:codebuild/project:Project" and item["inputs"]["name"] == "shop-dev-build-image":
            item["inputs"]["environment"]["computeType"] = "BUILD_GENERAL1_LARGE"
            item["outputs"] = {}
    assert marks(mermaid(graph_of("dev"), after)) == {"changed": {"BuildImage"}}


def test_what_a_preview_does_not_know_is_no_change() -> None:
    values = load_stack_file(stack_files()["dev"])
    planned = [{**item.as_dict(), "outputs": {}} for item in build_program(values, stack_name="dev", preview=True)]
    assert marks(mermaid(graph_of("dev"), planned)) == {}


def test_a_first_stage_that_goes_is_drawn_first() -> None:
    after, stages = edited("dev")
    del stages[0]
    assert next(iter(re.findall(r'subgraph s\d+\["(\w+)"\]', mermaid(graph_of("dev"), after)))) == "Source"


def test_stacks_in_a_row_are_joined_by_what_they_hand_on() -> None:
    drawn = mermaid_of_stacks({"dev": graph_of("dev"), "prod": graph_of("prod")}, "the <same> image")
    assert '  dev5 -- "the &lt;same&gt; image" --> prod1' in drawn.splitlines()
    assert 'dev1["<b>Source</b><br/>commit"] --> dev2["<b>Build</b><br/>BuildImage<br/>' in drawn
    assert 'prod1["<b>Source</b><br/>SourceImage"]' in drawn


def test_a_graph_without_a_pipeline_has_no_stages() -> None:
    assert stages_of([{"type": "aws:s3/bucket:Bucket", "inputs": {}}]) == {}

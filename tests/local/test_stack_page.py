"""The pictures and the page of a stack: everything of the graph is in them, and they are what they say they are."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mocked import Graph as Mocked
from summary import program

import local.__main__
import local.estimates.command
import local.stack_page.command
from local.__main__ import main
from local.engine.stack import EngineFailure
from local.estimates import estimate
from local.stack_page.command import files
from local.stack_page.page import page, pipeline_svg, resources_svg
from local.stack_page.parts import counted, mermaid, parts_of, title
from local.stack_page.permissions import roles_of
from local.stack_page.picture import draw_parts

NAMES = ("dev", "prod", "classic", "everything-on", "worker")
SVG = "{http://www.w3.org/2000/svg}"


@cache
def graph_of(name: str) -> list[dict[str, Any]]:
    return [item.as_dict() for item in program(name)]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own


@pytest.mark.parametrize("name", NAMES)
def test_every_resource_is_in_one_part_and_no_part_needs_a_later_one(name: str) -> None:
    parts = parts_of(graph_of(name))
    assert sum(part.count for part in parts) == sum(1 for item in program(name) if item.type.startswith("aws:"))
    by_name = {part.name: part for part in parts}
    for part in parts:
        assert all(by_name[other].layer < part.layer for other in part.needs), part.title
    assert {part.title for part in parts} >= {"Encryption key", "Artifact bucket", "Delivery pipeline"}


def test_an_arrow_that_another_way_makes_needless_is_left_out() -> None:
    """Everything needs the key; only what needs nothing else between has an arrow from it."""
    parts = {part.title: part for part in parts_of(graph_of("dev"))}
    key = parts["Encryption key"].name
    assert key in parts["Artifact bucket"].needs
    assert key not in parts["Delivery pipeline"].needs
    assert parts["Build stage"].name in parts["Delivery pipeline"].needs


def test_of_two_that_need_each_other_the_one_that_others_wait_for_comes_first() -> None:
    """The registry lets a role of the release in, and the release tags in the registry, which all else needs, too."""
    parts = {part.title: part for part in parts_of(graph_of("prod"))}
    assert parts["Registry"].layer < parts["Service"].layer < parts["Deploy stage"].layer
    assert parts["Delivery pipeline"].layer == max(part.layer for part in parts.values())


def test_boxes_do_not_overlap_and_arrows_go_to_the_right() -> None:
    for name in NAMES:
        picture = draw_parts(parts_of(graph_of(name)))
        for one in picture.boxes:
            assert 0 <= one.x <= one.x + one.width <= picture.width
            assert 0 <= one.y <= one.y + one.height <= picture.height
            for other in picture.boxes:
                apart = one.x != other.x or one.y + one.height < other.y or other.y + other.height < one.y
                assert one is other or apart, (name, one.title, other.title)
    assert draw_parts(()).boxes == ()


def test_the_picture_of_the_pipeline_has_its_stages_and_actions_with_their_times() -> None:
    shown = texts(pipeline_svg(graph_of("dev"), "dev"))
    assert [text for text in shown if text in program("dev").stages] == [
        "Source",
        "Source",
        *list(program("dev").stages)[1:],
    ]
    assert shown[shown.index("BuildImage") + 1] == "1 min 32 s, EC2"
    assert shown[shown.index("VerifyImage") + 1] == "9 s, Lambda"
    assert texts(pipeline_svg(graph_of("everything-on"), "prod")).count("a person") == 2


def test_the_picture_of_the_resources_has_every_part() -> None:
    shown = texts(resources_svg(graph_of("prod"), "shop-prod"))
    assert {part.title for part in parts_of(graph_of("prod"))} <= set(shown)
    assert "1 load balancer" in shown


def test_parts_as_mermaid_are_joined_as_in_the_picture() -> None:
    parts = parts_of(graph_of("dev"))
    drawn = mermaid(parts)
    assert drawn.count(" --> ") == sum(len(part.needs) for part in parts)
    assert '"<b>Encryption key</b><br/>1 KMS key<br/>1 key policy"' in drawn


def test_things_are_counted_in_words() -> None:
    assert [counted("bucket", 1), counted("bucket policy", 2), counted("cluster capacity providers", 2)] == [
        "1 bucket", "2 bucket policies", "2 cluster capacity providers",
    ]  # fmt: skip
    assert counted("connection to the code", 2) == "2 connections to the code"
    assert [title("ecs-delivery:stage:Build"), title("ecs-delivery:index:EncryptionKey")] == [
        "Build stage",
        "Encryption key",
    ]


def statements(graph: Mocked) -> int:
    return sum(len(json.loads(policy.inputs["policy"])["Statement"]) for policy in graph.of("RolePolicy"))


@pytest.mark.parametrize("name", ["dev", "prod", "everything-on"])
def test_the_page_has_every_role_with_every_statement_and_every_line_of_the_bill(name: str) -> None:
    roles = roles_of(graph_of(name))
    assert [role.name for role in roles] == sorted(
        item.outputs["name"] for item in program(name).of("aws:iam/role:Role")
    )
    assert sum(len(role.statements) for role in roles) == statements(program(name))
    text = page(graph_of(name), name)
    for role in roles:
        assert role.name in text
        assert role.principal.endswith(".amazonaws.com")
        for statement in role.statements:
            assert all(f"<code>{action}</code>" in text for action in statement.actions)
    for line in estimate(graph_of(name)).lines:
        assert line.what in text
    assert "<script" not in text
    assert text.count("<svg") >= 2


def test_a_text_of_the_graph_does_not_become_markup() -> None:
    graph = [
        {**item, "inputs": {**item["inputs"], "name": "<img src=x>"}, "outputs": {}}
        if item["type"] == "aws:codepipeline/pipeline:Pipeline"
        else item
        for item in graph_of("dev")
    ]
    text = page(graph, "<b>dev</b>")
    assert "<img" not in text
    assert "<b>dev" not in text
    assert "&lt;img src=x&gt;" in text


def test_the_files_are_those_that_the_command_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local.stack_page.command, "deployed_graph", lambda stack, _: graph_of(stack))
    assert main(["diagram", "--output", str(tmp_path / "drawn")]) == 0
    told = [line.removeprefix("wrote ") for line in capsys.readouterr().out.splitlines()]
    assert told == [str(tmp_path / "drawn" / name) for name, _ in files(graph_of("dev"), "dev")]
    for path in map(Path, told):
        assert path.read_text(encoding="utf-8") == dict(files(graph_of("dev"), "dev"))[path.name]
        if path.suffix == ".svg":
            assert ET.parse(path).getroot().tag == f"{SVG}svg"  # noqa: S314 - our own


def test_cost_is_told_as_a_page_and_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local.estimates.command, "deployed_graph", lambda stack, _: graph_of(stack))
    assert main(["cost", "--stack", "prod"]) == 0
    assert "Pipeline, a month of 220 runs: 12.68 USD" in capsys.readouterr().out
    assert main(["cost", "--json", "--runs", "500"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["runs"], told["measured"], told["startsFrom"]) == (500, False, "commit")
    assert told["dollars"]["pipeline"] == pytest.approx(estimate(graph_of("dev"), runs=500).pipeline_dollars)
    assert told["seconds"]["onDemand"]["serving"] == pytest.approx(161.5)


def test_a_number_of_runs_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["cost", "--runs", "many"])
    assert "must be a whole number of runs a month, such as 220, got 'many'" in capsys.readouterr().err


def test_a_wrong_stack_file_is_refused_before_the_engine_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local.estimates.command, "deployed_graph", lambda *_: pytest.fail("the engine was started"))
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("config:\n  ecs-delivery:aplication: {name: shop}\n", encoding="utf-8")
    assert main(["cost", "--stack-file", str(file)]) == 1
    assert "did you mean application?" in capsys.readouterr().err


def test_what_the_engine_refuses_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: object) -> None:
        raise EngineFailure(["the provider refused it"])

    monkeypatch.setattr(local.estimates.command, "deployed_graph", refuse)
    assert main(["cost"]) == 1
    assert capsys.readouterr().err == "the provider refused it\n"

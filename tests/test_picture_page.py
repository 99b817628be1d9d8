"""The picture in README.md is that of the stack files."""

from __future__ import annotations

from picture_page import PAGE, STACKS, picture, shown
from summary import program


def test_the_picture_is_drawn_from_the_graphs() -> None:
    assert shown(PAGE.read_text(encoding="utf-8")) == picture(), "draw it anew: make golden"


def test_it_has_every_stage_and_action_of_both_stacks_in_order() -> None:
    drawn = picture()
    for stack in STACKS:
        block = drawn.split(f'subgraph {stack}["', 1)[1].split("\n  end", 1)[0]
        place = 0
        for stage, actions in program(stack).stages.items():
            place = block.index(f"<b>{stage}</b>", place)
            for action in actions:
                assert action["name"] == stage or action["name"] in block[place:]
    assert drawn.index("dev5 --") < drawn.index("--> prod1")

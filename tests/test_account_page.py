"""docs/account.md and the output `accountNeeds` say what the graphs say."""

from __future__ import annotations

import itertools

import pytest
from account_page import PAGE, completed, quota_of, recount, told
from summary import program, stack_files

from components.foundation.account_needs import Need


def test_the_page_is_what_the_graphs_make_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == completed(text), "write it anew: make golden"


@pytest.mark.parametrize("name", stack_files())
def test_a_stack_tells_what_its_resources_take(name: str) -> None:
    graph = program(name)
    assert told(graph.exports["accountNeeds"]) == recount([item.as_dict() for item in graph])


@pytest.mark.parametrize("name", stack_files())
def test_it_tells_so_in_two_lines_at_most(name: str) -> None:
    made = "hosting-network" in str([item.name for item in program(name)])
    assert len(program(name).exports["accountNeeds"]) == 1 + made


def test_what_the_larger_of_two_stacks_asks_for_is_enough_for_both() -> None:
    """Whatever the two are: each asks for twice what it takes."""
    needs = {name: recount([item.as_dict() for item in program(name)]) for name in stack_files()}
    for one, other in itertools.combinations(needs.values(), 2):
        for name in {*one, *other}:
            both = [Need(quota=quota_of(name), amount=stack.get(name, 0)) for stack in (one, other)]
            assert max(need.desired for need in both) >= sum(need.amount for need in both)

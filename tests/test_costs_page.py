"""docs/costs.md says what the graphs and the constants say."""

from __future__ import annotations

import re

import pytest
from costs_page import CHOICES, LEVERS, PAGE, WAITS, Choice, compared, edited, levered, page
from edits import keys

LIMITS = re.compile(
    r"(timeout|stickiness|ttl|idleTimeout|gracePeriod|startPeriod)(Seconds|Minutes)$|^hosting\.alarms\."
)
"""Times after which something ends or is judged: nothing waits for them while all goes well."""
COUNTS = re.compile(r"(Seconds|Minutes|\.minutes|\.healthyThreshold)$")


def test_the_page_is_what_the_graphs_make_of_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: make golden"


def test_no_choice_is_there_twice_and_none_changes_nothing() -> None:
    written = [(choice.stack, choice.words, str(choice.beside)) for choices in CHOICES.values() for choice in choices]
    assert len(written) == len(set(written))
    for choices in CHOICES.values():
        for choice in choices:
            assert edited(choice.stack, choice.beside or {}) != edited(
                choice.stack, choice.beside or {}, choice.keys
            ), choice


def test_a_choice_is_compared_with_the_file_without_it() -> None:
    """A second NAT gateway: 730 hours of 0.048 in eu-west-1, and of 0.005 for its address."""
    single = {"hosting.network.taskSubnets": "private", "hosting.network.natGateways": "single"}
    before, after = compared(Choice("dev", {"hosting.network.natGateways": "onePerAz"}, single))
    assert after.hosting_dollars - before.hosting_dollars == pytest.approx(730 * (0.048 + 0.005))
    assert after.pipeline_dollars == before.pipeline_dollars


def test_every_wait_has_a_default_that_is_the_shortest_or_a_reason_why_it_is_not() -> None:
    times = {key: shape for key, shape in keys().items() if COUNTS.search(key) and not LIMITS.search(key)}
    assert times.keys() == WAITS.keys()
    for key, shape in times.items():
        least = int(re.findall(r"\d+", shape.words)[0])
        shortest = shape.default == least
        assert shortest == WAITS[key].startswith(("AWS allows no", "none by default")), (key, shape.default, least)


@pytest.mark.parametrize("lever", LEVERS)
def test_every_lever_makes_a_run_shorter_or_cheaper(lever: str) -> None:
    before, after = levered(lever)
    assert after.on_demand.run <= before.on_demand.run
    assert after.pipeline_dollars <= before.pipeline_dollars
    assert (after.on_demand.run, after.pipeline_dollars) != (before.on_demand.run, before.pipeline_dollars)

"""Answers to the functions (data sources) that this program asks, as if whatever is asked for existed.

A function that is not listed here is refused: an invented answer to an unforeseen question would make a preview look
better founded than it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.engine.standins.catalogue import KINDS, Facts, invent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.engine.standins.sdk_types import FunctionType
    from local.engine.standins.wire import Value

    Answer = Callable[[Facts], dict[str, Value]]


def _zones(facts: Facts) -> dict[str, Value]:
    return {
        "id": facts.region,
        "names": [f"{facts.region}{letter}" for letter in "abc"],
        "zoneIds": [f"{facts.region.replace('-', '')}-az{number}" for number in (1, 2, 3)],
        "groupNames": [facts.region],
    }


def _existing(token: str) -> Answer:
    """Something looked up that a resource type of the catalogue describes."""
    kind = KINDS[token]

    def answer(facts: Facts) -> dict[str, Value]:
        about = Facts(facts.text("name") or facts.seed, facts.text("name"), facts.region, facts.inputs)
        answers: dict[str, Value] = {output: rule(about) for output, rule in kind.computed.items()}
        return {**answers, "arn": kind.identity(about), "id": kind.identity(about)}

    return answer


ANSWERS: Mapping[str, Answer] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,  # asked by awsx
    "aws:lb/getListener:getListener": _existing("aws:lb/listener:Listener"),
    "aws:lb/getLoadBalancer:getLoadBalancer": _existing("aws:lb/loadBalancer:LoadBalancer"),
}
"""Every function the stand-in answers."""


def answer(function: FunctionType, arguments: Mapping[str, Value], region: str) -> dict[str, Value]:
    """Answer a function of `ANSWERS`, completely: a result with holes would read as "known after the update".

    Args:
        function: the function's type.
        arguments: what was asked, already held against that type.
        region: the provider's region.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    facts = Facts(f"{function.token} {sorted(given.items(), key=str)}", "", region, given)
    answers = {**ANSWERS[function.token](facts), **given}
    return {
        output: answers[output] if output in answers else invent(output, shape.kind, function.token, facts)
        for output, shape in function.results.items()
    }

"""Answers to the functions (data sources) that this program asks, as if whatever is asked for existed.

An answer holds what this program reads. A function or an argument that is not listed here is refused: an invented
answer to an unforeseen question would make a preview look better founded than it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.engine.providers.catalogue import computed
from local.engine.providers.checks import Problem, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.engine.providers.protocol import Value

_ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
_DESCRIBED = {
    "aws:lb/getListener:getListener": "aws:lb/listener:Listener",
    "aws:lb/getLoadBalancer:getLoadBalancer": "aws:lb/loadBalancer:LoadBalancer",
}
"""The resource type that describes what a function finds."""
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    _ZONES: (),  # asked by awsx
    "aws:lb/getListener:getListener": ("loadBalancerArn", "port"),
    "aws:lb/getLoadBalancer:getLoadBalancer": ("name",),
}
"""The arguments of every function that is answered, all of which must be given."""


def argument_problems(function: str, arguments: Mapping[str, Value]) -> Iterator[Problem]:
    """Yield what is wrong with the arguments of a function that is answered."""
    known = ARGUMENTS[function]
    for name in arguments.keys() - {*known}:
        yield Problem(name, f"is not asked by this program, so it is not answered{suggest(name, known)}")
    for name in known:
        if arguments.get(name) is None:
            yield Problem(name, "is required and missing")


def answer(function: str, arguments: Mapping[str, Value], region: str) -> dict[str, Value]:
    """Answer a function.

    Args:
        function: one of `ARGUMENTS`.
        arguments: what was asked, without problems.
        region: the provider's region.
    """
    if function == _ZONES:
        return {"names": [f"{region}{letter}" for letter in "abc"]}
    seed = f"{function} {sorted(arguments.items(), key=str)}"
    return {**computed(_DESCRIBED[function], seed, arguments, region), **arguments}

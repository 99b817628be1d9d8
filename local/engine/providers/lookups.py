"""Answers to the functions (data sources) that this program asks, as if whatever is asked for existed.

An answer holds what this program reads. A function or an argument that is not listed here is refused: an invented
answer to an unforeseen question would make a preview look better founded than it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from local.engine.providers.catalogue import computed
from local.engine.providers.protocol import Value
from local.engine.providers.sdk_types import ObjectType, Shape

_ZONES = "aws:index/getAvailabilityZones:getAvailabilityZones"
_DESCRIBED = {
    "aws:lb/getListener:getListener": "aws:lb/listener:Listener",
    "aws:lb/getLoadBalancer:getLoadBalancer": "aws:lb/loadBalancer:LoadBalancer",
}
"""The resource type that describes what a function finds."""


def _all_of(**arguments: str) -> ObjectType:
    return ObjectType({name: Shape(kind) for name, kind in arguments.items()}, frozenset(arguments))


FUNCTIONS: Mapping[str, ObjectType] = {
    _ZONES: _all_of(),  # asked by awsx
    "aws:lb/getListener:getListener": _all_of(loadBalancerArn="string", port="integer"),
    "aws:lb/getLoadBalancer:getLoadBalancer": _all_of(name="string"),
}
"""The arguments of every function that is answered, all of which must be given."""


def answer(function: str, arguments: Mapping[str, Value], region: str, account: str) -> dict[str, Value]:
    """Answer a function.

    Args:
        function: one of `FUNCTIONS`.
        arguments: what was asked, without problems.
        region: the provider's region.
        account: the account it acts in.
    """
    if function == _ZONES:
        return {"names": [f"{region}{letter}" for letter in "abc"]}
    seed = f"{function} {sorted(arguments.items(), key=str)}"
    return {**computed(_DESCRIBED[function], seed, arguments, region, account), **arguments}

"""What AWS's provider makes of changed properties: an update, a replacement, or nothing.

The facts are in ``changes.tsv``, read from the provider's source. Where a fact depends on other values, it does so here
for what this program gives; any other such property counts as replaced, which is what a preview must not hide. Sets
within a property are compared as lists.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.engine.providers.protocol import Value

TABLE = Path(__file__).with_name("changes.tsv")
Values = Mapping[str, Value]
Condition = Callable[[Values, Values], bool]


@dataclass(frozen=True, slots=True)
class Property:
    """What the provider makes of a change of one property.

    Attributes:
        force_new: ``yes``, ``no``, ``conditional: WHEN``, or ``?`` where it is not known.
        given: ``required``, ``optional`` or ``optional+computed``.
        ordered: Whether a list in another order is another value.
        kept_when_dropped: Whether a value that is no longer given stays.
    """

    force_new: str
    given: str
    ordered: bool
    kept_when_dropped: bool

    @property
    def is_computed(self) -> bool:
        """Whether AWS has a value of its own where none is given."""
        return self.given == "optional+computed"

    @property
    def stays(self) -> bool:
        """Whether a value that is no longer given stays as a whole; of a block only the block does."""
        return self.is_computed and self.kept_when_dropped


def _of_network_balancers(_old: Values, new: Values) -> bool:
    return new.get("loadBalancerType") not in (None, "application")


def _without_a_deployment_or_at_an_end(old: Values, new: Values) -> bool:
    name = "capacityProviderStrategies"
    return new.get("forceNewDeployment") is not True or not old.get(name) or not new.get(name)


def _of_another_name(old: Values, new: Values) -> bool:
    """Whether a service of Cloud Map is one of another namespace, or has records of another type."""

    def fixed(values: Values) -> tuple[object, ...]:
        config: Any = values.get("dnsConfig")
        if not isinstance(config, dict):
            return (None,)
        types = [record.get("type") for record in config.get("dnsRecords", [])]
        return config.get("namespaceId"), config.get("routingPolicy", "MULTIVALUE"), types

    return fixed(old) != fixed(new)


CONDITIONS: Mapping[tuple[str, str], Condition] = {
    ("aws:ecs/service:Service", "capacityProviderStrategies"): _without_a_deployment_or_at_an_end,
    ("aws:lb/loadBalancer:LoadBalancer", "securityGroups"): _of_network_balancers,
    ("aws:servicediscovery/service:Service", "dnsConfig"): _of_another_name,
    ("aws:lb/loadBalancer:LoadBalancer", "subnets"): _of_network_balancers,
}
"""Whether a change replaces, by the old inputs and the new, where it does so only sometimes."""
_UNREVIEWED = {name: Property("yes", "optional+computed", True, True) for name in ("name", "namePrefix", "region")}  # noqa: FBT003 - as in the class


@functools.cache
def table() -> Mapping[str, Mapping[str, Property]]:
    """Return the properties of each type."""
    lines = (line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    found: dict[str, dict[str, Property]] = {}
    for row in csv.DictReader(lines, delimiter="\t"):
        found.setdefault(row["type"], {})[row["property"]] = Property(
            force_new=row["forceNew"],
            given=row["given"],
            ordered=row["order"] != "no",
            kept_when_dropped=row["keptWhenDropped"] == "yes",
        )
    return found


def properties(token: str) -> Mapping[str, Property]:
    """Return what is known of a type's properties; of one that nobody has reviewed that its name cannot change."""
    return table().get(token, _UNREVIEWED)


def changed(token: str, state: Values, old: Values, new: Values) -> set[str]:
    """Return the properties in which the provider finds a difference.

    Args:
        token: The resource's type.
        state: What is known of the resource, computed values included.
        old: The inputs that it was last given.
        new: The inputs that it is given now.
    """
    known = properties(token)
    return {name for name in old.keys() | new.keys() if _differs(known.get(name), name, state, old, new)}


def replacing(token: str, names: set[str], old: Values, new: Values) -> list[str]:
    """Return which of the changed properties mean a new resource."""
    return sorted(name for name in names if _replaces(token, name, old, new))


def kept(token: str, state: Values, old: Values, new: Values) -> dict[str, Value]:
    """Return the values that are no longer given and stay."""
    known = properties(token)
    return {
        name: state.get(name, value)
        for name, value in old.items()
        if name not in new and (found := known.get(name)) and found.stays
    }


def _replaces(token: str, name: str, old: Values, new: Values) -> bool:
    found = properties(token).get(name)
    if found is None or found.force_new == "no":
        return False
    condition = CONDITIONS.get((token, name))
    return condition(old, new) if condition else found.force_new != "?"


def _differs(found: Property | None, name: str, state: Values, old: Values, new: Values) -> bool:
    if found is None:
        return old.get(name) != new.get(name)
    if name not in new and found.stays:
        return False
    before = state.get(name) if found.is_computed and name not in old else old.get(name)
    after = new.get(name)
    if found.ordered or not isinstance(before, list) or not isinstance(after, list):
        return before != after
    return any(before.count(item) != after.count(item) for item in (*before, *after))

"""Faults put into a good graph, to see that a check finds them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aws_requests import Described

Step: TypeAlias = str | int | Mapping[str, str]
"""A key, a position, or what the wanted entry of a list holds."""

NOTHING: Final = object()
"""As a value: the member goes away."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One wrong value.

    Attributes:
        type: Type of the resource that gets it.
        at: The way to it through the inputs; JSON in a text is walked into like the rest.
        value: What stands there then, or :data:`NOTHING`.
        finding: What the check says about it: text that is part of the finding.
        graph: The graph it is put into.
        name: End of the resource's name, where the type occurs more than once.
    """

    type: str
    at: Sequence[Step]
    value: object
    finding: str
    graph: str = "everything-on"
    name: str = ""

    def resource(self, graph: Sequence[Described]) -> dict[str, Any]:
        """The resource that gets the fault, with it."""
        good = next(item for item in graph if item["type"] == self.type and item["name"].endswith(self.name))
        return {**good, "inputs": _changed(good["inputs"], self.at, self.value)}

    def planted(self, graph: Sequence[Described]) -> list[Described]:
        """The graph with the fault."""
        faulty = self.resource(graph)
        return [faulty if item["urn"] == faulty["urn"] else item for item in graph]


def _changed(holder: Any, way: Sequence[Step], value: object) -> Any:  # noqa: ANN401 - any JSON value
    if not way:
        return value
    if isinstance(holder, str):
        return json.dumps(_changed(json.loads(holder), way, value))
    step = _entry(holder, way[0]) if isinstance(way[0], Mapping) else way[0]
    changed = copy.copy(holder)
    if len(way) == 1 and value is NOTHING:
        del changed[step]
    else:
        changed[step] = _changed(holder[step] if len(way) > 1 else None, way[1:], value)
    return changed


def _entry(entries: Sequence[Mapping[str, object]], wanted: Mapping[str, str]) -> int:
    return next(index for index, entry in enumerate(entries) if wanted.items() <= entry.items())

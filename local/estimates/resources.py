"""How a graph is read for an estimate: what a preview does not know yet is as if it were not there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Graph: TypeAlias = Sequence[Mapping[str, Any]]
"""The resources of a stack, as ``python -m local graph`` prints them; the outputs may be missing."""
_UNKNOWN = re.compile(r"\[known after up\]|04da6b54-80e4-46f7-96ec-b56ff0331ba9")
_REGION = re.compile(r"(?:arn:aws[a-z-]*:[a-z0-9-]+:|\"awslogs-region\": ?\")([a-z]{2}(?:-[a-z]+)+-\d)(?=[:\"])")


def values_of(graph: Graph, kind: str) -> Iterator[dict[str, Any]]:
    """Yield what is known of each resource of a type by its name, such as ``lb/loadBalancer:LoadBalancer``."""
    for resource in graph:
        if resource["type"] in {f"aws:{kind}", f"awsx:{kind}"}:
            values = {**(resource.get("outputs") or {}), **(resource.get("inputs") or {})}
            yield {key: value for key, value in values.items() if is_known(value)}


def first(graph: Graph, kind: str) -> dict[str, Any]:
    """Return the first resource of a type; empty without one."""
    return next(values_of(graph, kind), {})


def is_known(value: object) -> bool:
    """Whether a value is known, and not a preview's mark for one that is not."""
    return value is not None and not (isinstance(value, str) and _UNKNOWN.search(value))


def parsed(text: object) -> Any:  # noqa: ANN401 - any JSON
    """Return what a JSON text holds; empty where it is not known yet."""
    return json.loads(text) if isinstance(text, str) and is_known(text) and text else {}


def number(value: object, otherwise: float) -> float:
    """Return a number that may be written as text."""
    return float(value) if isinstance(value, int | float | str) and is_known(value) and value != "" else otherwise


def region_of(graph: Graph) -> str | None:
    """Return the region that the graph's names and settings speak of most; ``None`` where they speak of none."""
    for resource in graph:
        if resource["type"] == "pulumi:providers:aws" and is_known((resource.get("inputs") or {}).get("region")):
            return str(resource["inputs"]["region"])
    found: dict[str, int] = {}
    for resource in graph:
        for region in _REGION.findall(json.dumps(resource.get("inputs") or {}, default=str).replace('\\"', '"')):
            found[region] = found.get(region, 0) + 1
    return max(found, key=lambda region: found[region], default=None)

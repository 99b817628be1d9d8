"""How the graph of a deployed stack is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Resource: TypeAlias = Mapping[str, Any]
Graph: TypeAlias = Sequence[Resource]
"""The resources of a deployed stack, as ``python -m local graph`` prints them."""
PIPELINE = "aws:codepipeline/pipeline:Pipeline"
PROJECT = "aws:codebuild/project:Project"


def values_of(graph: Graph, kind: str) -> Iterator[dict[str, Any]]:
    """Yield what is known of each resource of a type: what it was asked for, and what came of it."""
    for resource in graph:
        if resource["type"] == kind:
            yield {**(resource.get("outputs") or {}), **resource["inputs"]}


def place_in(arn: str) -> tuple[str, str]:
    """Return region and account of an ARN."""
    _, _, _, region, account, _ = arn.split(":", 5)
    return region, account


def place_of(graph: Graph) -> tuple[str, str]:
    """Return region and account of a stack: those of its pipeline."""
    (pipeline,) = values_of(graph, PIPELINE)
    return place_in(pipeline["arn"])


def policies_of(graph: Graph) -> dict[str, tuple[dict[str, Any], ...]]:
    """Return the policy documents of each role by its name."""
    policies: dict[str, tuple[dict[str, Any], ...]] = {}
    for values in values_of(graph, "aws:iam/rolePolicy:RolePolicy"):
        policies[values["role"]] = (*policies.get(values["role"], ()), json.loads(values["policy"]))
    return policies

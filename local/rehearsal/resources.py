"""How the graph of a deployed stack is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from local.rehearsal.emulated import RolePolicies, granted

Resource: TypeAlias = Mapping[str, Any]
Graph: TypeAlias = Sequence[Resource]
"""The resources of a deployed stack, as ``python -m local graph`` prints them."""
PIPELINE = "aws:codepipeline/pipeline:Pipeline"
PROJECT = "aws:codebuild/project:Project"
_REPOSITORY = re.compile(r"arn:[^:]+:ecr:([^:]+):(\d{12}):repository/(.+)")


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


def policies_of(graph: Graph) -> dict[str, RolePolicies]:
    """Return the policy documents of each role by its name."""
    documents: dict[str, list[dict[str, Any]]] = {}
    for values in values_of(graph, "aws:iam/rolePolicy:RolePolicy"):
        documents.setdefault(values["role"], []).append(json.loads(values["policy"]))
    return {role: RolePolicies(policies) for role, policies in documents.items()}


def templates_of(graph: Graph) -> Iterator[dict[str, Any]]:
    """Yield the task definitions that a stack's pipeline fills in."""
    for stored in values_of(graph, "aws:s3/bucketObjectv2:BucketObjectv2"):
        if '"containerDefinitions"' in (stored.get("content") or ""):
            yield json.loads(stored["content"])


class Repository(NamedTuple):
    """A repository of Amazon ECR."""

    account: str
    region: str
    name: str


def pushed_to(policies: Iterable[Mapping[str, Any]]) -> Iterator[Repository]:
    """Yield the repositories that policies let somebody push to, as far as they are named."""
    for action, arn in granted(policies):
        if action == "ecr:PutImage" and (repository := _repository(arn)):
            yield repository


def repositories_elsewhere(graphs: Sequence[Graph]) -> list[Repository]:
    """Return the repositories that roles of these stacks push to, and that none of these stacks has."""
    arns = (values["arn"] for graph in graphs for values in values_of(graph, "aws:ecr/repository:Repository"))
    own = {_repository(arn) for arn in arns}
    wanted = (
        repository for graph in graphs for policies in policies_of(graph).values() for repository in pushed_to(policies)
    )
    return [repository for repository in dict.fromkeys(wanted) if repository not in own]


def _repository(arn: str) -> Repository | None:
    named = _REPOSITORY.fullmatch(arn)
    return Repository(named[2], named[1], named[3]) if named else None

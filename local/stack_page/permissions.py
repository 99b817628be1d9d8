"""What each role of a stack may do, as its policies say it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.estimates.resources import Graph, parsed, values_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """One statement of a policy; ``conditions`` are written out."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """A role: its name, who assumes it, what it may do."""

    name: str
    principal: str
    statements: tuple[Statement, ...]


def roles_of(graph: Graph) -> tuple[Role, ...]:
    """Return the stack's roles by name, with the statements of their own policies."""
    documents: dict[str, list[Mapping[str, Any]]] = {}
    for policy in values_of(graph, "iam/rolePolicy:RolePolicy"):
        documents.setdefault(str(policy.get("role", "")), []).append(parsed(policy.get("policy")))
    roles = []
    for resource in graph:
        if resource["type"] != "aws:iam/role:Role":
            continue
        answered, asked = resource.get("outputs") or {}, resource["inputs"]
        name = str(answered.get("name") or asked.get("name") or resource["name"])
        roles.append(
            Role(
                name=name,
                principal=", ".join(_principals(parsed(asked.get("assumeRolePolicy")))),
                statements=tuple(
                    _statement(item) for document in documents.get(name, []) for item in document.get("Statement", ())
                ),
            )
        )
    return tuple(sorted(roles, key=lambda role: role.name))


def _principals(trust: Mapping[str, Any]) -> Iterator[str]:
    for statement in trust.get("Statement", ()):
        for names in statement.get("Principal", {}).values():
            yield from _several(names)


def _statement(item: Mapping[str, Any]) -> Statement:
    return Statement(
        sid=item.get("Sid", ""),
        actions=tuple(_several(item.get("Action", ()))),
        resources=tuple(_several(item.get("Resource", ()))),
        conditions=tuple(
            f"{key} {operator} {value if isinstance(value, str) else json.dumps(value)}"
            for operator, keys in item.get("Condition", {}).items()
            for key, value in keys.items()
        ),
    )


def _several(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value

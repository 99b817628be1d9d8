"""Who may do what: the permissions that a service asks for, decided by ministack's evaluator of IAM policies.

ministack's own doors do not serve here: its ECS checks requests against the cluster, and its policy simulator takes no
context, without which no condition is ever met. The evaluator behind them is right in both.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]  # ships no types
    EvalContext,
    evaluate,
    parse_policy_document,
)


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that a request needs.

    Attributes:
        action: The IAM action.
        resource: The ARN it must be allowed on.
        context: The condition keys of the request and their values.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


class RolePolicies(tuple[Mapping[str, Any], ...]):  # noqa: SLOT001 - Python gives a tuple no other slots
    """The policy documents of a role, which remember what they have allowed.

    Attributes:
        used: The actions and resources.
    """

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        del documents  # they are the tuple
        self.used: set[tuple[str, str]] = set()


def granted(policies: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield each action that policies allow, with each resource that they allow it on; either may hold wildcards."""
    for policy in policies:
        for statement in policy["Statement"]:
            if statement["Effect"] == "Allow":
                yield from itertools.product(_several(statement["Action"]), _several(statement["Resource"]))


def _several(text: str | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else text


def allows(policies: Sequence[Mapping[str, Any]], need: Need, *, account: str, region: str) -> bool:
    """Whether a role with these policies may do this."""
    request = EvalContext(
        principal_arn=caller(account),
        principal_type="AssumedRole",
        principal_account=account,
        action=need.action,
        resource_arn=need.resource,
        region=region,
        # The evaluator asks for keys in lower case.
        service_context={key.lower(): value for key, value in need.context.items()},
    )
    parsed = [parse_policy_document(json.dumps(policy)) for policy in policies]
    allowed = bool(evaluate(request, parsed).decision == "Allow")
    if allowed and isinstance(policies, RolePolicies):
        policies.used.add((need.action, need.resource))
    return allowed


def caller(account: str, role: str = "build") -> str:
    """Who asks, in the words of a refusal."""
    return f"arn:aws:sts::{account}:assumed-role/{role}/AWSCodeBuild"

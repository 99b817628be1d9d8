"""Every policy document of a graph, and what parliament thinks of it.

parliament judges a statement by AWS's own list of actions, their resources and their condition keys. It expects every
statement to name a resource, which a trust policy does not and a key policy does with ``*``: there the one resource
the policy stands on is put in, since nothing else can be meant.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aws_requests import Described

with warnings.catch_warnings():
    # Its own: escapes in its patterns and a file it leaves open, both met on import only.
    warnings.simplefilter("ignore")
    import parliament  # type: ignore[import-untyped]  # ships no types


@dataclass(frozen=True)
class Policy:
    """One policy document.

    Attributes:
        origin: Resource and input it was found in, for messages.
        document: Its content.
    """

    origin: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """Something parliament has against a policy.

    Attributes:
        origin: Where the policy stands.
        issue: parliament's name for the kind of problem.
        subject: What exactly, with the statement's sid in front where parliament tells the place.
    """

    origin: str
    issue: str
    subject: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.issue}: {self.subject}"


def policies(graph: Iterable[Described]) -> Iterator[Policy]:
    """Every policy document, whatever resource and input it stands in."""
    resources = list(graph)
    keys = {item["outputs"]["keyId"]: item["outputs"]["arn"] for item in resources if item["type"] == "aws:kms/key:Key"}
    for resource in resources:
        own = keys.get(resource["inputs"].get("keyId", "")) or resource["outputs"].get("arn")
        for name, value in resource["inputs"].items():
            document = _document(value)
            if document is not None:
                yield Policy(f"{resource['name']}.{name}", _on(own, document) if own else document)


def findings(policy: Policy, *, unknown: Iterable[str] = ()) -> list[Finding]:
    """What parliament and its community's auditors find.

    Args:
        policy: The policy.
        unknown: Actions that parliament's list lacks. It looks at nothing else in a policy with such an action,
            so they are taken out.
    """
    statements = _statements(policy.document, frozenset(unknown))
    # One statement a line, so that the line of a finding tells the statement.
    lines = ",\n".join(json.dumps(statement) for statement in statements)
    rest = [f'"{key}": {json.dumps(value)}' for key, value in policy.document.items() if key != "Statement"]
    text = "{" + ", ".join([*rest, f'"Statement": [\n{lines}\n]']) + "}"
    analyzed = parliament.analyze_policy_string(text, include_community_auditors=True)
    sids = {number: statement.get("Sid", "") for number, statement in enumerate(statements, start=2)}
    found = {
        Finding(policy.origin, item.issue, subject) for item in analyzed.findings for subject in _subjects(item, sids)
    }
    return sorted(found, key=str)


def arns_overlap(kind: str, pattern: str, other: str) -> bool:
    """Return whether an ARN can match two patterns: that of a resource type, and another.

    Args:
        kind: Name of the resource type: a bucket is not one of its objects, though the text of its pattern would be.
        pattern: Pattern of the resource type.
        other: An ARN or a pattern.
    """
    return bool(parliament.is_arn_match(kind, pattern, other))


def actions(statement: Mapping[str, Any]) -> list[str]:
    """The actions of a statement, of which there may be one or several."""
    named = statement.get("Action", [])
    return [named] if isinstance(named, str) else list(named)


def _document(value: object) -> dict[str, Any] | None:
    """The value as a policy document, if it is one."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(value)
    except ValueError:
        return None
    return document if "Statement" in document else None


def _on(arn: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """The policy with the resource it stands on written out."""
    statements = [
        {**statement, "Resource": arn} if statement.get("Resource", "*") == "*" else statement
        for statement in document["Statement"]
    ]
    return {**document, "Statement": statements}


def _statements(document: Mapping[str, Any], unknown: frozenset[str]) -> list[dict[str, Any]]:
    """The statements without some actions, and without those that hold no other."""
    kept = []
    for statement in document["Statement"]:
        known = [action for action in actions(statement) if action not in unknown]
        if known == actions(statement):
            kept.append(dict(statement))
        elif known:
            kept.append({**statement, "Action": known})
    return kept


def _subjects(found: Any, sids: Mapping[int, str]) -> Iterator[str]:  # noqa: ANN401 - parliament has no types
    """One text for each thing a finding is about."""
    sid = sids.get(found.location.get("line", 0))
    detail = found.detail or found.location.get("actions") or found.location.get("string") or ""
    for item in detail if isinstance(detail, list) else [detail]:
        text = " ".join(item.values()) if isinstance(item, dict) else str(item)
        yield f"{sid}: {text}" if sid else text

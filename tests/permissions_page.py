"""docs/permissions.md: where a role has less than AWS's own example, and why that works.

`make golden` writes it anew, from the tables that the tests hold every role against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from documented_permissions import PURPOSES, Condition, Permission, Purpose

from components.foundation.iam import ALWAYS_SENT, SENDS_SOURCE, UNSCOPED

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "permissions.md"

_INTRODUCTION = """\
# Permissions

<!-- Generated: make golden. -->

Where AWS says on a page what the role of a purpose needs, each role of that purpose is held against the page. Every
role is held against IAM's own table of actions, resource types and condition keys, and, where the AWS CDK makes a role
of the same purpose, against what that one is given. This page lists every difference from AWS's own examples, with
what shows that the narrower form works; what each job's role may do stands in [jobs.md](jobs.md). **This project has
run none of it in an AWS account**: the last column names who runs the narrower form, where AWS prints it, or a policy
of AWS that scopes the same action. Where neither could be found, and a refusal would stop every delivery, a role has
what AWS's example has.

`<word>` stands for one name.
"""


def permissions_page() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *_differences(), *_unscoped(), *_conditions(), *_trusts()])


def _differences() -> Iterator[str]:
    yield "## Less than AWS's example\n"
    for purpose in PURPOSES:
        rows = [_row(permission) for permission in purpose.permissions if permission.differs]
        if rows:
            yield f"### {purpose.name}\n"
            yield f"AWS's example: <{purpose.page}>\n"
            yield from _table(("Actions", "AWS's example", "This program", "Why it works"), rows)
    same = [purpose for purpose in PURPOSES if not any(permission.differs for permission in purpose.permissions)]
    yield "## As AWS's example\n"
    yield from (f"- {_linked(purpose)}" for purpose in same)
    yield ""


def _linked(purpose: Purpose) -> str:
    return f"[{purpose.name}]({purpose.page})"


def _row(permission: Permission) -> tuple[str, ...]:
    return (
        "<br>".join(f"`{action}`" for action in permission.actions),
        _form(permission.aws, permission.aws_condition),
        "not granted" if permission.absent else _form(permission.resources, permission.conditions),
        permission.absent or permission.proof,
    )


def _form(resources: tuple[str, ...], condition: Condition) -> str:
    conditions = (
        f"if `{operator}` `{key}` `{value}`" for operator, keys in condition.items() for key, value in keys.items()
    )
    return "<br>".join([*(f"`{resource}`" for resource in resources), *conditions])


def _unscoped() -> Iterator[str]:
    yield "## On every resource, although IAM could scope it\n"
    yield "AWS's own policies do the same. Others hold what these actions reach: a registered task definition runs"
    yield "nothing until a service is updated, and only CodeDeploy, for one deployment group, assumes a role with task"
    yield "sets.\n"
    yield from _table(("Action", "AWS's policy, or a report"), _pairs(UNSCOPED))


def _conditions() -> Iterator[str]:
    yield "## Conditions that a request must meet\n"
    yield "Every other condition lets a request pass that does not carry its key (`...IfExists`).\n"
    rows = [(f"`{action}`", f"`{key}`", f"<{source}>") for (action, key), source in ALWAYS_SENT.items()]
    yield from _table(("Action", "Condition key", "What shows that every request carries it"), rows)


def _trusts() -> Iterator[str]:
    yield "## Trust policies\n"
    yield "Every role trusts one service, for this account and, where it acts for one resource, for that alone. These"
    yield "services are documented to say for whom they act, and must. The others are refused a wrong account, and may"
    yield "say nothing.\n"
    yield from _table(("Service", "Documented in"), _pairs(SENDS_SOURCE))


def _pairs(table: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [(f"`{name}`", f"<{page}>") for name, page in table.items()]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def main() -> None:
    """Write the page."""
    PAGE.write_text(permissions_page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")  # noqa: T201 - a command's output

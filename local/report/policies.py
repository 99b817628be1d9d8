"""What a policy document allows, and what one allows that another does not.

The grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html. That nothing outweighs a
denial: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.report.conditions import Clause, alternatives, clauses, implied
from local.report.globs import Patterns, covered

_ACCOUNT = re.compile(r"\d{12}")
EVERYTHING = Patterns(("*",))


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody a statement is about.

    Attributes:
        kind: ``AWS``, ``Service``, ``Federated`` or ``CanonicalUser``; of ``NotPrincipal`` with ``Not`` before it.
        name: Who; ``*`` is everybody, and several names are those that ``NotPrincipal`` leaves out.
    """

    kind: str
    name: str

    def covers(self, other: Principal) -> bool:
        """Return whether the other is this one, too. An account covers no role: it may only allow its roles more."""
        return self == other or (self == EVERYBODY and other.kind in {"AWS", "Federated", "CanonicalUser"})


EVERYBODY = Principal("AWS", "*")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy.

    Attributes:
        sid: Its name; may be empty.
        allows: Whether it allows or denies.
        principals: Whom; nobody where the policy is that of a role, which is meant then.
        actions: What, in the case that it is written in.
        resources: On what.
        conditions: Under which conditions; all of them have to be met.
    """

    sid: str
    allows: bool
    principals: tuple[Principal, ...]
    actions: Patterns
    resources: Patterns
    conditions: tuple[Clause, ...]

    def is_about(self, principal: Principal | None, action: Patterns) -> bool:
        """Return whether it speaks of this principal and this action, whatever the resource and the conditions are."""
        return (principal is None or any(each.covers(principal) for each in self.principals)) and covered(
            action.lower(), [self.actions.lower()]
        )

    def is_met_by(self, conditions: Sequence[Clause]) -> bool:
        """Return whether all of its conditions are met where these are."""
        return all(implied(clause, conditions) for clause in self.conditions)


@dataclass(frozen=True, slots=True)
class Excess:
    """What a statement allows that others do not.

    Attributes:
        statement: The statement.
        principals: Whom; empty as in the statement.
        actions: What.
        resources: On what.
        reasons: Why it is more than before, in words.
    """

    statement: Statement
    principals: tuple[Principal, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reasons: tuple[str, ...]


def statements(document: str | Mapping[str, Any]) -> list[Statement]:
    """Return the statements of a policy document.

    Raises:
        ValueError: The text is no policy document.
    """
    content = json.loads(document) if isinstance(document, str) else document
    if not isinstance(content, Mapping) or "Statement" not in content:
        raise ValueError("a policy document has a Statement")
    found = content["Statement"]
    return [_statement(each) for each in (found if isinstance(found, list) else [found])]


def _statement(text: Mapping[str, Any]) -> Statement:
    return Statement(
        sid=str(text.get("Sid", "")),
        allows=text["Effect"] == "Allow",
        principals=tuple(_principals(text)),
        actions=_patterns(text, "Action"),
        resources=_patterns(text, "Resource"),
        conditions=clauses(text.get("Condition", {})),
    )


def _patterns(text: Mapping[str, Any], element: str) -> Patterns:
    for name, negated in ((element, False), (f"Not{element}", True)):
        if name in text:
            return Patterns(tuple(_several(text[name])), negated)
    # A trust policy names no resource: the role that it stands on is meant.
    return EVERYTHING


def _principals(text: Mapping[str, Any]) -> Iterator[Principal]:
    for element, before in (("Principal", ""), ("NotPrincipal", "Not")):
        named = text.get(element, {})
        for kind, names in ({"AWS": named} if isinstance(named, str) else named).items():
            # An account is another name of its root.
            full = [f"arn:aws:iam::{name}:root" if _ACCOUNT.fullmatch(name) else name for name in _several(names)]
            for name in [", ".join(sorted(full))] if before else full:
                yield Principal(f"{before}{kind}", name)


def _several(value: Any) -> list[str]:  # noqa: ANN401 - a text or a list of them
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def broader(old: Sequence[Statement], new: Sequence[Statement]) -> Iterator[Excess]:
    """Yield what is allowed now and was not before; of a denial that is gone, what it denied."""
    yield from _more([each for each in new if each.allows], [each for each in old if each.allows], without=new)
    yield from _more([each for each in old if not each.allows], [each for each in new if not each.allows])


def narrower(old: Sequence[Statement], new: Sequence[Statement]) -> Iterator[Excess]:
    """Yield what was allowed before and is not any more, or what is denied now."""
    yield from broader(new, old)


def _more(
    several: Sequence[Statement], than: Sequence[Statement], without: Sequence[Statement] = ()
) -> Iterator[Excess]:
    denials = [each for each in without if not each.allows and not each.conditions]
    for statement in several:
        left = [
            (principal, action, resource)
            for principal in statement.principals or (None,)
            for action in statement.actions.apart()
            for resource in statement.resources.apart()
            if not _all_within(principal, action, resource, statement.conditions, than)
            and not _all_within(principal, action, resource, statement.conditions, denials)
        ]
        if left:
            yield Excess(
                statement,
                principals=tuple(dict.fromkeys(principal for principal, _, _ in left if principal)),
                actions=tuple(dict.fromkeys(_named(action) for _, action, _ in left)),
                resources=tuple(dict.fromkeys(_named(resource) for _, _, resource in left)),
                reasons=tuple(_reasons(statement, than)),
            )


def _all_within(
    principal: Principal | None,
    action: Patterns,
    resource: Patterns,
    conditions: Sequence[Clause],
    than: Iterable[Statement],
) -> bool:
    """Whether the others say the same of this, under each of the conditions."""
    about = [each for each in than if each.is_about(principal, action)]
    return all(
        covered(resource, (each.resources for each in about if each.is_met_by(some)))
        for some in alternatives(conditions)
    )


def _named(patterns: Patterns) -> str:
    return f"all but {', '.join(patterns.texts)}" if patterns.negated else patterns.texts[0]


def _reasons(statement: Statement, than: Sequence[Statement]) -> Iterator[str]:
    """Why a statement says more than the nearest of the others."""
    before = _nearest(statement, than)
    if before is None:
        yield "nothing allowed it before" if statement.allows else "nothing else denies it"
        return
    actions = [each for each in statement.actions.apart() if not covered(each.lower(), [before.actions.lower()])]
    resources = [each for each in statement.resources.apart() if not covered(each, [before.resources])]
    gone = [each for each in before.resources.apart() if not covered(each, [statement.resources])]
    wider = [
        each for each in before.resources.apart() if each.texts not in {r.texts for r in statement.resources.apart()}
    ]
    if any(not any(old.covers(each) for old in before.principals) for each in statement.principals):
        yield f"so far {_listed([each.name for each in before.principals])} alone"
    if actions:
        yield "an action more" if len(actions) == 1 else f"{len(actions)} actions more"
    if resources and (instead := gone or wider):
        yield f"instead of {_listed([_named(each) for each in instead])}"
    elif resources:
        yield "a resource more" if len(resources) == 1 else f"{len(resources)} resources more"
    yield from _conditions(before.conditions, statement.conditions)


def _conditions(old: Sequence[Clause], new: Sequence[Clause]) -> Iterator[str]:
    for clause in old:
        met = all(implied(clause, some) for some in alternatives(new))
        same = [each for each in new if each.subject == clause.subject]
        if met:
            continue
        if not same:
            yield f"the condition on `{clause.key}` is taken away"
        elif implied(clause, new) is None:
            yield f"whether the condition on `{clause.key}` is narrower cannot be told"
        elif same[0].if_exists and not clause.if_exists:
            yield f"a request without `{clause.key}` meets the condition, too"
        elif clause.is_negated:
            gone = [value for value in clause.values if value not in same[0].values]
            yield f"the condition on `{clause.key}` keeps {_listed(gone)} out no more"
        else:
            more = [value for value in same[0].values if value not in clause.values]
            yield f"the condition on `{clause.key}` takes {_listed(more)}, too"


def _nearest(statement: Statement, others: Sequence[Statement]) -> Statement | None:
    """The statement that this one was before: that of its name, or that with most of its actions."""
    for other in others:
        if statement.sid and other.sid == statement.sid:
            return other
    if not statement.allows:
        return None
    alike = [(len({*other.actions.texts} & {*statement.actions.texts}), other) for other in others]
    shared, nearest = max(alike, key=lambda pair: pair[0], default=(0, None))
    return nearest if shared else None


def _listed(texts: Sequence[str]) -> str:
    """A few of some names as code, and how many more there are."""
    named = ", ".join(f"`{text}`" for text in texts[:2])
    return f"{named} and {len(texts) - 2} more" if len(texts) > 2 else named

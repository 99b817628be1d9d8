"""Who may do what afterwards that they may not do now, decided by what the policies allow."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.engine.outcome import State, Step
from local.engine.values import UNKNOWN
from local.report.findings import UNKNOWN_BEFORE_UP, Finding, Section, code, listed
from local.report.losses import called, is_about, names_of
from local.report.policies import EVERYBODY, Excess, Statement, broader, narrower, statements
from local.report.preview import Preview
from local.report.values import parsed

_ROLE, _ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
_ATTACHMENTS = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/policyAttachment:PolicyAttachment")
_LAMBDA = "aws:lambda/permission:Permission"
_TRUST = "assumeRolePolicy"
_DOCUMENTS = {"policy", _TRUST, "policyDocument", "accessPolicy", "accessPolicies", "resourcePolicy"}
"""Inputs that hold policy documents, by which one is known that is not known before up."""
_OTHER_POLICIES = ("aws:ecr/lifecyclePolicy:", "aws:appautoscaling/")
"""Types whose policies are none of IAM's."""
_LONG = 120
"""Characters of ARNs from which on one is named, and how many more there are."""


@dataclass(slots=True)
class _Holder:
    """What policies say of one role, or of one resource, before or afterwards.

    Attributes:
        statements: All that they say.
        managed: The ARNs of policies that are kept elsewhere.
        boundary: The ARN of the permissions boundary; empty for none.
        unknown: Inputs that are not known before up.
    """

    statements: list[Statement] = field(default_factory=list)
    managed: set[str] = field(default_factory=set)
    boundary: str = ""
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom policies are about: what a role may do, who may assume it, or who may use a resource."""

    kind: str
    urn: str
    name: str


def permissions(preview: Preview) -> Iterator[Finding]:
    """Yield what is allowed more, then, in a section of its own, what is allowed less."""
    before, after = (_holders(preview.steps, new=new) for new in (False, True))
    if preview.is_new:
        yield from _of_new_stack(after)
        return
    steps = {step.urn: step for step in preview.steps}
    kept = names_of(step for step in preview.steps if step.new and not step.is_replacement)
    news: list[_Subject] = []
    gone: list[_Subject] = []
    less: list[Finding] = []
    unknown: list[tuple[_Subject, list[str]]] = []
    for subject in {**before, **after}:
        old, new = before.get(subject, _Holder()), after.get(subject, _Holder())
        if old == new:
            continue
        if new.unknown and not (old.unknown == new.unknown and old.statements == new.statements):
            unknown.append((subject, new.unknown))
        step = steps.get(subject.urn)
        if subject.kind in {"role", "trust"} and step and (step.old is None or step.new is None):
            of_it = news if step.old is None else gone
            of_it += [subject] if subject.kind == "role" else []
        elif step and step.op == "delete" and step.type != _LAMBDA and not is_about(step, kept):
            continue  # what it spoke of is deleted, too
        else:
            yield from _more(subject, old, new, steps)
            if not new.unknown:
                less.extend(_less(subject, old, new, steps))
    yield from _of_new_roles(news, after)
    yield from _of_unknown([each for each in unknown if each[0] not in news])
    yield from less
    if gone:
        verb = "roles are" if gone[1:] else "role is"
        words = f"{len(gone)} {verb} deleted, with all permissions: {listed([role.name for role in gone])}."
        yield Finding(Section.NARROWED, words)


def _holders(steps: Iterable[Step], *, new: bool) -> dict[_Subject, _Holder]:
    """All policies before or afterwards, by whom they are about."""
    several = [(step, state) for step in steps if (state := step.new if new else step.old)]
    roles = {
        name: step
        for step, state in several
        if step.type == _ROLE
        for name in (state.inputs.get("name"), state.outputs.get("name"), state.outputs.get("arn"), state.id)
        if name and name != UNKNOWN
    }
    found: dict[_Subject, _Holder] = defaultdict(_Holder)
    for step, state in several:
        if step.type == _ROLE:
            _take_role(step, state, found)
        elif step.type in (_ROLE_POLICY, *_ATTACHMENTS):
            role = roles.get(str(state.inputs.get("role")))
            # Where the role is not known before up, the policy stands beside it.
            subject = _Subject("role", role.urn if role else step.parent, role.name if role else step.name)
            _take_part(step, state, found[subject])
        elif step.type == _LAMBDA:
            found[_Subject("resource", step.urn, step.name)].statements.append(_invocation(state))
        else:
            _take_resource(step, state, found)
    return dict(found)


def _take_role(step: Step, state: State, found: dict[_Subject, _Holder]) -> None:
    may, trust = (found[_Subject(kind, step.urn, step.name)] for kind in ("role", "trust"))
    _take_document(state.inputs.get(_TRUST), _TRUST, trust)
    for inline in state.inputs.get("inlinePolicies") or []:
        _take_document(inline.get("policy") if isinstance(inline, dict) else UNKNOWN, "inlinePolicies", may)
    may.managed |= {str(arn) for arn in state.inputs.get("managedPolicyArns") or []}
    may.boundary = str(state.inputs.get("permissionsBoundary") or "")


def _take_part(step: Step, state: State, holder: _Holder) -> None:
    if step.type == _ROLE_POLICY:
        _take_document(state.inputs.get("policy"), "policy", holder)
    else:
        holder.managed.add(str(state.inputs.get("policyArn")))


def _take_resource(step: Step, state: State, found: dict[_Subject, _Holder]) -> None:
    if not step.is_of_aws or step.type.startswith(_OTHER_POLICIES):
        return
    for name, value in state.inputs.items():
        document = parsed(value)
        if (isinstance(document, dict) and "Statement" in document) or (value == UNKNOWN and name in _DOCUMENTS):
            _take_document(value, name, found[_Subject("resource", step.urn, step.name)])


def _take_document(text: object, name: str, holder: _Holder) -> None:
    if text is None:
        return
    document = parsed(text) if isinstance(text, str) else text
    if not isinstance(document, dict) or UNKNOWN in json.dumps(document):
        holder.unknown.append(name)
    else:
        holder.statements.extend(statements(document))


def _invocation(state: State) -> Statement:
    """What a permission of Lambda says, as the statement that AWS makes of it.

    https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
    """
    given = state.inputs
    principal = str(given.get("principal"))
    conditions = {
        operator: {key: given[name]}
        for operator, key, name in (
            ("ArnLike", "AWS:SourceArn", "sourceArn"),
            ("StringEquals", "AWS:SourceAccount", "sourceAccount"),
        )
        if given.get(name)
    }
    content: dict[str, Any] = {
        "Sid": str(given.get("statementId", "")),
        "Effect": "Allow",
        "Principal": {"Service" if principal.endswith(".amazonaws.com") else "AWS": principal},
        "Action": str(given.get("action")),
        "Resource": str(given.get("function")),
        "Condition": conditions,
    }
    return statements({"Statement": content})[0]


# What is said of it.


def _more(subject: _Subject, old: _Holder, new: _Holder, steps: Mapping[str, Step]) -> Iterator[Finding]:
    for excess in broader(old.statements, [] if new.unknown and not new.statements else new.statements):
        # Of a policy that is not known, nothing is known to be taken away either.
        if excess.statement.allows or not new.unknown:
            yield Finding(Section.PERMISSIONS, _sentence(subject, excess, steps), _details(excess), broadens=True)
    for arn in sorted(new.managed - old.managed):
        yield Finding(
            Section.PERMISSIONS,
            f"{code(subject.name)} gets {code(arn)}, which is not of this stack: what it allows cannot be told.",
            broadens=True,
        )
    if old.boundary and new.boundary != old.boundary:
        words = (
            f"is bound by {code(new.boundary)} instead of {code(old.boundary)}: whether that is narrower cannot be told"
            if new.boundary
            else f"is no longer bound by {code(old.boundary)}"
        )
        yield Finding(Section.PERMISSIONS, f"{code(subject.name)} {words}.", broadens=True)


def _less(subject: _Subject, old: _Holder, new: _Holder, steps: Mapping[str, Step]) -> Iterator[Finding]:
    for excess in narrower(old.statements, new.statements):
        yield Finding(Section.NARROWED, _sentence(subject, excess, steps, less=True))
    for arn in sorted(old.managed - new.managed):
        yield Finding(Section.NARROWED, f"{code(subject.name)} loses the policy {code(arn)}.")


def _sentence(subject: _Subject, excess: Excess, steps: Mapping[str, Step], *, less: bool = False) -> str:
    """Who may do what where, and why that is more than before."""
    what, statement = listed(excess.actions), excess.statement
    # A denial that is gone is more, and one that is new is less.
    verb = (
        ("may no longer" if less else "may now") if statement.allows else "is denied" if less else "is no longer denied"
    )
    where = listed(excess.resources, 1 if len("".join(excess.resources)) > _LONG else 2)
    step = steps.get(subject.urn)
    name = called(step) if step else code(subject.name)
    sid = f", statement {code(statement.sid)}" if statement.sid else ""
    why = f": {'; '.join(excess.reasons)}" if excess.reasons and not less else ""
    if subject.kind == "role":
        return f"{code(subject.name)} {verb} {what} on {where}{why}{sid and f' (statement {code(statement.sid)})'}."
    who = _named(excess)
    if subject.kind == "trust":
        may = (
            f"{verb} {'assume' if statement.allows else 'assuming'}"
            if less or statement.allows
            else f"{verb} to assume"
        )
        return f"{who} {may} the role {code(subject.name)}{why}."
    return f"{who} {verb} {what} on {where}{why} ({name}{sid})."


def _named(excess: Excess) -> str:
    """Whom a statement is about."""
    names = [
        "everybody"
        if each == EVERYBODY
        else f"all but {code(each.name)}"
        if each.kind.startswith("Not")
        else code(each.name)
        for each in excess.principals
    ] or ["whoever it is attached to"]
    text = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if names[2:] else "")
    return f"{text[0].upper()}{text[1:]}"


def _details(excess: Excess) -> tuple[str, ...]:
    rows = [
        *(f"action {code(each)}" for each in excess.actions if len(excess.actions) > 1),
        *(f"on {code(each)}" for each in excess.resources if len(excess.resources) > 1),
    ]
    conditions = excess.statement.conditions
    rows += [f"as long as {code(each.key)} is one of {listed(each.values)} ({each.operator})" for each in conditions]
    return tuple(rows)


def _of_new_roles(roles: Sequence[_Subject], after: Mapping[_Subject, _Holder]) -> Iterator[Finding]:
    """One line for all of them: each permission of a role that is new is new."""
    if not roles:
        return
    details = [line for role in roles for line in _what_it_may(role, after[role])]
    trusted = {
        principal.name
        for role in roles
        for statement in after.get(_Subject("trust", role.urn, role.name), _Holder()).statements
        for principal in statement.principals
    }
    hidden = sum(bool(after[role].unknown) for role in roles)
    names = listed([role.name for role in roles])
    some = "some of it" if hidden < len(roles) else "it"
    unknown = f" ({some} is {UNKNOWN_BEFORE_UP})" if hidden else ""
    who = f", for {listed(sorted(trusted))}" if trusted else ""
    beginning = (
        f"{len(roles)} new roles: {names}{who}; whatever they"
        if roles[1:]
        else f"A new role: {names}{who}; whatever it"
    )
    words = f"{beginning} may do{unknown}, nobody could before."
    yield Finding(Section.PERMISSIONS, words, tuple(details), broadens=True)


def _what_it_may(role: _Subject, holder: _Holder) -> Iterator[str]:
    for statement in holder.statements:
        if statement.allows:
            what, where = listed(statement.actions.texts, 8), listed(statement.resources.texts, 4)
            yield f"{code(role.name)} may {what} on {where}"
    yield from (f"{code(role.name)} gets the policy {code(arn)}" for arn in sorted(holder.managed))
    if holder.unknown:
        yield f"{code(role.name)}: {UNKNOWN_BEFORE_UP}, since it names what is made along with it"


def _of_new_stack(after: Mapping[_Subject, _Holder]) -> Iterator[Finding]:
    """One line: nothing is there to compare with."""
    roles = [subject for subject in after if subject.kind == "role"]
    policies = [subject for subject in after if subject.kind == "resource"]
    if roles or policies:
        words = f"All permissions are new: those of {len(roles)} roles, and {len(policies)} policies of resources."
        details = [line for role in roles for line in _what_it_may(role, after[role])]
        yield Finding(Section.PERMISSIONS, words, tuple(details), broadens=True)


def _of_unknown(unknown: Sequence[tuple[_Subject, Sequence[str]]]) -> Iterator[Finding]:
    if unknown:
        names = [subject.name for subject, _ in unknown]
        verb = "They are" if names[1:] else "It is"
        yield Finding(
            Section.PERMISSIONS,
            f"The policies of {listed(names)} are {UNKNOWN_BEFORE_UP}, since they name what is made along with them.",
            (
                *(f"{code(subject.name)}: {', '.join(dict.fromkeys(inputs))}" for subject, inputs in unknown),
                f"{verb} counted as broadened, since nobody can tell.",
            ),
            broadens=True,
        )

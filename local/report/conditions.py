"""Whether a condition of IAM is met only where another one is, too.

The operators and what several values mean: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
and https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from local.report.globs import Patterns, covered

_OPERATOR = re.compile(r"(?:(ForAllValues|ForAnyValue):)?(.*?)(IfExists)?", re.IGNORECASE)
_EQUAL = {"stringequals", "stringequalsignorecase", "numericequals", "dateequals", "bool", "binaryequals", "null"}
_LIKE = {"stringlike", "arnlike", "arnequals"}
"""``ArnEquals`` and ``ArnLike`` are the same: both take wildcards."""
_AT_MOST = {"numericlessthan", "numericlessthanequals", "datelessthan", "datelessthanequals"}
_AT_LEAST = {"numericgreaterthan", "numericgreaterthanequals", "dategreaterthan", "dategreaterthanequals"}
_NEGATED = {
    "stringnotequals": "stringequals",
    "stringnotequalsignorecase": "stringequalsignorecase",
    "stringnotlike": "stringlike",
    "arnnotlike": "arnlike",
    "arnnotequals": "arnequals",
    "numericnotequals": "numericequals",
    "datenotequals": "dateequals",
    "notipaddress": "ipaddress",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One operator on one condition key; all clauses of a statement have to be met.

    Attributes:
        operator: The operator in lower case, such as ``stringequals``.
        of_values: ``forallvalues`` or ``foranyvalue`` for keys with several values; empty for the others.
        if_exists: Whether a request without the key meets it.
        key: The condition key as it is written; IAM compares it without regard to case.
        values: The values.
    """

    operator: str
    of_values: str
    if_exists: bool
    key: str
    values: tuple[str, ...]

    @property
    def subject(self) -> str:
        """What it is about."""
        return self.key.lower()

    @property
    def is_negated(self) -> bool:
        """Whether each further value makes it narrower."""
        return self.operator in _NEGATED


def clauses(condition: Mapping[str, Mapping[str, object]]) -> tuple[Clause, ...]:
    """Return the clauses of a statement's ``Condition`` element."""
    return tuple(
        Clause(
            operator.lower(),
            (of_values or "").lower(),
            bool(if_exists),
            key,
            tuple(sorted(map(_text, _several(value)))),
        )
        for name, keys in condition.items()
        for of_values, operator, if_exists in [_parts(name)]
        for key, value in keys.items()
    )


def alternatives(several: Sequence[Clause]) -> Iterator[tuple[Clause, ...]]:
    """Yield the clauses with one value each: a request that meets them all meets one of these."""
    apart = [
        [clause]
        if clause.is_negated or clause.of_values or len(clause.values) < 2
        else [replace(clause, values=(value,)) for value in clause.values]
        for clause in several
    ]
    yield from itertools.product(*apart)


def implied(old: Clause, new: Sequence[Clause]) -> bool | None:
    """Return whether each request that meets the new clauses meets the old one; nothing where that cannot be told."""
    answers = [_implies(clause, old) for clause in new if clause.subject == old.subject]
    if not answers:
        # Nobody asks for the key any more.
        return False
    return True if True in answers else None if None in answers else False


def _implies(new: Clause, old: Clause) -> bool | None:
    if replace(new, key=old.key) == old:
        return True
    if new.of_values != old.of_values or (new.if_exists and not old.if_exists):
        return None if new.of_values != old.of_values else False
    if new.is_negated and old.is_negated:
        # What is refused now has to hold all that was refused.
        return _within(old, new)
    if new.is_negated or old.is_negated:
        return None
    return _within(new, old)


def _within(inner: Clause, outer: Clause) -> bool | None:
    """Whether each value that the inner clause names is one of those that the outer clause does."""
    first, second = (_NEGATED.get(clause.operator, clause.operator) for clause in (inner, outer))
    if second in _LIKE and (first in _LIKE or first == "stringequals"):
        texts = inner.values if first in _LIKE else tuple(map(_literal, inner.values))
        return all(covered(Patterns((text,)), [Patterns(outer.values)]) for text in texts)
    if first != second:
        return None
    if first == "ipaddress":
        return _networks_within(inner.values, outer.values)
    if first in _AT_MOST | _AT_LEAST:
        return _limits_within(inner, outer, first)
    if first not in _EQUAL:
        return None
    values = [
        {value.lower() if first == "stringequalsignorecase" else value for value in clause.values}
        for clause in (inner, outer)
    ]
    return values[0] <= values[1]


def _limits_within(inner: Clause, outer: Clause, operator: str) -> bool | None:
    """Of several limits one is enough, so that the widest of them counts; of dates, only equal ones are compared."""
    if not operator.startswith("numeric"):
        return None
    limits = [[float(value) for value in clause.values] for clause in (inner, outer)]
    return max(limits[0]) <= max(limits[1]) if operator in _AT_MOST else min(limits[0]) >= min(limits[1])


def _networks_within(inner: Sequence[str], outer: Sequence[str]) -> bool | None:
    try:
        first, second = ([ipaddress.ip_network(text, strict=False) for text in texts] for texts in (inner, outer))
    except ValueError:
        return None
    return all(
        any(one.version == other.version and one.subnet_of(other) for other in second)  # type: ignore[arg-type]  # same version
        for one in first
    )


def _literal(text: str) -> str:
    """A text as a pattern that matches it alone; a policy variable stays one."""
    return re.sub(r"[*?]", lambda found: f"${{{found[0]}}}", text)


def _parts(operator: str) -> tuple[str | None, str, str | None]:
    found = _OPERATOR.fullmatch(operator)
    assert found is not None  # noqa: S101 - the expression matches every text
    return found[1], found[2], found[3]


def _several(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Whether everything that some wildcard patterns match is matched by others.

Decided over what the patterns match, not over their texts: the words that both sides tell apart are walked through
together until one is found that only the first side takes. ``*`` is any text and ``?`` any one character, as IAM says:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html.
A policy variable stands for a text that nobody knows here: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SYMBOL = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)
_LITERAL = {"${*}": "*", "${?}": "?", "${$}": "$"}
_ANY_TEXT, _ANY_CHARACTER, _OTHER = "any text", "any character", "another character"
_States = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Patterns:
    """What some patterns match, or what they do not match.

    Attributes:
        texts: The patterns.
        negated: Whether everything else is meant, as ``NotAction`` and ``NotResource`` do.
    """

    texts: tuple[str, ...]
    negated: bool = False

    def lower(self) -> Patterns:
        """Return the patterns in lower case, for what is compared without regard to it."""
        return Patterns(tuple(text.lower() for text in self.texts), self.negated)

    def apart(self) -> Sequence[Patterns]:
        """Return the patterns one by one, as far as that can be done."""
        return [self] if self.negated else [Patterns((text,)) for text in self.texts]


def covered(inner: Patterns, outer: Iterable[Patterns]) -> bool:
    """Return whether everything that the inner patterns match is matched by the outer ones together."""
    several = list(outer)
    plain = Patterns(tuple(text for patterns in several if not patterns.negated for text in patterns.texts))
    return any(_covered(inner, each) for each in [plain, *(patterns for patterns in several if patterns.negated)])


def _covered(inner: Patterns, outer: Patterns) -> bool:
    if not inner.negated and not outer.negated and {*inner.texts} <= {*outer.texts}:
        return True
    first, second = [_symbols(text) for text in inner.texts], [_symbols(text) for text in outer.texts]
    alphabet = {symbol for symbols in first + second for symbol in symbols} - {_ANY_TEXT, _ANY_CHARACTER} | {_OTHER}
    start = (_start(first), _start(second))
    seen, waiting = {start}, [start]
    while waiting:
        in_first, in_second = waiting.pop()
        if _accepts(first, in_first) != inner.negated and _accepts(second, in_second) == outer.negated:
            return False
        for symbol in alphabet:
            after = (_step(first, in_first, symbol), _step(second, in_second, symbol))
            # Where no inner pattern can match any more, nothing can be found behind it.
            if not after[0] and not inner.negated:
                continue
            # Each pattern that has matched so far matches some text in the end.
            if not after[1] and not inner.negated and not outer.negated:
                return False
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return True


def _symbols(text: str) -> list[str]:
    found: list[str] = []
    for symbol in _SYMBOL.findall(text):
        wildcard = {"*": _ANY_TEXT, "?": _ANY_CHARACTER}.get(symbol)
        if not (wildcard == _ANY_TEXT and found[-1:] == [_ANY_TEXT]):
            found.append(wildcard or _LITERAL.get(symbol, symbol))
    return found


def _start(patterns: Sequence[Sequence[str]]) -> _States:
    return _closed(patterns, ((number, 0) for number in range(len(patterns))))


def _closed(patterns: Sequence[Sequence[str]], states: Iterable[tuple[int, int]]) -> _States:
    """The states, and those behind a wildcard that may match nothing."""
    found = set()
    for number, place in states:
        at = place
        found.add((number, at))
        while at < len(patterns[number]) and patterns[number][at] == _ANY_TEXT:
            at += 1
            found.add((number, at))
    return frozenset(found)


def _step(patterns: Sequence[Sequence[str]], states: _States, symbol: str) -> _States:
    after = set()
    for number, place in states:
        expected = patterns[number][place] if place < len(patterns[number]) else None
        if expected == _ANY_TEXT:
            after.add((number, place))
        # A variable stands for a text of any length, which one character does not take.
        elif expected == symbol or (expected == _ANY_CHARACTER and not symbol.startswith("${")):
            after.add((number, place + 1))
    return _closed(patterns, after)


def _accepts(patterns: Sequence[Sequence[str]], states: _States) -> bool:
    return any(place == len(patterns[number]) for number, place in states)

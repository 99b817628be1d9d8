"""What changed between two versions of a resource's inputs, property by property."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.engine.providers.protocol import Value

_MISSING = object()
_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$]*")


@dataclass(frozen=True, slots=True)
class Difference:
    """One changed property.

    Attributes:
        path: where, as the engine writes paths: `stages[0].configuration["a.b"]`.
        kind: `ADD`, `DELETE` or `UPDATE`.
    """

    path: str
    kind: str

    @property
    def top(self) -> str:
        """The input it belongs to."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]


def differences(old: Mapping[str, Value], new: Mapping[str, Value]) -> list[Difference]:
    """Compare two versions of a resource's inputs.

    Args:
        old: as they were, free of secret wrappers.
        new: as they are to be; an unknown value differs from everything.

    Returns:
        the innermost properties that differ. Null is the same as not given.
    """
    return list(_compare(dict(old), dict(new), ""))


def _compare(old: object, new: object, path: str) -> Iterator[Difference]:
    match old, new:
        case (dict(), dict()):
            for key in [*old, *(key for key in new if key not in old)]:
                if not (path == "" and key.startswith("__")):  # the engine's own
                    yield from _compare(_given(old, key), _given(new, key), _join(path, key))
        case (list(), list()):
            for index in range(max(len(old), len(new))):
                here = old[index] if index < len(old) else _MISSING
                there = new[index] if index < len(new) else _MISSING
                yield from _compare(here, there, f"{path}[{index}]")
        case _ if old is new or (old == new and isinstance(old, bool) == isinstance(new, bool)):
            return
        case _:
            yield Difference(path, "ADD" if old is _MISSING else "DELETE" if new is _MISSING else "UPDATE")


def _given(values: Mapping[str, object], key: str) -> object:
    value = values.get(key)
    return _MISSING if value is None else value


def _join(path: str, key: str) -> str:
    if not _PLAIN_KEY.fullmatch(key):
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key

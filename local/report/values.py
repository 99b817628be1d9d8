"""Looking into the values of resources."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from local.report.findings import code

NOTHING = "(nothing)"
"""What stands where a value is not there."""
_NAMES = ("name", "Name", "id", "key", "containerPort", "rulePriority")


def at(values: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what stands at a path such as ``versioningConfiguration.status``; nothing where nothing does."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def parsed(text: object) -> Any:  # noqa: ANN401 - any JSON
    """Return what a JSON text says; nothing where it is none, or not known."""
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - any JSON
    """Yield path, value before and value after of all that differs.

    Entries of lists are compared by their names where they have one, so that an entry more is one difference. What is
    not known is said to be so where it stands.
    """
    if old == new:
        return
    if isinstance(old, list) and isinstance(new, list):
        old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from differences(old.get(name), new.get(name), f"{path}.{name}" if path else str(name))
    elif not _said_otherwise(old, new):
        yield path, old, new


def _said_otherwise(old: object, new: object) -> bool:
    """Whether one side leaves out what the other says is empty."""
    return not old and not new and (old is None or new is None) and old is not False and new is not False


def _by_name(values: list[Any]) -> dict[str, Any]:
    name = next((name for name in _NAMES if all(isinstance(each, dict) and name in each for each in values)), None)
    if name is None:
        return {str(number): value for number, value in enumerate(values)}
    # Pairs of a name and a value, such as environment variables, are read best as such.
    value = next((key for key in ("value", "valueFrom") if all({*each} == {name, key} for each in values)), None)
    return {str(each[name]): each[value] if value else {k: v for k, v in each.items() if k != name} for each in values}


def shown(value: object) -> str:
    """Return a value as a person would write it."""
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def changed(path: str, was: object, now: object) -> str:
    """Return what becomes of a value in a few words."""
    if was is not None and now is not None:
        return f"{path} {code(shown(was))} → {code(shown(now))}"
    value = now if was is None else was
    # Of what is made of several values, the name says enough.
    told = path if isinstance(value, dict | list) else f"{path} {code(shown(value))}"
    return f"{told} is {'added' if was is None else 'removed'}"

"""What a person has changed in a stack file since it was deployed.

Pulumi's state has the resources and not the configuration they were made from. The engine of this machine therefore
keeps the file of the last `up` that succeeded, see :meth:`local.engine.stack.LocalStack.deployed`. A pull request
needs nothing of it: there the difference of the files stands beside the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from components.settings import Settings
from components.settings.reader.messages import as_yaml
from components.settings.reader.shapes import Shape
from components.settings.secrets import redacted
from components.settings.section import Section

_ABSENT = object()
_PREFIX = "ecs-delivery:"


def file_changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """Return each key that differs, with its value before and after.

    Args:
        before: The configuration that is deployed, as ``load_stack_file`` returns it.
        after: That of the file now.
    """
    old, new = dict(_leaves(before, ())), dict(_leaves(after, ()))
    paths = dict.fromkeys([*new, *old])
    changed = [path for path in paths if old.get(path, _ABSENT) != new.get(path, _ABSENT)]
    return [
        (
            ".".join(path).removeprefix(_PREFIX),
            _shown(old.get(path, _ABSENT), path),
            _shown(new.get(path, _ABSENT), path),
        )
        for path in changed
    ]


def _leaves(value: object, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values of a configuration with their paths; a list is one value."""
    if isinstance(value, Mapping) and (value or not above):
        for key, below in value.items():
            yield from _leaves(below, (*above, str(key)))
    else:
        yield above, value


def _shown(value: object, path: tuple[str, ...]) -> str:
    if value is not _ABSENT:
        return redacted(as_yaml(value))
    default = _default(path)
    return "left out" if default is None else f"{as_yaml(default)} (default)"


def _default(path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever a key may hold
    """Return what a key is where it is left out; ``None`` where that is nothing, or no plain value."""
    shape: Shape | None = Shape(kind="section", words="", section=Settings)
    for part in (path[0].removeprefix(_PREFIX), *path[1:]):
        shape = shape.below(part) if shape else None
    if shape is None or shape.required or isinstance(shape.default, Section):
        return None
    return shape.default if isinstance(shape.default, bool | int | str) else None

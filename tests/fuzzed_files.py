"""Stack files that nobody wrote: the repository's own with some edits, the same ones on each machine and each day."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from summary import stack_files

from components.settings import load_stack_file
from components.settings.reader.schema import stack_file_schema

FILES = {name: dict(load_stack_file(file)) for name, file in stack_files().items()}
STRANGE = [
    "",
    " ",
    "~",
    "null",
    "\u202e",
    "\u0000",
    "\ud800",
    "a" * 5000,
    "é",
    "-1",
    "1e999",
    ".nan",
    "${X}",
    "{{",
    "'",
    '"',
    "\n",
]
NAMES = ["name", "enabled", "path", "cpu", "notSecret", "A", "a b", "\u202e", "__class__", "ecs-delivery:deploy"]
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=30),
        st.sampled_from(STRANGE),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)),
    max_leaves=6,
)


def fuzz(examples: int) -> settings:
    """The same examples on each machine and each day."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401 - what a file holds
    """Every path of a file's content."""
    below = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in below:
        yield (*path, key)
        yield from places(value, (*path, key))


def at(content: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as above
    for part in path:
        content = content[part]
    return content


@st.composite
def files(draw: st.DrawFn, new: st.SearchStrategy[Any] = values, edits: int = 3) -> dict[str, Any]:
    """One of the repository's stack files with some edits."""
    content: dict[str, Any] = copy.deepcopy(FILES[draw(st.sampled_from(sorted(FILES)))])
    for _ in range(draw(st.integers(1, edits))):
        path = draw(st.sampled_from(sorted(places(content), key=str)))
        above = at(content, path[:-1])
        match draw(st.sampled_from(["value", "value", "beside", "gone", "name"])):
            case "value":
                above[path[-1]] = draw(new)
            case "beside" if isinstance(above, list):
                above.append(draw(new))
            case "beside":
                above[draw(st.sampled_from(NAMES))] = draw(new)
            case "gone":
                del above[path[-1]]
            case _ if isinstance(above, dict):
                name = str(path[-1])
                cut = draw(st.integers(0, len(name)))
                above[name[:cut] + draw(st.sampled_from(["", "x", "-", ":"])) + name[cut + 1 :]] = above.pop(path[-1])
    return content


def _described(node: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - what a schema holds
    """Every value that the schema names for a key: those it allows, its examples, its default, its bounds."""
    if isinstance(node, dict):
        for name, given in node.get("properties", {}).items():
            for part in (given, *given.get("anyOf", ())):
                named = [*part.get("enum", ()), *part.get("examples", ())]
                named += [part[word] for word in ("const", "default", "minimum", "maximum") if word in part]
                yield from ((name, value) for value in named)
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for part in below:
        yield from _described(part)


def _plausible() -> Mapping[str, Sequence[Any]]:
    """By the name of a key, the values that some file or the schema has for a key of this name."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    written = ((path[-1], at(content, path)) for content in FILES.values() for path in places(content))
    for name, value in (*_described(json.loads(stack_file_schema())), *written):
        found[str(name)][json.dumps(value, sort_keys=True, default=str)] = value
    return {name: [value for _, value in sorted(values.items())] for name, values in found.items()}


PLAUSIBLE = _plausible()


@st.composite
def plausible_files(draw: st.DrawFn) -> dict[str, Any]:
    """One of the repository's stack files with values, keys and sections of the others: many of them are right."""
    content: dict[str, Any] = copy.deepcopy(FILES[draw(st.sampled_from(sorted(FILES)))])
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(places(content), key=str)))
        above, name = at(content, path[:-1]), str(path[-1])
        match draw(st.sampled_from(["value", "value", "beside", "gone"])):
            case "value" if name in PLAUSIBLE:
                above[path[-1]] = copy.deepcopy(draw(st.sampled_from(PLAUSIBLE[name])))
            case "beside" if isinstance(above, dict):
                with suppress(LookupError, TypeError):  # the other file may have no such section
                    others = at(FILES[draw(st.sampled_from(sorted(FILES)))], path[:-1])
                    other = draw(st.sampled_from(sorted(others)))
                    above[other] = copy.deepcopy(others[other])
            case _:
                del above[path[-1]]
    return content

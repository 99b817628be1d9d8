"""Turns what is wrong with a stack file into sentences for the person who wrote it."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import takewhile
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from components.settings.reader.shapes import ANY_TEXT, Shape, leaves
from components.settings.secrets import looks_like_a_secret, names_a_secret
from components.settings.section import BROKEN_RULES, Path, Problem
from components.settings.yaml_dates import as_written

PREFIX = "ecs-delivery:"

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PLAIN_TEXT = re.compile(r"[A-Za-z/][A-Za-z0-9_./*-]*")
_MIXED = re.compile(r"(?<![A-Za-z0-9+_=-])(?=[A-Za-z+_=-]*[0-9])(?=[0-9+_=-]*[A-Za-z])[A-Za-z0-9+_=-]{16,}")
"""A long run of letters and digits, as keys and passwords are."""
_IDENTIFIER = re.compile(r"arn:.*|[a-z]{1,12}[-_]?[0-9a-fA-F]{8,17}|(/hostedzone/)?Z[0-9A-Z]{8,31}")
"""What is one as well, and no secret: an ARN, the identifier of a VPC or the like, that of a hosted zone."""
_TRUTHS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_MEANT = {"amd64": "x86_64", "x64": "x86_64", "intel": "x86_64", "aarch64": "arm64", "graviton": "arm64"}
_OUT_OF_BOUNDS = {"greater_than_equal", "less_than_equal"}


def line(file: str, problem: Problem) -> str:
    """Return a problem as its one line."""
    return f"{file}: {full_key(problem.path)}: {problem.message} — {problem.fix}"


def full_key(path: Path) -> str:
    """Return a path the way `pulumi config set --path` takes it: `ecs-delivery:source.github.paths.include[0]`.

    A key that stands under another prefix keeps it.
    """
    section, *rest = path
    return ("" if ":" in str(section) else PREFIX) + str(section) + "".join(map(_step, rest))


def as_yaml(value: Any) -> str:  # noqa: ANN401 - whatever the file may hold
    """Return a value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    if isinstance(value, str) and _PLAIN_TEXT.fullmatch(value) and value.lower() not in _TRUTHS:
        return value
    return json.dumps(value)


def unknown_key(path: Path, here: Iterable[str], root: Shape) -> Problem:
    """Return the problem of a key nobody knows: to be renamed, moved or removed.

    Args:
        path: The key, its section first.
        here: The keys known at its place.
        root: The whole stack file, to find where else the key is known.
    """
    key, known = str(path[-1]), tuple(here)
    what = "key" if len(path) > 1 else "section"
    if near := closest(key, known):
        return Problem(
            path=path,
            message=f"is not a known {what}, did you mean {near}?",
            fix=f"edit the file: rename {_label(path)} to {_label((*path[:-1], near))}",
        )
    elsewhere = {leaf[: leaf.index(key, 1) + 1] for leaf, _ in leaves(root) if key in leaf[1:]}
    highest = [full_key(place) for place in elsewhere if len(place) == min(map(len, elsewhere))]
    if len(highest) == 1:
        return Problem(
            path=path,
            message=f"is not a known {what}, did you mean {highest[0]}?",
            fix=f"edit the file: move it to {highest[0]}",
        )
    return Problem(
        path=path,
        message=f"is not a known {what}; known here: {', '.join(known)}",
        fix=f"pulumi config rm --path {_quoted(path)}",
    )


def missing(path: Path, shape: Shape) -> Problem:
    """Return the problem of a key that must be there."""
    words = f": {shape.about[:1].lower()}{shape.about[1:]}" if shape.kind == "section" else f", must be {shape.words}"
    return Problem(path=path, message=f"is missing{words}", fix=_set(path, shape, shape.example))


def not_json(name: str, error: json.JSONDecodeError, shape: Shape) -> Problem:
    """Return the problem of a section that was given as JSON and is none."""
    return Problem(
        path=(name,),
        message=f"is not JSON (column {error.colno}: {error.msg[0].lower()}{error.msg[1:]})",
        fix=_set((name,), shape, shape.example),
    )


def closest(key: str, known: Iterable[str]) -> str | None:
    """Return the known key a misspelt one most resembles, if any; a common start counts, case and separators do not."""
    bare = {_bare(name): name for name in known}
    found = get_close_matches(_bare(key), bare, n=3, cutoff=0.6)
    return bare[max(found, key=lambda name: _common_start(name, _bare(key)))] if found else None


def problems_of(error: ValidationError, name: str, section: Shape, root: Shape) -> Iterator[Problem]:
    """Yield what is wrong with one section, each thing once and in the file's words.

    Args:
        error: What pydantic found.
        name: The section's key in the stack file.
        section: What the section may hold.
        root: The whole stack file.
    """
    details = error.errors(include_url=False)
    meant = set()  # keys that are there, misspelt: not missing as well
    for detail in details:
        if detail["type"] == "extra_forbidden":
            path, holder = _place(section, detail["loc"])
            meant.add((*path, closest(str(detail["loc"][-1]), holder.keys)))
    told: set[Path] = set()
    for detail in details:
        below, shape = _place(section, detail["loc"])
        path = (name, *below)
        if detail["type"] == BROKEN_RULES:
            for problem in detail["ctx"]["problems"]:
                yield Problem(path=(*path, *problem.path), message=problem.message, fix=problem.fix)
        elif detail["type"] == "extra_forbidden":
            yield unknown_key((*path, detail["loc"][-1]), shape.keys, root)
        elif detail["type"] == "missing":
            if below not in meant:
                yield missing(path, shape)
        elif path not in told:  # a port or an ARN: pydantic says both why it is no port and why it is no ARN
            told.add(path)
            yield _wrong_value(path, shape, detail)


def _place(section: Shape, location: tuple[str | int, ...]) -> tuple[Path, Shape]:
    """Return the key that pydantic's location points at or into, below its section, and what it may hold."""
    path: Path = ()
    holder = shape = section
    for part in location:
        if part == "[key]" and holder.key:  # pydantic's way to say that the key itself is wrong
            return path, holder.key
        below = shape.below(part)
        if below is None:  # an unknown key, or the name of one of several types
            break
        path, holder, shape = (*path, part), shape, below
    return path, shape


def _wrong_value(path: Path, shape: Shape, detail: ErrorDetails) -> Problem:
    """Return the problem of a value that is not what it must be."""
    given = detail["input"]
    words = shape.words
    if detail["type"] in _OUT_OF_BOUNDS:
        words = words.removeprefix("a whole number ")
    return Problem(path=path, message=f"must be {words}, got {_shown(path, given)}", fix=_fix(path, shape, detail))


def _fix(path: Path, shape: Shape, detail: ErrorDetails) -> str:
    """Return how to put a wrong value right."""
    given = detail["input"]
    if shape.kind == "name":
        return "edit the file: rename it"
    if detail["type"] == "too_long" and shape.kind == "list":
        return f"edit the file: leave out {len(given) - detail['ctx']['max_length']} of them"
    if shape.kind == "text" and (text := _as_text(given, shape)) is not None:
        if _secret(path, given):
            return "edit the file: remove it, and name a secret that holds it in application.secrets"
        quoted = f'"{text}"'
        return f"edit the file: put it in quotes, like {_entry(path, quoted)}"
    return _set(path, shape, _meant(given, shape))


def _as_text(given: Any, shape: Shape) -> str | None:  # noqa: ANN401 - whatever the file holds
    """Return the text that a value without quotes was meant to be; None for a value that is wrong otherwise."""
    if given is None and shape.words == ANY_TEXT:
        return ""
    if isinstance(given, str):
        return as_written(given)
    if not isinstance(given, bool | int | float):
        return None
    text = json.dumps(given)
    digits = str(shape.example)
    return digits if digits.isdecimal() and len(text) != len(digits) else text  # an account id that lost a zero


def _meant(given: Any, shape: Shape) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the right value that is closest to a wrong one, an example when none is close."""
    if shape.kind == "choice" and isinstance(given, int | float):
        return min(shape.choices, key=lambda choice: abs(choice - given) if isinstance(choice, int) else 0)
    if not isinstance(given, str):
        return shape.example
    if shape.kind == "switch":
        return _TRUTHS.get(given.lower(), shape.example)
    if shape.kind == "number" and given.isdecimal():
        return int(given)
    choices = {str(choice): choice for choice in shape.choices}
    return choices.get(_MEANT.get(given.lower()) or closest(given, choices) or "", shape.example)


def _set(path: Path, shape: Shape, value: Any) -> str:  # noqa: ANN401 - whatever the file may hold
    """Return the command that sets a plain value, or the edit that writes any other."""
    if shape.kind in {"section", "list", "object"} or (isinstance(value, str) and value.isdecimal()):
        return f"edit the file: write it like {_entry(path, as_yaml(value))}"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"pulumi config set --path {_quoted(path)} {shlex.quote(text)}"


def _shown(path: Path, value: Any) -> str:  # noqa: ANN401 - whatever the file holds
    """Return what was given, short; what may be secret is not repeated."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)} {'entry' if len(value) == 1 else 'entries'}" if value else "an empty list"
    if _secret(path, value):
        return "a value that is not shown here"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 72 else f"{text[:60]}… ({len(text)} characters)"


def _secret(path: Path, value: object) -> bool:
    """Whether a value stands below a key that speaks of secrets, looks like one, or could be one of any kind."""
    text = str(value)
    mixed = _MIXED.search(text) and not _IDENTIFIER.fullmatch(text)
    return any(names_a_secret(str(part)) for part in path) or looks_like_a_secret(text) or bool(mixed)


def _entry(path: Path, value: str) -> str:
    """Return how a value is written in the file, with its key unless it stands in a list."""
    return value if isinstance(path[-1], int) else f"{_label(path)}: {value}"


def _label(path: Path) -> str:
    """Return how the last key of a path is written in the file: a section with its prefix."""
    return full_key(path) if len(path) == 1 else str(path[-1])


def _step(part: str | int) -> str:
    """Return one step of a path in Pulumi's notation."""
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_KEY.fullmatch(part) else f"[{json.dumps(part)}]"


def _quoted(path: Path) -> str:
    """Return a path in single quotes, for a shell."""
    return "'" + full_key(path).replace("'", "'\\''") + "'"


def _common_start(first: str, second: str) -> int:
    """Return how many characters two words start with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def _bare(key: str) -> str:
    """Return a key without what people get wrong first: case and separators."""
    return re.sub(r"[^a-z0-9]", "", key.lower())

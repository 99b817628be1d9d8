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
from components.settings.reader.stack_file import PREFIX, StackFile
from components.settings.secrets import looks_like_a_secret, names_a_secret
from components.settings.section import BROKEN_RULES, Path, Problem
from components.settings.yaml_dates import as_written

REGION_KEY = "aws:region"
EDIT = "edit the file: "
"""How a fix begins that is no command."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PLAIN_TEXT = re.compile(r"[A-Za-z/][A-Za-z0-9_./*-]*")
_MIXED = re.compile(r"(?<![A-Za-z0-9+_=-])(?=[A-Za-z+_=-]*[0-9])(?=[0-9+_=-]*[A-Za-z])[A-Za-z0-9+_=-]{16,}")
"""A long run of letters and digits, as keys and passwords are."""
_ADDRESS = re.compile(r"^([a-z]+://[^/]+/|git@[^:]+:|[0-9]{12}\.dkr\.ecr\.[^/]+/)")
_IDENTIFIER = re.compile(r"arn:.*|[a-z]{1,12}[-_]?[0-9a-fA-F]{8,17}|(/hostedzone/)?Z[0-9A-Z]{8,31}")
"""What is one as well, and no secret: an ARN, the identifier of a VPC or the like, that of a hosted zone."""
_COMMAND = re.compile(
    r"pulumi config (?P<verb>set|rm) (--path '(?P<path>([^']|'\\'')+)'|(?P<plain>[a-z]+:\w+))"
    r"(?P<value> ('[^']*'|\S+?(?=, or |, and | |$)))?"
)
_WRITTEN = re.compile(r"write (it like )?(?P<key>[\w:.-]+): ")
_STEP = re.compile(r'(?P<name>[A-Za-z_][\w-]*)|\[(?P<index>\d+)\]|\["(?P<quoted>[^"]+)"\]')
_TRUTHS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_MEANT = {"amd64": "x86_64", "x64": "x86_64", "intel": "x86_64", "aarch64": "arm64", "graviton": "arm64"}
_OUT_OF_BOUNDS = {"greater_than_equal", "less_than_equal"}


def line(place: StackFile, problem: Problem) -> str:
    """Return a problem as its one line: where it is, what is wrong, what puts it right."""
    number = place.line(problem.path)
    where = place.name if number is None else f"{place.name}:{number}"
    return f"{where}: {full_key(problem.path)}: {problem.message} — {_fix_in(place, problem)}"


def _fix_in(place: StackFile, problem: Problem) -> str:
    """Return a problem's fix for one stack: sections write it for any."""
    if place.has_commands:
        fix = problem.fix.replace("pulumi config set ", f"pulumi config set --stack {place.stack} ")
        fix = fix.replace("pulumi config rm ", f"pulumi config rm --stack {place.stack} ")
    else:
        fix = _COMMAND.sub(lambda command: _as_edit(place, command), problem.fix)
    written = _WRITTEN.search(fix)
    if problem.path in place.lines and (written is None or written["key"] == _label(problem.path)):
        fix = fix.replace(EDIT, f"edit line {place.lines[problem.path]}: ", 1)
    return fix


def _as_edit(place: StackFile, command: re.Match[str]) -> str:
    """Return what a command does as an edit, for a stack that no `pulumi` command can reach."""
    path = _path(command["path"]) if command["path"] else (command["plain"],)
    number = place.lines.get(path)
    if command["verb"] == "rm":
        return f"edit line {number}: remove {path[-1]}"
    value = shlex.split(command["value"])[0]
    if number is not None:
        return f"edit line {number}: write {_entry(path, as_yaml(_typed(value)))}"
    written = as_yaml(_typed(value))
    while path[:-1] and path[:-1] not in place.lines:
        path, written = path[:-1], f"{{{path[-1]}: {written}}}"
    return f"edit the file: add {_label(path)}: {written} below line {place.line(path)}"


def _path(key: str) -> Path:
    """Return the path that a command names."""
    steps = _STEP.finditer(key.removeprefix(PREFIX).replace("'\\''", "'"))
    return tuple(int(step["index"]) if step["index"] else step["name"] or step["quoted"] for step in steps)


def _typed(text: str) -> bool | int | str:
    """Return what `pulumi config set --path` makes of a text."""
    return int(text) if text.isdecimal() else {"true": True, "false": False}.get(text, text)


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
        fix=f"{EDIT}remove it" if looks_like_a_secret(key) else f"pulumi config rm --path {_quoted(path)}",
    )


def missing(path: Path, shape: Shape) -> Problem:
    """Return the problem of a key that must be there."""
    words = f": {shape.about[:1].lower()}{shape.about[1:]}" if shape.kind == "section" else f", must be {shape.words}"
    return Problem(path=path, message=f"is missing{words}", fix=_own(path, shape))


def not_json(name: str, error: json.JSONDecodeError, shape: Shape) -> Problem:
    """Return the problem of a section that was given as JSON and is none."""
    return Problem(
        path=(name,),
        message=f"is not JSON (column {error.colno}: {error.msg[0].lower()}{error.msg[1:]})",
        fix=_own((name,), shape),
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
            yield wrong_value(path, shape, detail)


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


def wrong_value(path: Path, shape: Shape, detail: ErrorDetails) -> Problem:
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
        return f"{EDIT}rename it"
    if detail["type"] == "too_long" and shape.kind == "list":
        return f"{EDIT}leave out {len(given) - detail['ctx']['max_length']} of them"
    if shape.kind == "text" and (text := _as_text(given, shape)) is not None:
        if _secret(path, given):
            return f"{EDIT}remove it, and name a secret that holds it in application.secrets"
        quoted = f'"{text}"'
        return f"{EDIT}put it in quotes, like {_entry(path, quoted)}"
    return _right(path, shape, given)


def _right(path: Path, shape: Shape, given: object) -> str:
    """Return how to write the value that a wrong one stands for."""
    meant = _meant(given, shape)
    if meant is None:
        return _own(path, shape)
    if isinstance(given, str) and not isinstance(meant, str):
        return f"{EDIT}write {_entry(path, as_yaml(meant))}, without quotes"  # which the CLI keeps where it finds them
    if isinstance(meant, str) and meant.isdecimal():  # which the CLI makes a number of
        return f"{EDIT}write {_entry(path, as_yaml(meant))}"
    text = meant if isinstance(meant, str) else json.dumps(meant)
    return f"pulumi config set --path {_quoted(path)} {shlex.quote(text)}"


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
    return text.zfill(len(digits)) if digits.isdecimal() else text  # an account id that lost a zero


def _meant(given: Any, shape: Shape) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the right value that a wrong one stands for; None where only its author knows it."""
    if shape.kind == "choice" and isinstance(given, int | float):
        return min(shape.choices, key=lambda choice: abs(choice - given) if isinstance(choice, int) else 0)
    if not isinstance(given, str):
        return None
    if shape.kind == "switch":
        return _TRUTHS.get(given.lower())
    if shape.kind == "number" and given.isdecimal():
        return int(given)
    if shape.kind == "text":
        return next(filter(shape.allows, _tidied(given)), None)
    choices = {str(choice): choice for choice in shape.choices}
    return choices.get(_MEANT.get(given.lower()) or closest(given, choices) or "")


def _tidied(given: str) -> Iterator[str]:
    """Yield what a text may have been meant to be: without blanks, an address's host, capitals."""
    text = given.strip()
    bare = _ADDRESS.sub("", text).removesuffix("/").removesuffix(".git")
    yield from (bare, bare.lower(), text, text.lower())


def _own(path: Path, shape: Shape) -> str:
    """Return the edit that writes what only the file's author knows: its form, and no value of an example."""
    name = next(str(part) for part in reversed(path) if isinstance(part, str))
    return f"{EDIT}write {_entry(path, _form(shape, shape.example, name))}"


def _form(shape: Shape | None, example: Any, name: str) -> str:  # noqa: ANN401 - whatever the file may hold
    """Return an example as YAML, with a blank to fill in for each text and number."""
    if isinstance(example, Mapping) and shape and example:
        if shape.section is None:
            return f"{{<NAME>: {_form(shape.item, next(iter(example.values())), 'value')}}}"
        entries = (f"{key}: {_form(shape.below(key), value, key)}" for key, value in example.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(example, list | tuple) and shape and example:
        return f"[{_form(shape.item, example[0], name)}]"
    return as_yaml(example) if shape and shape.kind in {"choice", "switch"} else f"<{name}>"


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

"""Reads a stack file where Pulumi does not: in tests, and before the program runs on one machine."""

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from components.settings.reader.errors import SettingsError
from components.settings.section import Path as Keys
from components.settings.yaml_dates import as_moment

PREFIX: Final = "ecs-delivery:"
"""What stands in front of the sections of a stack file."""
_TAG: Final = "tag:yaml.org,2002:"
_RESOLVERS: Final = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("timestamp", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "0123456789"),
    ("merge", r"<<", "<"),
)
_TROUBLES: Final = (
    (r"second time", "{problem}", "keep it once"),
    (r"found character '\\t'", "a tab", "indent with blanks"),
    (
        r"mapping values are not allowed",
        "a colon where no key can stand",
        "check the indentation, and put text that holds a colon and a blank in quotes",
    ),
    (r"expected ',' or '(.)'", "a bracket that is not closed", "close it"),
    (r"unexpected end of stream", "quotes that are not closed", "close them"),
    (r"found character '(.)'", "text that starts with a character YAML keeps for itself", "put it in quotes"),
    (r"unknown escape", "a backslash in double quotes", "use single quotes"),
    (r"^has a tag", "{problem} (a word that starts with !)", "remove it"),
    (r"^has a key", "{problem}", "put it in quotes"),
    (r"^has a number", "{problem}", "put it in quotes if it is a name"),
    (r"^has", "{problem}", "write out what is meant, or less of it"),
    (r"expected <block end>", "a line that is indented otherwise than its neighbours", "align it"),
    (r"", "{problem}", "correct it"),
)
"""What PyYAML says, what we say, and what to do about it."""


_DEPTH: Final = 50
_VALUES: Final = 10_000
_DIGITS: Final = 20
"""How deep a stack file may be, how many values it may hold where aliases are written out, and a number's length."""


class _Loader(yaml.SafeLoader):
    """Reads YAML the way Pulumi does: `yes` and `22:22` are text, a date is not, and a key may stand once.

    Refuses what no stack file needs and a machine may not survive: tags, depth, and aliases that grow.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name and type

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - as PyYAML has it
        """Return the next value.

        Raises:
            yaml.MarkedYAMLError: If it has a tag, is deep in others, or holds more than a stack file may.
        """
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in PyYAML's stubs
        if getattr(event, "tag", None) is not None:
            raise _wrong("has a tag", event.start_mark)
        self._depth += 1
        if self._depth > _DEPTH:
            raise _wrong(f"has more than {_DEPTH} objects and lists deep in each other", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and self._size(node, event.start_mark) > _VALUES:
            raise _wrong(f"has more than {_VALUES} values, aliases written out", event.start_mark)
        return node

    def _size(self, node: yaml.Node, mark: Any) -> int:  # noqa: ANN401 - as below
        """Return how many values a node holds, each alias written out.

        Raises:
            yaml.MarkedYAMLError: If it is not at its end yet, so that it holds itself.
        """
        if isinstance(node, yaml.ScalarNode):
            return 1
        if node.end_mark is None:
            raise _wrong("has an alias that refers to itself", mark)
        if id(node) not in self._sizes:
            below = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
            self._sizes[id(node)] = 1 + sum(self._size(part, mark) for part in below)
        return self._sizes[id(node)]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return an object's keys and values.

        Raises:
            yaml.MarkedYAMLError: If a key is no text, or stands twice.
        """
        seen = set()
        for key, _ in node.value:
            if key.tag not in (f"{_TAG}str", f"{_TAG}merge"):
                raise _wrong(
                    f"has a key that is no text ({_KINDS.get(key.tag, 'a list or an object')})", key.start_mark
                )
            if key.value in seen:
                raise _wrong(f"the key {key.value}, here a second time", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_KINDS: Final = {
    f"{_TAG}bool": "a switch",
    f"{_TAG}null": "nothing",
    f"{_TAG}int": "a number",
    f"{_TAG}float": "a number",
    f"{_TAG}timestamp": "a date",
}
"""What a value is that looks like text."""


def _wrong(problem: str, mark: Any) -> yaml.MarkedYAMLError:  # noqa: ANN401 - PyYAML has two classes for it
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """Return a whole number; zeros in front count for nothing.

    Raises:
        yaml.MarkedYAMLError: If it has more digits than any number of a stack file.
    """
    digits = str(loader.construct_scalar(node)).replace("_", "")
    if len(digits) > _DIGITS:
        raise _wrong(f"has a number with more than {_DIGITS} digits", node.start_mark)
    return int(digits)


def _date(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    """Return a date without quotes."""
    return as_moment(str(loader.construct_scalar(node)))


_Loader.add_constructor(f"{_TAG}int", _whole_number)
_Loader.add_constructor(f"{_TAG}timestamp", _date)
for _kind, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def load_stack_file(path: Path) -> Mapping[str, object]:
    """Return what stands under `config:` in a stack file, by full keys (`aws:region`, `ecs-delivery:application`).

    Raises:
        SettingsError: If there is no such file, or it is no YAML, or no object where one belongs.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise _refusal(path, "does not exist", "pulumi stack init, or name another file") from None
    except UnicodeDecodeError as error:
        raise _refusal(path, f"is not UTF-8 text (byte {error.start + 1})", "save the file as UTF-8") from None
    except yaml.reader.ReaderError as error:
        where = f"line {text[: error.position].count(chr(10)) + 1}"
        raise _refusal(path, f"{where}: is not YAML: an invisible character", "edit the file: remove it") from None
    except yaml.MarkedYAMLError as error:
        raise _refusal(path, *_trouble(error)) from None
    return _object(path, "config", _object(path, "the file", content).get("config"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """Where a problem is, for the person who is to put it right.

    Attributes:
        name: The file's name.
        stack: The stack it is for.
        lines: The line of each key; empty where the file is not known.
        has_commands: Whether ``pulumi config`` reaches it: it knows no other file than the stack's own.
    """

    name: str
    stack: str
    lines: Mapping[Keys, int] = field(default_factory=dict)
    has_commands: bool = True

    def line(self, path: Keys) -> int | None:
        """Return the line of a key, or of the nearest object that would hold it; None where the file is not known."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def lines_of(file: Path) -> dict[Keys, int]:
    """Return the line of each key and each entry under ``config:``, sections without their prefix.

    Args:
        file: A file that :func:`load_stack_file` reads.
    """
    root = yaml.compose(file.read_text(encoding="utf-8"), _Loader)
    return {tuple(keys[1:]): line for keys, line in ([] if root is None else _lines(root, ())) if keys[0] == "config"}


def _lines(node: yaml.Node, above: Keys) -> Iterator[tuple[Keys, int]]:
    """Yield the keys and entries below a node, each with its line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*above, str(key.value).removeprefix(PREFIX))
            yield path, key.start_mark.line + 1
            yield from _lines(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*above, index), value.start_mark.line + 1
            yield from _lines(value, (*above, index))


def _object(path: Path, what: str, content: object) -> Mapping[str, object]:
    """Return an object of the file, empty where nothing stands.

    Raises:
        SettingsError: If something else stands there.
    """
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        wrong = f"{what}: must be an object (key: value lines), got {'a list' if isinstance(content, list) else 'text'}"
        raise _refusal(path, wrong, 'edit the file: write it like config: {"aws:region": eu-west-1}')
    return content


def _trouble(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Return what is wrong with the YAML and how to put it right."""
    problem = str(error.problem)
    words, fix = next((words, fix) for pattern, words, fix in _TROUBLES if re.search(pattern, problem))
    where = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}" if error.problem_mark else ""
    told = words.format(problem=problem)
    return f"{where}: {told if told.startswith('has') else f'is not YAML: {told}'}", f"edit the file: {fix}"


def _refusal(path: Path, wrong: str, fix: str) -> SettingsError:
    """Return the error of a file that cannot be read."""
    return SettingsError([f"{path.name}: {wrong} — {fix}"])

"""Reads a stack file where Pulumi does not: in tests, and before the program runs on one machine."""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from components.settings.reader.errors import SettingsError
from components.settings.yaml_dates import as_moment

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
    (r"constructor for the tag", "a tag (a word that starts with !)", "remove it"),
    (r"expected <block end>", "a line that is indented otherwise than its neighbours", "align it"),
    (r"", "{problem}", "correct it"),
)
"""What PyYAML says, what we say, and what to do about it."""


class _Loader(yaml.SafeLoader):
    """Reads YAML the way Pulumi does: `yes` and `22:22` are text, a date is not, and a key may stand once."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name and type

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return an object's keys and values.

        Raises:
            yaml.MarkedYAMLError: If a key stands twice.
        """
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value}, here a second time", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """Return a whole number; zeros in front count for nothing."""
    return int(str(loader.construct_scalar(node)).replace("_", ""))


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
    return f"{where}: is not YAML: {words.format(problem=problem)}", f"edit the file: {fix}"


def _refusal(path: Path, wrong: str, fix: str) -> SettingsError:
    """Return the error of a file that cannot be read."""
    return SettingsError([f"{path.name}: {wrong} — {fix}"])

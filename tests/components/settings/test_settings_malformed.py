"""Every malformed stack file gets all of its problems told, word for word as its `# expect:` block says."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from components.engines import ENGINES
from components.settings import Settings, SettingsError, load_settings, load_stack_file
from components.settings.reader.shapes import Shape, shape_of
from components.settings.section import one_of

FILES = sorted((Path(__file__).parent / "malformed").glob("*.yaml"))


LISTS = {"{engines}": one_of(tuple(ENGINES)), "{sections}": ", ".join(Settings.model_fields)}
"""What messages list in full: a file need not be touched when there is one more."""


def expected(text: str) -> list[str]:
    for name, words in LISTS.items():
        text = text.replace(name, words)
    first, *rest = text.splitlines()
    assert first == "# expect:"
    return [line[2:] for line in rest[: next(i for i, line in enumerate([*rest, ""]) if not line.startswith("# "))]]


def told(file: Path, directory: Path) -> list[str]:
    """Load a copy under the name its user would have given it."""
    stack_file = directory / "Pulumi.dev.yaml"
    stack_file.write_bytes(file.read_bytes())
    with pytest.raises(SettingsError) as error:
        load_settings(load_stack_file(stack_file), stack="dev")
    assert str(error.value).splitlines() == list(error.value.lines)
    return list(error.value.lines)


def field_names(shape: Shape) -> set[str]:
    """Return the Python names of every field below a section."""
    assert shape.section
    below = [shape_of(field) for field in shape.section.model_fields.values()]
    return set(shape.section.model_fields).union(*(field_names(one) for one in below if one.section))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_problem_of_a_malformed_stack_file_is_told(file: Path, tmp_path: Path) -> None:
    assert told(file, tmp_path) == expected(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_message_speaks_python_or_repeats_a_secret(file: Path, tmp_path: Path) -> None:
    text = file.read_text(encoding="utf-8").partition("\nconfig:")[2]
    python_names = {name for name in field_names(Shape(kind="section", words="", section=Settings)) if "_" in name}
    assert "health_check_path" in python_names
    for line in told(file, tmp_path):
        words = set(re.findall(r"\w+", line))
        assert not {name for name in words & python_names if name not in text}
        assert not words & {
            "Input",
            "None",
            "True",
            "False",
            "pydantic",
            "dict",
            "tuple",
            "str",
            "int",
            "bool",
            "Field",
        }
        assert "hunter2" not in line
        assert not re.search(r"AKIA|ghp_|secret token!", line)


def test_every_line_says_file_key_and_fix(tmp_path: Path) -> None:
    for file in FILES:
        for line in told(file, tmp_path):
            assert re.fullmatch(
                r"Pulumi\.dev\.yaml: .+: .+ — (pulumi config |edit the file: |store it|revoke this).+", line
            )


def test_there_are_many_malformed_stack_files() -> None:
    assert len(FILES) >= 100


def set_as_pulumi_does(config: dict[str, Any], path: str, value: str) -> None:
    """Do what `pulumi config set --path` does: whole numbers and switches by their looks, everything else as text."""
    section, rest = re.match(r"(ecs-delivery:\w+)(.*)", path).groups()  # type: ignore[union-attr] # a message's path
    steps: list[Any] = [section, *(int(i) if i else k or q for k, i, q in STEP.findall(rest))]
    holder: Any = config
    for step, following in pairwise(steps):
        if isinstance(step, str) and holder.get(step) is None:
            holder[step] = [] if isinstance(following, int) else {}
        holder = holder[step]
    holder[steps[-1]] = {"true": True, "false": False}.get(value, int(value) if value.isdecimal() else value)


def problems_of(config: dict[str, Any]) -> tuple[str, ...]:
    try:
        load_settings(config, stack="dev")
    except SettingsError as error:
        return error.lines
    return ()


STEP = re.compile(r'\.([\w-]+)|\[(\d+)\]|\["([^"]+)"\]')
READABLE = [file for file in FILES if not file.stem.startswith(("yaml_", "file_", "config_"))]


@pytest.mark.parametrize("file", READABLE, ids=lambda file: file.stem)
def test_the_commands_a_message_offers_make_it_go_away(file: Path, tmp_path: Path) -> None:
    before = told(file, tmp_path)
    config = json.loads(json.dumps(load_stack_file(file)))
    for line in before:
        command = re.search(r"pulumi config set --path '([^']+)' (.+?)(, or pulumi .*)?$", line)
        if command:
            set_as_pulumi_does(config, command[1], shlex.split(command[2])[0])
            key = line.split(": ")[1]
            assert key not in {other.split(": ")[1] for other in problems_of(config)}

"""Every malformed stack file gets all of its problems told, word for word as its `# expect:` block says."""

import re
from pathlib import Path

import pytest

from components.engines import ENGINES
from components.settings import Settings, SettingsError, load_settings, load_stack_file
from components.settings.reader.shapes import Shape, leaves, shape_of
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
        load_settings(load_stack_file(stack_file), stack="dev", file=stack_file)
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
                r"Pulumi\.dev\.yaml:(\d+:| line \d+.*:)? .+ — "
                r"(pulumi config |edit (the file|line \d+): |store it|revoke this).+",
                line,
            )


def test_there_are_many_malformed_stack_files() -> None:
    assert len(FILES) >= 100


EXAMPLES = {
    str(example)
    for _, shape in leaves(Shape(kind="section", words="", section=Settings))
    for example in ([shape.example] if isinstance(shape.example, str) and shape.kind == "text" else [])
    if re.search(r"shop|example|0a1b2c|123456789012", example)
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_fix_fills_in_the_value_of_an_example(file: Path, tmp_path: Path) -> None:
    """What the file says itself may be repeated, and what follows from it."""
    text = file.read_text(encoding="utf-8").partition("\nconfig:")[2].lower()
    assert "shop/github-token" in EXAMPLES
    for line in told(file, tmp_path):
        fix = line.rpartition(" — ")[2]
        assert [example for example in EXAMPLES if example in fix and example not in text] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_where_no_command_reaches_the_file_each_fix_is_an_edit_of_the_line_it_names(file: Path, tmp_path: Path) -> None:
    stack_file = tmp_path / "Pulumi.other.yaml"
    stack_file.write_bytes(file.read_bytes())
    with pytest.raises(SettingsError) as error:
        load_settings(load_stack_file(stack_file), stack="dev", file=stack_file, has_commands=False)
    lines = file.read_bytes().decode("utf-8", "replace").splitlines()
    for line in error.value.lines:
        assert line.startswith("Pulumi.other.yaml:")
        assert "pulumi config" not in line.rpartition(" — ")[2]
        for number, key in re.findall(r"edit line (\d+): (?:write|remove) ([\w:-]+?):? ", f"{line} "):
            assert key in lines[int(number) - 1] or key == "it"
        for key, above in re.findall(r"edit the file: add ([\w:-]+): .+ below line (\d+)", line):
            assert key not in lines[int(above) - 1]

"""Reading a stack file without Pulumi: the same values Pulumi would see, and kind words where it is no YAML."""

from pathlib import Path

import pytest

from components.settings import SettingsError, load_stack_file


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    return tmp_path / "Pulumi.dev.yaml"


def refusal(stack_file: Path) -> str:
    with pytest.raises(SettingsError) as error:
        load_stack_file(stack_file)
    [line] = error.value.lines
    return line


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("text", "text"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("8080", 8080),
        ("-1", -1),
        ("1_000", 1000),
        ("012345678901", 12345678901),
        ("0.5", 0.5),
        ("1.", 1.0),
        ("1.2.3", "1.2.3"),
        ("22:22", "22:22"),
        ("0x10", "0x10"),
        ("2026-11-01", "2026-11-01 00:00:00 +0000 UTC"),
        ('"2026-11-01"', "2026-11-01"),
        ("[a, 1]", ["a", 1]),
        ("{ a: b }", {"a": "b"}),
    ],
)
def test_values_are_read_the_way_pulumi_reads_them(stack_file: Path, written: str, read: object) -> None:
    stack_file.write_text(f"config:\n  key: {written}\n")
    assert load_stack_file(stack_file) == {"key": read}


def test_an_object_may_be_merged_into_another(stack_file: Path) -> None:
    stack_file.write_text("config:\n  a: &a { x: 1, y: 2 }\n  b: { <<: *a, y: 3 }\n")
    assert load_stack_file(stack_file)["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize("text", ["", "# nothing\n", "config:\n", "encryptionsalt: v1:abc\n"])
def test_a_file_without_configuration_is_empty(stack_file: Path, text: str) -> None:
    stack_file.write_text(text)
    assert load_stack_file(stack_file) == {}


def test_a_file_that_is_not_there_is_named(stack_file: Path) -> None:
    assert refusal(stack_file) == "Pulumi.dev.yaml: does not exist — pulumi stack init, or name another file"


def test_a_file_that_is_no_utf8_is_refused(stack_file: Path) -> None:
    stack_file.write_bytes(b"config: \xff\n")
    assert refusal(stack_file) == "Pulumi.dev.yaml: is not UTF-8 text (byte 9) — save the file as UTF-8"


def test_an_invisible_character_is_found(stack_file: Path) -> None:
    stack_file.write_text("config:\n  key: \x07\n")
    assert (
        refusal(stack_file) == "Pulumi.dev.yaml: line 2: is not YAML: an invisible character — edit the file: remove it"
    )


def test_what_has_no_words_of_ours_is_told_in_those_of_the_yaml_reader(stack_file: Path) -> None:
    stack_file.write_text("config:\n  key: *nowhere\n")
    assert (
        refusal(stack_file)
        == "Pulumi.dev.yaml: line 2, column 8: is not YAML: found undefined alias 'nowhere' — edit the file: correct it"
    )

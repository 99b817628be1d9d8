"""Ten thousand stack files that nobody wrote: each is right or refused in sentences; no secret gets in or out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
import yaml
from fuzzed_files import FILES, files, fuzz
from hypothesis import given
from hypothesis import strategies as st

from components.settings import SettingsError, load_settings, load_stack_file

SECRETS = (
    "AKIAQ3EGPIVLXYZW2345",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "postgres://shop:hunter2hunter2@db.example.com/shop",
    "redis://:hunter2hunter2@cache.example.com:6379",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
    "sk_" + "live_51H8aBcDeFgHiJkLmNoPqRsTuVwXyZ",  # in two parts: scanners of repositories would take it for one
    "glpat-a1B2c3D4e5F6g7H8i9J0",
    "npm_a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "Authorization: Bearer a1B2c3D4e5F6g7H8i9J0",
)
"""One of each kind that people have put into such files."""


def told(content: dict[str, Any], *, by_pulumi: bool = False) -> str:
    """Everything that is said of a file; nothing for one that is right.

    Args:
        content: What it holds.
        by_pulumi: Whether Pulumi hands it over, which makes a text of each section.
    """
    if by_pulumi:
        content = {key: value if isinstance(value, str) else json.dumps(value) for key, value in content.items()}
    try:
        load_settings(content, stack="dev")
    except SettingsError as error:
        return str(error)
    return ""


@fuzz(2500)
@given(content=files(), by_pulumi=st.booleans())
def test_a_file_is_right_or_is_refused_in_lines_that_can_be_printed(content: dict[str, Any], by_pulumi: bool) -> None:
    for line in told(content, by_pulumi=by_pulumi).splitlines():
        assert line.isprintable()
        assert line.startswith("Pulumi.dev.yaml: ")
        assert " — " in line


def without_appeals(value: Any) -> Any:  # noqa: ANN401 - a part of a stack file
    """The same without the values of which the file says, under `notSecret` beside them, that they are none."""
    if isinstance(value, list):
        return [without_appeals(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = value.get("notSecret")
    appealed = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
    return {
        key: {name: without_appeals(each) for name, each in part.items() if name not in appealed}
        if isinstance(part, dict)
        else without_appeals(part)
        for key, part in value.items()
    }


@fuzz(2500)
@given(content=files(st.sampled_from(SECRETS), edits=1), by_pulumi=st.booleans())
def test_no_secret_gets_in_or_is_repeated(content: dict[str, Any], by_pulumi: bool) -> None:
    planted = [secret for secret in SECRETS if secret in json.dumps(content, ensure_ascii=False)]
    ours = {key: value for key, value in content.items() if key.startswith("ecs-delivery:")}
    said = told(content, by_pulumi=by_pulumi)
    for secret in planted:
        assert secret not in said
        assert said or secret not in json.dumps(without_appeals(ours), ensure_ascii=False)


@fuzz(2500)
@given(
    name=st.sampled_from(sorted(FILES)),
    edits=st.lists(
        st.tuples(
            st.integers(0, 4000),
            st.integers(0, 3),
            st.one_of(
                st.sampled_from(
                    [
                        "&a ",
                        "*a",
                        "!!int ",
                        "!x ",
                        "? ",
                        "- ",
                        ": ",
                        "{",
                        "[",
                        "]",
                        "}",
                        "<<: ",
                        "#",
                        "\t",
                        "%",
                        "|",
                        ">",
                        "\n",
                        "---\n",
                    ]
                ),
                st.text(max_size=4),
            ),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_a_text_is_a_stack_file_or_is_refused_in_sentences(
    name: str, edits: list[tuple[int, int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = yaml.safe_dump({"config": FILES[name]}, sort_keys=False)[:1500]
    for place, cut, new in edits:
        start = place % (len(text) + 1)
        text = text[:start] + new + text[start + cut :]
    file = tmp_path_factory.getbasetemp() / "Pulumi.dev.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    content: Mapping[str, object] | None = None
    with suppress(SettingsError):
        content = load_stack_file(file)
    told(dict(content or {}))

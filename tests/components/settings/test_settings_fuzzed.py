"""Ten thousand stack files that nobody wrote: each is right or refused in sentences; no secret gets in or out."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mocked import build_program
from summary import stack_files

from components.settings import SettingsError, load_settings, load_stack_file

FILES = {name: dict(load_stack_file(file)) for name, file in stack_files().items()}
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


@fuzz(5000)
@given(content=files(), by_pulumi=st.booleans())
def test_a_file_is_right_or_is_refused_in_lines_that_can_be_printed(content: dict[str, Any], by_pulumi: bool) -> None:
    for line in told(content, by_pulumi=by_pulumi).splitlines():
        assert line.isprintable()
        assert line.startswith("Pulumi.dev.yaml: ")
        assert " — " in line


@fuzz(2500)
@given(content=files(st.sampled_from(SECRETS), edits=1), by_pulumi=st.booleans())
def test_no_secret_gets_in_or_is_repeated(content: dict[str, Any], by_pulumi: bool) -> None:
    planted = [secret for secret in SECRETS if secret in json.dumps(content, ensure_ascii=False)]
    ours = {key: value for key, value in content.items() if key.startswith("ecs-delivery:")}
    said = told(content, by_pulumi=by_pulumi)
    for secret in planted:
        assert secret not in said
        assert said or secret not in json.dumps(ours, ensure_ascii=False)


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


@fuzz(150)
@given(content=files(edits=1))
def test_what_is_accepted_is_no_trouble_for_the_program(content: dict[str, Any]) -> None:
    try:
        load_settings(content, stack="dev")
    except SettingsError:
        return
    assert build_program(content).exports

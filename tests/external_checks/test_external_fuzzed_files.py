"""Stack files that nobody wrote: what the reader accepts, the program makes, and AWS's service models accept it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_shapes import judged
from fuzzed_files import files, fuzz, plausible_files
from hypothesis import given
from hypothesis import strategies as st
from mocked import build_program

from components.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("content", "number", "least"),
    [
        pytest.param(files(), 5000, 100, id="any-edit"),
        pytest.param(plausible_files(), 500, 100, id="plausible-edits"),
    ],
)
def test_what_is_accepted_is_no_trouble_for_the_program_or_for_aws(
    content: st.SearchStrategy[dict[str, Any]], number: int, least: int
) -> None:
    accepted: dict[str, dict[str, Any]] = {}

    @fuzz(number)
    @given(content)
    def read(file: dict[str, Any]) -> None:
        try:
            read = load_settings(file, stack="dev")
        except SettingsError:
            return
        accepted.setdefault(repr(read), file)

    read()
    troubles: dict[str, str] = {}
    for file in accepted.values():
        try:
            found = judged(resource.as_dict() for resource in build_program(file))
        except Exception as error:  # noqa: BLE001 - whatever it is, the file was accepted
            found = [repr(error)]
        troubles |= {problem: json.dumps(file, default=str) for problem in found}
    assert not troubles, "\n".join(f"{problem}\n  {file}" for problem, file in troubles.items())
    assert len(accepted) >= least  # else little was shown

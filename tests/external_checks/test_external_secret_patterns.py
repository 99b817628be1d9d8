"""The published rules by which secrets are known are those of gitleaks, and find what gitleaks means them to find."""

from __future__ import annotations

import re

import pytest
import secret_patterns


def test_the_rules_are_those_of_the_version_in_the_lock() -> None:
    assert secret_patterns.FILE.read_text(encoding="utf-8") == secret_patterns.text(), "write it anew: make golden"


@pytest.mark.parametrize(
    ("go", "text", "fits"),
    [
        (r"\b(LTAI(?i)[a-z]{4})(?:;|$)", "LTAIabCD", True),
        (r"\b(LTAI(?i)[a-z]{4})(?:;|$)", "ltaiabcd", False),
        (r"(?i)\b(pw_(?i)[a-z]{2})", "PW_aB", True),
        (r"x-[[:alnum:]]{2}\z", "x-a1", True),
        (r"x-[[:alnum:]]{2}\z", "x-a_", False),
        (r"(?i)a\.(?-i:acc)(?:[)(]\))?", "A.acc()", True),
    ],
)
def test_a_regular_expression_of_go_means_the_same_in_python(go: str, text: str, fits: bool) -> None:
    assert (re.search(secret_patterns.as_python(go), text) is not None) == fits


def test_what_has_no_form_in_python_is_refused() -> None:
    with pytest.raises(ValueError, match="alternatives after a flag"):
        secret_patterns.as_python("(a(?i)b|c)")

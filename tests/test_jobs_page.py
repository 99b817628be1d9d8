"""docs/jobs.md says what the code says."""

from __future__ import annotations

from jobs_page import PAGE, completed


def test_the_page_is_what_the_code_makes_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == completed(text), "write it anew: make golden"

"""docs/jobs.md says what the code says."""

from __future__ import annotations

import pytest
from jobs_page import JOBS, PAGE, completed, uses


def test_the_page_is_what_the_code_makes_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == completed(text), "write it anew: make golden"


@pytest.mark.parametrize("job", JOBS)
def test_a_stack_file_of_the_repository_uses_each_job(job: str) -> None:
    assert uses(job)

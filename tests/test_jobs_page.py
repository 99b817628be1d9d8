"""docs/jobs.md says what the code says."""

from __future__ import annotations

import pytest
from jobs_page import JOBS, PAGE, TIMES, completed, times, uses


def test_the_page_is_what_the_code_makes_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == completed(text), "write it anew: make golden"


@pytest.mark.parametrize("job", JOBS)
def test_a_stack_file_of_the_repository_uses_each_job(job: str) -> None:
    assert uses(job)


def test_each_job_was_measured() -> None:
    assert sorted(times()["jobs"]) == sorted(JOBS), f"measure anew: python -m bench jobs writes {TIMES.name}"
    assert all(seconds > 0 for seconds in times()["jobs"].values())

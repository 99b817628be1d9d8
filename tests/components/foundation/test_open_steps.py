"""Steps that only a person can take: what is done is none, and what is not known yet hides no other."""

from __future__ import annotations

import pulumi
import pytest
from mocked import build

from components.foundation.open_steps import open_steps, unless


@pytest.mark.parametrize(("state", "steps"), [("PENDING", ["finish it", "go on"]), ("AVAILABLE", ["go on"])])
def test_a_step_is_open_until_its_state_says_that_it_is_done(state: str, steps: list[str]) -> None:
    def program() -> None:
        now = pulumi.Output.from_input(state)
        pulumi.export("steps", open_steps(unless(now, "AVAILABLE", "finish it"), "go on", None))

    assert build(program).exports["steps"] == steps

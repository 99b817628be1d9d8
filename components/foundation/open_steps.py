"""What only a person can do for a stack, as long as it is not done."""

from __future__ import annotations

from typing import Final

import pulumi

NOT_YET: Final = "[known after up]"
"""Stands in a preview for a step that names what is not made yet."""


def open_steps(*notes: pulumi.Input[str | None]) -> pulumi.Output[list[str]]:
    """Return the steps that are open, in a preview too: one that is not known yet does not hide the others.

    Args:
        notes: The steps; ``None`` for one that is done.
    """
    known = [pulumi.Output.from_input(note).apply(_in_words, run_with_unknowns=True) for note in notes]
    return pulumi.Output.all(*known).apply(lambda steps: [step for step in steps if step is not None])


def unless(state: pulumi.Output[str], done: str, step: pulumi.Input[str]) -> pulumi.Output[str | None]:
    """Return a step that is open until something has the state that says it is done.

    Args:
        state: The state; what a preview does not know yet is not done.
        done: The state that ends the step.
        step: The step.
    """

    def choose(now: str) -> pulumi.Output[str | None]:
        return pulumi.Output.from_input(None if now == done else step)

    return state.apply(choose, run_with_unknowns=True)


def _in_words(note: str | None) -> str | None:
    return NOT_YET if pulumi.contains_unknowns(note) else note

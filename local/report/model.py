"""The report of one stack, and of several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from local.engine.outcome import Step
from local.report.figures import figures
from local.report.findings import Finding, Section, code, labels
from local.report.losses import losses
from local.report.network import network
from local.report.permissions import permissions
from local.report.preview import Preview
from local.report.shipping import jobs, next_run, users
from local.report.structure import pipeline

PLANNED = {"create": "to create", "update": "to update", "delete": "to delete", "replace": "to replace"}
DONE = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}


@dataclass(frozen=True, slots=True)
class StackReport:
    """What a reviewer has to know of one stack.

    Attributes:
        preview: What would be done.
        findings: What of it matters, in the order of :class:`Section`.
    """

    preview: Preview
    findings: tuple[Finding, ...] = ()

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.preview.stack

    @property
    def failed(self) -> bool:
        """Whether there is no preview."""
        return bool(self.preview.problems)

    @property
    def changes(self) -> bool:
        """Whether anything changes."""
        return bool(self.preview.changes)

    @property
    def labels(self) -> list[str]:
        """The labels of the change."""
        return labels(self.findings)

    @property
    def first(self) -> str:
        """The first sentence that is said of it."""
        if self.failed:
            return f"The preview failed: {self.preview.problems[0].splitlines()[0]}"
        if not self.changes:
            return "No changes."
        told = [each for each in self.findings if each.section is not Section.NARROWED]
        return told[0].words if told else f"Nothing that users notice: {self.sums}."

    @property
    def sums(self) -> str:
        """How much changes."""
        return sums(self.preview.steps, PLANNED)


@dataclass(frozen=True, slots=True)
class Report:
    """What a reviewer has to know of all stacks."""

    stacks: tuple[StackReport, ...] = field(default=())

    @property
    def labels(self) -> list[str]:
        """The labels of the change."""
        return labels(finding for stack in self.stacks for finding in stack.findings)

    @property
    def exit_code(self) -> int:
        """3 where somebody may do more or something is lost, 1 where a preview failed, 0 otherwise."""
        return 3 if self.labels else 1 if any(stack.failed for stack in self.stacks) else 0


def word(step: Step) -> str:
    """Return what is done with a resource."""
    return "replace" if step.is_replacement else step.op


def sums(steps: Sequence[Step], words: Mapping[str, str]) -> str:
    """Return how many resources are made, changed and deleted."""
    counts = Counter(map(word, steps))
    parts = [f"{counts[op]} {text}" for op, text in words.items() if counts[op]]
    unchanged = [f"{counts['same']} unchanged"] if counts["same"] else []
    return ", ".join([*parts, *unchanged]) or "Nothing there."


_SECTIONS = (losses, users, permissions, network, pipeline, next_run, jobs, figures)
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
"""What values lead to that no provider takes, but that a branch can write into its preview all the same."""


def _told(section: Callable[[Preview], Iterator[Finding]], preview: Preview) -> list[Finding]:
    """What a section says; where it cannot read the values, that: a comment that is missing would hide the others."""
    try:
        return list(section(preview))
    except _UNREADABLE as error:
        words = f"What this does cannot be told ({section.__name__}): {code(f'{type(error).__name__}: {error}')}."
        return [Finding(Section.LOSS, words, destroys=True, broadens=True)]


def of(preview: Preview) -> StackReport:
    """Return the report of one stack."""
    if preview.problems:
        return StackReport(preview)
    found = [finding for section in _SECTIONS for finding in _told(section, preview)]
    order = list(Section)
    return StackReport(preview, tuple(sorted(dict.fromkeys(found), key=lambda each: order.index(each.section))))

"""The arithmetic of repeated measurements, and a table to read them in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figures:
    """One quantity, measured several times.

    Attributes:
        values: The measurements, at least one.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("there is nothing to take figures of; measure at least once")

    @property
    def least(self) -> float:
        """The least disturbed measurement: whatever else the machine does can only add."""
        return min(self.values)

    @property
    def median(self) -> float:
        """What is usual: one disturbed run does not move it."""
        return median(self.values)

    def to(self, other: Figures) -> float:
        """How many times the other this is, by the least disturbed measurement of each."""
        return self.least / other.least

    def spread(self, digits: int) -> tuple[str, str, str]:
        """Smallest, median and largest, as text."""
        return f"{self.least:.{digits}f}", f"{self.median:.{digits}f}", f"{max(self.values):.{digits}f}"


def marginal(sizes: Sequence[int], totals: Sequence[float]) -> tuple[float, ...]:
    """What one more costs between each size and the next.

    Args:
        sizes: Ascending, at least two.
        totals: The cost of each size.

    Returns:
        One cost per step: as many as sizes, less one.
    """
    steps = zip(sizes, sizes[1:], totals, totals[1:], strict=False)
    return tuple((after - before) / (more - fewer) for fewer, more, before, after in steps)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows below their head, the first column to the left, the others to the right.

    A cell that is missing at a row's end stays empty.
    """
    lines = [list(head), *([*row, *[""] * (len(head) - len(row))] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    written = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    written.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in written)

"""The axis of time."""

from __future__ import annotations

from dataclasses import dataclass

from local.rehearsal.report.words import clock

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A time on the axis, since the rehearsal began."""

    x: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Time -> place."""

    started: float
    ended: float
    left: float
    width: float

    def x(self, epoch: float) -> float:
        """Return the place of a time; of one outside it is the edge."""
        part = (epoch - self.started) / max(self.ended - self.started, 1e-9)
        return round(self.left + min(max(part, 0), 1) * self.width, 1)

    def ticks(self, origin: float, most: int = 9) -> tuple[Tick, ...]:
        """Return at most so many round times since ``origin`` that are on the axis."""
        seconds = self.ended - self.started
        step = next((step for step in _STEPS if seconds / step <= most), _STEPS[-1])
        first = -(-(self.started - origin) // step) * step
        found = []
        while origin + first <= self.ended + 1e-6:
            found.append(Tick(x=self.x(origin + first), label=clock(first)))
            first += step
        return tuple(found)

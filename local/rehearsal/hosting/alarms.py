"""CloudWatch alarms on a load balancer, decided by what HAProxy has counted.

Known are alarms on the share of answers 5xx and on unhealthy targets, as `components/hosting/alarms.py` makes them. All
others, such as those on latency, never go off by themselves; `Alarms.set_off` lets one go off.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from local.rehearsal.hosting.load_balancer import Figures
from local.rehearsal.hosting.pace import Pace
from local.rehearsal.resources import Graph, values_of

_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_FEWEST_REQUESTS = 20
"""Of a period whose share of errors counts."""
_LEAST = 1.0
"""Seconds that something must be wrong at least."""


class Counts(Protocol):
    """What a load balancer counts."""

    def figures(self) -> Figures:
        """Its answers so far."""

    def unhealthy(self) -> int:
        """Its unhealthy targets now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        name: Its name.
        kind: What it looks at: ``errors``, ``unhealthy``, or something that is not known here.
        threshold: From which value on that is too much.
        minutes: For how many minutes.
    """

    name: str
    kind: str
    threshold: float
    minutes: float


class Alarms:
    """The alarms of one load balancer."""

    def __init__(self, alarms: Sequence[Alarm], pace: Pace) -> None:
        self._alarms = {alarm.name: alarm for alarm in alarms}
        self._pace = pace
        self._seen: deque[tuple[float, Figures, int]] = deque(maxlen=10_000)
        self._set_off: set[str] = set()

    def note(self, counts: Counts) -> None:
        """Take down what a load balancer has counted."""
        self._seen.append((time.monotonic(), counts.figures(), counts.unhealthy()))

    def set_off(self, name: str) -> None:
        """Let an alarm go off."""
        self._set_off.add(name)

    def reset(self) -> None:
        """Let every alarm that was set off be quiet again."""
        self._set_off.clear()

    def gone_off(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of these have gone off."""
        return tuple(
            name
            for name in names
            if name in self._set_off or (name in self._alarms and self._too_much(self._alarms[name]))
        )

    def _too_much(self, alarm: Alarm) -> bool:
        seconds = alarm.minutes * 60
        window = max(_LEAST, seconds * self._pace.waits)
        if alarm.kind == "unhealthy":  # health checks have a pace of their own, and a task that still starts its time
            window = max(self._pace.least_grace, seconds * self._pace.checks)
        start = time.monotonic() - window
        since = [entry for entry in self._seen if entry[0] >= start]
        if not since or self._seen[0][0] > start:
            return False  # it has not been looked at for so long
        if alarm.kind == "unhealthy":
            return all(unhealthy >= alarm.threshold for _, _, unhealthy in since)
        if alarm.kind != "errors":
            return False
        requests = since[-1][1].requests - since[0][1].requests
        errors = since[-1][1].errors - since[0][1].errors
        return requests >= _FEWEST_REQUESTS and 100 * errors / requests > alarm.threshold


def alarms_from(graph: Graph) -> Iterator[Alarm]:
    """The alarms that a stack's graph declares."""
    for values in values_of(graph, _ALARM):
        metrics = json.dumps([values.get("metricName"), values.get("metricQueries")])
        kinds = {"errors": "HTTPCode_Target_5XX_Count", "unhealthy": "UnHealthyHostCount"}
        kind = next((kind for kind, metric in kinds.items() if metric in metrics), "")
        yield Alarm(
            name=values["name"],
            kind=kind,
            threshold=float(values.get("threshold", 0)),
            minutes=float(values.get("datapointsToAlarm") or values["evaluationPeriods"]),
        )

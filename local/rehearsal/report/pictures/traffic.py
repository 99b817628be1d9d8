"""The traffic over a deployment: which version answered, and how many requests failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from local.rehearsal.report.model import Phase, Sample, Traffic
from local.rehearsal.report.pictures.scale import Scale, Tick
from local.rehearsal.report.words import clock

_WIDE, _NARROW = 1100.0, 330.0
_LEFT, _RIGHT = 50.0, 12.0
_PHASES, _PLOT, _FAILED, _AXIS = 24.0, 150.0, 34.0, 22.0
_GAP = 12.0
_SLICE = 8.6
"""No slice of time is narrower."""
_SHADES = 4
UNKNOWN = "no version"


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """A version's share of the answers over time; one path, since neighbouring shapes would leave seams."""

    path: str
    shade: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Failures:
    """Failed requests in one slice of time."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A phase of the deployment; its name is empty where it has no room."""

    x: float
    width: float
    name: str
    shown: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """Who answered: how often, and from when to when since the rehearsal began."""

    name: str
    shade: int
    answers: int
    first: str
    last: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """All of it."""

    width: float
    height: float
    left: float
    right: float
    plot_y: float
    plot_height: float
    failed_y: float
    failed_height: float
    areas: tuple[Area, ...]
    failures: tuple[Failures, ...]
    bands: tuple[Band, ...]
    versions: tuple[Version, ...]
    ticks: tuple[Tick, ...]


def draw(traffic: Traffic, origin: float, *, narrow: bool = False) -> Drawing | None:
    """Return where everything stands; ``None`` when nobody asked anything.

    Args:
        traffic: What the client saw.
        origin: When the rehearsal began.
        narrow: Whether it is for a phone.
    """
    samples = sorted(traffic.samples, key=lambda sample: sample.at)
    if not samples:
        return None
    started, ended = samples[0].at, max(samples[-1].at, samples[0].at + 1)
    width = _NARROW if narrow else _WIDE
    scale = Scale(started=started, ended=ended, left=_LEFT, width=width - _LEFT - _RIGHT)
    versions = _versions(samples, origin)
    plot_y = _PHASES + _GAP
    failed_y = plot_y + _PLOT + _GAP
    slices = _slices(samples, scale)
    return Drawing(
        width=width,
        height=failed_y + _FAILED + _AXIS,
        left=_LEFT,
        right=width - _RIGHT,
        plot_y=plot_y,
        plot_height=_PLOT,
        failed_y=failed_y,
        failed_height=_FAILED,
        areas=_areas(slices, versions, plot_y),
        failures=_failures(slices, failed_y, origin),
        bands=tuple(_band(phase, scale) for phase in traffic.phases if phase.started <= ended),
        versions=versions,
        ticks=scale.ticks(origin, 4 if narrow else 9),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Slice:
    x: float
    width: float
    samples: list[Sample]


def _slices(samples: list[Sample], scale: Scale) -> list[_Slice]:
    """Slices of time, so many that each has some requests."""
    count = max(1, min(int(scale.width / _SLICE), len(samples) // 10))
    seconds = (scale.ended - scale.started) / count
    sorted_in: dict[int, list[Sample]] = {}
    for sample in samples:
        sorted_in.setdefault(min(int((sample.at - scale.started) / seconds), count - 1), []).append(sample)
    width = scale.width / count
    return [
        _Slice(x=round(scale.left + place * width, 2), width=round(width, 2), samples=found)
        for place, found in sorted(sorted_in.items())
    ]


def _areas(slices: list[_Slice], versions: tuple[Version, ...], top: float) -> tuple[Area, ...]:
    """The shares of those who answered, stacked from below in the order in which the versions came."""
    paths: dict[str, list[str]] = {version.name: [] for version in versions}
    for each in slices:
        answers = Counter(sample.version or UNKNOWN for sample in each.samples if not sample.failed)
        bottom = top + _PLOT
        for version in versions:
            if answers[version.name]:
                height = _PLOT * answers[version.name] / answers.total()
                bottom -= height
                paths[version.name].append(f"M{each.x:g} {bottom:.1f}h{each.width:g}v{height:.1f}h-{each.width:g}z")
    return tuple(Area(path="".join(paths[version.name]), shade=version.shade) for version in versions)


def _failures(slices: list[_Slice], top: float, origin: float) -> tuple[Failures, ...]:
    counts = [sum(sample.failed for sample in each.samples) for each in slices]
    most = max(counts, default=0)
    return tuple(
        Failures(
            x=each.x,
            y=round(top + _FAILED * (1 - count / most), 1),
            width=max(each.width, 3),
            height=round(_FAILED * count / most, 1),
            words=f"{count} failed at {clock(each.samples[0].at - origin)}",
        )
        for each, count in zip(slices, counts, strict=True)
        if count
    )


def _band(phase: Phase, scale: Scale) -> Band:
    x = scale.x(phase.started)
    width = round(scale.x(phase.ended if phase.ended is not None else scale.ended) - x, 1)
    room = int((width - 8) / 6.2)
    shown = phase.name if len(phase.name) <= room else f"{phase.name[: room - 1]}…" if room > 5 else ""
    return Band(x=x, width=max(width, 0), name=phase.name, shown=shown)


def _versions(samples: list[Sample], origin: float) -> tuple[Version, ...]:
    answers: dict[str, list[Sample]] = {}
    for sample in samples:
        if not sample.failed:
            answers.setdefault(sample.version or UNKNOWN, []).append(sample)
    return tuple(
        Version(
            name=name,
            shade=min(place, _SHADES - 1),
            answers=len(found),
            first=clock(found[0].at - origin),
            last=clock(found[-1].at - origin),
        )
        for place, (name, found) in enumerate(answers.items())
    )

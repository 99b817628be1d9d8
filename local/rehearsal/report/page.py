"""The page: one HTML file that needs nothing else, made of a rehearsal and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.rehearsal.report import states
from local.rehearsal.report.model import Attempt, Permission, Rehearsal, Score
from local.rehearsal.report.outcome import outcome
from local.rehearsal.report.pictures import pipelines, timeline, traffic
from local.rehearsal.report.words import clock, duration, is_trouble, moment, number, size
from local.templates import environment

MOST_LINES = 2000
"""The last lines of an action's log that the page holds; ``rehearsal.json`` has them all."""
_ORDER = {True: 0, False: 1, None: 2}
_LAST_WORDS = 20
"""The last lines of a failed action's log that stand at the top."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a log."""

    number: int
    text: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """The end of a log, and how many lines before it are left out."""

    lines: tuple[Line, ...]
    left_out: int
    troubles: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A figure at the top of the page; ``state`` colours it."""

    name: str
    value: str
    state: str = ""
    link: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """What one role may do, used first."""

    name: str
    permissions: tuple[Permission, ...]

    @property
    def used(self) -> int:
        """How many were used."""
        return sum(bool(each.used) for each in self.permissions)

    @property
    def asked(self) -> int:
        """How many of them could be used here."""
        return sum(each.used is not None for each in self.permissions)


def page(rehearsal: Rehearsal) -> str:
    """Return the page."""
    templates = environment(Path(__file__).parent / "templates")
    templates.filters |= {"duration": duration, "moment": moment, "number": number, "size": size}
    came_to = outcome(rehearsal)
    documents = itertools.count(1)
    return templates.get_template("page.html").render(
        rehearsal=rehearsal,
        outcome=came_to,
        facts=list(_facts(rehearsal, came_to.version)),
        picture=pipelines.draw(rehearsal.pipelines),
        timeline=timeline.draw(rehearsal),
        narrow_timeline=timeline.draw(rehearsal, narrow=True),
        traffic=[
            (each, traffic.draw(each, rehearsal.started), traffic.draw(each, rehearsal.started, narrow=True))
            for each in rehearsal.traffic
        ],
        audits=[
            (each, _by_page(each.scores), [(f"document-{next(documents)}", report) for report in each.reports])
            for each in rehearsal.lighthouse
        ],
        roles=_roles(rehearsal.permissions or ()),
        last_words=_last_words,
        log=_log,
        state=states.of_attempt,
        run_state=states.of_run,
        words=states.words,
        clock=lambda epoch: clock(epoch - rehearsal.started),
        most_lines=MOST_LINES,
    )


def _facts(rehearsal: Rehearsal, version: str) -> Iterator[Fact]:
    """The figures that somebody looks for first."""
    yield Fact(name="Version", value=version)
    if commit := _variable(rehearsal, "CommitId"):
        yield Fact(name="Commit", value=commit[:7])
    if digest := _variable(rehearsal, "IMAGE_DIGEST") or _variable(rehearsal, "ImageDigest"):
        yield Fact(name="Image", value=digest.removeprefix("sha256:")[:12])
    planned = [(each, action) for each in rehearsal.pipelines for stage in each.stages for action in stage.actions]
    done = sum(
        states.of_attempt(each.latest.last(action.name) if each.latest else None)
        in (states.State.OK, states.State.SAME)
        for each, action in planned
    )
    yield Fact(
        name="Actions",
        value=f"{done} of {len(planned)}",
        state="ok" if done == len(planned) else "bad",
        link="#actions",
    )
    if rehearsal.traffic:
        failed, asked = (
            sum(each.failed for each in rehearsal.traffic),
            sum(len(each.samples) for each in rehearsal.traffic),
        )
        value = f"{number(failed)} of {number(asked)}"
        yield Fact(name="Failed requests", value=value, state="bad" if failed else "ok", link="#traffic")
    scores = [score for audit in rehearsal.lighthouse for score in audit.scores]
    if scores:
        kept = sum(score.passed for score in scores)
        state = "ok" if kept == len(scores) else "bad"
        yield Fact(name="Lighthouse budgets", value=f"{kept} of {len(scores)} kept", state=state, link="#lighthouse")
    if rehearsal.permissions is not None:
        told = [each.used for each in rehearsal.permissions if each.used is not None]
        value = f"{number(sum(told))} of {number(len(told))} used"
        yield Fact(name="Permissions", value=value, link="#permissions")
    yield Fact(name="Took", value=duration(rehearsal.seconds), link="#timeline")


def _variable(rehearsal: Rehearsal, name: str) -> str:
    """What the newest run of the first pipeline that knows a variable has for it."""
    for pipeline in rehearsal.pipelines:
        for full, value in (pipeline.latest.variables if pipeline.latest else {}).items():
            if full.rpartition(".")[2] == name and value:
                return value
    return ""


def _log(attempt: Attempt) -> Log:
    left_out = max(0, len(attempt.log) - MOST_LINES)
    lines = tuple(
        Line(number=place, text=text, kind=_kind(text))
        for place, text in enumerate(attempt.log[left_out:], left_out + 1)
    )
    return Log(lines=lines, left_out=left_out, troubles=sum(line.kind == "e" for line in lines))


def _kind(text: str) -> str:
    """``e`` for what may have gone wrong, ``c`` for what CodeBuild itself says."""
    return "e" if is_trouble(text) else "c" if text.startswith("[Container]") else ""


def _last_words(attempt: Attempt) -> Sequence[Line]:
    return _log(attempt).lines[-_LAST_WORDS:]


def _by_page(scores: Sequence[Score]) -> dict[str, list[Score]]:
    pages: dict[str, list[Score]] = {}
    for score in scores:
        pages.setdefault(score.page, []).append(score)
    return pages


def _roles(permissions: Sequence[Permission]) -> list[Role]:
    ordered = sorted(permissions, key=lambda each: (each.role, _ORDER[each.used], each.action, each.resource))
    return [
        Role(name=name, permissions=tuple(found))
        for name, found in itertools.groupby(ordered, key=lambda each: each.role)
    ]

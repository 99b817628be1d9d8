"""How far an action is, in the words and colours of page and terminal."""

from __future__ import annotations

from enum import StrEnum

from local.rehearsal.pipeline.execution import Status
from local.rehearsal.report.model import Attempt, Run
from local.rehearsal.report.words import duration


class State(StrEnum):
    """How far an action is; the value is a class of the style sheet."""

    OK = "ok"
    SAME = "same"
    FAILED = "bad"
    RUNNING = "busy"
    STOPPED = "stopped"
    IDLE = "idle"


_STATES = {
    Status.SUCCEEDED: State.OK,
    Status.FAILED: State.FAILED,
    Status.IN_PROGRESS: State.RUNNING,
    Status.STOPPED: State.STOPPED,
    Status.SUPERSEDED: State.STOPPED,
}


def of_attempt(attempt: Attempt | None) -> State:
    """Return the state of an action; of one that was never reached it is idle."""
    if attempt is None:
        return State.IDLE
    return State.SAME if attempt.reused else _STATES[attempt.status]


def of_run(run: Run | None) -> State:
    """Return the state of a run; of one that was never started it is idle."""
    return _STATES[run.status] if run else State.IDLE


def words(attempt: Attempt | None) -> str:
    """Return the state of an action in words: ``12 s``, ``failed after 3.1 s``, ``as before``, ``not reached``."""
    took = duration(attempt.seconds) if attempt else ""
    return {
        State.OK: took,
        State.SAME: f"as before, {took}",
        State.FAILED: f"failed after {took}",
        State.RUNNING: "not finished",
        State.STOPPED: f"stopped after {took}",
        State.IDLE: "not reached",
    }[of_attempt(attempt)]

"""A rehearsal as JSON: the whole of it to make a page again, and a summary for programs.

``rehearsal.json`` has the fields of :mod:`local.rehearsal.report.model` under their names. ``--json`` prints a summary:

.. code-block:: text

    format           1; counts up when a key changes its meaning or goes away; keys may be added
    application      the application's name
    succeeded        whether all that was to run did, to its end
    headline         what it came to, in one line
    version          what was delivered, or was to be
    started          when it began, in seconds of the epoch
    seconds          how long it took
    stacks[]         one for each pipeline that was to run
      stack, pipeline
      service_url    where the service answers, or ""
      runs[]         its runs, the oldest first; empty when it was never started
        number, identity, trigger
        status       InProgress, Succeeded, Failed, Stopped or Superseded
        stage        the stage it is in, or ended in
        reason       why it did not succeed, or ""
        seconds
        actions[]    every attempt, in the order in which they began
          stage, action, attempt, status, seconds, external_id, summary, error
          reused     whether an earlier rehearsal's result was taken
      requests       requests of the client that asked all the time, or null when there was none
      failed_requests  those that failed, or null
      lighthouse[]   page, category, score (or null), budget (or null), passed
    permissions      granted and used, numbers; null when that was not recorded
    emulated[]       name, meaning
    base_images[]    reference, origin
    unproven[]       what a rehearsal does not prove
    messages[]       stack, title, text: what people would have been told
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from local.errors import Refusal
from local.rehearsal.report.model import FORMAT, Attempt, Pipeline, Rehearsal, Run
from local.rehearsal.report.outcome import outcome

_REHEARSAL = TypeAdapter(Rehearsal)


def as_json(rehearsal: Rehearsal) -> bytes:
    """Return a whole rehearsal, as :func:`load` reads it."""
    return _REHEARSAL.dump_json(rehearsal, indent=1) + b"\n"


def load(file: Path) -> Rehearsal:
    """Read a rehearsal that was saved.

    Raises:
        Refusal: It is none, or one of another version of this program.
    """
    try:
        return _REHEARSAL.validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refusal(f"{file} is no rehearsal of format {FORMAT}: {where or 'the file'}: {first['msg']}") from None


def summary(rehearsal: Rehearsal) -> dict[str, Any]:
    """Return what ``--json`` prints; the module's docstring has the keys."""
    came_to = outcome(rehearsal)
    permissions = rehearsal.permissions
    return {
        "format": FORMAT,
        "application": rehearsal.application,
        "succeeded": came_to.succeeded,
        "headline": came_to.headline,
        "version": came_to.version,
        "started": rehearsal.started,
        "seconds": round(rehearsal.seconds, 3),
        "stacks": [_stack(rehearsal, pipeline) for pipeline in rehearsal.pipelines],
        "permissions": None
        if permissions is None
        else {"granted": len(permissions), "used": sum(bool(each.used) for each in permissions)},
        "emulated": [dataclasses.asdict(each) for each in rehearsal.emulated],
        "base_images": [dataclasses.asdict(each) for each in rehearsal.base_images],
        "unproven": list(rehearsal.unproven),
        "messages": [dataclasses.asdict(each) for each in rehearsal.messages],
    }


def _stack(rehearsal: Rehearsal, pipeline: Pipeline) -> dict[str, Any]:
    traffic = [each for each in rehearsal.traffic if each.stack == pipeline.stack]
    return {
        "stack": pipeline.stack,
        "pipeline": pipeline.name,
        "service_url": pipeline.service_url,
        "runs": [_run(run) for run in pipeline.runs],
        "requests": sum(len(each.samples) for each in traffic) if traffic else None,
        "failed_requests": sum(each.failed for each in traffic) if traffic else None,
        "lighthouse": [
            {**dataclasses.asdict(score), "passed": score.passed}
            for each in rehearsal.lighthouse
            if each.stack == pipeline.stack
            for score in each.scores
        ],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "number": run.number,
        "identity": run.identity,
        "trigger": run.trigger,
        "status": str(run.status),
        "stage": run.stage,
        "reason": run.reason,
        "seconds": round(run.seconds, 3),
        "actions": [_action(attempt) for attempt in run.attempts],
    }


def _action(attempt: Attempt) -> dict[str, Any]:
    return {
        "stage": attempt.stage,
        "action": attempt.action,
        "attempt": attempt.number,
        "status": str(attempt.status),
        "seconds": round(attempt.seconds, 3),
        "reused": attempt.reused,
        "external_id": attempt.external_id,
        "summary": attempt.summary,
        "error": attempt.error,
    }

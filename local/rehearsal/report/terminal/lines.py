"""Lines for a file, a pipe or a CI system: one when an action begins, one when it ends."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.report.words import clock, duration, last_lines, plain

TAIL = 20
"""So many last lines of a failing action's log are shown."""


def lenient(stream: TextIO) -> TextIO:
    """Return a stream that shows a question mark for what it cannot encode: a log may hold anything."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


class Lines:
    """Prints whole lines, each with the time since the beginning."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        """Describe it.

        Args:
            stream: Where to.
            verbose: Whether every log line is printed, with the action before it.
        """
        self._stream, self._verbose = lenient(stream), verbose
        self._lock = threading.Lock()
        self._began = time.time()
        self._seen: dict[str, Status] = {}
        self._printed: dict[str, int] = {}

    def begin(self, title: str, facts: Iterable[str] = ()) -> None:
        """Print what is rehearsed."""
        with self._lock:
            self._began = time.time()
            self._print(title)
            for fact in facts:
                self._print(f"  {fact}")

    def changed(self, stack: str, execution: Execution, run: ActionRun | None) -> None:
        """Print what is new."""
        with self._lock:
            if self._is_new(execution.identity, execution.status) and execution.status == Status.IN_PROGRESS:
                self._say(f"{stack}: run {execution.number} of the pipeline, started by: {execution.trigger}")
            if run:
                self._action(f"{stack} / {run.action.stage} / {run.action.name}", run)
            elif execution.status != Status.IN_PROGRESS and self._is_new(f"end {execution.identity}", execution.status):
                why = f": {plain(execution.reason)}" if execution.reason else ""
                took = duration((execution.ended or execution.started) - execution.started)
                self._say(f"{stack}: run {execution.number} {execution.status.lower()} after {took}{why}")
            if execution.status == Status.IN_PROGRESS:
                self._seen.pop(f"end {execution.identity}", None)  # it is retried

    def end(self, summary: Iterable[str] = ()) -> None:
        """Print what came of it."""
        with self._lock:
            for line in summary:
                self._print(line)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Print nothing meanwhile."""
        with self._lock:
            yield

    def _action(self, name: str, run: ActionRun) -> None:
        new = self._is_new(run.identity, run.status)
        if new and run.identity not in self._printed:
            self._printed[run.identity] = 0
            self._say(f"{name} begins")
        if self._verbose:
            lines = run.log[self._printed[run.identity] :]
            self._printed[run.identity] += len(lines)
            for line in lines:
                self._say(f"{name} | {plain(line)}")
        if not new or run.status == Status.IN_PROGRESS:
            return
        if run.status == Status.SUCCEEDED:
            about = f": {plain(run.summary)}" if run.summary else ""
            how = "as before," if run.reused else "succeeded in"
            self._say(f"{name} {how} {duration(run.seconds)}{about}")
            return
        first, *rest = run.error.strip().splitlines() or [""]
        self._say(f"{name} {run.status.lower()} after {duration(run.seconds)}: {plain(first)}")
        for line in rest:
            self._print(f"        {plain(line)}")
        tail = [] if self._verbose else last_lines(run.log, run.error, TAIL)
        if tail:
            self._print(f"        the last lines of its log, of {len(run.log)}:")
            for line in tail:
                self._print(f"        | {line}")

    def _is_new(self, identity: str, status: Status) -> bool:
        was = self._seen.get(identity)
        self._seen[identity] = status
        return was != status

    def _say(self, text: str) -> None:
        self._print(f"{clock(time.time() - self._began):>5}  {text}")

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def __enter__(self) -> Self:
        """Nothing is to be prepared."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is to be restored."""

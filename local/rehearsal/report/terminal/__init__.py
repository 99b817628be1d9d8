"""Shows a rehearsal while it goes on: a tree where there is a terminal, lines where there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self, TextIO

from local.rehearsal.deployed import Deployed
from local.rehearsal.pipeline.execution import ActionRun, Execution
from local.rehearsal.report.terminal.lines import Lines


class View(Protocol):
    """Somebody looks at this; a context manager, which leaves the terminal as it was also after Ctrl-C."""

    def begin(self, title: str, facts: Iterable[str] = ()) -> None:
        """Show what is rehearsed, and in lines what is to be known about that."""

    def changed(self, stack: str, execution: Execution, run: ActionRun | None) -> None:
        """Hear that a run or one of its actions has changed; from any thread, as often as anybody likes."""

    def end(self, summary: Iterable[str] = ()) -> None:
        """Show what came of it, and these lines."""

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else, for a question or a shell."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def view(plan: Mapping[str, Deployed], *, stream: TextIO | None = None, verbose: bool = False) -> View:
    """Return what fits where it is shown.

    Args:
        plan: The pipelines that are to run, by stack.
        stream: Where it is shown; standard output if none is given.
        verbose: Whether every line of every log is shown, which no tree has room for.
    """
    stream = stream or sys.stdout
    if verbose or not stream.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return Lines(stream, verbose=verbose)
    from local.rehearsal.report.terminal.tree import Tree  # noqa: PLC0415 - Rich takes time, and lines go without

    return Tree(plan, stream)


__all__ = ["Lines", "View", "view"]

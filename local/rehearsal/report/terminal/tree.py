"""A tree in the terminal: what failed, stages and actions with their times, the end of the log that matters now."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from local.rehearsal.deployed import Deployed
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.report.terminal.lines import lenient
from local.rehearsal.report.words import clock, duration, last_lines, plain

_A_SECOND = 8
"""So often the tree is drawn, however often something changes."""
_MOST_TAIL, _LAST_WORDS = 14, 20
_NAMES = 30
_MARKS = {
    Status.SUCCEEDED: ("✓", "+", "green"),
    Status.FAILED: ("✗", "x", "bold red"),
    Status.STOPPED: ("■", "=", "yellow"),
    Status.SUPERSEDED: ("»", ">", "yellow"),
}


class Tree:
    """Draws into a terminal. Changes are only noted; one thread draws, a few times a second."""

    def __init__(self, plan: Mapping[str, Deployed], stream: TextIO) -> None:
        """Describe it.

        Args:
            plan: The pipelines that are to run, by stack.
            stream: The terminal.
        """
        self._plan = plan
        self._console = Console(file=lenient(stream), highlight=False)
        self._spinner = Spinner("dots" if self._can_draw else "line", style="cyan")
        self._lock = threading.Lock()
        self._runs: dict[str, list[Execution]] = {stack: [] for stack in plan}
        self._focus: ActionRun | None = None
        self._began = time.time()
        self._live: Live | None = None

    def begin(self, title: str, facts: Iterable[str] = ()) -> None:
        """Print what is rehearsed, and draw below it from now on."""
        self._began = time.time()
        self._console.print(Text(title, style="bold"))
        for fact in facts:
            self._console.print(Text(f"  {fact}", style="dim"))
        self._console.print()
        self._go()

    def changed(self, stack: str, execution: Execution, run: ActionRun | None) -> None:
        """Note it."""
        with self._lock:
            known = self._runs.setdefault(stack, [])
            if not any(execution is each for each in known):
                known.append(execution)
            if run and run.status == Status.IN_PROGRESS:
                self._focus = run

    def end(self, summary: Iterable[str] = ()) -> None:
        """Print the whole tree, why something failed, and these lines below it."""
        self._stop()
        self._console.print(Group(*self._pipelines(whole=True)))
        for stack, _, run in self._failed():
            self._console.print()
            self._console.print(Group(*self._failure(stack, run, whole=True)))
        self._console.print()
        for line in summary:
            self._console.print(Text(line))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody else."""
        drawing = self._live is not None
        self._stop()
        try:
            yield
        finally:
            if drawing:
                self._go()

    def _go(self) -> None:
        self._live = Live(
            console=self._console, get_renderable=self._draw, refresh_per_second=_A_SECOND, transient=True
        )
        self._live.start(refresh=True)

    def _stop(self) -> None:
        if self._live:
            live, self._live = self._live, None
            live.stop()

    def __enter__(self) -> Self:
        """Nothing is drawn before it begins."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the terminal; where it was not ended, leave what there was to see."""
        if self._live:
            self._stop()
            self._console.print(Group(*self._pipelines(whole=True)))

    @property
    def _can_draw(self) -> bool:
        return not self._console.options.ascii_only

    def _draw(self) -> Group:
        """What is on the screen: it never takes more lines than there are."""
        lines: list[Text] = []
        for stack, _, run in self._failed():
            lines += [*self._failure(stack, run, whole=False), Text()]
        lines += self._pipelines(whole=False)
        lines += self._tail(self._console.height - len(lines) - 1)
        return Group(*lines[: self._console.height - 1])

    def _failed(self) -> list[tuple[str, Execution, ActionRun]]:
        """The actions that have failed in each pipeline's newest run, as far as they are not tried again."""
        return [
            (stack, execution, run)
            for stack, executions in list(self._runs.items())
            for execution in executions[-1:]
            for run in list(execution.actions)
            if run.status == Status.FAILED and execution.last(run.action.name) is run
        ]

    def _failure(self, stack: str, run: ActionRun, *, whole: bool) -> list[Text]:
        mark = self._mark(run.status)
        where = f" {stack} / {run.action.stage} / {run.action.name} failed after {duration(run.seconds)}"
        reason = [plain(line) for line in run.error.strip().splitlines()]
        lines = [Text.assemble(mark, (where, "bold red")), *(Text(f"    {line}", "red") for line in reason)]
        if not whole:
            return [_fitting(line) for line in lines[:4]]
        if tail := last_lines(run.log, run.error, _LAST_WORDS):
            lines += [Text(), Text(f"    The last lines of its log, of {len(run.log)}:", "dim")]
            lines += [Text(f"    {line}") for line in tail]
        return lines

    def _pipelines(self, *, whole: bool) -> list[Text]:
        lines: list[Text] = []
        for stack, executions in list(self._runs.items()):
            if not executions:
                lines.append(_line(f"{stack}  not started", "dim"))
            for execution in executions[:-1]:
                note = f"  run {execution.number} {execution.status.lower()} {plain(execution.reason)}"
                lines.append(Text.assemble((stack, "bold"), (note, "dim")))
            for execution in executions[-1:]:
                lines += self._run(stack, execution, whole=whole)
        return lines

    def _run(self, stack: str, execution: Execution, *, whole: bool) -> list[Text]:
        """A run: its stages, and the actions of those that somebody wants to see into."""
        took = duration((execution.ended or time.time()) - execution.started)
        head = Text.assemble(
            (stack, "bold"), (f"  run {execution.number}, {plain(execution.trigger)}", "dim"), f"  {took}"
        )
        if execution.status == Status.SUCCEEDED and not whole:
            return [_fitting(Text.assemble(self._mark(execution.status), " ", head))]
        lines = [_fitting(head)]
        still_to_come: list[str] = []
        for stage, names in self._stages(stack, execution).items():
            runs = [run for name in names if (run := execution.last(name))]
            if not runs:
                still_to_come.append(stage)
                continue
            status = _status_of(runs, len(names))
            seconds = max(run.ended or time.time() for run in runs) - min(run.started for run in runs)
            lines.append(self._row("  ", status, stage, seconds))
            if whole or status != Status.SUCCEEDED:
                lines += [self._row("    ", run.status, run.action.name, run.seconds, _note(run)) for run in runs]
        if still_to_come:
            word = "then" if execution.status == Status.IN_PROGRESS else "not reached:"
            lines.append(_line(f"    {word} {', '.join(still_to_come)}", "dim"))
        return lines

    def _stages(self, stack: str, execution: Execution) -> dict[str, list[str]]:
        if stack in self._plan:
            stages = self._plan[stack].stages.items()
            return {stage: [action.name for group in groups for action in group] for stage, groups in stages}
        found: dict[str, list[str]] = {}
        for run in list(execution.actions):
            names = found.setdefault(run.action.stage, [])
            if run.action.name not in names:
                names.append(run.action.name)
        return found

    def _row(self, indent: str, status: Status, name: str, seconds: float, note: str = "") -> Text:
        style = {Status.SUCCEEDED: "", Status.FAILED: "red"}.get(status, "bold")
        row = Text.assemble(indent, self._mark(status), " ", (f"{name:<{_NAMES - len(indent)}}", style))
        row.append(f"{duration(seconds):>12}", "dim" if status == Status.SUCCEEDED else "")
        row.append(f"  {note}", "dim")
        return _fitting(row)

    def _mark(self, status: Status) -> Text:
        if status == Status.IN_PROGRESS:
            frame = self._spinner.render(self._console.get_time())
            return frame if isinstance(frame, Text) else Text("*")
        drawn, ascii_only, style = _MARKS[status]
        return Text(drawn if self._can_draw else ascii_only, style)

    def _tail(self, room: int) -> list[Text]:
        """The end of the log of what failed, otherwise of what has written last."""
        failed = self._failed()
        run = failed[-1][2] if failed else self._focus
        if run is None or not run.log or room < 4:
            return []
        lines = [plain(line).expandtabs(4) for line in run.log[-min(room - 2, _MOST_TAIL) :]]
        name = f"{run.action.name}, {clock(run.seconds)}"
        return [Text(), _line(name, "bold cyan"), *(_line(f"  {line}", "dim") for line in lines)]


def _status_of(runs: list[ActionRun], of: int) -> Status:
    statuses = {run.status for run in runs}
    for status in (Status.IN_PROGRESS, Status.FAILED, Status.STOPPED):
        if status in statuses:
            return status
    return Status.SUCCEEDED if len(runs) == of else Status.IN_PROGRESS


def _note(run: ActionRun) -> str:
    """What came of an action; before that, and when it failed, by which ID others know it."""
    if run.reused:
        return "as before"
    return plain(run.summary or ("" if run.status == Status.SUCCEEDED else run.external_id))


def _line(text: str, style: str = "") -> Text:
    return _fitting(Text(text, style))


def _fitting(text: Text) -> Text:
    """A line that is cut at the edge: one that goes on below would take the room of another."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text

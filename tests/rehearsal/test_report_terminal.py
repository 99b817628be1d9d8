"""The live view: a tree in a terminal, lines everywhere else."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hand_made import DEPLOYMENT_FAILED, VARIABLES, Played, deployed
from rich.console import Console, Group

from local.rehearsal.pipeline import (
    ActionContext,
    ActionFailed,
    ActionRun,
    ArtifactStore,
    Completed,
    Execution,
    PipelineRunner,
    Status,
)
from local.rehearsal.pipeline.store import Access
from local.rehearsal.report.collect import Rehearsed, collect
from local.rehearsal.report.outcome import outcome
from local.rehearsal.report.terminal import Lines, view
from local.rehearsal.report.terminal.tree import Tree

PLAN = {stack: deployed(stack) for stack in ("dev", "prod")}
ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def failing(folder: Path) -> Execution:
    dev = Played("dev", folder)
    return dev.play(dev.start("Push of 5e1f0c9 to main"), fails={"DeployService": DEPLOYMENT_FAILED})


def running(folder: Path) -> Execution:
    """Two actions go on, and one of them has written a lot."""
    dev = Played("dev", folder)
    execution = dev.play(dev.start("Push of 5e1f0c9 to main"), until="Build")
    execution.status, execution.ended = Status.IN_PROGRESS, None
    for name in ("WatchDeployment", "DeployService"):
        run = ActionRun(execution.identity, deployed("dev").action(name), external_id="d-4XR2")
        run.log += [f"[bold]task {number}[/bold] is \x1b[31mstarting\x1b[0m {'so ' * 80}" for number in range(50)]
        execution.actions.append(run)
    return execution


def replay(execution: Execution, changed: Callable[[str, Execution, ActionRun | None], None]) -> None:
    """Tell of a run as the runner does: when each action begins, while it goes on, and when it has ended."""
    ended, execution.status = execution.status, Status.IN_PROGRESS
    changed("dev", execution, None)
    for run in execution.actions:
        came_to, log = run.status, list(run.log)
        run.status, run.log[:] = Status.IN_PROGRESS, []
        changed("dev", execution, run)
        for line in log:
            run.log.append(line)
            changed("dev", execution, run)
        run.status = came_to
        changed("dev", execution, run)
    execution.status = ended
    changed("dev", execution, None)


def lines(execution: Execution, *, verbose: bool = False) -> list[str]:
    """What is printed of a run, without the times."""
    stream = io.StringIO()
    with Lines(stream, verbose=verbose) as shown:
        shown.begin("Rehearsing shop", ["AWS APIs: on loopback"])
        replay(execution, shown.changed)
        shown.end(["Report: rehearsal.html"])
    return [re.sub(r"^ *\d+:\d\d  ", "", line) for line in stream.getvalue().splitlines()]


def test_without_a_terminal_each_action_has_a_line_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    printed = lines(failing(tmp_path))
    assert printed[:5] == [
        "Rehearsing shop",
        "  AWS APIs: on loopback",
        "dev: run 1 of the pipeline, started by: Push of 5e1f0c9 to main",
        "dev / Source / Source begins",
        "dev / Source / Source succeeded in 3.2 s: 5e1f0c9 Prices are right & rounded",
    ]
    assert [line for line in printed if "WatchDeployment" in line] == [
        "dev / Deploy / WatchDeployment begins",
        "dev / Deploy / WatchDeployment succeeded in 3.2 s",
    ]
    assert printed[-2:] == ["dev: run 1 failed after 44 s: DeployService failed", "Report: rehearsal.html"]


def test_without_a_terminal_a_failing_action_has_its_reason_and_the_end_of_its_log(tmp_path: Path) -> None:
    execution = failing(tmp_path)
    run = execution.last("DeployService")
    assert run
    run.log[:0] = [f"early {number}" for number in range(100)]
    first, second = DEPLOYMENT_FAILED.splitlines()
    printed = lines(execution)
    place = printed.index(f"dev / Deploy / DeployService failed after 22 s: {first}")
    assert printed[place + 1 : place + 4] == [
        f"        {second}",
        "        the last lines of its log, of 113:",
        "        | early 93",
    ]
    assert printed[place + 22] == f"        | ERROR: {first}"


def test_what_the_reason_quotes_of_the_log_is_not_repeated(tmp_path: Path) -> None:
    execution = failing(tmp_path)
    run = execution.last("DeployService")
    assert run
    run.log[:] = [
        "what came before",
        "\x1b[31mno such option\x1b[0m",
        "FAILED: It could not be built.",
        "  | no such option",
    ]
    run.error = "BUILD: a command ended with 1\nFAILED: It could not be built.\nIts last lines:\n  | no such option"
    expected = ["the last lines of its log, of 4:", "| what came before"]
    assert [line.strip() for line in lines(execution) if "last lines of" in line or "before" in line] == expected
    del run.log[0]
    assert not any("last lines of" in line for line in lines(execution))


def test_verbose_prints_every_line_of_every_log_once(tmp_path: Path) -> None:
    printed = lines(failing(tmp_path), verbose=True)
    assert [line for line in printed if "RUN make" in line] == [
        f"dev / Build / BuildImage | #{step} [{step}/9] RUN make <target-{step}> && echo done" for step in range(1, 10)
    ]
    assert not any("last lines" in line for line in printed)


def test_a_retried_run_begins_and_ends_again(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    execution = dev.play(dev.start("push"), fails={"RunSmokeTest": "no"})
    stream = io.StringIO()
    shown = Lines(stream)
    replay(execution, shown.changed)
    dev.play(execution, begin="Test")
    replay(execution, shown.changed)
    ends = [line for line in stream.getvalue().splitlines() if "dev: run 1 " in line and "after" in line]
    assert [end.split("  ")[-1] for end in ends] == [
        "dev: run 1 failed after 47 s: RunSmokeTest failed",
        "dev: run 1 succeeded after 57 s",
    ]


class Fast:
    """Carries out any action at once; one of them fails."""

    def run(self, context: ActionContext) -> Completed:
        name = context.action.name
        for number in range(20):
            context.say(f"{name} {number}")
        if name == "RunSmokeTest":
            raise ActionFailed("The page is empty.")
        return Completed(
            summary="done",
            variables=VARIABLES.get(name, {}),
            artifacts={output: f"key-of-{output}" for output in context.action.outputs},
        )


def test_the_runner_itself_can_be_watched(tmp_path: Path) -> None:
    """Its actions run side by side, each in a thread of its own."""
    stream = io.StringIO()
    shown = Lines(stream, verbose=True)
    dev = deployed("dev")
    providers = {action.provider: Fast() for action in dev.actions}
    access = Access(bucket="b", pipeline="p", role="r", client=None, key="k")  # nobody stores anything
    store = ArtifactStore(account="123456789012", region="eu-west-1", as_pipeline=access)
    runner = PipelineRunner(dev, providers, store, tmp_path, lambda run, action: shown.changed("dev", run, action))
    execution = runner.start("push")
    assert runner.wait(execution, 60)
    printed = [re.sub(r"^ *\d+:\d\d  ", "", line) for line in stream.getvalue().splitlines()]
    for action in dev.actions:
        own = [line.rpartition("| ")[2] for line in printed if f"/ {action.name} | " in line]
        assert own == ([] if action.stage == "Promote" else [f"{action.name} {number}" for number in range(20)])
    assert "dev / Test / RunSmokeTest failed after 0.0 s: The page is empty." in printed
    rehearsal = collect(
        "shop", [Rehearsed(stack="dev", deployed=dev, executions=runner.executions)], started=0, ended=1
    )
    assert outcome(rehearsal).headline == "Stopped in dev / Test / RunSmokeTest: The page is empty."


@pytest.mark.parametrize(
    ("stream", "variables", "verbose", "kind"),
    [
        pytest.param(io.StringIO(), {"TERM": "xterm"}, False, Lines, id="no-terminal"),
        pytest.param(io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"}, False, Lines, id="ci-with-colours"),
        pytest.param(Terminal(), {"TERM": "dumb"}, False, Lines, id="dumb"),
        pytest.param(Terminal(), {"TERM": "xterm"}, True, Lines, id="verbose"),
        pytest.param(Terminal(), {"TERM": "xterm"}, False, Tree, id="terminal"),
    ],
)
def test_a_tree_is_drawn_where_one_can_be(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, variables: dict[str, str], kind: type, *, verbose: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert type(view(PLAN, stream=stream, verbose=verbose)) is kind


def drawn(execution: Execution, *, width: int = 90, height: int = 40, end: bool = False) -> list[str]:
    """What is on the screen."""
    stream = io.StringIO()
    tree = Tree(PLAN, stream)
    tree._console = Console(file=stream, force_terminal=True, width=width, height=height, color_system=None)
    replay(execution, tree.changed)
    if end:
        tree.end(["Report: rehearsal.html"])
    else:
        tree._console.print(tree._draw())
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_tree_has_stages_with_their_times_and_the_actions_of_the_one_that_goes_on(tmp_path: Path) -> None:
    screen = [re.sub(r"[⠀-⣿]", "*", line) for line in drawn(running(tmp_path))]
    assert re.fullmatch(r"dev  run 1, Push of 5e1f0c9 to main  .*", screen[0])
    assert [re.sub(r" +", " ", line) for line in screen[1:8]] == [
        " ✓ Source 3.2 s",
        " ✓ Build 19 s",
        " * Deploy 0.0 s",
        " * DeployService 0.0 s d-4XR2",
        " * WatchDeployment 0.0 s d-4XR2",
        " then Test, Promote",
        "prod not started",
    ]


def test_below_the_tree_is_the_end_of_the_log_that_was_written_last(tmp_path: Path) -> None:
    screen = drawn(running(tmp_path))
    assert screen[9] == "DeployService, 0:00"
    assert len(screen) == 10 + 14
    assert screen[-1].startswith("  [bold]task 49[/bold] is starting so so")
    assert screen[-1].endswith("…")


def test_what_failed_stands_on_top_and_its_log_below(tmp_path: Path) -> None:
    screen = drawn(failing(tmp_path))
    first, second = DEPLOYMENT_FAILED.splitlines()
    assert screen[:3] == [
        "✗ dev / Deploy / DeployService failed after 22 s",
        f"    {first}",
        f"    {second}",
    ]
    assert screen[-1] == f"  ERROR: {first}"


@pytest.mark.parametrize("height", [5, 8, 12, 16, 24, 40])
@pytest.mark.parametrize("width", [30, 80])
def test_the_tree_never_takes_more_than_the_screen(tmp_path: Path, width: int, height: int) -> None:
    for execution in (failing(tmp_path), running(tmp_path)):
        screen = drawn(execution, width=width, height=height)
        assert len(screen) < height
        assert max(len(line) for line in screen) <= width


def test_at_the_end_everything_is_left_to_be_read_with_the_summary_last(tmp_path: Path) -> None:
    screen = drawn(failing(tmp_path), end=True)
    text = "\n".join(screen)
    assert re.search(r"✓ BuildImage +19 s  shop-dev@sha256:9b1e4c7a2d5f is pushed", text)
    assert "not reached: Test, Promote" in text
    assert text.index("✗ DeployService") < text.index("The last lines of its log, of 13:")
    assert screen[-1] == "Report: rehearsal.html"
    narrow = " ".join("\n".join(drawn(failing(tmp_path), end=True, width=40)).split())
    assert DEPLOYMENT_FAILED.splitlines()[1] in narrow, "a reason is not cut at the edge"


def test_an_older_run_has_a_line(tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    dev.play(dev.start("old"), until="Build")
    dev.play(dev.start("new"))
    stream = io.StringIO()
    tree = Tree(PLAN, stream)
    tree._console = Console(file=stream, force_terminal=True, width=90, height=40, color_system=None)
    for execution in dev.executions:
        replay(execution, tree.changed)
    tree._console.print(tree._draw())
    assert stream.getvalue().splitlines()[0].rstrip() == "dev  run 1 superseded before stage Deploy"
    assert "✓ dev  run 2, new" in stream.getvalue()


def test_changes_from_many_threads_are_only_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come with every line of every log; the tree is drawn by its own thread."""
    monkeypatch.setenv("TERM", "xterm")
    drawings: list[float] = []
    original = Tree._draw

    def draw(self: Tree) -> Group:
        drawings.append(time.monotonic())
        return original(self)

    monkeypatch.setattr(Tree, "_draw", draw)
    execution = running(tmp_path)
    tree = Tree(PLAN, Terminal())
    with tree:
        tree.begin("Rehearsing shop")

        def tell() -> None:
            for _ in range(5000):
                tree.changed("dev", execution, execution.actions[-1])

        threads = [threading.Thread(target=tell) for _ in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        tree.end()
    assert len(drawings) <= 10 * took + 5
    assert tree._runs["dev"] == [execution]


def test_the_view_is_there_without_what_makes_the_page() -> None:
    """What is imported before the first action is waited for."""
    code = "import sys, local.rehearsal.report.terminal; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"jinja2", "pydantic", "local.rehearsal.report.page"} & set(done.stdout.split()) == set()


def test_colours_are_left_out_where_nobody_wants_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """https://no-color.org"""
    monkeypatch.setenv("TERM", "xterm-256color")
    shown: dict[str, str] = {}
    for value in ("", "1"):
        monkeypatch.setenv("NO_COLOR", value)
        stream = Terminal()
        tree = Tree(PLAN, stream)
        replay(failing(tmp_path), tree.changed)
        tree.end()
        shown[value] = stream.getvalue()
    coloured = re.compile(r"\x1b\[[\d;]*3[0-7][\d;]*m")
    assert coloured.search(shown[""])
    assert not coloured.search(shown["1"])


def test_where_nothing_but_ascii_can_be_shown_nothing_else_is(tmp_path: Path) -> None:
    packed = io.BytesIO()
    stream = io.TextIOWrapper(packed, encoding="ascii")
    tree = Tree(PLAN, stream)
    replay(failing(tmp_path), tree.changed)
    tree.end()
    stream.flush()
    assert re.search(r"\+ Source +3\.2 s", packed.getvalue().decode("ascii"))


SCRIPT = """
import time
from local.rehearsal.deployed import Action
from local.rehearsal.pipeline import ActionRun, Execution
from local.rehearsal.report.terminal import view
action = Action(name="DeployService", stage="Deploy", run_order=1, category="Deploy", provider="CodeDeployToECS",
                inputs=(), outputs=(), configuration={})
execution = Execution(number=1, trigger="push")
execution.actions.append(ActionRun(execution.identity, action, log=["task 49 is starting"]))
with view({}) as shown:
    shown.begin("Rehearsing shop", ["AWS APIs: on loopback"])
    shown.changed("dev", execution, execution.actions[0])
    with shown.paused():
        print("QUESTION?", flush=True)
    time.sleep(60)
"""


@pytest.mark.usefixtures("interruptible")
def test_the_terminal_is_restored_on_ctrl_c() -> None:
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "90", "LINES": "30"},
    )
    os.close(theirs)
    seen = b""
    interrupted = False
    deadline = time.monotonic() + 60
    with suppress(OSError):  # the other end is closed
        while time.monotonic() < deadline:
            if select.select([mine], [], [], 0.2)[0]:
                seen += os.read(mine, 65536)
            if not interrupted and b"task 49" in seen.partition(b"QUESTION?")[2]:
                interrupted = True
                process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    os.close(mine)
    assert b"KeyboardInterrupt" in errors
    text = seen.decode()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert text.count(hidden) == 2, "it is drawn before and after the question"
    assert text.rindex(shown) > text.rindex(hidden)
    between = text[: text.index("QUESTION?")]
    assert between.rindex(shown) > between.rindex(hidden), "a question has a cursor"
    assert "DeployService" in text[text.rindex(shown) :], "what there was to see is left"

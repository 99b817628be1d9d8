"""A shell where a job has failed, and a rehearsal that is repeated whenever a file changes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from terminals import in_terminal

from local.__main__ import main
from local.engine.stack import ROOT
from local.rehearsal.codebuild import Build, BuildHost, Variable, run_build
from local.rehearsal.job_sandbox import JobSandbox

BUILDSPEC = """
version: 0.2
env: {shell: bash, variables: {GIVEN: "by the buildspec's author"}}
phases:
  build:
    commands:
      - mkdir below && cd below
      - export FOUND='two
        words'
      - echo it breaks && false
"""
SHELL = """
import sys
from pathlib import Path
from local.rehearsal.codebuild import Scene
from local.rehearsal.interactive import open_shell
enter, environment, folder, scratch = {arguments!r}
open_shell(Scene(enter=tuple(enter), environment=environment, folder=folder), "A shell here.", Path(scratch))
"""


@pytest.mark.usefixtures("interruptible")
def test_a_shell_opens_where_a_job_has_failed(sandbox: JobSandbox, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    build = Build(project="shop", buildspec=BUILDSPEC, inputs={"Code": source})
    result = run_build(build, sandbox.place({"SECRET": "shibboleth"}), tmp_path / "build")
    assert not result.succeeded
    assert result.scene

    scene = result.scene
    arguments = [list(scene.enter), dict(scene.environment), scene.folder, str(tmp_path)]
    shown = in_terminal(
        [sys.executable, "-c", SHELL.format(arguments=arguments)],
        ("# ", 'echo "[$GIVEN] [$FOUND] [$SECRET]"; pwd; readlink /proc/self/ns/net\n'),
        ("# ", 'sh -c "echo to s\\"\\"leep; exec sleep 60"\n'),  # in the foreground when it says so
        ("to sleep", "\x03"),
        ("# ", 'echo "still "here\n'),
        ("still here", "exit\n"),
    )

    assert "[by the buildspec's author] [two words] [shibboleth]" in shown
    assert str(tmp_path / "build" / "src" / "below") in shown
    inside = subprocess.run(
        [*sandbox.enter, "readlink", "/proc/self/ns/net"], capture_output=True, text=True, check=True
    )
    assert inside.stdout.strip() in shown
    assert "cannot set terminal process group" not in shown


def test_a_build_that_comes_to_no_command_leaves_no_place_for_a_shell(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()

    def none(_identifier: str) -> str:
        raise LookupError("there is no such secret")

    host = BuildHost(environment={"PATH": os.environ["PATH"]})
    token = Variable(name="TOKEN", value="token", type="SECRETS_MANAGER")
    build = Build(project="shop", buildspec=BUILDSPEC, inputs={"Code": source}, project_variables=(token,))
    result = run_build(build, host, tmp_path / "build", secrets=none)
    assert not result.succeeded
    assert result.scene is None


class Watched:
    """A process that runs a command again and again; the command writes a line each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "application"
        self.folder.mkdir()
        self.lines = folder / "lines"
        self.lines.touch()
        program = f"""
            import sys
            from pathlib import Path
            from local.rehearsal.watching import again_and_again
            command = [sys.executable, "-c", "open({str(self.lines)!r}, 'a').write('x')"]
            again_and_again(command, [Path({str(self.folder)!r})])
            """
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

    def times(self) -> int:
        return len(self.lines.read_text())

    def waits(self) -> str:
        """What it says until it waits."""
        assert self.process.stderr
        said = ""
        for line in self.process.stderr:
            said += line
            if line.startswith("Waiting"):
                return said
        raise AssertionError(f"it has ended, and said: {said}")

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.mark.usefixtures("interruptible")
def test_it_runs_again_when_a_file_changes_and_not_otherwise(watched: Watched) -> None:
    subprocess.run(["git", "init", "--quiet", str(watched.folder)], check=True)
    (watched.folder / ".gitignore").write_text("*.log\n")
    try:
        watched.waits()
        first = watched.times()
        (watched.folder / "some.log").write_text("nobody tracks it")
        time.sleep(1.5)
        assert watched.times() == first
        (watched.folder / "new.py").write_text("pass")
        assert "Changed: new.py\n" in watched.waits()
        assert watched.times() == first + 1
        (watched.folder / "new.py").unlink()
        assert "Changed: new.py\n" in watched.waits()
        assert watched.times() == first + 2
    finally:
        watched.end()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--only", "Deploy", "--until", "Deploy"), "--only ends after what it names: leave out --until"),
        (("--watch", "--keep"), "--watch goes on by itself: leave out --keep and --shell, or --watch"),
        (("--shell",), "--shell opens a shell, which needs a terminal"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_exclude_each_other_are_refused(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["rehearse", *words]) == 1
    assert capsys.readouterr().err.splitlines() == [said]


@pytest.mark.engine
def test_the_pipelines_can_be_drawn_without_running_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--graph", "--report", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"The pipelines: {tmp_path / 'pipelines.html'}\n"
    drawn = (tmp_path / "pipelines.html").read_text(encoding="utf-8")
    assert all(action in drawn for action in ("RunLighthouse", "PromoteImage", "TagImage", "CreateGitHubRelease"))

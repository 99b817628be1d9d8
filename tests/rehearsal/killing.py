"""Kills a job at any of its calls to the outside, just after the call has taken effect.

Commands (`aws`, `docker`, `npm`, `lhci`) go through wrappers first on PATH; HTTP requests go through a server of the
test's own. Both count into one file. At the call that is wanted the job is held just before the call takes effect, for
the test to look at what others keep, and just after it the whole process group of the job is killed, as when its
machine goes away. How many calls there are is found out by a run that nothing is done to.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from local.rehearsal.codebuild import Build, BuildHost, Result, Secrets, put_python, run_build

_WRAPPER = """#!/bin/sh
case "$*" in --version | 'buildx version') exec {real} "$@" ;; esac  # changes nothing, so no call to be killed at
# A job may call two tools at once.
count=$(flock '{calls}' sh -c 'printf "%s\\n" "$1" >> "$0"; wc -l < "$0"' '{calls}' "{tool} $1 $2")
count=$(($count))
read -r number < '{wanted}'
unset https_proxy
[ "$count" = "$number" ] || exec {real} "$@"
read -r _ < '{held}'
{real} "$@"
kill -9 0
"""


class Scene(Protocol):
    """Backends in a state of their own, and a build that changes it."""

    @property
    def build(self) -> Build:
        """What is run."""

    @property
    def secrets(self) -> Secrets | None:
        """Who knows the build's secrets."""

    def variables(self) -> Mapping[str, str]:
        """What the machine of a run has beside its tools."""

    def state(self) -> object:
        """What the backends keep that the job may change, without the names that are this scene's own."""

    def check_visible(self) -> None:
        """After a kill: what others see is the old or the new, and nothing between."""

    def check_done(self, result: Result) -> None:
        """After a run that came to its end: everything is there, and only once."""


class _Looking:
    """What is done while a job is held, in whichever thread; what it raises is kept for the test's own.

    Attributes:
        problem: what was raised.
        over: whether the job has ended.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self.problem: BaseException | None = None
        self.over = False

    def __call__(self) -> None:
        """Look."""
        try:
            self._look()
        except BaseException as error:  # noqa: BLE001 - of pytest, too
            self.problem = error


@dataclass
class Machine:
    """Where jobs run and are killed.

    Attributes:
        folder: for all it keeps.
        tools: command -> what the wrapper starts.
        enter: as :class:`BuildHost` has it.
        region: where the builds believe to be.
    """

    folder: Path
    tools: Mapping[str, str]
    enter: tuple[str, ...] = ()
    region: str = "eu-west-1"
    _runs: itertools.count[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looking: _Looking = field(init=False)

    def __post_init__(self) -> None:
        """Write the wrappers."""
        self.bin.mkdir(parents=True)
        os.mkfifo(self._held)
        put_python(self.bin)
        for tool, real in self.tools.items():
            self.wrap(tool, real)

    @property
    def bin(self) -> Path:
        """The folder with the wrappers."""
        return self.folder / "bin"

    @property
    def _calls(self) -> Path:
        return self.folder / "calls"

    @property
    def _wanted(self) -> Path:
        return self.folder / "wanted"

    @property
    def _held(self) -> Path:
        """A pipe: a wrapper that reads it waits until somebody writes to it."""
        return self.folder / "held"

    @property
    def _process(self) -> Path:
        return self.folder / "process"

    @property
    def calls(self) -> list[str]:
        """The calls of the last run, in order."""
        return self._calls.read_text(encoding="utf-8").splitlines()

    def wrap(self, tool: str, real: str, at: Path | None = None) -> Path:
        """A wrapper around a command."""
        wrapper = at or self.bin / tool
        wrapper.write_text(
            _WRAPPER.format(tool=tool, real=real, calls=self._calls, wanted=self._wanted, held=self._held)
        )
        wrapper.chmod(0o755)
        return wrapper

    def run(self, scene: Scene) -> Result:
        """Run the scene's build."""
        return self._run(scene, 0)

    def run_killed(self, scene: Scene, number: int, look: Callable[[], None]) -> Result:
        """Run the scene's build until the call of this number, look, let the call take effect and kill the build."""
        self._looking = _Looking(look)
        releasing = threading.Thread(target=self._release, args=(self._looking,))
        releasing.start()
        try:
            result = self._run(scene, number)
        finally:
            # When no command has reached the call, the thread still waits for one.
            self._looking.over = True
            os.close(os.open(self._held, os.O_RDONLY | os.O_NONBLOCK))
            releasing.join()
        if self._looking.problem:
            raise self._looking.problem
        return result

    def _run(self, scene: Scene, number: int) -> Result:
        self._calls.write_text("")
        self._wanted.write_text(f"{number}\n")
        # Every command of the build says which process it is, for the servers to kill its group.
        noting = ("/bin/sh", "-c", f"echo $$ > '{self._process}'; exec \"$@\"", "sh")
        place = BuildHost(
            environment={**scene.variables(), "PATH": f"{self.bin}:/usr/bin:/bin"},
            enter=(*noting, *self.enter),
            region=self.region,
        )
        return run_build(scene.build, place, self.folder / f"run-{next(self._runs)}", secrets=scene.secrets)

    def on_call(self, what: str) -> Callable[[], bool]:
        """For a server: note a call, which may take effect when this returns.

        Returns:
            to be called after the request has been handled: kills the job when that is wanted, and says whether it did.
        """
        with self._lock:
            with self._calls.open("a", encoding="utf-8") as file:
                file.write(f"{what}\n")
            wanted = len(self.calls) == int(self._wanted.read_text())
        if wanted:
            self._looking()

        def handled() -> bool:
            if wanted:
                self._kill()
            return wanted

        return handled

    def _release(self, looking: _Looking) -> None:
        """Wait until a wrapper reads the pipe, look, and let the command go on."""
        with self._held.open("w", encoding="utf-8") as pipe:
            if not looking.over:
                looking()
                pipe.write("\n")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(os.getpgid(int(self._process.read_text())), signal.SIGKILL)


_FETCHING_SCRIPTS = "aws s3 cp"
_READING = re.compile(r"(GET|HEAD) |aws \S+ (describe|get|head|list)-")


def sweep(machine: Machine, make: Callable[[], Scene], *, moving: bool = False) -> list[str]:
    """Run a job clean; then kill it after every call, and see that it completes when it is run again.

    A job keeps nothing on its machine, so what a rerun meets is what others keep. Calls that only read leave that as it
    is, so that a kill at one of them is a kill at its neighbor; the job is killed at the others and at its last call. A
    kill before a call would leave what the kill after the call before it has left, from which the rerun has just been
    seen to complete: that it is the same is seen in each run, while the job is held before the call.

    Args:
        machine: Where it runs.
        make: Makes a scene that shares nothing with the others.
        moving: Whether what others keep changes by itself, so that it counts which of the reading calls is the last.

    Returns:
        the calls of the clean run.
    """
    scene = make()
    state = scene.state()
    clean = machine.run(scene)
    assert clean.succeeded, clean.log
    scene.check_done(clean)
    calls = machine.calls
    assert calls, "a job that calls nobody need not be killed"
    for number, call in enumerate(calls, 1):
        if number == 1 and call == _FETCHING_SCRIPTS:
            continue
        if _READING.match(call) and not moving and number < len(calls):
            continue
        at = f"call {number}, {call}"
        scene = make()
        _kill(machine, scene, number, at, state)
        state = scene.state()
        again = machine.run(scene)
        assert again.succeeded, f"killed after {at}, the rerun failed: {again.log}"
        scene.check_done(again)
    return calls


def _kill(machine: Machine, scene: Scene, number: int, at: str, state: object) -> None:
    """Run a scene's job into a kill after a call, and look before and after it; before it the state must be this."""

    def look() -> None:
        looked.append(scene.state())
        scene.check_visible()

    looked: list[object] = []
    killed = machine.run_killed(scene, number, look)
    failed = next((phase for phase in killed.phases if phase.name == "BUILD"), None)
    assert failed, f"killed after {at}"
    assert "Reason: signal 9" in failed.message, f"killed after {at}: {killed.log}"
    assert number <= len(machine.calls) <= number + 1, f"killed after {at}"  # one may have been called at once
    assert looked == [state], f"before {at}: something has taken effect"
    scene.check_visible()

"""Kills a job at any of its calls to the outside, just before the call takes effect or just after.

Commands (`aws`, `docker`, `npm`, `lhci`) go through wrappers first on PATH; HTTP requests go through a server of the
test's own. Both count into one file, and at the call that is wanted the whole process group of the job is killed, as
when its machine goes away. How many calls there are is found out by a run that nothing is done to.
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
from typing import Literal, Protocol

from local.rehearsal.codebuild import Build, BuildHost, Result, Secrets, put_python, run_build

Moment = Literal["before", "after"]

_WRAPPER = """#!/bin/sh
case "$*" in --version | 'buildx version') exec {real} "$@" ;; esac  # changes nothing, so no call to be killed at
printf '%s\\n' "{tool} $1 $2" >> '{calls}'
count=$(($(wc -l < '{calls}')))
read -r number moment < '{wanted}'
[ "$count $moment" = "$number before" ] && kill -9 0
unset https_proxy
{real} "$@"
code=$?
[ "$count $moment" = "$number after" ] && kill -9 0
exit $code
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

    def __post_init__(self) -> None:
        """Write the wrappers."""
        self.bin.mkdir(parents=True)
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
    def _process(self) -> Path:
        return self.folder / "process"

    @property
    def calls(self) -> list[str]:
        """The calls of the last run, in order."""
        return self._calls.read_text(encoding="utf-8").splitlines()

    def wrap(self, tool: str, real: str, at: Path | None = None) -> Path:
        """A wrapper around a command."""
        wrapper = at or self.bin / tool
        wrapper.write_text(_WRAPPER.format(tool=tool, real=real, calls=self._calls, wanted=self._wanted))
        wrapper.chmod(0o755)
        return wrapper

    def run(self, scene: Scene, *, number: int = 0, moment: Moment = "before") -> Result:
        """Run the scene's build, killing it at the call of this number unless that is 0."""
        self._calls.write_text("")
        self._wanted.write_text(f"{number} {moment}\n")
        # Every command of the build says which process it is, for the servers to kill its group.
        noting = ("/bin/sh", "-c", f"echo $$ > '{self._process}'; exec \"$@\"", "sh")
        place = BuildHost(
            environment={**scene.variables(), "PATH": f"{self.bin}:/usr/bin:/bin"},
            enter=(*noting, *self.enter),
            region=self.region,
        )
        return run_build(scene.build, place, self.folder / f"run-{next(self._runs)}", secrets=scene.secrets)

    def on_call(self, what: str) -> Callable[[], bool]:
        """For a server: note a call and kill the job when it is to be killed before it.

        Returns:
            to be called after the request has been handled: kills when that is wanted, and says whether it did.

        Raises:
            Killed: the job is gone, and the request must not be handled.
        """
        with self._lock:
            with self._calls.open("a", encoding="utf-8") as file:
                file.write(f"{what}\n")
            number = len(self.calls)
        wanted = self._wanted.read_text().split()
        if wanted == [str(number), "before"]:
            self._kill()
            raise Killed

        def handled() -> bool:
            if wanted != [str(number), "after"]:
                return False
            self._kill()
            return True

        return handled

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(os.getpgid(int(self._process.read_text())), signal.SIGKILL)


class Killed(Exception):  # noqa: N818 - what was wanted
    """The job was killed before its request took effect."""


_FETCHING_SCRIPTS = "aws s3 cp"
_READING = re.compile(r"(GET|HEAD) |aws \S+ (describe|get|head|list)-")


def sweep(machine: Machine, make: Callable[[], Scene], *, moving: bool = False) -> list[str]:
    """Run a job clean; then kill it at every call, before and after, and see that it completes when it is run again.

    A job keeps nothing on its machine, so what a rerun meets is what others keep. Calls that only read leave that as it
    is, so that a kill at one of them is a kill at its neighbor; the job is killed at the others and at its last call. A
    kill before a call must leave there exactly what the kill before it has left, from which the rerun has just
    been seen to complete: it is run again after each kill that follows a call.

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
        scene = _killed(machine, make(), number, "before", call)
        assert scene.state() == state, f"killed before call {number}, {call}: something has taken effect"
        scene = _killed(machine, make(), number, "after", call)
        state = scene.state()
        again = machine.run(scene)
        assert again.succeeded, f"killed after call {number}, {call}, the rerun failed: {again.log}"
        scene.check_done(again)
    return calls


def _killed(machine: Machine, scene: Scene, number: int, moment: Moment, call: str) -> Scene:
    """Run a scene's job into a kill; returns the scene as that has left it."""
    at = f"killed {moment} call {number}, {call}"
    result = machine.run(scene, number=number, moment=moment)
    failed = next((phase for phase in result.phases if phase.name == "BUILD"), None)
    assert failed, at
    assert "Reason: signal 9" in failed.message, f"{at}: {result.log}"
    assert len(machine.calls) == number, at
    scene.check_visible()
    return scene

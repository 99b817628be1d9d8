"""The commands of a build: a process for each, with what the earlier ones left behind.

CodeBuild's logs show that each entry of ``commands`` is a script of its own (magenx/Magento-2-aws-cluster-terraform,
issue 19: an array is gone in the next command, a plain variable is not). So the variables and the working folder are
carried over from process to process, and arrays, functions and options such as ``set -e`` are not; ``exit`` ends its
own command, and an entry of several lines has the exit code of the last one. A variable that was not exported comes
back not exported.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local.rehearsal.codebuild.model import Place

SHELLS: Mapping[str, str] = {"bash": "/bin/bash", "/bin/sh": "/bin/sh"}
"""The shell of ``env.shell``; CodeBuild's own default is sh."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = {"PWD", "OLDPWD", "SHLVL", "_", "__code", "__name", "__line"}
"""What shells export by themselves, and what the script below needs."""
_LAST_WORDS = 0.5
"""Seconds for output that comes after a command's end, from what it left running."""

# The shell's `set` lists every variable; exporting them all makes `env` print all but arrays and functions, exactly.
# Nothing is looked up on PATH: the build may have set it to anything.
_KEEPING = r"""trap '__code=$?
{ set +eux +fC; unset IFS; /usr/bin/env -0 > {files}.exported
for __name in $(set | while read -r __line; do case $__line in [A-Za-z_]*=*) printf "%s\n" "${__line%%=*}";; esac; done)
do case $__name in *[!A-Za-z0-9_]*) ;; *) export "$__name";; esac; done
/usr/bin/env -0 > {files}.all; pwd -P > {files}.folder; } 2>/dev/null
exit $__code' EXIT
"""


class TimedOut(Exception):  # noqa: N818 - an outcome
    """The build has taken longer than its project allows."""


class Shell:
    """Runs commands one after the other; used in a ``with``, whose end ends all that is still running.

    Args:
        shell: ``bash`` or ``/bin/sh``.
        place: Where the commands run.
        environment: The variables of the first command.
        folder: Its working folder.
        scratch: For the scripts.
        say: Takes each line of output as it comes.
        deadline: When the build times out, by the monotonic clock.
    """

    def __init__(
        self,
        shell: str,
        place: Place,
        environment: Mapping[str, str],
        *,
        folder: Path,
        scratch: Path,
        say: Callable[[str], None],
        deadline: float,
    ) -> None:
        self._command = (*_found(place.enter), SHELLS[shell])
        self._scratch = scratch
        self._say = say
        self._deadline = deadline
        self._folder = str(folder)
        self._exported = dict(environment)
        self._plain: dict[str, str] = {}
        self._internal: set[str] = set()
        self._count = 0
        self._readings: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._scratch.mkdir(parents=True, exist_ok=True)
        # All commands join the process group of this one, so that ending the group can never mean another.
        self._anchor = subprocess.Popen(["/bin/sh", "-c", "read _"], stdin=subprocess.PIPE, process_group=0)
        given = set(self._exported)
        self.run(":")
        # What a shell knows by itself is not carried over: it could not be set, or must not.
        self._internal = {*self._plain, *self._exported} - given
        self._keep_only(lambda name: name not in self._internal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_all()
        for reading in self._readings:
            reading.join(_LAST_WORDS)
        if self._anchor.stdin:
            self._anchor.stdin.close()
        self._anchor.wait()

    @property
    def variables(self) -> dict[str, str]:
        """Every variable that the next command would see."""
        return {**self._exported, **self._plain}

    def set(self, name: str, value: str) -> None:
        """Set an environment variable for the next commands."""
        self._exported[name] = value

    def run(self, command: str) -> tuple[int, str]:
        """Run one entry of ``commands``.

        Returns:
            its exit code, negative for the signal that ended it, and the last of its output.

        Raises:
            TimedOut: the build's time is over; whatever ran has been ended.
        """
        self._count += 1
        files = self._scratch / f"{self._count:03}"
        script = files.with_suffix(".sh")
        known = "".join(f"{name}={shlex.quote(value)}\n" for name, value in self._plain.items())
        keeping = _KEEPING.replace("{files}", f'"{files}"')
        script.write_text(f"{known}{keeping}cd {shlex.quote(self._folder)} || exit\n{command}\n", encoding="utf-8")
        tail: list[str] = []
        with subprocess.Popen(
            [*self._command, str(script)],
            env=self._exported,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=self._anchor.pid,
        ) as process:
            reading = threading.Thread(target=self._read, args=(process, tail), daemon=True)
            reading.start()
            try:
                self._await(process)
                code = process.wait()
            finally:
                reading.join(_LAST_WORDS)
                self._readings.append(reading)
                process.stdout = None  # what is left running may still hold the pipe: its reader closes it
        self._take_over(files)
        return code, "\n".join(tail)

    def _await(self, process: subprocess.Popen[str]) -> None:
        # Popen.wait with a timeout asks every 50 ms: for a dozen short commands that is most of their time.
        watched = os.pidfd_open(process.pid)
        try:
            ended, _, _ = select.select([watched], [], [], max(0.0, self._deadline - time.monotonic()))
        finally:
            os.close(watched)
        if not ended:
            self._end_all()
            process.wait()
            raise TimedOut

    def _read(self, process: subprocess.Popen[str], tail: list[str]) -> None:
        with process.stdout or contextlib.nullcontext(()) as lines:
            for line in lines:
                tail[:] = [*tail[-19:], line.rstrip("\n")]
                self._say(tail[-1])

    def _take_over(self, files: Path) -> None:
        """Take over what a command has left; one that was killed, or became another program, leaves nothing."""
        folder = files.with_suffix(".folder")
        if not folder.is_file():
            return
        self._folder = folder.read_text(encoding="utf-8").removesuffix("\n")
        self._exported = _variables(files.with_suffix(".exported"))
        everything = _variables(files.with_suffix(".all"))
        self._plain = {name: value for name, value in everything.items() if name not in self._exported}
        self._keep_only(lambda name: name not in self._internal)

    def _keep_only(self, wanted: Callable[[str], bool]) -> None:
        self._exported = {name: value for name, value in self._exported.items() if wanted(name)}
        self._plain = {name: value for name, value in self._plain.items() if wanted(name)}

    def _end_all(self) -> None:
        os.killpg(self._anchor.pid, signal.SIGKILL)


def _variables(file: Path) -> dict[str, str]:
    entries = (entry.partition("=") for entry in file.read_text(encoding="utf-8", errors="replace").split("\0"))
    return {name: value for name, _, value in entries if _NAME.fullmatch(name) and name not in _OWN}


def _found(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command with its program looked up here, not on the build's PATH."""
    return (shutil.which(command[0]) or command[0], *command[1:]) if command else ()

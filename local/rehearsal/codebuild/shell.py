"""The commands of a build: a process for each, with what the earlier ones left behind.

CodeBuild's logs show that each entry of ``commands`` is a script of its own (magenx/Magento-2-aws-cluster-terraform,
issue 19: an array is gone in the next command). So exported variables and the working folder are carried over from
process to process, and nothing else is; ``exit`` ends its own command. CodeBuild also carries over variables that are
not exported, which no buildspec here relies on.
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
from typing import Self

from local.rehearsal.codebuild.model import BuildHost

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = {"PWD", "OLDPWD", "SHLVL", "_"}
"""What the shell exports by itself."""
_LAST_WORDS = 0.5
"""Seconds for output that comes after a command's end, from what it left running."""

# Nothing is looked up on PATH: the build may have set it to anything.
_KEEPING = "trap '__code=$?; /usr/bin/env -u __code -0 > {files}.env; pwd -P > {files}.folder; exit $__code' EXIT\n"


class TimedOut(Exception):  # noqa: N818 - an outcome
    """The build has taken longer than its project allows."""


class Shell:
    """Runs commands one after the other; used in a ``with``, whose end ends all that is still running.

    Args:
        place: Where the commands run.
        environment: The variables of the first command.
        folder: Its working folder.
        scratch: For the scripts.
        say: Takes each line of output as it comes.
        deadline: When the build times out, by the monotonic clock.

    Attributes:
        variables: Every variable that the next command would see.
        folder: Its working folder.
    """

    def __init__(
        self,
        place: BuildHost,
        environment: Mapping[str, str],
        *,
        folder: Path,
        scratch: Path,
        say: Callable[[str], None],
        deadline: float,
    ) -> None:
        self.variables = dict(environment)
        self._command = (*_found(place.enter), "/bin/bash")
        self.folder = str(folder)
        self._scratch = scratch
        self._say = say
        self._deadline = deadline
        self._count = 0
        self._readings: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._scratch.mkdir(parents=True, exist_ok=True)
        # All commands join the process group of this one, so that ending the group can never mean another.
        self._anchor = subprocess.Popen(["/bin/sh", "-c", "read _"], stdin=subprocess.PIPE, process_group=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_all()
        for reading in self._readings:
            reading.join(_LAST_WORDS)
        if self._anchor.stdin:
            self._anchor.stdin.close()
        self._anchor.wait()

    def run(self, command: str) -> int:
        """Run one entry of ``commands``; returns its exit code, negative for the signal that ended it.

        Raises:
            TimedOut: The build's time is over; whatever ran has been ended.
        """
        self._count += 1
        files = self._scratch / f"{self._count:03}"
        script = files.with_suffix(".sh")
        keeping = _KEEPING.replace("{files}", f'"{files}"')
        script.write_text(f"{keeping}cd {shlex.quote(self.folder)} || exit\n{command}\n", encoding="utf-8")
        with subprocess.Popen(
            [*self._command, str(script)],
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=self._anchor.pid,
        ) as process:
            reading = threading.Thread(target=self._read, args=(process,), daemon=True)
            reading.start()
            try:
                self._await(process)
                code = process.wait()
            finally:
                reading.join(_LAST_WORDS)
                self._readings.append(reading)
                process.stdout = None  # what is left running may still hold the pipe: its reader closes it
        self._take_over(files)
        return code

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

    def _read(self, process: subprocess.Popen[str]) -> None:
        with process.stdout or contextlib.nullcontext(()) as lines:
            for line in lines:
                self._say(line.rstrip("\n"))

    def _take_over(self, files: Path) -> None:
        """Take over what a command has left; one that was killed, or became another program, leaves nothing."""
        folder = files.with_suffix(".folder")
        if folder.is_file():
            self.folder = folder.read_text(encoding="utf-8").removesuffix("\n")
            text = files.with_suffix(".env").read_text(encoding="utf-8", errors="replace")
            entries = (entry.partition("=") for entry in text.split("\0"))
            self.variables = {name: value for name, _, value in entries if _NAME.fullmatch(name) and name not in _OWN}

    def _end_all(self) -> None:
        os.killpg(self._anchor.pid, signal.SIGKILL)


def _found(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command with its program looked up here, not on the build's PATH."""
    return (shutil.which(command[0]) or command[0], *command[1:]) if command else ()

"""A process that serves something: waiting until it does, and ending it where it is nsenter's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE = 60.0
"""Seconds; on a machine that is not busy, none needs more than a few."""


def await_ready(process: subprocess.Popen[bytes], what: str, is_ready: Callable[[], bool], log: Path) -> None:
    """Wait until a process serves, and tell what it said if it does not.

    It says that in a file: a pipe that nobody reads is full after 64 KiB, and who writes into it then waits for ever.
    """
    deadline = time.monotonic() + _PATIENCE
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            said = log.read_bytes()[-4000:].decode(errors="replace")
            raise RuntimeError(f"{what} did not start. It said:\n{said}")
        time.sleep(0.02)


def end_inside(process: subprocess.Popen[bytes], by: signal.Signals = signal.SIGTERM) -> None:
    """Signal what nsenter has started on a machine; when that ends, so does nsenter.

    To end nsenter itself would leave its child to this machine's first process, and the other machine would end only
    when that one has looked after it, which may take seconds.
    """
    if process.poll() is not None:
        return
    with contextlib.suppress(OSError):  # it ends meanwhile
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        for child in map(int, children):
            os.kill(child, by)
        if not children:
            process.send_signal(by)

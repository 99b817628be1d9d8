"""A command in a terminal, and somebody who types."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence

from local.engine.stack import ROOT


def in_terminal(command: Sequence[str], *steps: tuple[str, str], seconds: float = 60) -> str:
    """Run a command in a terminal of its own, and return all that the terminal shows.

    Args:
        command: The command.
        steps: What is waited for, and what is typed then, one after the other.
        seconds: How long it may take.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True)
    os.close(theirs)
    shown, seen, left = "", 0, list(steps)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (process.poll() is None or select.select([ours], [], [], 0)[0]):
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        try:
            shown += os.read(ours, 65536).decode(errors="replace").replace("\r", "")
        except OSError:  # the other end is closed
            break
        while left and left[0][0] in shown[seen:]:
            wanted, typed = left.pop(0)
            seen = shown.index(wanted, seen) + len(wanted)
            os.write(ours, typed.encode())
    os.close(ours)
    process.kill()
    process.wait()
    assert left == [], shown
    return shown

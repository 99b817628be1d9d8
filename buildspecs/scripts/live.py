"""Commands whose output people want to see while they run."""

from __future__ import annotations

import shlex
import subprocess
from collections import deque

import job

tail: deque[str] = deque(maxlen=job.TAIL)
"""The last lines of the last command."""


def run(why: str, *command: str, check: bool = True) -> int:
    """As `job.run`, but what the command prints goes to the log as it comes; returns the exit code."""
    job.say(f"==> {why}\n    $ {shlex.join(command)}")
    tail.clear()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        job.missing(command[0])
    with process:
        for line in process.stdout or ():
            tail.append(line)
            job.say(line.rstrip("\n"))
        code = process.wait()
    if check and code:
        job.ended(why, command, code, "".join(tail))
    return code

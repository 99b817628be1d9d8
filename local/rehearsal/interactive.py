"""A shell where a job has failed: in its folder, with its environment, under its role."""

from __future__ import annotations

import os
import pty
import shlex
from pathlib import Path

from local.rehearsal.codebuild import Scene


def open_shell(scene: Scene, title: str, scratch: Path) -> None:
    """Let a person work where a build has stopped, until the shell ends.

    Args:
        scene: Where it has stopped.
        title: What is said first.
        scratch: A folder for the shell's own files, which nobody else can read.
    """
    startup = scratch / "shell.rc"
    exported = [f"export {name}={shlex.quote(value)}" for name, value in scene.environment.items()]
    last = [f"cd {shlex.quote(scene.folder)}", "PS1='\\w\\$ '", f"echo {shlex.quote(title)}"]
    startup.touch(mode=0o600)
    startup.write_text("\n".join([*exported, *last, ""]), encoding="utf-8")
    # A session of its own in the machine's process namespace: otherwise the shell could not stop what it starts.
    bash = ["/usr/bin/setsid", "--ctty", "--wait", "/bin/bash", "--rcfile", str(startup), "-i"]
    kept = [f"TERM={os.environ.get('TERM', 'dumb')}"]
    pty.spawn([*scene.enter, "/usr/bin/env", "-i", *kept, *bash])

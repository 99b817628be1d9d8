"""Temporary folders that are removed however the process ends that has made them, SIGKILL included.

A shell waits for the end of a pipe whose other end this process holds, and with it every process that was given it. The
kernel closes it with the last of them, and the shell removes the folder, and the control groups that bear its name.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_REMOVE = """
cat > /dev/null
for _ in $(seq 100); do
  rm -rf "$1" && find /sys/fs/cgroup -type d -path "*/${1##*/}*" -delete && exit
  sleep 0.1
done
"""
"""Again and again for ten seconds: a process that was killed as well may not have ended yet."""


class TemporaryFolder(NamedTuple):
    """A folder.

    Attributes:
        path: Where it is.
        held_by: A file descriptor; the folder stays until every process that has inherited it has ended.
    """

    path: Path
    held_by: int


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[TemporaryFolder]:
    """Make a folder, and remove it at the end of the block or of this process."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    waited_for, held_by = os.pipe()
    with subprocess.Popen(
        ["/bin/sh", "-c", _REMOVE, "remove", str(path)],
        stdin=waited_for,
        stdout=subprocess.DEVNULL,  # whoever reads this process's output does not wait for the shell
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C and the end of the terminal are not for it
    ):
        os.close(waited_for)
        try:
            yield TemporaryFolder(path, held_by)
        finally:
            os.close(held_by)


@contextlib.contextmanager
def everything_temporary_in(folder: Path) -> Iterator[None]:
    """Have this process, and those that it starts, make all temporary files in a folder."""
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable

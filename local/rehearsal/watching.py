"""Does something again whenever a file has changed that it depends on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from local.rehearsal.application import files_of

_LOOK_SECONDS = 0.3
_QUIET_SECONDS = 0.5
"""For so long nothing may change before it begins: an editor or a checkout writes several files."""


def again_and_again(command: Sequence[str], folders: Iterable[Path]) -> None:
    """Run a command, and again each time that a file has changed since it began; until Ctrl-C.

    A process for each time: what has changed may be Python's own modules.

    Args:
        command: The command.
        folders: The folders and files that it depends on.
    """
    folders = list(folders)
    while True:
        seen = _stamp(folders)
        subprocess.run(command, check=False)
        print("Waiting for a change. Ctrl-C ends it.", file=sys.stderr, flush=True)
        changed = _changed(seen, _wait(folders, seen))
        print(f"\nChanged: {', '.join(changed)}", file=sys.stderr, flush=True)


def _wait(folders: Sequence[Path], seen: dict[Path, int]) -> dict[Path, int]:
    """Wait until something differs from what was seen, and has come to rest; returns what there is then."""
    now = _stamp(folders)
    while now == seen:
        time.sleep(_LOOK_SECONDS)
        now = _stamp(folders)
    while True:
        time.sleep(_QUIET_SECONDS)
        before, now = now, _stamp(folders)
        if now == before:
            return now


def _changed(seen: dict[Path, int], now: dict[Path, int]) -> list[str]:
    names = sorted(path.name for path in seen.keys() | now.keys() if seen.get(path) != now.get(path))
    return [*names[:3], *([f"and {len(names) - 3} more"] if len(names) > 3 else [])]


def _stamp(folders: Iterable[Path]) -> dict[Path, int]:
    """When each file has last been changed."""
    stamp = {}
    for folder in folders:
        for path in _files(folder):
            try:
                stamp[path] = path.lstat().st_mtime_ns
            except OSError:  # it has just been deleted
                continue
    return stamp


def _files(folder: Path) -> Iterator[Path]:
    """The files that Git tracks or would add; of a folder that is no repository, all."""
    if folder.is_file():
        yield folder
        return
    names = files_of(folder)
    if names:
        yield from (folder / name for name in names)
    else:
        yield from (path for path in folder.rglob("*") if ".git" not in path.parts and not path.is_dir())

"""The digest of a source tree: what stands in it, and neither when it was committed nor by whom.

It is the digest that git gives a tree in a repository whose objects are named by SHA-256, so that a person can take it:
`git init --object-format=sha256`, `git add --force --all`, `git write-tree`. Taken of the files as they are, because a
build gets these: .gitattributes and .gitignore change nothing. What git does not keep and a build sees counts as well:
empty folders, and permissions other than 644 and 755.
https://git-scm.com/docs/hash-function-transition, https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from jobs import job

CHUNK = 1024 * 1024
FOLDER = "40755"
"""An ordinary folder, whose permissions git does not keep."""


def digest_of(root: Path) -> str:
    """The digest of all that is in a folder, but for `.git` at its top; 64 hexadecimal digits.

    Ends the job for what cannot be read. No link is followed, and nothing is opened that is no file.
    """
    try:
        return _tree(root, leave=(".git",)).hex()
    except (OSError, RecursionError) as error:
        job.fail(f"the source cannot be read as a whole: {str(error)[: job.MOST_CHARACTERS]}.")


def _tree(folder: Path, leave: tuple[str, ...] = ()) -> bytes:
    """The digest of a folder."""
    entries = []
    with os.scandir(folder) as opened:
        found_here = list(opened)
    for entry in found_here:
        if entry.name in leave:
            continue
        mode, path = entry.stat(follow_symlinks=False).st_mode, Path(entry.path)
        name = os.fsencode(entry.name)
        if stat.S_ISLNK(mode):
            target = os.fsencode(os.readlink(path))  # noqa: PTH115 - of any bytes
            entries.append((name, b"120000", _digest(b"blob", target)))
        elif stat.S_ISDIR(mode):
            kept = "40000" if f"{mode:o}" == FOLDER else f"{mode:o}"
            entries.append((name + b"/", kept.encode(), _tree(path)))  # git sorts a folder as if its name ended so
        else:
            found = _file(path) if stat.S_ISREG(mode) else b""
            entries.append((name, f"{mode:o}".encode(), found))
    listed = [mode + b" " + name.rstrip(b"/") + b"\0" + found for name, mode, found in sorted(entries)]
    return _digest(b"tree", b"".join(listed))


def _digest(kind: bytes, content: bytes) -> bytes:
    """The digest of an object."""
    return hashlib.sha256(kind + b" " + str(len(content)).encode() + b"\0" + content).digest()


def _file(path: Path) -> bytes:
    """The digest of a file, of any length."""
    with path.open("rb") as opened:
        found = hashlib.sha256(b"blob " + str(os.fstat(opened.fileno()).st_size).encode() + b"\0")
        while chunk := opened.read(CHUNK):
            found.update(chunk)
    return found.digest()

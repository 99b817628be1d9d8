"""One line in a terminal while something takes long."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

_EVERY = 0.5


@contextlib.contextmanager
def progress(doing: str) -> Iterator[None]:
    """Show on standard error what is done and for how long; nothing where nobody looks at it."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    line = threading.Thread(target=_show, args=(doing, done))
    line.start()
    try:
        yield
    finally:
        done.set()
        line.join()


def _show(doing: str, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(_EVERY):
        sys.stderr.write(f"\r\x1b[K{doing} … {time.monotonic() - started:.0f} s")
        sys.stderr.flush()
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()

"""What a .dockerignore leaves out of the build context, as Docker reads it.

https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from jobs import job

PART = re.compile(r"\*\*/?|[*?]|\\.|[.$+(){}|^]")


def excluded(dockerfile: str, context: str) -> Callable[[str], bool]:
    """Whether a path within the context is left out, by the Dockerfile's own .dockerignore or by the context's."""
    files = (Path(f"{dockerfile}.dockerignore"), Path(context, ".dockerignore"))
    there = next((job.content(str(file)) for file in files if file.is_file()), b"")
    lines = there.decode("utf-8-sig", errors="replace").splitlines()
    rules = [rule(line.strip()) for line in lines if line.strip() and not line.startswith("#")]

    def by_the_last_that_matches(path: str) -> bool:
        return next((leaves_out for leaves_out, pattern in reversed(rules) if pattern.fullmatch(path)), False)

    return by_the_last_that_matches


def rule(line: str) -> tuple[bool, re.Pattern[str]]:
    """Whether a line leaves out what its pattern matches, or takes it back in; and the pattern."""
    leaves_out = not line.startswith("!")
    pattern = posixpath.normpath(line.lstrip("!").strip()).lstrip("/")
    try:
        return leaves_out, re.compile(f"(?:{PART.sub(expression, pattern)})(?:/.*)?", re.DOTALL)
    except (re.error, RecursionError):
        job.fail(f"{line[: job.TAIL]!r} in .dockerignore is no pattern: a [ has no ] or holds no range.")


def expression(part: re.Match[str]) -> str:
    """The regular expression for what is special in a pattern."""
    text = part[0]
    if text.startswith("**"):
        return ".*" if part.end() == len(part.string) else "(?:.*/)?"
    return {"*": "[^/]*", "?": "[^/]"}.get(text, text if text.startswith("\\") else f"\\{text}")

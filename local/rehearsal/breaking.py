"""Faults for trying out what a pipeline does with them, put into a copy of an application's code.

They are put into the code of `examples/app`. `build`, `crash` and `smoke` can be put into any other application, too,
by its Dockerfiles; where its pages and its health check are, nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from local.errors import Refusal

_HEALTHY = 'self._answer(HTTPStatus.OK, Page(b"ok\\n"'
_UNHEALTHY = r'self._answer(HTTPStatus.SERVICE_UNAVAILABLE, Page(b"broken\\n"'


def break_app(folder: Path, what: str, *, dockerfile: str = "Dockerfile", smoke: str = "smoke/Dockerfile") -> str:
    """Put a fault into a copy of an application, and return what it is, in words.

    Args:
        folder: The copy.
        what: One of `BREAKS`.
        dockerfile: The Dockerfile, below the folder.
        smoke: The Dockerfile of the smoke test.

    Raises:
        Refusal: There is no such fault, or the application has not what it is put into.
    """
    if what not in BREAKS:
        raise Refusal(f"there is no fault {what!r}; there are {', '.join(BREAKS)}")
    return BREAKS[what](folder, dockerfile, smoke)


def _build(folder: Path, dockerfile: str, _smoke: str) -> str:
    _append(folder / dockerfile, "COPY --no-such-option . .")
    return f"{dockerfile} has an instruction that no builder knows"


def _crash(folder: Path, dockerfile: str, _smoke: str) -> str:
    if _is_example(folder):
        start = folder / "shop" / "__main__.py"
        _replace(
            start, {r"def main\(\) -> None:\n( +)": r'def main() -> None:\n\1raise SystemExit("broken on purpose")\n\1'}
        )
    else:
        _append(folder / dockerfile, 'ENTRYPOINT ["false"]')
    return "the container ends as soon as it is started"


def _failing_smoke(folder: Path, _dockerfile: str, smoke: str) -> str:
    if _is_example(folder):
        _replace(folder / "smoke" / "smoke_test.py", {r'EXPECTED = ".*"': 'EXPECTED = "Fresh yesterday"'})
        return "the smoke test expects another text than the page has"
    _append(folder / smoke, 'ENTRYPOINT ["false"]')
    return "the smoke test fails"


def _health(folder: Path, _dockerfile: str, _smoke: str) -> str:
    _replace(folder / "shop" / "server.py", {re.escape(_HEALTHY): _UNHEALTHY})
    return "/healthz answers 503"


def _migration(folder: Path, _dockerfile: str, _smoke: str) -> str:
    _replace(folder / "shop" / "products.py", {r"CREATE TABLE products": "CREATE TABEL products"})
    return "a migration is not SQL, so that the application does not start"


def _lighthouse(folder: Path, _dockerfile: str, _smoke: str) -> str:
    missing = (
        r' lang="[^"]*"',
        r"<title>.*?</title>\n",
        r'<meta name="(?:viewport|description)"[^>]*>\n',
        r' alt="[^"]*"',
    )
    _replace(folder / "public" / "index.html", dict.fromkeys(missing, ""))
    return "the page has no language, title and description, and its pictures have no words"


BREAKS: Mapping[str, Callable[[Path, str, str], str]] = {
    "build": _build,
    "health": _health,
    "lighthouse": _lighthouse,
    "smoke": _failing_smoke,
    "crash": _crash,
    "migration": _migration,
}
"""The faults by name."""


def _is_example(folder: Path) -> bool:
    server = folder / "shop" / "server.py"
    return server.is_file() and _HEALTHY in server.read_text(encoding="utf-8")


def _append(file: Path, instruction: str) -> None:
    if not file.is_file():
        raise Refusal(f"the application has no {file.name} to put the fault into: {file}")
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text.rstrip()}\n{instruction}\n", encoding="utf-8")


def _replace(file: Path, replacements: Mapping[str, str]) -> None:
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    for pattern, replacement in replacements.items():
        text, count = re.subn(pattern, replacement, text)
        if not count:
            raise Refusal(
                f"this fault is put into the code of examples/app, and {file} is not as it is there: "
                "build, crash and smoke can be put into any application"
            )
    file.write_text(text, encoding="utf-8")

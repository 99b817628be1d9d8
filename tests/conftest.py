"""What holds for every test."""

from __future__ import annotations

import ast
import fnmatch
import functools
import gc
import signal
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from skips import pytest_make_collect_report, pytest_runtest_makereport, pytest_terminal_summary

from local.engine.providers.sdk_types import collection_paused
from local.rehearsal.aws_cli import WarmAwsCli
from local.rehearsal.tools import missing

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport", "pytest_terminal_summary"]

_ROOT = Path(__file__).resolve().parent.parent
_MEASURED = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coverage"]["run"]["include"]

_SLOWEST_FIRST = ("rehearsal", "engine", "", "local", "buildspecs", "external_checks")
"""Folders whose groups take long, the longest first, so that no processor ends long before another; then the rest."""

if sys.version_info < (3, 11, 8):
    _parse = ast.parse

    @functools.wraps(_parse)
    def _parse_alone(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as ast.parse
        with collection_paused():
            return _parse(*arguments, **options)

    # Tests leave garbage whose finalizers print tracebacks, and that must not happen within a parse.
    ast.parse = _parse_alone


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one deployed stack, and of one test file, in one process: they share what is slow to make.

    Processes take the groups in the order of the tests, because of ``--no-loadscope-reorder`` in the Makefile.
    """
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        callspec = getattr(item, "callspec", None)
        deployed = callspec.params.get("deployed") if callspec else None
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name}:{deployed}" if deployed else item.path.name))
    items.sort(key=lambda item: _place(item.path))


def pytest_collection_finish() -> None:
    """Spare the garbage collector modules and tests: they stay, and it would look at all of them again and again."""
    gc.collect()
    gc.freeze()


@functools.cache  # there are fifty tests in a file
def _place(path: Path) -> int:
    """Where a file's tests stand among the others."""
    folder = "".join(path.relative_to(_ROOT / "tests").parent.parts[:1])
    return _SLOWEST_FIRST.index(folder) if folder in _SLOWEST_FIRST else len(_SLOWEST_FIRST)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Measure the coverage of a module in its own tests only: tracing makes the others slower by half.

    The scripts of the jobs are tested together, by all of `tests/buildspecs`.
    """
    if not _is_measured(item.path):
        item.add_marker(pytest.mark.no_cover)


@functools.cache
def _is_measured(path: Path) -> bool:
    tested = path.relative_to(_ROOT / "tests")
    module = tested.with_name(tested.name.removeprefix("test_"))
    return any(fnmatch.fnmatch(str(module), pattern) for pattern in _MEASURED)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches what a test starts: a shell that runs the tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    """Go on only with the tools that this is called with (see `local.rehearsal.tools`).

    Skips by name what this machine cannot run; `skips` says so at the end.
    """
    return _need


def _need(*names: str) -> None:
    lines = missing(names)
    if lines:
        pytest.skip("; ".join(lines))


@pytest.fixture(scope="session")
def warm_aws_cli(need: Callable[..., None]) -> Iterator[Path]:
    """The folder for the front of PATH whose `aws` answers at once."""
    need("aws")
    # Not below pytest's own folder: a socket's path is short.
    with tempfile.TemporaryDirectory(prefix="aws-cli-") as folder, WarmAwsCli(Path(folder)) as cli:
        cli.await_ready()
        yield cli.bin

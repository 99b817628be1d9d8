"""Takes one guard away after the other, in a copy of the repository, and sees its test fail: `make mutations`.

The guards are the rows of ``mutations.tsv``. A guard whose test passes without it is named, and ends this with 1. So is
one whose test fails otherwise than by what it asserts, since that says nothing of the guard.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("mutations.tsv")
LONGEST_SECONDS = 600
"""A test that takes longer, on a busy machine, is given up."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "pulumi_aws", "pulumi_awsx", "yaml"])
_NO_PROGRAM = re.compile(r"\b(NameError|SyntaxError|IndentationError|ImportError|ModuleNotFoundError): .*")
"""What a mutation that is no program leads to: any test fails then."""


class Mutation(NamedTuple):
    """A row of the table: a guard, how it is taken away, and what notices that."""

    kind: str
    guard: str
    file: str
    text: str
    replacement: str
    test: str

    def applied(self, before: str) -> str:
        """Return a file's text without the guard.

        Raises:
            ValueError: The text does not stand there exactly once.
        """
        if (count := before.count(self.text)) != 1:
            raise ValueError(f"{self.guard}: in {self.file} this must stand once, it stands {count} times: {self.text}")
        return before.replace(self.text, self.replacement)


def mutations(words: str = "") -> list[Mutation]:
    """Return the rows of the table that have these words in them."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = csv.reader(lines[1:], delimiter="\t", quoting=csv.QUOTE_NONE)
    found = [Mutation(*(part.replace("\\n", "\n") for part in row)) for row in rows]
    return [each for each in found if words.lower() in " ".join(each).lower()]


def copy_to(folder: Path) -> None:
    """Copy the files of the repository, new ones included; Git knows them there, too."""
    # A checkout may belong to somebody else than root, who runs the tests in a container.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)


class Outcome(NamedTuple):
    """What pytest says of some tests."""

    code: int | None
    passed: int
    failed: int
    """Failed in the test itself, not before or after it."""
    said: str

    @property
    def last(self) -> str:
        """The last lines."""
        return "\n".join(self.said.splitlines()[-15:])


def outcome(folder: Path, *arguments: str, keep_compiled: bool = False) -> Outcome:
    """Run tests of a copy in a process that has the packages loaded already, which takes longer than most of the tests.

    Args:
        folder: The copy.
        arguments: Tests as pytest names them, and options of pytest.
        keep_compiled: Whether Python keeps what it compiles: not of a file that will be another one in a moment.
    """
    with tempfile.TemporaryDirectory() as elsewhere:
        report, said = Path(elsewhere, "report.xml"), Path(elsewhere, "said.txt")
        options = ["-q", "--color=no", "-p", "no:cacheprovider", f"--basetemp={elsewhere}/base", f"--junitxml={report}"]
        process = _FORKS.Process(target=_tests, args=(folder, [*options, *arguments], said, keep_compiled))
        process.start()
        process.join(LONGEST_SECONDS)
        process.kill()
        process.join()
        # pytest has written it.
        cases = list(ET.parse(report).iter("testcase")) if report.is_file() else []  # noqa: S314
        return Outcome(
            code=process.exitcode,
            passed=sum({part.tag for part in case} <= {"system-out", "system-err"} for case in cases),
            failed=sum(case.find("failure") is not None for case in cases),
            said=said.read_text(encoding="utf-8", errors="replace") if said.is_file() else "",
        )


def _tests(folder: Path, arguments: Sequence[str], said: Path, keep_compiled: bool) -> None:
    """Be pytest in the folder, whatever is imported of the repository itself."""
    with said.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    sys.path[:] = [path for path in sys.path if path not in ("", str(ROOT), str(ROOT / "tests"))]
    sys.dont_write_bytecode = not keep_compiled
    os.environ["PYTHONDONTWRITEBYTECODE"] = "" if keep_compiled else "1"
    sys.exit(pytest.main(list(arguments)))


def survival(folder: Path, mutation: Mutation) -> str:
    """Take a guard away in a copy, run its test, and put the guard back.

    Returns:
        why the mutation is not killed; empty when it is.
    """
    file = folder / mutation.file
    before = file.read_text(encoding="utf-8")
    try:
        file.write_text(mutation.applied(before), encoding="utf-8")
        found = outcome(folder, "-x", mutation.test)
    finally:
        file.write_text(before, encoding="utf-8")
    if found.code == 0:
        return f"survives: {found.passed} tests pass without it"
    broken = _NO_PROGRAM.search(found.said)
    if found.code != 1 or not found.failed or broken:
        return (
            f"says nothing: {broken[0] if broken else f'no test failed, pytest ended with {found.code}'}\n{found.last}"
        )
    return ""


def run(wanted: Sequence[Mutation], processes: int) -> int:
    """Try these mutations; returns the number of those that are not killed."""
    begun, free = time.monotonic(), SimpleQueue[Path]()
    with tempfile.TemporaryDirectory(prefix="mutations-") as parent, ThreadPoolExecutor(processes) as workers:
        first, *others = (Path(parent, str(number)) for number in range(processes))
        copy_to(first)
        tests = sorted({each.test for each in wanted})
        print(f"{len(tests)} tests, first with every guard in its place ...", flush=True)
        whole = outcome(first, *tests, keep_compiled=True)
        if whole.code or not whole.passed:
            print(f"They must pass before anything is changed:\n{whole.said}")
            return len(wanted)
        free.put(first)
        for other in others:
            free.put(shutil.copytree(first, other, symlinks=True))

        def tried(mutation: Mutation) -> tuple[Mutation, str, float]:
            folder, start = free.get(), time.monotonic()
            try:
                return mutation, survival(folder, mutation), time.monotonic() - start
            finally:
                free.put(folder)

        left: list[tuple[Mutation, str]] = []
        for number, done in enumerate(as_completed([workers.submit(tried, each) for each in wanted]), 1):
            mutation, why, seconds = done.result()
            left += [(mutation, why)] if why else []
            state = why.partition(":")[0].upper() or "killed"
            print(
                f"{number:>4}/{len(wanted)} {state:12} {seconds:5.1f} s  {mutation.kind}: {mutation.guard}", flush=True
            )
    for mutation, why in left:
        print(f"\n{mutation.guard} ({mutation.file}, {mutation.test})\n{why}")
    minutes = (time.monotonic() - begun) / 60
    print(f"\n{len(wanted)} guards, {len(wanted) - len(left)} mutations killed, {minutes:.1f} minutes")
    return len(left)


def main() -> int:
    """Do as the command line says; returns 0 when every mutation is killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="?", default="", help="take the rows of the table that have these words in them")
    parser.add_argument("-n", "--processes", type=int, default=os.cpu_count() or 1, help="how many run side by side")
    given = parser.parse_args()
    wanted = mutations(given.words)
    if not wanted:
        parser.error(f"no row of {TABLE.name} has {given.words!r} in it")
    return 1 if run(wanted, max(1, min(given.processes, len(wanted)))) else 0


if __name__ == "__main__":
    sys.exit(main())

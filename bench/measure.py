"""Runs a command and measures it: its time when nobody watches, its memory in a run of its own.

Memory is read from Linux' `/proc`, with 20 ms between samples; elsewhere there are no memory figures.

- The program's process: `VmHWM`, the kernel's own record of the most memory the process ever held. No sample misses it.
- The whole tree: the sum of `Pss` (shared pages divided by those who share them) over the command and
  all its descendants, the largest of all samples. A peak between two samples is missed.
"""

from __future__ import annotations

import re
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_INTERVAL = 0.02
"""Seconds between two samples of the memory."""


class BenchError(Exception):
    """Something could not be measured; says what and what to do about it."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is measured.

    Attributes:
        words: The command line.
        folder: Where it runs.
        environment: All of its environment.
        program: Consecutive words of a command line by which the program's own process is known in the tree.
    """

    words: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    program: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Time:
    """How long a command took.

    Attributes:
        wall: Seconds from the start of its first process to the end of its last.
        processor: Seconds of processor time of all its processes: what others do meanwhile adds less to it.
    """

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory held.

    Attributes:
        program: By the program's process, in MB (2**20 bytes).
        tree: By all processes of the command together, in MB.
    """

    program: float
    tree: float


def memory_is_known() -> bool:
    """Whether this system tells how much memory its processes hold."""
    return (_PROC / "self" / "smaps_rollup").exists()


def own_peak() -> float:
    """The most memory this process ever held, in MB; 0 where that is not known."""
    return _kilobytes(_PROC / "self" / "status", "VmHWM") / 1024


def output(command: Command) -> str:
    """Run the command and return what it prints.

    Raises:
        BenchError: It failed.
    """
    return _finish(command, _start(command))


def seconds(command: Command) -> Time:
    """Run the command and return how long it took.

    Raises:
        BenchError: It failed.
    """
    started, worked = time.perf_counter(), _worked()
    output(command)
    return Time(time.perf_counter() - started, _worked() - worked)


def _worked() -> float:
    """The processor time of all processes that this one has waited for, and that these have."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak(command: Command) -> Peak:
    """Run the command and return the most memory it held. The watching slows it down, so its time means nothing.

    Raises:
        BenchError: It failed.
    """
    process = _start(command)
    peaks = [Peak(program=0, tree=0)]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_INTERVAL):
            peaks.append(_memory(process.pid, command.program))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        _finish(command, process)
    finally:
        ended.set()
        watching.join()
    return Peak(program=max(value.program for value in peaks), tree=max(value.tree for value in peaks))


def _memory(root: int, program: Sequence[str]) -> Peak:
    """What the processes hold at this moment."""
    members = _tree(root)
    known = [member for member in members if _contains(_words(member), program)]
    return Peak(
        program=max((_kilobytes(_PROC / str(member) / "status", "VmHWM") for member in known), default=0) / 1024,
        tree=sum(_kilobytes(_PROC / str(member) / "smaps_rollup", "Pss") for member in members) / 1024,
    )


def _start(command: Command) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command.words,
            cwd=command.folder,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        raise BenchError(f"{command.words[0]} not found; install it and repeat the command") from None


def _finish(command: Command, process: subprocess.Popen[str]) -> str:
    printed, errors = process.communicate()
    if process.returncode:
        said = "\n".join((errors or printed).splitlines()[-15:])
        raise BenchError(f"{' '.join(command.words)} ended with {process.returncode}, so there is no figure:\n{said}")
    return printed


def _tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            # pid (name, which may hold anything) state parent ...
            fields = _text(folder / "stat").rpartition(")")[2].split()
            if fields:
                children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, new = [root], [root]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def _words(process: int) -> list[str]:
    return _text(_PROC / str(process) / "cmdline").split("\0")


def _contains(words: Sequence[str], wanted: Sequence[str]) -> bool:
    return any(tuple(words[start : start + len(wanted)]) == tuple(wanted) for start in range(len(words)))


def _kilobytes(file: Path, key: str) -> float:
    """A line such as `VmHWM:   52340 kB`; 0 once the process has ended."""
    line = re.search(rf"^{key}:\s+(\d+) kB", _text(file), re.MULTILINE)
    return float(line[1]) if line else 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""  # the process has ended meanwhile

"""Builds a tool from its Go modules, once, for what no package manager brings in the version that is needed.

What is built is kept in the user's cache directory, per version; our own `go.mod` and `go.sum` say what it is made of.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import MissingTool, Refusal

_OLDEST_GO = (1, 21)
"""The first Go that fetches the newer Go a module asks for."""
_HEARTBEAT = 20.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoTool:
    """One or several commands that are built from Go modules.

    Attributes:
        name: what people call it; the folder in the cache is named after it.
        version: as in `3.259.0`.
        module: the folder with our `go.mod`.
        packages: the Go package of each command, by the command's name.
        variables: what to write into the commands, by the name of the Go variable.
        wait: how long building takes, in words.
        instead: another way to get it, a line for a person; empty for none.
    """

    name: str
    version: str
    module: Path
    packages: Mapping[str, str]
    variables: Mapping[str, str]
    wait: str
    instead: str = ""

    @property
    def bin(self) -> Path:
        """The folder the commands are in once they are built."""
        return self._folder / "bin"

    @property
    def built(self) -> bool:
        """Whether all its commands are there."""
        return all((self.bin / command).is_file() for command in self.packages)

    @property
    def _folder(self) -> Path:
        return cache_directory() / f"{self.name}-v{self.version}"

    def build(self) -> None:
        """Build it into its place, or wait for somebody who is already building it; nothing if it is there.

        Raises:
            MissingTool: there is nothing to build it with.
            Refusal: building it failed.
        """
        if self.built:
            return
        go, environment = self._go()

        def make(folder: Path) -> None:
            say(
                f"There is no {self.name} on this machine: building {self.name} {self.version} from its Go modules.",
                f"This happens once, takes {self.wait} on two cores, and goes to {self._folder}.",
            )
            for command in self.packages:
                self._compile(go, environment, folder / "bin" / command)

        make_once(self._folder, f"{self.name} {self.version}", make)

    def _go(self) -> tuple[str, dict[str, str]]:
        """Find a Go that can build it, and the environment it is to run in.

        Raises:
            MissingTool: there is none, or it is too old.
        """
        go = shutil.which("go")
        if go is None:
            raise MissingTool(
                self._how_to_install(f"There is no {self.name} on this machine, and no Go to build it with.")
            )
        environment = {key: value for key, value in os.environ.items() if key not in {"GOFLAGS", "GOOS", "GOARCH"}}
        environment |= {"CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}
        environment.setdefault(
            "GOGC", "400"
        )  # the compiler collects less garbage: a seventh less work, for more memory
        with contextlib.suppress(RuntimeError):
            environment.setdefault("HOME", str(Path.home()))
        # Asked outside any module, and told to answer for itself: a module may make Go answer for a newer one.
        asked = {**environment, "GOTOOLCHAIN": "local"}
        answer = subprocess.run([go, "version"], env=asked, cwd="/", capture_output=True, text=True, check=False)
        match = re.search(r"go(\d+)\.(\d+)", answer.stdout)
        version = (int(match[1]), int(match[2])) if match else (0, 0)
        if version < _OLDEST_GO:
            known = f"Go {version[0]}.{version[1]}" if match else "a Go that does not tell its version"
            reason = f"There is no {self.name} on this machine, and {known} ({go}) is too old to build it."
            raise MissingTool(self._how_to_install(reason))
        if version < self._wanted_go():
            environment["GOTOOLCHAIN"] = "auto"  # some distributions turn the fetching of a newer Go off
        return go, environment

    def _wanted_go(self) -> tuple[int, int]:
        match = re.search(r"^go (\d+)\.(\d+)", (self.module / "go.mod").read_text(), re.MULTILINE)
        return (int(match[1]), int(match[2])) if match else _OLDEST_GO

    def _how_to_install(self, reason: str) -> str:
        oldest = ".".join(map(str, _OLDEST_GO))
        go = f"  Go       sudo apt-get install golang-go   (it must be {oldest} or newer; if it is not: https://go.dev/dl)"
        if not self.instead:
            return f"{reason}\nInstall it, then repeat the command:\n{go}"
        return f"{reason}\nInstall either of them, then repeat the command:\n  {self.instead}\n{go}"

    def _compile(self, go: str, environment: dict[str, str], output: Path) -> None:
        """Run `go build`, showing how far it is; show what Go says only if it fails."""
        flags = " ".join(["-w -s", *(f"-X {name}={value}" for name, value in self.variables.items())])
        command = [go, "build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
        command += ["-gcflags", "all=-dwarf=false"]  # the linker would drop it: a fifth less work
        progress = Progress()
        with subprocess.Popen(
            [*command, "-o", output, self.packages[output.name]],
            cwd=self.module,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                for line in process.stdout or ():
                    progress.take(line)
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            said = "\n".join(f"  {line}" for line in progress.tail)
            raise Refusal(f"Building {self.name} {self.version} failed. Go said:\n{said}")


def locked_version(folder: Path, module: str) -> str:
    """Return the version, without its `v`, that the `go.mod` in a folder requires of a module."""
    text = (folder / "go.mod").read_text(encoding="utf-8")
    match = re.search(rf"^(?:require)?\s+{re.escape(module)} v(\S+)", text, re.MULTILINE)
    if match is None:
        raise LookupError(f"{folder / 'go.mod'} does not require {module}")
    return match[1]


def cache_directory() -> Path:
    """Where this project keeps what it builds, in the user's own cache directory."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(configured) if Path(configured).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise Refusal("This user has no home directory: set HOME or XDG_CACHE_HOME to a directory.") from None
    return base / "ecs-delivery"


class Progress:
    """What `go build -v` has done so far."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=30)
        self._downloaded = self._compiled = 0
        self._started = self._told = time.monotonic()

    def take(self, line: str) -> None:
        """Take in a line of Go's, and now and then say how far it is."""
        if line.startswith("go: downloading "):
            self._downloaded += 1
        else:
            # `-v` names each package it compiles; anything else is worth showing if the build fails.
            self._compiled += 1
            self.tail.append(line.rstrip())
        now = time.monotonic()
        if now - self._told >= _HEARTBEAT:
            self._told = now
            what = f"{self._compiled} packages compiled" if self._compiled else f"{self._downloaded} modules downloaded"
            say(f"  {clock(now - self._started)}  {what}")


def make_once(target: Path, name: str, make: Callable[[Path], None]) -> None:
    """Make a folder of the cache, unless it is there, wholly or not at all; two commands at once make one.

    Args:
        target: the folder.
        name: what it is called in messages.
        make: fills the folder that it is given.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name} is being made by another command; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.unfinished-") as folder:
            unfinished = Path(folder, "whole")
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(target)  # at once: others may be looking for it
        say(f"{name} is ready after {clock(time.monotonic() - started)}.")


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def say(*lines: str) -> None:
    """Tell the person who waits, on standard error: standard output is the command's answer."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)

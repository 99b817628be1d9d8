"""Finds the `pulumi` command, or builds it once.

In this order: the one on PATH, if it is recent enough; the one built earlier; one built now from Go modules, since
there is no package of it that pip could install. What was built is kept in the user's cache directory, per version.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import MissingTool, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULE = Path(__file__).parent / "pulumi-cli"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_OLDEST = (3, 200)
"""The oldest CLI taken from PATH; older ones lack parts of the protocol the stand-ins speak."""
_OLDEST_GO = (1, 21)
"""The first Go that fetches the newer Go a module asks for."""
_HEARTBEAT = 30.0
"""Seconds between two lines of progress where lines cannot be rewritten."""


@dataclass(frozen=True, slots=True)
class PulumiCli:
    """A usable `pulumi` command.

    Attributes:
        path: the executable.
        version: as in `3.259.0`.
    """

    path: Path
    version: str


def cache_directory() -> Path:
    """Where this project keeps what it builds, in the user's own cache directory."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(configured) if Path(configured).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise Refusal("This user has no home directory: set HOME or XDG_CACHE_HOME to a directory.") from None
    return base / "ecs-delivery"


def find_pulumi() -> PulumiCli:
    """Return a `pulumi` command, building it if there is none.

    Raises:
        MissingTool: there is none, and nothing to build it with.
        Refusal: building it failed.
    """
    version = built_version()
    on_path = shutil.which("pulumi")
    if on_path:
        found = _version_of(Path(on_path))
        if found and found[0] == _OLDEST[0] and found >= _OLDEST:
            return PulumiCli(Path(on_path), ".".join(map(str, found)))
        described = ".".join(map(str, found)) if found else "of unknown version"
        oldest = ".".join(map(str, _OLDEST))
        _say(f"pulumi on PATH ({on_path}) is {described}, and {oldest} or newer is needed: using {version} instead.")
    built = cache_directory() / f"pulumi-v{version}"
    if not (built / "bin" / "pulumi").is_file():
        _build(built, version)
    return PulumiCli(built / "bin" / "pulumi", version)


def built_version() -> str:
    """The version `pulumi-cli/go.mod` asks for."""
    match = re.search(r"^\s*github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (_MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise LookupError(f"{_MODULE / 'go.mod'} does not require the Pulumi CLI")
    return match[1]


def _version_of(path: Path) -> tuple[int, ...] | None:
    """Ask a `pulumi` command for its version, once per file: asking takes a sixth of a second."""
    status = path.stat()
    key = [str(path.resolve()), status.st_mtime_ns, status.st_size]
    memory = cache_directory() / "pulumi-on-path.json"
    with contextlib.suppress(OSError, ValueError):
        remembered = json.loads(memory.read_text(encoding="utf-8"))
        if remembered["key"] == key:
            return tuple(remembered["version"])
    try:
        with tempfile.TemporaryDirectory() as home:  # it would leave a log in the user's own
            environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_HOME": home}
            answer = subprocess.run(
                [path, "version"], env=environment, capture_output=True, text=True, timeout=60, check=False
            )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer.stdout)
    if match is None:
        return None
    version = tuple(map(int, match.groups()))
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"key": key, "version": version}), encoding="utf-8")
    return version


def _build(target: Path, version: str) -> None:
    """Build the CLI into its place, or wait for somebody who is already building it."""
    go, environment = _go()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.with_name(f"{target.name}.lock")):
        if (target / "bin" / "pulumi").is_file():
            return
        _say(
            f"There is no pulumi on this machine: building pulumi {version} from its Go modules.",
            f"This happens once, takes 4 to 5 minutes on two cores, and goes to {target}.",
        )
        started = time.monotonic()
        unfinished = Path(tempfile.mkdtemp(dir=target.parent, prefix=f"{target.name}.building-"))
        try:
            _compile(go, environment, unfinished / "bin" / "pulumi", version)
            unfinished.chmod(0o755)
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        _say(f"pulumi {version} is ready after {_clock(time.monotonic() - started)}.")


def _go() -> tuple[str, dict[str, str]]:
    """Find a Go that can build the CLI, and the environment it is to run in.

    Raises:
        MissingTool: there is none, or it is too old.
    """
    go = shutil.which("go")
    if go is None:
        raise MissingTool(_how_to_install("There is no pulumi on this machine, and no Go to build it with."))
    environment = {key: value for key, value in os.environ.items() if key not in {"GOFLAGS", "GOOS", "GOARCH"}}
    environment |= {"CGO_ENABLED": "0", "GOWORK": "off", "GO111MODULE": "on"}
    with contextlib.suppress(RuntimeError):
        environment.setdefault("HOME", str(Path.home()))
    # Asked outside any module, and told to answer for itself: a module may make Go answer for a newer one.
    asked = {**environment, "GOTOOLCHAIN": "local"}
    answer = subprocess.run([go, "version"], env=asked, cwd="/", capture_output=True, text=True, check=False)
    match = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < _OLDEST_GO:
        known = f"Go {version[0]}.{version[1]}" if match else "a Go that does not tell its version"
        reason = f"There is no pulumi on this machine, and {known} ({go}) is too old to build it."
        raise MissingTool(_how_to_install(reason))
    if version < _wanted_go():
        environment["GOTOOLCHAIN"] = "auto"  # some distributions turn the fetching of a newer Go off
    return go, environment


def _wanted_go() -> tuple[int, int]:
    match = re.search(r"^go (\d+)\.(\d+)", (_MODULE / "go.mod").read_text(), re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else _OLDEST_GO


def _how_to_install(reason: str) -> str:
    oldest = ".".join(map(str, _OLDEST_GO))
    return "\n".join(
        (
            reason,
            "Install either of them, then repeat the command:",
            "  pulumi   curl -fsSL https://get.pulumi.com | sh   (the official installer; then open a new shell)",
            f"  Go       sudo apt-get install golang-go   (it must be {oldest} or newer; if it is not: https://go.dev/dl)",
        )
    )


def _compile(go: str, environment: dict[str, str], output: Path, version: str) -> None:
    """Run `go build`, showing how far it is; show what Go says only if it fails."""
    flags = f"-w -s -X {_VERSION_VARIABLE}=v{version}"
    command = [go, "build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
    progress = _Progress()
    with subprocess.Popen(
        [*command, "-o", output, _PACKAGE],
        cwd=_MODULE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        reader = threading.Thread(target=progress.read, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                progress.show()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
        except BaseException:
            process.terminate()
            raise
        finally:
            reader.join(timeout=5)
            progress.end()
    if process.returncode != 0:
        said = "\n".join(f"  {line}" for line in progress.tail)
        raise Refusal(f"Building pulumi {version} failed. Go said:\n{said}")


class _Progress:
    """What `go build -v` has done so far, in one line."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=30)
        self._downloaded = 0
        self._compiled = 0
        self._started = time.monotonic()
        self._next_line = _HEARTBEAT

    def read(self, lines: Iterator[str]) -> None:
        """Take in Go's output until it ends."""
        for line in lines:
            if line.startswith("go: downloading "):
                self._downloaded += 1
            else:
                # `-v` names each package it compiles; anything else is worth showing if the build fails.
                self._compiled += 1
                self.tail.append(line.rstrip())

    def show(self) -> None:
        """Write the line: over itself every second in a terminal, now and then elsewhere."""
        elapsed = time.monotonic() - self._started
        if self._compiled:
            what = f"{self._compiled} packages compiled"
        elif self._downloaded:
            what = f"{self._downloaded} modules downloaded"
        else:
            what = "starting"
        text = f"  {_clock(elapsed)}  {what}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif elapsed >= self._next_line:
            self._next_line += _HEARTBEAT
            _say(text)

    def end(self) -> None:
        """Leave the terminal's cursor at the beginning of an empty line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep others from building at the same time."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("pulumi is being built by another command; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _say(*lines: str) -> None:
    """Tell the person who waits, on standard error: standard output is the command's answer."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)

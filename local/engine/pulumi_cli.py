"""Finds the `pulumi` command, or builds it once.

In this order: the one on PATH, if it is recent enough; the one built earlier; one built now from Go modules, since
there is no package of it that pip could install. What was built is kept in the user's cache directory, per version.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local.go_tool import GoTool, cache_directory, locked_version, say

_MODULE = Path(__file__).parent / "pulumi-cli"
_OLDEST = (3, 200)
"""The oldest CLI taken from PATH; older ones lack parts of the protocol the stand-ins speak."""


@dataclass(frozen=True, slots=True)
class PulumiCli:
    """A usable `pulumi` command.

    Attributes:
        path: the executable.
        version: as in `3.259.0`.
    """

    path: Path
    version: str


def is_there() -> bool:
    """Whether there is a `pulumi` command, without having to build one."""
    return shutil.which("pulumi") is not None or _tool().built


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
        say(f"pulumi on PATH ({on_path}) is {described}, and {oldest} or newer is needed: using {version} instead.")
    tool = _tool()
    tool.build()
    return PulumiCli(tool.bin / "pulumi", version)


def _tool() -> GoTool:
    """The command as it is built."""
    version = built_version()
    return GoTool(
        name="pulumi",
        version=version,
        module=_MODULE,
        packages={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
        variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": f"v{version}"},
        wait="4 to 5 minutes",
        instead="pulumi   curl -fsSL https://get.pulumi.com | sh   (the official installer; then open a new shell)",
    )


def built_version() -> str:
    """The version `pulumi-cli/go.mod` asks for."""
    return locked_version(_MODULE, "github.com/pulumi/pulumi/pkg/v3")


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

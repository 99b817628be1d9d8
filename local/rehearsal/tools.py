"""The tools that the rehearsal needs beside Python's, and how each is brought.

`python -m local tools` brings what is missing:

- packages of the machine's own release, when it is run by root;
- the AWS CLI v2 in the version that `local.rehearsal.aws_cli` pins;
- a Docker engine from Debian's next release, unpacked into the user's cache and not installed, unless the machine has
  one that is new enough: its programs are run then, in the rehearsal's own namespaces and with data of their own;
- packages of Debian that stand-ins for base images are made of, unpacked into the user's cache and not installed;
- BuildKit with its Dockerfile frontend, and buildx, in the versions that builds use, and Notation,
  built from their Go modules.

`missing` says what a test cannot do without.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from components.jobs.buildspec import FOLDER
from local import apt
from local.errors import MissingTool, Refusal
from local.go_tool import GoTool, cache_directory, locked_version, make_once, say
from local.rehearsal import aws_cli

_MODULE = Path(__file__).parent / "builder"
_NOTATION = FOLDER / "notation"
BUILDKIT = locked_version(_MODULE, "github.com/moby/buildkit")
"""As buildspecs/build-image.yml pins it."""
BUILDX = locked_version(_MODULE, "github.com/docker/buildx")
"""As in CodeBuild's images, see components/jobs/build_project.py (aws-codebuild-docker-images, 2026-04)."""
HOW = "make tools" if os.geteuid() == 0 else "make test as root, on Debian 12 or 13"
NODE = "install Node.js 20 or newer with npm 10 or newer: https://nodejs.org"
_OLDEST_NPM = 10
"""npm 9, which Debian 13 has, finds no lock file where packages are overridden that others ask the latest of."""
_ENGINE_PACKAGES = ("docker.io", "docker-cli", "containerd", "tini")
_ENGINE_COMMANDS = ("dockerd", "docker", "containerd", "containerd-shim-runc-v2", "docker-init", "docker-proxy")
_ENGINE_PLACES = "/usr/local/libexec/docker:/usr/libexec/docker:/usr/local/lib/docker:/usr/lib/docker"
"""Where a Docker engine looks for helpers before it does so on PATH: https://github.com/moby/moby/pull/45198."""
_OLDEST_ENGINE = 26
"""Of the Docker engine: its containerd image store keeps indexes and attestations."""
_NEXT_RELEASE = {"bookworm": "trixie"}
"""Debian's release with a Docker engine new enough, by the release of the machine. Debian 12's own is 20.10."""
_RELEASES = ("trixie",)
REHEARSAL = ("aws", "builder", "docker", "haproxy", "ministack", "namespaces")
"""What every rehearsal needs."""
_PACKAGES = {
    "busybox": "busybox-static",
    "chromium": "chromium",
    "git": "git",
    "git-lfs": "git-lfs",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "pkill": "procps",
    "runc": "runc",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""Debian's package of each command."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something a test may need.

    Attributes:
        problem: what is missing of it here, in words; empty when it can be used.
        cure: the command that brings it.
        commands: those of its commands that a package of the machine's release brings.
    """

    problem: Callable[[], str]
    cure: str = HOW
    commands: tuple[str, ...] = ()


def builder() -> GoTool:
    """BuildKit and buildx."""
    return GoTool(
        name="buildkit-and-buildx",
        version=BUILDKIT,
        module=_MODULE,
        packages={
            "buildkitd": "github.com/moby/buildkit/cmd/buildkitd",
            "buildctl": "github.com/moby/buildkit/cmd/buildctl",
            "buildx": "github.com/docker/buildx/cmd/buildx",
        },
        variables={
            "github.com/moby/buildkit/version.Version": f"v{BUILDKIT}",
            "github.com/docker/buildx/version.Version": f"v{BUILDX}",
        },
        wait="4 to 5 minutes",
    )


def frontend() -> GoTool:
    """BuildKit's Dockerfile frontend, which ``# syntax=docker/dockerfile:1`` fetches from Docker Hub as an image."""
    return GoTool(
        name="dockerfile-frontend",
        version=BUILDKIT,
        module=_MODULE,
        packages={"dockerfile-frontend": "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend"},
        variables={"github.com/moby/buildkit/version.Version": f"v{BUILDKIT}"},
        wait="half a minute after BuildKit",
    )


def notation() -> GoTool:
    """Notation, by which jobs sign images and verify signatures; of the jobs' own sources."""
    return GoTool(
        name="notation",
        version=f"{locked_version(_NOTATION, 'github.com/notaryproject/notation')}-{_fingerprint(_NOTATION)}",
        module=_NOTATION,
        packages={"notation": "github.com/notaryproject/notation/cmd/notation"},
        variables={},
        wait="a minute",
    )


def _fingerprint(folder: Path) -> str:
    """What tells the sources in a folder from others."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


def engine() -> dict[str, str]:
    """The paths of the Docker engine's commands by name: the machine's own, or else those in the user's cache."""
    own = {name: _find(name, _ENGINE_PLACES) or "" for name in _ENGINE_COMMANDS}
    return {name: str(_brought_engine() / name) for name in _ENGINE_COMMANDS} if _problem_of_own_engine() else own


def _brought_engine() -> Path:
    return cache_directory() / "docker-engine" / "bin"


def _problem_of_own_engine() -> str:
    """Why the Docker engine that is installed on this machine cannot be run for a rehearsal; empty when it can."""
    absent = [name for name in _ENGINE_COMMANDS if _find(name, _ENGINE_PLACES) is None]
    if absent:
        return f"{', '.join(absent)} not on PATH"
    dockerd = _find("dockerd") or ""
    version = _version_of_engine(dockerd, Path(dockerd).stat().st_mtime_ns)
    major = version.partition(".")[0]
    new = major.isdigit() and int(major) >= _OLDEST_ENGINE
    return "" if new else f"{dockerd} is {version or 'of no version'}, and {_OLDEST_ENGINE} or newer is wanted"


@functools.cache
def _version_of_engine(dockerd: str, _changed: int) -> str:
    said = subprocess.run([dockerd, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"Docker version (\S+?),", said)
    return found[1] if found else ""


def check_machine() -> None:
    """Refuse a machine on which nothing can be rehearsed, whatever is brought.

    Raises:
        MissingTool: it has no namespaces, or this user may not make any.
    """
    what = "Jobs of the pipeline run in namespaces of their own, which need"
    if sys.platform != "linux":
        there = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        raise MissingTool(
            f"{what} Linux, and this is {there}: repeat the command as root of a virtual machine with Linux."
        )
    if os.geteuid() != 0:
        raise MissingTool(f"{what} root: repeat the command as root.")


def missing(names: Iterable[str]) -> list[str]:
    """A line for each of these tools that cannot be used, with the command that brings it."""
    lines = []
    for name in names:
        if name not in TOOLS:
            raise LookupError(f"{name!r} is no tool of the rehearsal; there are {', '.join(sorted(TOOLS))}")
        problem = TOOLS[name].problem()
        if problem:
            lines.append(f"{name}: {problem} (bring it: {TOOLS[name].cure})")
    return lines


def command(name: str) -> str:
    """The path of one of these tools' commands.

    Raises:
        MissingTool: it is not here.
    """
    found = _find(name)
    if found is None:
        raise MissingTool(f"{name} is not on PATH; bring it: {HOW}")
    return found


def bring(names: Iterable[str] = ()) -> None:
    """Bring tools that are missing, telling what and how far.

    Args:
        names: those whose packages are wanted; by default all.

    Raises:
        MissingTool: something can only be brought by somebody else, or there is nothing to bring it with.
        Refusal: bringing it failed.
    """
    wanted = tuple(names) or tuple(TOOLS)
    aws_cli.bring()
    check_machine()
    release = _release_with_engine() if _engine() else ""  # what cannot be had is said before anything is built
    _install_packages({command for name in wanted for command in TOOLS[name].commands})
    builder().build()
    frontend().build()
    if "notation" in wanted:
        notation().build()
    if release:
        _unpack_engine(release)
    if "base-images" in wanted:
        _fetch_base_images()
    left = missing(wanted)
    if left:
        raise MissingTool("\n".join(["These tools are still missing:", *(f"  {line}" for line in left)]))


def bring_if_possible() -> None:
    """Bring the tools that are missing and that this user may bring, and say what is left; never fail."""
    if not missing(TOOLS):
        return
    try:
        bring()
    except Refusal as refusal:
        say(str(refusal), "Going on: the tests that need these tools are skipped.")


def versions() -> str:
    """Return what tools that are not locked say of their version: Debian's packages, the Docker engine and Node.js.

    Debian's archive keeps no older versions of its packages, so these are what the machine's release has today.
    """
    commands = (
        ["dpkg-query", "--show", *sorted(set(_PACKAGES.values()))],
        *([engine()[name], "--version"] for name in ("dockerd", "containerd")),
        *([name, "--version"] for name in ("node", "npm")),
    )
    there = [command for command in commands if _find(command[0])]
    return "".join(subprocess.run(command, capture_output=True, text=True, check=False).stdout for command in there)


def _ministack() -> str:
    return "" if importlib.util.find_spec("ministack") else f"it is not installed for {sys.executable}"


def _on_path(*commands: str) -> Callable[[], str]:
    def problem() -> str:
        absent = [command for command in commands if _find(command) is None]
        return f"{', '.join(absent)} not on PATH" if absent else ""

    return problem


def _find(command: str, places: str = "") -> str | None:
    """A command on PATH, or where a system keeps what only root runs, or in more places."""
    return shutil.which(command) or shutil.which(command, path=f"/usr/sbin:/sbin:{places}")


def _namespaces() -> str:
    """Whether this user may make a network of its own."""
    absent = _on_path("unshare", "nsenter", "ip", "openssl")()
    if absent:
        return absent
    if os.geteuid() != 0:
        return "only root may make namespaces here; run as root"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    return f"{tried.stderr.strip()} (a container has to be a privileged one)" if tried.returncode else ""


@functools.cache
def _npm() -> str:
    absent = _on_path("node", "npm")()
    if absent:
        return absent
    said = _npm_version(Path(command("npm")))
    major = said.partition(".")[0]
    return (
        "" if major.isdigit() and int(major) >= _OLDEST_NPM else f"npm is {said or 'of no version'}, which is too old"
    )


def _npm_version(npm: Path) -> str:
    """Return npm's version as its own package says it, or else npm, which takes a quarter of a second to say so."""
    try:
        package = json.loads((npm.resolve().parents[1] / "package.json").read_text(encoding="utf-8"))
        if package["name"] == "npm":
            return str(package["version"])
    except (OSError, ValueError, LookupError):
        pass  # it is installed in another way
    return subprocess.run([npm, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def _engine() -> str:
    own = _problem_of_own_engine()
    if own and not _is_brought():
        return f"{own}, and none is in {_brought_engine()}"
    return _on_path("runc")()


def _base_images() -> str:
    from local.rehearsal.base_images import debian  # noqa: PLC0415 - it is made with these tools

    return debian.missing()


def _fetch_base_images() -> None:
    from local.rehearsal.base_images import debian  # noqa: PLC0415 - as above

    for packages in debian.ALL:
        if packages.can_be_had:
            packages.fetch()


def _is_brought() -> bool:
    return all((_brought_engine() / command).is_file() for command in _ENGINE_COMMANDS)


def _builder() -> str:
    for tool in (builder(), frontend()):
        if not tool.built:
            return f"{tool.bin} does not hold {', '.join(tool.packages)}"
    return _on_path("runc", "busybox")()


def _notation() -> str:
    tool = notation()
    return "" if tool.built else f"{tool.bin} does not hold {', '.join(tool.packages)}"


def _commands(*names: str) -> Tool:
    return Tool(_on_path(*names), commands=names)


TOOLS = {
    "aws": Tool(aws_cli.problem, "make tools" if aws_cli.can_be_brought() else aws_cli.INSTALLING),
    "ministack": Tool(_ministack, "make install"),
    "namespaces": Tool(_namespaces, commands=("unshare", "nsenter", "ip", "openssl", "pkill")),
    "docker": Tool(_engine, commands=("runc",)),
    "base-images": Tool(_base_images),
    "builder": Tool(_builder, commands=("runc", "busybox")),
    "notation": Tool(_notation),
    "chromium": _commands("chromium"),
    "lighthouse": Tool(_npm, NODE),
    "github": Tool(_on_path("npm"), NODE),  # npm fetches GitHub's description of its API
    "iam-data": Tool(_on_path("npm"), NODE),  # and IAM's table of actions
    "cdk": Tool(_on_path("node", "npm"), NODE),
    "openssl": _commands("openssl"),
    "git": _commands("git"),
    "git-lfs": _commands("git", "git-lfs"),
    "haproxy": _commands("haproxy", "setpriv"),
}
"""By the name that `need` takes in tests."""


def _install_packages(commands: Collection[str]) -> None:
    """Install the packages whose commands are missing; needs root."""
    absent = [command for command in _PACKAGES if command in commands and _find(command) is None]
    if not absent:
        return
    packages = sorted({_PACKAGES[command] for command in absent})
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if shutil.which("apt-get") is None:
        raise MissingTool(f"Install {', '.join(absent)}; Debian has them in the packages {', '.join(packages)}.")
    say(f"Installing {', '.join(packages)} from this machine's own package sources.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run("Reading the package lists", ["apt-get", "update"], environment)
    _run(f"Installing {', '.join(packages)}", command, environment)


def _unpack_engine(release: str) -> None:
    """Fetch the Docker engine's packages of a release of Debian and lay their commands into the cache."""
    target = _brought_engine().parent
    if target.exists() and not _is_brought():
        shutil.rmtree(target)

    def make(folder: Path) -> None:
        say(f"Fetching a Docker engine from Debian {release} (75 MB). It is not installed: it goes to {target}.")
        with tempfile.TemporaryDirectory(dir=folder.parent) as fetched:
            _fetch_engine(Path(fetched), release).rename(folder / "bin")

    make_once(target, "The Docker engine", make)


def _release_with_engine() -> str:
    """Debian's release to take the engine from.

    Raises:
        MissingTool: this machine is no Debian of a known release.
    """
    own = apt.release()
    if own in _RELEASES:
        return own
    if own not in _NEXT_RELEASE:
        known = ", ".join([*_NEXT_RELEASE, *_RELEASES])
        raise MissingTool(
            f"There is no Docker engine that can be used ({_problem_of_own_engine()}), and one is fetched for Debian "
            f"({known}) only. Install version {_OLDEST_ENGINE} or newer: https://docs.docker.com/engine/install"
        )
    return _NEXT_RELEASE[own]


def _fetch_engine(folder: Path, release: str) -> Path:
    """Fetch and unpack; returns the folder with the commands, which the caller moves to its place.

    The machine's own package sources with another release's name.
    """
    sources = folder / "release.list"
    sources.write_text(_sources(release), encoding="utf-8")
    get = apt.command(folder, {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-"})
    _run(f"Reading the package lists of {release}", [*get, "update"], dict(os.environ))
    _run("Fetching the packages", [*get, "download", *_ENGINE_PACKAGES], dict(os.environ), folder)
    root = folder / "root"
    for package in sorted(folder.glob("*.deb")):  # its name says its version
        _run(f"Unpacking {package.name}", ["dpkg", "--extract", str(package), str(root)], dict(os.environ))
    commands = folder / "commands"
    commands.mkdir()
    for found in [*(root / "usr" / "bin").iterdir(), *(root / "usr" / "sbin").iterdir()]:
        found.rename(commands / found.name)
    return commands


def _sources(release: str) -> str:
    """Return a list of this machine's package sources for Debian itself and its security updates, of another release.

    Raises:
        MissingTool: this machine has none.
    """
    wanted = ["--format", "$(SITE) $(RELEASE) $(SIGNED_BY)", "Identifier: Packages", "Component: main"]
    done = subprocess.run(["apt-get", "indextargets", *wanted], capture_output=True, text=True, check=True)
    lines = []
    for line in dict.fromkeys(done.stdout.splitlines()):  # one for each architecture
        site, suite, key = line.split(maxsplit=2)
        own, dash, part = suite.partition("-")
        if own in (*_NEXT_RELEASE, *_RELEASES) and part in ("", "security"):
            signed = f"[signed-by={key}] " if key.startswith("/") else ""
            lines.append(f"deb {signed}{site} {release}{dash}{part} main\n")
    if not lines:
        raise MissingTool("A Docker engine is fetched from this machine's package sources, and none of them is Debian.")
    return "".join(lines)


def _run(what: str, command: list[str], environment: dict[str, str], folder: Path | None = None) -> None:
    """Run a command quietly; show what it said only if it fails."""
    say(f"  {what}")
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-30:])
        raise Refusal(f"{what} failed. `{' '.join(command[:2])}` said:\n{said}")

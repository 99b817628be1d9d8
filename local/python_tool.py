"""Tools of Python's that need other versions of packages than this project, each in an environment of its own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from local.errors import Refusal
from local.go_tool import cache_directory, make_once, say

_EXACTLY = ("--quiet", "--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes")
"""As local/install.sh does: nothing is resolved, and nothing is built here."""


def python_with(name: str, lock: Path, *, wait: str) -> Path:
    """Return the Python of an environment in the user's cache that holds what a lock file names, installed once.

    Args:
        name: What the tool is called in messages and in the cache.
        lock: The lock file, with the hash of every package.
        wait: How long it takes and how much is fetched, for whoever waits.

    Raises:
        Refusal: pip failed, or the packages do not fit together.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = cache_directory() / f"{name}-python{version}-{digest}"

    def make(unfinished: Path) -> None:
        say(f"Installing {name} with pip, once ({wait}), into {folder}.")
        venv.create(unfinished, with_pip=False, symlinks=True)
        _pip(name, unfinished, "install", *_EXACTLY, "--requirement", str(lock))
        _pip(name, unfinished, "check")

    make_once(folder, name, make)
    return folder / "bin" / "python"


def _pip(name: str, environment: Path, *command: str) -> None:
    """Run pip for an environment.

    Raises:
        Refusal: It failed.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    of = ["--python", str(environment / "bin" / "python")]
    done = subprocess.run([*pip, *of, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"pip could not install {name}:\n{done.stdout.strip()}\n{done.stderr.strip()}")

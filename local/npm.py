"""Packages from npm, with every package of theirs locked by its hash, for tools and for what others publish as data."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from local.errors import MissingTool, Refusal
from local.go_tool import cache_directory, make_once, say

_FILES = ("package.json", "package-lock.json")


def npm_packages(name: str, source: Path, *, size: str) -> Path:
    """Return a folder in the user's cache whose ``node_modules`` holds what a lock file names, installed once.

    Args:
        name: What the packages are called in messages and in the cache.
        source: The folder with ``package.json`` and ``package-lock.json``.
        size: How much is fetched, for whoever waits.

    Raises:
        MissingTool: There is no npm.
        Refusal: npm failed.
    """
    folder = cache_directory() / f"{name}-{_digest(source)}"

    def make(unfinished: Path) -> None:
        say(f"Installing {name} with npm, once ({size}), into {folder}.")
        npm_ci(name, source, unfinished)

    make_once(folder, name, make)
    return folder


def npm_cache(name: str, source: Path) -> Path:
    """Return npm's cache with all packages that a lock file names, so that npm installs them without a network.

    Args:
        name: What the packages are called in messages and in the cache.
        source: The folder with ``package.json`` and ``package-lock.json``.

    Raises:
        MissingTool: There is no npm.
        Refusal: npm failed.
    """
    folder = cache_directory() / f"{name}-cache-{_digest(source)}"

    def make(unfinished: Path) -> None:
        say(f"Fetching {name} with npm, once, into {folder}.")
        with tempfile.TemporaryDirectory() as installed:
            npm_ci(name, source, Path(installed), cache=unfinished)

    make_once(folder, name, make)
    return folder


def npm_ci(name: str, source: Path, folder: Path, *, cache: Path | None = None) -> None:
    """Install exactly what a lock file names into a folder.

    Args:
        name: What the packages are called in messages.
        source: The folder with ``package.json`` and ``package-lock.json``.
        folder: Where ``node_modules`` is made.
        cache: npm's cache; by default the user's.

    Raises:
        MissingTool: There is no npm.
        Refusal: npm failed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise MissingTool(f"{name} comes by npm, and there is none here: install Node.js 20 or newer with npm.")
    for file in _FILES:
        shutil.copy(source / file, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = {**os.environ, **({"npm_config_cache": str(cache)} if cache else {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"npm could not install {name}:\n{done.stderr.strip()}")


def _digest(source: Path) -> str:
    return hashlib.sha256(b"".join((source / file).read_bytes() for file in _FILES)).hexdigest()[:12]

"""Debian's packages for use here: they are fetched, and nothing is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_RELEASE = Path("/etc/os-release")


def release() -> str:
    """Return the name of the machine's release of Debian; empty on anything else."""
    text = _RELEASE.read_text(encoding="utf-8") if _RELEASE.is_file() else ""
    name = re.search(r"^VERSION_CODENAME=(\S+)", text, re.MULTILINE)
    return name[1] if name and re.search(r"^ID=debian$", text, re.MULTILINE) else ""


def command(folder: Path, options: Mapping[str, object]) -> list[str]:
    """Return how apt-get is called with lists and a cache of its own: the machine's package manager sees none of it.

    Args:
        folder: An empty one, for both.
        options: More of apt's options.
    """
    options = {
        **options,
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",  # a private folder is not open to apt's own user
    }
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    return ["apt-get", "--quiet", *(f"--option={name}={value}" for name, value in options.items())]

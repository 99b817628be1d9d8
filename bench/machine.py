"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version


def machine() -> str:
    """The machine and the versions of what runs on it, in a few lines."""
    load = f", load before the first run {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("pulumi", "pulumi-aws", "pydantic"))
    return f"{os.cpu_count()} cores, {platform.system()}{load}\nPython {platform.python_version()}, {packages}"

"""Puts the stand-in providers where the engine looks for plugins: a PULUMI_HOME of this project's own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PROVIDERS = {"aws": "pulumi-aws", "awsx": "pulumi-awsx"}
_LIBRARIES = ("grpc", "google.protobuf", "pulumi", "pulumi_aws", "pulumi_awsx")


def install_plugins(home: Path) -> None:
    """Install the stand-ins as plugins of exactly the versions that the installed SDKs ask for.

    Args:
        home: the PULUMI_HOME to install them into.
    """
    for name, distribution in _PROVIDERS.items():
        version = importlib.metadata.version(distribution)
        plugin = home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
        script = _script(name, version)
        if not plugin.is_file() or plugin.read_text(encoding="utf-8") != script:
            plugin.parent.mkdir(parents=True, exist_ok=True)
            unfinished = plugin.with_suffix(".new")
            unfinished.write_text(script, encoding="utf-8")
            unfinished.chmod(0o755)
            unfinished.rename(plugin)


def _script(name: str, version: str) -> str:
    """The plugin's executable: this very Python, without the start-up work of its site packages."""
    paths = [str(_ROOT), *dict.fromkeys(_folder_of(library) for library in _LIBRARIES)]
    code = f"import sys; sys.path[:0] = {paths!r}; from local.engine.providers.{name} import main; main({version!r})"
    return f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -S -c {shlex.quote(code)}\n"


def _folder_of(library: str) -> str:
    """The folder to put on the path for a library to be found."""
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{library} is not installed for {sys.executable}", name=library)
    return str(Path(spec.origin).parents[1 + library.count(".")])

"""Which job the command line names."""

from __future__ import annotations

import importlib
import sys
from pathlib import PurePath
from pkgutil import iter_modules

import jobs


def run(arguments: list[str]) -> None:
    """Run the job that the first argument names, with the others as its own."""
    modules = {module.name.replace("_", "-"): f"jobs.{module.name}" for module in iter_modules(jobs.__path__)}
    name = arguments[1] if len(arguments) > 1 else ""
    main = getattr(importlib.import_module(modules[name]), "main", None) if name in modules else None
    if main is None:
        known = sorted(each for each, module in modules.items() if hasattr(importlib.import_module(module), "main"))
        program = PurePath(arguments[0]).name
        raise SystemExit(f"{program}: there is no job {name!r}; there are: {', '.join(known)}")
    sys.argv = [name, *arguments[2:]]
    main()

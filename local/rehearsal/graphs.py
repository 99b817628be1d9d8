"""The graph of a stack as `up` leaves it, by the real engine; kept, since the same program and file give the same."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from local.go_tool import cache_directory, make_once
from local.stack_file import read

ROOT = Path(__file__).parents[2]
PROGRAM = tuple(
    ROOT / name
    for name in ("__main__.py", "Pulumi.yaml", "requirements.txt", "components", "buildspecs", "local/engine")
)
"""What decides, beside the stack file, what is deployed."""
_KEPT = 12
"""Graphs that are kept; older ones are deleted."""


def deployed_graph(stack: str, stack_file: Path) -> list[dict[str, Any]]:
    """Return the resources of a stack that has just been deployed here, with the files that its objects are made of.

    Args:
        stack: Its name.
        stack_file: Its settings.

    Raises:
        EngineFailure: The program or the engine refused.
        Refusal: The settings are wrong.
        MissingTool: There is no Pulumi CLI and no way to build it.
    """
    kept = cache_directory() / "graphs"
    folder = kept / f"{stack}-{_fingerprint(stack_file)}"
    make_once(folder, f"The graph of {stack}", lambda unfinished: _deploy(stack, stack_file, unfinished))
    folder.touch()
    _forget(kept)
    graph: list[dict[str, Any]] = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    for asset in _assets(graph):
        asset["path"] = str(folder / asset["hash"])
    return graph


def _deploy(stack: str, stack_file: Path, folder: Path) -> None:
    """Deploy into a state of its own, and write down what came of it."""
    read(stack_file, stack)
    from local.engine.stack import LocalStack  # noqa: PLC0415 - it takes a second, which a kept graph saves

    with tempfile.TemporaryDirectory() as state:
        deployed = LocalStack(stack, stack_file=stack_file, state_dir=Path(state))
        deployed.up()
        graph = deployed.graph()
    for asset in _assets(graph):
        shutil.copyfile(asset["path"], folder / asset["hash"])
    (folder / "graph.json").write_text(json.dumps(graph), encoding="utf-8")


def _assets(graph: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for resource in graph:
        source = resource["inputs"].get("source") if resource["type"].endswith(":BucketObjectv2") else None
        if source:
            yield source


def _fingerprint(stack_file: Path) -> str:
    """What the graph depends on, as one text."""
    parts = [stack_file]
    for place in PROGRAM:
        parts += sorted(place.rglob("*")) if place.is_dir() else [place]
    digest = hashlib.sha256()
    for path in parts:
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _forget(kept: Path) -> None:
    graphs = sorted(kept.glob("*/graph.json"), key=lambda file: file.parent.stat().st_mtime, reverse=True)
    for old in graphs[_KEPT:]:
        shutil.rmtree(old.parent, ignore_errors=True)
        old.parent.with_name(f"{old.parent.name}.lock").unlink(missing_ok=True)

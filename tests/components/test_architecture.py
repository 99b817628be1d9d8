"""How `components` is built: imports run downwards, names stand once, and everybody keeps to what is theirs."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Collection
from pathlib import Path

from components.engines import ENGINES
from components.settings import Settings
from components.settings.section import Section
from components.stages import STAGES, SharedFacts

ROOT = Path(__file__).parents[2]
ROOMS = (
    "foundation",
    "images",
    "pipeline",
    "jobs",
    "engines",
    "settings",
    "notifications",
    "hosting",
    "stages",
    "delivery",
)
"""The rooms of `components`, from the ground up."""
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "components").rglob("*.py"))}


def room(path: Path) -> str:
    return path.relative_to(ROOT / "components").parts[0].removesuffix(".py")


def test_every_import_runs_downwards() -> None:
    """What a room stands on is read before it, and never knows of it."""
    upwards = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("components.")
        if ROOMS.index(str(node.module).split(".")[1]) > ROOMS.index(room(path))
    ]
    assert upwards == []
    assert {room(path) for path in MODULES} == {*ROOMS, "__init__"}


def test_no_class_name_stands_twice_and_a_section_says_that_it_is_one() -> None:
    classes = [node for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = [node.name for node in classes]
    assert sorted(names) == sorted(set(names))
    sections = [node.name for node in classes if "Section" in {getattr(base, "id", "") for base in node.bases}]
    assert [name for name in sections if not name.endswith("Section")] == ["Settings"]


def test_nobody_but_an_engine_asks_for_its_name() -> None:
    """A fourth engine is one file and one line: everybody else asks the value, never what it is called."""
    asked = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.MatchValue)
        if any(isinstance(part, ast.Constant) and part.value in ENGINES for part in ast.walk(node))
    ]
    assert asked == []
    assert {room(path) for path, tree in MODULES.items() if _names_an_engine(tree)} == {"engines"}


def _names_an_engine(tree: ast.Module) -> bool:
    """Whether a name that is an engine's alone stands in code that runs; in examples of a stack file it may."""
    examples = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "examples"
        for part in ast.walk(node)
    }
    own = set(ENGINES) - {"ecs"}  # a service of AWS is called so, too
    return any(
        isinstance(node, ast.Constant) and node.value in own and id(node) not in examples for node in ast.walk(tree)
    )


def test_every_stage_reads_a_section_of_its_own() -> None:
    """Each is handed its section and the shared facts, nothing else of the stack file."""
    sections = [stage.SECTION for stage in STAGES]
    assert sorted(sections) == sorted(set(sections))
    for stage in STAGES:
        section = Settings.model_fields[stage.SECTION].annotation
        assert list(inspect.signature(stage.wanted).parameters) == ["section", "shared"]
        assert typing.get_type_hints(stage.wanted)["section"] is section
        assert typing.get_type_hints(stage.wanted)["shared"] is SharedFacts


def test_a_toggle_is_read_where_a_stage_says_whether_it_is_wanted_and_nowhere_else() -> None:
    """`enabled` of a stage's section; what is switched on within a section is that section's own matter."""
    optional = {stage.SECTION for stage in STAGES if "enabled" in _fields(stage.SECTION)}
    assert optional
    readers = {
        f"{path.relative_to(ROOT)}:{function.name}"
        for path, tree in MODULES.items()
        if room(path) != "settings"
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and node.attr == "enabled"
        and _section_of(node.value) in {*optional, "section"}
    }
    assert readers == {f"components/stages/{name}.py:wanted" for name in optional} | {
        "components/stages/wanted.py:shared_facts"
    }


def _fields(section: str) -> Collection[str]:
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type)
    assert issubclass(model, Section)
    return model.model_fields


def _section_of(node: ast.expr) -> str:
    """The last word of what an attribute is read from: `release` of `settings.release.enabled`."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")

"""The generated SDKs of the providers, of which a run makes the parts that the program uses.

As they stand, the first use of a service makes every class of it: of EC2 more than a thousand, which takes longer than
the program. Here a module is imported when a name of it is used, and a structure is made when something refers to it.
What is made is the same. Python keeps the compiled form beside its own.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_PACKAGES = ("pulumi_aws", "pulumi_awsx")
_AS_THEY_ARE = ("_utilities", "config")
"""Modules that are written by hand, or that replace themselves."""
_STRUCTURES = ("_inputs", "outputs")
"""Modules of classes that stand for themselves."""
_HOMES, _REFERENCES = "__homes__", "__references__"
_MAKE = "__make__"
_EXPORTS = re.compile(r"^__all__ = (\[.*?\])", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_making = threading.RLock()


@contextmanager
def lean_sdks() -> Iterator[None]:
    """Import what is not imported yet of the SDKs in parts, as long as the block lasts."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Finds the modules of the SDKs, not the packages themselves."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module where Python would, with a loader that loads it in parts."""
        package, _, module = fullname.partition(".")
        if package not in _PACKAGES or module.partition(".")[0] in ("", *_AS_THEY_ARE):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.origin and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.origin)
        return spec


class _Package(ModuleType):
    """A package whose modules are imported when a name of them is used."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the package exports
        homes: Mapping[str, str] = self.__dict__[_HOMES]
        if name not in homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{self.__name__}.{homes[name]}")
        value = module if homes[name] == name and not hasattr(module, name) else getattr(module, name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Keep a function from being hidden by the module of its name, which Python sets when it is imported."""
        hides = isinstance(value, ModuleType) and name in value.__dict__
        super().__setattr__(name, getattr(value, name) if hides else value)


class _Structures(ModuleType):
    """A module whose classes are made when something refers to them, and with them those that they refer to."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a class, generated
        references: Mapping[str, Sequence[str]] = self.__dict__[_REFERENCES]
        if name not in references:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        with _making:
            if name not in self.__dict__:
                self.__dict__[f"{_MAKE}{name}"]()
                for other in references[name]:
                    getattr(self, other)
        return self.__dict__[name]


class _Loader(SourceFileLoader):
    """Loads a module of an SDK in parts."""

    @staticmethod
    def source_to_code(data: Any, path: Any = "") -> CodeType:  # type: ignore[override]  # noqa: ANN401 - one of two bases has it so
        """Compile without documentation, which is most of the text."""
        return compile(_lean(ast.parse(data), Path(path)), path, "exec", dont_inherit=True, optimize=2)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and have what is missing made."""
        super().exec_module(module)
        if _HOMES in module.__dict__:
            module.__class__ = _Package
        elif _REFERENCES in module.__dict__:
            module.__class__ = _Structures

    def get_data(self, path: str) -> bytes:
        """Read the source, or what was compiled from it in this way."""
        return super().get_data(_own(path))

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:  # noqa: ANN401 - as in importlib
        """Write what was compiled."""
        super().set_data(_own(path), data, _mode=_mode)


@functools.cache
def _tag() -> str:
    return f"lean-{importlib.util.source_hash(Path(__file__).read_bytes()).hex()}"


def _own(path: str) -> str:
    """The place of a compiled module, apart from that of Python's own and of other versions of this file."""
    return f"{path.removesuffix('.pyc')}.{_tag()}.pyc" if path.endswith(".pyc") else path


def _lean(module: ast.Module, file: Path) -> ast.Module:
    """Have a module of an SDK make less at once."""
    _forget_types_of_arguments(module)
    if file.name == "__init__.py":
        _import_when_used(module, file.parent)
    else:
        _import_what_is_used(module, file.parent)
        if file.stem in _STRUCTURES:
            _make_when_used(module)
    return module


def _forget_types_of_arguments(module: ast.Module) -> None:
    """Take away what nothing asks for, unlike the types of properties."""
    classes = [statement for statement in module.body if isinstance(statement, ast.ClassDef)]
    for function in (each for made in classes for each in made.body if isinstance(each, ast.FunctionDef)):
        for argument in (*function.args.args, *function.args.kwonlyargs):
            argument.annotation = None


def _import_when_used(module: ast.Module, folder: Path) -> None:
    """Put a table of names in place of a package's imports."""
    homes: dict[str, str] = {}
    kept: list[ast.stmt] = []
    for statement in module.body:
        name = _module_of(statement)
        exports = _exports(folder / f"{name}.py") if name else []
        if name and exports:
            homes |= {name: name} | dict.fromkeys(exports, name)
        else:
            kept.append(statement)
    module.body = [*kept, _statement(f"{_HOMES} = {homes!r}")] if homes else kept


def _import_what_is_used(module: ast.Module, folder: Path) -> None:
    """Put the names that a module uses in place of each of its `import *`."""
    used = _words(module)
    kept: list[ast.stmt] = []
    for statement in module.body:
        name = _module_of(statement)
        exports = _exports(folder / f"{name}.py") if name else []
        if name and exports:
            names = [export for export in exports if export in used]
            kept += [_statement(f"from .{name} import {', '.join(names)}")] if names else []
        else:
            kept.append(statement)
    module.body = kept


def _make_when_used(module: ast.Module) -> None:
    """Put a function that makes it in place of each class."""
    classes = {statement.name: statement for statement in module.body if isinstance(statement, ast.ClassDef)}
    references = {name: sorted(_words(made) & {*classes} - {name}) for name, made in classes.items()}
    module.body = [_maker(statement) if isinstance(statement, ast.ClassDef) else statement for statement in module.body]
    module.body.append(_statement(f"{_REFERENCES} = {references!r}"))


def _maker(made: ast.ClassDef) -> ast.stmt:
    """A function that makes a class under its own name in its module."""
    function: ast.FunctionDef = _statement(f"def {_MAKE}{made.name}():\n    global {made.name}")
    function.body.append(made)
    return function


def _module_of(statement: ast.stmt) -> str:
    """The module of the same folder that `from .module import *` imports from; empty for any other statement."""
    match statement:
        case ast.ImportFrom(module=str(name), names=[ast.alias(name="*")], level=1):
            return name
        case _:
            return ""


def _exports(file: Path) -> list[str]:
    """What a module exports; nothing where it does not say so."""
    found = _EXPORTS.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    exports: list[str] = ast.literal_eval(found[1]) if found else []
    return exports


def _words(node: ast.AST) -> set[str]:
    """Every name that a part of a program has in it, in types that are strings, too, but not in documentation."""
    words: set[str] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Name):
            words.add(part.id)
        elif isinstance(part, ast.Constant):
            words.update(_WORD.findall(part.value) if isinstance(part.value, str) else ())
        elif not isinstance(part, ast.Expr) or not isinstance(part.value, ast.Constant):
            waiting += ast.iter_child_nodes(part)
    return words


def _statement(text: str) -> Any:  # noqa: ANN401 - of any kind
    return ast.parse(text).body[0]

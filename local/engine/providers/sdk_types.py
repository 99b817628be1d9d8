"""What the installed Pulumi SDK says about resource types, read from its source text.

The generated SDK is very regular, so its types can be read without importing it, which takes a second; a type that
nobody uses takes no time at all. Whatever does not look as expected raises `SdkLayoutError` rather than being guessed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import gc
import importlib.util
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

_Node = TypeVar("_Node", bound=ast.stmt)
_PLAIN = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "Any": "any",
    "Asset": "asset",
    "Archive": "asset",
}
_TRANSPARENT = {"Input", "Output", "Optional"}
_CONTAINERS = {"Sequence": "list", "Mapping": "map"}
_BODY = re.compile(r"(?<=:\n)(?: {8}.*\n|\n)+")
"""What a method does, documentation included: most of a class, of which only the signatures tell the types."""


class SdkLayoutError(Exception):
    """The SDK's source does not look the way generated SDKs look."""


class UnknownTokenError(LookupError):
    """The SDK has no such resource type."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One property's type.

    Attributes:
        kind: `string`, `integer`, `number`, `boolean`, `any`, `asset`, `list`, `map`, `object` or `either`.
        parts: the element type of a list or map; the alternatives of `either`.
        name: for `object`, its qualified name, `service.ClassName`.
    """

    kind: str
    parts: tuple[Shape, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A structure: its properties by wire name, and which of them must be there."""

    properties: Mapping[str, Shape]
    required: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A resource type: what may be given, what must be, and what comes back (inputs included)."""

    inputs: ObjectType
    outputs: Mapping[str, Shape]


class Sdk:
    """The types of one provider's Python SDK, for example `Sdk("pulumi_aws")`.

    Args:
        package: import name of the SDK. It is located, never imported.

    Raises:
        SdkLayoutError: the package is not installed.
    """

    def __init__(self, package: str) -> None:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise SdkLayoutError(f"{package} is not installed for this Python")
        self.package = package
        self._root = Path(spec.origin).parent

    @functools.cached_property
    def resource_tokens(self) -> Mapping[str, tuple[str, str]]:
        """Every resource token with the folder (empty for the package itself) and class that stand for it."""
        text = (self._root / "__init__.py").read_text(encoding="utf-8")
        match = re.search(r'resource_modules="""\s*(\[.*?\])\s*"""', text, re.DOTALL)
        if match is None:
            raise SdkLayoutError(f"{self.package}/__init__.py lists no resource modules")
        return {
            token: (module["fqn"].removeprefix(self.package).lstrip("."), name)
            for module in json.loads(match[1])
            for token, name in module["classes"].items()
        }

    @functools.cache  # noqa: B019 - one Sdk lives as long as its process
    def resource(self, token: str) -> ResourceType:
        """Read one resource type.

        Args:
            token: for example `aws:codebuild/project:Project`.

        Raises:
            UnknownTokenError: the SDK has no such resource type.
        """
        if token not in self.resource_tokens:
            raise UnknownTokenError(token)
        service, name = self.resource_tokens[token]
        text = self._file_with(service, name, f"class {name}(pulumi.")
        return ResourceType(
            inputs=self._structure(service, _parse_class(text, _arguments_class(text, name))),
            outputs=dict(self._getters(service, _parse_class(text, name, getters_alone=True))),
        )

    @functools.cache  # noqa: B019 - one Sdk lives as long as its process
    def provider(self) -> ObjectType:
        """Read what the provider itself can be configured with."""
        text = (self._root / "provider.py").read_text(encoding="utf-8")
        return self._structure("", _parse_class(text, "ProviderArgs"))

    @functools.cache  # noqa: B019 - one Sdk lives as long as its process
    def structure(self, name: str) -> ObjectType:
        """Read one nested structure.

        Args:
            name: a `Shape`'s qualified name, for example `codebuild.ProjectSourceArgs`.
        """
        service, _, class_name = name.rpartition(".")
        return self._structure(service, _parse_class(self._inputs_text(service), class_name))

    @functools.cache  # noqa: B019 - one Sdk lives as long as its process
    def _inputs_text(self, service: str) -> str:
        path = self._root / service / "_inputs.py"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _file_with(self, service: str, name: str, definition: str) -> str:
        """Text of the file of a service that defines a class; its usual name first."""
        folder = self._root / service
        for path in itertools.chain([folder / f"{_snake(name)}.py"], _files(folder)):
            if path.is_file() and definition in (text := path.read_text(encoding="utf-8")):
                return text
        raise SdkLayoutError(f"{self.package}: no file of {service} has `{definition}`")

    def _structure(self, service: str, node: ast.ClassDef) -> ObjectType:
        getters = dict(self._getters(service, node))
        wire_names = {python: wire for python, wire, _ in _properties(node)}
        constructor = next(
            (item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None
        )
        if constructor is None:
            raise SdkLayoutError(f"{self.package}: {node.name} has no constructor")
        arguments = zip(constructor.args.kwonlyargs, constructor.args.kw_defaults, strict=True)
        required = frozenset(wire_names[argument.arg] for argument, default in arguments if default is None)
        return ObjectType(getters, required)

    def _getters(self, service: str, node: ast.ClassDef) -> Iterator[tuple[str, Shape]]:
        for _, wire, annotation in _properties(node):
            yield wire, self._shape(service, annotation)

    def _shape(self, service: str, node: ast.expr | None) -> Shape:
        """Turn an annotation into a shape; what only a program can hold (outputs, dict twins) is left out."""
        match node:
            case ast.Subscript(value=outer, slice=inner):
                return self._generic(service, _last_name(outer), inner)
            case ast.Constant(value=str(name)):
                return self._named(service, name)
            case ast.Name() | ast.Attribute():
                name = _last_name(node)
                return Shape(_PLAIN[name]) if name in _PLAIN else self._named(service, name)
            case _:
                raise SdkLayoutError(f"{self.package}: cannot read the type {ast.unparse(node) if node else None}")

    def _generic(self, service: str, outer: str, inner: ast.expr) -> Shape:
        """The shape of `Outer[inner]`."""
        arguments = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if outer == "Union":
            return self._union(service, arguments)
        shape = self._shape(service, arguments[-1])
        if outer in _TRANSPARENT:
            return shape
        if outer in _CONTAINERS:
            return Shape(_CONTAINERS[outer], (shape,))
        raise SdkLayoutError(f"{self.package}: cannot read the type {outer}[...]")

    def _union(self, service: str, members: list[ast.expr]) -> Shape:
        shapes = []
        for member in members:
            name = str(member.value) if isinstance(member, ast.Constant) else ""
            if name.endswith("ArgsDict") or name.startswith("outputs."):
                continue
            shape = self._shape(service, member)
            if shape not in shapes:
                shapes.append(shape)
        return shapes[0] if len(shapes) == 1 else Shape("either", tuple(shapes))

    def _named(self, service: str, name: str) -> Shape:
        """A class of the SDK: a structure to look into, an enumeration of strings, or another resource."""
        prefix, _, bare = name.rpartition(".")
        if prefix.endswith("outputs") or prefix.startswith("pulumi_"):
            return Shape("any")  # read by programs, never sent by them; or another package's, known there
        if not bare.endswith("Args"):
            return Shape("string")
        home = prefix.lstrip("_") or service
        if f"\nclass {bare}:" in self._inputs_text(home):
            return Shape("object", name=f"{home}.{bare}")
        raise SdkLayoutError(f"{self.package}: {service} does not define {name}")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("*.py"))


def _parse_one(text: str, start: str, kind: type[_Node], member: str = "") -> _Node:
    """Parse one top-level definition out of a module's text, without parsing the rest of it.

    Args:
        text: the module's.
        start: how the definition begins.
        kind: what it is.
        member: how the first of its members begins that counts; those before it are left out.
    """
    begin = 0 if text.startswith(start) else text.find(f"\n{start}") + 1
    if begin == 0 and not text.startswith(start):
        raise SdkLayoutError(f"no `{start}` where it belongs")
    end = re.compile(r"^(?=[^\s)#])", re.MULTILINE).search(text, text.index("\n", begin) + 1)
    definition = text[begin : end.start() if end else None]
    first = definition.find(member) if member else -1
    if first > 0:
        definition = f"{definition[: definition.index(chr(10))]}\n{definition[first:]}"
    with collection_paused():
        node = ast.parse(_BODY.sub("        ...\n", definition)).body[0]
    if not isinstance(node, kind):
        raise SdkLayoutError(f"`{start}` is not a {kind.__name__}")
    return node


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Keep finalizers out of a parse: one that formats a traceback parses too.

    CPython before 3.11.8 counts the depth of the tree it builds for the whole interpreter, and a parse within a parse,
    or one in another thread, ends in a SystemError (python/cpython issue 106905).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse_class(text: str, name: str, *, getters_alone: bool = False) -> ast.ClassDef:
    """Parse a class; of a resource, whose constructors are longer than all else, the getters can be enough."""
    start = f"class {name}(" if f"\nclass {name}(" in text else f"class {name}:"
    return _parse_one(text, start, ast.ClassDef, member="    @_builtins.property\n" if getters_alone else "")


def _arguments_class(text: str, name: str) -> str:
    """A resource's arguments are `NameArgs`, unless a structure of that name is in the way: then `NameInitArgs`."""
    return f"{name}InitArgs" if f"\nclass {name}InitArgs:" in text else f"{name}Args"


def _properties(node: ast.ClassDef) -> Iterator[tuple[str, str, ast.expr | None]]:
    """Every `pulumi.getter` of a class: Python name, wire name, annotation."""
    for item in node.body:
        if not isinstance(item, ast.FunctionDef):
            continue
        for decorator in item.decorator_list:
            match decorator:
                case ast.Attribute(attr="getter"):
                    yield item.name, item.name, item.returns
                case ast.Call(
                    func=ast.Attribute(attr="getter"), keywords=[ast.keyword(value=ast.Constant(value=wire))]
                ):
                    yield item.name, str(wire), item.returns
                case _:
                    pass

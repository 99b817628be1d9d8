"""The provider protocol's messages, and plain Python values for what travels in them.

`pulumi.runtime.proto` holds the messages, but importing it imports the whole SDK: a third of a second for every
provider process. The generated modules only ever import each other, so they are loaded here as a package of their own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]  # protobuf ships no types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, resource_pb2, resource_pb2_grpc

else:
    _ALIAS = "ecs_delivery_pulumi_proto"

    def _load(name: str) -> ModuleType:
        """Import one generated module without importing `pulumi`."""
        if _ALIAS not in sys.modules:
            spec = importlib.util.find_spec("pulumi")
            package = ModuleType(_ALIAS)
            package.__path__ = [str(Path(spec.origin).parent / "runtime" / "proto")]
            sys.modules[_ALIAS] = package
        return importlib.import_module(f"{_ALIAS}.{name}")

    plugin_pb2 = _load("plugin_pb2")
    provider_pb2 = _load("provider_pb2")
    provider_pb2_grpc = _load("provider_pb2_grpc")
    resource_pb2 = _load("resource_pb2")
    resource_pb2_grpc = _load("resource_pb2_grpc")

Value: TypeAlias = "bool | float | str | list[Value] | dict[str, Value] | None"
"""A value on the wire. Secrets, assets and references are dictionaries with a signature."""

__all__ = [
    "UNKNOWN",
    "Value",
    "from_struct",
    "is_special",
    "is_unknown",
    "plain",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
    "resource_pb2",
    "resource_pb2_grpc",
    "to_struct",
]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Stands for a string that is not known before the resource exists."""

_UNKNOWNS = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # map or object
    }
)
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the protocol's mark of a secret, not one
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def is_unknown(value: Value) -> bool:
    """Whether a value stands for "known after the update"."""
    return isinstance(value, str) and value in _UNKNOWNS


def is_special(value: Value) -> bool:
    """Whether a dictionary is one of the protocol's own: an asset, an archive, a resource reference."""
    return isinstance(value, dict) and _SIGNATURE in value


def plain(value: Value) -> Value:
    """The value with every secret and output wrapper taken off."""
    match value:
        case dict():
            if value.get(_SIGNATURE) in {_SECRET, _OUTPUT}:
                return plain(value.get("value", UNKNOWN))
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def from_struct(struct: struct_pb2.Struct) -> dict[str, Value]:
    """Read a message's properties."""
    values: dict[str, Value] = json_format.MessageToDict(struct)
    return values


def to_struct(values: Mapping[str, Value]) -> struct_pb2.Struct:
    """Write properties into a message."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct

"""The provider protocol's messages, and plain Python values for what travels in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]  # protobuf ships no types
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, resource_pb2, resource_pb2_grpc

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

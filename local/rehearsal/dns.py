"""Questions to a name server, and its answers: https://www.rfc-editor.org/rfc/rfc1035."""

from __future__ import annotations

import socket
from collections.abc import Sequence

_A = 1
_HEAD = 12
_FOUND, _NO_SUCH_NAME = b"\x81\x80", b"\x81\x83"


def name_asked(asked: bytes) -> str:
    """Return the name that a question is about, in lower case.

    Args:
        asked: The whole packet.
    """
    return ".".join(_labels(asked)[0]).lower()


def answer(asked: bytes, addresses: Sequence[str], seconds: int = 60) -> bytes:
    """Return the packet that answers a question with these addresses; without any there is no such name.

    Args:
        asked: The whole packet of the question.
        addresses: IPv4 addresses.
        seconds: How long the answer may be kept.
    """
    _, end = _labels(asked)
    kind = int.from_bytes(asked[end + 1 : end + 3], "big")
    record = b"\xc0\x0c\0\x01\0\x01" + seconds.to_bytes(4, "big") + b"\0\x04"
    records = [record + socket.inet_aton(address) for address in addresses if kind == _A]
    flags = _FOUND if addresses else _NO_SUCH_NAME
    head = asked[:2] + flags + b"\0\x01" + len(records).to_bytes(2, "big") + b"\0\0\0\0"
    return head + asked[_HEAD : end + 5] + b"".join(records)


def _labels(asked: bytes) -> tuple[list[str], int]:
    """The parts of the name, and where it ends."""
    labels, place = [], _HEAD
    while length := asked[place]:
        labels.append(asked[place + 1 : place + 1 + length].decode("latin-1"))
        place += 1 + length
    return labels, place

"""Stands for a log router of FireLens: writes each line that it would send on to its own log, with where to.

It is the program of an image and needs nothing but Python. It understands Fluent Bit's configuration as Amazon ECS
writes it, and Fluentd's protocol as the Docker engine speaks it:
https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1,
https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

CONFIGURATION = "/fluent-bit/etc/fluent-bit.conf"
_FIXED = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_LENGTHS = {0: ">B", 1: ">H", 2: ">I"}

Section = tuple[str, dict[str, str]]


def sections_of(text: str) -> Iterator[Section]:
    """Yield the sections of a configuration, with the values of variables put in."""
    name, said = "", dict[str, str]()
    for line in [*text.splitlines(), "[]"]:
        if line.startswith("["):
            if name:
                yield name, said
            name, said = line.strip("[] "), {}
        elif line.strip() and not line.startswith("@"):
            key, _, value = line.strip().partition(" ")
            said[key] = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), value)


def unpacked(stream: IO[bytes]) -> Any:  # noqa: ANN401 - whatever was packed
    """Read one value; raises EOFError at the end."""
    kind = _read(stream, 1)[0]
    if kind in _FIXED or kind in _NUMBERS:
        return _FIXED[kind] if kind in _FIXED else _number(stream, _NUMBERS[kind])
    if kind < 0x80 or kind >= 0xE0:
        return kind if kind < 0x80 else kind - 0x100
    if kind < 0x90:
        return _mapping(stream, kind & 0x0F)
    if kind < 0xA0:
        return [unpacked(stream) for _ in range(kind & 0x0F)]
    return _read(stream, kind & 0x1F).decode(errors="replace") if kind < 0xC0 else _long(stream, kind)


def _long(stream: IO[bytes], kind: int) -> Any:  # noqa: ANN401 - as `unpacked`
    """A value whose length stands before it."""
    if 0xD4 <= kind <= 0xD8:
        return _read(stream, 1 + (1 << (kind - 0xD4)))
    for first, take in ((0xC4, "bytes"), (0xC7, "extension"), (0xD9, "text")):
        if first <= kind <= first + 2:
            length = _number(stream, _LENGTHS[kind - first])
            content = _read(stream, length + (take == "extension"))
            return content if take == "extension" else content.decode(errors="replace")
    length = _number(stream, ">H" if kind in {0xDC, 0xDE} else ">I")
    return _mapping(stream, length) if kind in {0xDE, 0xDF} else [unpacked(stream) for _ in range(length)]


def _mapping(stream: IO[bytes], length: int) -> dict[Any, Any]:
    return {unpacked(stream): unpacked(stream) for _ in range(length)}


def _number(stream: IO[bytes], form: str) -> Any:  # noqa: ANN401 - a number of either kind
    return struct.unpack(form, _read(stream, struct.calcsize(form)))[0]


def _read(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content


def records(stream: IO[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield tag and record of each line, until nobody sends any more."""
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            message = unpacked(stream)
            tag, second = message[0], message[1]
            entries = second if isinstance(second, list) else [(second, message[2])]
            for _, record in entries:
                yield tag, record


def place_of(output: dict[str, str]) -> str:
    """Where an output sends what matches it, in words; what is secret is in none of them."""
    return " ".join(
        value for key, value in output.items() if re.search("name|stream|bucket|host|index", key, re.IGNORECASE)
    )


def main() -> None:
    """Route until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    sections = list(sections_of(Path(CONFIGURATION).read_text(encoding="utf-8")))
    outputs = {said.get("Match", ""): place_of(said) for name, said in sections if name == "OUTPUT"}
    (path,) = (said["unix_path"] for name, said in sections if name == "INPUT" and "unix_path" in said)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print(f"listening at {path}", flush=True)
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_route, args=(client, outputs), daemon=True).start()


def _route(client: socket.socket, outputs: dict[str, str]) -> None:
    with client, client.makefile("rb") as stream:
        for tag, record in records(stream):
            print(
                f"{outputs.get(tag, 'nowhere')}: {record.get('container_name', '')} {record.get('log', '')}", flush=True
            )


if __name__ == "__main__":
    main()

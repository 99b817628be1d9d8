"""Relays TCP connections from an address to 127.0.0.1, port by port: a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes, and that nothing more comes."""
    with suppress(OSError):
        while content := await reader.read(1 << 16):
            writer.write(content)
            await writer.drain()
        writer.write_eof()


async def serve(address: str, ports: list[int]) -> None:
    """Listen on these ports until standard input ends."""
    for port in ports:

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
            there, to_there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, to_there), copy(there, writer))
            for side in (writer, to_there):
                side.close()

        await asyncio.start_server(relay, address, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # at once: connections are to break off, and not to come to their end


if __name__ == "__main__":
    known_as, where, *numbers = sys.argv[1:]
    Path(known_as).write_text(str(os.getpid()), encoding="ascii")
    asyncio.run(serve(where, [int(number) for number in numbers]))

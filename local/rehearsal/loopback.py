"""HTTP servers that listen on loopback for as long as a block lasts."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_LISTEN = """
import socket, sys
with socket.socket(fileno=int(sys.argv[1])) as back, socket.create_server(("127.0.0.1", int(sys.argv[2]))) as made:
    made.listen(128)
    socket.send_fds(back, [b"."], [made.fileno()])
"""
"""Opens a socket where it runs, and hands it to who has started it."""


def listening_in(enter: Sequence[str], port: int = 0) -> socket.socket:
    """A socket of this process that listens on the loopback of another network namespace.

    Args:
        enter: The command that runs another one there.
        port: The port there; by default a free one.
    """
    here, there = socket.socketpair()
    with here, there:
        command = [*enter, sys.executable, "-c", _LISTEN, str(there.fileno()), str(port)]
        subprocess.run(command, pass_fds=[there.fileno()], capture_output=True, check=True)
        _, (descriptor,), *_ = socket.recv_fds(here, 1, 1)
    return socket.socket(fileno=descriptor)


class _Quiet:
    """What keeps a handler of requests from writing a log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep quiet."""


@contextmanager
def serving_http(
    handler: type[BaseHTTPRequestHandler], host: str = "127.0.0.1", listener: socket.socket | None = None
) -> Iterator[str]:
    """Serve on a free port, without a log; gives the address, without a trailing slash.

    Args:
        handler: What answers the requests, each in a thread of its own.
        host: A name or address of this machine.
        listener: A socket that listens already and is served in place of one of this machine's; closed at the end.
    """
    server = ThreadingHTTPServer(
        (host, 0), type(handler.__name__, (_Quiet, handler), {}), bind_and_activate=listener is None
    )
    if listener is not None:
        server.socket.close()
        server.socket, server.server_address = listener, listener.getsockname()
        server.server_port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""Sockets on loopback, here and in the network of a machine of the rehearsal, and what is served on them."""

from __future__ import annotations

import contextlib
import ctypes
import selectors
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TypeVar

_NETWORK = 0x40000000
"""``CLONE_NEWNET`` of setns(2)."""
_IDLE_SECONDS = 300
_T = TypeVar("_T")


def in_network_of(process: int | str, make: Callable[[], _T]) -> _T:
    """Call something in the network namespace of a process, such as to open a socket, which stays there.

    A thread enters the namespace and ends in it: https://man7.org/linux/man-pages/man2/setns.2.html.

    Raises:
        OSError: The namespace cannot be entered.
    """

    def enter_and_make() -> _T:
        with Path(f"/proc/{process}/ns/net").open("rb") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NETWORK):
                raise OSError(ctypes.get_errno(), f"the network of process {process} cannot be entered")
        return make()

    with ThreadPoolExecutor(max_workers=1) as there:
        return there.submit(enter_and_make).result()


def listening_in(enter: Sequence[str], port: int = 0) -> socket.socket:
    """A socket of this process that listens on the loopback of another network namespace.

    Args:
        enter: The nsenter command that runs another one there; none for this process's own.
        port: The port there; by default a free one.
    """
    listen = partial(socket.create_server, ("127.0.0.1", port), backlog=128)
    return in_network_of(enter[enter.index("--target") + 1], listen) if enter else listen()


def datagrams(host: str, port: int) -> socket.socket:
    """A socket for datagrams to this address."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    return made


def copy_both_ways(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways, until both sides have ended or nothing comes for long."""
    others = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for side in others:
            selector.register(side, selectors.EVENT_READ, side)
        while selector.get_map() and (ready := selector.select(_IDLE_SECONDS)):
            for key, _ in ready:
                source: socket.socket = key.data
                content = source.recv(1 << 16)
                if content:
                    others[source].sendall(content)
                else:
                    selector.unregister(source)
                    with contextlib.suppress(OSError):
                        others[source].shutdown(socket.SHUT_WR)


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

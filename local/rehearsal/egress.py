"""The way out for builds, where the user allows it: an HTTP proxy from the job sandbox to the machine's own network.

The sandbox has no network beyond itself. The proxy's socket is made in the sandbox's network namespace and served from
here, in the machine's. What goes through it are the requests of programs that know a proxy by ``HTTP_PROXY`` and its
like, as package managers do; BuildKit hands these variables to ``RUN`` and keeps them out of the image:
https://docs.docker.com/build/building/variables/#proxy-arguments.
"""

from __future__ import annotations

import base64
import contextlib
import re
import selectors
import socket
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from local.rehearsal.loopback import listening_in

PORT = 3128
_CONNECT_SECONDS = 20
_IDLE_SECONDS = 300
_NO_NETWORK = re.compile(
    r"bad address '|Could not resolve host|Temporary failure in name resolution|Name or service not known|getaddrinfo|"
    r"Temporary failure resolving|EAI_AGAIN|ENOTFOUND|no such host|Network is unreachable"
)


@contextlib.contextmanager
def way_out(enter: Sequence[str], port: int = PORT) -> Iterator[str]:
    """Serve the proxy on the loopback of a network namespace; gives its address there.

    Args:
        enter: The command that runs another one in the namespace.
        port: The port there.
    """
    with listening_in(enter, port) as listening, _Proxy(listening) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            proxy.shutdown()
            thread.join()


def hint(log: str) -> str:
    """Return what to say below the log of a build that failed for want of a network; empty for any other."""
    if _NO_NETWORK.search(log):
        return "RUN lines have no network here; --network lets them out through this machine's."
    return ""


class _Proxy(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Keep quiet: the client has been answered, or is gone."""


class _Handler(StreamRequestHandler):
    rbufsize = 0  # what comes after the head is for the other side

    def handle(self) -> None:
        """Read one request and connect it to where it wants to go."""
        words = self.rfile.readline(1 << 16).decode("latin-1").split()
        head = []
        while (line := self.rfile.readline(1 << 16)) not in {b"\r\n", b"\n", b""}:
            head.append(line)
        if len(words) != 3:
            return
        method, target, _ = words
        try:
            outside = _tunnel(target) if method == "CONNECT" else _asked(method, target, head)
        except (OSError, ValueError) as error:
            said = f"The way out of the rehearsal to {target}: {error}\n".encode()
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
            return
        with outside:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _join(self.connection, outside)


def _join(one: socket.socket, other: socket.socket) -> None:
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


def _asked(method: str, target: str, head: Sequence[bytes]) -> socket.socket:
    """A connection over which a request by plain HTTP has been sent, which is the only one on it."""
    address = urlsplit(target)
    host, upstream = address.hostname or "", _upstream("http", address.hostname or "")
    path = target if upstream else address._replace(scheme="", netloc="").geturl() or "/"
    kept = [line for line in head if not line.lower().startswith((b"proxy-", b"connection:"))]
    first = f"{method} {path} HTTP/1.1\r\n{_authorization(upstream)}Connection: close\r\n".encode("latin-1")
    outside = (
        _connection(upstream.hostname or "", upstream.port or 80) if upstream else _connection(host, address.port or 80)
    )
    outside.sendall(first + b"".join(kept) + b"\r\n")
    return outside


def _tunnel(target: str) -> socket.socket:
    """A connection to a host and port, by this machine's own proxy if it has one."""
    host, _, port = target.rpartition(":")
    upstream = _upstream("https", host)
    if upstream is None:
        return _connection(host.strip("[]"), int(port))
    outside = _connection(upstream.hostname or "", upstream.port or 80)
    outside.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{_authorization(upstream)}\r\n".encode("latin-1"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and (byte := outside.recv(1)):
        answer += byte
    words = answer.split(None, 2)
    if len(words) < 2 or words[1] != b"200":
        outside.close()
        raise OSError(f"{upstream.hostname} answers {words[1].decode('latin-1') if len(words) > 1 else 'nothing'}")
    return outside


def _upstream(kind: str, host: str) -> SplitResult | None:
    """This machine's own proxy for a host, by its variables."""
    known = urllib.request.getproxies().get(kind, "")
    if not known or urllib.request.proxy_bypass(host):
        return None
    return urlsplit(known if "://" in known else f"http://{known}")


def _authorization(upstream: SplitResult | None) -> str:
    if upstream is None or upstream.username is None:
        return ""
    pair = f"{unquote(upstream.username)}:{unquote(upstream.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


def _connection(host: str, port: int) -> socket.socket:
    made = socket.create_connection((host, port), _CONNECT_SECONDS)
    made.settimeout(None)
    return made

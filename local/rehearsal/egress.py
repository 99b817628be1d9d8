"""The way out for builds, where the user allows it: from the job sandbox to the machine's own network.

The sandbox has no network beyond itself. Sockets are made in the sandbox's network namespace and served from here, in
the machine's:

- An HTTP proxy, for programs that know one by ``HTTP_PROXY`` and its like, as most package managers do; BuildKit hands
  these variables to ``RUN`` and keeps them out of the image:
  https://docs.docker.com/build/building/variables/#proxy-arguments.
- A name server, for all others, such as Java's: it answers a name with an address of the sandbox's own, whose ports 80
  and 443 lead to that name. Containers on the bridge, which are the application's, get no answer.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from socketserver import BaseRequestHandler, StreamRequestHandler, ThreadingTCPServer, ThreadingUDPServer
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from local.loopback import copy_both_ways, datagrams, in_network_of, listening_in
from local.rehearsal import dns

PORT = 3128
NAME_SERVER = "198.19.255.53"
"""The name server, on the loopback of the sandbox: of the addresses that RFC 2544 keeps for measuring."""
_ADDRESSES = ipaddress.ip_network("198.19.0.0/17")
_WEB = (80, 443)
_OF_THE_SANDBOX = ("127.", "198.19.")
_CONNECT_SECONDS = 20
_NO_NETWORK = re.compile(
    r"bad address '|Could not resolve host|Temporary failure in name resolution|Name or service not known|getaddrinfo|"
    r"Temporary failure resolving|Unknown ?[Hh]ost|EAI_AGAIN|ENOTFOUND|no such host|Network is unreachable"
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
        return "RUN lines have no network here without --network, which lets them out through this machine's."
    return ""


@contextlib.contextmanager
def names_lead_out(process: int) -> Iterator[None]:
    """Let every name of the network lead out of a network namespace.

    Args:
        process: A process in the namespace.
    """
    with _NameServer(process) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.close_all()


class _NameServer(ThreadingUDPServer):
    """Answers A questions, and opens the ports of what it answers."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, process: int) -> None:
        self._process, self._lock = process, threading.Lock()
        self._free = _ADDRESSES.hosts()
        self._addresses: dict[str, str] = {}
        self._ways: list[_WayTo] = []
        super().__init__((NAME_SERVER, 53), _Question, bind_and_activate=False)
        self.socket.close()
        self.socket = in_network_of(process, partial(datagrams, NAME_SERVER, 53))

    def address_of(self, name: str) -> str:
        """Return the address that leads to a name; empty when this machine knows no such name."""
        with self._lock:
            if name not in self._addresses and _is_known(name):
                self._addresses[name] = self._opened(name)
            return self._addresses.get(name, "")

    def _opened(self, name: str) -> str:
        address = str(next(self._free))
        for port in _WEB:
            listen = partial(socket.create_server, (address, port), backlog=128)
            way = _WayTo(name, port, in_network_of(self._process, listen))
            self._ways.append(way)
            threading.Thread(target=way.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
        return address

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Keep quiet: what is no question gets no answer."""

    def close_all(self) -> None:
        """Close the ports."""
        for way in self._ways:
            way.shutdown()
            way.server_close()


class _Question(BaseRequestHandler):
    server: _NameServer

    def handle(self) -> None:
        """Answer one question of a build."""
        asked, answering = self.request
        if not self.client_address[0].startswith(_OF_THE_SANDBOX):
            return
        address = self.server.address_of(dns.name_asked(asked))
        answering.sendto(dns.answer(asked, [address] if address else []), self.client_address)


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
        method, target = words[0], self.target(words[1])
        try:
            outside = _tunnel(target) if method == "CONNECT" else _asked(method, target, head)
        except (OSError, ValueError) as error:
            said = f"The way out of the rehearsal to {target}: {error}\n".encode()
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
            return
        with outside:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            copy_both_ways(self.connection, outside)

    def target(self, asked: str) -> str:
        """Return the whole address of what is asked for."""
        return asked


class _WayTo(_Proxy):
    """A port that leads to the same port of a name."""

    def __init__(self, name: str, port: int, listening: socket.socket) -> None:
        self.name, self.port = name, port
        super().__init__(listening)
        self.RequestHandlerClass = _Passing


class _Passing(_Handler):
    server: _WayTo

    def handle(self) -> None:
        """Pass a connection on; to a proxy, it is a request by plain HTTP that is passed on."""
        if not self.client_address[0].startswith(_OF_THE_SANDBOX):
            return
        if self.server.port == _WEB[0] and _upstream("http", self.server.name):
            super().handle()
            return
        with contextlib.suppress(OSError), _tunnel(f"{self.server.name}:{self.server.port}") as outside:
            copy_both_ways(self.connection, outside)

    def target(self, asked: str) -> str:
        """Return the whole address of what is asked for."""
        return f"http://{self.server.name}{asked}"


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


def _is_known(name: str) -> bool:
    """Whether there is such a name, as far as this machine can know: its own proxies may know more."""
    if _upstream("http", name) or _upstream("https", name):
        return True
    try:
        return bool(socket.getaddrinfo(name, _WEB[1]))
    except OSError:
        return False


def _authorization(upstream: SplitResult | None) -> str:
    if upstream is None or upstream.username is None:
        return ""
    pair = f"{unquote(upstream.username)}:{unquote(upstream.password or '')}"
    return f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"


def _connection(host: str, port: int) -> socket.socket:
    made = socket.create_connection((host, port), _CONNECT_SECONDS)
    made.settimeout(None)
    return made

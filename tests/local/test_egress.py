"""The way out for builds: a proxy whose socket is elsewhere, directly and by the machine's own proxy."""

from __future__ import annotations

import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from local.loopback import serving_http
from local.rehearsal.egress import hint, way_out


class Site(BaseHTTPRequestHandler):
    """Says what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        proxied = self.headers.get("Proxy-Authorization", "")
        body = f"{self.command} {self.path} {self.rfile.read(length).decode()}{proxied}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def through(proxy: str, url: str, data: bytes | None = None) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    with opener.open(url, data, timeout=10) as answer:
        return bytes(answer.read()).decode()


def at_once(proxy: str, url: str, body: str) -> str:
    """The answer to a request that is sent in one piece, whatever the proxies of this process."""
    way = urlsplit(proxy)
    with socket.create_connection((str(way.hostname), way.port or 0), 10) as client:
        head = f"POST {url} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(f"{head}{body}".encode())
        with client.makefile("rb") as answer:
            return bytes(answer.read()).decode().rpartition("\r\n")[2]


def test_plain_requests_are_forwarded() -> None:
    with serving_http(Site) as site, way_out((), 0) as proxy:
        assert through(proxy, f"{site}/a?b") == "GET /a?b "
        assert at_once(proxy, f"{site}/a", "body") == "POST /a body"
        assert through(proxy, site, b"x" * 100_000) == f"POST / {'x' * 100_000}"


def test_a_tunnel_leads_anywhere() -> None:
    with serving_http(Site) as site, way_out((), 0) as proxy:
        there, way = urlsplit(site), urlsplit(proxy)
        connection = HTTPConnection(str(way.hostname), way.port, timeout=10)
        connection.set_tunnel(str(there.hostname), there.port)
        connection.request("GET", "/inside")
        assert connection.getresponse().read() == b"GET /inside "
        connection.close()


def test_what_cannot_be_reached_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
    with way_out((), 0) as proxy:
        with pytest.raises(urllib.error.HTTPError, match="502") as refused:
            through(proxy, f"http://{nowhere}/")
        assert f"The way out of the rehearsal to http://{nowhere}/: " in refused.value.read().decode()
        with pytest.raises(OSError, match="502"):
            through(proxy, f"https://{nowhere}/")


@contextmanager
def tunneling() -> Iterator[tuple[str, list[str]]]:
    """A proxy of the machine, and the heads of what it was asked for; it takes every name for this machine's."""
    heads: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            heads.append(f"{self.path} {self.headers.get('Proxy-Authorization', '')}")
            self.send_response(200 if "refused" not in self.path else 403)
            self.end_headers()

    with serving_http(Handler) as address:
        yield address, heads


def test_the_machines_own_proxy_is_used_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_http(Site) as own, way_out((), 0) as proxy:
        monkeypatch.setenv("http_proxy", own.replace("//", "//me:p%40ss@"))
        assert through(proxy, "http://packages.example.com/x") == "GET http://packages.example.com/x Basic bWU6cEBzcw=="
        with serving_http(Site) as site:
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            assert at_once(proxy, f"{site}/near", "") == "POST /near "
    with tunneling() as (own, heads), way_out((), 0) as proxy:
        monkeypatch.setenv("https_proxy", own)
        monkeypatch.delenv("no_proxy")
        with pytest.raises((ssl.SSLError, urllib.error.URLError)):
            through(proxy, "https://packages.example.com/")
        with pytest.raises(OSError, match="502"):
            through(proxy, "https://refused.example.com/")
    assert heads == ["packages.example.com:443 ", "refused.example.com:443 "]


def test_nothing_is_left_of_it() -> None:
    before = threading.active_count()
    with way_out((), 0) as proxy:
        port = urlsplit(proxy).port
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port or 0), 1)


@pytest.mark.parametrize(
    ("log", "hinted"),
    [
        ("wget: bad address 'example.com'", True),
        ("npm error code EAI_AGAIN", True),
        ("Could not transfer artifact: Unknown host repo.maven.apache.org", True),
        ("java.net.UnknownHostException: repo.maven.apache.org", True),
        ("Could not fetch URL: [Errno -3] Temporary failure in name resolution", True),
        ("error: no such instruction", False),
    ],
)
def test_a_build_that_wants_a_network_gets_a_hint(log: str, hinted: bool) -> None:
    assert bool(hint(log)) == hinted

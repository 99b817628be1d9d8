"""The shop over HTTP."""

from __future__ import annotations

import logging
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shop.site import Page, Site

_LOG = logging.getLogger("shop")


class Server(ThreadingHTTPServer):
    """The shop on a port; closing it waits for the answers that are under way."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, site: Site, port: int) -> None:
        super().__init__(("", port), _Handler)
        self.site = site


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "shop", ""
    timeout = 5
    """Seconds that a connection may idle: it must not keep a stopping container."""

    def do_GET(self) -> None:
        """Answer with a page, or say whether the service works."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(HTTPStatus.OK, Page(b"ok\n", "text/plain; charset=utf-8", "no-store"))
        elif path in self.server.site.pages:
            self._answer(HTTPStatus.OK, self.server.site.pages[path])
        else:
            self._answer(HTTPStatus.NOT_FOUND, Page(b"not found\n", "text/plain; charset=utf-8", "no-store"))

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(self, status: HTTPStatus, page: Page) -> None:
        self.send_response(status)
        self.send_header("Content-Type", page.media_type)
        self.send_header("Content-Length", str(len(page.content)))
        self.send_header("Cache-Control", page.cache_control)
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Version", self.server.site.version)
        self.send_header("X-Build", self.server.site.build)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Requests are details: health checks are most of them."""
        _LOG.debug("%s %s", self.client_address[0], (format % args).replace('"', "'"))

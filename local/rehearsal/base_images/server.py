"""The registries of the world, as far as a rehearsal has their images: a process in the job sandbox.

It answers under their own names, over HTTPS, and reads from the image store. It asks nobody who they are: what it has
is what everybody may have, or what the user has given.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md ("Pulling").
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import ssl
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.rehearsal.base_images.names import DOCKER_HUB
from local.rehearsal.base_images.store import Content, ImageStore

DOCKER_HUB_HOSTS = ("docker.io", "index.docker.io", "registry-1.docker.io", "auth.docker.io")
_PATH = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")


class Registry(ThreadingHTTPServer):
    """The registries on one address and port."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        certificate: Path,
        store: ImageStore,
        images: Mapping[str, Content],
        log: Path,
    ) -> None:
        super().__init__(address, _Handler)
        self.store, self.images, self.log = store, images, log
        self._trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._trusted.load_cert_chain(certificate)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Answer one connection; its handshake is done in its own thread."""
        super().finish_request(self._trusted.wrap_socket(request, server_side=True), client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet of clients that go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def do_GET(self) -> None:
        """Answer with a manifest or a blob."""
        path = self.path.partition("?")[0]
        found = _PATH.fullmatch(path)
        if found:
            self._send(found)
        elif path.rstrip("/") == "/v2":
            self._answer(HTTPStatus.OK, b"{}")
        else:
            self._missing("UNSUPPORTED", f"{path} is not supported here")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _send(self, found: re.Match[str]) -> None:
        reference, name = found["reference"], f"{self._registry}/{found['repository']}"
        with self.server.log.open("a", encoding="utf-8") as log:
            log.write(f"{self.command} {name} {found['kind']} {reference}\n")
        kind, digest = "application/octet-stream", reference
        if found["kind"] == "manifests":
            content = self.server.images.get(f"{name}:{reference}")
            if content:
                kind, digest = content.media_type, content.digest
            elif reference in self.server.store:
                kind = json.loads(self.server.store.read(reference)).get("mediaType", kind)
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or digest not in self.server.store:
            self._missing("MANIFEST_UNKNOWN", f"{name}: the rehearsal has no {reference} of it; give it by --image")
            return
        file = self.server.store.path(digest)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(file.stat().st_size))
        self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            with file.open("rb") as opened:
                shutil.copyfileobj(opened, self.wfile, 1 << 20)

    @property
    def _registry(self) -> str:
        host = self.headers.get("Host", "").removesuffix(":443")
        return DOCKER_HUB if host in DOCKER_HUB_HOSTS else host

    def _missing(self, code: str, message: str) -> None:
        self._answer(HTTPStatus.NOT_FOUND, json.dumps({"errors": [{"code": code, "message": message}]}).encode())

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep quiet."""


def main() -> None:
    """Serve until standard input ends, with whoever started this; say when it is ready."""
    parser = argparse.ArgumentParser(prog="python -m local.rehearsal.base_images.server", description=__doc__)
    parser.add_argument("--address", required=True, help="the address to listen on")
    parser.add_argument("--port", type=int, action="append", required=True, help="a port to listen on")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file with the certificate and its key")
    parser.add_argument("--store", type=Path, required=True, help="folder of the image store")
    parser.add_argument("--images", type=Path, required=True, help="JSON: HOST/REPOSITORY:TAG to digest and media type")
    parser.add_argument("--log", type=Path, required=True, help="file that gets a line for each request")
    options = parser.parse_args()
    images = {name: Content(*content) for name, content in json.loads(options.images.read_text("utf-8")).items()}
    for port in options.port:
        server = Registry((options.address, port), options.certificate, ImageStore(options.store), images, options.log)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

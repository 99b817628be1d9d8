"""The stand-in as a server on loopback, in the protocol that every SDK and the CLI speak to ECS: JSON 1.1."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from local.rehearsal.ecs.model import TARGET_PREFIX
from local.rehearsal.ecs.service import Ecs, Refused


@contextmanager
def serving(ecs: Ecs) -> Iterator[str]:
    """Serve as long as the block lasts; gives the address for AWS_ENDPOINT_URL_ECS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = _answer(ecs, self.headers.get("X-Amz-Target", ""), body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(ecs: Ecs, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
    prefix, _, operation = target.partition(".")
    if prefix != TARGET_PREFIX:
        return 400, {"__type": "UnknownOperationException", "message": f"{target!r} is not of {TARGET_PREFIX}"}
    try:
        return 200, ecs.call(operation, json.loads(body or b"{}"))
    except Refused as refused:
        return 400, {"__type": refused.code, "message": refused.message}
    except Exception:  # noqa: BLE001 - a fault of the stand-in must be told from a refusal of ECS
        return 500, {"__type": "ServerException", "message": traceback.format_exc()}

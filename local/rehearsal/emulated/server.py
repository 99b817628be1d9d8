"""Emulators as a server on loopback, in the protocol that every SDK and the CLI speak to these services: JSON 1.1."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from local.rehearsal.emulated.service import Emulated, Refused
from local.rehearsal.loopback import serving_http


@contextmanager
def serving(*services: Emulated) -> Iterator[str]:
    """Serve as long as the block lasts; gives the address for ``AWS_ENDPOINT_URL_ECS`` and the like."""
    by_prefix = {service.target_prefix: service for service in services}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = _answer(by_prefix, self.headers.get("X-Amz-Target", ""), body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with serving_http(Handler) as address:
        yield address


def _answer(services: Mapping[str, Emulated], target: str, body: bytes) -> tuple[int, dict[str, Any]]:
    prefix, _, operation = target.partition(".")
    try:
        return 200, services[prefix].call(operation, json.loads(body or b"{}"))
    except Refused as refused:
        return 400, {"__type": refused.code, "message": refused.message}
    except Exception:  # noqa: BLE001 - a fault of the stand-in must be told from a refusal
        return 500, {"__type": "ServerException", "message": traceback.format_exc()}

"""Emulators as a server on loopback, in the protocol that every SDK and the CLI speak to these services: JSON 1.1."""

from __future__ import annotations

import json
import re
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from local.rehearsal.emulated.service import Emulated, Policies, Refused
from local.rehearsal.loopback import serving_http

_KEY = re.compile(r"Credential=([^/]+)/")


@contextmanager
def serving(
    *services: Emulated, policies_of: Callable[[str], Policies] | None = None, listener: socket.socket | None = None
) -> Iterator[str]:
    """Serve as long as the block lasts; gives the address for ``AWS_ENDPOINT_URL_ECS`` and the like.

    Args:
        services: What is served.
        policies_of: The policies of whoever has an access key; by default each emulator's own. A signature is not
            checked: who knows a key here was given it.
        listener: A socket that listens already, on loopback; by default a free port.
    """
    by_prefix = {service.target_prefix: service for service in services}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            key = _KEY.search(self.headers.get("Authorization", ""))
            policies = policies_of(key[1] if key else "") if policies_of else None
            status, answer = _answer(by_prefix, self.headers.get("X-Amz-Target", ""), body, policies)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with serving_http(Handler, listener=listener) as address:
        yield address


def _answer(
    services: Mapping[str, Emulated], target: str, body: bytes, policies: Policies | None
) -> tuple[int, dict[str, Any]]:
    prefix, _, operation = target.partition(".")
    if prefix not in services:
        known = ", ".join(services)
        return 400, {"__type": "UnknownOperationException", "message": f"{target!r} is not of {known}"}
    try:
        return 200, services[prefix].call(operation, json.loads(body or b"{}"), policies)
    except Refused as refused:
        return 400, {"__type": refused.code, "message": refused.message}
    except Exception:  # noqa: BLE001 - a fault of the stand-in must be told from a refusal
        return 500, {"__type": "ServerException", "message": traceback.format_exc()}

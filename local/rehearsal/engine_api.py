"""A client of a Docker engine's API, over its socket: no process for each question.

https://docs.docker.com/reference/api/engine/version/v1.45/
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_PATIENCE = 120.0
_HEADER = 8
"""Bytes before each piece of a log: the stream's number, three zeros, the piece's length."""


class EngineRefusal(Exception):  # noqa: N818 - an answer, not a fault
    """The engine's own no, in its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class EngineApi:
    """The API of one engine."""

    def __init__(self, socket_path: Path, await_ready: Callable[[], None] = lambda: None) -> None:
        """Describe it.

        Args:
            socket_path: Where it answers.
            await_ready: Called before each question; returns when there is somebody to answer.
        """
        self._path, self._await_ready = socket_path, await_ready

    def ask(self, method: str, path: str, body: object = None, *, timeout: float | None = _PATIENCE) -> Any:  # noqa: ANN401 - JSON
        """Ask once; returns the answer's JSON, or None for none.

        Raises:
            EngineRefusal: The engine says no.
        """
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with self._answer(method, path, content, headers, timeout) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def pull(self, image: str, credentials: Mapping[str, str]) -> None:
        """Fetch an image from its registry, or see that it is still the same there.

        Args:
            image: Its reference.
            credentials: ``username``, ``password`` and ``serveraddress`` of the registry, or nothing.

        Raises:
            EngineRefusal: It cannot be had.
        """
        if "@" not in image and ":" not in image.rpartition("/")[2]:
            image += ":latest"
        known = base64.urlsafe_b64encode(json.dumps(dict(credentials)).encode()).decode()
        path = f"/images/create?fromImage={image.replace('@', '%40').replace(':', '%3A')}"
        self._follow(path, b"", {"X-Registry-Auth": known})

    def load(self, archive: bytes) -> None:
        """Take the images of an archive, under the names that it gives them."""
        self._follow("/images/load?quiet=1", archive, {"Content-Type": "application/x-tar"})

    def _follow(self, path: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Wait for the end of something that tells how far it is."""
        with self._answer("POST", path, content, headers, _PATIENCE) as answer:
            for line in answer:
                told = json.loads(line) if line.strip() else {}
                if "error" in told:
                    raise EngineRefusal(500, str(told["error"]))

    def log(self, container: str) -> Iterator[bytes]:
        """What a container writes, in pieces, until it ends."""
        path = f"/containers/{container}/logs?follow=1&stdout=1&stderr=1"
        with self._answer("GET", path, b"", {}, None) as answer:
            while len(header := answer.read(_HEADER)) == _HEADER:
                yield answer.read(int.from_bytes(header[4:], "big"))

    def _answer(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str], timeout: float | None
    ) -> http.client.HTTPResponse:
        self._await_ready()
        connection = _Connection(self._path, timeout)
        connection.request(method, path, content, {**headers, "Connection": "close"})
        answer = connection.getresponse()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            with answer:
                text = answer.read().decode(errors="replace")
            try:
                message = str(json.loads(text)["message"])
            except (ValueError, KeyError):
                message = text
            raise EngineRefusal(answer.status, message)
        return answer

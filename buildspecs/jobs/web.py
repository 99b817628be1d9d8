"""HTTP by the standard library, tried up to four times where that may help."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any, BinaryIO, NamedTuple

from jobs import job

TRIES = 4
UNCLEAR = (0, 500, 502, 503, 504)  # 0: no answer, and the body says why


class Answer(NamedTuple):
    """An HTTP answer of any status."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON has no narrower type
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def prepared(
    method: str, url: str, headers: dict[str, str], body: bytes | BinaryIO | None = None
) -> urllib.request.Request:
    """The request; its Authorization header does not follow a redirect."""
    if not url.startswith(("https://", "http://")):
        job.fail(f"only http(s) addresses are asked, got {url!r}.")
    request = urllib.request.Request(url, data=body, method=method)  # noqa: S310 - checked above
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    return request


def ask(method: str, url: str, headers: dict[str, str], body: bytes | None = None, *, once: bool = False) -> Answer:
    """Ask and return the answer, whatever its status; a server that does not answer ends the job.

    `once` returns an unclear answer, too: look before asking again.
    """
    attempt = 1
    while True:
        answer = _answer(prepared(method, url, headers, body))
        wanted = answer.headers.get("retry-after", "")
        pause = max(attempt, int(wanted) if wanted.isdigit() else 0)
        refused = answer.status == 429 or (answer.status == 403 and wanted)  # too much was asked
        unclear = answer.status in UNCLEAR and not once
        if not (refused or unclear) or attempt == TRIES or pause > 120:
            break
        job.say(f"    {answer.status or answer.body.decode()}; trying again in {pause} s")
        time.sleep(pause)
        attempt += 1
    if not answer.status and not once:
        job.fail(f"{method} {url}: {answer.body.decode()}")
    return answer


def _answer(request: urllib.request.Request) -> Answer:
    try:
        try:
            response = urllib.request.urlopen(request, timeout=60)  # noqa: S310 - see prepared
        except urllib.error.HTTPError as error:
            response = error
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, response.read())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {}, repr(error).encode())

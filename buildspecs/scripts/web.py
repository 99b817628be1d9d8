"""HTTP by the standard library, with a second try where one may help."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any, BinaryIO, NamedTuple

import job

TRIES = 4
_WORTH_ANOTHER_TRY = (429, 500, 502, 503, 504)


class Answer(NamedTuple):
    """An HTTP answer of any status."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - JSON has no narrower type
        """The body as JSON; None when it is something else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def prepared(
    method: str, url: str, headers: dict[str, str], body: bytes | BinaryIO | None = None
) -> urllib.request.Request:
    """The request; its Authorization header does not follow a redirect to another host."""
    if not url.startswith(("https://", "http://")):
        job.fail(f"only http(s) addresses are asked, got {url!r}.")
    request = urllib.request.Request(url, data=body, method=method)  # noqa: S310 - checked above
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    return request


def ask(method: str, url: str, headers: dict[str, str], body: bytes | None = None, timeout: int = 60) -> Answer:
    """Ask and return the answer, whatever its status; ends the job when the server cannot be reached at all."""
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(prepared(method, url, headers, body), timeout=timeout) as response:  # noqa: S310 - see prepared
                return Answer(response.status, _lower(response.headers), response.read())
        except urllib.error.HTTPError as error:
            answer = Answer(error.code, _lower(error.headers), error.read())
            if error.code not in _WORTH_ANOTHER_TRY or attempt == TRIES:
                return answer
            problem = f"status {error.code}"
        except OSError as error:
            problem = str(error)
            if attempt == TRIES:
                job.fail(f"{method} {url}: {problem}")
        job.say(f"    {method} {url}: {problem}; trying again")
        time.sleep(attempt)
    raise AssertionError  # the last attempt has returned or failed


def _lower(headers: Any) -> dict[str, str]:  # noqa: ANN401 - email.message.Message, or None in a bare HTTPError
    return {name.lower(): value for name, value in (headers or {}).items()}

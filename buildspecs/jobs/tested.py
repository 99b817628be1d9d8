"""The service under test: its address, and headers out of secrets, which go to it and to no other host."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlsplit

from jobs import build_secrets, inputs, job, web

ALLOWED = "/?&=%:@!$'()*+,;~#"


def address(given: str) -> str:
    """Where the service is, without a slash at the end."""
    base = given.rstrip("/")
    if not base.startswith(("https://", "http://")):
        job.fail(f"SERVICE_URL must be an http(s) address, got {base!r}.", job.MISUSED)
    return base


def page(base: str, path: str) -> str:
    """The address of a path, written as Chrome writes it."""
    return f"{base}/{quote(path.lstrip('/'), safe=ALLOWED)}"


def origin(url: str) -> str:
    """What two addresses of one service have in common: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def headers() -> dict[str, str]:
    """What goes with each request, read out of the secrets of TEST_HEADERS; it is printed nowhere from here on."""
    wanted = inputs.parsed("TEST_HEADERS", job.optional("TEST_HEADERS"), dict)
    return {str(name): _value(str(name), str(reference)) for name, reference in wanted.items()}


def _value(name: str, reference: str) -> str:
    value = build_secrets.value(reference).strip()
    if not value or not value.isascii() or not value.isprintable():
        job.fail(f"the secret {reference} cannot be the header {name}: it must be one line of printable ASCII.")
    # A cookie is `name=value; name=value`, a password `Basic ...`: a page may show each of them by itself.
    words = [part for word in re.split(r"[\s;]+", value) for part in (word, word.partition("=")[2])]
    for text in (value, *(word for word in words if len(word) >= build_secrets.SHORTEST_LINE)):
        for written in (text, json.dumps(text)[1:-1], quote(text, safe="")):
            job.secret(written)
    return value


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect, or does not; the headers go along where it stays with the service."""

    def __init__(self, *, followed: bool) -> None:
        self._followed = followed

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,  # noqa: ANN401 - as the class above has it
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request; with none the redirect is the answer."""
        asked = super().redirect_request(req, fp, code, msg, headers, newurl) if self._followed else None
        if asked is not None and origin(newurl) == origin(req.full_url):
            for name, value in req.unredirected_hdrs.items():
                asked.add_unredirected_header(name, value)
        return asked


def opened(url: str, given: dict[str, str], seconds: float, *, method: str = "GET", followed: bool = True) -> Any:  # noqa: ANN401 - as urllib returns it
    """Ask the service and return the answer, whatever its status; OSError and HTTPException when there is none."""
    opener = urllib.request.build_opener(_Redirects(followed=followed))
    try:
        return opener.open(web.prepared(method, url, given), timeout=seconds)
    except urllib.error.HTTPError as error:
        return error

"""The application, as gunicorn runs it."""

from collections.abc import Callable, Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request, and write a line about it that the log router takes on."""
    path = environ["PATH_INFO"]
    if path != "/healthz":
        print(f"{environ['REQUEST_METHOD']} {path} for {environ.get('HTTP_X_FORWARDED_FOR', 'nobody')}", flush=True)
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [b'<!doctype html>\n<link rel="stylesheet" href="/static/shop.css">\n<h1>Fresh today</h1>\n']

"""Ask the deployed service, at SERVICE_URL, for what a customer needs; the exit code says whether it is there."""

from __future__ import annotations

import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse

EXPECTED = "Fresh today"
PATIENCE_SECONDS = 30


def fetch(url: str) -> tuple[HTTPResponse, str]:
    """The answer and its text; a load balancer may need a moment before it has a target."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer, answer.read().decode()
        except urllib.error.HTTPError as error:
            if error.code not in {502, 503, 504} or time.monotonic() > deadline:
                raise
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def problems(url: str) -> Iterator[str]:
    """What a customer would miss."""
    answer, page = fetch(f"{url}/")
    print(f"{url}/ is version {answer.headers['X-Version']}, build {answer.headers['X-Build']}")
    if EXPECTED not in page:
        yield f"the first page does not say {EXPECTED!r}"
    files = sorted(set(re.findall(r'(?:href|src)="(/[^"]*)"', page)))
    for file in files:
        if fetch(f"{url}{file}")[0].status != 200:
            yield f"{file}, which the first page refers to, is not there"
    print(f"{len(files)} links and files of the first page were asked for")


def main() -> int:
    """Print what is wrong; return the exit code."""
    url = os.environ.get("SERVICE_URL", "http://localhost:8080").rstrip("/")
    try:
        found = list(problems(url))
    except OSError as error:
        found = [f"{error.url}: {error}" if isinstance(error, urllib.error.HTTPError) else f"{url}: {error}"]
    for problem in found:
        print(f"FAILED: {problem}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""One request to the service each: what it answers, held against what is expected."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import NamedTuple

from jobs import inputs, job, junit, tested

STARTING_SECONDS, PAUSE_SECONDS = 60, 2
"""How long connections that fail are tried again, of all checks together, and the pause before each."""
MOST_BYTES = 1024 * 1024
"""How much of an answer is looked at."""


class Answer(NamedTuple):
    """What came back, and how long it took until its last byte was here."""

    status: int
    headers: http.client.HTTPMessage
    body: str
    seconds: float


class Check(NamedTuple):
    """What is asked, and what the answer has to be; `containing` is text that headers hold, by their names."""

    method: str
    path: str
    status: int
    containing: dict[str, str]
    contains: str
    milliseconds: int

    def problems(self, answer: Answer) -> Iterator[str]:
        """Yield what is not as it has to be."""
        if answer.status != self.status:
            moved = f" and leads to {answer.headers['Location']}" if answer.headers["Location"] else ""
            yield f"it answers with status {answer.status}{moved}, {self.status} is expected"
        for name, text in self.containing.items():
            found = answer.headers.get_all(name)
            if found is None:
                yield f"it has no header {name}"
            elif text not in ", ".join(found):
                yield f"its header {name} is {', '.join(found)!r}, {text!r} is expected in it"
        if self.contains not in answer.body:
            yield f"{self.contains!r} is not in its body, which begins with {answer.body[:100]!r}"


def read() -> list[Check]:
    """The checks of HTTP_CHECKS."""
    return [
        Check(
            method=check["method"],
            path=check["path"],
            status=check["status"],
            containing=check["headers"],
            contains=check["contains"],
            milliseconds=check["withinMilliseconds"],
        )
        for check in inputs.parsed("HTTP_CHECKS", job.require("HTTP_CHECKS"), list)
    ]


def asked(url: str, check: Check, headers: dict[str, str]) -> Answer:
    """Ask once, without following a redirect; TimeoutError when the time is up before the answer is whole."""
    began, limit = time.monotonic(), check.milliseconds / 1000
    with tested.opened(url, headers, limit, method=check.method, followed=False) as answer:
        body, more = b"", True
        while more and len(body) < MOST_BYTES:
            chunk = answer.read1(64 * 1024)
            body, more = body + chunk, bool(chunk)
            if time.monotonic() - began > limit:
                raise TimeoutError
        return Answer(answer.status, answer.headers, body.decode(errors="replace"), time.monotonic() - began)


def result(base: str, check: Check, headers: dict[str, str], deadline: float) -> junit.Case:
    """Ask, again while no connection comes about, and say what is wrong."""
    url, seconds = tested.page(base, check.path), 0.0
    while True:
        try:
            answer = asked(url, check, headers)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                problem = f"it takes longer than {check.milliseconds} ms"
                break
            problem = f"it cannot be reached: {reason or type(reason).__name__}"
            if time.monotonic() > deadline:
                break
            job.say(f"    {url}: {problem}; trying again")
            time.sleep(PAUSE_SECONDS)
        else:
            problem, seconds = "; ".join(check.problems(answer)), answer.seconds
            break
    case = junit.Case(url, f"{check.method} {check.path}", problem, round(seconds, 3))
    said = f": {problem}" if problem else f" answers with {check.status} after {1000 * seconds:.0f} ms"
    job.say(f"{'FAIL' if problem else 'ok  '} {check.method} {url}{said}")
    return case


def run(base: str, headers: dict[str, str], checks: list[Check]) -> list[junit.Case]:
    """Make all checks."""
    deadline = time.monotonic() + STARTING_SECONDS
    return [result(base, check, headers, deadline) for check in checks]


def failures(cases: list[junit.Case]) -> list[str]:
    """A line for each check that failed."""
    return [f"  {case.name}: {case.problem}" for case in cases if case.problem]

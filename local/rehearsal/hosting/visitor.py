"""A client that asks a service all the time, and takes down what it is answered."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PATIENCE = 10.0


def is_failure(status: int) -> bool:
    """Return whether a request with this answer, 0 for none, has failed by the service's fault.

    Answers 4xx are not its fault: an application may have no page at the address that is asked for, or may want a login
    there. The metrics that alarms watch count the same, ``HTTPCode_ELB_5XX_Count`` and ``HTTPCode_Target_5XX_Count``:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    """
    return not 200 <= status < 500


@dataclass(frozen=True, slots=True)
class Visit:
    """One request.

    Attributes:
        time: When it began, in seconds since 1970.
        seconds: How long its answer took.
        status: The answer's code; 0 for none.
        version: Which version has answered, as far as that can be told.
        error: Why there was no answer.
    """

    time: float
    seconds: float
    status: int
    version: str = ""
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether it has failed, see `is_failure`."""
        return is_failure(self.status)


class Visitor:
    """Asks in a thread of its own for as long as the `with` block lasts, over a new connection each time.

    Attributes:
        visits: What it was answered so far, the oldest first.
    """

    def __init__(
        self,
        url: str,
        path: str = "/",
        *,
        every: float = 0.05,
        host: str = "",
        version: Callable[[Mapping[str, str], bytes], str] = lambda _headers, _body: "",
        begins: Callable[[], bool] = lambda: True,
    ) -> None:
        """Describe it.

        Args:
            url: Where the service is reached.
            path: What to ask for.
            every: Seconds between the beginnings of two requests.
            host: The name to ask for, where it is not the address's.
            version: Tells from an answer's headers, in lower case, and its body which version has answered.
            begins: Whether there is somebody to ask; before, nothing is asked.
        """
        self._place, self._path = urlsplit(url).netloc, path
        self._every, self._version, self._begins = every, version, begins
        self._headers = {"Connection": "close", **({"Host": host} if host else {})}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visitor", daemon=True)
        self.visits: list[Visit] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Come to an end with the request that is under way."""
        self._over.set()
        self._thread.join()

    @property
    def failed(self) -> list[Visit]:
        """The requests that have failed."""
        return [visit for visit in list(self.visits) if visit.failed]

    @property
    def versions(self) -> list[str]:
        """The versions that have answered, in the order of their first answer."""
        return list(dict.fromkeys(visit.version for visit in list(self.visits) if visit.version))

    def _run(self) -> None:
        while not self._begins():
            if self._over.wait(self._every):
                return
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._every, time.monotonic())
            self.visits.append(self.ask())

    def ask(self) -> Visit:
        """Ask once."""
        began, clock = time.time(), time.monotonic()
        connection = http.client.HTTPConnection(self._place, timeout=_PATIENCE)
        try:
            connection.request("GET", self._path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Visit(began, time.monotonic() - clock, answer.status, self._version(headers, body))
        except (OSError, http.client.HTTPException) as error:
            return Visit(began, time.monotonic() - clock, 0, error=f"{type(error).__name__}: {error}")
        finally:
            connection.close()

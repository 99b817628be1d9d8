"""The job that asks the service: it really runs, against a service on loopback."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from fake_tools import Machine, Reply, Request, WebServer, module, serving

HEALTHY = b'{"status":"ok"}'


class Service(WebServer):
    """An API with a page that moved, one that is slow, and one that wants a password."""

    def reply(self, request: Request) -> Reply:
        if request.path == "/moved":
            return Reply(302, headers={"Location": "https://login.example.com/"})
        if request.path == "/slow":
            time.sleep(0.3)
        if request.path == "/own" and request.headers.get("x-token") != "open-sesame":
            return Reply(401, b"no open-sesame here")
        if request.path == "/gone":
            return Reply(410)
        return Reply(200, HEALTHY, {"Content-Type": "application/json; charset=utf-8"})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def check(path: str, **changes: object) -> dict[str, object]:
    """A check as the stage hands it over."""
    whole = {"method": "GET", "status": 200, "headers": {}, "contains": "", "withinMilliseconds": 5000}
    return {"path": path, **whole, **changes}


def ask(machine: Machine, *checks: dict[str, object], **changes: str) -> tuple[int, str, str, Service]:
    """Run the job; exit code, what it said, the address, the service."""
    service = Service()
    with serving(service) as url:
        result = machine.run("run_http_checks", SERVICE_URL=f"{url}/", HTTP_CHECKS=json.dumps(checks), **changes)
    return result.returncode, result.stdout + result.stderr, url, service


def test_what_answers_as_expected_passes_with_a_line_each(machine: Machine) -> None:
    code, said, url, service = ask(
        machine,
        check("/healthz?deep=1", contains='"status":"ok"', headers={"content-type": "application/json"}),
        check("/", method="HEAD"),
        check("/gone", status=410),
    )

    assert code == 0, said
    assert f"ok   GET {url}/healthz?deep=1 answers with 200 after " in said
    assert f"ok   HEAD {url}/ answers with 200 after " in said
    assert f"ok   GET {url}/gone answers with 410 after " in said
    assert list(map(str, service.requests)) == ["GET /healthz?deep=1", "HEAD /", "GET /gone"]


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (check("/gone"), "it answers with status 410, 200 is expected"),
        (check("/moved"), "it answers with status 302 and leads to https://login.example.com/, 200 is expected"),
        (check("/", headers={"ETag": "1"}), "it has no header ETag"),
        (
            check("/", headers={"Content-Type": "text/html"}),
            "its header Content-Type is 'application/json; charset=utf-8', 'text/html' is expected in it",
        ),
        (
            check("/", contains='"status":"bad"'),
            '\'"status":"bad"\' is not in its body, which begins with \'{"status":"ok"}\'',
        ),
        (check("/slow", withinMilliseconds=100), "it takes longer than 100 ms"),
        (
            check("/gone", contains="ok"),
            "it answers with status 410, 200 is expected; 'ok' is not in its body, which begins with ''",
        ),
    ],
)
def test_what_is_wrong_is_said(machine: Machine, wrong: dict[str, object], problem: str) -> None:
    code, said, url, service = ask(machine, wrong)

    assert code == 1
    assert f"FAIL GET {url}{wrong['path']}: {problem}\n" in said
    assert f"FAILED: {url} does not answer as expected:\n  GET {wrong['path']}: {problem}\n" in said
    assert len(service.requests) == 1, "an answer is an answer, and a redirect is not followed"


def test_all_failures_are_told_at_once_and_are_in_the_test_report(machine: Machine) -> None:
    code, said, url, _ = ask(machine, check("/gone"), check("/"), check("/moved"))

    assert code == 1
    _, _, failed = said.partition("FAILED: ")
    assert [line.split(":")[0] for line in failed.splitlines()[1:-2]] == ["  GET /gone", "  GET /moved"]
    suite = ET.parse(machine.folder / "http-checks.xml").getroot()  # noqa: S314 - our own file
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("http", "3", "2")
    assert [(case.get("classname"), case.get("name"), len(case)) for case in suite] == [
        (f"{url}/gone", "GET /gone", 1),
        (f"{url}/", "GET /", 0),
        (f"{url}/moved", "GET /moved", 1),
    ]
    assert float(suite[1].get("time", "")) > 0


def test_headers_come_out_of_secrets_and_are_shown_nowhere(machine: Machine) -> None:
    machine.answer("aws secretsmanager get-secret-value --secret-id shop/token", {"SecretString": "open-sesame"})
    code, said, _, service = ask(
        machine, check("/own"), check("/own", status=204), TEST_HEADERS='{"X-Token": "shop/token"}'
    )

    assert code == 1
    assert "it answers with status 200, 204 is expected" in said
    assert {request.headers["x-token"] for request in service.requests} == {"open-sesame"}
    assert "open-sesame" not in said + (machine.folder / "http-checks.xml").read_text()


def test_an_answer_that_shows_a_secret_is_masked(machine: Machine) -> None:
    machine.answer("aws secretsmanager get-secret-value", {"SecretString": json.dumps({"key": "open-sesame"})})
    code, said, _, _ = ask(machine, check("/own", contains="welcome"), TEST_HEADERS='{"X-Other": "shop/token:key"}')

    assert code == 1
    assert "which begins with 'no *** here'" in said
    report = (machine.folder / "http-checks.xml").read_text()
    assert "no *** here" in report
    assert "open-sesame" not in said + report


@pytest.fixture
def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def test_a_connection_that_fails_is_tried_again_as_long_as_stated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free_port: int
) -> None:
    job = module("http_checks")
    clock = [0.0]
    monkeypatch.setattr(job.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(job.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    one = job.Check("GET", "/", 200, {}, "", 1000)

    case = job.result(f"http://127.0.0.1:{free_port}", one, {}, job.STARTING_SECONDS)

    assert case.problem.startswith("it cannot be reached: ")
    assert "refused" in case.problem
    assert job.STARTING_SECONDS < clock[0] <= job.STARTING_SECONDS + job.PAUSE_SECONDS
    assert capsys.readouterr().out.count("trying again") == clock[0] / job.PAUSE_SECONDS


def test_a_service_that_comes_up_in_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    job = module("http_checks")
    monkeypatch.setattr(job.time, "sleep", lambda _seconds: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=answer_late, args=(server,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        case = job.result(url, job.Check("GET", "/", 200, {}, "ok", 5000), {}, time.monotonic() + 60)
        thread.join()
    assert case.problem == ""


def answer_late(server: socket.socket) -> None:
    """Hang up twice, then answer."""
    for number in range(3):
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            if number == 2:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.fixture
def dripping() -> Iterator[str]:
    """A service that sends a byte at a time, each of them well within a limit, and then ends."""

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
            for _ in range(8):
                time.sleep(0.05)
                try:
                    connection.sendall(b".")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_the_limit_is_that_of_the_whole_answer(dripping: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = module("http_checks")
    elapsed = count(0, 2)  # seconds, each time the job looks: so many do not pass here between two bytes
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: next(elapsed)))
    case = job.result(dripping, job.Check("GET", "/", 200, {}, "", 5000), {}, 0.0)
    assert case.problem == "it takes longer than 5000 ms"


def test_an_answer_of_no_length_limit_is_read_to_the_first_mebibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    job = module("http_checks")
    monkeypatch.setattr(job, "MOST_BYTES", 4)
    with serving(Service()) as url:
        found = job.asked(f"{url}/", job.Check("GET", "/", 200, {}, "", 5000), {})
        assert found.body == HEALTHY.decode(), "what came with it"
        monkeypatch.setattr(job, "MOST_BYTES", 0)
        assert job.asked(f"{url}/", job.Check("GET", "/", 200, {}, "", 5000), {}).body == ""


def test_checks_that_are_none_are_refused(machine: Machine) -> None:
    result = machine.run("run_http_checks", SERVICE_URL="http://127.0.0.1:1", HTTP_CHECKS="{}")
    assert result.returncode == 2
    assert "HTTP_CHECKS must be a JSON list" in result.stderr

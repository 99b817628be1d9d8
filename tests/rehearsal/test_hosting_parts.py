"""Parts of the hosting that runs for real, each by itself: alarms, the steps of a shift, a client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from summary import program

from local.loopback import serving_http
from local.rehearsal.hosting import Pace, Visitor
from local.rehearsal.hosting.alarms import Alarm, Alarms, alarms_from
from local.rehearsal.hosting.existing import plain_hosting
from local.rehearsal.hosting.from_graph import listeners_of, traffic_steps
from local.rehearsal.hosting.load_balancer import Figures
from local.rehearsal.report.model import Sample

SERVICE = "aws:ecs/service:Service"
CONFIG = "aws:codedeploy/deploymentConfig:DeploymentConfig"


@pytest.mark.parametrize(
    ("name", "routing", "steps"),
    [
        ("CodeDeployDefault.ECSAllAtOnce", None, ((100.0, 0.0),)),
        ("CodeDeployDefault.ECSCanary10Percent15Minutes", None, ((10.0, 15.0), (100.0, 0.0))),
        (
            "CodeDeployDefault.ECSLinear10PercentEvery3Minutes",
            None,
            (*((10.0 * number, 3.0) for number in range(1, 10)), (100.0, 0.0)),
        ),
        (
            "own",
            {"type": "TimeBasedLinear", "timeBasedLinear": {"percentage": 40, "interval": 2}},
            ((40.0, 2.0), (80.0, 2.0), (100.0, 0.0)),
        ),
        (
            "own",
            {"type": "TimeBasedCanary", "timeBasedCanary": {"percentage": 5, "interval": 60}},
            ((5.0, 60.0), (100.0, 0.0)),
        ),
    ],
)
def test_codedeploy_shifts_as_its_configuration_says(
    name: str, routing: object, steps: tuple[tuple[float, float], ...]
) -> None:
    inputs = {"deploymentConfigName": "own", "trafficRoutingConfig": routing}

    assert traffic_steps([{"type": CONFIG, "inputs": inputs}], name) == steps


class Balancer:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.requests = self.errors = self.sick = 0

    def figures(self) -> Figures:
        return Figures(self.requests, self.errors)

    def unhealthy(self) -> int:
        return self.sick


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time for alarms, which stands still unless it is set."""
    now = [1000.0]
    monkeypatch.setattr("local.rehearsal.hosting.alarms.time.monotonic", lambda: now[0])
    yield now
    monkeypatch.undo()


def watched(
    clock: list[float], *, errors: int = 0, requests: int = 50, sick: int = 0, seconds: int = 4, grace: int = 0
) -> Alarms:
    """The alarms of the made hosting after so many seconds with so much of everything in each."""
    made = Alarms(
        (
            Alarm(name="errors", kind="errors", threshold=5, minutes=3),
            Alarm(name="sick", kind="unhealthy", threshold=1, minutes=3),
            Alarm(name="latency", kind="", threshold=1, minutes=3),
        ),
        Pace(waits=1 / 60, checks=1 / 60, grace=1 / 60, least_grace=grace),
    )
    balancer = Balancer()
    balancer.sick = sick
    for _ in range(seconds + 1):
        made.note(balancer)
        clock[0] += 1
        balancer.requests += requests
        balancer.errors += errors
    made.note(balancer)
    return made


NAMES = ("errors", "sick", "latency")


def test_alarms_go_off_when_it_is_too_much_for_long_enough(clock: list[float]) -> None:
    assert watched(clock, errors=3).gone_off(NAMES) == ("errors",), "6 percent"
    assert watched(clock, errors=2).gone_off(NAMES) == (), "4 percent"
    assert watched(clock, errors=5, requests=5).gone_off(NAMES) == (), "too few requests say nothing"
    assert watched(clock, errors=50, seconds=1).gone_off(NAMES) == (), "not long enough"
    assert watched(clock, sick=1).gone_off(NAMES) == ("sick",)
    assert watched(clock, sick=1, grace=9).gone_off(NAMES) == (), "a task that still starts has its time"
    assert watched(clock, sick=1).gone_off(("errors",)) == (), "it is not watched"
    quiet = watched(clock)
    quiet.set_off("latency")
    assert quiet.gone_off(NAMES) == ("latency",)
    quiet.reset()
    assert quiet.gone_off(NAMES) == ()


def test_the_alarms_of_a_stack_are_told_by_what_they_look_at() -> None:
    graph = [resource.as_dict() for resource in program("ecs-blue-green")]

    found = {alarm.name: alarm for alarm in alarms_from(graph)}

    assert {name: alarm.kind for name, alarm in found.items()} == {
        "shop-ecs-blue-green-errors": "errors",
        "shop-ecs-blue-green-latency": "",
        "shop-ecs-blue-green-unhealthy-hosts": "unhealthy",
    }
    assert found["shop-ecs-blue-green-errors"].minutes >= 1
    assert found["shop-ecs-blue-green-errors"].threshold >= 1


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that is asked for, and breaks off where none is."""

    def do_GET(self) -> None:  # http.server's name
        if self.path == "/0":
            return
        self.send_response(int(self.path.strip("/") or 200))
        self.send_header("X-Version", "7")
        self.send_header("Content-Length", "0")
        self.end_headers()


def test_a_client_takes_down_each_answer() -> None:
    with (
        serving_http(Answers) as url,
        Visitor(url, "/", every=0.01, version=lambda headers, _body: headers["x-version"]) as visitor,
    ):
        deadline = time.monotonic() + 10
        while len(visitor.visits) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)

    assert len(visitor.visits) >= 5
    assert visitor.failed == []
    assert visitor.versions == ["7"]
    times = [visit.time for visit in visitor.visits]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("status", "failed"), [(0, True), (200, False), (301, False), (401, False), (404, False), (500, True), (503, True)]
)
def test_a_request_fails_by_the_services_fault_alone(status: int, failed: bool) -> None:
    """The report counts as the client does."""
    with serving_http(Answers) as url:
        visit = Visitor(url, f"/{status}").ask()
    assert (visit.status, visit.failed, visit.error[:19]) == (status, failed, "" if status else "RemoteDisconnected:")
    assert Sample(at=visit.time, status=visit.status).failed is failed


def test_a_client_asks_nothing_before_there_is_somebody_to_ask() -> None:
    asked = iter([False, False, True])
    with serving_http(Answers) as url:
        with Visitor(url, "/", every=0.01, begins=lambda: next(asked)) as visitor:
            deadline = time.monotonic() + 10
            while not visitor.visits and time.monotonic() < deadline:
                time.sleep(0.01)
        with Visitor(url, "/", every=0.01, begins=lambda: False) as early:
            pass
    assert visitor.visits
    assert next(asked, "no more") == "no more"
    assert early.visits == []


@pytest.mark.parametrize(
    ("stack", "ports"),
    [
        ("dev", [80, 8080]),
        ("prod", [80, 8080]),
        ("ecs-blue-green", [443, 9443, 80]),
        ("existing-network", [80]),
        ("ecs-native", [80, 8080]),
        ("existing-hosting", [80, 8080]),
    ],
)
def test_the_users_listener_is_the_first_however_a_graph_is_ordered(stack: str, ports: list[int]) -> None:
    """Then the one for tests, and at last the one that redirects."""
    graph = [resource.as_dict() for resource in program(stack)]
    graph = (
        graph if any(resource["type"] == SERVICE for resource in graph) else [*graph, *plain_hosting(graph).resources]
    )

    for ordered in (graph, graph[::-1]):
        assert [listener.port for listener in listeners_of(ordered)] == ports

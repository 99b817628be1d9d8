"""Services that find each other: two stacks on one network, one of which calls the other by its names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from delivered_stack import DeliveredStack
from hosted import Running, app, await_, on, running
from rehearsing import Need

from local.rehearsal.emulated import Refused
from local.rehearsal.hosting.namespaces import Alias, Namespaces
from local.rehearsal.images import Entry, Image, busybox, image, layer
from local.rehearsal.job_sandbox import JobSandbox

INNER = "inner-service"
NAMESPACE = f"shop-{INNER}"
"""The one that the stack of the inner service makes."""


@pytest.fixture(autouse=True)
def _tools(need: Need) -> None:
    need("namespaces", "docker")


@pytest.fixture
def namespaces(sandbox: JobSandbox) -> Iterator[Namespaces]:
    """What both stacks are in."""
    with Namespaces(lambda: sandbox.holder) as made:
        yield made


def client() -> DeliveredStack:
    """A worker that is in the same namespace, and has no endpoint."""
    hosting = {"loadBalancer": {"enabled": False}, "serviceConnect": {"namespace": NAMESPACE}}
    return DeliveredStack("worker", {"application": {"desiredCount": 1, "command": []}, "hosting": hosting})


def calling(name: str, port: int) -> Image:
    """A program that asks for a page again and again, and writes what it gets.

    It looks the name up with this machine's own getent: busybox is a static program, whose C library cannot.
    """
    getent = str(shutil.which("getent"))
    said = subprocess.run(["ldd", getent], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", said)
    files = {path.lstrip("/"): Entry(Path(path).read_bytes(), 0o755) for path in libraries}
    files |= {
        "bin/getent": Entry(Path(getent).read_bytes(), 0o755),
        "etc/nsswitch.conf": Entry(b"hosts: files dns\n"),
    }
    request = r"printf 'GET / HTTP/1.0\r\n\r\n'"
    ask = f"set -- $(getent ahostsv4 {name}); {request} | nc -w 2 $1 {port} | tail -n 1; echo"
    return image(busybox(), layer(files), Entrypoint=["sh", "-c", f"while sleep 0.2; do {ask}; done"])


def heard(served: Running) -> set[str]:
    """What the newest task of a service has written."""
    newest = served.hosting.service.tasks[-1]
    return set(served.log({"taskArn": newest.arn}))


@pytest.mark.parametrize(("name", "port"), [("orders", 80), ("orders.shop.internal", 8080)], ids=["endpoint", "DNS"])
def test_a_service_calls_another_by_its_name(
    sandbox: JobSandbox, namespaces: Namespaces, tmp_path: Path, name: str, port: int
) -> None:
    with ExitStack() as ends:
        orders = DeliveredStack(INNER)
        inner = ends.enter_context(running(sandbox, tmp_path / "inner", orders, namespaces=namespaces))
        inner.deploy(inner.push(app("orders, one")))
        assert inner.settled() == "SUCCESSFUL"
        caller = ends.enter_context(running(sandbox, tmp_path / "caller", client(), namespaces=namespaces))

        caller.deploy(caller.push(calling(name, port)))

        assert caller.settled() == "SUCCESSFUL"
        await_(lambda: "orders, one" in heard(caller))
        inner.deploy(inner.push(app("orders, two")))
        assert inner.settled() == "SUCCESSFUL"
        await_(lambda: "orders, two" in heard(caller))


def test_a_task_finds_only_what_was_there_when_its_deployment_began(
    sandbox: JobSandbox, namespaces: Namespaces, tmp_path: Path
) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html"""
    with ExitStack() as ends:
        inner = ends.enter_context(running(sandbox, tmp_path / "inner", DeliveredStack(INNER), namespaces=namespaces))
        caller = ends.enter_context(running(sandbox, tmp_path / "caller", client(), namespaces=namespaces))
        image_of_caller = caller.push(calling("orders", 80))
        caller.deploy(image_of_caller)
        assert caller.settled() == "SUCCESSFUL"
        inner.deploy(inner.push(app("orders, one")))
        assert inner.settled() == "SUCCESSFUL"
        assert "orders, one" not in heard(caller)

        caller.deploy(image_of_caller)

        assert caller.settled() == "SUCCESSFUL"
        await_(lambda: "orders, one" in heard(caller))


def test_an_endpoint_belongs_to_one_service(namespaces: Namespaces) -> None:
    namespaces.claim("orders", "shop", {"orders": Alias("orders", 80)})
    for wanted in ({"orders": Alias("other", 81)}, {"other": Alias("orders", 80)}):
        with pytest.raises(Refused, match="SC service is already used by orders"):
            namespaces.claim("payments", "shop", wanted)
    namespaces.claim("payments", "another", {"orders": Alias("orders", 80)})
    namespaces.claim("orders", "shop", {})
    namespaces.claim("payments", "shop", {"orders": Alias("orders", 80)})
    assert len(namespaces.hosts("shop")) == 1


def test_an_endpoint_without_tasks_answers_nothing(sandbox: JobSandbox, namespaces: Namespaces) -> None:
    namespaces.claim("orders", "shop", {"orders": Alias("orders", 80)})
    namespaces.register("orders", "orders", "one", ("127.0.0.1", 9))
    (host,) = namespaces.hosts("shop")
    ask = "import socket, sys; print(socket.create_connection((sys.argv[1], 80), 5).recv(9))"
    assert on(sandbox, sys.executable, "-c", ask, host.partition(":")[2]) == "b''\n"

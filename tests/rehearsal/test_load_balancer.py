"""What the stack file says of the load balancer, executed: how tasks are asked, and how clients are answered."""

from __future__ import annotations

import http.client
import json
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import h2
import hpack
import hyperframe
import pytest
from delivered_stack import DeliveredStack
from hosted import PACE, PORT, Running, app, await_, fetched, on, running
from rehearsing import Need

from local.rehearsal.base_images.names import ImageName
from local.rehearsal.base_images.stand_ins import stand_in
from local.rehearsal.hosting.load_balancer import SERVED_BY, STICKY
from local.rehearsal.images import Entry, Image, Layer, busybox, image, layer
from local.rehearsal.job_sandbox import JobSandbox

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f"
NAME = "shop.example.com"
PATIENT = replace(PACE, least_grace=20)
"""For programs that take a while to start."""


@pytest.fixture(autouse=True)
def _tools(need: Need) -> None:
    need("namespaces", "docker", "haproxy")


def stack(**balancer: object) -> DeliveredStack:
    """A stack with one target group, whose load balancer is said to be like this.

    Without alarms: they would count what clients are answered before the first version is there.
    """
    how = {"plainHttp": True} if "certificateArn" not in balancer else {}
    hosting = {"loadBalancer": {**how, **balancer}, "alarms": {"enabled": False}}
    return DeliveredStack("existing-network", {"application": {"healthCheckPath": "/"}, "hosting": hosting})


def answered(served: Running, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    """An answer to one request from outside the machine."""
    connection = http.client.HTTPConnection(urlsplit(served.hosting.url).netloc, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer


def test_a_health_check_has_a_port_and_codes_of_its_own(sandbox: JobSandbox, tmp_path: Path) -> None:
    """The page behind that port is behind a password, which the codes allow for."""
    with running(sandbox, tmp_path, stack(healthCheck={"port": 9090, "matcher": "200,401"})) as served:
        files = {"srv/index.html": Entry(b"well"), "srv.conf": Entry(b"/:somebody:secret\n")}
        web = image(busybox(), layer(files), Entrypoint=["sh", "-c"])
        asked = f"httpd -p 9090 -c /srv.conf -h /srv; exec httpd -f -p {PORT} -h /srv"

        new = served.deploy(served.push(web), command=[asked])

        assert served.settled() == "SUCCESSFUL"
        assert served.visited() == [new]

        served.deploy(served.push(web), command=[f"exec httpd -f -p {PORT} -h /srv"])  # nothing listens on 9090

        assert served.settled() == "ROLLBACK_SUCCESSFUL"
        assert served.visited() == [new]


SLOW = b"""#!/bin/sh
sleep 3
printf 'Content-Type: text/plain\\r\\n\\r\\nat last'
"""


@pytest.mark.parametrize(("seconds", "status"), [(1, 504), (30, 200)])
def test_a_connection_without_a_byte_ends_after_the_idle_timeout(
    sandbox: JobSandbox, tmp_path: Path, seconds: int, status: int
) -> None:
    with running(sandbox, tmp_path, stack(idleTimeoutSeconds=seconds)) as served:
        slow = layer({"srv/cgi-bin/slow": Entry(SLOW, 0o755), "srv/index.html": Entry(b"well")})
        served.deploy(served.push(image(busybox(), slow, Entrypoint=["httpd", "-f", "-p", PORT, "-h", "/srv"])))
        assert served.settled() == "SUCCESSFUL"

        assert answered(served, "/cgi-bin/slow").status == status


def test_a_client_stays_at_its_task_by_the_cookie_of_the_load_balancer(sandbox: JobSandbox, tmp_path: Path) -> None:
    with running(sandbox, tmp_path, stack(stickinessSeconds=60)) as served:
        served.deploy(served.push(app("two")))
        assert served.settled() == "SUCCESSFUL"

        strangers = {answered(served).headers[SERVED_BY] for _ in range(10)}
        first = answered(served)
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        known = {answered(served, Cookie=cookie).headers[SERVED_BY] for _ in range(10)}

        assert len(strangers) == 2
        assert cookie.startswith(f"{STICKY}=")
        assert known == {first.headers[SERVED_BY]}


def test_without_stickiness_there_is_no_cookie(sandbox: JobSandbox, tmp_path: Path) -> None:
    with running(sandbox, tmp_path, stack()) as served:
        assert "Set-Cookie" not in answered(served).headers


@cache
def python() -> tuple[Layer, ...]:
    """Python of this machine, as layers of an image."""
    name = ImageName.parse("python:3")
    found = stand_in(name) if name else None
    assert found
    configuration, *blobs = found.make().blobs
    return tuple(map(Layer, blobs, json.loads(configuration.content)["rootfs"]["diff_ids"]))


def program(text: str, more: Mapping[str, Entry] | None = None) -> Image:
    """An image that runs a program in Python."""
    own = layer({"srv/app.py": Entry(textwrap.dedent(text).encode()), **(more or {})})
    return image(*python(), own, Entrypoint=["/usr/local/bin/python3", "-u", "/srv/app.py"])


SECURE = f"""
    import http.server, ssl
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"secure")
        def log_message(self, *words): pass
    server = http.server.ThreadingHTTPServer(("", {PORT}), Answer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/srv/own.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
"""


def test_requests_reach_the_task_over_tls(sandbox: JobSandbox, tmp_path: Path) -> None:
    """Nobody has to trust the task's certificate."""
    with running(sandbox, tmp_path, stack(targetProtocol="HTTPS"), pace=PATIENT) as served:
        own = {"srv/own.pem": Entry(sandbox.certificate("task", ["anything.example"]).read_bytes(), 0o644)}
        new = served.deploy(served.push(program(SECURE, own)))

        assert served.settled() == "SUCCESSFUL"
        served.visitor.visits.clear()
        assert served.visited() == [new]


GRPC = f"""
    import socket, threading
    import h2.config, h2.connection, h2.events
    def serve(client):
        connection, bodies, paths = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False)), {{}}, {{}}
        connection.initiate_connection()
        client.sendall(connection.data_to_send())
        while data := client.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    paths[event.stream_id] = dict(event.headers)[b":path"]
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    number, kind = event.stream_id, [(":status", "200"), ("content-type", "application/grpc")]
                    if paths[number] == b"/shop.Shop/Echo":
                        connection.send_headers(number, kind)
                        connection.send_data(number, bodies[number])
                        connection.send_headers(number, [("grpc-status", "0")], end_stream=True)
                    else:
                        connection.send_headers(number, [*kind, ("grpc-status", "12")], end_stream=True)
            client.sendall(connection.data_to_send())
    def guarded(client):
        try:
            serve(client)
        except OSError:
            pass
    server = socket.create_server(("", {PORT}))
    while True:
        threading.Thread(target=guarded, args=(server.accept()[0],), daemon=True).start()
"""

CALL = """
import grpc, sys
trusted = grpc.ssl_channel_credentials(open(sys.argv[2], "rb").read())
with grpc.secure_channel(sys.argv[1], trusted) as channel:
    print(channel.unary_unary("/shop.Shop/Echo")(b"hello", timeout=20).decode())
    try:
        channel.unary_unary("/shop.Shop/Nothing")(b"", timeout=20)
    except grpc.RpcError as error:
        print(error.code().name)
"""


def h2_package() -> dict[str, Entry]:
    """Python's HTTP/2, which this machine has for the tests."""
    home = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    return {
        f"{home}/{package.__name__}/{file.name}": Entry(file.read_bytes(), 0o644)
        for package in (h2, hpack, hyperframe)
        for file in Path(str(package.__file__)).parent.glob("*.py")
    }


def test_a_grpc_service_is_called_through_the_load_balancer(sandbox: JobSandbox, tmp_path: Path) -> None:
    """AWS's own method for health checks answers 12, since the service does not have it."""
    zone = {"domainName": NAME, "hostedZoneId": "Z0123456789ABCDEFGHIJ"}
    made = stack(certificateArn=CERTIFICATE, protocolVersion="GRPC", **zone)
    with running(sandbox, tmp_path, made, pace=PATIENT) as served:
        new = served.deploy(served.push(program(GRPC, h2_package())))

        assert served.settled() == "SUCCESSFUL"
        await_(lambda: served.hosting.service.running == [new])
        name, *records = served.hosting.names
        called = on(sandbox, sys.executable, "-c", CALL, f"{name}:443", str(sandbox.certificates))
        assert called.split() == ["hello", "UNIMPLEMENTED"]
        assert records == [NAME]
        assert fetched(sandbox, f"https://{NAME}/").startswith("464"), "a client that speaks HTTP/1.1"


def test_a_rule_on_a_shared_listener_leads_the_services_requests_to_it_and_no_others(
    sandbox: JobSandbox, tmp_path: Path
) -> None:
    shared = DeliveredStack("shared-listener", {"application": {"healthCheckPath": "/healthz"}})
    with running(sandbox, tmp_path, shared) as served:
        new = served.deploy(served.push(app("two")))

        assert served.settled() == "SUCCESSFUL"
        await_(lambda: served.hosting.service.running == [new])
        assert served.hosting.names == ["www.example.com"]
        asked = {"Host": "www.example.com", "X-Audience": "public"}
        assert answered(served, "/shop", **asked).headers[SERVED_BY]
        for path, headers in (
            ("/", asked),
            ("/shop", {**asked, "Host": "other.example.com"}),
            ("/shop", {**asked, "X-Audience": "staff"}),
        ):
            answer = answered(served, path, **headers)
            assert (answer.status, answer.headers[SERVED_BY]) == (404, None)

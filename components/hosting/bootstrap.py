"""What a new service runs until the pipeline's first deployment: the registry is still empty then.

Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, cast

from components.hosting.task_definition import TaskSurroundings, task_definition
from components.settings import ApplicationSection
from components.settings.sections.containers import FurtherContainerSection
from components.settings.sections.load_balancer import HealthCheckSection

BOOTSTRAP_IMAGE: Final = (
    "public.ecr.aws/docker/library/python:3.13-alpine"
    "@sha256:79e7a9b9ff1cbceff819f856fb374477792a5967759d94df266de7b7b4120e6f"
)
"""Small, well kept, for both processors, and from a registry whose limits a first start does not meet.

The digest is that of the index of all platforms, as Docker's own record of its official images has it:
https://github.com/docker-library/repo-info/blob/27b273677675a1ecbe5671d65986aa5dfe618a4f/repos/python/remote/3.13-alpine.md
"""

SERVER: Final = """\
import http.server, signal, sys, threading
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"Waiting for the first deployment.\\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ports = [http.server.ThreadingHTTPServer(("", int(port)), Answer) for port in sys.argv[1:]]
for other in ports[1:]:
    threading.Thread(target=other.serve_forever, daemon=True).start()
ports[0].serve_forever()
"""
"""Answers every path with one status, so it passes the health checks of plain HTTP/1.1; writes nowhere."""

NOBODY: Final = "65534:65534"
FIRST_FREE_PORT: Final = 1024
"""Ports below are the superuser's."""


def first_definition(
    application: ApplicationSection,
    surroundings: TaskSurroundings,
    *,
    repositories: Mapping[str, str] | None,
    exec_: bool,
    reached: Sequence[tuple[str, int]],
    health_check: HealthCheckSection,
) -> dict[str, object]:
    """The task definition that a new service starts with.

    Args:
        application: The stack file's ``application``.
        surroundings: Roles and log group.
        repositories: Addresses of the repositories the images will be in, by what stands for the image, for the engine
            ``ecsAction``, whose action can change images only: it starts from the application's own task definition,
            and its tasks cannot start before the first run has pushed them. ``None`` for the bootstrap program.
        exec_: Whether ECS Exec is on: ECS then refuses a service whose tasks have no role (aws-cli#6242).
        reached: Name and port of each container that the load balancer reaches, the one of the users first.
        health_check: What the load balancer asks the tasks, and takes for an answer.
    """
    if repositories is not None:
        images = {image: {"image": f"{repository}:none-yet"} for image, repository in repositories.items()}
        return _changed(task_definition(application, surroundings), lambda part: images.get(str(part["image"]), {}))
    (own, port), *others = dict.fromkeys(reached)
    answers = {own: _program(tuple(dict.fromkeys((port, health_check.port or port))), health_check.expected_status)}
    # The target groups of further listeners take 200.
    answers |= {name: _program((port,), HTTPStatus.OK) for name, port in others}
    application, surroundings = _bootstrap(application, surroundings, (own, port), dict(others), exec_=exec_)
    return _changed(task_definition(application, surroundings), lambda part: answers[str(part["name"])])


def _changed(
    definition: dict[str, object], change: Callable[[Mapping[str, object]], Mapping[str, object]]
) -> dict[str, object]:
    """A task definition with something else in its containers."""
    containers = cast("list[dict[str, object]]", definition["containerDefinitions"])
    return {**definition, "containerDefinitions": [{**part, **change(part)} for part in containers]}


def _program(ports: tuple[int, ...], status: int) -> dict[str, object]:
    """What makes a container answer at ports, all paths with one status."""
    server = SERVER.replace("(200)", f"({status})")
    program: dict[str, object] = {"image": BOOTSTRAP_IMAGE, "command": ["python3", "-c", server, *map(str, ports)]}
    return {**program, "user": NOBODY} if min(ports) >= FIRST_FREE_PORT else program


def _bootstrap(
    application: ApplicationSection,
    surroundings: TaskSurroundings,
    own: tuple[str, int],
    others: Mapping[str, int],
    *,
    exec_: bool,
) -> tuple[ApplicationSection, TaskSurroundings]:
    """What answers the health checks where the load balancer makes them, with none of the application's secrets.

    Its family is its own: a revision of it says nothing about the application.
    """
    plain = ApplicationSection(
        name=application.name,
        container_name=own[0],
        port=own[1],
        architecture=application.architecture,
        containers={name: FurtherContainerSection(image=BOOTSTRAP_IMAGE, port=port) for name, port in others.items()},
    )
    alone = dataclasses.replace(
        surroundings,
        family=f"{surroundings.family}-bootstrap",
        task_role_arn=surroundings.task_role_arn if exec_ else None,
    )
    return plain, alone

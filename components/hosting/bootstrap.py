"""What a new service runs until the pipeline's first deployment: the registry is still empty then.

Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, cast

from components.hosting.task_definition import IMAGE_PLACEHOLDER, TaskSurroundings, task_definition
from components.settings import ApplicationSection
from components.settings.sections.load_balancer import HealthCheckSection

BOOTSTRAP_IMAGE: Final = "public.ecr.aws/docker/library/python:3.13-alpine"
"""Small, well kept, for both processors, and from a registry whose limits a first start does not meet."""

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
    reached: tuple[str, int],
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
        reached: Name and port of the container that the load balancer reaches.
        health_check: What the load balancer asks the tasks, and takes for an answer.
    """
    changes: dict[str, dict[str, object]]
    if repositories is not None:
        changes = {image: {"image": f"{repository}:none-yet"} for image, repository in repositories.items()}
    else:
        ports = tuple(dict.fromkeys((reached[1], health_check.port or reached[1])))
        application, surroundings, program = _bootstrap(application, surroundings, reached[0], ports, exec_=exec_)
        server = SERVER.replace("(200)", f"({health_check.expected_status})")
        changes = {IMAGE_PLACEHOLDER: {**program, "command": ["python3", "-c", server, *map(str, ports)]}}
    definition = task_definition(application, surroundings)
    containers = cast("list[dict[str, object]]", definition["containerDefinitions"])
    made = [{**part, **changes.get(str(part["image"]), {})} for part in containers]
    return {**definition, "containerDefinitions": made}


def _bootstrap(
    application: ApplicationSection, surroundings: TaskSurroundings, name: str, ports: tuple[int, ...], *, exec_: bool
) -> tuple[ApplicationSection, TaskSurroundings, dict[str, object]]:
    """What answers the health check where the load balancer makes it, with none of the application's secrets.

    Its family is its own: a revision of it says nothing about the application.
    """
    plain = ApplicationSection(
        name=application.name,
        container_name=name,
        port=ports[0],
        architecture=application.architecture,
    )
    own = dataclasses.replace(
        surroundings,
        family=f"{surroundings.family}-bootstrap",
        task_role_arn=surroundings.task_role_arn if exec_ else None,
    )
    changes: dict[str, object] = {"image": BOOTSTRAP_IMAGE}
    if min(ports) >= FIRST_FREE_PORT:
        changes["user"] = NOBODY
    return plain, own, changes

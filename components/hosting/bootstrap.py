"""What a new service runs until the pipeline's first deployment: the registry is still empty then.

Pure.
"""

from __future__ import annotations

import dataclasses
from typing import Final, cast

from components.hosting.task_definition import IMAGE_PLACEHOLDER, TaskSurroundings, task_definition
from components.settings import ApplicationSection

BOOTSTRAP_IMAGE: Final = "public.ecr.aws/docker/library/python:3.13-alpine"
"""Small, well kept, for both processors, and from a registry whose limits a first start does not meet."""

SERVER: Final = """\
import http.server, signal, sys
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
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Answer).serve_forever()
"""
"""Answers every path with 200, so it passes whatever health check the load balancer makes; writes nowhere."""

NOBODY: Final = "65534:65534"
FIRST_FREE_PORT: Final = 1024
"""Ports below are the superuser's."""


def first_definition(
    application: ApplicationSection,
    surroundings: TaskSurroundings,
    *,
    repository: str | None,
    exec_: bool,
    reached: tuple[str, int],
) -> dict[str, object]:
    """The task definition that a new service starts with.

    Args:
        application: The stack file's ``application``.
        surroundings: Roles and log group.
        repository: Address of the repository the images will be in, for the engine ``ecsAction``, whose action can
            change the image only: it starts from the application's own task definition, and its tasks cannot start
            before the first run has pushed an image. ``None`` for the bootstrap program.
        exec_: Whether ECS Exec is on: ECS then refuses a service whose tasks have no role (aws-cli#6242).
        reached: Name and port of the container that the load balancer reaches.
    """
    if repository is not None:
        changes: dict[str, object] = {"image": f"{repository}:none-yet"}
    else:
        application, surroundings, changes = _bootstrap(application, surroundings, exec_=exec_, reached=reached)
    definition = task_definition(application, surroundings)
    containers = cast("list[dict[str, object]]", definition["containerDefinitions"])
    made = [{**part, **changes} if part["image"] == IMAGE_PLACEHOLDER else part for part in containers]
    return {**definition, "containerDefinitions": made}


def _bootstrap(
    application: ApplicationSection, surroundings: TaskSurroundings, *, exec_: bool, reached: tuple[str, int]
) -> tuple[ApplicationSection, TaskSurroundings, dict[str, object]]:
    """What answers the health check where the load balancer makes it, with none of the application's secrets.

    Its family is its own: a revision of it says nothing about the application.
    """
    name, port = reached
    plain = ApplicationSection(
        name=application.name,
        container_name=name,
        port=port,
        architecture=application.architecture,
    )
    own = dataclasses.replace(
        surroundings,
        family=f"{surroundings.family}-bootstrap",
        task_role_arn=surroundings.task_role_arn if exec_ else None,
    )
    changes: dict[str, object] = {
        "image": BOOTSTRAP_IMAGE,
        "command": ["python3", "-c", SERVER, str(port)],
    }
    if port >= FIRST_FREE_PORT:
        changes["user"] = NOBODY
    return plain, own, changes

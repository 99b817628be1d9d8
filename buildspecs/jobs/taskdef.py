"""The task definition that a deployment registers, about the image that the pipeline delivers."""

from __future__ import annotations

from typing import Any

from jobs import delivered, job, task_definition


def read(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return taskdef.json; ends the job when the container of deployment.json has another image than it delivers."""
    definition = job.read_json("taskdef.json", "family", "containerDefinitions")
    images = {str(part.get("name")): part.get("image") for part in task_definition.containers(definition)}
    image, uri = images.get(deployment["container"]), delivered.image().uri
    if image != uri:
        given = f"taskdef.json gives the container {deployment['container']!r} the image {image}"
        job.fail(f"{given}, the pipeline delivers {uri}.")
    return definition

"""What a job reads is about the image that the pipeline delivers, in the repository that its project names.

An artifact is data, never configuration: which registry, repository and digest a job works with is said by its project
and by the pipeline, and what an artifact says is held against that. So nothing leaves for a place that an artifact
names.
"""

from __future__ import annotations

from typing import Any

from jobs import job, registry

TEXTS = (
    "repository",
    "digest",
    "uri",
    "image",
    "tag",
    "tree",
    "commit",
    "version",
    "source",
    "created",
    "container",
    "reached",
)
"""What is a text of one line wherever it stands in image.json and deployment.json."""


def repository() -> registry.Repository:
    """The repository of the image, which the project names."""
    return registry.repository(job.require("IMAGE_REPOSITORY_URI"))


def digest() -> str:
    """The digest of the image, which the pipeline delivers."""
    return registry.checked_digest(job.require("IMAGE_DIGEST"), "IMAGE_DIGEST")


def image() -> registry.Image:
    """The image by its digest, as it is run, copied and deployed."""
    return registry.Image(repository(), digest())


def read_json(path: str, *keys: str) -> dict[str, Any]:
    """An artifact's JSON object as `job.read_json`; ends the job when it is about another image than is delivered."""
    own = image()
    wanted = {"repository": own.repository.uri, "digest": own.digest, "uri": own.uri, "image": own.uri}
    value = job.read_json(path, "repository", "digest", *keys)
    for key in (key for key in TEXTS if key in value):
        given = value[key]
        if not isinstance(given, str) or len(given) > job.MOST_CHARACTERS or not all(map(job.is_plain, given)):
            job.fail(
                f"{key} in {path} must be a text of one line, at most {job.MOST_CHARACTERS} characters and none that "
                f"cannot be seen, got {str(given)[:100]!r}."
            )
        if given != wanted.get(key, given):
            job.fail(f"{path} is about {given}, the pipeline delivers {wanted[key]}.")
    return value

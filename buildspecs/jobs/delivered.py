"""What a job reads is about the image that the pipeline delivers."""

from __future__ import annotations

from typing import Any

from jobs import job, registry


def read_json(path: str, *keys: str) -> dict[str, Any]:
    """An artifact's JSON object as `job.read_json`; ends the job when its digest is not IMAGE_DIGEST."""
    wanted = registry.checked_digest(job.require("IMAGE_DIGEST"), "IMAGE_DIGEST")
    value = job.read_json(path, "digest", *keys)
    digest = registry.checked_digest(value["digest"], f"the digest in {path}")
    if digest != wanted:
        job.fail(f"{path} is about {digest}, the pipeline delivers {wanted}.")
    return value

"""Image manifests through the ECR API: nothing is pulled or pushed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import job
from registry import Repository

MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def read(where: Repository, digest: str) -> tuple[str, str]:
    """The manifest's exact text and its media type; ends the job when the repository does not hold it."""
    answer = job.aws(
        f"Read the manifest of {digest[:19]}",
        *("ecr", "batch-get-image", *where.options(), "--image-ids", f"imageDigest={digest}"),
        *("--accepted-media-types", *MEDIA_TYPES),
    )
    if not answer["images"]:
        reasons = ", ".join(str(failure.get("failureReason")) for failure in answer.get("failures", []))
        job.fail(f"{where.uri} holds no image {digest}: {reasons or 'no reason given'}")
    text = str(answer["images"][0]["imageManifest"])
    return text, str(answer["images"][0].get("imageManifestMediaType") or json.loads(text)["mediaType"])


def put_tag(where: Repository, digest: str, tag: str) -> None:
    """Put a tag on an image that the repository holds."""
    text, media_type = read(where, digest)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.json")
        path.write_bytes(text.encode())
        job.aws(
            f"Put the tag {tag} on {digest[:19]} in {where.name}",
            *("ecr", "put-image", *where.options(), "--image-tag", tag, "--image-digest", digest),
            *("--image-manifest", f"file://{path}", "--image-manifest-media-type", media_type),
        )

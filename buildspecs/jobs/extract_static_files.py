"""Copy a folder out of the application's image, without running it.

It reads the image's layers from the registry, and needs no Docker. Links on the way to the folder are followed within
the image; a link in the folder that leads out of it ends the job.
Reads image.json; writes the folder's content to static-files/.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, STATIC_FILES_PATH (absolute path in the image), PLATFORM (linux/arm64 or
linux/amd64).
"""

from __future__ import annotations

import json
from pathlib import Path

from jobs import delivered, image_folder, job, registry, registry_api

OUTPUT = Path("static-files")


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    path, platform = job.require("STATIC_FILES_PATH"), job.require("PLATFORM")
    if not path.startswith("/"):
        job.fail(f"STATIC_FILES_PATH must be an absolute path inside the image, got {path!r}.", job.MISUSED)
    delivered.read_json("image.json", "uri")
    image = delivered.image()
    registry.trusted(image.repository.host)
    source = registry_api.Registry(image.repository, registry_api.token("source", image.repository.region(), {})[0])
    job.say(f"==> Read {path} of {image.uri}")
    manifest = json.loads(source.manifest(image.digest)[0])
    if "manifests" in manifest:
        manifest = json.loads(source.manifest(registry.of_platform(manifest, image.uri, platform))[0])
    image_folder.copy(source, manifest, path, OUTPUT)
    count = sum(1 for file in OUTPUT.rglob("*") if file.is_file())
    if not count:
        job.fail(f"{path} of {image.uri} holds no files: see deploy.staticFiles.upload.path in the stack file.")
    job.say(f"{count} files copied from {path}")

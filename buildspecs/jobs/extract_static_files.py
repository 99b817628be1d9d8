"""Copy a folder out of the application's image, without running it.

Reads image.json; writes the folder's content to static-files/.
Variables: IMAGE_REPOSITORY_URI, IMAGE_DIGEST, STATIC_FILES_PATH (absolute path in the image), PLATFORM (linux/arm64 or
linux/amd64).
"""

from __future__ import annotations

from pathlib import Path

from jobs import delivered, job, registry

OUTPUT = Path("static-files")


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version", "docker --version")
    path, platform = job.require("STATIC_FILES_PATH"), job.require("PLATFORM")
    if not path.startswith("/"):
        job.fail(f"STATIC_FILES_PATH must be an absolute path inside the image, got {path!r}.", job.MISUSED)
    delivered.read_json("image.json", "uri")
    registry.login(delivered.repository())
    # The command is never run; an image without one of its own could not be created otherwise.
    create = ("docker", "create", "--platform", platform, "--pull", "always", delivered.uri(), "/never-run")
    container = job.run("Lay out the image", *create).output.split()[-1]
    try:
        OUTPUT.mkdir(exist_ok=True)
        job.run("Copy the files", "docker", "cp", f"{container}:{path.rstrip('/')}/.", str(OUTPUT))
    finally:
        job.run("Clear up", "docker", "rm", container, check=False)
    root = OUTPUT.resolve()
    for file in OUTPUT.rglob("*"):
        if not file.resolve().is_relative_to(root):
            job.fail(f"{file} is a link that leads out of {path}: it would publish a file of the build's machine.")
    count = sum(1 for file in OUTPUT.rglob("*") if file.is_file())
    if not count:
        job.fail(f"{path} of {delivered.uri()} holds no files: see deploy.staticFiles.upload.path in the stack file.")
    job.say(f"{count} files copied from {path}")

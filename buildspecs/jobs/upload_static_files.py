"""Publish static files of the build's output to a bucket, or prune it of what is no longer in the output.

Variables: PHASE (publish, before the service is deployed; or prune, after it), FILES_PATH (folder within the input
artifact), BUCKET, PREFIX, CLOUDFRONT_DISTRIBUTION_ID (or empty; only publish tells CloudFront), and for a full clone
CONNECTION_ARN, CLONED_FROM (address of the Git provider) and CLONED_REPOSITORIES (JSON list of names there, the code's
own first).
"""

from __future__ import annotations

from pathlib import Path

from jobs import checkout, job, static_files


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    prunes = static_files.pruning()
    path = job.require("FILES_PATH")
    folder = Path(path).resolve()
    if Path.cwd() not in (folder, *folder.parents):
        job.fail(f"FILES_PATH must be a folder within the input artifact, got {path!r}.", job.MISUSED)
    checkout.complete(path)
    if not folder.is_dir():
        job.fail(f"the input artifact has no folder {path!r}: see deploy.staticFiles.upload.path in the stack file.")
    if prunes:
        static_files.prune(static_files.within(folder, Path.cwd()), path)
    else:
        static_files.publish(folder, Path.cwd(), path)

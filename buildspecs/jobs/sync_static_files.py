"""Publish the static files of another bucket to a bucket, or prune it of what is no longer in the other one.

Variables: PHASE (publish, before the service is deployed; or prune, after it), SOURCE_BUCKET, SOURCE_PREFIX, BUCKET,
PREFIX, CLOUDFRONT_DISTRIBUTION_ID (or empty; only publish tells CloudFront).
"""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from jobs import job, static_files


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    prunes = static_files.pruning()
    source_bucket, source_prefix = job.require("SOURCE_BUCKET"), static_files.prefixed("SOURCE_PREFIX")
    source = f"s3://{source_bucket}/{source_prefix}"
    target = f"s3://{job.require('BUCKET')}/{static_files.prefixed('PREFIX')}"
    if source.startswith(target) or target.startswith(source):
        job.fail(f"{source} and {target} overlap: one would be copied into the other.", job.MISUSED)
    if prunes:
        keys = static_files.listed(source_bucket, source_prefix)
        # A key that ends in a slash is a folder to S3's console, and no file to publish; `a//b` is published as `a/b`.
        names = [posixpath.normpath(f"/{key[len(source_prefix) :]}").lstrip("/") for key in keys if key[-1] != "/"]
        static_files.prune(names, source)
        return
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "files")
        folder.mkdir()
        # By way of this machine, so that the files get their headers by the same rules as uploaded ones.
        job.run(f"Fetch {source}", "aws", "s3", "cp", source, str(folder), "--recursive", "--only-show-errors")
        static_files.publish(folder, folder, source)

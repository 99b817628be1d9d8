"""Make a bucket hold the static files of another bucket; what is no longer in the other one goes away last.

Variables: SOURCE_BUCKET, SOURCE_PREFIX, BUCKET, PREFIX, CLOUDFRONT_DISTRIBUTION_ID (or empty).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import job
import static_files


def main() -> None:
    """Do the job."""
    job.start(__doc__)
    source = f"s3://{job.require('SOURCE_BUCKET')}/{static_files.prefixed('SOURCE_PREFIX')}"
    target = f"s3://{job.require('BUCKET')}/{static_files.prefixed('PREFIX')}"
    if source.startswith(target) or target.startswith(source):
        job.fail(f"{source} and {target} overlap: one would be copied into the other.", job.MISUSED)
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base, "files")
        folder.mkdir()
        # By way of this machine, so that the files get their headers by the same rules as uploaded ones.
        job.run(f"Fetch {source}", "aws", "s3", "cp", source, str(folder), "--recursive", "--only-show-errors")
        static_files.publish(folder, source)


if __name__ == "__main__":
    main()

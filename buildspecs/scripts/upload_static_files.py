"""Publish static files of the build's output to a bucket; what is no longer in the output goes away last.

Variables: FILES_PATH (folder within the input artifact), BUCKET, PREFIX, CLOUDFRONT_DISTRIBUTION_ID (or empty).
"""

from __future__ import annotations

from pathlib import Path

import job
import static_files


def main() -> None:
    """Do the job."""
    job.start(__doc__)
    path = job.require("FILES_PATH")
    folder = Path(path).resolve()
    if Path.cwd() not in (folder, *folder.parents):
        job.fail(f"FILES_PATH must be a folder within the input artifact, got {path!r}.", job.MISUSED)
    if not folder.is_dir():
        job.fail(f"the input artifact has no folder {path!r}: see deploy.staticFiles.upload.path in the stack file.")
    static_files.publish(folder, path)


if __name__ == "__main__":
    main()

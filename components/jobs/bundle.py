"""The scripts of all jobs, as one archive that is stored under its own hash."""

from __future__ import annotations

import atexit
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import pulumi

from components.foundation.artifact_bucket import ArtifactBucket
from components.foundation.iam import Statement
from components.jobs.buildspec import FOLDER

PREFIX = "_jobs"
"""Where no pipeline keeps artifacts (see the task definition's template), so that no build can write there."""


def pack(folder: Path = FOLDER, edit: Callable[[str], str] = str) -> bytes:
    """Return the archive of a folder's jobs, which ``python3`` can run.

    The same scripts make the same bytes on every machine: in a fixed order, without times, modes and line endings of
    the machine's own, and not compressed, since compressors differ from version to version.

    Args:
        folder: Holds ``__main__.py``, the package ``jobs``, and in ``notation`` what jobs build that command of.
        edit: Changes the text of each file.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        sources = [path for path in folder.glob("notation/**/*") if path.is_file()]
        files = [folder / "__main__.py", *folder.glob("jobs/*.py"), *sources]
        for path in sorted(files, key=lambda path: path.as_posix()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.create_system = 3  # Unix, which the mode is of
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, edit(path.read_text(encoding="utf-8")).encode())
    return content.getvalue()


def key_of(bundle: bytes) -> str:
    """Return the key that an archive is stored under."""
    return f"{PREFIX}/{hashlib.sha256(bundle).hexdigest()}.pyz"


def _packed() -> tuple[Path, str]:
    """The archive as a file that lasts as long as this process, since Pulumi reads it late; and its key."""
    if not _written()[0].exists():  # whoever chose the folder for temporary files may have removed it
        _written.cache_clear()
    return _written()


@lru_cache
def _written() -> tuple[Path, str]:
    folder = Path(tempfile.mkdtemp(prefix="ecs-delivery-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    bundle = pack()
    file = folder / "jobs.pyz"
    file.write_bytes(bundle)
    return file, key_of(bundle)


class JobBundle(pulumi.ComponentResource):
    """One object in the artifact bucket, outside the artifacts.

    Objects of earlier hashes stay in the bucket: a build that has been started, or is still queued, fetches the one
    that its project named then.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:JobBundle"

    variables: Mapping[str, pulumi.Input[str]]
    """What a project must set for its buildspec to fetch the bundle and verify it."""

    def __init__(self, name: str, artifacts: ArtifactBucket, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._artifacts = artifacts
        file, key = _packed()
        uri = artifacts.store(
            f"{name}-object",
            key,
            pulumi.FileAsset(file),
            content_type="application/zip",
            parent=self,
            retain=True,
        )
        self.variables = {"JOBS_BUNDLE": uri, "JOBS_SHA256": Path(key).stem}
        self.register_outputs({"uri": uri})

    def read(self) -> Statement:
        """Return permission to fetch the bundle, also the one that a queued build's project named before."""
        return self._artifacts.read("ReadJobs", f"{PREFIX}/*")

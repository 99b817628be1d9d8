"""Images on disk: blobs by digest as in an OCI image layout, and what was brought under which name.

It is in the user's cache and may be deleted whenever no rehearsal runs.
Source of the layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from local.go_tool import cache_directory
from local.rehearsal.images import INDEX, Blob, Image

INDEXES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """A manifest or an index in the store.

    Attributes:
        digest: Its digest.
        media_type: Its media type.
    """

    digest: str
    media_type: str


class WrongDigest(Exception):  # noqa: N818 - what is wrong, not where
    """Content is not what its digest says."""


class ImageStore:
    """The images in a folder; several processes may use it at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (folder / "brought").mkdir(exist_ok=True)

    @classmethod
    def of_user(cls) -> Self:
        """Return the one in the user's cache."""
        return cls(cache_directory() / "images")

    def path(self, digest: str) -> Path:
        """Return where a blob is, or would be."""
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def __contains__(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def read(self, digest: str) -> bytes:
        """Return the bytes of a blob."""
        return self.path(digest).read_bytes()

    def json(self, digest: str) -> Any:  # noqa: ANN401 - JSON
        """Return a manifest or a configuration."""
        return json.loads(self.read(digest))

    def write(self, pieces: Iterable[bytes], digest: str = "") -> str:
        """Keep a blob and return its digest.

        Raises:
            WrongDigest: It is another one than `digest`.
        """
        hashed = hashlib.sha256()
        descriptor, name = tempfile.mkstemp(dir=self.folder)
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    hashed.update(piece)
                    file.write(piece)
            found = f"sha256:{hashed.hexdigest()}"
            if digest in {"", found}:
                unfinished.rename(self.path(found))
        finally:
            unfinished.unlink(missing_ok=True)
        if digest not in {"", found}:
            raise WrongDigest(f"{digest} was to come, and {found} came")
        return found

    def put(self, image: Image) -> Content:
        """Keep an image with all its parts."""
        for part in image.parts:
            self.put(part)
        for blob in (*image.blobs, image.manifest):
            if blob.digest not in self:
                self.write([blob.content])
        return Content(image.digest, image.manifest.media_type)

    def image(self, content: Content, platform: str) -> Image:
        """Return an image with its bytes: an index with all that is here of it, or else this platform's part alone."""
        document = self.json(content.digest)
        if content.media_type in INDEXES:
            parts = [Content(entry["digest"], entry["mediaType"]) for entry in document["manifests"]]
            if not all(part.digest in self for part in parts):
                return self.image(self.of_platform(content, platform) or content, platform)
            manifest = Blob(content.media_type, self.read(content.digest))
            return Image(manifest, (), tuple(self.image(part, platform) for part in parts))
        blobs = [Blob(entry["mediaType"], self.read(entry["digest"])) for entry in blobs_of(document)]
        return Image(Blob(content.media_type, self.read(content.digest)), tuple(blobs))

    def of_platform(self, content: Content, platform: str) -> Content | None:
        """Return the manifest for a platform; ``None`` when there is none."""
        document = self.json(content.digest)
        if content.media_type in INDEXES:
            entry = part_for(document, platform)
            return Content(entry["digest"], entry["mediaType"]) if entry and entry["digest"] in self else None
        config = self.json(document["config"]["digest"]) if document["config"]["digest"] in self else {}
        found = f"{config.get('os', 'linux')}/{config.get('architecture', '')}"
        return content if found == platform else None

    def is_complete(self, content: Content, platform: str) -> bool:
        """Return whether everything is here that a machine of this platform needs of an image."""
        manifest = self.of_platform(content, platform) if content.digest in self else None
        return manifest is not None and all(
            entry["digest"] in self for entry in blobs_of(self.json(manifest.digest)) if "urls" not in entry
        )

    def remember(self, key: str, content: Content, **more: object) -> None:
        """Note what was brought under a key, such as a name or an image's ID."""
        file = self._note(key)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps({"key": key, **asdict(content), **more}), encoding="utf-8")
        unfinished.rename(file)

    def recall(self, key: str, platform: str) -> Content | None:
        """Return what was brought under a key, if all of it is still here."""
        try:
            note = json.loads(self._note(key).read_text(encoding="utf-8"))
            content = Content(note["digest"], note["media_type"])
        except (OSError, ValueError, KeyError):
            return None
        return content if self.is_complete(content, platform) else None

    def _note(self, key: str) -> Path:
        return self.folder / "brought" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def part_for(index: dict[str, Any], platform: str) -> dict[str, Any] | None:
    """Return an index's entry for a platform."""
    for entry in index["manifests"]:
        there = entry.get("platform", {})
        if f"{there.get('os')}/{there.get('architecture')}" == platform:
            return dict(entry)
    return None


def pieces_of(file: Any) -> Iterator[bytes]:  # noqa: ANN401 - anything with `read`
    """Return what is in an open file, piece by piece."""
    while piece := file.read(_PIECE):
        yield piece


def blobs_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what an image's manifest says of its configuration and layers."""
    return [manifest["config"], *manifest["layers"]]

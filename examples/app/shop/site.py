"""What the shop shows: its files, read once."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shop.assets import HASHED

_CODE = Path(__file__).resolve().parent
_KEEP = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@dataclass(frozen=True)
class Page:
    """A file as it is sent."""

    content: bytes
    media_type: str
    cache_control: str


@dataclass(frozen=True)
class Site:
    """The files by path, and which version and build they are."""

    pages: Mapping[str, Page]
    version: str
    build: str

    @classmethod
    def load(cls, folder: Path, version: str) -> Site:
        """Read every file of a folder; the code is part of the fingerprint, too."""
        pages, fingerprint = {}, hashlib.sha256()
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder).as_posix()
            pages[f"/{name}"] = _page(file)
            fingerprint.update(name.encode() + b"\0" + file.read_bytes())
        for file in sorted(_CODE.glob("*.py")):
            fingerprint.update(file.read_bytes())
        pages["/"] = pages["/index.html"]
        return cls(pages, version, fingerprint.hexdigest()[:12])

    def with_page(self, path: str, content: bytes, media_type: str) -> Site:
        """Return it with one page more, which may be another one the next time."""
        return replace(self, pages={**self.pages, path: Page(content, media_type, _ASK_AGAIN)})


def _page(file: Path) -> Page:
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    return Page(file.read_bytes(), media_type, _KEEP if HASHED.search(file.name) else _ASK_AGAIN)

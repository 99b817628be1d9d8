"""Writes all that is left of a rehearsal into a folder."""

from __future__ import annotations

from pathlib import Path

from local.rehearsal.report.junit import junit
from local.rehearsal.report.model import Rehearsal
from local.rehearsal.report.page import page
from local.rehearsal.report.saved import as_json


def write(rehearsal: Rehearsal, folder: Path) -> Path:
    """Write ``rehearsal.html``, ``rehearsal.json`` and ``junit.xml``; returns the page.

    Each file is replaced as a whole, so that nobody ever reads half of one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "rehearsal.json": as_json(rehearsal),
        "junit.xml": junit(rehearsal),
        "rehearsal.html": page(rehearsal).encode(),
    }
    for name, content in files.items():
        new = folder / f"{name}.new"
        try:
            new.write_bytes(content)
            new.replace(folder / name)
        finally:
            new.unlink(missing_ok=True)
    return folder / "rehearsal.html"

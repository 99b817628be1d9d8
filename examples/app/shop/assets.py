"""Copy static files, those under `assets/` with the hash of their content in their names.

    python -m shop.assets SOURCE TARGET

A file under `assets/` gets a name such as `style.3f2a91bc.css`, and the pages refer to that. So a browser may keep it
for ever, and the pages of two versions that are served side by side each find their own.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path

HASHED = re.compile(r"\.[0-9a-f]{16}\.")


def build(source: Path, target: Path) -> None:
    """Write the files of one folder into another."""
    names = {}
    for file in sorted((source / "assets").iterdir()):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        name = f"assets/{file.stem}.{digest}{file.suffix}"
        names[f"assets/{file.name}"] = name
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target / name)
    for file in sorted(path for path in source.iterdir() if path.is_file()):
        text = file.read_text(encoding="utf-8")
        for name, hashed in names.items():
            text = text.replace(name, hashed)
        (target / file.name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))

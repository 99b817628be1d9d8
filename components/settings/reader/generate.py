"""Writes what is generated from the settings: `python -m components.settings`."""

from pathlib import Path
from typing import Final

from components.settings.reader.reference import with_key_tables
from components.settings.reader.schema import stack_file_schema

ROOT: Final = Path(__file__).parents[3]


def main(root: Path = ROOT) -> None:
    """Write the schema for editors and the tables in `docs/configuration.md`.

    Args:
        root: The directory that holds them.
    """
    (root / "stack-file.schema.json").write_text(stack_file_schema(), encoding="utf-8")
    page = root / "docs" / "configuration.md"
    page.write_text(with_key_tables(page.read_text(encoding="utf-8")), encoding="utf-8")

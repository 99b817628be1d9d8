"""Writes what is generated from the settings: `python -m components.settings`."""

import json
from pathlib import Path
from typing import Final

from components.settings.reader.reference import with_key_tables
from components.settings.reader.schema import stack_file_schema
from components.settings.root import Settings

ROOT: Final = Path(__file__).parents[3]


def main(root: Path = ROOT) -> None:
    """Write the schema for editors, the tables in `docs/configuration.md` and the sections in `Pulumi.yaml`.

    Args:
        root: The directory that holds them.
    """
    (root / "stack-file.schema.json").write_text(stack_file_schema(), encoding="utf-8")
    for path, generated in (("docs/configuration.md", with_key_tables), ("Pulumi.yaml", with_sections)):
        page = root / path
        page.write_text(generated(page.read_text(encoding="utf-8")), encoding="utf-8")


def with_sections(project: str) -> str:
    """Return Pulumi's project file with the sections that the settings have, which Pulumi would otherwise refuse."""
    before, marker, _ = project.partition("\nconfig:\n")
    sections = (
        f"  {name}:\n    type: object\n    description: {json.dumps(field.description)}\n    default: {{}}\n"
        for name, field in Settings.model_fields.items()
    )
    return f"{before}{marker}{''.join(sections)}"

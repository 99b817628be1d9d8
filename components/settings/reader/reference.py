"""The tables of keys in `docs/configuration.md`, written from the models."""

from collections.abc import Iterator
from typing import Final

from components.settings.reader.messages import as_yaml
from components.settings.reader.shapes import Shape, leaves
from components.settings.reader.stack_file import PREFIX
from components.settings.root import Settings

START: Final = "<!-- keys:start -->"
END: Final = "<!-- keys:end -->"


def key_tables() -> str:
    """Return a Markdown table for each section: key, description, allowed values, default."""
    root = Shape(kind="section", words="", section=Settings)
    return "\n".join(text for name, shape in root.keys.items() for text in _table(name, shape))


def with_key_tables(page: str) -> str:
    """Return a page with the tables between its markers.

    Raises:
        ValueError: If a marker is missing.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"docs/configuration.md needs the lines {START} and {END}: the tables of keys go between them")
    return f"{before}{START}\n{key_tables()}\n{END}{after}"


def _table(name: str, section: Shape) -> Iterator[str]:
    """Yield the lines of a section's heading and table."""
    yield f"\n## `{PREFIX}{name}`: {section.about[:1].lower()}{section.about[1:]}\n"
    yield "| Key | Description | Allowed values | Default |"
    yield "| --- | --- | --- | --- |"
    for path, leaf in leaves(section):
        yield from _rows(path, leaf)


def _rows(path: tuple[str, ...], leaf: Shape) -> Iterator[str]:
    """Yield the line of a key, and those of the keys that each of its values has."""
    cells = (f"`{'.'.join(path)}`", leaf.about, _words(leaf), _default(leaf))
    yield f"| {' | '.join(map(_cell, cells))} |"
    if leaf.item and leaf.item.section:
        for below, nested in leaves(leaf.item):
            yield from _rows((*path, "<name>", *below), nested)


def _words(leaf: Shape) -> str:
    """Say what a key must be, and each of its entries."""
    return f"{leaf.words}, each {leaf.item.words}" if leaf.item else leaf.words


def _default(leaf: Shape) -> str:
    """Say what a key is when it is left out; a hyphen for nothing."""
    if leaf.required:
        return "required"
    if leaf.default in (None, "", (), {}):
        return "-"
    return f"`{as_yaml(leaf.default)}`"


def _cell(text: str) -> str:
    """Return text for a cell: outside code, signs that Markdown would take for its own are escaped."""
    parts = text.split("`")
    parts[::2] = [part.replace("<", "\\<").replace("*", "\\*").replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)

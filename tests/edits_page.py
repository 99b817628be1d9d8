"""The part of docs/configuration.md about edits: what one of each key does to a stack that runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from edits import BY_ENGINE, ENGINES, Edit, edits

from components.settings.reader.messages import as_yaml
from components.settings.reader.stack_file import PREFIX
from components.settings.root import Settings
from local.engine.effects import Effect, When, effects

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "configuration.md"
BEGIN, END = "<!-- edits:start -->", "<!-- edits:end -->"
NOBODY = "at once; nobody notices"
_LONGEST = 40


@cache
def found() -> tuple[tuple[Edit, tuple[Effect, ...]], ...]:
    """Every edit that is tried, with its effects."""
    return tuple((edit, tuple(effects(edit.steps))) for edit in edits())


def page() -> Iterator[str]:
    """The generated lines."""
    rows = list(_rows())
    for section in Settings.model_fields:
        yield ""
        yield f"### `{PREFIX}{section}`"
        yield ""
        by_engine = section in BY_ENGINE
        yield f"| Key | Edit |{' Engine |' if by_engine else ''} What it does |"
        yield f"|---|---|{'---|' if by_engine else ''}---|"
        for key, edit, engines, what in rows:
            if key.partition(".")[0] == section:
                yield f"| `{key.partition('.')[2]}` | {edit} |{f' {engines} |' if by_engine else ''} {what} |"
    yield ""
    yield "Where AWS says so:"
    yield ""
    sources = {effect.words: effect.source for _, told in found() for effect in told if effect.source}
    for words, source in sorted(sources.items()):
        yield f"- [{words.partition(':')[0].partition(';')[0].rstrip('.')}]({source})"


def _rows() -> Iterator[tuple[str, str, str, str]]:
    """Key, edit, engines and effect of each row; engines with the same effect share one."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for edit, told in found():
        words = f"{_value(edit.old)} → {_value(edit.new)}"
        rows.setdefault((edit.key, words, said(told)), []).append(edit.engine)
    for (key, words, what), engines in rows.items():
        yield key, words, "all" if len(engines) == len(ENGINES) else ", ".join(engines), what


def said(told: tuple[Effect, ...]) -> str:
    """Effects in one sentence after the other."""
    parts = []
    for when in When:
        words = " ".join(effect.words for effect in told if effect.when is when and effect.words)
        if words:
            parts.append(f"**{when.value}**: {words}")
    return " ".join(parts) or NOBODY


def _value(value: object) -> str:
    if value in (None, "", (), {}, []):
        return "nothing"
    text = as_yaml(value)
    return f"`{text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'}`"


def completed(text: str) -> str:
    """The page with its generated part written anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return "\n".join([f"{before}{BEGIN}", *page(), "", f"{END}{after}"])


def main(keys: Sequence[str] = ()) -> None:
    """Write the page.

    Args:
        keys: Instead of that, print what it says of these keys.
    """
    if keys:
        for edit in edits():
            if edit.key in keys:
                print(edit.key, edit.engine, said(tuple(effects(edit.steps))))  # noqa: T201 - a command's output
        return
    PAGE.write_text(completed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")  # noqa: T201 - a command's output

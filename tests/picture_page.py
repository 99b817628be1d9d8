"""The picture in README.md: the pipelines of the two stack files, as their graphs have them. `make golden` draws it."""

from __future__ import annotations

import re
from pathlib import Path

from summary import program

from local.diagram import mermaid_of_stacks

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "README.md"
STACKS = ("dev", "prod")
HANDED_ON = "the same image, by digest"
_BLOCK = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)


def picture() -> str:
    """The picture as it is to be."""
    return mermaid_of_stacks({name: [item.as_dict() for item in program(name)] for name in STACKS}, HANDED_ON)


def shown(text: str) -> str:
    """The only picture of a page, as it is."""
    (block,) = _BLOCK.findall(text)
    return str(block)


def completed(text: str) -> str:
    """The page with the picture as it is to be."""
    return _BLOCK.sub(lambda _: f"```mermaid\n{picture()}```", text)


def main() -> None:
    """Draw it anew."""
    PAGE.write_text(completed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print("wrote the picture of README.md")  # noqa: T201 - a command's output

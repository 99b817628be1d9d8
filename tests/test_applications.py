"""What docs/applications.md tells people to write works: each block makes a stack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from mocked import build_program

PAGE = (Path(__file__).parent.parent / "docs" / "applications.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^## ([^\n]+)\n(?:(?!```).)*```yaml\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
BASE: dict[str, Any] = {
    "aws:region": "eu-west-1",
    "ecs-delivery:application": {"name": "shop"},
    "ecs-delivery:source": {"github": {"repository": "example/shop"}},
    "ecs-delivery:hosting": {"loadBalancer": {"plainHttp": True}},
}


def test_each_row_of_the_table_has_its_block() -> None:
    rows = re.findall(r"^\| \[.+?\]\(#(.+?)\) \|", PAGE, re.MULTILINE)
    assert len(rows) > 10
    assert rows == [re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading, _ in BLOCKS]


@pytest.mark.parametrize(("heading", "block"), BLOCKS, ids=[heading for heading, _ in BLOCKS])
def test_what_to_write_makes_a_stack(heading: str, block: str) -> None:
    said = yaml.safe_load(block)
    graph = build_program({**BASE, **said})
    assert graph.of("aws:ecs/service:Service"), heading
    assert "Deploy" in graph.stages

"""What is generated from the settings is what is committed."""

import runpy
from pathlib import Path

import pytest
import yaml

from components.settings import Settings
from components.settings.reader.generate import ROOT, main
from components.settings.reader.reference import END, START, key_tables, with_key_tables
from components.settings.reader.schema import stack_file_schema
from components.settings.reader.shapes import Shape, leaves

HINT = "run: python -m components.settings"


def test_the_schema_of_the_stack_file_is_current() -> None:
    assert (ROOT / "stack-file.schema.json").read_text(encoding="utf-8") == stack_file_schema(), HINT


def test_the_tables_of_keys_are_current() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert with_key_tables(page) == page, HINT


def test_pulumi_is_told_of_no_section_so_that_the_program_says_everything_that_is_wrong() -> None:
    """What Pulumi.yaml declares, Pulumi checks: it stops at the first section that is no object, in its own words."""
    assert "config" not in yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))


def test_every_key_stands_in_a_table_once() -> None:
    text = key_tables()
    for path, _ in leaves(Shape(kind="section", words="", section=Settings)):
        section, *rest = path
        table = text.partition(f"## `ecs-delivery:{section}`")[2].partition("\n## ")[0]
        assert table.count(f"\n| `{'.'.join(rest)}` |") == 1


@pytest.mark.parametrize(
    ("key", "purpose", "bounds", "default"),
    [
        ("`port`", "Port the container listens on", "a whole number between 1 and 65535", "`8080`"),
        ("`ecr.repository`", "Repository whose image", "an ECR repository name", "required"),
        ("`lighthouse.paths`", "Pages to measure", "a list of 1 to 20 entries, each a path that starts", "`[/]`"),
        ("`roleArn`", "Role of the other account", "the ARN of an IAM role, arn:aws:iam::\\<account>", "-"),
    ],
)
def test_a_row_says_key_purpose_bounds_and_default(key: str, purpose: str, bounds: str, default: str) -> None:
    rows = [row.split(" | ") for row in key_tables().splitlines() if row.startswith(f"| {key} |")]
    assert any(row[1].startswith(purpose) and row[2].startswith(bounds) and row[3] == f"{default} |" for row in rows)


@pytest.mark.parametrize("page", ["", START, END, f"{END}{START}"])
def test_a_page_without_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"docs/configuration\.md needs the lines"):
        with_key_tables(page)


def test_one_command_writes_both(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "configuration.md"
    page.write_text(f"# Title\n{START}\nold\n{END}\nend\n", encoding="utf-8")
    main(tmp_path)
    assert page.read_text(encoding="utf-8") == f"# Title\n{START}\n{key_tables()}\n{END}\nend\n"
    assert (tmp_path / "stack-file.schema.json").read_text(encoding="utf-8") == stack_file_schema()


def test_the_command_is_python_m_components_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("components.settings.reader.generate.main", lambda: calls.append("written"))
    runpy.run_module("components.settings")
    assert calls == ["written"]

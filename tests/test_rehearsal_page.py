"""docs/rehearsal.md says what the command takes, and what the report says of its limits."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from local.rehearsal.arguments import add_arguments
from local.rehearsal.breaking import BREAKS
from local.rehearsal.delivery import UNPROVEN

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "rehearsal.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_option_is_described_and_no_other() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    described = section("Options") + section("What you get")
    taken = {option for action in parser._actions for option in action.option_strings}
    assert taken == set(re.findall(r"`(--[a-z-]+)", described)) - {"--help"}


def test_every_fault_is_named() -> None:
    row = next(line for line in section("Options").splitlines() if "--break" in line)
    assert set(BREAKS) <= set(re.findall(r"`(\w+)`", row))


def test_what_a_rehearsal_does_not_prove_is_what_its_report_says() -> None:
    listed = re.findall(r"^- (.*)$", section("What a rehearsal does not prove"), re.MULTILINE)
    assert listed == list(UNPROVEN)

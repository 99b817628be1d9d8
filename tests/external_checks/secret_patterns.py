"""Writes `components/settings/secret_patterns.json`: the rules of gitleaks that know a secret by its value alone.

Rules that go by what stands before a value (`adafruit ... = ...`) are left out: in a stack file that is its key.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

MODULE = "github.com/zricethezav/gitleaks/v8"
LOCK = Path(__file__).with_name("gitleaks")
FILE = Path(__file__).parents[2] / "components" / "settings" / "secret_patterns.json"
_ASSIGNMENT = "(?:=|>|:{1,3}=|"
"""What the rules that go by a name have in common."""
_COMMANDS = ("curl-",)
"""Beginnings of the names of rules about whole command lines."""
_MIDDLE_FLAG = re.compile(r"(?<=.)\(\?i\)")


def published() -> tuple[Path, dict[str, Any]]:
    """Fetch gitleaks in the version of our lock; return its folder, and its rules."""
    answer = subprocess.run(
        ["go", "mod", "download", "-json", MODULE], cwd=LOCK, capture_output=True, text=True, check=True
    )
    folder = Path(json.loads(answer.stdout)["Dir"])
    return folder, tomllib.loads((folder / "config" / "gitleaks.toml").read_text(encoding="utf-8"))


def text() -> str:
    """Return the file as it has to be."""
    folder, rules = published()
    license_ = (folder / "LICENSE").read_text(encoding="utf-8")
    taken = {
        rule["id"]: {
            "pattern": as_python(rule["regex"]),
            "keywords": rule["keywords"],
            **({"entropy": rule["entropy"]} if "entropy" in rule else {}),
        }
        for rule in rules["rules"]
        if by_value(rule)
    }
    content = {"source": f"{MODULE} {folder.name.partition('@')[2]}", "license": license_.split("\n"), "rules": taken}
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def by_value(rule: dict[str, Any]) -> bool:
    """Whether a rule knows a secret by its value, wherever it stands."""
    pattern = rule.get("regex", "")
    return bool(pattern) and _ASSIGNMENT not in pattern and "path" not in rule and not rule["id"].startswith(_COMMANDS)


def as_python(pattern: str) -> str:
    """Return one of Go's regular expressions as Python writes it.

    Raises:
        ValueError: A flag begins in the middle of alternatives, where Go's meaning has no short form in Python.
    """
    pattern = pattern.replace(r"\z", r"\Z").replace("[:alnum:]", "0-9A-Za-z")
    while found := _MIDDLE_FLAG.search(pattern):
        if pattern.startswith("(?i)"):  # it holds already
            pattern = pattern[: found.start()] + pattern[found.end() :]
            continue
        end = _end_of_group(pattern, found.end())
        scoped = pattern[found.end() : end]
        pattern = f"{pattern[: found.start()]}(?i:{scoped}){pattern[end:]}"
    return pattern


def _end_of_group(pattern: str, start: int) -> int:
    """Where the group that ``start`` is in ends."""
    depth, in_set, at = 0, False, start
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 1
        elif in_set:
            in_set = sign != "]"
        elif sign == "[":
            in_set = True
        elif sign == "(":
            depth += 1
        elif sign == ")" and depth == 0:
            break
        elif sign == ")":
            depth -= 1
        elif sign == "|" and depth == 0:
            raise ValueError(f"alternatives after a flag: {pattern}")
        at += 1
    return at


def main() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()

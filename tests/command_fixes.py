"""What the commands do that messages about a stack file offer; ``test_printed_fixes.py`` holds it to the real CLI."""

import re
from itertools import pairwise
from typing import Any

from components.settings import SettingsError, load_settings

STEP = re.compile(r'\.([\w-]+)|\[(\d+)\]|\["([^"]+)"\]')


def set_as_pulumi_does(config: dict[str, Any], path: str, value: str) -> None:
    """Do what `pulumi config set --path` does: whole numbers and switches by their looks, everything else as text."""
    section, rest = re.match(r"((?:ecs-delivery|aws):\w+)(.*)", path).groups()  # type: ignore[union-attr] # a message's path
    steps: list[Any] = [section, *(int(i) if i else k or q for k, i, q in STEP.findall(rest))]
    holder: Any = config
    for step, following in pairwise(steps):
        if isinstance(step, str) and holder.get(step) is None:
            holder[step] = [] if isinstance(following, int) else {}
        holder = holder[step]
    holder[steps[-1]] = {"true": True, "false": False}.get(value, int(value) if value.isdecimal() else value)


def problems_of(config: dict[str, Any]) -> tuple[str, ...]:
    """Return the lines that refuse a configuration."""
    try:
        load_settings(config, stack="dev")
    except SettingsError as error:
        return error.lines
    return ()

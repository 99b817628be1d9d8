"""A look at a stack file before the engine starts."""

from __future__ import annotations

from pathlib import Path

from local.errors import Refusal


def check(stack_file: Path, stack: str) -> None:
    """Refuse a wrong stack file: everything that is wrong with it, a line each.

    Raises:
        Refusal: There is something wrong.
    """
    from components.settings import SettingsError, load_settings, load_stack_file  # noqa: PLC0415 - only when used

    try:
        load_settings(load_stack_file(stack_file), stack=stack)
    except SettingsError as error:
        raise Refusal(str(error)) from None

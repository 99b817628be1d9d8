"""A look at a stack file before the engine starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import Refusal

if TYPE_CHECKING:
    from components.settings import Settings


def read(stack_file: Path, stack: str) -> tuple[Mapping[str, object], Settings]:
    """Return what a stack file says, as it stands there and as settings.

    Raises:
        Refusal: With everything that is wrong with it, a line each.
    """
    from components.settings import SettingsError, load_settings, load_stack_file  # noqa: PLC0415 - only when used

    try:
        values = load_stack_file(stack_file)
        return values, load_settings(values, stack=stack, file=stack_file, has_commands=False)
    except SettingsError as error:
        raise Refusal(str(error)) from None

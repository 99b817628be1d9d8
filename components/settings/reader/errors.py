"""What the person who runs the program sees when a stack file is wrong."""

from collections.abc import Sequence

import pulumi

from components.settings.secrets import redacted


class SettingsError(pulumi.RunError):
    """Everything that is wrong with a stack file, a line each; Pulumi prints it without a traceback.

    Whatever the lines quote from the file, nothing that looks like a secret is printed.

    Attributes:
        lines: The problems, in the order of the stack file's sections.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(map(_fit_to_print, lines))
        super().__init__("\n".join(self.lines))


def _fit_to_print(text: str) -> str:
    """Return a line without secrets, and with what is invisible or turns the direction of writing escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in redacted(text))

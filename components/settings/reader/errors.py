"""What the person who runs the program sees when a stack file is wrong."""

from collections.abc import Sequence

import pulumi


class SettingsError(pulumi.RunError):
    """Everything that is wrong with a stack file, a line each; Pulumi prints it without a traceback.

    Attributes:
        lines: The problems, in the order of the stack file's sections.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)

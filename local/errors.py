"""What a person can put right, as opposed to what is broken."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - it is no error of the program's
    """Something the user can put right: printed as it stands, without a traceback.

    Attributes:
        exit_code: what the command ends with.
    """

    exit_code = 1


class MissingTool(Refusal):
    """A tool this machine lacks; the message says how to get it."""

    exit_code = 3

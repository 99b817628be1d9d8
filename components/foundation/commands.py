"""Commands of the AWS CLI that a person can paste into a shell."""

from __future__ import annotations

import shlex

import pulumi


def aws_command(
    service: str, operation: str, *, region: pulumi.Input[str], **options: pulumi.Input[str]
) -> pulumi.Output[str]:
    """Return a complete command: with its region, and with every value quoted where the shell wants it.

    Args:
        service: For example ``codepipeline``.
        operation: For example ``get-pipeline``.
        region: Where the service is asked; the user's own default may be another one.
        options: Name of an option -> its value; ``quota_code="L-0"`` becomes ``--quota-code L-0``.
    """
    names = [f"--{name.replace('_', '-')}" for name in options]

    def command(values: list[str]) -> str:
        *given, place = values
        words = [word for name, value in zip(names, given, strict=True) for word in (name, value)]
        return shlex.join(["aws", service, operation, *words, "--region", place])

    return pulumi.Output.all(*options.values(), region).apply(command)

"""A secret in AWS Secrets Manager that a build reads: its reference, the permission, and how its value gets there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pulumi

from components.foundation.account import AwsAccount
from components.foundation.commands import aws_command
from components.foundation.iam import Statement

_ARN_PARTS: Final = 7


def store_of(source: str) -> str:
    """Return the service that keeps a secret of the stack file: ``secretsmanager``, or ``ssm`` for parameters."""
    return source.split(":")[2] if source.startswith("arn:") else "ssm"


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretReference:
    """Names a secret; its value is never here.

    Attributes:
        name_or_arn: The secret's name, then it is of this account and region, or its ARN.
        key: The key of the value in the secret's JSON; ``None`` where the whole secret is the value.
    """

    name_or_arn: str
    key: str | None = None

    @classmethod
    def parsed(cls, text: str) -> SecretReference:
        """Read a name or an ARN that may have ``:<json key>`` behind it."""
        parts = text.split(":")
        names = _ARN_PARTS if parts[0] == "arn" else 1
        return cls(name_or_arn=":".join(parts[:names]), key=":".join(parts[names:]) or None)

    @property
    def value_from(self) -> str:
        """What CodeBuild takes as the value of a variable of type ``SECRETS_MANAGER``.

        https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec.env.secrets-manager
        """
        return f"{self.name_or_arn}:{self.key}" if self.key else self.name_or_arn

    def read(self, sid: str, account: AwsAccount) -> Statement:
        """Return permission to fetch the value; a secret given by name has six more characters in its ARN.

        https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html

        Args:
            sid: Why, as a statement's ``Sid``.
            account: Where a secret is that is given by its name.
        """
        arn = self.name_or_arn if self._is_arn else account.arn("secretsmanager", f"secret:{self.name_or_arn}-??????")
        return Statement(sid=sid, actions=("secretsmanager:GetSecretValue",), resources=(arn,))

    def keep(self, value: str, *, description: str, region: pulumi.Input[str]) -> pulumi.Output[str]:
        """Return how a person puts the value there: out of a file, so that no shell remembers it.

        Args:
            value: What it is in one word, for example ``token``.
            description: What it is, and what it must be good for.
            region: Where a secret is that is given by its name.
        """
        content = f"the {value}, as JSON under the key {self.key}," if self.key else f"the {value}"
        file = f"{value}.txt"
        given = {"secret_string": f"file://{file}"}
        if self._is_arn:
            place = self.name_or_arn.split(":")[3]
            command = aws_command(
                "secretsmanager", "put-secret-value", region=place, secret_id=self.name_or_arn, **given
            )
        else:
            command = aws_command("secretsmanager", "create-secret", region=region, name=self.name_or_arn, **given)
        return pulumi.Output.concat(
            f"Keep {description} in Secrets Manager: write {content} into the file {file}, and delete the file after: ",
            command,
        )

    @property
    def _is_arn(self) -> bool:
        return self.name_or_arn.startswith("arn:")


def read_all(sid: str, secrets: Iterable[SecretReference], account: AwsAccount) -> Statement:
    """Return permission to fetch the values of several secrets, in one statement.

    Args:
        sid: Why, as a statement's ``Sid``.
        secrets: The secrets; one that is named twice stands once.
        account: Where those are that are given by their names.
    """
    named = {secret.name_or_arn: secret for secret in secrets}
    statements = [secret.read(sid, account) for secret in named.values()]
    return Statement(
        sid=sid,
        actions=statements[0].actions,
        resources=tuple(resource for statement in statements for resource in statement.resources),
    )

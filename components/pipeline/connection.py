"""The connection to a Git provider: how the code is reached, and what its users may do with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_aws import codeconnections

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """A connection, and the repositories that this stack reads through it.

    Attributes:
        arn: The connection's ARN.
        status: ``PENDING`` until a person has finished the handshake of one that this stack makes, ``AVAILABLE`` after
            it; ``None`` for one that exists.
        repository: The application's repository as the provider names it, ``owner/name`` on GitHub.
        server_url: Where the provider's repositories are, for example ``https://github.com``.
        submodules: Private repositories of its submodules that a build may clone too.
        full_clone: Whether builds clone the repository instead of getting an archive.
    """

    arn: pulumi.Output[str]
    status: pulumi.Output[str] | None
    repository: str
    server_url: str
    submodules: tuple[str, ...] = ()
    full_clone: bool = False

    def fetch(self) -> tuple[Statement, ...]:
        """Permission to read the repository: what the source action needs."""
        return self._use((self.repository,))

    def clone(self) -> tuple[Statement, ...]:
        """Permission to clone: what a build that is handed a full clone needs.

        AWS's page asks for ``UseConnection`` on the connection and for nothing else:
        https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html#codebuild-role-connections
        """
        return self._use(self._repositories)

    def clone_variables(self) -> dict[str, pulumi.Input[str]]:
        """The variables by which a job completes a clone; its buildspec declares them."""
        return {
            "CONNECTION_ARN": self.arn,
            "CLONED_REPOSITORIES": json.dumps(self._repositories),
            "CLONED_FROM": self.server_url,
        }

    @property
    def _repositories(self) -> tuple[str, ...]:
        return (self.repository, *self.submodules)

    def _use(self, repositories: tuple[str, ...]) -> tuple[Statement, ...]:
        """Both services answer for the same connection, depending on its age and on who asks.

        Each action goes with the ARN of its own prefix; IAM would ignore it on the other
        (https://github.com/awslabs/landing-zone-accelerator-on-aws/issues/828).

        The repository is "supported only when the connection is being used to access a specific repository", and AWS
        recommends ``UseConnection`` without conditions, so a request that names no repository passes:
        https://docs.aws.amazon.com/dtconsole/latest/userguide/security-iam.html#permissions-reference-connections-use
        """
        return tuple(
            Statement(
                sid=sid,
                actions=(f"{service}:UseConnection",),
                resources=(self.arn.apply(partial(_with_service, service)),),
                conditions={
                    "StringEqualsIfExists": {
                        f"{service}:FullRepositoryId": repositories if len(repositories) > 1 else repositories[0]
                    }
                },
            )
            for sid, service in (
                ("UseConnection", "codeconnections"),
                ("UseConnectionByOldName", "codestar-connections"),
            )
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionArgs:
    """Which code is reached, and through which connection.

    Attributes:
        foundation: What a new connection is made with.
        repository: The application's repository as the provider names it, ``owner/name`` on GitHub.
        server_url: Where the provider's repositories are, for example ``https://github.com``.
        provider_type: CodeConnections' type of a new connection; ``None`` where its host says it.
        host_arn: The host that a new connection is made on, for a provider on a server of one's own.
        connection_arn: A connection that exists; one is made when left out.
        submodules: Private repositories of its submodules that a build may clone too.
        full_clone: Whether builds clone the repository instead of getting an archive.
    """

    foundation: Foundation
    repository: str
    server_url: str
    provider_type: str | None
    host_arn: str | None = None
    connection_arn: str | None = None
    submodules: tuple[str, ...] = ()
    full_clone: bool = False


def connection_of(name: str, args: ConnectionArgs, opts: pulumi.ResourceOptions | None = None) -> Connection:
    """The connection that the stack file names, or a new one, of a type or on a host.

    https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_CreateConnection.html

    Args:
        name: The Pulumi name of a new one.
        args: The repositories, and the connection that exists.
        opts: Options of a new one.
    """
    arn: pulumi.Input[str] | None = args.connection_arn
    status: pulumi.Output[str] | None = None
    foundation = args.foundation
    if arn is None:
        made = codeconnections.Connection(
            name,
            name=foundation.prefix,
            provider_type=args.provider_type,
            host_arn=args.host_arn,
            tags=foundation.tags,
            opts=opts,
        )
        arn, status = made.arn, made.connection_status
    return Connection(
        arn=pulumi.Output.from_input(arn),
        status=status,
        repository=args.repository,
        server_url=args.server_url,
        submodules=args.submodules,
        full_clone=args.full_clone,
    )


def _with_service(service: str, arn: str) -> str:
    parts = arn.split(":")
    return ":".join([*parts[:2], service, *parts[3:]])

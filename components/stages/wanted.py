"""What a stack file asks of each part of a delivery: the one place where all of its sections are open at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.foundation.foundation import Foundation
from components.foundation.github import PUBLIC_API, api_of
from components.foundation.secret import SecretReference
from components.images.registry import RegistryArgs, WatchedRepository
from components.pipeline.connection import ConnectionArgs
from components.pipeline.variables import COMMIT, UPLOADED_OBJECT
from components.settings import Settings
from components.settings.sections.source import GitSection, on_github
from components.stages import STAGES, SharedFacts, Stage
from components.stages.stage import ArgsT


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusesWanted:
    """What GitHub is to show.

    Attributes:
        api_url: Where its API is.
        repository: ``owner/name`` of the repository that has the commits.
        token: The token that is used for it.
        commit_status: Whether commits get a status.
        deployments: Whether deployments are shown.
        environment: What they are shown of; ``None`` for the stack's name.
    """

    api_url: str
    repository: str
    token: SecretReference
    commit_status: bool
    deployments: bool
    environment: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Arguments of the parts that are there, read off the stack file before any of them is made.

    Attributes:
        registry: Which repositories there are.
        connection: How the code is reached; ``None`` where it is in no Git repository.
        stages: The stages there are, in running order, each with its arguments.
        statuses: What GitHub shows; ``None`` for nothing.
    """

    registry: RegistryArgs
    connection: ConnectionArgs | None
    stages: tuple[tuple[type[Stage[Any, Any]], Any], ...]
    statuses: StatusesWanted | None


def wanted_of(settings: Settings, foundation: Foundation) -> Wanted:
    """Return what a stack file asks for.

    Args:
        settings: The checked stack file.
        foundation: What the parts are made with.
    """
    git = settings.source.git
    given = ((stage, args_of(stage, settings)) for stage in STAGES)
    return Wanted(
        registry=registry_args(settings, foundation),
        connection=connection_args(git, foundation) if git else None,
        stages=tuple((stage, args) for stage, args in given if args is not None),
        statuses=statuses_of(settings),
    )


def args_of(stage: type[Stage[Any, ArgsT]], settings: Settings) -> ArgsT | None:
    """Return the arguments of a stage; ``None`` when the stack file leaves it off."""
    return stage.wanted(getattr(settings, stage.SECTION), shared_facts(settings))


def shared_facts(settings: Settings) -> SharedFacts:
    """Return what every stage may know of a stack file."""
    source, release = settings.source, settings.release
    return SharedFacts(
        source_url=source.code.source_url if source.code else None,
        revision=UPLOADED_OBJECT if source.s3 else COMMIT if source.code else {},
        github=source.github,
        engine=settings.deploy.chosen_engine,
        release_tag_prefix=release.tag_prefix if release.enabled else None,
        plain_http=settings.hosting.plain_http,
        verification=settings.verification,
        verified_before=settings.verified_before,
    )


def statuses_of(settings: Settings) -> StatusesWanted | None:
    """Return what GitHub shows; repository and server default to the ones that the code comes from."""
    given = settings.statuses
    if not given.enabled or given.token_secret is None:
        return None
    repository, server = on_github(given.repository, given.url, settings.source.github)
    return StatusesWanted(
        api_url=api_of(server) if server else PUBLIC_API,
        repository=repository,
        token=SecretReference(name_or_arn=given.token_secret, key=given.secret_key),
        commit_status=given.commits,
        deployments=given.deployments,
        environment=given.environment,
    )


def connection_args(code: GitSection, foundation: Foundation) -> ConnectionArgs:
    """Return how a stack file's code is reached."""
    return ConnectionArgs(
        foundation=foundation,
        repository=code.repository,
        server_url=code.server_url,
        provider_type=code.provider_type,
        host_arn=code.connection_host_arn,
        connection_arn=code.connection_arn,
        submodules=code.submodules,
        full_clone=code.full_clone,
    )


def registry_args(settings: Settings, foundation: Foundation) -> RegistryArgs:
    """Return which repositories a stack file asks for."""
    ecr = settings.source.ecr
    return RegistryArgs(
        foundation=foundation,
        build_into=settings.build.repository_for(foundation.prefix) if settings.has_code else None,
        smoke_test=settings.smoke_test_enabled,
        build_tools=settings.build.docker_hub_cache is None,
        further=settings.application.further_images,
        watched=WatchedRepository(
            name=ecr.repository,
            channel=ecr.tag,
            create=ecr.create,
            promoters=ecr.promoters,
            pushed=ecr.arrives_by == "push",
        )
        if ecr
        else None,
    )

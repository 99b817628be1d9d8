"""Which ECR repositories a stack works with: the ones it builds into, and the one it watches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.foundation import Foundation
from components.images.image_repository import BUILD_CACHE_TAGS, ImageRepository, ImageRepositoryArgs, push_of_others
from components.images.repository import (
    BUILD_TOOLS,
    Pusher,
    Repository,
    existing_repository,
    repository_beside,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedRepository:
    """The repository whose pushes start the pipeline.

    Attributes:
        name: Its name in ECR.
        channel: The tag whose push starts the pipeline; it is the one tag that may move.
        create: Whether this stack makes it.
        promoters: Roles that promote images into it, where this stack makes it: names of this account's, ARNs of
            other accounts'.
        pushed: Whether images are pushed into it, and do not come by replication or through a cache.
    """

    name: str
    channel: str
    create: bool = False
    promoters: tuple[str, ...] = ()
    pushed: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryArgs:
    """Which repositories there are; at least one of ``build_into`` and ``watched``.

    Attributes:
        foundation: What they are made with.
        build_into: Name of the repository that the application's images are pushed to; ``None`` without code.
        smoke_test: Whether there is a repository for smoke-test images too.
        build_tools: Whether there is a repository for copies of what builds fetch themselves.
        watched: The repository whose pushes start the pipeline, when there is one.
        further: Names of the images that are delivered with the application's.

    Raises:
        ValueError: When there would be no repository at all.
    """

    foundation: Foundation
    build_into: str | None = None
    smoke_test: bool = False
    build_tools: bool = False
    watched: WatchedRepository | None = None
    further: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.build_into is None and self.watched is None:
            raise ValueError("a registry needs a repository to build into, or one to watch")

    @property
    def beside(self) -> Mapping[str, str]:
        """Name of each further image's repository, by the image's: built into where the application's is, or there."""
        own = self.build_into or (self.watched.name if self.watched else "")
        return {image: repository_beside(own, image) for image in self.further}

    @property
    def existing(self) -> str | None:
        """Name of the watched repository that something else made."""
        return self.watched.name if self.watched is not None and not self.watched.create else None

    @property
    def made(self) -> Mapping[str, ImageRepositoryArgs]:
        """The repositories that this stack makes, by what they are for."""
        made: dict[str, ImageRepositoryArgs] = {}
        if self.watched is not None and self.watched.create:
            made["source"] = ImageRepositoryArgs(
                foundation=self.foundation,
                repository_name=self.watched.name,
                mutable_tags=(self.watched.channel,),
                promoters=tuple(role for role in self.watched.promoters if role.startswith("arn:")),
                promotion_role=f"{self.foundation.prefix}-promotion",
                promoted_with=() if self.build_into else tuple(self.beside.values()),
            )
            if self.build_into is None:
                made |= {
                    f"image-{image}": ImageRepositoryArgs(
                        foundation=self.foundation, repository_name=name, mutable_tags=(self.watched.channel,)
                    )
                    for image, name in self.beside.items()
                }
        if self.build_into is not None:
            made["app"] = self._built(self.build_into)
            made |= {f"image-{image}": self._built(name) for image, name in self.beside.items()}
            if self.smoke_test:
                made["smoke-test"] = self._built(repository_beside(self.build_into, "smoke-test"))
            if self.build_tools:
                made["build-tools"] = ImageRepositoryArgs(
                    foundation=self.foundation,
                    repository_name=repository_beside(self.build_into, BUILD_TOOLS),
                    mutable_tags=(),
                    holds_copies=True,
                )
        return made

    def _built(self, repository_name: str) -> ImageRepositoryArgs:
        return ImageRepositoryArgs(
            foundation=self.foundation, repository_name=repository_name, mutable_tags=(BUILD_CACHE_TAGS,)
        )


FURTHER_IMAGES = "FURTHER_IMAGES"
"""The variable by which jobs know the repositories of the images that are delivered with the application's."""


class Registry(pulumi.ComponentResource):
    """The stack's repositories in ECR."""

    TYPE: ClassVar[str] = "ecs-delivery:index:Registry"

    app: Repository
    """Where the application's image is deployed from: built into by this stack, or watched by it."""
    source: Repository | None
    """The repository whose pushes start the pipeline, when there is one."""
    smoke_test: Repository | None
    """Where smoke-test images are built into, when they are wanted."""
    build_tools: Repository | None
    """Where builds keep copies of what they fetch themselves, unless a pull-through cache has it."""
    further: Mapping[str, Repository]
    """Where the images that are delivered with the application's are deployed from, by the names of the images."""
    promotion_role_arn: pulumi.Output[str] | None
    """The role that other accounts assume to promote into ``source``."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        repositories: dict[str, Repository] = {}
        if args.existing is not None:
            repositories["source"] = existing_repository(args.existing, args.foundation.account)
        made = {
            purpose: ImageRepository(f"{name}-{purpose}", wanted, opts=child) for purpose, wanted in args.made.items()
        }
        repositories |= {purpose: one.repository for purpose, one in made.items()}
        self.source, self.smoke_test = repositories.get("source"), repositories.get("smoke-test")
        self.build_tools = repositories.get("build-tools")
        self.app = repositories["app" if "app" in repositories else "source"]
        self.further = {
            image: repositories.get(f"image-{image}") or existing_repository(name, args.foundation.account)
            for image, name in args.beside.items()
        }
        self.promotion_role_arn = made["source"].promotion_role_arn if "source" in made else None
        self._name, self._args, self._made = name, args, made
        self.register_outputs({"repositoryUrl": self.app.uri})

    def guard(self, jobs: Sequence[Pusher]) -> Sequence[pulumi.Input[str]]:
        """Let each repository that is made here take images of those alone whose business it is.

        Of a repository that is built into these are the stack's own jobs: the tag of a source tree or of a commit
        says what is delivered, and whoever could put it on another image would decide that. Of the watched repository,
        and what is promoted with it, these are the promoters, and the jobs that put tags on what has arrived.

        Args:
            jobs: This stack's own roles that put images or tags into its repositories.

        Returns:
            what a person has to do where nobody is named who promotes.
        """
        watched, account = self._args.watched, self._args.foundation.account
        own: dict[str, list[pulumi.Input[str]]] = {each.repository.name: [] for each in self._made.values()}
        for job in jobs:
            own.setdefault(job.repository, []).append(job.role_arn)
        built = (
            {} if self._args.build_into is None else {key: each for key, each in self._made.items() if key != "source"}
        )
        for purpose, made in built.items():
            roles = own[made.repository.name]
            push_of_others(f"{self._name}-{purpose}-policy", made.repository, roles, parent=made)
        if watched is None or not (watched.create and watched.pushed):
            return ()
        if not watched.promoters:
            note = (
                f"Name who promotes images into {watched.name}, under source.ecr.promoters: until then every role of "
                "the account that may push to Amazon ECR decides what this stack runs. Then: pulumi up --stack "
                f"{self._args.foundation.stack}"
            )
            return (note,)
        promoters = [account.role_arn(role) for role in watched.promoters if not role.startswith("arn:")]
        promoters += [self.promotion_role_arn] if self.promotion_role_arn else []
        for purpose, made in self._made.items():
            if purpose not in built:
                roles = [*promoters, *own[made.repository.name]]
                push_of_others(f"{self._name}-{purpose}-policy", made.repository, roles, parent=made)
        return ()

    @property
    def every_delivered(self) -> tuple[Repository, ...]:
        """Where everything is deployed from, the application's image first."""
        return (self.app, *self.further.values())

    @property
    def further_images(self) -> Mapping[str, pulumi.Output[str]]:
        """The variable of a job that handles all images: where each further one is, as JSON; none without any."""
        if not self.further:
            return {}
        addresses = {image: repository.uri for image, repository in self.further.items()}
        return {FURTHER_IMAGES: pulumi.Output.json_dumps(addresses, sort_keys=True)}

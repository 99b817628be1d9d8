"""Which ECR repositories a stack works with: the ones it builds into, and the one it watches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.foundation import Foundation
from components.images.image_repository import (
    BUILD_CACHE_TAGS,
    ImageRepository,
    ImageRepositoryArgs,
    Repository,
    existing_repository,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedRepository:
    """The repository whose pushes start the pipeline.

    Attributes:
        name: Its name in ECR.
        channel: The tag whose push starts the pipeline; it is the one tag that may move.
        create: Whether this stack makes it.
        promoters: Roles of other accounts that may promote images into it, where this stack makes it.
    """

    name: str
    channel: str
    create: bool = False
    promoters: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryArgs:
    """Which repositories there are; at least one of ``build_into`` and ``watched``.

    Attributes:
        foundation: What they are made with.
        build_into: Name of the repository that the application's images are pushed to; ``None`` without code.
        smoke_test: Whether there is a repository for smoke-test images too.
        watched: The repository whose pushes start the pipeline, when there is one.
    """

    foundation: Foundation
    build_into: str | None = None
    smoke_test: bool = False
    watched: WatchedRepository | None = None


class Registry(pulumi.ComponentResource):
    """The stack's repositories in ECR."""

    TYPE: ClassVar[str] = "ecs-delivery:index:Registry"

    app: Repository
    """Where the application's image is deployed from: built into by this stack, or watched by it."""
    source: Repository | None
    """The repository whose pushes start the pipeline, when there is one."""
    smoke_test: Repository | None
    """Where smoke-test images are built into, when they are wanted."""
    promotion_role_arn: pulumi.Output[str] | None
    """The role that other accounts assume to promote into ``source``."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        self.source = self.smoke_test = self.promotion_role_arn = None
        if args.watched is not None:
            self.source = self._watched(args.watched)
        if args.build_into is not None:
            self.app = self._built("app", args.build_into)
            if args.smoke_test:
                self.smoke_test = self._built("smoke-test", f"{args.build_into}-smoke-test")
        elif self.source is not None:
            self.app = self.source
        else:
            raise ValueError(f"{name}: a registry needs a repository to build into, or one to watch")
        self.register_outputs({"repositoryUrl": self.app.uri})

    def _watched(self, watched: WatchedRepository) -> Repository:
        if not watched.create:
            return existing_repository(watched.name, self._args.foundation.account)
        made = self._make("source", watched.name, mutable_tags=(watched.channel,), promoters=watched.promoters)
        self.promotion_role_arn = made.promotion_role_arn
        return made.repository

    def _built(self, suffix: str, repository_name: str) -> Repository:
        return self._make(suffix, repository_name, mutable_tags=(BUILD_CACHE_TAGS,)).repository

    def _make(
        self, suffix: str, repository_name: str, *, mutable_tags: Sequence[str], promoters: Sequence[str] = ()
    ) -> ImageRepository:
        foundation = self._args.foundation
        return ImageRepository(
            f"{self._name}-{suffix}",
            ImageRepositoryArgs(
                foundation=foundation,
                repository_name=repository_name,
                mutable_tags=mutable_tags,
                promoters=promoters,
                promotion_role=f"{foundation.prefix}-promotion",
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

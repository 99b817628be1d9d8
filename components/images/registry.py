"""Which ECR repositories a stack works with: the ones it builds into, and the one it watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.artifact_bucket import ArtifactBucket
from components.images.image_repository import (
    BUILD_CACHE_TAGS,
    ImageRepository,
    ImageRepositoryArgs,
    Repository,
    existing_repository,
)
from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryArgs:
    """What the repositories follow from.

    Attributes:
        settings: The whole stack file.
        prefix: ``<application>-<stack>``, the default name of the repository built into.
        artifacts: Gives account and key.
        tags: Tags of the repositories.
    """

    settings: Settings
    prefix: str
    artifacts: ArtifactBucket
    tags: Mapping[str, str]


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
        self._args = args
        settings = args.settings
        self.promotion_role_arn = None
        self.source = self._watched(name)
        if settings.has_code:
            built_into = settings.build.repository_for(args.prefix)
            self.app = self._make(f"{name}-app", built_into).repository
            smoke = (
                self._make(f"{name}-smoke-test", f"{built_into}-smoke-test") if settings.smoke_test_enabled else None
            )
            self.smoke_test = smoke.repository if smoke else None
        elif self.source is not None:
            self.app = self.source
            self.smoke_test = None
        self.register_outputs({"repositoryUrl": self.app.uri})

    def _watched(self, name: str) -> Repository | None:
        source = self._args.settings.source.ecr
        if source is None:
            return None
        if not source.create:
            return existing_repository(source.repository, self._args.artifacts.account)
        made = self._make(f"{name}-source", source.repository, channel=source.tag, promoters=tuple(source.promoters))
        self.promotion_role_arn = made.promotion_role_arn
        return made.repository

    def _make(
        self, name: str, repository_name: str, *, channel: str | None = None, promoters: tuple[str, ...] = ()
    ) -> ImageRepository:
        args = self._args
        return ImageRepository(
            name,
            ImageRepositoryArgs(
                repository_name=repository_name,
                key_arn=args.artifacts.key_arn,
                mutable_tags=(channel or BUILD_CACHE_TAGS,),
                keep_images=args.settings.retention.images,
                promoters=promoters,
                promotion_role=f"{args.prefix}-promotion",
                protect=args.settings.retention.protect,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

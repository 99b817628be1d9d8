"""Section `source`: what starts the pipeline and what it builds from."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from components.settings.names import (
    Branch,
    ConnectionArn,
    EcrRepository,
    GithubRepository,
    ImageTag,
    RoleArn,
    TriggerPattern,
)
from components.settings.section import Problem, Section

Patterns = Annotated[
    tuple[TriggerPattern, ...],
    Field(max_length=8),
]
"""https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GitFilePathFilterCriteria.html"""


class PathFilterSection(Section):
    """Files whose change starts the pipeline, and files whose change does not."""

    include: Patterns = Field(
        default=(),
        description="Only a change of a file that matches one of these starts the pipeline.",
        examples=[["src/**"]],
    )
    exclude: Patterns = Field(
        default=(),
        description="Files that match one of these do not start it; wins over `include`.",
        examples=[["docs/**"]],
    )


class TagFilterSection(Section):
    """Git tags whose push starts the pipeline, and tags whose push does not."""

    include: Patterns = Field(
        default=(),
        description="The push of a git tag that matches one of these starts the pipeline, and no commit does.",
        examples=[["v*"]],
    )
    exclude: Patterns = Field(
        default=(),
        description="Git tags that match one of these do not start it; wins over `include`.",
        examples=[["*-draft"]],
    )


class GithubSection(Section):
    """Code on GitHub, reached through a CodeConnections connection."""

    repository: GithubRepository = Field(
        description="Repository of the application, owner/name.", examples=["example/shop"]
    )
    branch: Branch = Field(default="main", description="Branch whose commits are delivered.", examples=["main"])
    connection_arn: ConnectionArn | None = Field(
        default=None,
        description="ARN of an existing connection; one is made when left out, and an output says how to finish it.",
        examples=["arn:aws:codeconnections:eu-west-1:123456789012:connection/00000000-0000-0000-0000-000000000000"],
    )
    paths: PathFilterSection = Field(
        default=PathFilterSection(),
        description="Files whose change starts the pipeline.",
        examples=[{"exclude": ["docs/**"]}],
    )
    tags: TagFilterSection = Field(
        default=TagFilterSection(),
        description="Git tags whose push starts the pipeline, instead of commits to the branch.",
        examples=[{"include": ["v*"]}],
    )
    full_clone: bool = Field(
        default=False,
        description="Whether builds get a clone, with history, symbolic links, file modes, submodules and Git LFS "
        "files, instead of an archive without them.",
        examples=[True],
    )
    submodules: tuple[GithubRepository, ...] = Field(
        default=(),
        max_length=50,
        description="Private repositories of submodules, owner/name, that builds may clone through the connection, "
        "with `fullClone: true`.",
        examples=[["example/shop-fonts"]],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield path filters beside tag filters, and submodules that no build would clone.

        CodePipeline filters paths of branches only:
        https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-filter.html
        """
        if self.submodules and not self.full_clone:
            yield Problem(
                path=("submodules",),
                message="need fullClone: true, because an archive of the code has no submodules",
                fix="pulumi config set --path 'ecs-delivery:source.github.fullClone' true",
            )
        if self.tags != TagFilterSection() and self.paths != PathFilterSection():
            yield Problem(
                path=("tags",),
                message="cannot be used together with paths: CodePipeline filters the paths of branch pushes only",
                fix="edit the file: keep either tags or paths",
            )


class EcrSection(Section):
    """An image in ECR; its push starts the pipeline."""

    repository: EcrRepository = Field(description="Repository whose image is delivered.", examples=["shop-prod"])
    tag: ImageTag = Field(default="latest", description="Tag whose push starts the pipeline.", examples=["promoted"])
    create: bool = Field(
        default=False, description="Whether this stack makes the repository (else it exists already).", examples=[True]
    )
    promoters: tuple[RoleArn, ...] = Field(
        default=(),
        description="Roles of other accounts that may promote images into the repository, as many as the 2,048 "
        "characters of an IAM trust policy hold (20 or so); needs `create: true`.",
        examples=[["arn:aws:iam::123456789012:role/shop-promote"]],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield promoters of a repository whose policy this stack does not own."""
        if self.promoters and not self.create:
            yield Problem(
                path=("promoters",),
                message="need create: true, because only a repository made by this stack gets its policy from here",
                fix="pulumi config set --path 'ecs-delivery:source.ecr.create' true",
            )


class SourceSection(Section):
    """Where the pipeline starts: `github`, `ecr`, or both (code on top of a base image)."""

    github: GithubSection | None = Field(
        default=None, description="Code on GitHub.", examples=[{"repository": "example/shop", "branch": "main"}]
    )
    ecr: EcrSection | None = Field(
        default=None, description="An image in ECR.", examples=[{"repository": "shop-prod", "tag": "promoted"}]
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a source that names nothing."""
        if self.github is None and self.ecr is None:
            yield Problem(
                path=(),
                message="must name github, ecr or both",
                fix="pulumi config set --path 'ecs-delivery:source.github.repository' example/shop",
            )

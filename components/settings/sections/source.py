"""Section `source`: what starts the pipeline and what it builds from."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from components.settings.names import (
    BitbucketRepository,
    Branch,
    Bucket,
    ConnectionArn,
    EcrRepository,
    GithubRepository,
    GitlabProject,
    HostArn,
    ImageTag,
    ImageTagPattern,
    KmsKeyArn,
    ObjectKey,
    Role,
    TriggerPattern,
    Url,
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


class BranchFilterSection(Section):
    """Branches whose push starts the pipeline, beside or instead of one."""

    include: Patterns = Field(
        default=(),
        description="A push to a branch that matches one of these starts the pipeline, and a push to another one does "
        "not, `branch` included.",
        examples=[["main", "release/*"]],
    )
    exclude: Patterns = Field(
        default=(),
        description="Branches that match one of these do not start it; wins over `include`.",
        examples=[["release/old-*"]],
    )


class GitSection(Section):
    """Code in a Git repository, reached through a CodeConnections connection; a section for each provider derives."""

    PROVIDER: ClassVar[str]
    """What the provider is called, and CodeConnections' ``ProviderType`` of it."""
    PUBLIC_URL: ClassVar[str]
    """Where the provider's repositories are, unless the section names a server."""

    repository: str
    branch: Branch = Field(
        default="main",
        description="Branch whose commits are delivered; a run that a person starts takes its newest.",
        examples=["main"],
    )
    branches: BranchFilterSection = Field(
        default=BranchFilterSection(),
        description="Branches whose push starts the pipeline, instead of `branch` alone. All are delivered to this "
        "stack's one service, the last push over the others: a stack each keeps branches apart.",
        examples=[{"include": ["main", "release/*"]}],
    )
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
    submodules: tuple[str, ...]

    @classmethod
    def key(cls) -> str:
        """Return the section's name in the stack file."""
        return cls.PROVIDER.lower()

    @property
    def provider_type(self) -> str | None:
        """The ``ProviderType`` of a new connection; ``None`` where its host says it."""
        return self.PROVIDER

    @property
    def server_url(self) -> str:
        """Where the repositories are, without a slash at the end."""
        return self.PUBLIC_URL

    @property
    def source_url(self) -> str:
        """Where the repository is."""
        return f"{self.server_url}/{self.repository}"

    @property
    def connection_host_arn(self) -> str | None:
        """The host that a new connection is made on."""
        return None

    def problems(self) -> Iterator[Problem]:
        """Yield filters of branches or paths beside tag filters, and submodules that no build would clone.

        CodePipeline filters paths of branches only, would want a tag and a branch in one push (terraform-provider-aws
        #43105), and has the same filters for each provider:
        https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-filter.html,
        https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-triggers.html
        """
        if self.submodules and not self.full_clone:
            yield Problem(
                path=("submodules",),
                message="need fullClone: true, because an archive of the code has no submodules",
                fix=f"pulumi config set --path 'ecs-delivery:source.{self.key()}.fullClone' true",
            )
        if self.tags != TagFilterSection() and self.branches != BranchFilterSection():
            yield Problem(
                path=("tags",),
                message="cannot be used together with branches: the push of a git tag is no push to a branch",
                fix="edit the file: keep either tags or branches",
            )
        if self.tags != TagFilterSection() and self.paths != PathFilterSection():
            yield Problem(
                path=("tags",),
                message="cannot be used together with paths: CodePipeline filters the paths of branch pushes only",
                fix="edit the file: keep either tags or paths",
            )


class InstalledGitSection(GitSection):
    """Code with a provider that is also installed on servers of one's own, which a host of CodeConnections reaches.

    A host is set up by a person, in the console, and serves all connections to the server:
    https://docs.aws.amazon.com/dtconsole/latest/userguide/connections-hosts.html
    """

    url: Url | None = Field(
        default=None,
        description="Address of your own server, where that has the code; the provider's public one when left out.",
        examples=["https://git.example.com"],
    )
    host_arn: HostArn | None = Field(
        default=None,
        description="ARN of the CodeConnections host that reaches this server, for a connection that is made here.",
        examples=["arn:aws:codeconnections:eu-west-1:123456789012:host/git-0f0f0f0f"],
    )

    @property
    def provider_type(self) -> str | None:
        """The ``ProviderType`` of a new connection; ``None`` where its host says it."""
        return None if self.host_arn else self.PROVIDER

    @property
    def server_url(self) -> str:
        """Where the repositories are, without a slash at the end."""
        return (self.url or self.PUBLIC_URL).rstrip("/")

    @property
    def connection_host_arn(self) -> str | None:
        """The host that a new connection is made on."""
        return self.host_arn

    def problems(self) -> Iterator[Problem]:
        """Yield a server that no connection reaches, and a host that nothing is made on."""
        yield from super().problems()
        if self.url and not self.host_arn and not self.connection_arn:
            yield Problem(
                path=("url",),
                message="needs hostArn or connectionArn, because only a host of CodeConnections, which is set up in "
                f"the console, reaches a server of one's own; got {self.url}",
                fix="edit the file: write hostArn: <host>, or connectionArn: <connection>",
            )
        if self.host_arn and not self.url:
            yield Problem(
                path=("url",),
                message="is missing; with hostArn the code is on a server, whose address images and messages name",
                fix="edit the file: write url: <address of the server>",
            )
        if self.host_arn and self.connection_arn:
            yield Problem(
                path=("hostArn",),
                message="has no effect beside connectionArn, because a connection keeps the host it was made on",
                fix=f"pulumi config rm --path 'ecs-delivery:source.{self.key()}.hostArn'",
            )


class GithubSection(InstalledGitSection):
    """Code on GitHub or GitHub Enterprise Server."""

    PROVIDER: ClassVar[str] = "GitHub"
    PUBLIC_URL: ClassVar[str] = "https://github.com"

    repository: GithubRepository = Field(
        description="Repository of the application, owner/name.", examples=["example/shop"]
    )
    submodules: tuple[GithubRepository, ...] = Field(
        default=(),
        max_length=50,
        description="Private repositories of submodules, owner/name, that builds may clone through the connection, "
        "with `fullClone: true`.",
        examples=[["example/shop-fonts"]],
    )


def on_github(repository: str | None, url: str | None, code: GithubSection | None) -> tuple[str, str | None]:
    """Return repository and server of a section that may name its own; those of the code where it does not.

    Args:
        repository: ``owner/name`` of its own.
        url: The GitHub Enterprise Server of its own.
        code: Where the code comes from, if that is GitHub.
    """
    return repository or (code.repository if code else ""), url or (code.url if code else None)


class GitlabSection(InstalledGitSection):
    """Code on GitLab, GitLab.com or self-managed."""

    PROVIDER: ClassVar[str] = "GitLab"
    PUBLIC_URL: ClassVar[str] = "https://gitlab.com"

    repository: GitlabProject = Field(
        description="Project of the application, with its groups.", examples=["example/shops/shop"]
    )
    submodules: tuple[GitlabProject, ...] = Field(
        default=(),
        max_length=50,
        description="Private projects of submodules that builds may clone through the connection, with "
        "`fullClone: true`.",
        examples=[["example/shops/fonts"]],
    )


class BitbucketSection(GitSection):
    """Code on Bitbucket Cloud; no connection reaches Bitbucket on servers of one's own."""

    PROVIDER: ClassVar[str] = "Bitbucket"
    PUBLIC_URL: ClassVar[str] = "https://bitbucket.org"

    repository: BitbucketRepository = Field(
        description="Repository of the application, workspace/repository.", examples=["example/shop"]
    )
    submodules: tuple[BitbucketRepository, ...] = Field(
        default=(),
        max_length=50,
        description="Private repositories of submodules, workspace/repository, that builds may clone through the "
        "connection, with `fullClone: true`.",
        examples=[["example/shop-fonts"]],
    )


class S3Section(Section):
    """Code as a zip in a bucket of this account and region; each upload of the object starts the pipeline.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html
    """

    bucket: Bucket = Field(
        description="Bucket that the code is uploaded to. It exists, keeps the versions of its objects, and sends its "
        "events to EventBridge: `nextSteps` has the commands.",
        examples=["shop-uploads"],
    )
    object_key: ObjectKey = Field(
        description="Key of the object, one zip with the files of the application, the `Dockerfile` at its top.",
        examples=["shop.zip"],
    )
    kms_key_arn: KmsKeyArn | None = Field(
        default=None,
        description="ARN of the customer managed key that the bucket's objects are encrypted with, whose policy has to "
        "let this account's policies decide; not needed with a key that S3 or AWS manages.",
        examples=["arn:aws:kms:eu-west-1:123456789012:key/0f0f0f0f-1234-4abc-8def-0123456789ab"],
    )

    @classmethod
    def key(cls) -> str:
        """Return the section's name in the stack file."""
        return "s3"

    @property
    def source_url(self) -> str:
        """Where the code is."""
        return f"s3://{self.bucket}/{self.object_key}"


class EcrSection(Section):
    """An image in ECR of this account and region; its arrival starts the pipeline.

    The source action names a repository and nothing of a registry:
    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECR.html
    """

    repository: EcrRepository = Field(description="Repository whose image is delivered.", examples=["shop-prod"])
    tag: ImageTag = Field(
        default="latest",
        description="Tag whose push starts the pipeline; a run that a person starts takes the image it names.",
        examples=["promoted"],
    )
    tag_pattern: ImageTagPattern | None = Field(
        default=None,
        description="Tags whose push starts the pipeline instead, with `*` for any characters; each run delivers the "
        "image that was pushed.",
        examples=["v*"],
    )
    arrives_by: Literal["push", "replication", "pullThroughCache"] = Field(
        default="push",
        description="How images arrive: `push`, `replication` from another account or region, which that one's "
        "registry has to be configured for, or `pullThroughCache` from another registry, when something pulls the tag.",
        examples=["replication"],
    )
    create: bool = Field(
        default=False, description="Whether this stack makes the repository (else it exists already).", examples=[True]
    )
    promoters: tuple[Role, ...] = Field(
        default=(),
        description="Roles that promote images into the repository, which takes none of anybody else's then: names of "
        "this account's, ARNs of other accounts', as many as the 2,048 characters of an IAM trust policy hold (20 or "
        "so); needs `create: true`.",
        examples=[["shop-dev-promote-image"]],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield promoters of a repository whose policy this stack does not own."""
        if self.promoters and self.arrives_by != "push":
            yield Problem(
                path=("promoters",),
                message=f"have an effect on pushes only, not with arrivesBy {self.arrives_by}: who may replicate or "
                "cache images here is said by the registry's own settings",
                fix="pulumi config rm --path 'ecs-delivery:source.ecr.promoters'",
            )
        if self.promoters and not self.create:
            yield Problem(
                path=("promoters",),
                message="need create: true, because only a repository made by this stack gets its policy from here",
                fix="pulumi config set --path 'ecs-delivery:source.ecr.create' true",
            )


class SourceSection(Section):
    """Where the pipeline starts: code (`github`, `gitlab`, `bitbucket`, `s3`), `ecr`, or both (on a base image)."""

    github: GithubSection | None = Field(
        default=None,
        description="Code on GitHub or GitHub Enterprise Server.",
        examples=[{"repository": "example/shop", "branch": "main"}],
    )
    gitlab: GitlabSection | None = Field(
        default=None,
        description="Code on GitLab, GitLab.com or self-managed.",
        examples=[{"repository": "example/shops/shop"}],
    )
    bitbucket: BitbucketSection | None = Field(
        default=None, description="Code on Bitbucket Cloud.", examples=[{"repository": "example/shop"}]
    )
    s3: S3Section | None = Field(
        default=None,
        description="Code that is uploaded to a bucket as a zip, by a CI elsewhere for one. It names no commit, so "
        "nothing is released on GitHub.",
        examples=[{"bucket": "shop-uploads", "objectKey": "shop.zip"}],
    )
    ecr: EcrSection | None = Field(
        default=None, description="An image in ECR.", examples=[{"repository": "shop-prod", "tag": "promoted"}]
    )

    @property
    def git(self) -> GitSection | None:
        """The Git repository that has the code; ``None`` where the code is elsewhere, or there is none."""
        return self.github or self.gitlab or self.bitbucket

    @property
    def code(self) -> GitSection | S3Section | None:
        """Where the code is; ``None`` when the pipeline delivers an image as it is."""
        return self.git or self.s3

    def problems(self) -> Iterator[Problem]:
        """Yield a source that names nothing, and one that names the code twice."""
        if self.code is None and self.ecr is None:
            yield Problem(
                path=(),
                message="must name github, gitlab, bitbucket or s3, or ecr, or one of the four and ecr",
                fix="edit the file: write github: {repository: <owner/name>}",
            )
        named = [section.key() for section in (self.github, self.gitlab, self.bitbucket, self.s3) if section]
        if len(named) > 1:
            yield Problem(
                path=(named[1],),
                message=f"cannot be used together with {named[0]}: a pipeline builds the code of one place",
                fix=f"pulumi config rm --path 'ecs-delivery:source.{named[1]}'",
            )

"""Section `release`: version tag and GitHub release of what was delivered."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StringConstraints

from components.settings.names import GithubRepository, JsonKey, Secret, Url
from components.settings.secrets import secret_itself
from components.settings.section import Constraint, Problem, Section

TagPrefix = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z0-9_]([._-]?[A-Za-z0-9_]){0,15}[._-]?)?$", max_length=32),
    Constraint("nothing, or up to 32 letters, digits and single . _ - that a tag may start with"),
]
"""Stands before the version in an image tag and in a git tag, so both must take it."""


class GithubReleaseSection(Section):
    """The release on GitHub."""

    repository: GithubRepository | None = Field(
        default=None,
        description="Repository that gets the release; that of `source.github` when left out.",
        examples=["example/shop"],
    )
    url: Url | None = Field(
        default=None,
        description="Address of the GitHub Enterprise Server that has it, which the internet reaches; that of "
        "`source.github` when left out, else github.com.",
        examples=["https://git.example.com"],
    )
    token_secret: Secret = Field(
        description="Name or ARN of the Secrets Manager secret that holds a GitHub token with `contents: write` "
        "and `workflows: write`, which GitHub wants for a commit whose workflows differ from the default branch's.",
        examples=["shop/github-token"],
    )
    secret_key: JsonKey | None = Field(
        default=None,
        description="Key of the token when the secret holds JSON; the whole secret is the token when left out.",
        examples=["token"],
    )
    prerelease: bool = Field(default=False, description="Whether releases are marked as pre-release.", examples=[True])

    def problems(self) -> Iterator[Problem]:
        """Yield a token where the name of its secret belongs."""
        yield from secret_itself(self.token_secret, "token", "tokenSecret")


class ReleaseSection(Section):
    """Version tag on the image and GitHub release, after a delivery that went well."""

    enabled: bool = Field(
        default=False, description="Whether a delivery ends with a version tag and a release.", examples=[True]
    )
    tag_prefix: TagPrefix = Field(default="v", description="Stands before the version in tags.", examples=["v"])
    github: GithubReleaseSection | None = Field(
        default=None, description="The release on GitHub.", examples=[{"tokenSecret": "shop/github-token"}]
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a release that has no token to be made with."""
        if self.enabled and self.github is None:
            yield Problem(
                path=("github",),
                message="is missing; a release needs the name of the Secrets Manager secret that holds a GitHub token",
                fix="edit the file: write tokenSecret: <name of the secret>",
            )

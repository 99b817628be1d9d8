"""Release: a version label on the deployed image, and a GitHub release with what was deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.foundation.github import api_of
from components.foundation.iam import Statement
from components.foundation.secret import SecretReference
from components.pipeline.model import Artifact, Variable
from components.pipeline.variables import DELIVERED_IMAGE, delivered_images
from components.settings import ReleaseSection
from components.settings.sections.release import GithubReleaseSection
from components.settings.sections.source import on_github
from components.stages.stage import SharedFacts, Stage, StageContext


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        tag_prefix: Put before the version, most often ``v``.
        github: The section ``release.github``.
        repository: ``owner/name`` of the repository the release is made in.
        server_url: The GitHub Enterprise Server that has it; ``None`` for github.com.
    """

    tag_prefix: str
    github: GithubReleaseSection
    repository: str
    server_url: str | None

    @property
    def variables(self) -> dict[str, str]:
        """Where the job finds the repository; github.com's API is the default of its buildspec."""
        api = {"GITHUB_API_URL": api_of(self.server_url)} if self.server_url else {}
        return {"GITHUB_REPOSITORY": self.repository, "TAG_PREFIX": self.tag_prefix, **api}


class ReleaseStage(Stage[ReleaseSection, ReleaseStageArgs]):
    """Tags the image first, then publishes: a release never names an image that is not labelled."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Release"
    NAME: ClassVar[str] = "Release"
    SECTION: ClassVar[str] = "release"

    def __init__(
        self, name: str, args: ReleaseStageArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        further = context.registry.further
        tag = self.project(
            "tag-image",
            description="Labels the deployed image with its version",
            machine=context.quick,
            reads=(Artifact.DEPLOYMENT,),
            variables={"TAG_PREFIX": args.tag_prefix, **context.registry.further_images},
            statements=[
                Statement(
                    sid="LabelImage",
                    actions=("ecr:BatchGetImage", "ecr:DescribeImages", "ecr:PutImage"),
                    resources=tuple(repository.arn for repository in context.registry.every_delivered),
                )
            ],
        )
        token = SecretReference(name_or_arn=args.github.token_secret, key=args.github.secret_key)
        publish = self.project(
            "create-github-release",
            description=f"Publishes a release of {args.repository} with the deployment artifacts",
            machine=context.quick,
            reads=(Artifact.DEPLOYMENT,),
            variables=args.variables,
            secrets={"GITHUB_TOKEN": token.value_from},
            statements=[token.read("ReadGitHubToken", context.foundation.account)],
        )
        prerelease = Variable(
            name="PRERELEASE",
            default="true" if args.github.prerelease else "false",
            description="true marks the GitHub release of this run as a pre-release.",
        )
        self.actions = (
            tag.action("TagImage", environment=delivered_images(further)),
            publish.action(
                "CreateGitHubRelease",
                environment={**DELIVERED_IMAGE, prerelease.name: prerelease.reference},
                variables=(prerelease,),
                run_order=2,
            ),
        )
        self.grants = (tag.start(), publish.start())
        self.pushers = tuple(each.pushed_by(tag.role_arn) for each in context.registry.every_delivered)
        wanted = f"a fine-grained token for {args.repository} (Contents and Workflows: read and write)"
        self.notes = (token.keep("token", description=wanted, region=context.foundation.region),)
        self.register_outputs({"actions": [action.name for action in self.actions]})

    @classmethod
    def wanted(cls, section: ReleaseSection, shared: SharedFacts) -> ReleaseStageArgs | None:
        """On with ``release.enabled``; the repository defaults to the one the code comes from."""
        if not section.enabled or section.github is None:
            return None
        repository, server = on_github(section.github.repository, section.github.url, shared.github)
        return ReleaseStageArgs(
            tag_prefix=section.tag_prefix, github=section.github, repository=repository, server_url=server
        )

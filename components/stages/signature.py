"""Signatures of what a run delivers: made after the build, verified before the deployment or the promotion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pulumi

from components.foundation.iam import Statement
from components.images.repository import Pusher, pull_images, push_images, registry_login
from components.jobs.build_project import LONG_RUNNING
from components.jobs.job_component import JobComponent
from components.pipeline.model import Action, Artifact
from components.stages.stage import SharedFacts, StageContext

_REVOCATIONS = Statement(sid="ReadRevocations", actions=("signer:GetRevocationStatus",), resources=("*",))
"""What verifying needs of AWS Signer: to ask whether a signature or its profile is revoked, which changes nothing."""


def profile_that_signs(shared: SharedFacts) -> str | None:
    """Return the signing profile that images which are built here are signed with; ``None`` when they are not."""
    return shared.verification.signature.signing_profile if shared.source_url else None


def profile_of_others(shared: SharedFacts) -> str | None:
    """Return the signing profile that images from ECR have to be signed with; ``None`` when they need not be."""
    return None if shared.source_url else shared.verification.signature.signing_profile


class SignatureJob(JobComponent):
    """A job that signs each delivered image or verifies its signature, and runs nothing of the application's.

    It builds Notation of locked sources, for which Go is on CodeBuild's images for EC2, as of
    https://github.com/aws/aws-codebuild-docker-images/blob/master/al/aarch64/standard/4.0/runtimes.yml, and not beside
    Python on those for Lambda.
    """

    TYPE: ClassVar[str] = "ecs-delivery:index:SignatureJob"

    _context: StageContext

    action: Action
    """Its action."""
    start: Statement
    """What the pipeline's role needs for it."""
    pushers: tuple[Pusher, ...]
    """Its role for each repository, where it puts signatures there."""

    def __init__(
        self,
        name: str,
        job: str,
        profile: str,
        delivered: Mapping[str, str],
        context: StageContext,
        *,
        description: str,
        signs: bool,
        statements: tuple[Statement, ...] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, context, opts)
        registry = context.registry
        project = self.project(
            job,
            description=description,
            machine=LONG_RUNNING,
            reads=(Artifact.IMAGE,),
            variables={"SIGNING_PROFILE": profile, **registry.further_images},
            statements=[pull_images(registry.every_delivered), registry_login(), _REVOCATIONS, *statements],
            timeout_minutes=15,
        )
        self.action = project.action("".join(word.capitalize() for word in job.split("-")), environment=delivered)
        self.start = project.start()
        signed = registry.every_delivered if signs else ()
        self.pushers = tuple(repository.pushed_by(project.role_arn) for repository in signed)
        self.register_outputs({"action": self.action.name})


def sign_images(
    name: str, profile: str, delivered: Mapping[str, str], context: StageContext, opts: pulumi.ResourceOptions
) -> SignatureJob:
    """Return the job that signs what is delivered; no other role may use the profile.

    The permission is that of AWS's example:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/managed-signing.html

    Args:
        name: Its name in Pulumi.
        profile: The ARN of the signing profile.
        delivered: Variables with the digests of this run.
        context: What every stage may rely on.
        opts: Of the component.
    """
    return SignatureJob(
        name,
        "sign-image",
        profile,
        delivered,
        context,
        description="Signs the images by their digests with AWS Signer",
        signs=True,
        statements=(
            Statement(sid="SignImage", actions=("signer:SignPayload",), resources=(profile,)),
            push_images(context.registry.every_delivered),
        ),
        opts=opts,
    )


def verify_signatures(
    name: str, profile: str, delivered: Mapping[str, str], context: StageContext, opts: pulumi.ResourceOptions
) -> SignatureJob:
    """Return the job that verifies the signatures of what is delivered; the arguments are those of ``sign_images``."""
    return SignatureJob(
        name,
        "verify-signature",
        profile,
        delivered,
        context,
        description="Verifies that the images are signed with AWS Signer by whom they have to be",
        signs=False,
        opts=opts,
    )

"""Subsection `verification.signature`: whose signature images have to have."""

from pydantic import Field

from components.settings.names import SigningProfileArn
from components.settings.section import Section


class SignatureSection(Section):
    """Whose signature images have to have; off unless it names a signing profile."""

    signing_profile: SigningProfileArn | None = Field(
        default=None,
        description="Signing profile of AWS Signer, of the platform `Notation-OCI-SHA384-ECDSA`. Images that are built "
        "here are signed with it, and verified before they are promoted; images from ECR are verified before they are "
        "deployed.",
        examples=["arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop_dev"],
    )

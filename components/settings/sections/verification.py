"""Section `verification`: what images have to prove before they go any further."""

import json
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from components.settings.names import PipelineNameOrArn
from components.settings.section import Constraint, Reference, Section
from components.settings.sections.signature import SignatureSection

SourceAddress = Annotated[
    str,
    StringConstraints(pattern=r"^(https?|s3)://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[!-~]+)+$"),
    Constraint(
        "the address of a repository such as https://github.com/example/shop, or of an object, s3://<bucket>/<key>"
    ),
]


def _day(text: str) -> str:
    """Return the text if there is such a day.

    Raises:
        ValueError: If there is none.
    """
    return date.fromisoformat(text).isoformat()


Day = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_day),
    Constraint('a day in quotes such as "2026-12-31"'),
]

FindingName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]{1,19}-[A-Za-z0-9._:-]{1,60}$"),
    Constraint("the name of a finding such as CVE-2026-1234"),
    Reference(),
]

Reason = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$", max_length=100),
    Constraint("a text of one line, up to 100 characters"),
]


class ProvenanceSection(Section):
    """Who has to have built the images, and of what."""

    enabled: bool = Field(
        default=True,
        description="Whether each image has to have the provenance that `build` attaches to it: that one build project "
        "has built it of one repository and commit. Images from ECR are verified before they are deployed, images "
        "that are built here before they are promoted.",
        examples=[False],
    )
    source: SourceAddress | None = Field(
        default=None,
        description="Where the code of images from ECR has to be from, as the label `org.opencontainers.image.source` "
        "has it; of images that are built here it is `source`.",
        examples=["https://github.com/example/shop"],
    )
    pipeline: PipelineNameOrArn | None = Field(
        default=None,
        description="Pipeline that has to have built images from ECR, `<application>-<stack>`: its name, or its ARN "
        "where it is in another account or region.",
        examples=["shop-dev"],
    )


MOST_FINDINGS = 10_000
"""Ours: whoever lets more pass leaves the limit out, or switches the scan off."""


class MaximumSection(Section):
    """How many findings of each severity pass."""

    critical: int = Field(
        default=0, ge=0, le=MOST_FINDINGS, description="Most findings of the severity CRITICAL that pass.", examples=[0]
    )
    high: int = Field(
        default=0, ge=0, le=MOST_FINDINGS, description="Most findings of the severity HIGH that pass.", examples=[5]
    )
    medium: int | None = Field(
        default=None,
        ge=0,
        le=MOST_FINDINGS,
        description="Most findings of the severity MEDIUM that pass; any when left out.",
        examples=[20],
    )
    low: int | None = Field(
        default=None,
        ge=0,
        le=MOST_FINDINGS,
        description="Most findings of the severity LOW that pass; any when left out.",
        examples=[100],
    )
    undefined: int | None = Field(
        default=None,
        ge=0,
        le=MOST_FINDINGS,
        description="Most findings of no known severity that pass; any when left out.",
        examples=[10],
    )


class AllowedFindingSection(Section):
    """A finding that passes for a time."""

    until: Day = Field(
        description="The last day on which it passes, in UTC; then it counts again.", examples=["2026-12-31"]
    )
    reason: Reason = Field(
        description="Why it may pass; the log says it.", examples=["the application starts no shell"]
    )


class ScanSection(Section):
    """What the scan of an image by Amazon ECR or Amazon Inspector may find."""

    enabled: bool = Field(
        default=False,
        description="Whether the scan of each image is waited for, and an image with more findings than pass, or "
        "without a scan, goes no further. It is the scan that the repository is configured for: basic on push in those "
        "that are made here, or that of Amazon Inspector.",
        examples=[True],
    )
    maximum: MaximumSection = Field(
        default=MaximumSection(),
        description="How many findings pass, of each image.",
        examples=[{"critical": 0, "high": 5}],
    )
    allow: dict[FindingName, AllowedFindingSection] = Field(
        default={},
        max_length=20,  # they are a variable of the job, and CodeBuild takes about 5,500 characters of those
        description="Findings that pass for a time, by their names.",
        examples=[{"CVE-2026-1234": {"until": "2026-12-31", "reason": "the application starts no shell"}}],
    )
    timeout_minutes: int = Field(
        default=5,
        ge=1,
        le=10,  # a Lambda machine has 15
        description="Longest time that a scan is waited for.",
        examples=[10],
    )

    @property
    def rules(self) -> str:
        """What the job is told of it, as JSON."""
        maximum = {
            key.upper(): most for key in MaximumSection.model_fields if (most := getattr(self.maximum, key)) is not None
        }
        allow = {name: {"until": each.until, "reason": each.reason} for name, each in self.allow.items()}
        return json.dumps({"maximum": maximum, "allow": allow}, sort_keys=True)


class VerificationSection(Section):
    """What images have to prove before they are deployed or promoted."""

    provenance: ProvenanceSection = Field(
        default=ProvenanceSection(),
        description="Who has to have built the images, and of what.",
        examples=[{"source": "https://github.com/example/shop", "pipeline": "shop-dev"}],
    )
    signature: SignatureSection = Field(
        default=SignatureSection(),
        description="Whose signature they have to have.",
        examples=[{"signingProfile": "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop_dev"}],
    )
    scan: ScanSection = Field(
        default=ScanSection(),
        description="What the scan of an image may find.",
        examples=[{"enabled": True}],
    )

    @property
    def enabled(self) -> bool:
        """Whether anything is to be proven."""
        return self.provenance.enabled or self.scan.enabled

"""The whole stack file."""

from typing import Literal

from pydantic import Field

from components.settings.section import Section
from components.settings.sections.application import ApplicationSection
from components.settings.sections.build import BuildSection
from components.settings.sections.deploy import DeploySection
from components.settings.sections.hosting import HostingSection
from components.settings.sections.notifications import NotificationsSection
from components.settings.sections.pipeline import PipelineSection
from components.settings.sections.promotion import PromotionSection
from components.settings.sections.release import ReleaseSection
from components.settings.sections.retention import RetentionSection
from components.settings.sections.source import SourceSection
from components.settings.sections.statuses import StatusesSection
from components.settings.sections.tests import TestsSection
from components.settings.sections.verification import VerificationSection


class Settings(Section):
    """The sections of a stack file; `load_settings` is what checks them against each other."""

    application: ApplicationSection = Field(description="What runs, and how big.", examples=[{"name": "shop"}])
    source: SourceSection = Field(
        description="Where the pipeline starts: code in a Git repository or a bucket, an image in ECR, or both.",
        examples=[{"github": {"repository": "example/shop"}}],
    )
    build: BuildSection = Field(
        default=BuildSection(), description="How the image is made.", examples=[{"dockerfile": "Dockerfile"}]
    )
    deploy: DeploySection = Field(
        default=DeploySection(), description="How a new image takes over.", examples=[{"engine": "codeDeploy"}]
    )
    hosting: HostingSection = Field(
        default=HostingSection(),
        description="Where the application runs: made here, or a service that exists.",
        examples=[{"loadBalancer": {"plainHttp": True}}],
    )
    tests: TestsSection = Field(
        default=TestsSection(), description="What the deployed service must pass.", examples=[{"enabled": True}]
    )
    verification: VerificationSection = Field(
        default=VerificationSection(),
        description="What images have to prove before they go any further.",
        examples=[{"provenance": {"enabled": True}}],
    )
    promotion: PromotionSection = Field(
        default=PromotionSection(),
        description="Hands a tested image on to the next environment.",
        examples=[{"enabled": True, "repository": "shop-prod"}],
    )
    release: ReleaseSection = Field(
        default=ReleaseSection(),
        description="Version tag and GitHub release.",
        examples=[{"enabled": True, "github": {"tokenSecret": "shop/github-token"}}],
    )
    statuses: StatusesSection = Field(
        default=StatusesSection(),
        description="What GitHub shows of a run.",
        examples=[{"enabled": True, "repository": "example/shop", "tokenSecret": "shop/github-status-token"}],
    )
    notifications: NotificationsSection = Field(
        default=NotificationsSection(),
        description="Who is told what became of a run.",
        examples=[{"enabled": True, "email": ["team@example.com"]}],
    )
    pipeline: PipelineSection = Field(
        default=PipelineSection(),
        description="How runs follow each other, and the jobs of a run.",
        examples=[{"executionMode": "queued"}],
    )
    retention: RetentionSection = Field(
        default=RetentionSection(), description="How long things are kept.", examples=[{"protect": True}]
    )

    @property
    def has_code(self) -> bool:
        """Whether the pipeline starts from code (perhaps on top of a base image)."""
        return self.source.code is not None

    @property
    def smoke_test_enabled(self) -> bool:
        """Whether a smoke-test image is built."""
        return self.build.smoke_test.enabled

    @property
    def verified_before(self) -> Literal["deployment", "promotion"] | None:
        """What the images of a run are verified before, once; ``None`` where nobody looks at them."""
        if not self.verification.enabled:
            return None
        if not self.has_code:
            return "deployment"
        if self.promotion.enabled:
            return "promotion"
        # Its own build is known; what its packages suffer from is not.
        return "deployment" if self.verification.scan.enabled else None

    @property
    def tells_of_alarms(self) -> bool:
        """Whether alarms are made here, and somebody is told of them."""
        told = self.notifications
        return told.enabled and "alarm" in told.events and self.hosting.alarms_made is not None

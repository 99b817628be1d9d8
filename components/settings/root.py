"""The whole stack file."""

from pydantic import Field

from components.settings.application import Application
from components.settings.base import Section
from components.settings.build import Build
from components.settings.deploy import Deploy
from components.settings.hosting import Hosting
from components.settings.pipeline import Pipeline
from components.settings.promotion import Promotion
from components.settings.release import Release
from components.settings.retention import Retention
from components.settings.source import Source
from components.settings.tests import Tests


class Settings(Section):
    """The sections of a stack file; `load_settings` is what checks them against each other."""

    application: Application = Field(description="What runs, and how big.", examples=[{"name": "shop"}])
    source: Source = Field(
        description="Where the pipeline starts: code on GitHub, an image in ECR, or both.",
        examples=[{"github": {"repository": "example/shop"}}],
    )
    build: Build = Field(default=Build(), description="How the image is made.", examples=[{"dockerfile": "Dockerfile"}])
    deploy: Deploy = Field(
        default=Deploy(), description="How a new image takes over.", examples=[{"engine": "codeDeploy"}]
    )
    hosting: Hosting = Field(
        default=Hosting(),
        description="Where the application runs: made here, or a service that exists.",
        examples=[{"loadBalancer": {"plainHttp": True}}],
    )
    tests: Tests = Field(
        default=Tests(), description="What the deployed service must pass.", examples=[{"enabled": True}]
    )
    promotion: Promotion = Field(
        default=Promotion(),
        description="Hands a tested image on to the next environment.",
        examples=[{"enabled": True, "repository": "shop-prod"}],
    )
    release: Release = Field(
        default=Release(),
        description="Version tag and GitHub release.",
        examples=[{"enabled": True, "github": {"tokenSecret": "shop/github-token"}}],
    )
    pipeline: Pipeline = Field(
        default=Pipeline(),
        description="How runs follow each other, and the jobs of a run.",
        examples=[{"executionMode": "queued"}],
    )
    retention: Retention = Field(
        default=Retention(), description="How long things are kept.", examples=[{"protect": True}]
    )

    @property
    def has_code(self) -> bool:
        """Whether the pipeline starts from code on GitHub (perhaps on top of a base image)."""
        return self.source.github is not None

    @property
    def smoke_test_enabled(self) -> bool:
        """Whether a smoke-test image is built."""
        return self.build.smoke_test.enabled

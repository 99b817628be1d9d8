"""Section `tests`: what the deployed service must pass before it goes on."""

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from pydantic import Field

from components.settings.section import Problem, Section
from components.settings.sections.http_checks import AskingSection, PagePath

BEST_PRACTICES: Final = 90
"""The budget of best practices when nothing is given."""

PLAIN_HTTP_BEST_PRACTICES: Final = 79
"""What a page without a fault gets for best practices over plain HTTP, of which 23 of 29 points are left.

Measured with the Lighthouse that `buildspecs/lighthouse` locks; a test measures it again.
"""

PLAIN_HTTP_BUDGET: Final = 75
"""The budget of best practices over plain HTTP when nothing is given."""


class BudgetsSection(Section):
    """The lowest score of each Lighthouse category that passes."""

    performance: int = Field(default=80, ge=0, le=100, description="Lowest score for performance.", examples=[80])
    accessibility: int = Field(default=90, ge=0, le=100, description="Lowest score for accessibility.", examples=[90])
    best_practices: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description=f"Lowest score for best practices; {BEST_PRACTICES} when left out, {PLAIN_HTTP_BUDGET} over plain "
        f"HTTP, where no page gets more than {PLAIN_HTTP_BEST_PRACTICES}.",
        examples=[90],
    )
    seo: int = Field(default=80, ge=0, le=100, description="Lowest score for search engines.", examples=[80])

    def scores(self, *, plain_http: bool) -> dict[str, int]:
        """Return the lowest score of each category by Lighthouse's name of it.

        Args:
            plain_http: Whether the pages are reached without encryption.
        """
        default = PLAIN_HTTP_BUDGET if plain_http else BEST_PRACTICES
        return {
            "performance": self.performance,
            "accessibility": self.accessibility,
            "best-practices": default if self.best_practices is None else self.best_practices,
            "seo": self.seo,
        }


class LighthouseSection(Section):
    """Pages measured by Lighthouse."""

    enabled: bool = Field(default=True, description="Whether pages are measured; an API has none.", examples=[False])
    paths: tuple[PagePath, ...] = Field(
        default=("/",),
        min_length=1,
        max_length=20,
        description="Pages to measure.",
        examples=[["/", "/cart"]],
    )
    devices: tuple[Literal["mobile", "desktop"], ...] = Field(
        default=("mobile",),
        min_length=1,
        max_length=2,
        description="What each page is measured as; the budgets hold for each.",
        examples=[["mobile", "desktop"]],
    )
    runs: int = Field(
        default=3, ge=1, le=9, description="Measurements of each page; odd, because the median counts.", examples=[3]
    )
    budgets: BudgetsSection = Field(
        default=BudgetsSection(), description="Scores that pass.", examples=[{"performance": 80}]
    )

    def problems(self) -> Iterator[Problem]:
        """Yield an even number of runs, which has no middle one, and a device that stands twice."""
        if len(set(self.devices)) < len(self.devices):
            yield Problem(
                path=("devices",),
                message=f"must name each device once, got {', '.join(self.devices)}",
                fix="edit the file: write it like devices: [mobile, desktop]",
            )
        if self.runs % 2 == 0:
            yield Problem(
                path=("runs",),
                message=f"must be an odd number between 1 and 9 (the median run counts), got {self.runs}",
                fix=f"pulumi config set --path 'ecs-delivery:tests.lighthouse.runs' {self.runs + 1}",
            )


class TestsSection(AskingSection):
    """What the deployed service must pass: Lighthouse, HTTP checks, and the smoke test when one is built."""

    SECTION: ClassVar[str] = "tests"

    enabled: bool = Field(default=False, description="Whether the deployed service is tested.", examples=[True])
    lighthouse: LighthouseSection = Field(
        default=LighthouseSection(), description="Pages measured by Lighthouse.", examples=[{"paths": ["/"]}]
    )
    timeout_minutes: int = Field(
        default=30,
        ge=5,
        le=480,  # a CodeBuild action of CodePipeline, https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
        description="Longest time the tests may take.",
        examples=[30],
    )

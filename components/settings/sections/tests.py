"""Section `tests`: what the deployed service must pass before it goes on."""

from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from pydantic import Field

from components.settings.section import Problem, Section
from components.settings.sections.application import Cpu, size_problems
from components.settings.sections.http_checks import AskingSection, PagePath

BEST_PRACTICES: Final = 90
"""The budget of best practices when nothing is given."""

PLAIN_HTTP_BEST_PRACTICES: Final = 79
"""What a page without a fault gets for best practices over plain HTTP, of which 23 of 29 points are left.

Measured with the Lighthouse that `buildspecs/lighthouse` locks; a test measures it again.
"""

PLAIN_HTTP_BUDGET: Final = 75
"""The budget of best practices over plain HTTP when nothing is given."""


LIGHTHOUSE_MINUTES: Final = 30
"""How long Lighthouse may take when nothing is given: some eighty measurements of 20 s."""

SMOKE_TEST_MINUTES: Final = 10
"""How long the task of the smoke test may take when nothing is given: what a Lambda machine has, less the time to end.

Its 15 minutes: https://docs.aws.amazon.com/codebuild/latest/userguide/lambda.html#lambda.limitations
"""


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
    compute: Literal["small", "medium", "large"] = Field(
        default="small",
        description="Size of the machine that measures: `small` has 2 vCPUs and 4 GiB, `medium` 4 and 8, `large` 8 and "
        "16. A page that keeps a processor busy for long gets steadier scores for performance on a larger one.",
        examples=["medium"],
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


class SmokeTestTaskSection(Section):
    """The task that runs the smoke-test image."""

    cpu: Cpu = Field(default=256, description="CPU units of the task; 1024 are one vCPU.", examples=[512])
    memory: int = Field(
        default=512,
        ge=512,
        le=122880,
        description="Memory of the task in MiB; Fargate offers certain sizes for each `cpu`. A browser takes 2048.",
        examples=[1024],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a size that Fargate does not offer."""
        yield from size_problems(self.cpu, self.memory, "tests.smokeTestTask")


class TestsSection(AskingSection):
    """What the deployed service must pass: Lighthouse, HTTP checks, and the smoke test when one is built."""

    SECTION: ClassVar[str] = "tests"

    enabled: bool = Field(default=False, description="Whether the deployed service is tested.", examples=[True])
    lighthouse: LighthouseSection = Field(
        default=LighthouseSection(), description="Pages measured by Lighthouse.", examples=[{"paths": ["/"]}]
    )
    smoke_test_task: SmokeTestTaskSection = Field(
        default=SmokeTestTaskSection(),
        description="The task that runs the smoke-test image, when `build.smokeTest` builds one.",
        examples=[{"cpu": 512, "memory": 1024}],
    )
    timeout_minutes: int | None = Field(
        default=None,
        ge=5,
        le=475,  # a CodeBuild action of CodePipeline has 480, https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
        description="Longest time that each of the tests may take; when left out "
        f"{LIGHTHOUSE_MINUTES} for Lighthouse and {SMOKE_TEST_MINUTES} for the task of the smoke test. The job of a "
        f"smoke test of up to {SMOKE_TEST_MINUTES} minutes runs on a Lambda machine, where the region has them.",
        examples=[30],
    )

    @property
    def minutes_of_lighthouse(self) -> int:
        """The longest time that Lighthouse may take."""
        return self.timeout_minutes or LIGHTHOUSE_MINUTES

    @property
    def minutes_of_smoke_test(self) -> int:
        """The longest time that the task of the smoke test may take."""
        return self.timeout_minutes or SMOKE_TEST_MINUTES

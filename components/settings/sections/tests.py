"""Section `tests`: what the deployed service must pass before it goes on."""

import json
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from components.settings.names import SecretValue
from components.settings.secrets import secret_itself
from components.settings.section import Constraint, Problem, Section
from components.settings.sections.build import ARGUMENTS_CHARACTERS

PagePath = Annotated[
    str,
    StringConstraints(pattern=r"^/[!-~]*$", max_length=200),
    Constraint("a path that starts with /, up to 200 characters without blanks"),
]

HeaderName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"),
    Constraint("the name of an HTTP header, up to 100 characters"),
]
"""https://www.rfc-editor.org/rfc/rfc9110#name-field-names"""

ExpectedText = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$"),
    Constraint("text of 1 to 200 characters in one line"),
]

OF_THE_CONNECTION: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""Headers that say how a request is sent, and not what it is: https://www.rfc-editor.org/rfc/rfc9110#name-connection"""

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


class HttpCheckSection(Section):
    """One request, and what the answer has to be; a redirect is an answer, and is not followed."""

    path: PagePath = Field(description="Path that is asked for.", examples=["/api/orders?limit=1"])
    method: Literal["GET", "HEAD"] = Field(default="GET", description="Method of the request.", examples=["HEAD"])
    status: int = Field(
        default=200,
        ge=200,
        le=599,  # https://www.rfc-editor.org/rfc/rfc9110#name-status-codes; one below 200 is followed by another
        description="Status that is expected.",
        examples=[401],
    )
    headers: dict[HeaderName, ExpectedText] = Field(
        default={},
        max_length=10,
        description="Headers that the answer has to have, each with text that is in its value.",
        examples=[{"Content-Type": "application/json"}],
    )
    contains: ExpectedText | None = Field(
        default=None, description="Text that is in the first MiB of the body.", examples=['"status":"ok"']
    )
    within_milliseconds: int = Field(
        default=5000,
        ge=1,
        le=10000,  # thirty checks, and a minute for connections that fail, fit into the 15 minutes of a Lambda machine
        description="Longest time until the answer is whole.",
        examples=[500],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield text of a body that is not sent."""
        if self.method == "HEAD" and self.contains is not None:
            yield Problem(
                path=("contains",),
                message="has an effect only with method GET: the answer to HEAD has no body",
                fix="edit the file: remove contains, or write method: GET",
            )


class TestsSection(Section):
    """What the deployed service must pass: Lighthouse, HTTP checks, and the smoke test when one is built."""

    enabled: bool = Field(default=False, description="Whether the deployed service is tested.", examples=[True])
    headers: dict[HeaderName, SecretValue] = Field(
        default={},
        max_length=10,
        description="Headers that Lighthouse and the HTTP checks send to the service, and to no other host, such as "
        "Authorization or Cookie: a name, and the Secrets Manager secret that holds the value.",
        examples=[{"Authorization": "shop/tests:authorization"}],
    )
    lighthouse: LighthouseSection = Field(
        default=LighthouseSection(), description="Pages measured by Lighthouse.", examples=[{"paths": ["/"]}]
    )
    http: tuple[HttpCheckSection, ...] = Field(
        default=(),
        max_length=30,
        description="Requests whose answers are checked.",
        examples=[[{"path": "/healthz", "contains": '"status":"ok"'}]],
    )
    timeout_minutes: int = Field(
        default=30,
        ge=5,
        le=480,  # a CodeBuild action of CodePipeline, https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
        description="Longest time the tests may take.",
        examples=[30],
    )

    @property
    def checks(self) -> str:
        """The HTTP checks as their job reads them."""
        checks = [
            {
                "method": check.method,
                "path": check.path,
                "status": check.status,
                "headers": dict(check.headers),
                "contains": check.contains or "",
                "withinMilliseconds": check.within_milliseconds,
            }
            for check in self.http
        ]
        return json.dumps(checks, sort_keys=True, separators=(",", ":"))

    def problems(self) -> Iterator[Problem]:
        """Yield secrets in clear, headers that are not the tests' own, and more than CodeBuild takes."""
        for name, secret in self.headers.items():
            for problem in secret_itself(
                secret, "value", section="tests", key=f"headers.{name}", example="shop/tests:authorization"
            ):
                yield Problem(path=("headers", name), message=problem.message, fix=problem.fix)
            if name.lower() in OF_THE_CONNECTION:
                yield Problem(
                    path=("headers", name),
                    message="is set by whoever sends the request, and cannot be given",
                    fix=f"pulumi config rm --path 'ecs-delivery:tests.headers.{name}'",
                )
        size = len(self.checks) + len(json.dumps(dict(self.headers)))
        if size > ARGUMENTS_CHARACTERS:
            yield Problem(
                path=("http",),
                message=f"must fit with headers into {ARGUMENTS_CHARACTERS} characters of JSON "
                f"(CodeBuild takes about 5500 of all variables together), got {size}",
                fix="edit the file: leave out some checks, or put them into a smoke test",
            )

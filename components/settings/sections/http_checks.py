"""HTTP checks, and the headers that go with each request: what asks the service has them."""

import json
import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

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


class AskingSection(Section):
    """Something that asks the service."""

    SECTION: ClassVar[str]
    """What the stack file calls it."""

    headers: dict[HeaderName, SecretValue] = Field(
        default={},
        max_length=10,
        description="Headers that the tests send to the service, and to no other host, such as "
        "Authorization or Cookie: a name, and the Secrets Manager secret that holds the value.",
        examples=[{"Authorization": "shop/tests:authorization"}],
    )
    http: tuple[HttpCheckSection, ...] = Field(
        default=(),
        max_length=30,
        description="Requests whose answers are checked.",
        examples=[[{"path": "/healthz", "contains": '"status":"ok"'}]],
    )

    @property
    def minutes(self) -> int:
        """The longest time that their job takes for them: connections are tried for a minute, all checks together."""
        return 1 + math.ceil(sum(check.within_milliseconds for check in self.http) / 60_000)

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
            yield from secret_itself(secret, "value", "headers", name)
            if name.lower() in OF_THE_CONNECTION:
                yield Problem(
                    path=("headers", name),
                    message="is set by whoever sends the request, and cannot be given",
                    fix=f"pulumi config rm --path 'ecs-delivery:{self.SECTION}.headers.{name}'",
                )
        size = len(self.checks) + len(json.dumps(dict(self.headers)))
        if size > ARGUMENTS_CHARACTERS:
            yield Problem(
                path=("http",),
                message=f"must fit with headers into {ARGUMENTS_CHARACTERS} characters of JSON "
                f"(CodeBuild takes about 5500 of all variables together), got {size}",
                fix="edit the file: leave out some checks, or put them into a smoke test",
            )

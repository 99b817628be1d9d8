"""Key `hosting.loadBalancer.listeners`: further listeners of the load balancer, each with a target group of its own."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from components.settings.names import AddressRange, UrlPath
from components.settings.section import Constraint, Problem, Section
from components.settings.sections.container import ContainerName

MOST_LISTENERS: Final = 4
"""Beside the one of the users: a service registers its tasks with five target groups at most.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/register-multiple-targetgroups.html
"""

ListenerName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z](-?[a-z0-9])*$", max_length=24),
    Constraint("1 to 24 lower-case letters, digits and single hyphens, starting with a letter"),
]
"""A part of the target group's name: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html"""


class ListenerSection(Section):
    """A further listener: another port of the load balancer, which leads to a container of the same tasks."""

    port: int = Field(
        ge=1,
        le=65535,
        description="Port of the load balancer, which no other listener has; HTTPS with `certificateArn`, else HTTP.",
        examples=[9443],
    )
    container: ContainerName | None = Field(
        default=None,
        description="Container that requests go to, at its `port`, over HTTP/1.1; the application's own when left out. "
        "Of a service that runs, its task definition has to have it already.",
        examples=["admin"],
    )
    health_check_path: UrlPath | None = Field(
        default=None,
        description="Path that a healthy container answers with a code from 200 to 399; `application.healthCheckPath` "
        "when left out.",
        examples=["/ready"],
    )
    allowed_cidrs: tuple[AddressRange, ...] = Field(
        default=(),
        max_length=20,
        description="Addresses that may reach it; those of the load balancer when left out.",
        examples=[["203.0.113.0/24"]],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a range of addresses given twice."""
        yield from given_twice(self.allowed_cidrs)


def given_twice(ranges: Sequence[str], key: str = "allowedCidrs") -> Iterator[Problem]:
    """Yield ranges of a list that are in it more than once: each becomes a rule of its own."""
    if twice := sorted({block for block in ranges if ranges.count(block) > 1}):
        yield Problem(
            path=(key,),
            message=f"must name each range once, got {', '.join(twice)} more than once",
            fix="edit the file: leave the repetition out",
        )

"""Key `hosting.service`: the ECS service and how many tasks it has."""

from typing import Literal

from pydantic import Field

from components.settings.names import Role
from components.settings.section import Section


class ScalingSection(Section):
    """How many tasks run."""

    minimum: int | None = Field(
        default=None,
        ge=1,
        le=5000,
        description="Fewest tasks; `application.desiredCount` when left out.",
        examples=[2],
    )
    maximum: int | None = Field(
        default=None, ge=1, le=5000, description="Most tasks; twice the fewest when left out.", examples=[10]
    )
    cpu_percent: int = Field(
        default=60, ge=10, le=95, description="Average CPU use that tasks are added or taken away for.", examples=[60]
    )
    requests_per_task: int | None = Field(
        default=None,
        ge=1,
        le=1000000,
        description="Requests a minute and task that tasks are added or taken away for, with a strategy that keeps "
        "one target group (rolling).",
        examples=[1000],
    )

    def effective_minimum(self, desired_count: int) -> int:
        """The fewest tasks, given the application's own count."""
        return self.minimum or desired_count

    def effective_maximum(self, desired_count: int) -> int:
        """The most tasks, given the application's own count."""
        return self.maximum or 2 * self.effective_minimum(desired_count)


class ServiceSection(Section):
    """The ECS service."""

    capacity_provider: Literal["fargate", "fargateSpot"] = Field(
        default="fargate",
        description="What tasks run on; Spot is cheaper, and AWS may take a task away with two minutes' notice. "
        "An edit ships with the next run.",
        examples=["fargateSpot"],
    )
    task_role: Role | None = Field(
        default=None,
        description="Role of the application itself, name or ARN; one without any permission is made when left out.",
        examples=["shop-task"],
    )
    exec: bool = Field(
        default=False,
        description="Whether a person may open a shell in a task (ECS Exec), of those that start from then on; on a "
        "service that runs with codeDeploy a person has to switch it, see docs/hosting.md.",
        examples=[True],
    )
    scaling: ScalingSection = Field(
        default=ScalingSection(), description="How many tasks run.", examples=[{"maximum": 10}]
    )

"""Key `hosting.service`: the ECS service and how many tasks it has."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from components.foundation.iam import PolicyError, Statement
from components.settings.names import IamAction, ResourceArn, Role, SecurityGroupId
from components.settings.section import Constraint, Problem, Section

_RATE: Final = r"rate\([1-9][0-9]{0,8} (minutes?|hours?|days?)\)"
_CRON: Final = r"cron\(([0-9A-Za-z*/,?#-]+ ){5}[0-9A-Za-z*/,?#-]+\)"


def _times(expression: str) -> str:
    """Let what Application Auto Scaling takes for a time pass.

    Raises:
        ValueError: If it is none.
    """
    if at := re.fullmatch(r"at\((.*)\)", expression):
        datetime.strptime(at[1], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - the time zone is a key of its own
    elif not re.fullmatch(f"{_RATE}|{_CRON}", expression):
        raise ValueError
    return expression


ScheduleExpression = Annotated[
    str,
    AfterValidator(_times),
    Constraint("a time such as cron(0 7 ? * MON-FRI *), rate(12 hours) or at(2027-01-31T20:00:00)"),
]
"""https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html"""
TimeZone = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{1,63}$"),
    Constraint("the name of an IANA time zone such as Europe/Berlin"),
]
ScheduleName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$"),
    Constraint("up to 64 letters, digits and hyphens"),
]


class ScheduleSection(Section):
    """Other limits of the number of tasks from a time on."""

    expression: ScheduleExpression = Field(
        description="When: a cron, rate or at expression of Application Auto Scaling.",
        examples=["cron(0 7 ? * MON-FRI *)"],
    )
    time_zone: TimeZone = Field(default="UTC", description="Time zone of it.", examples=["Europe/Berlin"])
    minimum: int | None = Field(default=None, ge=0, le=5000, description="Fewest tasks from then on.", examples=[4])
    maximum: int | None = Field(default=None, ge=0, le=5000, description="Most tasks from then on.", examples=[20])

    def problems(self) -> Iterator[Problem]:
        """Yield an action without limits, and limits that exclude each other."""
        if self.minimum is None and self.maximum is None:
            yield Problem(
                path=("minimum",),
                message="is missing; an action sets minimum, maximum or both",
                fix="edit the file: write it like minimum: 4",
            )
        elif self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            yield Problem(
                path=("maximum",),
                message=f"must be at least the minimum, {self.minimum}, got {self.maximum}",
                fix=f"edit the file: write it like maximum: {self.minimum}",
            )


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
    memory_percent: int | None = Field(
        default=None,
        ge=10,
        le=95,
        description="Average use of memory that tasks are added or taken away for; not watched when left out.",
        examples=[70],
    )
    requests_per_task: int | None = Field(
        default=None,
        ge=1,
        le=1000000,
        description="Requests a minute and task that tasks are added or taken away for, with a strategy that keeps "
        "one target group (rolling).",
        examples=[1000],
    )

    schedule: dict[ScheduleName, ScheduleSection] = Field(
        default={},
        description="Other limits from certain times on, each under a name: `expression` (cron, rate or at), "
        "`timeZone` (UTC when left out), `minimum`, `maximum`.",
        examples=[{"morning": {"expression": "cron(0 7 ? * MON-FRI *)", "timeZone": "Europe/Berlin", "minimum": 4}}],
    )

    def effective_minimum(self, desired_count: int) -> int:
        """The fewest tasks, given the application's own count."""
        return self.minimum or desired_count

    def effective_maximum(self, desired_count: int) -> int:
        """The most tasks, given the application's own count."""
        return self.maximum or 2 * self.effective_minimum(desired_count)

    def most(self, desired_count: int) -> int:
        """The most tasks that run at any time, given the application's own count."""
        return max(
            self.effective_maximum(desired_count), *(action.maximum or 0 for action in self.schedule.values()), 0
        )


class StatementSection(Section):
    """One permission of the application.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
    """

    actions: tuple[IamAction, ...] = Field(
        max_length=100, description="IAM actions, each spelled out.", examples=[["s3:GetObject"]]
    )
    resources: tuple[ResourceArn, ...] = Field(
        max_length=100,
        description="ARNs of what they are allowed on.",
        examples=[["arn:aws:s3:::shop-uploads/*"]],
    )
    conditions: dict[str, dict[str, str | tuple[str, ...]]] = Field(
        default={},
        description="IAM's `Condition`: operator, key, value or values.",
        examples=[{"StringEquals": {"aws:ResourceTag/Application": "shop"}}],
    )

    def statement(self, sid: str) -> Statement:
        """Return the statement.

        Args:
            sid: Its ``Sid``.

        Raises:
            PolicyError: It is broader than this program allows.
        """
        return Statement(
            sid=sid, actions=self.actions, resources=self.resources, conditions=self.conditions, by_user=True
        )

    def problems(self) -> Iterator[Problem]:
        """Yield what the program refuses of its own statements, too."""
        try:
            self.statement("Application")
        except PolicyError as error:
            reason, _, _ = str(error).partition(": ")[2].partition(", or, if AWS")  # what follows is for developers
            yield Problem(
                path=("resources",),
                message=f"is refused: {reason}",
                fix="edit the file: say what the application needs, and nothing more",
            )


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
    task_role_policy: tuple[StatementSection, ...] = Field(
        default=(),
        max_length=30,
        description="What the application itself may do, with the task role that is made here.",
        examples=[[{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop-uploads/*"]}]],
    )
    exec: bool = Field(
        default=False,
        description="Whether a person may open a shell in a task (ECS Exec), of those that start from then on; on a "
        "service that runs with codeDeploy a person has to switch it, see docs/hosting.md.",
        examples=[True],
    )
    minimum_healthy_percent: int = Field(
        default=100,
        ge=0,
        le=100,
        description="Share of the tasks that stays healthy while a deployment replaces them, with strategy rolling.",
        examples=[50],
    )
    maximum_percent: int = Field(
        default=200,
        ge=100,
        le=200,
        description="Share of the tasks that may run while a deployment replaces them, with strategy rolling.",
        examples=[150],
    )
    scaling: ScalingSection = Field(
        default=ScalingSection(), description="How many tasks run.", examples=[{"maximum": 10}]
    )
    allowed_security_groups: tuple[SecurityGroupId, ...] = Field(
        default=(),
        max_length=20,
        description="Security groups that may reach the tasks beside the load balancer: those of services that call "
        "this one. A stack's own is its output `taskSecurityGroupId`.",
        examples=[["sg-0a1b2c3d4e5f67890"]],
    )

    @property
    def healthy_percents(self) -> tuple[int, int]:
        """The least share of the tasks that is healthy during a deployment, and the greatest that runs."""
        return self.minimum_healthy_percent, self.maximum_percent

    def problems(self) -> Iterator[Problem]:
        """Yield permissions for a role that is not made here, and groups named twice."""
        if self.task_role is not None and self.task_role_policy:
            yield Problem(
                path=("taskRolePolicy",),
                message="has an effect only on the task role that is made here, not together with taskRole",
                fix="pulumi config rm --path 'ecs-delivery:hosting.service.taskRolePolicy'",
            )
        groups = self.allowed_security_groups
        if twice := sorted({group for group in groups if groups.count(group) > 1}):
            yield Problem(
                path=("allowedSecurityGroups",),
                message=f"must name each group once, got {', '.join(twice)} more than once",
                fix="edit the file: leave the repetition out",
            )

"""Settings that are right each on its own and together take away what one of them promises.

AWS accepts all of them; nothing fails until the day the promise is needed. Each rule is a pure function like those in
`rules`, and one table names the settings, what would be lost, and the rule that refuses them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pydantic.alias_generators import to_camel

from components.foundation.iam import TRUST_CHARACTERS, role_trust
from components.settings.section import Problem
from components.settings.sections.application import ApplicationSection
from components.settings.sections.deploy import DeploySection
from components.settings.sections.hosting import LATE_MINUTES, AlarmsSection, HostingSection
from components.settings.sections.promotion import PromotionSection
from components.settings.sections.retention import RetentionSection
from components.settings.sections.source import SourceSection
from components.settings.sections.tests import PLAIN_HTTP_BEST_PRACTICES, PLAIN_HTTP_BUDGET, TestsSection

DAY: Final = 24 * 60
"""Minutes."""

RUN_MINUTES: Final = 8 * 60
"""Minutes that a run may take beside what it waits for by itself: builds, tests, a repeated stage."""

ALARM_MINUTES: Final = LATE_MINUTES + 1
"""Minutes between the bad minutes of an alarm and the roll-back: the figures arrive late, and somebody has to act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Settings that must not be what they are together.

    Attributes:
        keys: The settings; a list that is too long conflicts with itself.
        lost: What the settings together take away, as a sentence.
        rule: Yields the problem where a stack file has it.
    """

    keys: tuple[str, ...]
    lost: str
    rule: Callable[..., Iterator[Problem]]


def alarms_fire_while_the_old_tasks_are_there(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield a deployment that is over before an alarm can fire.

    The time begins when the first users have the new version: a canary or linear deployment waits between its steps.

    With `rolling` ECS itself keeps a deployment open for its alarms:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
    """
    if deploy.effective_strategy == "rolling":
        return
    made = _rolls_back(hosting, deploy)
    # Of alarms that others made nothing is known but that none fires within a minute of standard metrics.
    needed = made.minutes + ALARM_MINUTES if made else 1 if deploy.alarms else 0
    given = deploy.after_shift_minutes
    if max(given, deploy.shift_minutes) >= needed:
        return
    key = to_camel(str(deploy.chosen_engine.old_tasks_stay))
    if made:
        why = (
            f"hosting.alarms need {made.minutes} bad minutes, which arrive {LATE_MINUTES} minutes late, and one to act"
        )
        other = "pulumi config set --path 'ecs-delivery:hosting.alarms.enabled' false"
    else:
        why = "deploy.alarms need a bad minute"
        other = "pulumi config rm --path 'ecs-delivery:deploy.alarms'"
    yield Problem(
        path=("deploy", key),
        message=f"must be at least {needed}, or the old tasks are gone before an alarm can roll back: {why}, "
        f"got {given}",
        fix=f"pulumi config set --path 'ecs-delivery:deploy.{key}' {needed}, or {other}",
    )


def canary_moves_the_errors_above_the_threshold(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield a canary so small that the alarm stays quiet although every answer of the new version is an error."""
    alarms, step = _rolls_back(hosting, deploy), deploy.effective_step
    if alarms is None or step is None or deploy.effective_strategy != "canary" or step.percent > alarms.error_percent:
        return
    yield Problem(
        path=("deploy", "step", "percent"),
        message=f"must be above hosting.alarms.errorPercent ({alarms.error_percent}) with strategy canary, because a "
        f"new version that answers nothing but errors moves the figure of all answers no further, got {step.percent}",
        fix=f"pulumi config set --path 'ecs-delivery:deploy.step.percent' {alarms.error_percent + 1}"
        if alarms.error_percent < 99
        else "pulumi config set --path 'ecs-delivery:hosting.alarms.errorPercent' 5",
    )


def starting_tasks_set_off_no_alarm(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield a health check grace period in which a task that is still starting sets off the alarm on unhealthy tasks.

    The alarm counts whole minutes in which a task was unhealthy throughout.
    """
    alarms, grace = _rolls_back(hosting, deploy), hosting.load_balancer.health_check.grace_period_seconds
    if alarms is None or grace < 60 * alarms.minutes:
        return
    minutes = grace // 60 + 1
    path = "ecs-delivery:hosting.loadBalancer.healthCheck.gracePeriodSeconds"
    fix = f"pulumi config set --path '{path}' {60 * alarms.minutes - 10}"
    if minutes <= 60:
        fix = f"{fix}, or pulumi config set --path 'ecs-delivery:hosting.alarms.minutes' {minutes}"
    yield Problem(
        path=("hosting", "loadBalancer", "healthCheck", "gracePeriodSeconds"),
        message=f"must be below {60 * alarms.minutes} with hosting.alarms.minutes {alarms.minutes}, because a task "
        f"that starts may be unhealthy so long and sets off the alarm that rolls its own deployment back, got {grace}",
        fix=fix,
    )


def the_alarm_on_unhealthy_tasks_can_fire(
    hosting: HostingSection, application: ApplicationSection
) -> Iterator[Problem]:
    """Yield more unhealthy tasks for an alarm than there are tasks when few run."""
    alarms = hosting.alarms_made
    fewest = hosting.service.scaling.effective_minimum(application.desired_count)
    if alarms and alarms.unhealthy_hosts > fewest:
        yield Problem(
            path=("hosting", "alarms", "unhealthyHosts"),
            message=f"must be at most the fewest tasks that run, {fewest}, or the alarm stays quiet when all of them "
            f"are unhealthy, got {alarms.unhealthy_hosts}",
            fix=f"pulumi config set --path 'ecs-delivery:hosting.alarms.unhealthyHosts' {fewest}",
        )


def best_practices_can_be_met(hosting: HostingSection, tests: TestsSection) -> Iterator[Problem]:
    """Yield a budget of best practices that no page meets over plain HTTP."""
    budget = tests.lighthouse.budgets.best_practices
    if (
        tests.enabled
        and tests.lighthouse.enabled
        and hosting.plain_http
        and budget is not None
        and budget > PLAIN_HTTP_BEST_PRACTICES
    ):
        yield Problem(
            path=("tests", "lighthouse", "budgets", "bestPractices"),
            message=f"must be at most {PLAIN_HTTP_BEST_PRACTICES} over plain HTTP, which costs a page without any "
            f"other fault the rest, got {budget}",
            fix=f"pulumi config set --path 'ecs-delivery:tests.lighthouse.budgets.bestPractices' {PLAIN_HTTP_BUDGET}",
        )


def artifacts_outlive_the_run(
    retention: RetentionSection, promotion: PromotionSection, deploy: DeploySection
) -> Iterator[Problem]:
    """Yield artifacts that expire while the run that needs them still waits."""
    approval = promotion.approval.timeout_minutes if promotion.enabled and promotion.approval.enabled else 0
    approval += deploy.approval.timeout_minutes if deploy.approval.enabled else 0
    waits = deploy.shift_minutes + deploy.after_shift_minutes + approval
    needed = math.ceil((waits + RUN_MINUTES) / DAY)
    if waits and retention.artifact_days < needed:
        said = f", {approval} to be approved" if approval else ""
        yield Problem(
            path=("retention", "artifactDays"),
            message=f"must be at least {needed}, because a run may take {waits - approval} minutes to deploy{said} "
            f"and {RUN_MINUTES} for its jobs, got {retention.artifact_days}",
            fix=f"pulumi config set --path 'ecs-delivery:retention.artifactDays' {needed}",
        )


def promoters_fit_into_a_trust_policy(source: SourceSection) -> Iterator[Problem]:
    """Yield more promoters than the trust policy of the role they assume can name."""
    promoters = [role for role in source.ecr.promoters if role.startswith("arn:")] if source.ecr else []
    if len(role_trust(promoters)) <= TRUST_CHARACTERS:
        return
    fitting = next(count for count in reversed(range(len(promoters))) if _fit(promoters[:count]))
    yield Problem(
        path=("source", "ecr", "promoters"),
        message=f"must fit into the {TRUST_CHARACTERS} characters of an IAM trust policy, got {len(promoters)} roles, "
        f"which take {len(role_trust(promoters))}",
        fix=f"edit the file: leave out the last {len(promoters) - fitting}",
    )


def _fit(promoters: list[str]) -> bool:
    return len(role_trust(promoters)) <= TRUST_CHARACTERS


def _rolls_back(hosting: HostingSection, deploy: DeploySection) -> AlarmsSection | None:
    """Return the alarms that are made here, where they roll a deployment back."""
    return hosting.alarms_made if deploy.chosen_engine.watches_alarms else None


CONFLICTS: Final[tuple[Conflict, ...]] = (
    Conflict(
        keys=("deploy.terminationWaitMinutes", "deploy.bakeMinutes", "hosting.alarms.minutes", "deploy.alarms"),
        lost="The old tasks are gone before an alarm can fire, so no alarm rolls back.",
        rule=alarms_fire_while_the_old_tasks_are_there,
    ),
    Conflict(
        keys=("deploy.step.percent", "hosting.alarms.errorPercent"),
        lost="A canary that answers nothing but errors does not set off the alarm.",
        rule=canary_moves_the_errors_above_the_threshold,
    ),
    Conflict(
        keys=("hosting.loadBalancer.healthCheck.gracePeriodSeconds", "hosting.alarms.minutes"),
        lost="A task that is still starting sets off the alarm, which rolls its deployment back.",
        rule=starting_tasks_set_off_no_alarm,
    ),
    Conflict(
        keys=("hosting.alarms.unhealthyHosts", "application.desiredCount", "hosting.service.scaling.minimum"),
        lost="The alarm stays quiet when every task is unhealthy.",
        rule=the_alarm_on_unhealthy_tasks_can_fire,
    ),
    Conflict(
        keys=(
            "tests.lighthouse.budgets.bestPractices",
            "hosting.loadBalancer.plainHttp",
            "hosting.existing.serviceUrl",
        ),
        lost="No page meets the budget, so nothing is ever promoted.",
        rule=best_practices_can_be_met,
    ),
    Conflict(
        keys=(
            "retention.artifactDays",
            "promotion.approval.timeoutMinutes",
            "deploy.approval.timeoutMinutes",
            "deploy.step.intervalMinutes",
            "deploy.terminationWaitMinutes",
            "deploy.bakeMinutes",
        ),
        lost="The run fails half-way, because its artifacts are gone.",
        rule=artifacts_outlive_the_run,
    ),
    Conflict(
        keys=("source.ecr.promoters",),
        lost="`pulumi up` stops half-way, because IAM refuses the role that lets the promoters in.",
        rule=promoters_fit_into_a_trust_policy,
    ),
)

"""CloudWatch alarms that say that a service is not well, and that a deployment is to be rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

import pulumi
from pulumi_aws import cloudwatch

from components.foundation.foundation import Foundation
from components.hosting.load_balancer import LoadBalancer
from components.hosting.shared_listener import SharedListener
from components.notifications import NotificationTopic
from components.settings.sections.hosting import LATE_MINUTES, AlarmsSection

FEWEST_REQUESTS: Final = 20
"""Of a minute whose share of errors counts: one error among three requests says nothing."""

_ANSWERS: Final = "(FILL(requests, 0) + FILL(balancer, 0))"
"""Requests that reached a task, and those the load balancer answered: with no task left the first are missing."""

SHARED_ERRORS: Final = f"IF(FILL(requests, 0) >= {FEWEST_REQUESTS}, 100 * FILL(target, 0) / FILL(requests, 0), 0)"
"""Percent of answers 5xx of the tasks: what a shared load balancer answered itself may be another application's."""

ERRORS: Final = f"IF({_ANSWERS} >= {FEWEST_REQUESTS}, 100 * (FILL(target, 0) + FILL(balancer, 0)) / {_ANSWERS}, 0)"
"""Percent of answers 5xx: the tasks' own, and the load balancer's where no task answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmsArgs:
    """What distinguishes the alarms of one service from another's.

    Attributes:
        foundation: What they are made with.
        alarms: The stack file's ``hosting.alarms``.
        balancer: The load balancer that sees the service's answers.
        topic: Where it is published when one fires, and when it is over; ``None`` for nowhere.
    """

    foundation: Foundation
    alarms: AlarmsSection
    balancer: LoadBalancer | SharedListener
    topic: NotificationTopic | None = None


class Alarms(pulumi.ComponentResource):
    """Errors, latency and unhealthy tasks, of all target groups together: a deployment may swap them.

    A task that fails the health checks of two target groups is counted twice.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:Alarms"

    names: tuple[str, ...]
    """The alarms' names in CloudWatch."""
    all: tuple[pulumi.Resource, ...]
    """The alarms themselves."""

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        settings, balancer = args.alarms, args.balancer
        own = balancer.shared
        whole = {"LoadBalancer": balancer.arn_suffix}
        service = {**whole, "TargetGroup": balancer.target_groups[0].arn_suffix} if own else whole
        errors = self._alarm(
            "errors",
            f"More than {settings.error_percent} % of the answers are errors",
            threshold=settings.error_percent,
            comparison_operator="GreaterThanThreshold",
            metric_queries=[
                _sum("requests", "RequestCount", service),
                _sum("target", "HTTPCode_Target_5XX_Count", service),
                *(() if own else (_sum("balancer", "HTTPCode_ELB_5XX_Count", whole),)),
                _result(SHARED_ERRORS if own else ERRORS, "Answers 5xx in percent"),
            ],
        )
        latency = self._alarm(
            "latency",
            f"5 of 100 requests wait longer than {settings.latency_milliseconds} ms",
            threshold=settings.latency_milliseconds / 1000,
            comparison_operator="GreaterThanThreshold",
            namespace="AWS/ApplicationELB",
            metric_name="TargetResponseTime",
            dimensions=service,
            extended_statistic="p95",
            # Of a few requests the 95th percentile is the slowest one.
            evaluate_low_sample_count_percentiles="ignore",
            period=60,
        )
        targets = [*balancer.target_groups, *(each.target_group for each in balancer.further)]
        groups = [f"hosts{number}" for number in range(len(targets))]
        unhealthy = self._alarm(
            "unhealthy-hosts",
            f"{settings.unhealthy_hosts} or more tasks fail their health check",
            threshold=settings.unhealthy_hosts,
            comparison_operator="GreaterThanOrEqualToThreshold",
            metric_queries=[
                *(
                    _minimum(label, "UnHealthyHostCount", {**whole, "TargetGroup": group.arn_suffix})
                    for label, group in zip(groups, targets, strict=True)
                ),
                _result(" + ".join(f"FILL({label}, 0)" for label in groups), "Unhealthy tasks"),
            ],
        )
        self.all = (errors, latency, unhealthy)
        self.names = tuple(f"{args.foundation.prefix}-{which}" for which in ("errors", "latency", "unhealthy-hosts"))
        self.register_outputs({"names": list(self.names)})

    def _alarm(self, which: str, description: str, **what: Any) -> cloudwatch.MetricAlarm:  # noqa: ANN401 - the resource's own arguments
        minutes = self._args.alarms.minutes
        topic = self._args.topic
        told = [topic.arn] if topic else None
        return cloudwatch.MetricAlarm(
            f"{self._name}-{which}",
            name=f"{self._args.foundation.prefix}-{which}",
            # Until the newest figures arrive FILL says 0, so the newest minutes cannot be needed.
            alarm_description=f"{description}, in {minutes} of {minutes + LATE_MINUTES} minutes",
            evaluation_periods=minutes + LATE_MINUTES,
            datapoints_to_alarm=minutes,
            # A service nobody calls is well.
            treat_missing_data="notBreaching",
            alarm_actions=told,
            ok_actions=told,
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*topic.ready] if topic else None),
            **what,
        )


class ServiceAlarms(NamedTuple):
    """The alarms of a service, none where they are switched off.

    Attributes:
        names: Their names in CloudWatch.
        all: The alarms themselves.
    """

    names: tuple[str, ...] = ()
    all: tuple[pulumi.Resource, ...] = ()


def alarms_of(name: str, args: AlarmsArgs | None, opts: pulumi.ResourceOptions | None = None) -> ServiceAlarms:
    """The alarms that a stack file asks for.

    Args:
        name: Starts every Pulumi name.
        args: What they watch; ``None`` where none are wanted.
        opts: Options of the component.
    """
    if args is None:
        return ServiceAlarms()
    made = Alarms(name, args, opts)
    return ServiceAlarms(names=made.names, all=made.all)


def _metric(label: str, metric: str, dimensions: Mapping[str, pulumi.Input[str]], statistic: str) -> Any:  # noqa: ANN401 - Pulumi's own class of arguments
    return cloudwatch.MetricAlarmMetricQueryArgs(
        id=label,
        return_data=False,
        metric=cloudwatch.MetricAlarmMetricQueryMetricArgs(
            namespace="AWS/ApplicationELB", metric_name=metric, dimensions=dimensions, stat=statistic, period=60
        ),
    )


def _sum(label: str, metric: str, dimensions: Mapping[str, pulumi.Input[str]]) -> Any:  # noqa: ANN401 - see _metric
    return _metric(label, metric, dimensions, "Sum")


def _minimum(label: str, metric: str, dimensions: Mapping[str, pulumi.Input[str]]) -> Any:  # noqa: ANN401 - see _metric
    """Through the whole minute: a task that is still starting is unhealthy for a part of it."""
    return _metric(label, metric, dimensions, "Minimum")


def _result(expression: str, label: str) -> cloudwatch.MetricAlarmMetricQueryArgs:
    return cloudwatch.MetricAlarmMetricQueryArgs(id="result", expression=expression, label=label, return_data=True)

"""How many tasks run: more when they have much to do, fewer when they have not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import appautoscaling

from components.foundation.foundation import Foundation
from components.hosting.load_balancer import LoadBalancer
from components.hosting.shared_listener import SharedListener
from components.settings.sections.service import ScalingSection, ScheduleSection


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingArgs:
    """What distinguishes the scaling of one service from another's.

    Attributes:
        foundation: What it is made with.
        service: The service.
        scaling: The stack file's ``hosting.service.scaling``.
        desired_count: ``application.desiredCount``.
        balancer: Counts the requests, where there is one.
    """

    foundation: Foundation
    service: pulumi.Resource
    scaling: ScalingSection
    desired_count: int
    balancer: LoadBalancer | SharedListener | None


class Scaling(pulumi.ComponentResource):
    """Target tracking by CPU and, if asked for, by memory and requests; whichever wants more tasks wins.

    At certain times other limits may apply, which stay until the next such time.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:Scaling"

    def __init__(self, name: str, args: ScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name = name
        scaling = args.scaling
        self._target = appautoscaling.Target(
            f"{name}-target",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=f"service/{args.foundation.prefix}/{args.foundation.prefix}",
            min_capacity=scaling.effective_minimum(args.desired_count),
            max_capacity=scaling.effective_maximum(args.desired_count),
            tags=args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.service]),
        )
        self._policy("cpu", scaling.cpu_percent, "ECSServiceAverageCPUUtilization")
        if scaling.memory_percent is not None:
            self._policy("memory", scaling.memory_percent, "ECSServiceAverageMemoryUtilization")
        if scaling.requests_per_task is not None and args.balancer is not None:
            label = pulumi.Output.concat(args.balancer.arn_suffix, "/", args.balancer.target_groups[0].arn_suffix)
            self._policy("requests", scaling.requests_per_task, "ALBRequestCountPerTarget", label)
        for action, when in scaling.schedule.items():
            self._action(action, when)
        self.register_outputs({})

    def _action(self, name: str, when: ScheduleSection) -> None:
        appautoscaling.ScheduledAction(
            f"{self._name}-{name}",
            name=name,
            service_namespace=self._target.service_namespace,
            scalable_dimension=self._target.scalable_dimension,
            resource_id=self._target.resource_id,
            schedule=when.expression,
            timezone=when.time_zone,
            scalable_target_action=appautoscaling.ScheduledActionScalableTargetActionArgs(
                min_capacity=when.minimum, max_capacity=when.maximum
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _policy(self, which: str, target: float, metric: str, label: pulumi.Input[str] | None = None) -> None:
        appautoscaling.Policy(
            f"{self._name}-{which}",
            policy_type="TargetTrackingScaling",
            service_namespace=self._target.service_namespace,
            scalable_dimension=self._target.scalable_dimension,
            resource_id=self._target.resource_id,
            target_tracking_scaling_policy_configuration=appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs(
                target_value=target,
                predefined_metric_specification=(
                    appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
                        predefined_metric_type=metric, resource_label=label
                    )
                ),
                # Quick to grow, slow to shrink.
                scale_out_cooldown=60,
                scale_in_cooldown=300,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

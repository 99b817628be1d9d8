"""The role ECS moves traffic with, when it deploys with two target groups by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import iam

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust
from components.hosting.load_balancer import LoadBalancer


@dataclass(frozen=True, kw_only=True, slots=True)
class InfrastructureRoleArgs:
    """What distinguishes one infrastructure role from another.

    Attributes:
        foundation: What it is made with.
        balancer: The one load balancer it may change.
    """

    foundation: Foundation
    balancer: LoadBalancer


class InfrastructureRole(pulumi.ComponentResource):
    """AmazonECSInfrastructureRolePolicyForLoadBalancers, narrowed to one service's listeners, rules and target groups.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:InfrastructureRole"

    arn: pulumi.Output[str]
    """The role's ARN."""
    policy: pulumi.Resource
    """What must be there before ECS can move traffic."""

    def __init__(self, name: str, args: InfrastructureRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = iam.Role(
            f"{name}-role",
            description=f"ECS moves the traffic of {args.foundation.prefix} with it",
            assume_role_policy=service_trust("ecs.amazonaws.com", account_id=args.foundation.account.id),
            permissions_boundary=args.foundation.permissions_boundary,
            tags=args.foundation.tags,
            opts=child,
        )
        balancer = args.balancer
        rules = [rule.arn for rule in (balancer.production_rule, balancer.test_rule) if rule is not None]
        listeners = [listener.arn for listener in (balancer.production, balancer.test) if listener is not None]
        self.policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(
                [
                    Statement(
                        sid="ReadLoadBalancer",
                        actions=(
                            "elasticloadbalancing:DescribeListeners",
                            "elasticloadbalancing:DescribeRules",
                            "elasticloadbalancing:DescribeTargetGroups",
                            "elasticloadbalancing:DescribeTargetHealth",
                        ),
                        resources=("*",),
                    ),
                    Statement(
                        sid="RegisterTasks",
                        actions=("elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"),
                        resources=tuple(group.arn for group in balancer.target_groups),
                    ),
                    Statement(
                        sid="ShiftTraffic",
                        actions=("elasticloadbalancing:ModifyListener",),
                        resources=tuple(listeners),
                    ),
                    Statement(
                        sid="ShiftTrafficOfRules", actions=("elasticloadbalancing:ModifyRule",), resources=tuple(rules)
                    ),
                ]
            ),
            opts=child,
        )
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})

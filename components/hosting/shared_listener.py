"""A rule on a listener that exists: several applications share a load balancer that none of them makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import lb

from components.foundation.foundation import Foundation
from components.hosting.further_listener import FurtherListener
from components.hosting.target_group import TargetGroupArgs, target_group
from components.settings.sections.load_balancer import ExistingListenerSection, LoadBalancerSection


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedListenerArgs:
    """What distinguishes one rule from another.

    Attributes:
        foundation: What it is made with.
        load_balancer: The stack file's ``hosting.loadBalancer``.
        existing: Its ``existing``.
        health_check_path: Path that a healthy task answers.
        vpc_id: The VPC of the targets, which is the load balancer's.
    """

    foundation: Foundation
    load_balancer: LoadBalancerSection
    existing: ExistingListenerSection
    health_check_path: str
    vpc_id: pulumi.Input[str]


class SharedListener(pulumi.ComponentResource):
    """One target group, and the rule that sends it the requests of certain hosts, paths or headers."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:SharedListener"

    arn_suffix: pulumi.Output[str]
    """The load balancer as metrics name it."""
    url: pulumi.Output[str] | None
    """Where users reach it; unknown where no host is named."""
    target_groups: tuple[lb.TargetGroup, ...]
    """The one."""
    further: ClassVar[Sequence[FurtherListener]] = ()
    """No further listeners: the load balancer is another one's."""
    complete: tuple[pulumi.Resource, ...]
    """What must be there before a service can register its tasks."""
    shared: ClassVar[bool] = True
    """Whether the load balancer has other applications, too."""

    def __init__(self, name: str, args: SharedListenerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        existing, foundation = args.existing, args.foundation
        listener = self._listener(existing)
        self.arn_suffix, self.url = listener.apply(_suffix), _url(args)
        group = target_group(
            f"{name}-blue",
            TargetGroupArgs(
                foundation=foundation,
                name="blue",
                load_balancer=args.load_balancer,
                health_check_path=args.health_check_path,
                vpc_id=args.vpc_id,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        rule = lb.ListenerRule(
            f"{name}-rule",
            listener_arn=listener,
            priority=existing.priority,
            conditions=_conditions(existing),
            actions=[lb.ListenerRuleActionArgs(type="forward", target_group_arn=group.arn)],
            tags=foundation.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.target_groups, self.complete = (group,), (rule,)
        self.register_outputs({"serviceUrl": self.url})

    def _listener(self, existing: ExistingListenerSection) -> pulumi.Output[str]:
        """The listener's ARN, which does not follow from the name of its load balancer: it is looked up."""
        if existing.listener_arn is not None:
            return pulumi.Output.from_input(existing.listener_arn)
        parent = pulumi.InvokeOutputOptions(parent=self)
        balancer = lb.get_load_balancer_output(name=existing.load_balancer, opts=parent)
        return lb.get_listener_output(load_balancer_arn=balancer.arn, port=existing.port, opts=parent).arn


def _suffix(listener: str) -> str:
    """The load balancer of a listener, as metrics name it."""
    return listener.partition(":listener/")[2].rpartition("/")[0]


def _conditions(existing: ExistingListenerSection) -> list[lb.ListenerRuleConditionArgs]:
    """All of them have to be met, and of each one value.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html
    """
    made = []
    if existing.hosts:
        hosts = lb.ListenerRuleConditionHostHeaderArgs(values=list(existing.hosts))
        made.append(lb.ListenerRuleConditionArgs(host_header=hosts))
    if existing.paths:
        paths = lb.ListenerRuleConditionPathPatternArgs(values=list(existing.paths))
        made.append(lb.ListenerRuleConditionArgs(path_pattern=paths))
    for header, value in existing.headers.items():
        named = lb.ListenerRuleConditionHttpHeaderArgs(http_header_name=header, values=[value])
        made.append(lb.ListenerRuleConditionArgs(http_header=named))
    return made


def _url(args: SharedListenerArgs) -> pulumi.Output[str] | None:
    host = args.existing.host
    scheme = "http" if args.load_balancer.plain_http else "https"
    return pulumi.Output.from_input(f"{scheme}://{host}") if host else None

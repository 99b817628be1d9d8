"""The load balancer in front of the service: target groups, listeners, and who writes to which of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi
from pulumi_aws import lb

from components.engines import TrafficSwitch
from components.foundation.account_needs import LOAD_BALANCERS, Need
from components.foundation.foundation import Foundation
from components.hosting.access_log_bucket import AccessLogBucket
from components.settings.sections.hosting import LoadBalancerSection

TLS_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
"""TLS 1.2 and 1.3 only, with the ciphers AWS recommends.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

LONGEST_NAME: Final = 32
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html"""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadBalancerArgs:
    """What distinguishes one load balancer from another.

    Attributes:
        foundation: What it is made with.
        load_balancer: The stack file's ``hosting.loadBalancer``.
        health_check_path: Path that a healthy task answers.
        vpc_id: The VPC of the targets.
        subnets: Where it stands.
        security_group: Its security group.
        logs: Where access logs go; ``None`` for nowhere.
        traffic_switch: What a deployment turns to the new tasks.
    """

    foundation: Foundation
    load_balancer: LoadBalancerSection
    health_check_path: str
    vpc_id: pulumi.Input[str]
    subnets: pulumi.Input[Sequence[str]]
    security_group: pulumi.Input[str]
    logs: AccessLogBucket | None
    traffic_switch: TrafficSwitch

    @property
    def two_target_groups(self) -> bool:
        """Whether a deployment moves traffic between two target groups."""
        return self.traffic_switch is not TrafficSwitch.NOTHING


class LoadBalancer(pulumi.ComponentResource):
    """An application load balancer with one target group, or with two and a listener for tests.

    What a deployment turns to other tasks is ignored afterwards, or the next ``pulumi up`` would turn it back.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:LoadBalancer"

    arn_suffix: pulumi.Output[str]
    """The load balancer as metrics name it."""
    dns_name: pulumi.Output[str]
    """Its own name."""
    zone_id: pulumi.Output[str]
    """The hosted zone of its own name, for an alias record."""
    needs: tuple[Need, ...] = (Need(quota=LOAD_BALANCERS, amount=1),)
    """What it takes of the account's quotas."""
    target_groups: tuple[lb.TargetGroup, ...]
    """One, or two."""
    production: lb.Listener
    """The users' listener."""
    test: lb.Listener | None = None
    """The listener for tests, where traffic is shifted."""
    production_rule: lb.ListenerRule | None = None
    """The rule ECS moves users' traffic with."""
    test_rule: lb.ListenerRule | None = None
    """The rule ECS moves tests' traffic with."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        settings = args.load_balancer
        balancer = lb.LoadBalancer(
            f"{name}-balancer",
            name=fitted(f"lb-{args.foundation.prefix}"),  # AWS refuses a name that starts with internal-
            load_balancer_type="application",
            internal=settings.internal,
            subnets=args.subnets,
            security_groups=[args.security_group],
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.foundation.protect,
            access_logs=lb.LoadBalancerAccessLogsArgs(bucket=args.logs.name, enabled=True) if args.logs else None,
            tags=args.foundation.tags,
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.foundation.protect, depends_on=[args.logs.policy] if args.logs else None
            ),
        )
        self._arn, self.arn_suffix = balancer.arn, balancer.arn_suffix
        self.dns_name, self.zone_id = balancer.dns_name, balancer.zone_id
        colours = ("blue", "green") if args.two_target_groups else ("blue",)
        self.target_groups = tuple(self._target_group(colour) for colour in colours)
        self.production = self._listener("production", settings.production_port)
        if settings.certificate_arn:
            self._redirect()
        if args.two_target_groups:
            self.test = self._listener("test", settings.effective_test_port)
        if args.traffic_switch is TrafficSwitch.RULES and self.test:
            self.production_rule = self._rule("production", self.production, (100, 0))
            self.test_rule = self._rule("test", self.test, (100, 0))
        self.register_outputs({"dnsName": self.dns_name})

    @property
    def url(self) -> pulumi.Output[str] | None:
        """Where users reach it; unknown with a certificate for a name that the stack file does not tell."""
        settings = self._args.load_balancer
        if settings.domain_name:
            scheme = "https" if settings.certificate_arn else "http"
            return pulumi.Output.from_input(f"{scheme}://{settings.domain_name}")
        return None if settings.certificate_arn else self.dns_name.apply(lambda host: f"http://{host}")

    @property
    def notes(self) -> tuple[pulumi.Output[str], ...]:
        """What a person has to do before users reach it by their own name."""
        settings = self._args.load_balancer
        if not (settings.domain_name or settings.certificate_arn):
            return ()
        return (
            pulumi.Output.format(
                "Make the DNS record of {0}: in Route 53 an alias to {1} in the hosted zone {2}, elsewhere a CNAME to "
                "{1}.",
                settings.domain_name or "the name that the certificate is for",
                self.dns_name,
                self.zone_id,
            ),
        )

    @property
    def complete(self) -> tuple[pulumi.Resource, ...]:
        """What must be there before a service can register its tasks."""
        made = (self.production, self.test, self.production_rule, self.test_rule)
        return tuple(resource for resource in made if resource is not None)

    def _target_group(self, colour: str) -> lb.TargetGroup:
        check = self._args.load_balancer.health_check
        return lb.TargetGroup(
            f"{self._name}-{colour}",
            name=fitted(f"{self._args.foundation.prefix}-{colour}"),
            target_type="ip",
            # Each task is registered with its own port; this one is never used, and an edit would replace the group.
            port=80,
            protocol="HTTP",
            vpc_id=self._args.vpc_id,
            deregistration_delay=self._args.load_balancer.deregistration_seconds,
            health_check=lb.TargetGroupHealthCheckArgs(
                path=self._args.health_check_path,
                protocol="HTTP",
                matcher="200-399",
                interval=check.interval_seconds,
                timeout=check.timeout_seconds,
                healthy_threshold=check.healthy_threshold,
                unhealthy_threshold=check.unhealthy_threshold,
            ),
            tags=self._args.foundation.tags,
            # Another VPC means other groups, which AWS refuses half-way; of two the second may go with its engine.
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.foundation.protect and colour == "blue"),
        )

    def _listener(self, role: str, port: int) -> lb.Listener:
        certificate = self._args.load_balancer.certificate_arn
        return lb.Listener(
            f"{self._name}-{role}",
            load_balancer_arn=self._arn,
            port=port,
            protocol="HTTPS" if certificate else "HTTP",
            certificate_arn=certificate,
            ssl_policy=TLS_POLICY if certificate else None,
            default_actions=[lb.ListenerDefaultActionArgs(type="forward", target_group_arn=self.target_groups[0].arn)],
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["defaultActions"] if self._args.traffic_switch is TrafficSwitch.LISTENERS else None,
            ),
        )

    def _redirect(self) -> None:
        lb.Listener(
            f"{self._name}-redirect",
            load_balancer_arn=self._arn,
            port=80,
            protocol="HTTP",
            default_actions=[
                lb.ListenerDefaultActionArgs(
                    type="redirect",
                    redirect=lb.ListenerDefaultActionRedirectArgs(protocol="HTTPS", port="443", status_code="HTTP_301"),
                )
            ],
            tags=self._args.foundation.tags,
            # Of a stack that had plain HTTP the users' listener has to leave port 80 first.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.production]),
        )

    def _rule(self, role: str, listener: lb.Listener, weights: Sequence[int]) -> lb.ListenerRule:
        return lb.ListenerRule(
            f"{self._name}-{role}-rule",
            listener_arn=listener.arn,
            priority=1,
            conditions=[
                lb.ListenerRuleConditionArgs(path_pattern=lb.ListenerRuleConditionPathPatternArgs(values=["/*"]))
            ],
            actions=[
                lb.ListenerRuleActionArgs(
                    type="forward",
                    forward=lb.ListenerRuleActionForwardArgs(
                        target_groups=[
                            lb.ListenerRuleActionForwardTargetGroupArgs(arn=group.arn, weight=weight)
                            for group, weight in zip(self.target_groups, weights, strict=True)
                        ]
                    ),
                )
            ],
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["actions"]),
        )


def fitted(name: str) -> str:
    """A name of at most 32 characters: a longer one is cut, and keeps apart from others by a hash."""
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: LONGEST_NAME - 7].rstrip('-')}-{digest}"

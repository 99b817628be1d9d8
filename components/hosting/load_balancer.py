"""The load balancer in front of the service: target groups, listeners, and who writes to which of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi
from pulumi_aws import lb, route53, wafv2

from components.engines import TrafficSwitch
from components.foundation.access_log_bucket import AccessLogBucket
from components.foundation.account_needs import LOAD_BALANCERS, Need
from components.foundation.commands import aws_command
from components.foundation.foundation import Foundation
from components.hosting.further_listener import FurtherListener
from components.hosting.target_group import TargetGroupArgs, fitted, target_group
from components.settings.sections.listeners import ListenerSection
from components.settings.sections.load_balancer import HTTP_PORT, HTTPS_PORT, IDLE_TIMEOUT, LoadBalancerSection

TLS_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
"""TLS 1.2 and 1.3 only, with the ciphers AWS recommends.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadBalancerArgs:
    """What distinguishes one load balancer from another.

    Attributes:
        foundation: What it is made with.
        load_balancer: The stack file's ``hosting.loadBalancer``.
        health_check_path: Path that a healthy task answers, where a further listener says nothing else.
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

    With one there may be further listeners, each with a target group of its own.

    What a deployment turns to other tasks is ignored afterwards, or the next ``pulumi up`` would turn it back.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:LoadBalancer"

    shared: ClassVar[bool] = False
    """Whether the load balancer has other applications, too."""
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
    further: tuple[FurtherListener, ...]
    """The further listeners."""
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
            # AWS's default is not said: it would be a change of load balancers that are there.
            idle_timeout=settings.idle_timeout_seconds if settings.idle_timeout_seconds != IDLE_TIMEOUT else None,
            enable_deletion_protection=args.foundation.protect,
            access_logs=lb.LoadBalancerAccessLogsArgs(bucket=args.logs.name, enabled=True) if args.logs else None,
            tags=args.foundation.tags,
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.foundation.protect, depends_on=[args.logs.policy] if args.logs else None
            ),
        )
        self._arn, self.arn_suffix = balancer.arn, balancer.arn_suffix
        self.dns_name, self.zone_id = balancer.dns_name, balancer.zone_id
        if settings.domain_name and settings.hosted_zone_id:
            self._record(settings.domain_name, settings.hosted_zone_id)
        if settings.web_acl_arn:
            self._web_acl(settings.web_acl_arn)
        colours = ("blue", "green") if args.two_target_groups else ("blue",)
        self.target_groups = tuple(self._target_group(colour) for colour in colours)
        self.production = self._users_listener()
        self.further = tuple(self._further(key, listener) for key, listener in sorted(settings.listeners.items()))
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
    def test_url(self) -> pulumi.Output[str] | None:
        """Where jobs reach what the listener for tests leads to."""
        port = self._args.load_balancer.effective_test_port
        return self.url.apply(lambda url: f"{url}:{port}") if self.test and self.url else None

    @property
    def further_urls(self) -> dict[str, pulumi.Output[str]]:
        """Where each further listener is reached, by its name; nothing where that of the users is not known either."""
        listeners, url = self._args.load_balancer.listeners, self.url
        if url is None:
            return {}
        return {name: pulumi.Output.format("{0}:{1}", url, each.port) for name, each in sorted(listeners.items())}

    @property
    def notes(self) -> tuple[pulumi.Output[str], ...]:
        """What a person has to do before users reach it by their own name."""
        settings = self._args.load_balancer
        notes: list[pulumi.Output[str]] = []
        if settings.certificate_arn:
            asked = aws_command(
                "acm",
                "describe-certificate",
                region=settings.certificate_arn.split(":")[3],
                certificate_arn=settings.certificate_arn,
                query="Certificate.Status",
                output="text",
            )
            notes.append(pulumi.Output.concat("Check that the certificate is ISSUED, because HTTPS needs it: ", asked))
        if not settings.hosted_zone_id and (settings.domain_name or settings.certificate_arn):
            record = pulumi.Output.format(
                "Make the DNS record of {0}: in Route 53 an alias to {1} in the hosted zone {2}, elsewhere a CNAME to "
                "{1}.",
                settings.domain_name or "the name that the certificate is for",
                self.dns_name,
                self.zone_id,
            )
            check = f" Users reach it once this prints an address: nslookup {settings.domain_name}"
            notes.append(pulumi.Output.concat(record, check) if settings.domain_name else record)
        return tuple(notes)

    @property
    def complete(self) -> tuple[pulumi.Resource, ...]:
        """What must be there before a service can register its tasks."""
        made = (self.production, self.test, self.production_rule, self.test_rule)
        further = (each.listener for each in self.further)
        return (*(resource for resource in made if resource is not None), *further)

    def _record(self, name: str, zone: str) -> None:
        route53.Record(
            f"{self._name}-record",
            name=name,
            zone_id=zone,
            type="A",
            aliases=[
                # With one record there is nowhere else to go when all tasks are unhealthy.
                route53.RecordAliasArgs(name=self.dns_name, zone_id=self.zone_id, evaluate_target_health=False)
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _web_acl(self, arn: str) -> None:
        """Have a web ACL judge the requests.

        AWS's provider ends an association by the load balancer's ARN alone, whatever web ACL it has by then: made
        first, the new one would end with the old.
        https://docs.aws.amazon.com/waf/latest/APIReference/API_DisassociateWebACL.html
        """
        wafv2.WebAclAssociation(
            f"{self._name}-web-acl",
            resource_arn=self._arn,
            web_acl_arn=arn,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _further(self, name: str, settings: ListenerSection) -> FurtherListener:
        group = self._target_group(
            f"to-{name}", settings.health_check_path, self._args.load_balancer.of_further_listeners
        )
        return FurtherListener(
            name=name, listener=self._listener(f"to-{name}", settings.port, group), target_group=group
        )

    def _target_group(
        self, name: str, health_check_path: str | None = None, load_balancer: LoadBalancerSection | None = None
    ) -> lb.TargetGroup:
        args = self._args
        return target_group(
            f"{self._name}-{name}",
            TargetGroupArgs(
                foundation=args.foundation,
                name=name,
                load_balancer=load_balancer or args.load_balancer,
                health_check_path=health_check_path or args.health_check_path,
                vpc_id=args.vpc_id,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _users_listener(self) -> lb.Listener:
        """Make the listeners of ports 80 and 443; returns the one that forwards the users' requests.

        Where a deployment moves traffic, that one follows the certificate from port to port: its target group is the
        one that serves. With one target group each port has a listener of its own, so that the one of HTTPS can come
        and go. AWS's provider cannot take the certificate away from a listener: terraform-provider-aws#1851.
        """
        settings = self._args.load_balancer
        if self._args.two_target_groups:
            once = "https" if settings.certificate_arn else "http"
            production = self._listener("production", settings.production_port, once=(once,))
            if settings.certificate_arn:
                # Of a stack that had plain HTTP the users' listener has to leave port 80 first.
                self._redirect("redirect", after=production, once=("http",))
            return production
        if settings.certificate_arn:
            secure = self._listener("https", HTTPS_PORT, once=("production",))
            self._redirect("http", after=secure, once=("redirect",))
            return secure
        return self._listener("http", HTTP_PORT, once=("redirect", "production"))

    def _listener(
        self, role: str, port: int, group: lb.TargetGroup | None = None, *, once: Sequence[str] = ()
    ) -> lb.Listener:
        certificate = self._args.load_balancer.certificate_arn
        return lb.Listener(
            f"{self._name}-{role}",
            load_balancer_arn=self._arn,
            port=port,
            protocol="HTTPS" if certificate else "HTTP",
            certificate_arn=certificate,
            ssl_policy=TLS_POLICY if certificate else None,
            default_actions=[
                lb.ListenerDefaultActionArgs(type="forward", target_group_arn=(group or self.target_groups[0]).arn)
            ],
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                aliases=self._formerly(once),
                ignore_changes=["defaultActions"] if self._args.traffic_switch is TrafficSwitch.LISTENERS else None,
            ),
        )

    def _redirect(self, role: str, *, after: lb.Listener, once: Sequence[str]) -> None:
        lb.Listener(
            f"{self._name}-{role}",
            load_balancer_arn=self._arn,
            port=HTTP_PORT,
            protocol="HTTP",
            default_actions=[
                lb.ListenerDefaultActionArgs(
                    type="redirect",
                    redirect=lb.ListenerDefaultActionRedirectArgs(protocol="HTTPS", port="443", status_code="HTTP_301"),
                )
            ],
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, aliases=self._formerly(once), depends_on=[after]),
        )

    def _formerly(self, once: Sequence[str]) -> list[pulumi.Alias]:
        """What a listener is called in a stack of an earlier version, or with another strategy; the first that is."""
        return [pulumi.Alias(name=f"{self._name}-{role}") for role in once]

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

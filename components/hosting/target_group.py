"""The target groups that a load balancer, or a rule on the listener of one, sends requests to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import lb

from components.foundation.foundation import Foundation
from components.settings.sections.load_balancer import LoadBalancerSection

LONGEST_NAME: Final = 32
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html"""

GRPC_PATH: Final = "/AWS.ALB/healthcheck"
"""The health check of a gRPC server that names no method of its own, and GRPC_CODE, which it answers then.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
"""
GRPC_CODE: Final = "12"


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetGroupArgs:
    """What distinguishes one target group from another.

    Attributes:
        foundation: What it is made with.
        name: What ends its name: ``blue``, ``green`` for the second of two, or ``to-`` and the name of the further
            listener that it belongs to.
        load_balancer: The stack file's ``hosting.loadBalancer``.
        health_check_path: Path that a healthy task answers.
        vpc_id: The VPC of the targets.
    """

    foundation: Foundation
    name: str
    load_balancer: LoadBalancerSection
    health_check_path: str
    vpc_id: pulumi.Input[str]


def target_group(name: str, args: TargetGroupArgs, opts: pulumi.ResourceOptions) -> lb.TargetGroup:
    """Make a target group for tasks, which have addresses of their own.

    Args:
        name: Its Pulumi name.
        args: What it is.
        opts: Its options, but for the protection.
    """
    foundation, settings = args.foundation, args.load_balancer
    sticky = settings.stickiness_seconds
    return lb.TargetGroup(
        name,
        name=fitted(f"{foundation.prefix}-{args.name}"),
        target_type="ip",
        # Each task is registered with its own port; this one is never used, and an edit would replace the group.
        port=80,
        protocol=settings.target_protocol,
        # AWS's defaults are not said: they would be a change of groups that are there.
        protocol_version=settings.protocol_version if settings.protocol_version != "HTTP1" else None,
        vpc_id=args.vpc_id,
        deregistration_delay=settings.deregistration_seconds,
        slow_start=settings.slow_start_seconds or None,
        # But this one, because AWS's provider keeps a block that is no longer given.
        stickiness=lb.TargetGroupStickinessArgs(type="lb_cookie", enabled=sticky > 0, cookie_duration=sticky or None),
        health_check=_health_check(args),
        tags=foundation.tags,
        # Another VPC means other groups, which AWS refuses half-way; all but the first may go, with their engine or
        # their listener.
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(protect=foundation.protect and args.name == "blue")
        ),
    )


def _health_check(args: TargetGroupArgs) -> lb.TargetGroupHealthCheckArgs:
    settings, check = args.load_balancer, args.load_balancer.health_check
    path, matcher = args.health_check_path, "200-399"
    if settings.protocol_version == "GRPC":
        path, matcher = (GRPC_PATH, GRPC_CODE) if path == "/" else (path, "0")
    return lb.TargetGroupHealthCheckArgs(
        path=path,
        port=str(check.port) if check.port else None,
        protocol=check.protocol or settings.target_protocol,
        matcher=check.matcher or matcher,
        interval=check.interval_seconds,
        timeout=check.timeout_seconds,
        healthy_threshold=check.healthy_threshold,
        unhealthy_threshold=check.unhealthy_threshold,
    )


def fitted(name: str) -> str:
    """A name of at most 32 characters: a longer one is cut, and keeps apart from others by a hash."""
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: LONGEST_NAME - 7].rstrip('-')}-{digest}"

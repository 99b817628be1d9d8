"""The way of tasks without internet to what ECS itself needs: images, logs and secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pulumi
from pulumi_aws import ec2, vpc

from components.foundation.foundation import Foundation
from components.foundation.secret import store_of
from components.hosting.network import Network

ALWAYS = ("ecr.api", "ecr.dkr", "logs")
"""What every task on Fargate needs.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointsArgs:
    """What distinguishes one set of endpoints from another.

    Attributes:
        foundation: What they are made with.
        network: The VPC, made here.
        tasks: The tasks' security group.
        secrets: Secrets and parameters the task definition reads: each kind has an endpoint of its own.
        exec: Whether a person may open a shell in a task.
    """

    foundation: Foundation
    network: Network
    tasks: pulumi.Input[str]
    secrets: Sequence[str]
    exec: bool


class Endpoints(pulumi.ComponentResource):
    """VPC endpoints in the private subnets, open to the tasks only."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:Endpoints"

    all: tuple[pulumi.Resource, ...]
    """What must be there before a task can start."""

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        child = pulumi.ResourceOptions(parent=self)
        group = ec2.SecurityGroup(
            f"{name}-group",
            description="VPC endpoints: in from the tasks only",
            vpc_id=args.network.vpc_id,
            tags=args.foundation.tags,
            opts=child,
        )
        rule = vpc.SecurityGroupIngressRule(
            f"{name}-in",
            security_group_id=group.id,
            description="Tasks",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            referenced_security_group_id=args.tasks,
            tags=args.foundation.tags,
            opts=child,
        )
        interfaces = [
            self._endpoint(
                service,
                vpc_endpoint_type="Interface",
                subnet_ids=args.network.private_subnets,
                security_group_ids=[group.id],
                private_dns_enabled=True,
            )
            for service in services(args.secrets, exec_=args.exec)
        ]
        # ECR keeps the layers of its images in S3; a gateway costs nothing.
        gateway = self._endpoint("s3", vpc_endpoint_type="Gateway", route_table_ids=args.network.route_tables)
        self.all = (rule, *interfaces, gateway)
        self.register_outputs({})

    def _endpoint(self, service: str, **how: Any) -> ec2.VpcEndpoint:  # noqa: ANN401 - the resource's own arguments
        args = self._args
        return ec2.VpcEndpoint(
            f"{self._name}-{service.replace('.', '-')}",
            vpc_id=args.network.vpc_id,
            service_name=args.foundation.account.region.apply(lambda region: service_name(region, service)),
            tags=args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self),
            **how,
        )


def endpoints_of(
    name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None
) -> tuple[pulumi.Resource, ...]:
    """The endpoints a network needs; none where its tasks have another way to AWS.

    Args:
        name: Starts every Pulumi name.
        args: The network and its tasks.
        opts: Options of the component.
    """
    return Endpoints(name, args, opts).all if args.network.needs_endpoints else ()


def services(secrets: Sequence[str], *, exec_: bool) -> tuple[str, ...]:
    """The services that need an interface endpoint, by their short names.

    Args:
        secrets: ARNs of Secrets Manager secrets, names and ARNs of parameters.
        exec_: Whether ECS Exec is on.
    """
    kinds = {store_of(source) for source in secrets}
    return (
        *ALWAYS,
        *(kind for kind in ("secretsmanager", "ssm") if kind in kinds),
        *(("ssmmessages",) if exec_ else ()),
    )


def service_name(region: str, service: str) -> str:
    """The endpoint service's name; China's begin otherwise, but for S3."""
    prefix = "cn." if region.startswith("cn-") and service != "s3" else ""
    return f"{prefix}com.amazonaws.{region}.{service}"

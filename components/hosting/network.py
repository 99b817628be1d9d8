"""The network the service runs in: a VPC made here, or one that exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi
import pulumi_awsx as awsx
from pulumi_aws import ec2

from components.foundation.account_needs import ELASTIC_IPS, VPCS, Need
from components.foundation.account_needs import NAT_GATEWAYS as NAT_GATEWAYS_QUOTA
from components.foundation.foundation import Foundation
from components.hosting.flow_logs import FlowLogs, FlowLogsArgs
from components.hosting.subnets import subnet_blocks
from components.settings.sections.network import NetworkSection

NAT_GATEWAYS: Final = {
    "none": awsx.ec2.NatGatewayStrategy.NONE,
    "single": awsx.ec2.NatGatewayStrategy.SINGLE,
    "onePerAz": awsx.ec2.NatGatewayStrategy.ONE_PER_AZ,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkArgs:
    """What distinguishes one network from another.

    Attributes:
        foundation: What it is made with.
        network: The stack file's ``hosting.network``.
        internal: Whether the load balancer is reachable from inside only.
    """

    foundation: Foundation
    network: NetworkSection
    internal: bool


class Network(pulumi.ComponentResource):
    """A VPC with public and private subnets in two or three zones, or the names of one that exists.

    The VPC's default security group is emptied, so that nothing can be put into it by mistake. Nothing is changed
    in a VPC that exists.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:Network"

    vpc_id: pulumi.Input[str]
    """The VPC."""
    balancer_subnets: pulumi.Input[Sequence[str]]
    """Where the load balancer stands."""
    task_subnets: pulumi.Input[Sequence[str]]
    """Where the tasks run."""
    private_subnets: pulumi.Input[Sequence[str]]
    """The private subnets."""
    route_tables: pulumi.Output[Sequence[str]] | None = None
    """Ids of the route tables, of a VPC made here."""
    needs_endpoints: bool
    """Whether tasks reach AWS by VPC endpoints only, which something else makes."""
    needs: tuple[Need, ...]
    """What the network takes of the account's quotas."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        network = args.network
        self.needs, self.needs_endpoints = _needs(network), network.needs_endpoints
        if network.existing is not None:
            self.vpc_id = network.existing.vpc_id
            public: pulumi.Input[Sequence[str]] = list(network.existing.public_subnets)
            self.private_subnets = list(network.existing.private_subnets)
            internal_subnets = self.private_subnets if network.existing.private_subnets else public
        else:
            vpc = self._vpc(name, args)
            self.vpc_id = vpc.vpc_id
            public = vpc.public_subnet_ids
            self.private_subnets = internal_subnets = vpc.private_subnet_ids
            self.route_tables = vpc.route_tables.apply(
                lambda tables: pulumi.Output.all(*(table.id for table in tables))
            )
        self.balancer_subnets = internal_subnets if args.internal else public
        self.task_subnets = public if network.tasks_in_public else self.private_subnets
        self.register_outputs({"vpcId": self.vpc_id})

    def _vpc(self, name: str, args: NetworkArgs) -> awsx.ec2.Vpc:
        network = args.network
        blocks = subnet_blocks(network.cidr_block, network.availability_zones)
        child = pulumi.ResourceOptions(parent=self)
        vpc = awsx.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=network.cidr_block,
            number_of_availability_zones=network.availability_zones,
            # Every subnet's addresses are given, so awsx has none to choose.
            subnet_specs=[
                awsx.ec2.SubnetSpecArgs(type=awsx.ec2.SubnetType.PRIVATE, cidr_blocks=blocks.private),
                awsx.ec2.SubnetSpecArgs(type=awsx.ec2.SubnetType.PUBLIC, cidr_blocks=blocks.public),
            ],
            subnet_strategy=awsx.ec2.SubnetAllocationStrategy.AUTO,
            nat_gateways=awsx.ec2.NatGatewayConfigurationArgs(strategy=NAT_GATEWAYS[network.nat_gateways]),
            # Private names of VPC endpoints need both.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=args.foundation.tags,
            opts=child,
        )
        ec2.DefaultSecurityGroup(f"{name}-default-group", vpc_id=vpc.vpc_id, tags=args.foundation.tags, opts=child)
        if network.flow_logs != "none":
            FlowLogs(
                f"{name}-flow-logs",
                FlowLogsArgs(foundation=args.foundation, vpc_id=vpc.vpc_id, connections=network.flow_logs),
                opts=child,
            )
        return vpc


def _needs(network: NetworkSection) -> tuple[Need, ...]:
    """Return what a VPC made here takes of the account's quotas; a NAT gateway has an elastic IP address."""
    if network.existing is not None:
        return ()
    gateways = {"none": 0, "single": 1, "onePerAz": network.availability_zones}[network.nat_gateways]
    own = Need(quota=VPCS, amount=1)
    if not gateways:
        return (own,)
    return (own, Need(quota=NAT_GATEWAYS_QUOTA, amount=1), Need(quota=ELASTIC_IPS, amount=gateways))

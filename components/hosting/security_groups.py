"""Who may talk to whom: users to the load balancer, the load balancer and named services to the tasks, nobody else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pulumi
from pulumi_aws import ec2, vpc

from components.foundation.foundation import Foundation

NFS: Final = 2049
"""https://docs.aws.amazon.com/efs/latest/ug/network-access.html"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecurityGroupsArgs:
    """What distinguishes one pair of groups from another.

    Attributes:
        foundation: What they are made with.
        vpc_id: The VPC.
        ports: Ports the load balancer listens on, and the addresses that may reach each; none where none is made here.
        existing: Security group of a load balancer that exists.
        file_systems: Security groups of file systems that the tasks mount.
        callers: Security groups that may reach the tasks beside the load balancer.
    """

    foundation: Foundation
    vpc_id: pulumi.Input[str]
    ports: Mapping[int, Sequence[str]]
    existing: str | None
    file_systems: Sequence[str] = ()
    callers: Sequence[str] = ()


class SecurityGroups(pulumi.ComponentResource):
    """One group for the load balancer, one for the tasks; each rule is a resource, so an edit touches that rule.

    Without a load balancer nobody reaches the tasks but the callers that are named.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:SecurityGroups"

    balancer: pulumi.Output[str] | None = None
    """The group of the load balancer that is made here, where there is one."""
    tasks: pulumi.Output[str]
    """The tasks' group."""
    reaching: tuple[pulumi.Resource, ...]
    """What must be there before a task can mount its file systems."""

    def __init__(self, name: str, args: SecurityGroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        # The description of a group cannot be changed: without a load balancer, too, it has to stay.
        self.tasks = self._group("tasks", "Tasks: in from the load balancer only")
        if args.ports:
            self.balancer = self._group("balancer", "Load balancer: users in, tasks out")
            self._let_users_in(self.balancer)
            self._let_out(self.balancer)
            self._let_in(self.balancer)
        elif args.existing:
            self._let_in(args.existing)
        for caller in args.callers:
            self._let_in(caller, f"from-{caller}", "Services that call this one")
        # The program knows ECR, logs and secrets, and not which databases and services an application calls.
        vpc.SecurityGroupEgressRule(
            f"{name}-tasks-out",
            security_group_id=self.tasks,
            description="Whatever the application calls",
            ip_protocol="-1",
            cidr_ipv4="0.0.0.0/0",
            tags=args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.reaching = tuple(
            vpc.SecurityGroupIngressRule(
                f"{name}-{group}-in",
                security_group_id=group,
                description="NFS from the tasks of " + args.foundation.prefix,
                ip_protocol="tcp",
                from_port=NFS,
                to_port=NFS,
                referenced_security_group_id=self.tasks,
                tags=args.foundation.tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for group in args.file_systems
        )
        self.register_outputs({"balancer": self.balancer, "tasks": self.tasks})

    def _let_users_in(self, balancer: pulumi.Output[str]) -> None:
        args = self._args
        for port, cidrs in args.ports.items():
            for cidr in cidrs:
                vpc.SecurityGroupIngressRule(
                    f"{self._name}-balancer-in-{port}-from-{_slug(cidr)}",
                    security_group_id=balancer,
                    description=f"Users on port {port}",
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    cidr_ipv4=cidr,
                    tags=args.foundation.tags,
                    opts=pulumi.ResourceOptions(parent=self),
                )

    def _let_out(self, balancer: pulumi.Output[str]) -> None:
        """On every port: an edit of application.port must not cut off the tasks that still listen on the old one."""
        vpc.SecurityGroupEgressRule(
            f"{self._name}-balancer-out",
            security_group_id=balancer,
            description="Tasks",
            ip_protocol="tcp",
            from_port=1,
            to_port=65535,
            referenced_security_group_id=self.tasks,
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _let_in(self, group: pulumi.Input[str], name: str = "in", whose: str = "Load balancer") -> None:
        """On every port, for the same reason."""
        vpc.SecurityGroupIngressRule(
            f"{self._name}-tasks-{name}",
            security_group_id=self.tasks,
            description=whose,
            ip_protocol="tcp",
            from_port=1,
            to_port=65535,
            referenced_security_group_id=group,
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _group(self, whose: str, description: str) -> pulumi.Output[str]:
        return ec2.SecurityGroup(
            f"{self._name}-{whose}",
            description=description,
            vpc_id=self._args.vpc_id,
            tags=self._args.foundation.tags,
            opts=pulumi.ResourceOptions(parent=self),
        ).id


def _slug(cidr: str) -> str:
    return re.sub(r"[^0-9]", "-", cidr)

"""What the AWS account must allow: quotas, and the roles that AWS services make for themselves.

Nothing is made here. Each part of the program says what it takes, and :class:`AccountNeeds` puts it into words.

A quota's name, its service and its code are those of Service Quotas (``aws service-quotas list-service-quotas``). Its
default is that of a new account in the pages named below; AWS may start an account lower ("internal metrics will
determine the default quotas for concurrent running builds", "new AWS accounts might have initial lower quotas").

- CodeBuild: https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
- Fargate: https://docs.aws.amazon.com/general/latest/gr/ecs-service.html
- VPC: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
- Load balancers: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pulumi

from components.foundation.commands import aws_command

STACKS: Final = 2
"""Stacks of this program that an account should have room for: the quota that one stack asks for is enough for two
stacks like it, so of two different stacks the larger request covers both."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """How much of something AWS lets an account have in a region.

    Attributes:
        name: The quota's name in Service Quotas.
        service: The service's code there.
        code: The quota's code there.
        default: What a new account has.
    """

    name: str
    service: str
    code: str
    default: int


VPCS: Final = Quota(name="VPCs per Region", service="vpc", code="L-F678F1CE", default=5)
NAT_GATEWAYS: Final = Quota(name="NAT gateways per Availability Zone", service="vpc", code="L-FE5A380F", default=5)
ELASTIC_IPS: Final = Quota(name="EC2-VPC Elastic IPs", service="ec2", code="L-0263D0A3", default=5)
LOAD_BALANCERS: Final = Quota(
    name="Application Load Balancers per Region", service="elasticloadbalancing", code="L-53DA6B97", default=50
)
FARGATE: Final = Quota(name="Fargate On-Demand vCPU resource count", service="fargate", code="L-3032A538", default=6)
FARGATE_SPOT: Final = Quota(name="Fargate Spot vCPU resource count", service="fargate", code="L-36FBB829", default=6)

_BUILDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ARM/Small": "L-5ED1D25B",
        "ARM/Medium": "L-DF544FF3",
        "ARM/Large": "L-596BEAB4",
        "ARM/XLarge": "L-8D06F3EA",
        "ARM Lambda/1GB": "L-FD92223D",
        "ARM Lambda/2GB": "L-DE99852F",
        "ARM Lambda/4GB": "L-72045165",
        "Linux/Small": "L-9D07B6EF",
        "Linux/Medium": "L-2DC20C30",
        "Linux/Large": "L-4DDC4A99",
        "Linux/XLarge": "L-04E5CA62",
    }
)
"""Machine type -> code of its quota."""


BUILDS: Final = 1
"""Builds at a time that a new account has on a machine type."""


def builds(machine: str) -> Quota:
    """Return CodeBuild's quota of builds at a time on one machine type.

    Args:
        machine: For example ``ARM/Small``.
    """
    return Quota(
        name=f"Concurrently running builds for {machine} environment",
        service="codebuild",
        code=_BUILDS[machine],
        default=BUILDS,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What this stack takes of a quota at most.

    Attributes:
        quota: The quota.
        amount: In the quota's own unit.
    """

    quota: Quota
    amount: float

    @property
    def desired(self) -> int:
        """The value to ask AWS for: enough for :data:`STACKS` such stacks."""
        return math.ceil(STACKS * self.amount)

    @property
    def asks(self) -> bool:
        """Whether a new account has less than :attr:`desired`."""
        return self.desired > self.quota.default


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLinkedRole:
    """A role that a service makes for itself, once for an account, with the rights of whoever calls it first.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html

    Attributes:
        name: The role's name.
        principal: The service's name for ``iam:CreateServiceLinkedRole``.
        made_by: The request that makes it.
    """

    name: str
    principal: str
    made_by: str


ECS_ROLE: Final = ServiceLinkedRole(
    name="AWSServiceRoleForECS", principal="ecs.amazonaws.com", made_by="ecs:CreateCluster"
)
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html"""

LOAD_BALANCING_ROLE: Final = ServiceLinkedRole(
    name="AWSServiceRoleForElasticLoadBalancing",
    principal="elasticloadbalancing.amazonaws.com",
    made_by="elasticloadbalancing:CreateLoadBalancer",
)
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html"""

SCALING_ROLE: Final = ServiceLinkedRole(
    name="AWSServiceRoleForApplicationAutoScaling_ECSService",
    principal="ecs.application-autoscaling.amazonaws.com",
    made_by="application-autoscaling:RegisterScalableTarget",
)
"""https://docs.aws.amazon.com/autoscaling/application/userguide/services-that-can-integrate-ecs.html"""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountNeeds:
    """Everything that a stack needs the account to allow.

    Attributes:
        builds: Builds that may run at the same time, by machine type.
        each_run: Whether ``builds`` is what each run takes, because runs do not wait for each other.
        hosting: What the hosting takes.
        roles: Roles that AWS services make for themselves.
    """

    builds: Mapping[str, int]
    each_run: bool
    hosting: tuple[Need, ...] = ()
    roles: tuple[ServiceLinkedRole, ...] = ()

    @property
    def needs(self) -> tuple[Need, ...]:
        """Every quota that the stack takes something of."""
        built = (Need(quota=builds(machine), amount=amount) for machine, amount in sorted(self.builds.items()))
        return (*built, *self.hosting)

    @property
    def lines(self) -> list[str]:
        """Two sentences at most: what is built at a time, and what the hosting takes."""
        machines = ", ".join(f"{machine} {amount}" for machine, amount in sorted(self.builds.items()))
        each_run = ", for each run" if self.each_run else ""
        said = [f"CodeBuild builds at the same time{each_run}: {machines}. A new account allows {BUILDS} of each."]
        if self.hosting:
            taken = ", ".join(f"{need.quota.name} {need.amount:g} ({need.quota.default})" for need in self.hosting)
            roles = ", ".join(role.name for role in self.roles)
            said.append(
                f"The hosting takes at most (a new account has): {taken}. "
                f"Service-linked roles, made by the first use: {roles}."
            )
        return said

    def requests(self, region: pulumi.Input[str]) -> list[pulumi.Output[str]]:
        """How to raise each quota of which a new account has too little for :data:`STACKS` stacks like this one."""
        return [
            pulumi.Output.concat(
                f"Quota {need.quota.name}: a new account has {need.quota.default}, this stack takes up to "
                f"{need.amount:g}, two stacks like it {need.desired}. Where you need more than the account has, ask "
                "AWS: ",
                aws_command(
                    "service-quotas",
                    "request-service-quota-increase",
                    region=region,
                    service_code=need.quota.service,
                    quota_code=need.quota.code,
                    desired_value=str(need.desired),
                ),
            )
            for need in self.needs
            if need.asks
        ]

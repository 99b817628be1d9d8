"""Key `hosting.network`: the VPC that the service runs in."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from components.settings.names import SubnetId, VpcId
from components.settings.section import Constraint, Problem, Section


def _network(block: str) -> str:
    """Let a block of private addresses pass that is large enough for the subnets.

    Raises:
        ValueError: If it is none.
    """
    network = ipaddress.IPv4Network(block)  # raises where bits behind the prefix are set
    if not network.is_private or not 16 <= network.prefixlen <= 24:
        raise ValueError
    return block


NetworkBlock = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9.]+/[0-9]+$"),
    AfterValidator(_network),
    Constraint("a block of private addresses from /16 to /24, such as 10.0.0.0/16"),
]
"""https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html (eight must fit, a /28 or larger)"""


class ExistingNetworkSection(Section):
    """A VPC that exists already."""

    vpc_id: VpcId = Field(description="The VPC.", examples=["vpc-0a1b2c3d4e5f67890"])
    public_subnets: tuple[SubnetId, ...] = Field(
        default=(),
        max_length=10,
        description="Subnets with a route to the internet, in two availability zones at least.",
        examples=[["subnet-0a1b2c3d4e5f67890", "subnet-0a1b2c3d4e5f67891"]],
    )
    private_subnets: tuple[SubnetId, ...] = Field(
        default=(),
        max_length=10,
        description="Subnets without one; the way to ECR, logs and secrets is yours to have.",
        examples=[["subnet-0a1b2c3d4e5f67892", "subnet-0a1b2c3d4e5f67893"]],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield fewer subnets than a load balancer takes."""
        for key, subnets in (("publicSubnets", self.public_subnets), ("privateSubnets", self.private_subnets)):
            if len(set(subnets)) == 1:
                yield Problem(
                    path=(key,),
                    message="must be at least two subnets in different availability zones, got one",
                    fix=f"edit the file: write {key}: [<subnet>, <subnet>]",
                )
        if not self.public_subnets and not self.private_subnets:
            yield Problem(
                path=("publicSubnets",),
                message="is missing; the load balancer needs subnets, public ones or (internal: true) private ones",
                fix="edit the file: write publicSubnets: [<subnet>, <subnet>]",
            )


class NetworkSection(Section):
    """The VPC, made here unless `existing` names one."""

    nat_gateways: Literal["none", "single", "onePerAz"] = Field(
        default="none",
        description="NAT gateways, which give private subnets a way out; each costs by the hour and by traffic.",
        examples=["none"],
    )
    availability_zones: int = Field(
        default=2, ge=2, le=3, description="Number of availability zones the application runs in.", examples=[2]
    )
    cidr_block: NetworkBlock = Field(
        default="10.0.0.0/16", description="Addresses of the VPC.", examples=["10.20.0.0/16"]
    )
    task_subnets: Literal["public", "private"] | None = Field(
        default=None,
        description="Where tasks run; when left out private with NAT gateways or private subnets of your own, "
        "else public: with a public IP, and no inbound but the load balancer's.",
        examples=["public"],
    )
    flow_logs: Literal["none", "rejected", "all"] = Field(
        default="none",
        description="Which connections are logged, for `retention.logDays`: those that were refused, which AWS's "
        "foundational security practices ask for, or all; each costs by the gigabyte.",
        examples=["rejected"],
    )
    existing: ExistingNetworkSection | None = Field(
        default=None,
        description="A VPC that exists already; nothing is made in it but security groups.",
        examples=[
            {
                "vpcId": "vpc-0a1b2c3d4e5f67890",
                "publicSubnets": ["subnet-0a1b2c3d4e5f67890", "subnet-0a1b2c3d4e5f67891"],
            }
        ],
    )

    @property
    def tasks_in_public(self) -> bool:
        """Whether tasks run in public subnets."""
        if self.task_subnets is not None:
            return self.task_subnets == "public"
        return not self.existing.private_subnets if self.existing else self.nat_gateways == "none"

    @property
    def needs_endpoints(self) -> bool:
        """Whether tasks reach AWS by VPC endpoints only, which are made for them."""
        return self.existing is None and self.nat_gateways == "none" and not self.tasks_in_public

    def problems(self) -> Iterator[Problem]:
        """Yield what a VPC that exists cannot have, and subnets that are not there."""
        if self.existing is None:
            return
        for field, key in (
            ("nat_gateways", "natGateways"),
            ("availability_zones", "availabilityZones"),
            ("cidr_block", "cidrBlock"),
            ("flow_logs", "flowLogs"),
        ):
            if getattr(self, field) != NetworkSection.model_fields[field].default:
                yield Problem(
                    path=(key,),
                    message="has an effect only on a VPC that is made here, not on network.existing",
                    fix=f"pulumi config rm --path 'ecs-delivery:hosting.network.{key}'",
                )
        wanted = "publicSubnets" if self.tasks_in_public else "privateSubnets"
        there = self.existing.public_subnets if self.tasks_in_public else self.existing.private_subnets
        if self.task_subnets is not None and not there:
            yield Problem(
                path=("existing", wanted),
                message=f"is missing; with taskSubnets {self.task_subnets} the tasks run there",
                fix=f"edit the file: write {wanted}: [<subnet>, <subnet>]",
            )

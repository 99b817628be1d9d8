"""Section `hosting`: where the application runs, made from nothing or named because it exists."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from components.foundation.iam import PolicyError, Statement
from components.settings.names import (
    CertificateArn,
    CodeDeployName,
    DomainName,
    EcsName,
    IamAction,
    ListenerArn,
    LoadBalancerName,
    LogGroupName,
    RelativePath,
    ResourceArn,
    Role,
    SubnetId,
    Url,
    VpcId,
)
from components.settings.section import Constraint, Problem, Section
from components.settings.sections.container import ContainerName

ListenerPort = Annotated[int, Field(ge=1, le=65535)]
Listener = Annotated[
    ListenerPort | ListenerArn,
    Constraint("the port of a listener of the load balancer (1 to 65535), or a listener's ARN"),
]


class ListenersSection(Section):
    """Listeners that CodeDeploy turns to the new tasks."""

    production: Listener = Field(
        description="Listener that serves the users: its port on the load balancer, or its ARN.", examples=[443]
    )
    test: Listener | None = Field(
        default=None,
        description="Listener that shows the new tasks from the moment they are healthy; nothing waits for it.",
        examples=[8443],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield one listener for both uses."""
        if self.production == self.test:
            yield Problem(
                path=("test",),
                message=f"must differ from production, got {self.test} for both",
                fix="pulumi config set --path 'ecs-delivery:hosting.existing.listeners.test' 8443",
            )


class DeploymentGroupSection(Section):
    """The deployment group of CodeDeploy that deploys the service."""

    application: CodeDeployName = Field(description="Name of the CodeDeploy application.", examples=["shop"])
    name: CodeDeployName = Field(description="Name of the deployment group.", examples=["shop-production"])


class ExistingSection(Section):
    """A service that exists already, everything by name."""

    cluster: EcsName = Field(description="Name of the ECS cluster.", examples=["shop"])
    service: EcsName = Field(description="Name of the ECS service.", examples=["shop"])
    execution_role: Role | None = Field(
        default=None,
        description="Execution role of the tasks, name or ARN: the one that the pipeline may pass to ECS. Must be the "
        "task definition's own; left out when that has none.",
        examples=["shop-execution"],
    )
    task_role: Role | None = Field(
        default=None,
        description="Role of the application itself, name or ARN: the one that the pipeline may pass to ECS. Must be "
        "the task definition's own; left out when that has none.",
        examples=["shop-task"],
    )
    task_definition_file: RelativePath | None = Field(
        default=None,
        description="Task definition in the application's repository, as `aws ecs register-task-definition` takes it: "
        "the base of each deployment. When left out, the base is what the service runs.",
        examples=["deploy/taskdef.json"],
    )
    take_over: bool = Field(
        default=False,
        description="Whether the first deployment may change more of what the service runs than the image: what the "
        "stack file states, or what the task definition file has. Without it, that run stops and shows the difference.",
        examples=[True],
    )
    deployment_group: DeploymentGroupSection | None = Field(
        default=None,
        description="CodeDeploy's deployment group of the service, with engine `codeDeploy`. When left out one is "
        "made, which works only for a service that has none: AWS allows one for each service.",
        examples=[{"application": "shop", "name": "shop-production"}],
    )
    load_balancer: LoadBalancerName | None = Field(
        default=None, description="Name of the load balancer in front of the service.", examples=["shop"]
    )
    listeners: ListenersSection | None = Field(
        default=None,
        description="Listeners that CodeDeploy turns to the new tasks.",
        examples=[{"production": 443, "test": 8443}],
    )
    target_groups: tuple[LoadBalancerName, ...] = Field(
        default=(),
        max_length=2,
        description="Names of the two target groups CodeDeploy alternates between.",
        examples=[["shop-blue", "shop-green"]],
    )
    service_url: Url | None = Field(
        default=None,
        description="Address of the service; when left out the load balancer's own, if it takes plain HTTP.",
        examples=["https://shop.example.com"],
    )
    log_group: LogGroupName | None = Field(
        default=None,
        description="Log group of the container, of which a failed deployment shows the last lines; "
        "`/ecs/<application>-<stack>` is made when left out.",
        examples=["/ecs/shop"],
    )

    @property
    def plain_http(self) -> bool:
        """Whether users can reach the service under the load balancer's own name: plain HTTP, on a known port."""
        production = self.listeners.production if self.listeners else 80
        return self.load_balancer is not None and isinstance(production, int) and production != 443

    def problems(self) -> Iterator[Problem]:
        """Yield listener ports without their load balancer, and target groups that are no pair."""
        ports = [self.listeners.production, self.listeners.test] if self.listeners else []
        if self.load_balancer is None and any(isinstance(port, int) for port in ports):
            yield Problem(
                path=("loadBalancer",),
                message="is missing; a listener given by its port needs the name of the load balancer it listens on",
                fix="pulumi config set --path 'ecs-delivery:hosting.existing.loadBalancer' shop",
            )
        if self.target_groups and len(set(self.target_groups)) != 2:
            yield Problem(
                path=("targetGroups",),
                message=f"must be two different names, got {', '.join(self.target_groups)}",
                fix="edit the file: write it like targetGroups: [shop-blue, shop-green]",
            )


def _network(block: str) -> str:
    """Let a block of private addresses pass that is large enough for the subnets.

    Raises:
        ValueError: If it is none.
    """
    network = ipaddress.IPv4Network(block)  # raises where bits behind the prefix are set
    if not network.is_private or not 16 <= network.prefixlen <= 24:
        raise ValueError
    return block


def _range(block: str) -> str:
    """Let a range of addresses pass.

    Raises:
        ValueError: If it is none.
    """
    ipaddress.IPv4Network(block)
    return block


NetworkBlock = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9.]+/[0-9]+$"),
    AfterValidator(_network),
    Constraint("a block of private addresses from /16 to /24, such as 10.0.0.0/16"),
]
"""https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html (eight must fit, a /28 or larger)"""

AddressRange = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9.]+/[0-9]+$"),
    AfterValidator(_range),
    Constraint("a range of IPv4 addresses such as 203.0.113.0/24"),
]

HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443


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
                    fix=f"edit the file: write it like {key}: [subnet-0a1b2c3d4e5f67890, subnet-0a1b2c3d4e5f67891]",
                )
        if not self.public_subnets and not self.private_subnets:
            yield Problem(
                path=("publicSubnets",),
                message="is missing; the load balancer needs subnets, public ones or (internal: true) private ones",
                fix="edit the file: write it like publicSubnets: [subnet-0a1b2c3d4e5f67890, subnet-0a1b2c3d4e5f67891]",
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
                fix=f"edit the file: write it like {wanted}: [subnet-0a1b2c3d4e5f67890, subnet-0a1b2c3d4e5f67891]",
            )


class HealthCheckSection(Section):
    """When the load balancer takes a task for healthy; the path is `application.healthCheckPath`."""

    interval_seconds: int = Field(default=5, ge=5, le=300, description="Time between two checks.", examples=[5])
    timeout_seconds: int = Field(
        default=2, ge=2, le=120, description="An answer that takes longer counts as none.", examples=[2]
    )
    healthy_threshold: int = Field(
        default=2, ge=2, le=10, description="Consecutive successful checks that make a task healthy.", examples=[2]
    )
    unhealthy_threshold: int = Field(
        default=2, ge=2, le=10, description="Consecutive failed checks that make a task unhealthy.", examples=[3]
    )
    grace_period_seconds: int = Field(
        default=60,
        ge=0,
        le=7200,
        description="Health check grace period: ECS ignores failed checks of a task that started this recently.",
        examples=[120],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield an answer that may take longer than the time to the next question."""
        if self.timeout_seconds >= self.interval_seconds:
            yield Problem(
                path=("timeoutSeconds",),
                message=f"must be shorter than intervalSeconds ({self.interval_seconds}), got {self.timeout_seconds}",
                fix="pulumi config set --path 'ecs-delivery:hosting.loadBalancer.healthCheck.timeoutSeconds' 2",
            )


class LoadBalancerSection(Section):
    """The load balancer in front of the service."""

    certificate_arn: CertificateArn | None = Field(
        default=None,
        description="Certificate of the service, in the stack's region: HTTPS, and plain HTTP is redirected to it.",
        examples=["arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"],
    )
    plain_http: bool = Field(
        default=False,
        description="Whether the service may be reached over plain HTTP; must be true when there is no certificate.",
        examples=[True],
    )
    domain_name: DomainName | None = Field(
        default=None,
        description="Name users reach the service by; its DNS record is yours. Becomes the output `serviceUrl`.",
        examples=["shop.example.com"],
    )
    internal: bool = Field(
        default=False, description="Whether it is reachable from inside the network only.", examples=[True]
    )
    container: ContainerName | None = Field(
        default=None,
        description="Container that requests go to, at its `port`, such as a proxy among `application.containers`; the "
        "application's own when left out.",
        examples=["nginx"],
    )
    allowed_cidrs: tuple[AddressRange, ...] = Field(
        default=("0.0.0.0/0",),
        max_length=20,
        description="Addresses that may reach it, the test listener too.",
        examples=[["203.0.113.0/24"]],
    )
    test_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port that shows the new tasks from the moment they are healthy, where the engine shifts traffic; "
        "nothing waits for it, the users' traffic follows at once. 8443 when left out, 8080 without certificate.",
        examples=[8443],
    )
    access_logs: bool = Field(
        default=True, description="Whether every request is logged, into a bucket of its own.", examples=[True]
    )
    deregistration_seconds: int = Field(
        default=15,
        ge=0,
        le=3600,
        description="Time a task that leaves has to finish its requests.",
        examples=[30],
    )
    health_check: HealthCheckSection = Field(
        default=HealthCheckSection(),
        description="When the load balancer takes a task for healthy.",
        examples=[{"intervalSeconds": 10}],
    )

    @property
    def production_port(self) -> int:
        """The port users reach the service by."""
        return HTTPS_PORT if self.certificate_arn else HTTP_PORT

    @property
    def effective_test_port(self) -> int:
        """The port of the test listener."""
        return self.test_port or (8443 if self.certificate_arn else 8080)

    def ports(self, *, for_tests: bool) -> tuple[int, ...]:
        """Return every port it listens on.

        Args:
            for_tests: Whether there is a listener for tests, too.
        """
        redirected = (HTTP_PORT,) if self.certificate_arn else ()
        tests = (self.effective_test_port,) if for_tests else ()
        return (self.production_port, *redirected, *tests)

    def problems(self) -> Iterator[Problem]:
        """Yield a certificate together with plain HTTP, and a test port that is taken."""
        if self.certificate_arn and self.plain_http:
            yield Problem(
                path=("plainHttp",),
                message="must be false with certificateArn: plain HTTP is redirected to HTTPS then, got true",
                fix="pulumi config set --path 'ecs-delivery:hosting.loadBalancer.plainHttp' false",
            )
        twice = sorted({block for block in self.allowed_cidrs if self.allowed_cidrs.count(block) > 1})
        if twice:
            yield Problem(
                path=("allowedCidrs",),
                message=f"must name each range once, got {', '.join(twice)} more than once",
                fix="edit the file: leave the repetition out",
            )
        taken = (HTTP_PORT, HTTPS_PORT) if self.certificate_arn else (HTTP_PORT,)
        if self.test_port in taken:
            yield Problem(
                path=("testPort",),
                message=f"must be another port than the listener's of the users, got {self.test_port}",
                fix="pulumi config rm --path 'ecs-delivery:hosting.loadBalancer.testPort'",
            )


class ScalingSection(Section):
    """How many tasks run."""

    minimum: int | None = Field(
        default=None,
        ge=1,
        le=5000,
        description="Fewest tasks; `application.desiredCount` when left out.",
        examples=[2],
    )
    maximum: int | None = Field(
        default=None, ge=1, le=5000, description="Most tasks; twice the fewest when left out.", examples=[10]
    )
    cpu_percent: int = Field(
        default=60, ge=10, le=95, description="Average CPU use that tasks are added or taken away for.", examples=[60]
    )
    requests_per_task: int | None = Field(
        default=None,
        ge=1,
        le=1000000,
        description="Requests a minute and task that tasks are added or taken away for, with a strategy that keeps "
        "one target group (rolling).",
        examples=[1000],
    )

    def effective_minimum(self, desired_count: int) -> int:
        """The fewest tasks, given the application's own count."""
        return self.minimum or desired_count

    def effective_maximum(self, desired_count: int) -> int:
        """The most tasks, given the application's own count."""
        return self.maximum or 2 * self.effective_minimum(desired_count)


class StatementSection(Section):
    """One permission of the application.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
    """

    actions: tuple[IamAction, ...] = Field(
        max_length=100, description="IAM actions, each spelled out.", examples=[["s3:GetObject"]]
    )
    resources: tuple[ResourceArn, ...] = Field(
        max_length=100,
        description="ARNs of what they are allowed on.",
        examples=[["arn:aws:s3:::shop-uploads/*"]],
    )
    conditions: dict[str, dict[str, str | tuple[str, ...]]] = Field(
        default={},
        description="IAM's `Condition`: operator, key, value or values.",
        examples=[{"StringEquals": {"aws:ResourceTag/Application": "shop"}}],
    )

    def statement(self, sid: str) -> Statement:
        """Return the statement.

        Args:
            sid: Its ``Sid``.

        Raises:
            PolicyError: It is broader than this program allows.
        """
        return Statement(
            sid=sid, actions=self.actions, resources=self.resources, conditions=self.conditions, by_user=True
        )

    def problems(self) -> Iterator[Problem]:
        """Yield what the program refuses of its own statements, too."""
        try:
            self.statement("Application")
        except PolicyError as error:
            reason, _, _ = str(error).partition(": ")[2].partition(", or, if AWS")  # what follows is for developers
            yield Problem(
                path=("resources",),
                message=f"is refused: {reason}",
                fix="edit the file: say what the application needs, and nothing more",
            )


class ServiceSection(Section):
    """The ECS service."""

    capacity_provider: Literal["fargate", "fargateSpot"] = Field(
        default="fargate",
        description="What tasks run on; Spot is cheaper, and AWS may take a task away with two minutes' notice. "
        "An edit ships with the next run.",
        examples=["fargateSpot"],
    )
    task_role: Role | None = Field(
        default=None,
        description="Role of the application itself, name or ARN; one without any permission is made when left out.",
        examples=["shop-task"],
    )
    task_role_policy: tuple[StatementSection, ...] = Field(
        default=(),
        max_length=30,
        description="What the application itself may do, with the task role that is made here.",
        examples=[[{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop-uploads/*"]}]],
    )
    exec: bool = Field(
        default=False,
        description="Whether a person may open a shell in a task (ECS Exec), of those that start from then on; on a "
        "service that runs with codeDeploy a person has to switch it, see docs/hosting.md.",
        examples=[True],
    )
    scaling: ScalingSection = Field(
        default=ScalingSection(), description="How many tasks run.", examples=[{"maximum": 10}]
    )

    def problems(self) -> Iterator[Problem]:
        """Yield permissions for a role that is not made here."""
        if self.task_role is not None and self.task_role_policy:
            yield Problem(
                path=("taskRolePolicy",),
                message="has an effect only on the task role that is made here, not together with taskRole",
                fix="pulumi config rm --path 'ecs-delivery:hosting.service.taskRolePolicy'",
            )


LATE_MINUTES: Final = 2
"""The load balancer's figures arrive so many minutes late; an alarm looks that much further back."""


class AlarmsSection(Section):
    """CloudWatch alarms of the service; they roll a deployment back with the engines codeDeploy and ecs."""

    enabled: bool = Field(default=True, description="Whether alarms are made.", examples=[True])
    error_percent: int = Field(
        default=5,
        ge=1,
        le=99,  # the alarm fires above it
        description="Share of answers 5xx above which the alarm fires, of a minute with 20 requests or more.",
        examples=[5],
    )
    latency_milliseconds: int = Field(
        default=3000,
        ge=1,
        le=600000,
        description="Time within which 95 of 100 requests must be answered.",
        examples=[1000],
    )
    unhealthy_hosts: int = Field(
        default=1, ge=1, le=5000, description="Number of tasks that fail their health check.", examples=[1]
    )
    minutes: int = Field(
        default=2,
        ge=1,
        le=60,
        description="Consecutive minutes above the threshold before an alarm fires.",
        examples=[2],
    )


class HostingSection(Section):
    """Where the application runs: made here, or all of it named below `existing`."""

    existing: ExistingSection | None = Field(
        default=None,
        description="A service that exists already.",
        examples=[{"cluster": "shop", "service": "shop", "executionRole": "shop-execution"}],
    )
    network: NetworkSection = Field(
        default=NetworkSection(), description="The VPC.", examples=[{"natGateways": "single"}]
    )
    load_balancer: LoadBalancerSection = Field(
        default=LoadBalancerSection(),
        description="The load balancer in front of the service.",
        examples=[{"plainHttp": True}],
    )
    service: ServiceSection = Field(
        default=ServiceSection(), description="The ECS service.", examples=[{"scaling": {"maximum": 10}}]
    )
    alarms: AlarmsSection = Field(
        default=AlarmsSection(), description="CloudWatch alarms of the service.", examples=[{"errorPercent": 2}]
    )

    @property
    def plain_http(self) -> bool:
        """Whether users reach the service without encryption, as far as the file tells."""
        if self.existing is None:
            return self.load_balancer.certificate_arn is None
        if self.existing.service_url is not None:
            return self.existing.service_url.startswith("http://")
        return self.existing.plain_http

    def problems(self) -> Iterator[Problem]:
        """Yield settings of what is made beside a service that exists, and subnets the load balancer misses."""
        if self.existing is not None:
            for field, key in (
                ("network", "network"),
                ("load_balancer", "loadBalancer"),
                ("service", "service"),
                ("alarms", "alarms"),
            ):
                if getattr(self, field) != HostingSection.model_fields[field].default:
                    yield Problem(
                        path=(key,),
                        message="has an effect only on hosting that is made here, not together with existing",
                        fix=f"pulumi config rm --path 'ecs-delivery:hosting.{key}'",
                    )
            return
        named = self.network.existing
        if named and not self.load_balancer.internal and not named.public_subnets:
            yield Problem(
                path=("network", "existing", "publicSubnets"),
                message="is missing; a load balancer that users reach from the internet stands in public subnets",
                fix="edit the file: write it like publicSubnets: [subnet-0a1b2c3d4e5f67890, subnet-0a1b2c3d4e5f67891], "
                "or loadBalancer: {internal: true}",
            )

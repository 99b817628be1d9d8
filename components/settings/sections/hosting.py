"""Section `hosting`: where the application runs, made from nothing or named because it exists."""

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from components.settings.section import Problem, Section
from components.settings.sections.discovery import ServiceConnectSection, ServiceRegistrySection
from components.settings.sections.existing_hosting import ExistingSection
from components.settings.sections.load_balancer import LoadBalancerSection
from components.settings.sections.network import NetworkSection
from components.settings.sections.service import ServiceSection

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
    service_connect: ServiceConnectSection | None = Field(
        default=None,
        description="Service Connect: short names for calls between services, with engine `ecs`.",
        examples=[{"namespace": "shop", "endpoints": {"shop": {"port": 80}}}],
    )
    service_registry: ServiceRegistrySection | None = Field(
        default=None,
        description="A DNS name inside the network for the addresses of the tasks, with strategy rolling.",
        examples=[{"namespace": "shop.internal"}],
    )
    alarms: AlarmsSection = Field(
        default=AlarmsSection(), description="CloudWatch alarms of the service.", examples=[{"errorPercent": 2}]
    )
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ClusterSetting.html
    container_insights: Literal["disabled", "enabled", "enhanced"] = Field(
        default="enabled",
        description="Container Insights of the cluster, which CloudWatch bills as custom metrics: `enabled` for "
        "cluster and service, `enhanced` for each task and container, too, `disabled` for none. Alarms, scaling and "
        "deployments need none of them; CPU and memory of the service are free.",
        examples=["enhanced"],
    )

    @property
    def is_balanced(self) -> bool:
        """Whether a load balancer sends requests to a service that is made here."""
        return self.existing is None and self.load_balancer.enabled

    @property
    def alarms_made(self) -> AlarmsSection | None:
        """The alarms that are made here; they judge by the figures of the load balancer."""
        return self.alarms if self.is_balanced and self.alarms.enabled else None

    @property
    def plain_http(self) -> bool:
        """Whether users reach the service without encryption, as far as the file tells."""
        if self.existing is None:
            balancer = self.load_balancer
            return balancer.plain_http if balancer.existing else balancer.enabled and balancer.certificate_arn is None
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
                ("service_connect", "serviceConnect"),
                ("service_registry", "serviceRegistry"),
                ("alarms", "alarms"),
                ("container_insights", "containerInsights"),
            ):
                if getattr(self, field) != HostingSection.model_fields[field].default:
                    yield Problem(
                        path=(key,),
                        message="has an effect only on hosting that is made here, not together with existing",
                        fix=f"pulumi config rm --path 'ecs-delivery:hosting.{key}'",
                    )
            return
        if not self.load_balancer.enabled:
            yield from self._without_load_balancer()
            return
        named = self.network.existing
        if self.load_balancer.existing is not None:
            if named is None:
                yield Problem(
                    path=("network", "existing"),
                    message="is missing; with loadBalancer.existing the tasks run in the VPC of that load balancer",
                    fix="edit the file: write network: {existing: {vpcId: <VPC>, publicSubnets: [<subnet>, <subnet>]}}",
                )
            return
        if named and not self.load_balancer.internal and not named.public_subnets:
            yield Problem(
                path=("network", "existing", "publicSubnets"),
                message="is missing; a load balancer that users reach from the internet stands in public subnets",
                fix="edit the file: write publicSubnets: [<subnet>, <subnet>], or loadBalancer: {internal: true}",
            )

    def _without_load_balancer(self) -> Iterator[Problem]:
        """Yield what counts or judges by the requests of a load balancer that is not there."""
        if self.service.scaling.requests_per_task is not None:
            yield Problem(
                path=("service", "scaling", "requestsPerTask"),
                message="has an effect only with a load balancer, which counts the requests",
                fix="pulumi config rm --path 'ecs-delivery:hosting.service.scaling.requestsPerTask'",
            )
        if self.alarms != HostingSection.model_fields["alarms"].default:
            yield Problem(
                path=("alarms",),
                message="has an effect only with a load balancer, by whose figures alarms are judged",
                fix="pulumi config rm --path 'ecs-delivery:hosting.alarms'",
            )

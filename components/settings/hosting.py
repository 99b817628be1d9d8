"""Section `hosting`: where the application runs."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from components.settings.base import Must, Problem, Section
from components.settings.names import EcsName, ListenerArn, LoadBalancerName, LogGroupName, Role, Url

ListenerPort = Annotated[int, Field(ge=1, le=65535)]
Listener = Annotated[
    ListenerPort | ListenerArn,
    Must("the port of a listener of the load balancer (1 to 65535), or a listener's ARN"),
]


class Listeners(Section):
    """Listeners that CodeDeploy turns to the new tasks."""

    production: Listener = Field(
        description="Listener that serves the users: its port on the load balancer, or its ARN.", examples=[443]
    )
    test: Listener | None = Field(
        default=None,
        description="Listener that shows the new tasks before the users see them.",
        examples=[8443],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield one listener for both uses."""
        if self.production == self.test:
            yield Problem(
                path=("test",),
                wrong=f"must differ from production, got {self.test} for both",
                fix="pulumi config set --path 'ecs-delivery:hosting.existing.listeners.test' 8443",
            )


class Existing(Section):
    """A service that exists already, everything by name."""

    cluster: EcsName = Field(description="Name of the ECS cluster.", examples=["shop"])
    service: EcsName = Field(description="Name of the ECS service.", examples=["shop"])
    execution_role: Role = Field(
        description="Role with which ECS pulls the image, reads the secrets and writes the logs; name or ARN.",
        examples=["shop-execution"],
    )
    task_role: Role | None = Field(
        default=None, description="Role of the application itself; name or ARN.", examples=["shop-task"]
    )
    load_balancer: LoadBalancerName | None = Field(
        default=None, description="Name of the load balancer in front of the service.", examples=["shop"]
    )
    listeners: Listeners | None = Field(
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
        description="Log group of the container; one is made when left out.",
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
                wrong="is missing; a listener given by its port needs the name of the load balancer it listens on",
                fix="pulumi config set --path 'ecs-delivery:hosting.existing.loadBalancer' shop",
            )
        if self.target_groups and len(set(self.target_groups)) != 2:
            yield Problem(
                path=("targetGroups",),
                wrong=f"must be two different names, got {', '.join(self.target_groups)}",
                fix="edit the file: write it like targetGroups: [shop-blue, shop-green]",
            )


class Hosting(Section):
    """Where the application runs."""

    existing: Existing = Field(
        description="A service that exists already.",
        examples=[{"cluster": "shop", "service": "shop", "executionRole": "shop-execution"}],
    )

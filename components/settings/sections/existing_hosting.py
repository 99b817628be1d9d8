"""Key `hosting.existing`: a service that exists already."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from components.settings.names import (
    CodeDeployName,
    EcsName,
    ListenerArn,
    LoadBalancerName,
    LogGroupName,
    RelativePath,
    Role,
    Url,
)
from components.settings.section import Constraint, Problem, Section

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
                fix="edit the file: write loadBalancer: <name of the load balancer>",
            )
        if self.target_groups and len(set(self.target_groups)) != 2:
            yield Problem(
                path=("targetGroups",),
                message=f"must be two different names, got {', '.join(self.target_groups)}",
                fix="edit the file: write targetGroups: [<one>, <the other>]",
            )

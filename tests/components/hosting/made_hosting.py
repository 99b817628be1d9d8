"""Hosting made from nothing, alone on the strict engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from mocked import Graph, Resource, build
from samples import foundation, image_repository, shop

from components.hosting import DeploymentTarget, NewHosting, NewHostingArgs
from components.images.repository import Repository

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"
IMAGES = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-dev"


@dataclass(frozen=True)
class Made:
    """What one stack file made."""

    graph: Graph
    hosting: DeploymentTarget

    def one(self, type_: str, name: str | None = None) -> Resource:
        return self.graph.one(type_, f"hosting-{name}" if name else None)

    @property
    def service(self) -> Mapping[str, Any]:
        return self.one("aws:ecs/service:Service").inputs

    @property
    def listeners(self) -> dict[str, Mapping[str, Any]]:
        """By their role."""
        found = self.graph.of("aws:lb/listener:Listener")
        return {item.name.removeprefix("hosting-load-balancer-"): item.inputs for item in found}

    def statements(self, policy: str) -> dict[str, dict[str, Any]]:
        return self.graph.policy(f"hosting-{policy}")


def made(hosting: Mapping[str, Any] | None = None, *, protect: bool = False, **sections: object) -> Made:
    """Build the hosting of a small application.

    Args:
        hosting: The stack file's section; plain HTTP unless it says something of the load balancer.
        protect: Whether the stack is protected.
        sections: Other sections of the stack file.
    """
    section = {"loadBalancer": {"plainHttp": True}, **(hosting or {})}
    settings = shop(hosting=section, retention={"protect": protect}, **sections)
    built: list[DeploymentTarget] = []

    def program() -> None:
        args = NewHostingArgs(
            foundation=foundation(protect=protect, log_days=settings.retention.log_days),
            application=settings.application,
            engine=settings.deploy.chosen_engine,
            rollout=settings.deploy.rollout,
            hosting=settings.hosting,
            repository=Repository(
                name="shop-dev",
                arn=pulumi.Output.from_input(image_repository("shop-dev")),
                uri=pulumi.Output.from_input(IMAGES),
            ),
            further={
                name: Repository(
                    name=f"shop-dev-{name}",
                    arn=pulumi.Output.from_input(image_repository(f"shop-dev-{name}")),
                    uri=pulumi.Output.from_input(f"{IMAGES}-{name}"),
                )
                for name in settings.application.further_images
            },
        )
        hosting = NewHosting("hosting", args).hosting
        built.append(hosting)
        pulumi.export("url", hosting.service_url)
        pulumi.export("roles", [hosting.execution_role_arn, hosting.task_role_arn])
        pulumi.export("listeners", [hosting.production_listener_arn, hosting.test_listener_arn])
        pulumi.export("targetGroups", list(hosting.target_groups))
        pulumi.export("appSpec", hosting.placement.app_spec(network=True) if hosting.placement else None)

    return Made(build(program), built[0])


def first_definition(found: Made) -> dict[str, Any]:
    """The container of the first task definition."""
    (container,) = json.loads(found.one("aws:ecs/taskDefinition:TaskDefinition").inputs["containerDefinitions"])
    return dict(container)

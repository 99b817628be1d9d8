"""How services inside the network find each other: Service Connect, and a DNS name by Cloud Map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pulumi
from pulumi_aws import servicediscovery

from components.foundation.foundation import Foundation
from components.settings import ApplicationSection
from components.settings.sections.discovery import ServiceConnectSection, ServiceRegistrySection

PROXY_LOGS: Final = "service-connect"
"""What the names of the proxies' log streams begin with."""
OFF: Final[Mapping[str, object]] = {"enabled": False}
"""What takes Service Connect away from a service that has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceConnectArgs:
    """What distinguishes the Service Connect of one service from another's.

    Attributes:
        foundation: What it is made with; its prefix names the namespace.
        application: The stack file's ``application``.
        settings: The stack file's ``hosting.serviceConnect``.
        log_group: Name of the log group of the containers, which has the proxies' logs, too.
    """

    foundation: Foundation
    application: ApplicationSection
    settings: ServiceConnectSection
    log_group: pulumi.Input[str]


class ServiceConnect(pulumi.ComponentResource):
    """What a deployment says of Service Connect, and the namespace unless the stack file names one.

    The service is made without it: ECS takes a port name only if the task definition has it, and what a service starts
    with is not the application. The deployments of the engine set it, with the task definition that goes with it.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:ServiceConnect"

    configuration: pulumi.Output[dict[str, Any]]
    """ECS's ``serviceConnectConfiguration``."""
    ready: tuple[pulumi.Resource, ...] = ()
    """What must be there before a deployment can say it."""

    def __init__(self, name: str, args: ServiceConnectArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        namespace: pulumi.Input[str] | None = args.settings.namespace
        if namespace is None:
            made = servicediscovery.HttpNamespace(
                f"{name}-namespace",
                name=args.foundation.prefix,
                description="Service Connect",
                tags=args.foundation.tags,
                # Services of other stacks may be in it, and this stack's own leaves it with the next run only. Cloud
                # Map refuses to delete one that is not empty (ResourceInUse):
                # https://docs.aws.amazon.com/cloud-map/latest/api/API_DeleteNamespace.html
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
            namespace, self.ready = made.arn, (made,)
        self.configuration = pulumi.Output.all(
            namespace=namespace, log_group=args.log_group, region=args.foundation.account.region
        ).apply(lambda known: _configuration(args, known))
        self.register_outputs({"configuration": self.configuration})


def _configuration(args: ServiceConnectArgs, known: Mapping[str, str]) -> dict[str, Any]:
    """ECS's ``serviceConnectConfiguration``; the execution role may write the proxies' logs, as the containers'.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceConnectConfiguration.html
    """
    services = [
        {
            "portName": endpoint,
            "discoveryName": endpoint,
            "clientAliases": [{"port": said.port or args.application.reached(said.container)[1], "dnsName": endpoint}],
        }
        for endpoint, said in args.settings.endpoints.items()
    ]
    return {
        "enabled": True,
        "namespace": known["namespace"],
        **({"services": services} if services else {}),
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": known["log_group"],
                "awslogs-region": known["region"],
                "awslogs-stream-prefix": PROXY_LOGS,
            },
        },
    }


def port_names(application: ApplicationSection, settings: ServiceConnectSection | None) -> dict[str, dict[str, str]]:
    """Return what the port mapping of each container says besides, where it has an endpoint.

    Args:
        application: The stack file's ``application``.
        settings: The stack file's ``hosting.serviceConnect``.
    """
    endpoints = settings.endpoints if settings else {}
    return {
        application.reached(said.container)[0]: {
            "name": endpoint,
            **({"appProtocol": said.app_protocol} if said.app_protocol else {}),
        }
        for endpoint, said in endpoints.items()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceRegistryArgs:
    """What distinguishes one DNS name from another.

    Attributes:
        foundation: What it is made with.
        name: The name of the application.
        settings: The stack file's ``hosting.serviceRegistry``.
        vpc_id: The VPC in which a namespace that is made here is known.
    """

    foundation: Foundation
    name: str
    settings: ServiceRegistrySection
    vpc_id: pulumi.Input[str]


class ServiceRegistry(pulumi.ComponentResource):
    """A service of Cloud Map that ECS registers the tasks with, in a namespace that exists or is made here."""

    TYPE: ClassVar[str] = "ecs-delivery:hosting:ServiceRegistry"

    arn: pulumi.Output[str]
    """What the service of ECS names."""

    def __init__(self, name: str, args: ServiceRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        settings, tags = args.settings, args.foundation.tags
        namespace: pulumi.Input[str] | None = settings.namespace_id
        if settings.namespace is not None:
            namespace = servicediscovery.PrivateDnsNamespace(
                f"{name}-namespace",
                name=settings.namespace,
                vpc=args.vpc_id,
                tags=tags,
                opts=pulumi.ResourceOptions(parent=self, protect=args.foundation.protect),
            ).id
        registry = servicediscovery.Service(
            f"{name}-service",
            name=settings.name or args.name,
            dns_config=servicediscovery.ServiceDnsConfigArgs(
                namespace_id=namespace or "",
                dns_records=[servicediscovery.ServiceDnsConfigDnsRecordArgs(ttl=settings.ttl_seconds, type="A")],
            ),
            # ECS itself says which tasks are healthy. AWS takes no other threshold, and its provider leaves out a block
            # without one (hashicorp/terraform-provider-aws#44285). Its class warns of what it sets, a dict does not.
            health_check_custom_config={"failure_threshold": 1},
            # Tasks that ECS has not taken out yet would keep it: hashicorp/terraform-provider-aws#4853.
            force_destroy=True,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = registry.arn
        self.register_outputs({"arn": self.arn})

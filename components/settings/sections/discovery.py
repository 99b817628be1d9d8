"""Keys `hosting.serviceConnect` and `hosting.serviceRegistry`: how services inside the network find each other."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from components.settings.names import NamespaceId
from components.settings.section import Constraint, Problem, Reference, Section
from components.settings.sections.container import ContainerName

EndpointName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_][a-z0-9_-]{0,63}$"),
    Constraint("1 to 64 lower-case letters, digits, _ and -, not starting with -"),
]
"""Of a port mapping, and of the service of Cloud Map that ECS makes for it.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceConnectService.html
"""
NamespaceNameOrArn = Annotated[
    str,
    StringConstraints(
        pattern=r"^([!-9;-~]{1,1024}|arn:aws[a-z-]*:servicediscovery:[a-z0-9-]+:[0-9]{12}:namespace/ns-[a-z0-9]+)$"
    ),
    Constraint("the name or the ARN of a namespace of Cloud Map in the stack's account and region"),
    Reference(),
]
"""https://docs.aws.amazon.com/cloud-map/latest/api/API_CreateHttpNamespace.html"""
NamespaceDomain = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$", max_length=253
    ),
    Constraint("a domain such as shop.internal, in lower case"),
]
"""https://docs.aws.amazon.com/cloud-map/latest/api/API_CreatePrivateDnsNamespace.html"""
RegistryName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    Constraint("1 to 63 lower-case letters, digits and hyphens"),
]
"""https://docs.aws.amazon.com/cloud-map/latest/api/API_CreateService.html"""


class EndpointSection(Section):
    """A name by which other services of the namespace call a container of this one."""

    container: ContainerName | None = Field(
        default=None,
        description="Container that answers, at its `port`; the application's own when left out.",
        examples=["nginx"],
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,  # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceConnectClientAlias.html
        description="Port that others call; the container's own when left out.",
        examples=[80],
    )
    app_protocol: Literal["http", "http2", "grpc"] | None = Field(
        default=None,
        description="Protocol that the proxies understand and count requests by; TCP when left out. AWS takes no other "
        "one of an endpoint that the service has.",
        examples=["http"],
    )


class ServiceConnectSection(Section):
    """Service Connect: services of one namespace call each other by short names, through a proxy in each task.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html
    """

    namespace: NamespaceNameOrArn | None = Field(
        default=None,
        description="Namespace of Cloud Map that exists, name or ARN; one named `<application>-<stack>` is made when "
        "left out, which stays when the stack goes, since other services may be in it.",
        examples=["shop"],
    )
    endpoints: dict[EndpointName, EndpointSection] = Field(
        default={},
        max_length=10,
        description="Names that other services of the namespace call this one by, with `container`, `port` and "
        "`appProtocol`; none for a service that only calls others.",
        examples=[{"shop": {"port": 80, "appProtocol": "http"}}],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a new namespace without any endpoint: the deployment of its first service would never be done.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html
        """
        if self.namespace is None and not self.endpoints:
            yield Problem(
                path=("namespace",),
                message="is missing; a service without endpoints calls those of a namespace that exists",
                fix="edit the file: write namespace: <namespace>",
            )


class ServiceRegistrySection(Section):
    """A DNS name of the network that holds the addresses of all healthy tasks, by Cloud Map.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-discovery.html
    """

    namespace: NamespaceDomain | None = Field(
        default=None,
        description="Domain of a private DNS namespace that is made here, for the stack's network.",
        examples=["shop.internal"],
    )
    namespace_id: NamespaceId | None = Field(
        default=None,
        description="Private DNS namespace that exists, in the stack's account and region.",
        examples=["ns-0123456789abcdef"],
    )
    name: RegistryName | None = Field(
        default=None,
        description="Name in it: others call `<name>.<domain>`; the application's name when left out.",
        examples=["shop"],
    )
    ttl_seconds: int = Field(
        default=10,
        ge=0,
        le=2147483647,  # https://docs.aws.amazon.com/cloud-map/latest/api/API_DnsRecord.html
        description="Time for which clients keep the answer; one that keeps it longer calls tasks that have gone.",
        examples=[10],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield none or two namespaces."""
        if self.namespace is not None and self.namespace_id is not None:
            yield Problem(
                path=("namespace",),
                message="has an effect only without namespaceId, which names one that exists",
                fix="pulumi config rm --path 'ecs-delivery:hosting.serviceRegistry.namespace'",
            )
        if self.namespace is None and self.namespace_id is None:
            yield Problem(
                path=("namespace",),
                message="is missing; the name is one of a namespace that is made here, or of namespaceId",
                fix="edit the file: write namespace: <new DNS zone>, or namespaceId: <namespace that exists>",
            )

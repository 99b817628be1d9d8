"""Key `hosting.loadBalancer`: the load balancer in front of the service."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints
from pydantic.alias_generators import to_camel

from components.settings.names import (
    AddressRange,
    CertificateArn,
    DomainName,
    HostedZoneId,
    ListenerArn,
    LoadBalancerName,
    SecurityGroupId,
    WebAclArn,
)
from components.settings.section import Constraint, Problem, Section
from components.settings.sections.container import ContainerName
from components.settings.sections.listeners import MOST_LISTENERS, ListenerName, ListenerSection, given_twice

HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443

IDLE_TIMEOUT: Final = 60
"""Seconds, AWS's default: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html"""

OF_THE_BALANCER: Final = (
    "certificate_arn",
    "domain_name",
    "hosted_zone_id",
    "internal",
    "allowed_cidrs",
    "test_allowed_cidrs",
    "test_port",
    "access_logs",
    "web_acl_arn",
    "idle_timeout_seconds",
    "listeners",
)
"""The fields that say something of the load balancer or its listeners, and not of the target group."""

SHORTEST_SLOW_START: Final = 30
"""Seconds: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html"""


Codes = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,3}(-[0-9]{1,3})?(,[0-9]{1,3}(-[0-9]{1,3})?)*$", max_length=100),
    Constraint('codes such as "200", "200,202" or "200-399", in quotes'),
]
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html"""


class HealthCheckSection(Section):
    """When the load balancer takes a task for healthy; the path is `application.healthCheckPath`."""

    matcher: Codes | None = Field(
        default=None,
        description='Codes of a successful answer; when left out "200-399", with protocolVersion GRPC "0", or "12" '
        "without a healthCheckPath.",
        examples=["200,401"],
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port of the container that answers health checks; `application.port` when left out.",
        examples=[9090],
    )
    protocol: Literal["HTTP", "HTTPS"] | None = Field(
        default=None,
        description="Protocol of health checks; `targetProtocol` when left out.",
        examples=["HTTP"],
    )
    interval_seconds: int = Field(default=5, ge=5, le=300, description="Time between two checks.", examples=[5])
    timeout_seconds: int = Field(
        default=2, ge=2, le=120, description="An answer that takes longer counts as none.", examples=[2]
    )
    healthy_threshold: int = Field(
        default=2,
        ge=2,
        le=10,
        description="Consecutive successful checks that make an unhealthy task healthy again; a new one needs one.",
        examples=[2],
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
        """Yield an answer that may take longer than the time to the next question, and ranges that end too early."""
        for first, last in self.ranges:
            if first > last:
                yield Problem(
                    path=("matcher",),
                    message=f"must be ranges from a lower code to a higher one, got {first}-{last}",
                    fix="pulumi config set --path 'ecs-delivery:hosting.loadBalancer.healthCheck.matcher' 200-399",
                )
        if self.timeout_seconds >= self.interval_seconds:
            yield Problem(
                path=("timeoutSeconds",),
                message=f"must be shorter than intervalSeconds ({self.interval_seconds}), got {self.timeout_seconds}",
                fix="pulumi config set --path 'ecs-delivery:hosting.loadBalancer.healthCheck.timeoutSeconds' 2",
            )

    @property
    def expected_status(self) -> int:
        """A code that passes it: 200, or the first one of the matcher where that leaves 200 out."""
        takes = not self.ranges or any(first <= HTTPStatus.OK <= last for first, last in self.ranges)
        return int(HTTPStatus.OK) if takes else self.ranges[0][0]

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The first and the last code of each part of the matcher."""
        parts = [part.split("-") for part in (self.matcher or "").split(",") if part]
        return tuple((int(part[0]), int(part[-1])) for part in parts)


HostPattern = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9.*?-]{1,128}$"),
    Constraint("a host such as shop.example.com or *.example.com, up to 128 characters"),
]
PathPattern = Annotated[
    str,
    StringConstraints(pattern=r"""^/[A-Za-z0-9_.$/~"'@:+&*?-]{0,127}$"""),
    Constraint("a path such as /shop/*, up to 128 characters"),
]
HeaderName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$"),
    Constraint("the name of a header, up to 40 characters"),
]
HeaderValue = Annotated[
    str, StringConstraints(pattern=r"^[ -~]{1,128}$"), Constraint("a header's value, up to 128 characters")
]
"""https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html, the four of them"""

MOST_VALUES: Final = 5
"""Values of all conditions of one rule.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
"""


class ExistingListenerSection(Section):
    """A rule on a listener that exists, which sends requests to the service."""

    listener_arn: ListenerArn | None = Field(
        default=None,
        description="The listener; its load balancer is in the VPC of `network.existing`.",
        examples=[
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shared/0123456789abcdef/0123456789abcdef"
        ],
    )
    load_balancer: LoadBalancerName | None = Field(
        default=None,
        description="Name of the load balancer, instead of listenerArn; each preview looks for its listener of `port`.",
        examples=["shared"],
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Port of the listener, with `loadBalancer`.", examples=[443]
    )
    security_group: SecurityGroupId = Field(
        description="Security group of the load balancer, which may reach the tasks then; its own rules are yours.",
        examples=["sg-0a1b2c3d4e5f67890"],
    )
    priority: int = Field(
        ge=1,
        le=50000,
        description="Priority of the rule, which no other rule of the listener has.",
        examples=[100],
    )
    hosts: tuple[HostPattern, ...] = Field(
        default=(),
        max_length=MOST_VALUES,
        description="Hosts, one of which a request names; the first becomes the output `serviceUrl`.",
        examples=[["shop.example.com"]],
    )
    paths: tuple[PathPattern, ...] = Field(
        default=(), max_length=MOST_VALUES, description="Paths, one of which it asks for.", examples=[["/shop/*"]]
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description="Headers, all of which it has.", examples=[{"X-Application": "shop"}]
    )

    @property
    def host(self) -> str | None:
        """The host that users call the service by, where the first one is none of several."""
        first = self.hosts[0] if self.hosts else "*"
        return None if {"*", "?"} & {*first} else first

    def problems(self) -> Iterator[Problem]:
        """Yield a listener given twice or in half, a rule for all requests, and more values than a rule has."""
        yield from self._listener_problems()
        values = len(self.hosts) + len(self.paths) + len(self.headers)
        if not values:
            yield Problem(
                path=("hosts",),
                message="is missing; the rule needs hosts, paths or headers to know the service's requests by",
                fix="edit the file: write hosts: [<host>]",
            )
        elif values > MOST_VALUES:
            yield Problem(
                path=("hosts",),
                message=f"must be up to {MOST_VALUES} values together with paths and headers, got {values}",
                fix=f"edit the file: leave {values - MOST_VALUES} of them out",
            )

    def _listener_problems(self) -> Iterator[Problem]:
        path = "ecs-delivery:hosting.loadBalancer.existing"
        if self.listener_arn is not None:
            for key, value in (("loadBalancer", self.load_balancer), ("port", self.port)):
                if value is not None:
                    yield Problem(
                        path=(key,),
                        message="has an effect only without listenerArn, which names the listener already",
                        fix=f"pulumi config rm --path '{path}.{key}'",
                    )
        elif self.load_balancer is None:
            yield Problem(
                path=("listenerArn",),
                message="is missing; the listener that exists is given by its ARN, or by loadBalancer and port",
                fix="edit the file: write listenerArn: <ARN of the listener>",
            )
        elif self.port is None:
            yield Problem(
                path=("port",),
                message="is missing; it tells which listener of the load balancer gets the rule",
                fix=f"pulumi config set --path '{path}.port' 443",
            )


class LoadBalancerSection(Section):
    """The load balancer in front of the service."""

    enabled: bool = Field(
        default=True,
        description="Whether there is one; a worker or an inner service has none, with strategy rolling.",
        examples=[False],
    )
    existing: ExistingListenerSection | None = Field(
        default=None,
        description="A listener of a load balancer that exists, which gets a rule for the service instead of a load "
        "balancer of its own; with strategy rolling.",
        examples=[
            {
                "listenerArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:"
                "listener/app/shared/0123456789abcdef/0123456789abcdef",
                "securityGroup": "sg-0a1b2c3d4e5f67890",
                "priority": 100,
                "hosts": ["shop.example.com"],
            }
        ],
    )
    certificate_arn: CertificateArn | None = Field(
        default=None,
        description="Certificate of the service, in the stack's region: HTTPS, and plain HTTP is redirected to it.",
        examples=["arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"],
    )
    plain_http: bool = Field(
        default=False,
        description="Whether the service may be reached over plain HTTP; must be true when there is no certificate. "
        "With `existing`: whether its listener speaks plain HTTP.",
        examples=[True],
    )
    domain_name: DomainName | None = Field(
        default=None,
        description="Name users reach the service by; its DNS record is yours, unless there is a `hostedZoneId`. "
        "Becomes the output `serviceUrl`.",
        examples=["shop.example.com"],
    )
    hosted_zone_id: HostedZoneId | None = Field(
        default=None,
        description="Route 53's hosted zone of `domainName`, in the stack's account: its DNS record is made there. A "
        "record of that name must not be there yet.",
        examples=["Z0123456789ABCDEFGHIJ"],
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
        description="Addresses that may reach it.",
        examples=[["203.0.113.0/24"]],
    )
    test_allowed_cidrs: tuple[AddressRange, ...] = Field(
        default=(),
        max_length=20,
        description="Addresses that may reach the test listener, which shows versions that nobody has checked yet. "
        "When left out nobody, or with `deploy.testTraffic` those of `allowedCidrs`: its job asks from AWS's "
        "addresses.",
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
    protocol_version: Literal["HTTP1", "HTTP2", "GRPC"] = Field(
        default="HTTP1",
        description="Protocol version of requests to the tasks. HTTP2 and GRPC need a certificate; clients that speak "
        "HTTP/1.1 get an error then.",
        examples=["GRPC"],
    )
    target_protocol: Literal["HTTP", "HTTPS"] = Field(
        default="HTTP",
        description="Protocol of requests to the tasks; with HTTPS their certificate is not checked, it may be "
        "self-signed.",
        examples=["HTTPS"],
    )
    idle_timeout_seconds: int = Field(
        default=IDLE_TIMEOUT,
        ge=1,
        le=4000,  # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
        description="Time without a byte after which a connection is closed; long polling and WebSockets need more.",
        examples=[300],
    )
    stickiness_seconds: int = Field(
        default=0,
        ge=0,
        le=604800,  # https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html
        description="Time for which a client's requests go to the same task, by a cookie of the load balancer; 0 for "
        "no stickiness.",
        examples=[3600],
    )
    slow_start_seconds: int = Field(
        default=0,
        ge=0,
        le=900,
        description="Time in which the share of the requests that a new task gets grows (30 to 900); 0 for all at "
        "once.",
        examples=[60],
    )
    access_logs: bool = Field(
        default=True, description="Whether every request is logged, into a bucket of its own.", examples=[True]
    )
    web_acl_arn: WebAclArn | None = Field(
        default=None,
        description="Web ACL of AWS WAF that judges the requests, in the stack's region; those of the tests, too.",
        examples=["arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/0f0f0f0f-1234-4abc-8def-0123456789ab"],
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

    listeners: dict[ListenerName, ListenerSection] = Field(
        default={},
        description="Further listeners by their names, such as one of a container for administrators: other ports of "
        "the load balancer, each with a target group of the same tasks; with strategy rolling.",
        examples=[{"admin": {"port": 9443, "container": "admin", "healthCheckPath": "/ready"}}],
    )

    @property
    def is_made(self) -> bool:
        """Whether a load balancer is made here."""
        return self.enabled and self.existing is None

    @property
    def production_port(self) -> int:
        """The port users reach the service by."""
        return HTTPS_PORT if self.certificate_arn else HTTP_PORT

    @property
    def effective_test_port(self) -> int:
        """The port of the test listener."""
        return self.test_port or (8443 if self.certificate_arn else 8080)

    @property
    def users_ports(self) -> tuple[int, ...]:
        """The port users reach the service by, and the one that redirects them there."""
        return (HTTPS_PORT, HTTP_PORT) if self.certificate_arn else (HTTP_PORT,)

    def ports(self, *, for_tests: bool, asked: bool) -> Mapping[int, Sequence[str]]:
        """Return who may reach every port it listens on; none where it is not made here.

        Args:
            for_tests: Whether there is a listener for tests, too.
            asked: Whether a job asks that one, from addresses that nobody here knows.
        """
        if not self.is_made:
            return {}
        tests = self.test_allowed_cidrs or (self.allowed_cidrs if asked else ())
        return {
            **dict.fromkeys(self.users_ports, self.allowed_cidrs),
            **({self.effective_test_port: tests} if for_tests else {}),
            **{each.port: each.allowed_cidrs or self.allowed_cidrs for each in self.listeners.values()},
        }

    @property
    def of_further_listeners(self) -> Self:
        """The same as the target groups of further listeners take it: over HTTP/1.1, whatever the users' speaks."""
        check = self.health_check.model_copy(update={"port": None, "protocol": None, "matcher": None})
        return self.model_copy(update={"protocol_version": "HTTP1", "target_protocol": "HTTP", "health_check": check})

    def problems(self) -> Iterator[Problem]:
        """Yield what has no effect without a load balancer, both protocols at once, and a test port that is taken."""
        if not self.enabled:
            yield from self._left_over()
            return
        yield from self._protocol_problems()
        if self.existing is not None:
            yield from self._of_another()
        if self.hosted_zone_id and not self.domain_name:
            yield Problem(
                path=("domainName",),
                message="is missing; hostedZoneId makes the DNS record of a name",
                fix="edit the file: write domainName: <name that users type>",
            )
        if 0 < self.slow_start_seconds < SHORTEST_SLOW_START:
            yield Problem(
                path=("slowStartSeconds",),
                message=f"must be 0, or {SHORTEST_SLOW_START} to 900, got {self.slow_start_seconds}",
                fix="pulumi config set --path 'ecs-delivery:hosting.loadBalancer.slowStartSeconds' "
                f"{SHORTEST_SLOW_START}",
            )
        if self.certificate_arn and self.plain_http:
            yield Problem(
                path=("plainHttp",),
                message="must be false with certificateArn: plain HTTP is redirected to HTTPS then, got true",
                fix="pulumi config set --path 'ecs-delivery:hosting.loadBalancer.plainHttp' false",
            )
        yield from given_twice(self.allowed_cidrs)
        yield from given_twice(self.test_allowed_cidrs, "testAllowedCidrs")
        yield from self._port_problems()
        if self.test_port in self.users_ports:
            yield Problem(
                path=("testPort",),
                message=f"must be another port than the listener's of the users, got {self.test_port}",
                fix="pulumi config rm --path 'ecs-delivery:hosting.loadBalancer.testPort'",
            )

    def _port_problems(self) -> Iterator[Problem]:
        """Yield more further listeners than target groups a service can have, and ports that another one has."""
        if len(self.listeners) > MOST_LISTENERS:
            yield Problem(
                path=("listeners",),
                message=f"must be up to {MOST_LISTENERS} beside the one of the users, because a service has "
                f"{MOST_LISTENERS + 1} target groups at most, got {len(self.listeners)}",
                fix=f"edit the file: leave out {len(self.listeners) - MOST_LISTENERS} of them",
            )
        taken = dict.fromkeys(self.users_ports, "the users' listener")
        given = {*taken, *(listener.port for listener in self.listeners.values())}
        free = (port for port in range(9443, 9943) if port not in given)
        for name, listener in self.listeners.items():
            if listener.port in taken:
                yield Problem(
                    path=("listeners", name, "port"),
                    message=f"must be another port than that of {taken[listener.port]}, got {listener.port}",
                    fix="pulumi config set --path "
                    f"'ecs-delivery:hosting.loadBalancer.listeners.{name}.port' {next(free)}",
                )
            else:
                taken[listener.port] = f"listeners.{name}"

    def _protocol_problems(self) -> Iterator[Problem]:
        """Yield protocol versions that need HTTPS, and codes that the version does not have."""
        if self.protocol_version != "HTTP1" and not (self.certificate_arn or self.existing):
            yield Problem(
                path=("protocolVersion",),
                # https://github.com/aws/copilot-cli/issues/4551
                message=f"must be HTTP1 without certificateArn: AWS takes {self.protocol_version} behind an HTTPS "
                f"listener only, got {self.protocol_version}",
                fix="edit the file: write certificateArn: <certificate of this region>, or "
                "pulumi config set --path 'ecs-delivery:hosting.loadBalancer.protocolVersion' HTTP1",
            )
        lowest, highest = (0, 99) if self.protocol_version == "GRPC" else (200, 499)
        codes = [code for span in self.health_check.ranges for code in span]
        if any(not lowest <= code <= highest for code in codes):
            example = "0,12" if self.protocol_version == "GRPC" else "200-399"
            yield Problem(
                path=("healthCheck", "matcher"),
                message=f"must be codes from {lowest} to {highest} with protocolVersion {self.protocol_version}, "
                f"got {self.health_check.matcher}",
                fix=f"pulumi config set --path 'ecs-delivery:hosting.loadBalancer.healthCheck.matcher' {example}",
            )

    def _of_another(self) -> Iterator[Problem]:
        """Yield the settings of a load balancer and its listeners that somebody else has made."""
        for field in OF_THE_BALANCER:
            if getattr(self, field) != LoadBalancerSection.model_fields[field].default:
                yield Problem(
                    path=(to_camel(field),),
                    message="has an effect only on a load balancer that is made here, not together with existing",
                    fix=f"pulumi config rm --path 'ecs-delivery:hosting.loadBalancer.{to_camel(field)}'",
                )

    def _left_over(self) -> Iterator[Problem]:
        """Yield the settings of a load balancer that is not there."""
        for field, info in LoadBalancerSection.model_fields.items():
            if field != "enabled" and getattr(self, field) != info.default:
                yield Problem(
                    path=(to_camel(field),),
                    message="has an effect only with a load balancer, not with enabled: false",
                    fix=f"pulumi config rm --path 'ecs-delivery:hosting.loadBalancer.{to_camel(field)}'",
                )

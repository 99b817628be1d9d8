"""What is in the account while the engine works: places that only one resource takes, and what may not go while in use.

AWS's services refuse the second claim of a place and the removal of what is used; what they say is read from the models
that botocore ships. A deployment begins with what the stack's state holds.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from local.aws_models import service_model
from local.engine.providers import ecs_service
from local.engine.providers.protocol import Value

Values = Mapping[str, Value]
Key = tuple[Hashable, ...]
NAMESPACE = "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace"
REGISTRY = "aws:servicediscovery/service:Service"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
BUCKET = "aws:s3/bucket:Bucket"
CLUSTER = "aws:ecs/cluster:Cluster"
GROUP = "aws:codedeploy/deploymentGroup:DeploymentGroup"
LISTENER = "aws:lb/listener:Listener"
RECORD = "aws:route53/record:Record"
REPOSITORY = "aws:ecr/repository:Repository"
SUBNET = "aws:ec2/subnet:Subnet"
RULE = "aws:lb/listenerRule:ListenerRule"
SERVICE = ecs_service.TOKEN
DEFINITION = "aws:ecs/taskDefinition:TaskDefinition"
TARGETS = "aws:lb/targetGroup:TargetGroup"


class Refused(Exception):  # noqa: N818 - the service's answer
    """A service says no."""


class Call(NamedTuple):
    """An operation of a service, and an error that it answers with; the names are botocore's.

    Attributes:
        service: Such as ``elbv2``.
        operation: Such as ``CreateListener``.
        error: The error's shape, such as ``DuplicateListenerException``.
        message: What it says, where the model does not.
    """

    service: str
    operation: str
    error: str
    message: str = ""

    def refuse(self, about: str) -> Refused:
        """Return the answer.

        Args:
            about: Which resources it is about.
        """
        said = self.message or documented(self)
        return Refused(f"{self.service} {self.operation}: {self.error}: {said} ({about})")


@cache
def documented(call: Call) -> str:
    """Return what the service's model says of an error; empty where the operation does not have it."""
    model = service_model(call.service).operation_model(call.operation)
    shape = next((shape for shape in model.error_shapes if shape.name == call.error), None)
    text = shape.documentation if shape else ""
    return re.sub(r"<[^>]+>", "", text).partition(" For more information")[0].strip()


@dataclass(frozen=True, slots=True)
class Place:
    """A place that only one resource can take.

    Attributes:
        call: What a second claim is answered with.
        keys: The places that a resource takes, by its inputs.
    """

    call: Call
    keys: Callable[[Values], Iterable[Key]]


def _of(*names: str) -> Callable[[Values], Iterable[Key]]:
    """The place is these inputs together."""
    return lambda inputs: [tuple(_text(inputs[name]) for name in names)] if all(map(inputs.get, names)) else []


def _text(value: Value) -> str:
    """A value in one way: a whole number travels as 80.0, and is kept as 80."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _services(inputs: Values) -> Iterator[Key]:
    """The services of a deployment group."""
    service = inputs.get("ecsService")
    if isinstance(service, dict):
        yield (str(service.get("clusterName")), str(service.get("serviceName")))


def _registered_names(inputs: Values) -> Iterator[Key]:
    """The DNS name of a service of Cloud Map."""
    config = inputs.get("dnsConfig")
    if isinstance(config, dict):
        yield (str(config.get("namespaceId")), str(inputs.get("name")).lower())


def _named(service: str, operation: str, error: str, name: str = "name") -> tuple[Place, ...]:
    return (Place(Call(service, operation, error), _of(name)),)


PLACES: Mapping[str, tuple[Place, ...]] = {
    LISTENER: (Place(Call("elbv2", "CreateListener", "DuplicateListenerException"), _of("loadBalancerArn", "port")),),
    RULE: (Place(Call("elbv2", "CreateRule", "PriorityInUseException"), _of("listenerArn", "priority")),),
    BALANCER: _named("elbv2", "CreateLoadBalancer", "DuplicateLoadBalancerNameException"),
    TARGETS: _named("elbv2", "CreateTargetGroup", "DuplicateTargetGroupNameException"),
    SERVICE: (
        Place(
            # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
            Call("ecs", "CreateService", "InvalidParameterException", "Creation of service was not idempotent."),
            _of("cluster", "name"),
        ),
    ),
    GROUP: (
        Place(
            Call("codedeploy", "CreateDeploymentGroup", "DeploymentGroupAlreadyExistsException"),
            _of("appName", "deploymentGroupName"),
        ),
        Place(Call("codedeploy", "CreateDeploymentGroup", "ECSServiceMappingLimitExceededException"), _services),
    ),
    "aws:codedeploy/application:Application": _named(
        "codedeploy", "CreateApplication", "ApplicationAlreadyExistsException"
    ),
    "aws:codedeploy/deploymentConfig:DeploymentConfig": _named(
        "codedeploy", "CreateDeploymentConfig", "DeploymentConfigAlreadyExistsException", "deploymentConfigName"
    ),
    RECORD: (
        Place(
            # https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html: CREATE
            Call(
                "route53",
                "ChangeResourceRecordSets",
                "InvalidChangeBatch",
                "Tried to create resource record set but it already exists",
            ),
            _of("zoneId", "name", "type"),
        ),
    ),
    REPOSITORY: _named("ecr", "CreateRepository", "RepositoryAlreadyExistsException"),
    "aws:servicediscovery/httpNamespace:HttpNamespace": _named(
        "servicediscovery", "CreateHttpNamespace", "NamespaceAlreadyExists"
    ),
    NAMESPACE: (
        Place(Call("servicediscovery", "CreatePrivateDnsNamespace", "NamespaceAlreadyExists"), _of("vpc", "name")),
    ),
    REGISTRY: (Place(Call("servicediscovery", "CreateService", "ServiceAlreadyExists"), _registered_names),),
    BUCKET: _named("s3", "CreateBucket", "BucketAlreadyOwnedByYou", "bucket"),
    "aws:iam/role:Role": _named("iam", "CreateRole", "EntityAlreadyExistsException"),
    "aws:cloudwatch/logGroup:LogGroup": _named("logs", "CreateLogGroup", "ResourceAlreadyExistsException"),
    "aws:lambda/function:Function": _named("lambda", "CreateFunction", "ResourceConflictException"),
    "aws:lambda/permission:Permission": (
        Place(Call("lambda", "AddPermission", "ResourceConflictException"), _of("function", "statementId")),
    ),
    "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": _named(
        "chatbot", "CreateSlackChannelConfiguration", "ConflictException", "configurationName"
    ),
    "aws:chatbot/teamsChannelConfiguration:TeamsChannelConfiguration": _named(
        "chatbot", "CreateMicrosoftTeamsChannelConfiguration", "ConflictException", "configurationName"
    ),
    "aws:codebuild/project:Project": _named("codebuild", "CreateProject", "ResourceAlreadyExistsException"),
    "aws:codebuild/fleet:Fleet": _named("codebuild", "CreateFleet", "ResourceAlreadyExistsException"),
    "aws:codebuild/reportGroup:ReportGroup": _named("codebuild", "CreateReportGroup", "ResourceAlreadyExistsException"),
    "aws:codepipeline/pipeline:Pipeline": _named("codepipeline", "CreatePipeline", "PipelineNameInUseException"),
}
"""The places by the type that takes them."""
PUT = frozenset(
    {
        "aws:cloudwatch/eventRule:EventRule",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:kms/keyPolicy:KeyPolicy",
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketObjectv2:BucketObjectv2",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:sns/topic:Topic",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:wafv2/webAclAssociation:WebAclAssociation",
    }
)
"""Types that are put in the place of what is there, so that two resources of the program may be one in AWS."""


@dataclass(slots=True)
class Resource:
    """Something that is there.

    Attributes:
        urn: Which resource of the program it is.
        token: Its type.
        identity: Its ID.
        values: Its inputs, and where it has none what AWS has made up.
    """

    urn: str
    token: str
    identity: str
    values: dict[str, Value]

    @property
    def name(self) -> str:
        """Its name in the program."""
        return self.urn.rpartition("::")[2]

    @property
    def places(self) -> list[tuple[Call, Key]]:
        """The places that it takes."""
        places = PLACES.get(self.token, ())
        return [(place.call, (self.region, *key)) for place in places for key in place.keys(self.values)]

    @property
    def region(self) -> str:
        """Where it is; empty for what is in all of them, such as a role."""
        return str(self.values.get("region", ""))


@dataclass(slots=True)
class World:
    """The account, for one operation of the engine.

    Attributes:
        resources: What is there.
        deployments: Which services ECS deploys by itself because they were changed, and what it does so for.
    """

    resources: list[Resource] = field(default_factory=list)
    deployments: list[str] = field(default_factory=list)
    _gone: list[Resource] = field(default_factory=list)
    _freed: dict[tuple[Call, Key], Resource] = field(default_factory=dict)
    _handed_over: list[tuple[Call, Resource, Resource]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, resources: Iterable[Mapping[str, Any]]) -> World:
        """Return the account as a stack's state has it."""
        there = (found for found in resources if found.get("custom") and found["type"].startswith("aws:"))
        return cls(
            [
                Resource(each["urn"], each["type"], each["id"], {**each.get("outputs", {}), **each.get("inputs", {})})
                for each in there
                if each.get("id")
            ]
        )

    def seed(self, urn: str) -> str:
        """Return what tells the next resource of a URN apart from the one that is there, or was."""
        with self._lock:
            before = [each for each in (*self._gone, *self.resources) if each.urn == urn]
        return f"{urn}#{before[-1].identity}" if before else urn

    def make(self, resource: Resource) -> None:
        """Have a resource that is made.

        Raises:
            Refused: A place of it is taken, or it cannot be.
        """
        with self._lock:
            if check := _WRONG.get(resource.token):
                check(self, None, resource)
            self._claim(resource, None)
            self.resources.append(resource)

    def change(self, resource: Resource) -> None:
        """Have a resource as it is now.

        Raises:
            Refused: A place that it takes now is taken by another one.
        """
        with self._lock:
            before = self._find(resource.token, resource.identity)
            if check := _WRONG.get(resource.token):
                check(self, before, resource)
            self._claim(resource, before)
            if before:
                self._free((place for place in before.places if place not in resource.places), resource)
                self.resources.remove(before)
            self.resources.append(resource)

    def remove(self, token: str, identity: str, urn: str = "") -> None:
        """Have a resource no more.

        Raises:
            Refused: It is protected, in use, not empty, or another one's, too.
        """
        with self._lock:
            found = self._find(token, identity, urn)
            if found is None:
                return
            if check := _IN_THE_WAY.get(token):
                check(self, found)
            self._check_twins(found)
            self.resources.remove(found)
            self._gone.append(found)
            self._free(found.places, found)
            if token == BALANCER:  # its listeners go with it, and their rules
                arns = {other.identity for other in self.resources if other.values.get("loadBalancerArn") == identity}
                self.resources[:] = [
                    other
                    for other in self.resources
                    if other.identity not in arns and other.values.get("listenerArn") not in arns
                ]

    def handed_over_in_no_order(self, dependencies: Mapping[str, Iterable[str]]) -> list[str]:
        """Return the places that one resource has left and another one has taken with nothing that orders the two.

        Whether that works on AWS is a race, whichever way it went here.

        Args:
            dependencies: What each URN depends on, parents included.
        """
        return [
            f"{later.name} takes the place of {earlier.name} in the same update, and does not depend on it: "
            f"{call.service} {call.operation} may answer {call.error}"
            for call, earlier, later in self._handed_over
            if earlier.urn != later.urn and earlier.urn not in _all(later.urn, dependencies)
        ]

    def _find(self, token: str, identity: str, urn: str = "") -> Resource | None:
        found = (each for each in self.resources if (each.token, each.identity) == (token, identity))
        return next((each for each in found if urn in ("", each.urn)), None)

    def _check_twins(self, resource: Resource) -> None:
        """Refuse what AWS does not: a removal that takes what another resource of the program has just put there."""
        for other in self.resources:
            same = (other.token, other.identity, other.region) == (resource.token, resource.identity, resource.region)
            if same and other is not resource and resource.token in PUT:
                raise Refused(
                    f"{other.name} has taken the place of {resource.name}, which is the same in AWS "
                    f"({resource.identity}): its removal would remove both. Give {other.name} an alias instead."
                )

    def _claim(self, resource: Resource, before: Resource | None) -> None:
        kept = before.places if before else []
        for call, key in (place for place in resource.places if place not in kept):
            for other in self.resources:
                if other is not before and (call, key) in other.places:
                    raise call.refuse(f"{other.name} is there: {', '.join(filter(None, map(str, key)))}")
            if earlier := self._freed.get((call, key)):
                self._handed_over.append((call, earlier, resource))

    def _free(self, places: Iterable[tuple[Call, Key]], resource: Resource) -> None:
        self._freed |= dict.fromkeys(places, resource)


def _all(urn: str, dependencies: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything that a resource depends on."""
    found, open_ = set[str](), [urn]
    while open_:
        for other in dependencies.get(open_.pop(), ()):
            if other not in found:
                found.add(other)
                open_.append(other)
    return found


# What cannot be.


def _is_no_listener(world: World, before: Resource | None, listener: Resource) -> None:
    operation = "ModifyListener" if before else "CreateListener"
    if listener.values.get("protocol") != "HTTP":
        return
    for group in (other for other in world.resources if other.token == TARGETS):
        version = group.values.get("protocolVersion", "HTTP1")
        if version != "HTTP1" and group.identity in str(listener.values.get("defaultActions")):
            # https://github.com/aws/copilot-cli/issues/4551
            message = (
                f"Listener protocol 'HTTP' is not supported with a target group with the protocol-version '{version}'"
            )
            raise Call("elbv2", operation, "InvalidLoadBalancerActionException", message).refuse(listener.name)
    if listener.values.get("sslPolicy"):
        # AWS's provider keeps the policy that is no longer given: terraform-provider-aws#1851, #10961.
        message = "An SSL policy cannot be specified for HTTP listeners"
        raise Call("elbv2", operation, "ValidationError", message).refuse(listener.name)


def _reaches_nothing(world: World, before: Resource | None, service: Resource) -> None:
    """Refuse load balancers that ECS does not take; of what the pipeline has deployed the engine knows nothing."""
    for definition in (other for other in world.resources if other.token == DEFINITION):
        if definition.values.get("arn") != service.values.get("taskDefinition"):
            continue
        containers = json.loads(str(definition.values["containerDefinitions"]))
        if message := ecs_service.load_balancers(service.values, containers):
            call = Call("ecs", "UpdateService" if before else "CreateService", "InvalidParameterException", message)
            raise call.refuse(service.name)


def _is_not_updated(world: World, before: Resource | None, service: Resource) -> None:
    _reaches_nothing(world, before, service)

    def has_role() -> bool:
        runs = (other for other in world.resources if other.values.get("arn") == service.values.get("taskDefinition"))
        return all(definition.values.get("taskRoleArn") for definition in runs)

    if before and (message := ecs_service.refusal(before.values, service.values, has_role)):
        raise Call("ecs", "UpdateService", "InvalidParameterException", message).refuse(service.name)
    if before and before.values.get("alarms") and not service.values.get("alarms"):
        # AWS's provider sends the block without names: https://github.com/aws-controllers-k8s/community/issues/2087.
        message = "missing required field, UpdateServiceInput.DeploymentConfiguration.Alarms.AlarmNames"
        raise Call("ecs", "UpdateService", "1 validation error(s) found", message).refuse(service.name)


def _is_no_rule(world: World, _before: Resource | None, rule: Resource) -> None:
    """Refuse a target group of another load balancer: it belongs to one."""

    def balancer(resource: Resource) -> str:
        listener = str(resource.values.get("listenerArn") or resource.identity)
        return listener.partition(":listener/")[2].rpartition("/")[0]

    for group in (other for other in world.resources if other.token == TARGETS):
        for other in (other for other in world.resources if other.token in (LISTENER, RULE)):
            forwards = str(other.values.get("defaultActions") or other.values.get("actions"))
            both = group.identity in forwards and group.identity in str(rule.values.get("actions"))
            if both and balancer(other) != balancer(rule):
                call = Call("elbv2", "CreateRule", "TargetGroupAssociationLimitException")
                raise call.refuse(f"{other.name} forwards to {group.name}")


_WRONG: Mapping[str, Callable[[World, Resource | None, Resource], None]] = {
    LISTENER: _is_no_listener,
    RULE: _is_no_rule,
    SERVICE: _is_not_updated,
}


# What may not go.


def _is_protected(_world: World, balancer: Resource) -> None:
    if balancer.values.get("enableDeletionProtection") is True:
        call = Call("elbv2", "DeleteLoadBalancer", "OperationNotPermittedException")
        raise call.refuse(f"{balancer.name} has deletion protection")


def _is_forwarded_to(world: World, group: Resource) -> None:
    for other in world.resources:
        actions = other.values.get("defaultActions") if other.token == LISTENER else other.values.get("actions")
        if other.token in (LISTENER, RULE) and group.identity in str(actions):
            call = Call("elbv2", "DeleteTargetGroup", "ResourceInUseException")
            raise call.refuse(f"{other.name} forwards to {group.name}")


def _has_images(_world: World, repository: Resource) -> None:
    if repository.values.get("forceDelete") is not True:  # after any run of the pipeline it has some
        raise Call("ecr", "DeleteRepository", "RepositoryNotEmptyException").refuse(repository.name)


def _has_objects(_world: World, bucket: Resource) -> None:
    if bucket.values.get("forceDestroy") is not True:  # after any run of the pipeline it has some
        # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        message = "The bucket you tried to delete is not empty."
        raise Call("s3", "DeleteBucket", "BucketNotEmpty", message).refuse(bucket.name)


def _has_services(world: World, cluster: Resource) -> None:
    services = (other for other in world.resources if (other.token, other.region) == (SERVICE, cluster.region))
    for other in services:
        if str(other.values.get("cluster")).rpartition("/")[2] == cluster.values.get("name"):
            raise Call("ecs", "DeleteCluster", "ClusterContainsServicesException").refuse(other.name)


def _has_tasks(world: World, subnet: Resource) -> None:
    for service in (other for other in world.resources if other.token == SERVICE):
        if subnet.identity in str(service.values.get("networkConfiguration")):
            # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
            message = f"The subnet '{subnet.identity}' has dependencies and cannot be deleted."
            raise Call("ec2", "DeleteSubnet", "DependencyViolation", message).refuse(
                f"tasks of {service.name} run there"
            )


def _has_registries(world: World, namespace: Resource) -> None:
    for registry in (other for other in world.resources if other.token == REGISTRY):
        if namespace.identity in str(registry.values.get("dnsConfig")):
            raise Call("servicediscovery", "DeleteNamespace", "ResourceInUse").refuse(f"{registry.name} is in it")


def _has_instances(world: World, registry: Resource) -> None:
    """Refuse one with tasks, unless AWS's provider takes them out first."""
    for service in (other for other in world.resources if other.token == SERVICE):
        used = str(registry.values.get("arn")) in str(service.values.get("serviceRegistries"))
        if used and registry.values.get("forceDestroy") is not True:
            call = Call("servicediscovery", "DeleteService", "ResourceInUse")
            raise call.refuse(f"tasks of {service.name} are registered")


_IN_THE_WAY: Mapping[str, Callable[[World, Resource], None]] = {
    BALANCER: _is_protected,
    TARGETS: _is_forwarded_to,
    REPOSITORY: _has_images,
    BUCKET: _has_objects,
    CLUSTER: _has_services,
    NAMESPACE: _has_registries,
    REGISTRY: _has_instances,
    SUBNET: _has_tasks,
}

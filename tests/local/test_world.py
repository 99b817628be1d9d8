"""Places that only one resource takes, and what may not go while it is in use: as AWS's services have it."""

from __future__ import annotations

import pytest
from local_provider import Provider, Refused, Values

from local.engine.providers import world
from local.engine.providers.protocol import Value
from local.engine.providers.world import BALANCER, LISTENER, PLACES, RULE, SERVICE, TARGETS, Call, Resource, World

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/0123456789abcdef"
GROUP = world.GROUP
REPOSITORY = world.REPOSITORY
CALLS = {place.call for places in PLACES.values() for place in places}
TAKEN: dict[str, tuple[str, Values, Values, str]] = {
    "a listener's port": (
        LISTENER,
        {"loadBalancerArn": ARN, "port": 80.0},
        {"loadBalancerArn": ARN, "port": 443.0},
        "elbv2 CreateListener: DuplicateListenerException: A listener with the specified port already exists.",
    ),
    "a rule's priority": (
        RULE,
        {"listenerArn": ARN, "priority": 1.0},
        {"listenerArn": ARN, "priority": 2.0},
        "elbv2 CreateRule: PriorityInUseException: The specified priority is in use.",
    ),
    "a service in its cluster": (
        SERVICE,
        {"cluster": "shop", "name": "shop"},
        {"cluster": "other", "name": "shop"},
        "ecs CreateService: InvalidParameterException: Creation of service was not idempotent.",
    ),
    "a name": (
        TARGETS,
        {"name": "shop-blue"},
        {"name": "shop-green"},
        "elbv2 CreateTargetGroup: DuplicateTargetGroupNameException: A target group with the specified name already",
    ),
    "a namespace": (
        "aws:servicediscovery/httpNamespace:HttpNamespace",
        {"name": "shop"},
        {"name": "other"},
        "servicediscovery CreateHttpNamespace: NamespaceAlreadyExists: ",
    ),
    "a DNS name": (
        world.REGISTRY,
        {"name": "shop", "dnsConfig": {"namespaceId": "ns-1"}},
        {"name": "shop", "dnsConfig": {"namespaceId": "ns-2"}},
        "servicediscovery CreateService: ServiceAlreadyExists: ",
    ),
    "a deployment group's service": (
        GROUP,
        {"appName": "shop", "deploymentGroupName": "a", "ecsService": {"clusterName": "shop", "serviceName": "shop"}},
        {"appName": "shop", "deploymentGroupName": "c", "ecsService": {"clusterName": "shop", "serviceName": "other"}},
        "codedeploy CreateDeploymentGroup: DeploymentGroupAlreadyExistsException: ",
    ),
}


def made(token: str, values: Values, name: str = "first") -> Resource:
    return Resource(Provider.urn(token, name), token, f"id of {name}", values)


@pytest.mark.parametrize("call", sorted(CALLS), ids=lambda call: f"{call.service} {call.operation}")
def test_each_refusal_is_one_that_the_services_model_has(call: Call) -> None:
    """botocore ships AWS's own models; a message of our own is only for errors that they do not describe."""
    assert world.documented(call) or call.message


@pytest.mark.parametrize("what", TAKEN)
def test_a_place_that_is_taken_is_refused_and_another_one_is_not(what: str) -> None:
    token, taken, free, said = TAKEN[what]
    account = World()
    account.make(made(token, taken))
    account.make(made(token, free, "second"))
    with pytest.raises(world.Refused) as refused:
        account.make(made(token, dict(taken), "third"))
    assert str(refused.value).startswith(said)
    assert "(first is there: " in str(refused.value)
    with pytest.raises(world.Refused):
        account.change(made(token, dict(taken), "second"))
    account.remove(token, "id of first")
    account.make(made(token, dict(taken), "third"))


def test_a_name_is_taken_in_its_region_alone() -> None:
    """All of a stack is made anew when its region is edited, before the old one goes."""
    account = World()
    alarm = "aws:cloudwatch/metricAlarm:MetricAlarm"
    for token in (TARGETS, alarm):
        account.make(made(token, {"name": "shop", "region": "eu-west-1"}))
        account.make(made(token, {"name": "shop", "region": "eu-central-1"}, "second"))
    account.make(Resource(Provider.urn(alarm, "first"), alarm, "shop", {"region": "eu-west-1"}))
    account.make(Resource(Provider.urn(alarm, "third"), alarm, "shop", {"region": "eu-central-1"}))
    account.remove(alarm, "shop", Provider.urn(alarm, "first"))


def test_a_service_belongs_to_one_deployment_group() -> None:
    _, taken, _, _ = TAKEN["a deployment group's service"]
    account = World()
    account.make(made(GROUP, taken))
    with pytest.raises(world.Refused, match="ECSServiceMappingLimitExceededException"):
        account.make(made(GROUP, {**taken, "deploymentGroupName": "b"}, "second"))


def test_a_number_is_the_same_as_it_travels_and_as_it_is_kept() -> None:
    account = World()
    account.make(made(LISTENER, {"loadBalancerArn": ARN, "port": 80}))
    with pytest.raises(world.Refused, match="DuplicateListenerException"):
        account.make(made(LISTENER, {"loadBalancerArn": ARN, "port": 80.0}, "second"))


def test_a_place_that_is_handed_over_in_no_order_is_told_and_in_order_it_is_not() -> None:
    """AWS decides such a race as it likes."""
    account = World()
    first, second = made(LISTENER, {"loadBalancerArn": ARN, "port": 80.0}), Provider.urn(LISTENER, "second")
    account.make(first)
    account.change(made(LISTENER, {"loadBalancerArn": ARN, "port": 443.0}))
    account.make(made(LISTENER, {"loadBalancerArn": ARN, "port": 80.0}, "second"))
    assert account.handed_over_in_no_order({}) == [
        (
            "second takes the place of first in the same update, and does not depend on it: "
            "elbv2 CreateListener may answer DuplicateListenerException"
        )
    ]
    between = Provider.urn(LISTENER, "between")
    assert account.handed_over_in_no_order({second: [between], between: [first.urn]}) == []


@pytest.mark.parametrize(
    ("resource", "beside", "said"),
    [
        (
            made(BALANCER, {"enableDeletionProtection": True}),
            [],
            "elbv2 DeleteLoadBalancer: OperationNotPermittedException: This operation is not allowed.",
        ),
        (
            made(TARGETS, {}),
            [made(LISTENER, {"defaultActions": [{"type": "forward", "targetGroupArn": "id of first"}]}, "users")],
            "elbv2 DeleteTargetGroup: ResourceInUseException: A specified resource is in use. (users forwards",
        ),
        (
            made(TARGETS, {}),
            [made(RULE, {"actions": [{"forward": {"targetGroups": [{"arn": "id of first"}]}}]}, "users")],
            "elbv2 DeleteTargetGroup: ResourceInUseException: A specified resource is in use. (users forwards",
        ),
        (made(REPOSITORY, {"forceDelete": False}), [], "ecr DeleteRepository: RepositoryNotEmptyException: "),
        (made(world.BUCKET, {}), [], "s3 DeleteBucket: BucketNotEmpty: The bucket you tried to delete is not empty."),
        (
            made(world.CLUSTER, {"name": "shop"}),
            [made(SERVICE, {"cluster": "arn:aws:ecs:eu-west-1:123456789012:cluster/shop", "name": "shop"}, "service")],
            "ecs DeleteCluster: ClusterContainsServicesException: ",
        ),
        (
            made(world.NAMESPACE, {"name": "shop.internal"}),
            [made(world.REGISTRY, {"dnsConfig": {"namespaceId": "id of first"}}, "registry")],
            "servicediscovery DeleteNamespace: ResourceInUse: ",
        ),
        (
            made(world.REGISTRY, {"arn": "arn of first"}),
            [made(SERVICE, {"serviceRegistries": {"registryArn": "arn of first"}}, "service")],
            "servicediscovery DeleteService: ResourceInUse: ",
        ),
    ],
    ids=["protected", "listener", "rule", "images", "objects", "services", "names", "instances"],
)
def test_what_is_in_use_is_not_removed(resource: Resource, beside: list[Resource], said: str) -> None:
    account = World([resource, *beside])
    with pytest.raises(world.Refused) as refused:
        account.remove(resource.token, resource.identity)
    assert str(refused.value).startswith(said)
    assert resource in account.resources


def test_a_registry_whose_tasks_the_provider_takes_out_goes() -> None:
    """https://github.com/hashicorp/terraform-provider-aws/issues/4853"""
    registry = made(world.REGISTRY, {"arn": "arn of first", "forceDestroy": True})
    account = World([registry, made(SERVICE, {"serviceRegistries": {"registryArn": "arn of first"}}, "service")])
    account.remove(registry.token, registry.identity)
    assert registry not in account.resources


def test_what_has_been_put_in_the_place_of_another_resource_is_not_removed_with_it() -> None:
    """A bucket policy, say, of another name in the program: Pulumi puts the new one first, and deletes the old one."""
    policy = "aws:s3/bucketPolicy:BucketPolicy"
    old, new = (Resource(Provider.urn(policy, name), policy, "shop-artifacts", {}) for name in ("old", "new"))
    account = World([old])
    account.make(new)
    with pytest.raises(world.Refused, match=r"^new has taken the place of old, .* Give new an alias instead"):
        account.remove(policy, "shop-artifacts", old.urn)


def test_listeners_go_with_their_load_balancer_and_rules_with_their_listener() -> None:
    balancer = made(BALANCER, {})
    listener = made(LISTENER, {"loadBalancerArn": balancer.identity}, "listener")
    rule, group = made(RULE, {"listenerArn": listener.identity}, "rule"), made(TARGETS, {}, "group")
    account = World([balancer, listener, rule, group])
    account.remove(BALANCER, balancer.identity)
    assert account.resources == [group]


def test_a_resource_that_replaces_another_one_has_another_name_and_another_id() -> None:
    provider = Provider()
    inputs: Values = {"port": 80.0, "vpcId": "vpc-1", "targetType": "ip"}
    first, _ = provider.check(TARGETS, dict(inputs))
    identity, _ = provider.create(TARGETS, first)
    second, _ = provider.check(TARGETS, {**inputs, "port": 81.0})
    assert second["name"] != first["name"]
    assert provider.create(TARGETS, second)[0] != identity
    kept, _ = provider.check(TARGETS, dict(inputs), olds=first)
    assert kept["name"] == first["name"]


def test_what_a_service_refuses_ends_the_call_with_its_words() -> None:
    provider = Provider()
    inputs: Values = {"loadBalancerArn": ARN, "port": 80.0, "protocol": "HTTP", "sslPolicy": "policy"}
    identity, state = provider.create(LISTENER, {"loadBalancerArn": ARN, "port": 80.0})
    with pytest.raises(Refused, match=r"ValidationError: An SSL policy cannot be specified for HTTP listeners"):
        provider.update(LISTENER, state, {}, inputs, identity)
    identity, state = provider.create(SERVICE, {"name": "shop", "alarms": {"enable": True}})
    with pytest.raises(
        Refused, match=r"missing required field, UpdateServiceInput\.DeploymentConfiguration\.Alarms\.AlarmN"
    ):
        provider.update(SERVICE, state, {"name": "shop", "alarms": {"enable": True}}, {"name": "shop"}, identity)


@pytest.mark.parametrize("version", ["HTTP2", "GRPC"])
def test_plain_http_is_refused_in_front_of_targets_that_speak_http_2(version: str) -> None:
    account = World([made(TARGETS, {"protocolVersion": version}, "group")])
    actions: list[Value] = [{"type": "forward", "targetGroupArn": "id of group"}]
    account.make(made(LISTENER, {"protocol": "HTTPS", "defaultActions": actions}))
    with pytest.raises(world.Refused, match=f"with a target group with the protocol-version '{version}'"):
        account.make(made(LISTENER, {"protocol": "HTTP", "defaultActions": actions}, "second"))


def test_a_target_group_belongs_to_one_load_balancer() -> None:
    def listener(balancer: str, number: int) -> str:
        return f"arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/{balancer}/0123456789abcdef/{number}"

    actions: list[Value] = [{"type": "forward", "targetGroupArn": "id of group"}]
    account = World([made(TARGETS, {}, "group")])
    account.make(made(RULE, {"listenerArn": listener("one", 1), "priority": 1.0, "actions": actions}))
    account.make(made(RULE, {"listenerArn": listener("one", 2), "priority": 1.0, "actions": actions}, "second"))
    with pytest.raises(
        world.Refused, match=r"elbv2 CreateRule: TargetGroupAssociationLimitException: .*first forwards"
    ):
        account.make(made(RULE, {"listenerArn": listener("two", 1), "priority": 1.0, "actions": actions}, "third"))

"""What the local provider makes of changed properties is what AWS's provider makes of them, by its own source."""

from __future__ import annotations

import pytest
from local_provider import SDK, Provider, Values
from summary import program, stack_files

from local.engine.providers import changes
from local.engine.providers.catalogue import KINDS

APPLICATION = "aws:codedeploy/application:Application"
CONFIGURATION = "aws:codedeploy/deploymentConfig:DeploymentConfig"
BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
LOGS = "aws:cloudwatch/logGroup:LogGroup"
POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
REPOSITORY = "aws:ecr/repository:Repository"
SERVICE = "aws:ecs/service:Service"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
ROWS = {(token, name): row for token, rows in changes.table().items() for name, row in rows.items()}


def given() -> set[tuple[str, str]]:
    """Each property that a stack file here gives, with its type."""
    return {
        (resource.type, name)
        for stack in stack_files()
        for resource in program(stack)
        if resource.custom and resource.type.startswith("aws:")
        for name in resource.inputs
    }


@pytest.fixture
def provider() -> Provider:
    return Provider()


def test_every_type_of_the_program_is_in_the_table() -> None:
    assert KINDS.keys() <= changes.table().keys()


@pytest.mark.parametrize("token", changes.table())
def test_the_table_speaks_of_properties_that_the_sdk_has(token: str) -> None:
    """A misspelt property would silently be updated."""
    assert changes.table()[token].keys() - {"namePrefix"} <= SDK.resource(token).inputs.properties.keys()


def test_it_is_known_what_a_change_of_every_given_property_means(provider: Provider) -> None:
    found, expected = {}, {}
    for token, name in given():
        row, condition = ROWS[token, name], changes.CONDITIONS.get((token, name))
        assert row.force_new != "?"
        assert bool(condition) == row.force_new.startswith("conditional"), (token, name)
        response = provider.diff(token, {name: "old", "tags": "x"}, {name: "new", "tags": "x"})
        found[token, name] = list(response.replaces)
        # Conditions hold for what the program gives: none of its load balancers is a network load balancer, and its
        # service never has forceNewDeployment.
        always = row.force_new.startswith(("yes", "conditional: yes unless forceNewDeployment"))
        expected[token, name] = [name] if always else []
    assert len(found) > 200
    assert found == expected


def test_what_replaces_only_under_a_condition_does_so_where_the_condition_is_not_known_here(provider: Provider) -> None:
    """A preview must not hide a replacement."""
    conditional = {
        (token, name) for (token, name), row in ROWS.items() if row.force_new.startswith("conditional")
    } - changes.CONDITIONS.keys()
    for token, name in conditional:
        assert list(provider.diff(token, {name: "old"}, {name: "new"}).replaces) == [name]


def test_subnets_and_security_groups_replace_a_network_load_balancer_alone(provider: Provider) -> None:
    for kind, replaced in (("network", ["subnets"]), ("application", [])):
        response = provider.diff(
            BALANCER,
            {"loadBalancerType": kind, "subnets": ["a", "b"]},
            {"loadBalancerType": kind, "subnets": ["a", "c"]},
        )
        assert list(response.replaces) == replaced


def test_a_registry_is_another_one_with_another_namespace_or_type_of_record_alone(provider: Provider) -> None:
    registry = "aws:servicediscovery/service:Service"
    old: Values = {"dnsConfig": {"namespaceId": "ns-1", "dnsRecords": [{"type": "A", "ttl": 10.0}]}}
    edited: list[tuple[Values, list[str]]] = [
        ({"namespaceId": "ns-1", "dnsRecords": [{"type": "A", "ttl": 60.0}]}, []),
        ({"namespaceId": "ns-2", "dnsRecords": [{"type": "A", "ttl": 10.0}]}, ["dnsConfig"]),
        ({"namespaceId": "ns-1", "dnsRecords": [{"type": "SRV", "ttl": 10.0}]}, ["dnsConfig"]),
    ]
    for config, replaced in edited:
        assert list(provider.diff(registry, old, {"dnsConfig": config}).replaces) == replaced


def test_a_set_in_another_order_is_no_change_and_a_list_is_one(provider: Provider) -> None:
    same = provider.diff(BALANCER, {"subnets": ["a", "b"]}, {"subnets": ["b", "a"]})
    assert same.changes == same.DIFF_NONE
    other = provider.diff(
        LISTENER, {"defaultActions": [{"type": "a"}, {"type": "b"}]}, {"defaultActions": [{"type": "b"}, {"type": "a"}]}
    )
    assert other.changes == other.DIFF_UNKNOWN


def test_a_value_that_is_dropped_and_that_aws_has_itself_stays(provider: Provider) -> None:
    old: Values = {"loadBalancerArn": "x", "port": 443.0, "protocol": "HTTPS", "sslPolicy": "policy"}
    new: Values = {"loadBalancerArn": "x", "port": 443.0, "protocol": "HTTPS"}
    response = provider.diff(LISTENER, old, new)
    assert response.changes == response.DIFF_NONE
    identity, state = provider.create(LISTENER, old)
    updated = provider.update(LISTENER, state, old, {**new, "port": 8443.0}, identity)
    assert (updated["port"], updated["sslPolicy"]) == (8443.0, "policy")


def test_a_value_that_is_given_as_it_is_already_is_no_change(provider: Provider) -> None:
    response = provider.diff(LOGS, {"name": "x"}, {"name": "x", "region": "eu-west-1"}, state={"region": "eu-west-1"})
    assert response.changes == response.DIFF_NONE
    response = provider.diff(LOGS, {"name": "x"}, {"name": "x", "region": "eu-west-2"}, state={"region": "eu-west-1"})
    assert list(response.replaces) == ["region"]


@pytest.mark.parametrize(
    ("token", "old", "new", "first"),
    [
        (APPLICATION, {"name": "shop", "computePlatform": "ECS"}, {"name": "shop", "computePlatform": "Lambda"}, True),
        (REPOSITORY, {"name": "shop"}, {"name": "store"}, True),
        (POLICY, {"repository": "shop", "policy": "a"}, {"repository": "shop", "policy": "b"}, True),
        (TARGET, {"rule": "a", "targetId": "pipeline"}, {"rule": "b", "targetId": "pipeline"}, True),
        (TARGET, {"rule": "a"}, {"rule": "b"}, False),
        (CONFIGURATION, {"deploymentConfigName": "a"}, {"deploymentConfigName": "b"}, False),
        (SERVICE, {"name": "shop", "desiredCount": 1.0}, {"name": "shop", "desiredCount": 2.0}, False),
    ],
    ids=["same name", "another name", "by its type", "target's name", "target without one", "configuration", "update"],
)
def test_a_resource_whose_name_is_given_is_deleted_before_the_new_one_is_made(
    token: str, old: Values, new: Values, first: bool, provider: Provider
) -> None:
    assert provider.diff(token, old, new).deleteBeforeReplace is first


def test_a_resource_whose_name_is_made_up_is_made_before_the_old_one_is_deleted(provider: Provider) -> None:
    old: Values = {"name": provider.check(APPLICATION, {})[0]["name"], "computePlatform": "ECS"}
    response = provider.diff(APPLICATION, old, {**old, "computePlatform": "Lambda"})
    assert (list(response.replaces), response.deleteBeforeReplace) == (["computePlatform"], False)


def test_of_a_type_that_nobody_has_reviewed_the_name_cannot_change(provider: Provider) -> None:
    table = "aws:dynamodb/table:Table"
    for name, replaced in (("name", ["name"]), ("hashKey", [])):
        assert list(provider.diff(table, {name: "old"}, {name: "new"}).replaces) == replaced

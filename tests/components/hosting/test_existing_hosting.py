"""A service that somebody else made: named in the stack file, found, and left as it is."""

from __future__ import annotations

from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import EXECUTION_ROLE, KEY, PRODUCTION, TAGS, TASK_ROLE, TEST, arn, foundation, shop

from components.engines import DeploymentTarget
from components.engines.deployment_group import DeploymentGroup
from components.engines.target import TakeOver
from components.hosting import ExistingHosting, ExistingHostingArgs

NAMED: dict[str, object] = {
    "cluster": "shop-cluster",
    "service": "shop-service",
    "executionRole": "shop-execution",
}
LISTENING: dict[str, object] = {"listeners": {"production": PRODUCTION}, "targetGroups": ["shop-blue", "shop-green"]}
DNS = "shop-1.eu-west-1.elb.amazonaws.com"
LOOK_UP_BALANCER = "aws:lb/getLoadBalancer:getLoadBalancer"
LOOK_UP_LISTENER = "aws:lb/getListener:getListener"


def existing(**named: object) -> Graph:
    """The hosting of a stack file that names these things; its facts are exported, what is not there is left out."""
    wanted = shop(deploy={"engine": "ecs"}, hosting={"existing": {**NAMED, **named}}).hosting.existing
    assert wanted is not None

    def program() -> None:
        facts = ExistingHosting(
            "hosting",
            ExistingHostingArgs(foundation=foundation(log_days=90), existing=wanted),
        ).hosting
        for name in (
            "cluster",
            "service",
            "family",
            "execution_role_arn",
            "task_role_arn",
            "log_group",
            "production_listener_arn",
            "test_listener_arn",
            "service_url",
        ):
            if (value := getattr(facts, name)) is not None:
                pulumi.export(name, value)
        pulumi.export("target_groups", list(facts.target_groups))

    return build(program)


def named(**changes: object) -> DeploymentTarget:
    """What the stages are told, its outputs aside."""
    wanted = shop(deploy={"engine": "codeDeploy"}, hosting={"existing": {**NAMED, **LISTENING, **changes}}).hosting
    found: list[DeploymentTarget] = []

    def program() -> None:
        assert wanted.existing is not None
        args = ExistingHostingArgs(foundation=foundation(), existing=wanted.existing)
        found.append(ExistingHosting("hosting", args).hosting)

    build(program)
    return found[0]


@cache
def small() -> Graph:
    return existing()


@cache
def complete() -> Graph:
    return existing(
        taskRole="shop-task",
        loadBalancer="shop",
        listeners={"production": 443, "test": 8443},
        targetGroups=["shop-blue", "shop-green"],
        logGroup="/company/shop",
        serviceUrl="https://shop.example.com",
    )


def facts(graph: Graph) -> dict[str, Any]:
    return dict(graph.exports)


def test_names_become_what_the_stages_need_to_know() -> None:
    assert facts(small()) == {
        "cluster": "shop-cluster",
        "service": "shop-service",
        "family": "shop-dev",
        "execution_role_arn": EXECUTION_ROLE,
        "log_group": "/ecs/shop-dev",
        "target_groups": [],
    }


def test_everything_that_can_be_named_is_used() -> None:
    listener = arn("elasticloadbalancing", "listener/app/shop/0123456789abcdef")
    assert facts(complete()) == {
        "cluster": "shop-cluster",
        "service": "shop-service",
        "family": "shop-dev",
        "execution_role_arn": EXECUTION_ROLE,
        "task_role_arn": TASK_ROLE,
        "log_group": "/company/shop",
        "production_listener_arn": f"{listener}/{443:016x}",
        "test_listener_arn": f"{listener}/{8443:016x}",
        "service_url": "https://shop.example.com",
        "target_groups": ["shop-blue", "shop-green"],
    }


def test_a_role_of_another_path_is_given_by_its_arn() -> None:
    execution = "arn:aws:iam::123456789012:role/service/shop-execution"
    assert facts(existing(executionRole=execution))["execution_role_arn"] == execution


# What is made, and what is asked


def test_nothing_of_the_service_is_made_or_changed() -> None:
    assert [item.type for item in complete().children(complete().one("ecs-delivery:hosting:ExistingHosting"))] == []


def test_without_a_log_group_one_is_made_with_retention_and_key() -> None:
    """Tasks that earlier deliveries have started may write to it."""
    graph = small()
    made = {"name": "/ecs/shop-dev", "retentionInDays": 90, "kmsKeyId": KEY, "tags": TAGS}
    assert graph.one("LogGroup").inputs == made
    assert graph.one("LogGroup").parent == graph.one("ecs-delivery:hosting:ExistingHosting").urn
    # CloudWatch Logs tries the key at once.
    assert graph.one("KeyPolicy").urn in graph.one("LogGroup").dependencies


def test_what_deploys_the_service_and_how_it_is_taken_over_is_handed_on() -> None:
    found = named(taskDefinitionFile="taskdef.json", takeOver=True, deploymentGroup={"application": "a", "name": "b"})
    assert found.take_over == TakeOver(file="taskdef.json", agreed=True)
    assert found.deployment_group == DeploymentGroup(application="a", name="b")
    assert (named().take_over, named().deployment_group) == (TakeOver(file=None, agreed=False), None)


def test_tasks_that_have_no_role_need_none() -> None:
    graph = existing(executionRole=None)
    assert "execution_role_arn" not in facts(graph)


def test_only_listeners_given_by_port_are_looked_up() -> None:
    """Their ARNs end in a number that AWS drew; everything else follows from names, without a round trip."""
    assert small().invokes == []
    assert sorted(complete().invokes) == [LOOK_UP_LISTENER, LOOK_UP_LISTENER, LOOK_UP_BALANCER]


def test_listeners_given_by_arn_are_taken_as_they_are() -> None:
    graph = existing(listeners={"production": PRODUCTION, "test": TEST})
    assert facts(graph)["production_listener_arn"] == PRODUCTION
    assert facts(graph)["test_listener_arn"] == TEST
    assert graph.invokes == []


def test_a_service_may_have_no_test_listener() -> None:
    graph = existing(loadBalancer="shop", listeners={"production": 80})
    assert "test_listener_arn" not in facts(graph)
    assert sorted(graph.invokes) == [LOOK_UP_LISTENER, LOOK_UP_BALANCER]


# Where users reach it


@pytest.mark.parametrize(
    ("listeners", "url"),
    [
        pytest.param({"production": 80}, f"http://{DNS}", id="on port 80"),
        pytest.param({"production": 8080}, f"http://{DNS}:8080", id="on another port"),
        pytest.param(None, f"http://{DNS}", id="without a listener named"),
    ],
)
def test_a_service_on_plain_http_is_reached_at_its_load_balancer(listeners: dict[str, object] | None, url: str) -> None:
    graph = existing(loadBalancer="shop", listeners=listeners)
    assert facts(graph)["service_url"] == url
    assert graph.registered_outputs[graph.one("ecs-delivery:hosting:ExistingHosting").urn] == {"serviceUrl": url}


@pytest.mark.parametrize(
    "listeners",
    [
        pytest.param({"production": 443}, id="https"),
        pytest.param({"production": PRODUCTION}, id="a listener whose port nobody told"),
    ],
)
def test_a_load_balancers_own_name_is_no_address_for_https(listeners: dict[str, object]) -> None:
    """No certificate is for that name, so whatever checks the service there would fail on TLS."""
    graph = existing(loadBalancer="shop", listeners=listeners)
    assert "service_url" not in facts(graph)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://shop.example.com", "https://shop.example.com"),
        ("https://shop.example.com/", "https://shop.example.com"),
        ("https://example.com/shop/", "https://example.com/shop"),
    ],
)
def test_an_address_of_ones_own_wins_and_ends_without_a_slash(given: str, used: str) -> None:
    """Paths are put behind it, and two slashes in a row are another page."""
    graph = existing(loadBalancer="shop", listeners={"production": 80}, serviceUrl=given)
    assert facts(graph)["service_url"] == used


def test_without_load_balancer_and_address_nobody_knows_where_it_is() -> None:
    assert "service_url" not in facts(small())
    assert small().registered_outputs[small().one("ecs-delivery:hosting:ExistingHosting").urn] == {}

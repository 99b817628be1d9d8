"""The AppSpec as CodeDeploy reads it: what it hands to ECS, and what it has against a file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from task_definitions import definition

from local.rehearsal.app_spec import AppSpecProblem, task_set_of

NETWORK = {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "DISABLED"}
STRATEGY = [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]


def read(properties: dict[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - of the file
    given = {
        "TaskDefinition": "<TASK_DEFINITION>",
        "LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": 8080},
        **properties,
    }
    target = {"Type": "AWS::ECS::Service", "Properties": {name: value for name, value in given.items() if value}}
    whole = {"version": 0.0, "Resources": [{"TargetService": target}], **changes}
    return task_set_of(json.dumps(whole), definition())


def network(**changes: object) -> dict[str, Any]:
    values = {name: value for name, value in {**NETWORK, **changes}.items() if value is not None}
    return {"NetworkConfiguration": {"AwsvpcConfiguration": values}}


def test_what_it_says_is_handed_to_ecs() -> None:
    assert read({}) == {}
    assert read({**network(), "CapacityProviderStrategy": STRATEGY, "PlatformVersion": "LATEST"}, Hooks=[]) == {
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["subnet-1"],
                "securityGroups": ["sg-1"],
                "assignPublicIp": "DISABLED",
            }
        },
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
        "platformVersion": "LATEST",
    }


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (network(Subnets=None), "AwsvpcConfiguration lacks Subnets"),
        (network(SecurityGroups=None), "AwsvpcConfiguration lacks SecurityGroups"),
        (network(AssignPublicIp=None), "AwsvpcConfiguration lacks AssignPublicIp"),
        (network(AssignPublicIp=True), "assignPublicIp, value: True"),
        (network(AssignPublicIp="YES"), "'YES' is none of ENABLED, DISABLED"),
        (network(Subnets="subnet-1"), "subnets, value: subnet-1"),
        (network(Vpc="vpc-1"), "AwsvpcConfiguration must not have Vpc"),
        ({"NetworkConfiguration": NETWORK}, "NetworkConfiguration must not have AssignPublicIp"),
        ({"LaunchType": "FARGATE"}, "Properties must not have LaunchType"),
        ({"CapacityProviderStrategy": STRATEGY[0]}, "CapacityProviderStrategy must be a list"),
        ({"CapacityProviderStrategy": ["FARGATE"]}, "CapacityProviderStrategy\\[0\\] must be an object"),
        ({"CapacityProviderStrategy": [{"Weight": 1}]}, 'Missing required parameter .*"capacityProvider"'),
        ({"CapacityProviderStrategy": [{**STRATEGY[0], "Weight": "1"}]}, "weight, value: 1"),
        ({"CapacityProviderStrategy": [{**STRATEGY[0], "Weight": 1001}]}, "1001 is more than 1000"),
        ({"CapacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, r"\[0\] must not have capacityProvider"),
        ({"PlatformVersion": 1.4}, "platformVersion, value: 1.4"),
        ({"LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 8080}}, "has no container 'web' with the p"),
        ({"LoadBalancerInfo": {"ContainerName": "shop", "ContainerPort": "8080"}}, "'shop' with the port '8080'"),
        ({"LoadBalancerInfo": None}, "Properties lacks LoadBalancerInfo"),
        ({"TaskDefinition": "shop:2"}, "has no placeholder <TASK_DEFINITION>, got .shop:2."),
    ],
)
def test_what_is_none_is_named(properties: dict[str, Any], said: str) -> None:
    with pytest.raises(AppSpecProblem, match=said):
        read(properties)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 1}, "version must be 0.0, got 1"),
        ({"Resources": []}, "Resources must be a list of one resource"),
        ({"Resources": [{"TargetService": {"Type": "AWS::Lambda::Function", "Properties": {}}}]}, "Type must be AWS::"),
        ({"hooks": []}, "the file must not have hooks"),
    ],
)
def test_a_file_of_another_form_is_none(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AppSpecProblem, match=said):
        read({}, **changes)


@pytest.mark.parametrize(("text", "said"), [("a: [", "neither YAML nor JSON"), ("text", "the file must be an object")])
def test_what_is_no_document_is_none(text: str, said: str) -> None:
    with pytest.raises(AppSpecProblem, match=said):
        task_set_of(text, definition())

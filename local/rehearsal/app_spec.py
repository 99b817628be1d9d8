"""The AppSpec of a CodeDeploy deployment to Amazon ECS, read as strictly as its pages are written.

https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from local.rehearsal.emulated.model import request_problems

PLACEHOLDER = "<TASK_DEFINITION>"
"""Where CodePipeline's action puts the ARN of the revision it has registered.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECSbluegreen.html
"""
_NETWORK = ("AssignPublicIp", "SecurityGroups", "Subnets")
_OF_A_PROVIDER = ("Base", "CapacityProvider", "Weight")


class AppSpecProblem(Exception):  # noqa: N818 - what CodeDeploy has against a file
    """The file is no AppSpec."""


def task_set_of(text: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an AppSpec says of the task set, as CreateTaskSet takes it; nothing where it says nothing.

    Args:
        text: The file.
        definition: The task definition that is deployed with it.

    Raises:
        AppSpecProblem: It is not one.
    """
    try:
        whole = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AppSpecProblem(f"it is neither YAML nor JSON: {error}") from None
    _keys("the file", whole, required=("Resources", "version"), allowed=("Hooks",))
    if str(whole["version"]) != "0.0":
        raise AppSpecProblem(f"version must be 0.0, got {whole['version']!r}")
    resources = whole["Resources"]
    if not isinstance(resources, list) or len(resources) != 1:
        raise AppSpecProblem("Resources must be a list of one resource")
    _keys("Resources[0]", resources[0], required=("TargetService",))
    target = resources[0]["TargetService"]
    _keys("TargetService", target, required=("Properties", "Type"))
    if target["Type"] != "AWS::ECS::Service":
        raise AppSpecProblem(f"Type must be AWS::ECS::Service, got {target['Type']!r}")
    properties = target["Properties"]
    optional = ("CapacityProviderStrategy", "NetworkConfiguration", "PlatformVersion")
    _keys("Properties", properties, required=("LoadBalancerInfo", "TaskDefinition"), allowed=optional)
    if properties["TaskDefinition"] != PLACEHOLDER:
        raise AppSpecProblem(f"TaskDefinition has no placeholder {PLACEHOLDER}, got {properties['TaskDefinition']!r}")
    _check_load_balancer(properties["LoadBalancerInfo"], definition)
    made = _task_set(properties)
    # What AWS's page leaves to ECS: types, lists, enums, limits.
    problems = request_problems("ecs", "CreateTaskSet", {"service": "", "cluster": "", "taskDefinition": "", **made})
    if problems:
        raise AppSpecProblem("; ".join(problems))
    return made


def _task_set(properties: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if "PlatformVersion" in properties:
        made["platformVersion"] = properties["PlatformVersion"]
    if "NetworkConfiguration" in properties:
        _keys("NetworkConfiguration", properties["NetworkConfiguration"], required=("AwsvpcConfiguration",))
        network = properties["NetworkConfiguration"]["AwsvpcConfiguration"]
        # "All or none of the settings under NetworkConfiguration must be specified."
        _keys("AwsvpcConfiguration", network, required=_NETWORK)
        made["networkConfiguration"] = {"awsvpcConfiguration": _lower(network)}
    if "CapacityProviderStrategy" in properties:
        strategy = properties["CapacityProviderStrategy"]
        if not isinstance(strategy, list):
            raise AppSpecProblem("CapacityProviderStrategy must be a list")
        for number, item in enumerate(strategy):
            _keys(f"CapacityProviderStrategy[{number}]", item, allowed=_OF_A_PROVIDER)
        made["capacityProviderStrategy"] = [_lower(item) for item in strategy]
    return made


def _check_load_balancer(info: Any, definition: Mapping[str, Any]) -> None:  # noqa: ANN401 - whatever the file holds
    """The container is one of the task definition, with this port."""
    _keys("LoadBalancerInfo", info, required=("ContainerName", "ContainerPort"))
    name, port = info["ContainerName"], info["ContainerPort"]
    ports = {
        part["name"]: [mapping["containerPort"] for mapping in part.get("portMappings", [])]
        for part in definition["containerDefinitions"]
    }
    if type(port) is not int or port not in ports.get(name, []):
        raise AppSpecProblem(f"the task definition has no container {name!r} with the port {port!r}")


def _keys(where: str, value: Any, *, required: Collection[str] = (), allowed: Collection[str] = ()) -> None:  # noqa: ANN401 - whatever the file holds
    if not isinstance(value, dict):
        raise AppSpecProblem(f"{where} must be an object, got {value!r}")
    if unknown := sorted(map(str, value.keys() - {*required, *allowed})):
        raise AppSpecProblem(f"{where} must not have {', '.join(unknown)}")
    if missing := sorted({*required} - value.keys()):
        raise AppSpecProblem(f"{where} lacks {', '.join(missing)}")


def _lower(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key[:1].lower() + key[1:]: part for key, part in value.items()}

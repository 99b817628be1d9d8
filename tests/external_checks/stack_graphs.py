"""The graphs that others are asked about: stack files, examples of sections, and the choices none of them makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from aws_requests import Described
from mocked import Graph, build_program
from summary import graph_names, program

_HOSTING = {
    "existing": {
        "cluster": "shop",
        "service": "shop",
        "executionRole": "shop-execution",
        "loadBalancer": "shop",
        "listeners": {"production": 443, "test": 8443},
        "targetGroups": ["shop-blue", "shop-green"],
        "serviceUrl": "https://shop.example.com",
    }
}

LONGEST_APPLICATION, LONGEST_STACK = "a-name-of-24-characters1", "staging"
"""As long as the settings allow; the names of many resources are made of both."""

OTHER_CHOICES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "longest-names": (
        LONGEST_STACK,
        {
            "ecs-delivery:application": {"name": LONGEST_APPLICATION},
            "ecs-delivery:source": {"github": {"repository": "example/shop", "tags": {"include": ["v*"]}}},
            "ecs-delivery:build": {"smokeTest": {"enabled": True}},
            "ecs-delivery:deploy": {
                "strategy": "canary",
                "step": {"percent": 15, "intervalMinutes": 7},
                "staticFiles": {"enabled": True, "bucket": "shop-static", "sync": {"bucket": "shop-assets"}},
            },
            "ecs-delivery:hosting": _HOSTING,
            "ecs-delivery:tests": {"enabled": True},
            "ecs-delivery:promotion": {"enabled": True, "repository": "shop-prod"},
            "ecs-delivery:release": {
                "enabled": True,
                "github": {"tokenSecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/github-AbCdEf"},
            },
        },
    ),
    "other-choices": (
        "other",
        {
            "ecs-delivery:application": {"name": "shop"},
            "ecs-delivery:source": {
                "ecr": {
                    "repository": "shop-prod",
                    "tag": "promoted",
                    "create": True,
                    "promoters": ["arn:aws:iam::210987654321:role/shop-promote"],
                }
            },
            "ecs-delivery:verification": {
                "provenance": {
                    "source": "https://github.com/example/shop",
                    "pipeline": "arn:aws:codepipeline:eu-central-1:210987654321:shop-dev",
                },
                "scan": {"enabled": True},
            },
            "ecs-delivery:deploy": {
                "engine": "ecs",
                "strategy": "linear",
                "staticFiles": {
                    "enabled": True,
                    "bucket": "shop-static",
                    "upload": {"from": "image", "path": "/app/public"},
                },
            },
            "ecs-delivery:hosting": _HOSTING,
        },
    ),
    "no-way-out": (
        LONGEST_STACK,
        {
            "ecs-delivery:application": {
                "name": LONGEST_APPLICATION,
                "readOnlyRootFilesystem": False,
                "secrets": {
                    "DATABASE_URL": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/database-AbCdEf",
                    "KEY": "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/key",
                },
            },
            "ecs-delivery:source": {"github": {"repository": "example/shop"}},
            "ecs-delivery:deploy": {"engine": "ecs", "strategy": "canary", "bakeMinutes": 6},
            "ecs-delivery:hosting": {
                "network": {"taskSubnets": "private"},
                "loadBalancer": {"plainHttp": True, "internal": True},
                "service": {"exec": True},
            },
        },
    ),
    "linear-by-ecs": (
        "linear",
        {
            "ecs-delivery:application": {"name": "shop"},
            "ecs-delivery:source": {"github": {"repository": "example/shop"}},
            "ecs-delivery:deploy": {"engine": "ecs", "strategy": "linear"},
            "ecs-delivery:hosting": {"loadBalancer": {"plainHttp": True, "accessLogs": False}},
        },
    ),
    "classic-from-nothing": (
        "classic",
        {
            "ecs-delivery:application": {"name": "shop"},
            "ecs-delivery:source": {"github": {"repository": "example/shop"}},
            "ecs-delivery:deploy": {"engine": "ecsAction"},
            "ecs-delivery:hosting": {"loadBalancer": {"plainHttp": True}, "alarms": {"enabled": False}},
        },
    ),
}
"""Stack name and configuration by the name of the graph."""

NAMES = (*graph_names(), *OTHER_CHOICES)
"""Every graph there is to judge."""


@cache
def graph(name: str) -> Graph:
    """One graph, with what its stack exports."""
    if name in OTHER_CHOICES:
        stack, values = OTHER_CHOICES[name]
        return build_program(values, stack_name=stack)
    return program(name)


@cache
def described(name: str) -> tuple[Described, ...]:
    """The resources of one graph."""
    return tuple(resource.as_dict() for resource in graph(name))


def input_paths() -> set[tuple[str, str]]:
    """Type and path (as in :data:`rewriting.Places`) of every input that any graph has."""
    return {
        (resource["type"], path)
        for name in NAMES
        for resource in described(name)
        for path in _paths(resource["inputs"])
    }


def _paths(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{path}.{key}" if path else key
            yield below
            yield from _paths(item, below)
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, path)

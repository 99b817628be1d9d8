"""The connection to a Git provider: who makes it, and what its users may do with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mocked import build, build_program
from samples import CONNECTION, GITHUB, foundation, resolved, shop

from components.foundation.iam import policy_document
from components.pipeline.connection import Connection, connection_of
from components.stages.wanted import connection_args

OLD_CONNECTION = CONNECTION.replace("codeconnections", "codestar-connections")


def connection(**github: object) -> Connection:
    """The connection of a stack file; made inside a builder."""
    section = shop(source={"github": {**GITHUB, **github}}).source.github
    assert section
    return connection_of("shop-connection", connection_args(section, foundation()))


def statements(of: str, **github: object) -> list[dict[str, Any]]:
    """What the users of a connection may do."""
    document = resolved(lambda: policy_document(getattr(connection(**github), of)()))
    found: list[dict[str, Any]] = json.loads(document)["Statement"]
    return found


def using(*repositories: str) -> list[dict[str, Any]]:
    """The permission to use the connection, by both of its names, for these repositories."""
    return [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Action": [f"{service}:UseConnection"],
            "Resource": [CONNECTION.replace("codeconnections", service)],
            "Condition": {
                "StringEqualsIfExists": {
                    f"{service}:FullRepositoryId": repositories[0] if len(repositories) == 1 else list(repositories)
                }
            },
        }
        for sid, service in (
            ("UseConnection", "codeconnections"),
            ("UseConnectionByOldName", "codestar-connections"),
        )
    ]


@pytest.mark.parametrize("arn", [CONNECTION, OLD_CONNECTION])
@pytest.mark.parametrize("of", ["fetch", "clone"])
def test_a_connection_is_used_for_one_repository_by_both_of_its_names(of: str, arn: str) -> None:
    """It answers to either, by its age and by who asks (awslabs/landing-zone-accelerator-on-aws#828)."""
    assert statements(of, connectionArn=arn, fullClone=True) == using("example/shop")


def test_builds_may_clone_the_submodules_that_are_named_and_the_source_action_may_not() -> None:
    github = {"fullClone": True, "submodules": ["example/fonts", "example/lib"]}
    assert statements("clone", **github) == using("example/shop", "example/fonts", "example/lib")
    assert statements("fetch", **github) == using("example/shop")


def test_a_job_learns_the_connection_and_its_repositories() -> None:
    github = {"fullClone": True, "submodules": ["example/fonts"]}
    assert resolved(lambda: connection(**github).clone_variables()) == {
        "CONNECTION_ARN": CONNECTION,
        "CLONED_REPOSITORIES": '["example/shop", "example/fonts"]',
        "CLONED_FROM": "https://github.com",
    }


@pytest.mark.parametrize("given", [CONNECTION, None])
def test_a_connection_is_made_only_when_none_is_named(given: str | None) -> None:
    made: list[Connection] = []
    graph = build(lambda: made.append(connection(connectionArn=given)))
    assert [item.name for item in graph.of("Connection")] == ([] if given else ["shop-connection"])
    assert (made[0].status is not None) is (given is None)


HOST = "arn:aws:codeconnections:eu-west-1:123456789012:host/git-0f0f0f0f"
OWN = {"url": "https://git.example.com/", "hostArn": HOST}


@pytest.mark.parametrize(
    ("source", "made", "server"),
    [
        ({"github": {"repository": "example/shop"}}, {"providerType": "GitHub"}, "https://github.com"),
        ({"gitlab": {"repository": "a/b/c/shop"}}, {"providerType": "GitLab"}, "https://gitlab.com"),
        ({"bitbucket": {"repository": "example/shop"}}, {"providerType": "Bitbucket"}, "https://bitbucket.org"),
        ({"github": {"repository": "example/shop", **OWN}}, {"hostArn": HOST}, "https://git.example.com"),
        ({"gitlab": {"repository": "a/b/c/shop", **OWN}}, {"hostArn": HOST}, "https://git.example.com"),
    ],
)
def test_a_connection_is_made_of_a_type_or_on_a_host(source: dict[str, Any], made: dict[str, str], server: str) -> None:
    """https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_CreateConnection.html."""
    code = shop(source=source).source.git
    assert code
    found: list[Connection] = []
    graph = build(lambda: found.append(connection_of("shop-connection", connection_args(code, foundation()))))
    inputs = graph.one("Connection").inputs
    assert {key: value for key, value in inputs.items() if key not in ("name", "tags")} == made
    assert (found[0].server_url, found[0].repository) == (server, code.repository)


def test_a_connection_that_a_stack_has_made_already_is_kept() -> None:
    """It was the source stage's own; replaced, it would be PENDING again, and a person would have to confirm it."""
    settings = {
        "ecs-delivery:application": {"name": "shop"},
        "ecs-delivery:source": {"github": {"repository": "example/shop"}},
        "ecs-delivery:hosting": {"loadBalancer": {"plainHttp": True}},
        "ecs-delivery:deploy": {"engine": "ecs"},
    }
    graph = build_program(settings)
    connection, delivery = graph.one("aws:codeconnections/connection:Connection"), graph.one("Delivery")
    assert connection.parent == delivery.urn
    kinds, _, _ = delivery.urn.rpartition("::")
    assert connection.aliases == (f"{kinds}$ecs-delivery:stage:Source${connection.type}::shop-source-connection",)

"""Which repositories a stack makes and which it only watches, by what its pipeline starts from."""

from __future__ import annotations

from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import GITHUB, KEY, REGISTRY, TAGS, foundation, resolved, shop

from components.images.registry import Registry, RegistryArgs
from components.settings import Settings
from components.stages.wanted import registry_args

PROMOTER = "arn:aws:iam::210987654321:role/shop-dev-promote"
IMAGE = {"repository": "shop-prod", "tag": "promoted"}


def registry(settings: Settings) -> Graph:
    """The registry's graph; `app`, `source` and `smokeTest` are exported as addresses, "" where there is none."""

    def program() -> None:
        made = Registry(
            "registry",
            registry_args(settings, foundation(images=settings.retention.images, protect=settings.retention.protect)),
        )
        pulumi.export("app", made.app.uri)
        pulumi.export("source", made.source.uri if made.source else "")
        pulumi.export("smokeTest", made.smoke_test.uri if made.smoke_test else "")
        pulumi.export("promotionRoleArn", made.promotion_role_arn or "")

    return build(program)


@cache
def of_code() -> Graph:
    return registry(shop())


def repositories(graph: Graph) -> dict[str, list[str]]:
    """Every repository that is made: its name and the tags that may move in it."""
    return {
        item.inputs["name"]: [one["filter"] for one in item.inputs["imageTagMutabilityExclusionFilters"]]
        for item in graph.of("aws:ecr/repository:Repository")
    }


def exports(graph: Graph) -> dict[str, Any]:
    return dict(graph.exports)


def test_code_is_built_into_a_repository_named_after_application_and_stack() -> None:
    assert repositories(of_code()) == {"shop-dev": ["buildcache*"]}
    assert exports(of_code()) == {
        "app": f"{REGISTRY}/shop-dev",
        "source": "",
        "smokeTest": "",
        "promotionRoleArn": "",
    }


def test_the_stack_file_may_name_the_repository() -> None:
    graph = registry(shop(build={"repository": "team/shop", "smokeTest": {"enabled": True}}))
    assert sorted(repositories(graph)) == ["team/shop", "team/shop-smoke-test"]


def test_a_smoke_test_has_a_repository_of_its_own() -> None:
    """Both images are tagged by the same commit, and tags are immutable: in one repository the second would fail."""
    graph = registry(shop(build={"smokeTest": {"enabled": True}}))
    assert repositories(graph) == {"shop-dev": ["buildcache*"], "shop-dev-smoke-test": ["buildcache*"]}
    assert graph.exports["smokeTest"] == f"{REGISTRY}/shop-dev-smoke-test"


def test_a_watched_repository_that_somebody_else_made_is_left_alone() -> None:
    graph = registry(shop(source={"ecr": IMAGE}))
    assert graph.of("aws:ecr/repository:Repository") == []
    assert graph.of("LifecyclePolicy") == []
    assert graph.of("Role") == []
    assert exports(graph) == {
        "app": f"{REGISTRY}/shop-prod",
        "source": f"{REGISTRY}/shop-prod",
        "smokeTest": "",
        "promotionRoleArn": "",
    }


def test_a_watched_repository_made_here_lets_only_its_channel_move() -> None:
    """The tag the pipeline watches is moved by every promotion; every other tag stays on its image for good."""
    graph = registry(shop(source={"ecr": {**IMAGE, "create": True}}))
    assert repositories(graph) == {"shop-prod": ["promoted"]}
    assert graph.exports["app"] == graph.exports["source"] == f"{REGISTRY}/shop-prod"
    assert graph.of("Role") == []


def test_promoters_of_other_accounts_get_a_role_to_assume() -> None:
    """Its name follows from application and stack, so that the other account can name it before it is made."""
    graph = registry(shop(source={"ecr": {**IMAGE, "create": True, "promoters": [PROMOTER]}}))
    assert graph.exports["promotionRoleArn"] == graph.one("Role").outputs["arn"]
    assert graph.one("Role").inputs["name"] == "shop-dev-promotion"


def test_code_on_top_of_a_base_image_is_built_apart_from_it() -> None:
    """Were both in one repository, each build would start the next."""
    graph = registry(shop(source={"github": GITHUB, "ecr": {"repository": "base", "tag": "stable", "create": True}}))
    assert repositories(graph) == {"base": ["stable"], "shop-dev": ["buildcache*"]}
    assert graph.exports["app"] == f"{REGISTRY}/shop-dev"
    assert graph.exports["source"] == f"{REGISTRY}/base"


@pytest.mark.parametrize("protect", [False, True], ids=["dev", "prod"])
def test_repositories_follow_the_stack_files_retention(*, protect: bool) -> None:
    graph = registry(shop(retention={"protect": protect, "images": 7}))
    made = graph.one("aws:ecr/repository:Repository")
    assert made.protect is protect
    assert made.inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY}]
    assert made.inputs["tags"] == TAGS
    assert "Keep the newest 7 tagged images" in graph.one("LifecyclePolicy").inputs["policy"]


def test_the_repository_of_the_application_is_what_the_component_offers() -> None:
    graph = of_code()
    component = graph.one("ecs-delivery:index:Registry")
    assert graph.registered_outputs[component.urn] == {"repositoryUrl": f"{REGISTRY}/shop-dev"}
    assert [item.type for item in graph.children(component)] == ["ecs-delivery:index:ImageRepository"]


def test_a_registry_without_a_repository_is_refused() -> None:
    with pytest.raises(ValueError, match="a repository to build into, or one to watch"):
        resolved(lambda: RegistryArgs(foundation=foundation()))

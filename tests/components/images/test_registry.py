"""Which repositories a stack makes and which it only watches, by what its pipeline starts from."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pulumi
import pytest
from mocked import Graph, build
from samples import GITHUB, KEY, REGISTRY, TAGS, foundation, image_repository, resolved, shop

from components.images.registry import Registry, RegistryArgs
from components.images.repository import Pusher
from components.settings import Settings
from components.stages.wanted import registry_args

PROMOTER = "arn:aws:iam::210987654321:role/shop-dev-promote"
IMAGE = {"repository": "shop-prod", "tag": "promoted"}


def registry(settings: Settings, *jobs: tuple[str, str]) -> Graph:
    """The registry's graph, guarded but for these jobs: the name of a repository, and the role that pushes there.

    `app`, `source` and `smokeTest` are exported as addresses, "" where there is none.
    """

    def program() -> None:
        made = Registry(
            "registry",
            registry_args(settings, foundation(images=settings.retention.images, protect=settings.retention.protect)),
        )
        pulumi.export("app", made.app.uri)
        pulumi.export("source", made.source.uri if made.source else "")
        pulumi.export("smokeTest", made.smoke_test.uri if made.smoke_test else "")
        pulumi.export("further", {image: repository.uri for image, repository in made.further.items()})
        pulumi.export("promotionRoleArn", made.promotion_role_arn or "")
        pulumi.export("notes", list(made.guard([Pusher(name, pulumi.Output.from_input(role)) for name, role in jobs])))

    return build(program)


@cache
def of_code() -> Graph:
    return registry(shop())


def repositories(graph: Graph) -> dict[str, list[str]]:
    """Every repository that is made: its name and the tags that may move in it."""
    return {
        item.inputs["name"]: [one["filter"] for one in item.inputs.get("imageTagMutabilityExclusionFilters", ())]
        for item in graph.of("aws:ecr/repository:Repository")
    }


TOOLS: dict[str, list[str]] = {"shop-dev-build-tools": []}
"""The repository of what builds fetch themselves, where there is code: no tag of it moves."""


def exports(graph: Graph) -> dict[str, Any]:
    return dict(graph.exports)


def test_code_is_built_into_a_repository_named_after_application_and_stack() -> None:
    assert repositories(of_code()) == {"shop-dev": ["buildcache*"], **TOOLS}
    assert exports(of_code()) == {
        "app": f"{REGISTRY}/shop-dev",
        "source": "",
        "smokeTest": "",
        "further": {},
        "promotionRoleArn": "",
        "notes": [],
    }


def test_the_stack_file_may_name_the_repository() -> None:
    graph = registry(shop(build={"repository": "team/shop", "smokeTest": {"enabled": True}}))
    assert sorted(repositories(graph)) == ["team/shop", "team/shop-build-tools", "team/shop-smoke-test"]


def test_a_smoke_test_has_a_repository_of_its_own() -> None:
    """Both images are tagged by the same commit, and tags are immutable: in one repository the second would fail."""
    graph = registry(shop(build={"smokeTest": {"enabled": True}}))
    assert repositories(graph) == {"shop-dev": ["buildcache*"], "shop-dev-smoke-test": ["buildcache*"], **TOOLS}
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
        "further": {},
        "promotionRoleArn": "",
        "notes": [],
    }


WITH_NGINX: dict[str, Any] = {
    "application": {
        "name": "shop",
        "containers": {"nginx": {"image": "build/nginx"}, "other": {"image": "nginx:1.27"}},
    },
    "hosting": {"loadBalancer": {"plainHttp": True}},
}
NGINX = {"images": {"nginx": {"dockerfile": "nginx/Dockerfile"}}}


def test_a_further_image_has_a_repository_of_its_own_which_is_made_alike() -> None:
    """Both images are tagged by the same commit, as the smoke test's."""
    graph = registry(shop(**WITH_NGINX, build=NGINX))
    assert repositories(graph) == {"shop-dev": ["buildcache*"], "shop-dev-nginx": ["buildcache*"], **TOOLS}
    assert graph.exports["further"] == {"nginx": f"{REGISTRY}/shop-dev-nginx"}
    made = [item.inputs for item in graph.of("aws:ecr/repository:Repository")]
    own, further = ({**inputs, "name": ""} for inputs in made if inputs["name"] not in TOOLS)
    assert own == further
    rules = [item.inputs["policy"] for item in graph.of("LifecyclePolicy")]
    assert rules == [rules[0]] * 3


def test_beside_a_watched_repository_that_is_made_here_those_of_further_images_are_too() -> None:
    graph = registry(shop(**WITH_NGINX, source={"ecr": {**IMAGE, "create": True, "promoters": [PROMOTER]}}))
    assert repositories(graph) == {"shop-prod": ["promoted"], "shop-prod-nginx": ["promoted"]}
    assert graph.exports["further"] == {"nginx": f"{REGISTRY}/shop-prod-nginx"}
    (push,) = (
        item for item in json.loads(graph.one("RolePolicy").inputs["policy"])["Statement"] if item["Sid"] == "PushImage"
    )
    assert push["Resource"] == [image_repository("shop-prod"), image_repository("shop-prod-nginx")]


def test_beside_a_watched_repository_of_somebody_else_those_of_further_images_are_there() -> None:
    graph = registry(shop(**WITH_NGINX, source={"ecr": IMAGE}))
    assert graph.of("aws:ecr/repository:Repository") == []
    assert graph.exports["further"] == {"nginx": f"{REGISTRY}/shop-prod-nginx"}


def test_on_a_base_image_further_images_are_beside_what_is_built() -> None:
    base = {"repository": "base", "tag": "stable", "create": True, "promoters": [PROMOTER]}
    graph = registry(shop(**WITH_NGINX, build=NGINX, source={"github": GITHUB, "ecr": base}))
    assert sorted(repositories(graph)) == ["base", "shop-dev", "shop-dev-build-tools", "shop-dev-nginx"]
    assert image_repository("base") in graph.one("RolePolicy").inputs["policy"]
    assert "nginx" not in graph.one("RolePolicy").inputs["policy"]


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


OWN = "shop-dev-promote-image"


def refusals(graph: Graph) -> dict[str, list[dict[str, Any]]]:
    """The repository policies by their repositories."""
    policies = graph.of("RepositoryPolicy")
    return {item.inputs["repository"]: json.loads(item.inputs["policy"])["Statement"] for item in policies}


@pytest.mark.parametrize("promoter", [OWN, PROMOTER], ids=["of this account", "of another"])
def test_a_watched_repository_takes_images_of_its_promoters_and_labels_of_the_stack_alone(promoter: str) -> None:
    label = "arn:aws:iam::123456789012:role/label"
    labels = [("shop-prod", label), ("shop-prod-nginx", label)]
    graph = registry(shop(**WITH_NGINX, source={"ecr": {**IMAGE, "create": True, "promoters": [promoter]}}), *labels)
    role = graph.exports["promotionRoleArn"] or f"arn:aws:iam::123456789012:role/{OWN}"
    assert bool(graph.exports["promotionRoleArn"]) is (promoter == PROMOTER)
    statement = {
        "Sid": "DenyPushOfOthers",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [role, label]}},
    }
    assert refusals(graph) == {"shop-prod": [statement], "shop-prod-nginx": [statement]}
    assert graph.exports["notes"] == []


def test_without_promoters_everybody_may_push_and_the_stack_says_so() -> None:
    graph = registry(shop(source={"ecr": {**IMAGE, "create": True}}))
    assert refusals(graph) == {}
    (note,) = graph.exports["notes"]
    assert note.startswith("Name who promotes images into shop-prod, under source.ecr.promoters: ")


@pytest.mark.parametrize("source", [{"ecr": IMAGE}, {"ecr": {**IMAGE, "create": True, "arrivesBy": "replication"}}])
def test_a_repository_that_nobody_pushes_into_or_that_is_not_ours_has_no_policy(source: dict[str, object]) -> None:
    graph = registry(shop(source=source))
    assert refusals(graph) == {}
    assert graph.exports["notes"] == []


def pushers(graph: Graph) -> dict[str, list[str]]:
    """Who may push into each repository that has a policy."""
    return {
        repository: statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        for repository, (statement,) in refusals(graph).items()
    }


JOB = "arn:aws:iam::123456789012:role/shop-dev-build-image"


def test_what_is_built_is_pushed_by_the_jobs_of_the_stack_alone() -> None:
    """Whoever could put the tag of a source tree on another image would decide what is delivered of that tree."""
    jobs = {
        "shop-dev": [JOB, f"{JOB}-label"],
        "shop-dev-build-tools": [JOB],
        "shop-dev-nginx": [f"{JOB}-nginx"],
        "shop-dev-smoke-test": [f"{JOB}-smoke"],
    }
    told = [(name, role) for name, roles in jobs.items() for role in roles]
    graph = registry(shop(**WITH_NGINX, build={**NGINX, "smokeTest": {"enabled": True}}), *told)
    assert pushers(graph) == jobs
    (statement,) = refusals(graph)["shop-dev"]
    assert statement["Action"] == [
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ]


def test_what_is_built_on_a_guarded_base_image_is_pushed_by_the_stack() -> None:
    base = {"repository": "base", "tag": "stable", "create": True, "promoters": [OWN]}
    graph = registry(shop(source={"github": GITHUB, "ecr": base}), ("shop-dev", JOB))
    assert pushers(graph) == {
        "base": [f"arn:aws:iam::123456789012:role/{OWN}"],
        "shop-dev": [JOB],
        "shop-dev-build-tools": [],
    }


def test_code_on_top_of_a_base_image_is_built_apart_from_it() -> None:
    """Were both in one repository, each build would start the next."""
    graph = registry(shop(source={"github": GITHUB, "ecr": {"repository": "base", "tag": "stable", "create": True}}))
    assert repositories(graph) == {"base": ["stable"], "shop-dev": ["buildcache*"], **TOOLS}
    assert graph.exports["app"] == f"{REGISTRY}/shop-dev"
    assert graph.exports["source"] == f"{REGISTRY}/base"


@pytest.mark.parametrize("protect", [False, True], ids=["dev", "prod"])
def test_repositories_follow_the_stack_files_retention(*, protect: bool) -> None:
    graph = registry(shop(retention={"protect": protect, "images": 7}))
    made, tools = sorted(graph.of("aws:ecr/repository:Repository"), key=lambda item: str(item.inputs["name"]))
    assert (made.protect, made.inputs["forceDelete"]) == (protect, not protect)
    assert (tools.protect, tools.inputs["forceDelete"]) == (False, True), "it holds nothing but copies"
    assert made.inputs["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY}]
    assert made.inputs["tags"] == TAGS
    for rules in graph.of("LifecyclePolicy"):
        assert "Keep the newest 7 tagged images" in rules.inputs["policy"]


def test_the_repository_of_the_application_is_what_the_component_offers() -> None:
    graph = of_code()
    component = graph.one("ecs-delivery:index:Registry")
    assert graph.registered_outputs[component.urn] == {"repositoryUrl": f"{REGISTRY}/shop-dev"}
    assert [item.type for item in graph.children(component)] == ["ecs-delivery:index:ImageRepository"] * 2


def test_a_registry_without_a_repository_is_refused() -> None:
    with pytest.raises(ValueError, match="a repository to build into, or one to watch"):
        resolved(lambda: RegistryArgs(foundation=foundation()))

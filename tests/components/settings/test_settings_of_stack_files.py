"""The stack files people start from: right, complete, and dev fits prod."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from summary import section_examples

from components.settings import Settings, load_settings, load_stack_file
from components.settings.reader.generate import ROOT
from components.settings.reader.schema import stack_file_schema
from components.settings.reader.shapes import Shape, leaves

FILES = [*sorted(ROOT.glob("Pulumi.*.yaml")), *sorted((ROOT / "examples").glob("Pulumi.*.yaml"))]
SCHEMA = Draft202012Validator(json.loads(stack_file_schema()))


def stack_of(file: Path) -> str:
    return file.suffixes[0].removeprefix(".")


def load(name: str) -> Settings:
    return load_settings(load_stack_file(ROOT / f"Pulumi.{name}.yaml"), stack=name)


def test_the_stack_files_are_there() -> None:
    assert [stack_of(file) for file in FILES] == [
        "dev",
        "prod",
        "behind-nginx",
        "classic",
        "django-worker",
        "django",
        "ecr-source",
        "ecs-blue-green",
        "ecs-native",
        "everything-on",
        "existing-hosting",
        "existing-network",
        "grpc",
        "inner-service",
        "nextjs",
        "nginx",
        "rails",
        "s3-source",
        "shared-listener",
        "spring-boot",
        "worker",
    ]


@pytest.mark.parametrize("file", FILES, ids=stack_of)
def test_a_stack_file_is_right(file: Path) -> None:
    values = load_stack_file(file)
    assert load_settings(values, stack=stack_of(file))
    assert values["aws:region"] == "eu-west-1"


@pytest.mark.parametrize("file", FILES, ids=stack_of)
def test_a_stack_file_suits_its_schema_and_names_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert [error.message for error in SCHEMA.iter_errors(yaml.safe_load(text))] == []
    schema = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert schema
    assert (file.parent / schema[1]).resolve() == ROOT / "stack-file.schema.json"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"ecs-delivery:application": {"name": "shop", "nmae": 1}},
        {"ecs-delivery:application": {"name": "Shop"}},
        {"ecs-delivery:testing": {}},
    ],
    ids=["nothing", "unknown key", "wrong name", "unknown section"],
)
def test_the_schema_marks_mistakes(config: dict[str, Any]) -> None:
    whole = {
        "ecs-delivery:application": {"name": "shop"},
        "ecs-delivery:source": {},
        "ecs-delivery:hosting": {"existing": {}},
    }
    assert list(SCHEMA.iter_errors({"config": {**whole, **config}} if config else {"config": {}}))


def test_the_schema_lets_other_packages_be() -> None:
    values = dict(load_stack_file(ROOT / "Pulumi.dev.yaml"))
    assert SCHEMA.is_valid(
        {"config": {**values, "aws:profile": "me", "datadog:site": "eu"}, "encryptionsalt": "v1:abc"}
    )


@pytest.mark.parametrize("file", FILES[:2], ids=stack_of)
def test_dev_and_prod_hold_nothing_of_an_account_but_the_name_of_the_github_repository(file: Path) -> None:
    assert not re.search(r"arn:|\b\d{12}\b", file.read_text(encoding="utf-8"))


def test_dev_has_what_a_dev_stack_is_for() -> None:
    dev = load("dev")
    assert dev.source.github
    assert dev.source.github.repository == "example/shop"
    assert dev.has_code
    assert dev.smoke_test_enabled
    assert dev.tests.enabled
    assert dev.promotion.enabled
    assert not dev.release.enabled
    assert (dev.deploy.engine, dev.deploy.strategy) == ("codeDeploy", "allAtOnce")
    assert dev.pipeline.execution_mode == "superseded"
    assert not dev.retention.protect


def test_prod_has_what_a_prod_stack_is_for() -> None:
    prod = load("prod")
    assert prod.source.ecr is not None
    assert not prod.has_code
    assert prod.release.enabled
    assert not prod.promotion.enabled
    assert prod.pipeline.execution_mode == "queued"
    assert prod.retention.protect


def test_dev_promotes_into_what_prod_watches() -> None:
    dev, prod = load("dev"), load("prod")
    assert prod.source.ecr
    assert (dev.promotion.repository, dev.promotion.tag) == (prod.source.ecr.repository, prod.source.ecr.tag)
    assert prod.source.ecr.create
    assert dev.promotion.account_id is None
    assert dev.promotion.region is None


def test_dev_and_prod_run_the_same_application() -> None:
    dev, prod = load("dev"), load("prod")
    assert dev.source.github
    assert prod.release.github
    assert (
        dev.application.name,
        dev.application.port,
        dev.application.architecture,
        dev.application.health_check_path,
    ) == (
        prod.application.name,
        prod.application.port,
        prod.application.architecture,
        prod.application.health_check_path,
    )
    assert dev.source.github.repository == prod.release.github.repository
    assert (
        load_stack_file(ROOT / "Pulumi.dev.yaml")["aws:region"]
        == load_stack_file(ROOT / "Pulumi.prod.yaml")["aws:region"]
    )


NAMED = ("hosting.existing.", "hosting.network.existing.", "hosting.loadBalancer.existing.")
"""Keys of what exists: see the examples existing-hosting, existing-network and shared-listener."""
INSIDE = ("hosting.serviceConnect.", "hosting.serviceRegistry.")
"""Keys of a service that others call by a name, with strategy rolling: see the example inner-service."""


def unused_keys(example: str) -> set[str]:
    """The keys that neither an example has nor, for a section that it leaves out, the section's own example."""
    values = {**section_examples(), **load_stack_file(ROOT / "examples" / f"Pulumi.{example}.yaml")}
    unused = set()
    for path, _ in leaves(Shape(kind="section", words="", section=Settings)):
        value: Any = {key.removeprefix("ecs-delivery:"): section for key, section in values.items()}
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            unused.add(".".join(path))
    return unused


def test_one_example_uses_every_key_of_hosting_that_is_made() -> None:
    made = {key for key in unused_keys("ecs-blue-green") if key.startswith("hosting.")}
    assert {key for key in made if not key.startswith((*NAMED, *INSIDE))} == {
        "hosting.service.allowedSecurityGroups",  # see the example inner-service
        "hosting.service.scaling.requestsPerTask",  # rolling only, see the example existing-network
        "hosting.service.taskRolePolicy",  # not together with taskRole, see the example behind-nginx
        "hosting.loadBalancer.container",  # see the example behind-nginx
        "hosting.loadBalancer.listeners",  # rolling only, see the example behind-nginx
        "hosting.service.minimumHealthyPercent",
        "hosting.service.maximumPercent",
    }


def test_one_example_uses_every_other_key_there_is() -> None:
    parts = ("network.", "loadBalancer.", "service.", "alarms.", "containerInsights")
    made = (*(f"hosting.{part}" for part in parts), *INSIDE)
    # Its service exists, and has a task definition that says these.
    of_a_service_made_here = {key for key in unused_keys("everything-on") if key.startswith("application.")}
    assert unused_keys(
        "behind-nginx"
    ) & of_a_service_made_here == {  # it has a log router; its other containers use them
        f"application.logs.{key}" for key in ("mode", "bufferSize", "dateTimeFormat", "multilinePattern")
    }
    # Code elsewhere, see the examples worker, grpc and s3-source.
    other = ("source.gitlab.", "source.bitbucket.", "source.s3.")
    unused = {key for key in unused_keys("everything-on") if not key.startswith((*made, *other))}
    unused -= of_a_service_made_here
    assert unused == {
        "build.images",  # see the example behind-nginx
        "build.fleet.capacity",  # not together with network, see the example spring-boot
        "build.fleet.overflow",
        "build.fleet.arn",
        "deploy.testTraffic.headers",  # of ecs, see the example ecs-blue-green
        "deploy.testTraffic.http",
        "source.github.tags.include",  # not together with paths
        "source.github.tags.exclude",
        "source.github.url",  # a server of one's own, see the example shared-listener
        "source.github.hostArn",
        "release.github.url",
        "statuses.url",
        "source.ecr.create",  # the base image is another team's
        "source.ecr.promoters",
        "verification.provenance.source",  # of images from ECR, see Pulumi.prod.yaml
        "verification.provenance.pipeline",
        "deploy.bakeMinutes",  # engine ecs, see the example ecs-native
        "deploy.timeoutMinutes",
        "deploy.staticFiles.sync.bucket",  # not together with upload
        "deploy.staticFiles.sync.prefix",
        "hosting.existing.deploymentGroup.application",  # has a strategy of its own, see the example existing-hosting
        "hosting.existing.deploymentGroup.name",
        "hosting.existing.taskDefinitionFile",  # the applications of the tests have none, see docs/hosting.md
    }

"""Reserved capacity: what is asked of CodeBuild, in its own words."""

from __future__ import annotations

from typing import get_args

import pulumi
import pytest
from mocked import build
from samples import TAGS, foundation

from components.jobs.build_project import image_builder
from components.jobs.fleet import OVERFLOW, reserved_capacity
from components.settings.sections.build import FLEET_REGIONS, FleetSection
from local.aws_models import service_model


@pytest.mark.parametrize(
    ("architecture", "size", "asked"),
    [
        ("arm64", "small", ("ARM_CONTAINER", "BUILD_GENERAL1_SMALL")),
        ("x86_64", "xlarge", ("LINUX_CONTAINER", "BUILD_GENERAL1_XLARGE")),
    ],
)
def test_a_fleet_has_machines_as_builds_get_them_on_demand(
    architecture: str, size: str, asked: tuple[str, str]
) -> None:
    def program() -> None:
        root = pulumi.ComponentResource("ecs-delivery:test:Root", "root")
        arn = reserved_capacity(
            "shop-fleet",
            foundation=foundation(),
            machine=image_builder(architecture=architecture, size=size),
            capacity=3,
            overflow="queue",
            opts=pulumi.ResourceOptions(parent=root),
        )
        pulumi.export("arn", arn)

    graph = build(program)
    made = graph.one("Fleet")
    assert (made.inputs["environmentType"], made.inputs["computeType"]) == asked
    assert (made.inputs["baseCapacity"], made.inputs["overflowBehavior"], made.inputs["tags"]) == (3, "QUEUE", TAGS)
    assert graph.exports["arn"] == made.outputs["arn"]


def test_the_words_are_those_of_codebuild() -> None:
    model = service_model("codebuild")
    assert sorted(OVERFLOW.values()) == sorted(model.shape_for("FleetOverflowBehavior").enum)
    assert set(OVERFLOW) == set(get_args(FleetSection.model_fields["overflow"].annotation))


def test_the_regions_are_those_that_codebuild_names_for_both_processors() -> None:
    """Its model of the call names places in words: one for each region of the list, and no more."""
    text = service_model("codebuild").shape_for("CreateFleetInput").members["environmentType"].documentation
    places = {
        "ap-northeast-1": "Tokyo",
        "ap-south-1": "Mumbai",
        "ap-southeast-1": "Singapore",
        "ap-southeast-2": "Sydney",
        "eu-central-1": "Frankfurt",
        "eu-west-1": "Ireland",
        "sa-east-1": "Paulo",
        "us-east-1": "N. Virginia",
        "us-east-2": "Ohio",
        "us-west-2": "Oregon",
    }
    assert tuple(places) == FLEET_REGIONS
    for kind in ("ARM_CONTAINER", "LINUX_CONTAINER"):
        (told,) = (part for part in text.split("<li>") if f"<code>{kind}</code>" in part)
        assert [place for place in places.values() if place not in told] == []
        assert told.count("(") == len(places)

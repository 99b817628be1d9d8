"""What the stand-in refuses, and in which words."""

from __future__ import annotations

import pytest

from local.engine.providers.checks import Problem, problems, suggest
from local.engine.providers.protocol import UNKNOWN, Value
from local.engine.providers.sdk_types import Sdk

AWS = Sdk("pulumi_aws")

POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
PROJECT: dict[str, Value] = {
    "artifacts": {"type": "CODEPIPELINE"},
    "environment": {"computeType": "BUILD_GENERAL1_SMALL", "image": "standard", "type": "LINUX_CONTAINER"},
    "serviceRole": "arn:aws:iam::123456789012:role/build",
    "source": {"type": "CODEPIPELINE"},
}


def complaints(token: str, given: dict[str, Value]) -> list[tuple[str, str]]:
    return [(found.path, found.reason) for found in problems(AWS, AWS.resource(token).inputs, given)]


def test_what_the_sdk_declares_is_accepted() -> None:
    given: dict[str, Value] = {**PROJECT, "buildTimeout": 30, "badgeEnabled": False, "tags": {"team": "shop"}}
    assert complaints("aws:codebuild/project:Project", given) == []


def test_an_unknown_property_is_refused_with_the_nearest_name() -> None:
    assert complaints("aws:codebuild/project:Project", {**PROJECT, "encryptionKy": "key"}) == [
        ("encryptionKy", "is not a known property; did you mean `encryptionKey`?")
    ]


def test_a_python_name_is_not_a_wire_name() -> None:
    assert complaints("aws:codebuild/project:Project", {**PROJECT, "build_timeout": 30}) == [
        ("build_timeout", "is not a known property; did you mean `buildTimeout`?")
    ]


def test_an_unknown_property_like_no_other_is_refused_without_a_guess() -> None:
    assert suggest("zzz", ["alpha", "beta"]) == ""


def test_every_missing_property_is_named() -> None:
    assert complaints("aws:codebuild/project:Project", {"artifacts": {"type": "S3"}, "source": None}) == [
        ("environment", "is required and missing"),
        ("serviceRole", "is required and missing"),
        ("source", "is required and missing"),
    ]


def test_nested_structures_are_checked_with_their_path() -> None:
    given: dict[str, Value] = {
        **PROJECT,
        "source": {"buildSpec": "version: 0.2"},
        "environment": {
            "computeType": "small",
            "image": "standard",
            "type": "LINUX_CONTAINER",
            "environmentVariables": [{"name": "A", "value": "1"}, {"name": "B"}],
        },
    }
    assert complaints("aws:codebuild/project:Project", given) == [
        ("environment.environmentVariables[1].value", "is required and missing"),
        ("source.type", "is required and missing"),
        ("source.buildSpec", "is not a known property; did you mean `buildspec`?"),
    ]


@pytest.mark.parametrize(
    ("given", "path", "reason"),
    [
        ({"buildTimeout": "30"}, "buildTimeout", "must be a whole number, got a string"),
        ({"buildTimeout": 30.5}, "buildTimeout", "must be a whole number, got the number 30.5"),
        ({"buildTimeout": True}, "buildTimeout", "must be a whole number, got true"),
        ({"badgeEnabled": "true"}, "badgeEnabled", "must be true or false, got a string"),
        ({"badgeEnabled": 1.0}, "badgeEnabled", "must be true or false, got the number 1"),
        ({"description": 7.0}, "description", "must be a string, got the number 7"),
        ({"description": ["x"]}, "description", "must be a string, got a list"),
        ({"tags": ["x"]}, "tags", "must be a map, got a list"),
        ({"tags": {"team": 1.0}}, "tags['team']", "must be a string, got the number 1"),
        ({"secondarySources": {"type": "S3"}}, "secondarySources", "must be a list, got an object"),
        ({"cache": "LOCAL"}, "cache", "must be an object, got a string"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(given: dict[str, Value], path: str, reason: str) -> None:
    assert complaints("aws:codebuild/project:Project", {**PROJECT, **given}) == [(path, reason)]


def test_what_was_given_is_not_echoed_when_it_is_text() -> None:
    """It might be a secret."""
    [(_, reason)] = complaints("aws:codebuild/project:Project", {**PROJECT, "buildTimeout": "hunter2"})
    assert "hunter2" not in reason


def test_what_is_not_known_yet_fits_everywhere() -> None:
    given: dict[str, Value] = {**PROJECT, "buildTimeout": UNKNOWN, "source": UNKNOWN, "tags": {"a": UNKNOWN}}
    assert complaints("aws:codebuild/project:Project", given) == []


def test_an_optional_property_that_is_null_is_not_given() -> None:
    assert complaints("aws:codebuild/project:Project", {**PROJECT, "buildTimeout": None}) == []


def test_either_of_two_types_is_accepted_and_neither_is_refused() -> None:
    assert complaints(POLICY, {"bucket": "b", "policy": "{}"}) == []
    assert complaints(POLICY, {"bucket": "b", "policy": {"Version": "2012-10-17", "Statement": []}}) == []
    assert complaints(POLICY, {"bucket": "b", "policy": 1.0}) == [("policy", "must be a string, got the number 1")]


def test_of_two_types_the_one_that_was_meant_explains_what_is_wrong() -> None:
    given: dict[str, Value] = {"bucket": "b", "policy": {"Version": "2012-10-17", "Statement": [{"Efect": "Allow"}]}}
    assert ("policy.Statement[0].Efect", "is not a known property; did you mean `Effect`?") in complaints(
        "aws:s3/bucketPolicy:BucketPolicy", given
    )


def test_an_asset_belongs_where_an_asset_is_declared() -> None:
    asset: Value = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "hello"}
    assert complaints(OBJECT, {"bucket": "b", "source": asset}) == []
    assert complaints(OBJECT, {"bucket": "b", "source": "file.txt"}) == [
        ("source", "must be an asset or archive, got a string")
    ]
    assert complaints(OBJECT, {"bucket": "b", "tags": asset}) == [("tags", "must be a map, got an object")]


def test_the_engines_own_keys_are_passed_over() -> None:
    assert problems(AWS, AWS.resource("aws:kms/key:Key").inputs, {"__defaults": []}) == []


def test_problems_compare_by_value() -> None:
    assert Problem("a", "b") == Problem("a", "b")

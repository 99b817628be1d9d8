"""What the stand-in refuses, and in which words."""

from __future__ import annotations

import pytest

from local.engine.providers.checks import problems
from local.engine.providers.protocol import UNKNOWN, Value, plain
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


ASSET: Value = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "hello"}


def complaints(token: str, given: dict[str, Value]) -> list[tuple[str, str]]:
    return [(found.path, found.reason) for found in problems(AWS, AWS.resource(token).inputs, given)]


@pytest.mark.parametrize(
    "given",
    [
        {"buildTimeout": 30, "badgeEnabled": False, "tags": {"team": "shop"}},
        {"buildTimeout": "3eeb2bf0-c639-47a8-9e75-3b44932eb421", "source": UNKNOWN, "tags": {"a": UNKNOWN}},
        {"buildTimeout": None},
        {"__defaults": []},
    ],
    ids=["as the SDK declares it", "not known yet", "null", "the engine's own"],
)
def test_what_fits_is_accepted(given: dict[str, Value]) -> None:
    assert complaints("aws:codebuild/project:Project", {**PROJECT, **given}) == []


@pytest.mark.parametrize(
    ("given", "path", "reason"),
    [
        ({"encryptionKy": "key"}, "encryptionKy", "is not a known property; did you mean `encryptionKey`?"),
        ({"build_timeout": 30}, "build_timeout", "is not a known property; did you mean `buildTimeout`?"),
        ({"zzz": 30}, "zzz", "is not a known property"),
        # A text is not echoed: it might be a secret.
        ({"buildTimeout": "hunter2"}, "buildTimeout", "must be a whole number, got a string"),
        ({"buildTimeout": 30.5}, "buildTimeout", "must be a whole number, got the number 30.5"),
        ({"buildTimeout": True}, "buildTimeout", "must be a whole number, got true"),
        ({"badgeEnabled": "true"}, "badgeEnabled", "must be true or false, got a string"),
        ({"badgeEnabled": 1.0}, "badgeEnabled", "must be true or false, got the number 1"),
        ({"description": 7.0}, "description", "must be a string, got the number 7"),
        ({"description": ["x"]}, "description", "must be a string, got a list"),
        ({"tags": ["x"]}, "tags", "must be a map, got a list"),
        ({"tags": {"team": 1.0}}, "tags['team']", "must be a string, got the number 1"),
        ({"tags": ASSET}, "tags", "must be a map, got an object"),
        ({"secondarySources": {"type": "S3"}}, "secondarySources", "must be a list, got an object"),
        ({"cache": "LOCAL"}, "cache", "must be an object, got a string"),
    ],
)
def test_a_property_that_does_not_fit_is_refused(given: dict[str, Value], path: str, reason: str) -> None:
    assert complaints("aws:codebuild/project:Project", {**PROJECT, **given}) == [(path, reason)]


def test_every_missing_property_is_named() -> None:
    assert complaints("aws:codebuild/project:Project", {"artifacts": {"type": "S3"}, "source": None}) == [
        (name, "is required and missing") for name in ("environment", "serviceRole", "source")
    ]


def test_nested_structures_are_checked_with_their_path() -> None:
    variables: Value = [{"name": "A", "value": "1"}, {"name": "B"}]
    environment: Value = {"computeType": "a", "image": "b", "type": "c", "environmentVariables": variables}
    given: dict[str, Value] = {**PROJECT, "source": {"buildSpec": "version: 0.2"}, "environment": environment}
    assert complaints("aws:codebuild/project:Project", given) == [
        ("environment.environmentVariables[1].value", "is required and missing"),
        ("source.type", "is required and missing"),
        ("source.buildSpec", "is not a known property; did you mean `buildspec`?"),
    ]


def test_either_of_two_types_is_accepted_and_of_neither_the_one_that_was_meant_explains_what_is_wrong() -> None:
    misspelt: Value = {"Version": "2012-10-17", "Statement": [{"Efect": "Allow"}]}
    assert complaints(POLICY, {"bucket": "b", "policy": "{}"}) == []
    assert complaints(POLICY, {"bucket": "b", "policy": {"Version": "2012-10-17", "Statement": []}}) == []
    assert complaints(POLICY, {"bucket": "b", "policy": 1.0}) == [("policy", "must be a string, got the number 1")]
    reason = "is not a known property; did you mean `Effect`?"
    assert ("policy.Statement[0].Efect", reason) in complaints(POLICY, {"bucket": "b", "policy": misspelt})


def test_an_asset_belongs_where_an_asset_is_declared() -> None:
    said = "must be an asset or archive, got a string"
    assert complaints(OBJECT, {"bucket": "b", "source": ASSET}) == []
    assert complaints(OBJECT, {"bucket": "b", "source": "file.txt"}) == [("source", said)]


@pytest.mark.parametrize("mark", ["1b47061264138c4ac30d75fd1eb44270", "d0e6a833031e9bbcd3f4e8bde6ca49a4"])
def test_wrappers_of_secrets_and_outputs_come_off_at_every_depth(mark: str) -> None:
    """An output without a value is unknown."""
    wrapper: dict[str, Value] = {"4dabf18193072939515e22adb298388d": mark}
    assert plain({"a": [{**wrapper, "value": {"b": 1}}], "c": wrapper}) == {"a": [{"b": 1}], "c": UNKNOWN}

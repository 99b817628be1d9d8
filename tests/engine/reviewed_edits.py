"""Edits that reviewers have to judge: of stack files, and of the program, those that fool them among them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pulumi

Values: TypeAlias = dict[str, Any]
Program: TypeAlias = Callable[[str, str, Values], str | None]
"""Takes type, name and inputs of a resource, edits the inputs, and may give another name."""

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"
DATABASE = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-database-AbCdEf"
RELEASE = {"enabled": True, "github": {"repository": "example/shop", "tokenSecret": "shop/github-token"}}


def uploads(resource: str) -> list[Values]:
    """What the tasks may read."""
    return [{"actions": ["s3:GetObject"], "resources": [resource]}]


BASES: Mapping[str, Mapping[str, Any]] = {
    "dev": {
        "application.secrets": {"DATABASE_URL": DATABASE},
        "promotion.approval": {"enabled": True},
        "release": RELEASE,
    },
    "prod": {"release": None, "hosting.service.taskRolePolicy": uploads("arn:aws:s3:::shop-uploads/*")},
}
"""What the stack files of this repository say besides."""

ROLE, ROLE_POLICY, BUCKET = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "aws:s3/bucket:Bucket"
PROJECT, PIPELINE = "aws:codebuild/project:Project", "aws:codepipeline/pipeline:Pipeline"


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit.

    Attributes:
        stack: The stack that is edited.
        sets: What is set in its file.
        program: What is edited in the program.
        fools: Whether it is of the kind that is passed over in a long list of changes.
    """

    stack: str
    sets: Mapping[str, Any] = field(default_factory=dict)
    program: Program | None = None
    fools: bool = False


def document(kind: str, name: str, edit: Callable[[list[Values]], object], prop: str = "policy") -> Program:
    """An edit of the statements of a policy."""

    def edited(text: str) -> str:
        content = json.loads(text)
        edit(content["Statement"])
        return json.dumps(content)

    def program(type_: str, name_: str, values: Values) -> None:
        if (type_, name_) == (kind, name):
            values[prop] = pulumi.Output.from_input(values[prop]).apply(edited)

    return program


def given(kind: str, name: str, **inputs: object) -> Program:
    """An edit of what resources are given whose names begin so."""

    def program(type_: str, name_: str, values: Values) -> None:
        if type_ == kind and name_.startswith(name):
            values.update(inputs)

    return program


def without_condition(statements: list[Values]) -> None:
    next(each for each in statements if "Condition" in each).pop("Condition")


def with_variable(name: str, **values: str) -> Program:
    """An edit of a variable of every project that has it."""

    def program(type_: str, _: str, inputs: Values) -> None:
        if type_ == PROJECT:
            for variable in inputs["environment"].environment_variables:
                if variable.name == name:
                    for key, value in values.items():
                        setattr(variable, key, value)

    return program


def renamed(type_: str, name: str, _: Values) -> str | None:
    return "shop-artifact-store" if (type_, name) == (BUCKET, "shop-artifacts-bucket") else None


def promoted_before_tests(type_: str, _: str, inputs: Values) -> None:
    if type_ == PIPELINE:
        source, build, deploy, test, promote, release = inputs["stages"]
        inputs["stages"] = [source, build, deploy, promote, test, release]


EDITS: Mapping[str, Edit] = {
    # Of the stack file.
    "nothing": Edit("prod"),
    "a size": Edit("prod", {"application.memory": 2048}),
    "the port": Edit("prod", {"application.port": 3000}),
    "another secret": Edit("prod", {"application.secrets": {"DATABASE_URL": DATABASE}}),
    "the count of tasks": Edit("prod", {"application.desiredCount": 5}),
    "the name": Edit("dev", {"application.name": "store"}),
    "days of artifacts": Edit("dev", {"retention.artifactDays": 10}),
    "images that are kept": Edit("prod", {"retention.images": 50}),
    "no tests": Edit("dev", {"tests.enabled": False}),
    "another branch": Edit("dev", {"source.github.branch": "next"}),
    "a release": Edit("prod", {"release": RELEASE}),
    "no release": Edit("dev", {"release.enabled": False}),
    "another repository to promote to": Edit("dev", {"promotion.repository": "store-prod"}),
    "no notifications": Edit("prod", {"notifications.enabled": False}),
    "a canary": Edit("prod", {"deploy.strategy": "canary", "deploy.step": {"percent": 10, "intervalMinutes": 5}}),
    "no alarms": Edit("prod", {"hosting.alarms": {"enabled": False}}),
    "runs that overtake": Edit("prod", {"pipeline.executionMode": "superseded"}),
    "no proof of where images come from": Edit("prod", {"verification.provenance.enabled": False}),
    "a shell in the tasks": Edit("prod", {"hosting.service.exec": True, "application.readOnlyRootFilesystem": False}),
    "https": Edit("prod", {"hosting.loadBalancer": {"certificateArn": CERTIFICATE, "domainName": "shop.example.com"}}),
    "a size that there is not": Edit("prod", {"application.memory": 2000}),
    # Those that fool reviewers.
    "a renamed resource": Edit("dev", program=renamed, fools=True),
    "a removed condition": Edit(
        "dev", program=document(ROLE_POLICY, "shop-delivery-policy", without_condition), fools=True
    ),
    "a wildcard in a resource": Edit(
        "dev",
        program=document(ROLE_POLICY, "shop-promote-image-policy", lambda each: each[0].update(Resource="*")),
        fools=True,
    ),
    "a shortened retention": Edit("dev", {"retention.logDays": 30}, fools=True),
    "a widened trust": Edit(
        "dev",
        program=document(
            ROLE,
            "shop-build-image-role",
            lambda each: each[0]["Principal"].update(AWS="arn:aws:iam::210987654321:root"),
            "assume_role_policy",
        ),
        fools=True,
    ),
    "protection that is off": Edit("prod", {"retention.protect": False}, fools=True),
    "a widened trigger": Edit("dev", {"source.github.paths": None}, fools=True),
    "a stage before the tests": Edit("dev", program=promoted_before_tests, fools=True),
    "a removed approval": Edit("dev", {"promotion.approval.enabled": False}, fools=True),
    "a secret in plain text": Edit(
        "dev",
        {"application.secrets": {}, "application.environment": {"LOG_LEVEL": "debug", "DATABASE_URL": "shop.internal"}},
        fools=True,
    ),
    # And more of the program.
    "a secret of a job in plain text": Edit(
        "dev", program=with_variable("GITHUB_TOKEN", type="PLAINTEXT", value="none")
    ),
    "statements in another order": Edit(
        "dev", program=document(ROLE_POLICY, "shop-promote-image-policy", lambda each: each.reverse())
    ),
    "a denial that is gone": Edit(
        "dev", program=document("aws:s3/bucketPolicy:BucketPolicy", "shop-artifacts-policy", lambda each: each.pop(0))
    ),
    "a policy of AWS's": Edit(
        "dev",
        program=given(
            ROLE, "shop-build-image-role", managed_policy_arns=["arn:aws:iam::aws:policy/AdministratorAccess"]
        ),
    ),
    "a bucket that may be public": Edit(
        "dev",
        program=given(
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "shop-artifacts", block_public_policy=False
        ),
    ),
    "versions that are not kept": Edit(
        "prod",
        program=given(
            "aws:s3/bucketVersioning:BucketVersioning", "shop", versioning_configuration={"status": "Suspended"}
        ),
    ),
    "tags that can move": Edit(
        "dev", program=given("aws:ecr/repository:Repository", "shop-registry-app", image_tag_mutability="MUTABLE")
    ),
    "a topic for everybody": Edit(
        "prod",
        program=document(
            "aws:sns/topicPolicy:TopicPolicy",
            "shop-notifications-topic-policy",
            lambda each: each.append(
                {"Sid": "All", "Effect": "Allow", "Principal": "*", "Action": "sns:Subscribe", "Resource": "*"}
            ),
        ),
    ),
    "a function that anybody's rule may call": Edit(
        "prod", program=given("aws:lambda/permission:Permission", "shop-messenger-run", source_arn=None)
    ),
    "a script of the jobs": Edit("dev", program=with_variable("JOBS_SHA256", value="0" * 64)),
}

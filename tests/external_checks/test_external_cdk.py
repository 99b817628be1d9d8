"""Every role, compared with what the AWS CDK gives the role of the same purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cdk_roles import granted, managed, synthesized
from documented_permissions import PURPOSES, Role, by_service, roles
from iam_reference import expanded
from stack_graphs import NAMES, described

_S3 = "of what it matches, the service roles of AWS's own pages have those that this program grants"
_KMS = "S3 needs kms:GenerateDataKey to store and kms:Decrypt to read"
_PARAMETERS = "Amazon ECS reads parameters with ssm:GetParameters alone, says its page on the task execution role"

REASONS: Mapping[str, str] = {
    "codebuild:BatchPutCodeCoverages": "no build reports code coverage",
    "kms:Encrypt": "a build without output artifacts stores nothing under the key",
    "kms:GenerateDataKey*": _KMS,
    "kms:ReEncrypt*": _KMS,
    "logs:CreateLogGroup": "the program makes every log group",
    "s3:Abort*": _S3,
    "s3:DeleteObject*": "artifacts expire by the bucket's lifecycle rules; nobody deletes one",
    "s3:GetBucket*": _S3,
    "s3:GetObject*": _S3,
    "s3:List*": _S3,
    "s3:PutObjectLegalHold": _S3,
    "s3:PutObjectRetention": _S3,
    "s3:PutObjectTagging": _S3,
    "s3:PutObjectVersionAcl": "CodePipeline stores an object with its list, it changes none that is stored",
    "s3:PutObjectVersionTagging": _S3,
    "secretsmanager:DescribeSecret": "Amazon ECS reads a secret with secretsmanager:GetSecretValue alone",
    "ssm:DescribeParameters": _PARAMETERS,
    "ssm:GetParameter": _PARAMETERS,
    "ssm:GetParameterHistory": _PARAMETERS,
    "sts:AssumeRole": "CDK's pipeline assumes a role for each action; this program's has one role",
}
"""What CDK grants and this program does not -> why."""


def _for(purpose: str) -> Callable[[Role], bool]:
    (found,) = (item for item in PURPOSES if item.name == purpose)
    return found.applies


SAME: Mapping[str, Callable[[Role], bool]] = {
    "PlainProject": _for("CodeBuild: output artifacts"),
    "ReportsProject": _for("CodeBuild: test report"),
    "PushProject": _for("Amazon ECR: push an image"),
    "PullProject": lambda role: role.project.get("name", "").endswith("-extract-static-files"),
    "SecretProject": _for("CodeBuild: variable from Secrets Manager"),
    "TaskExecutionRole": lambda role: all(
        _for(f"Amazon ECS: task execution role that reads {store}")(role)
        for store in ("Secrets Manager", "Parameter Store")
    ),
    "TaskTaskRole": _for("Amazon ECS: task role with ECS Exec"),
    "PipelineEventsRole": by_service("events"),
}
"""Beginning of the logical id of a role in the CDK app -> roles of this program with the same purpose."""


@pytest.fixture(scope="module")
def cdk(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    need("cdk", "iam-data")
    return synthesized(tmp_path_factory.mktemp("cdk"))


def _missing(role: Role, wanted: set[str]) -> set[str]:
    return {action for action in wanted if not all(role.grants(name) for name in expanded(action) or [action])}


@pytest.mark.parametrize("counterpart", SAME)
def test_a_role_may_do_what_cdk_lets_it_do(cdk: dict[str, dict[str, Any]], counterpart: str) -> None:
    wanted = granted(cdk, counterpart)
    own = [role for name in NAMES for role in roles(described(name)) if SAME[counterpart](role)]
    assert wanted, counterpart
    assert own, counterpart
    for role in own:
        assert sorted(_missing(role, wanted) - set(REASONS)) == [], role.name


def test_a_pipeline_may_do_what_cdk_lets_pipelines_of_its_actions_do(cdk: dict[str, dict[str, Any]]) -> None:
    """CDK's app has every action in one pipeline, the stack files have them in several."""
    wanted = granted(cdk, "Pipeline") - granted(cdk, "PipelineEventsRole")
    pipelines = [role for name in NAMES for role in roles(described(name)) if role.service == "codepipeline"]
    missing = set.intersection(*(_missing(role, wanted) for role in pipelines))
    assert sorted(missing - set(REASONS)) == []


def test_cdk_attaches_the_policy_that_codedeploy_s_role_is_held_against(cdk: dict[str, dict[str, Any]]) -> None:
    assert managed(cdk, "CodeDeploy") == ["AWSCodeDeployRoleForECS"]


@pytest.mark.parametrize("action", REASONS)
def test_a_reason_is_still_needed(cdk: dict[str, dict[str, Any]], action: str) -> None:
    """CDK grants it, and some role of the same purpose lacks it."""
    lacking = [
        role.name
        for counterpart, applies in {**SAME, "Pipeline": by_service("codepipeline")}.items()
        if action in granted(cdk, counterpart)
        for name in NAMES
        for role in roles(described(name))
        if applies(role) and _missing(role, {action})
    ]
    assert lacking, action

"""Every role, held against the pages on which AWS says what it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from documented_permissions import PURPOSES, Purpose, problems, roles
from permissions_page import PAGE, permissions_page
from planted_faults import Fault
from stack_graphs import NAMES, described

from components.foundation.iam import SENDS_SOURCE

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"

FAULTS: Mapping[str, Fault] = {
    "a source that cannot be stored": Fault(
        type=ROLE_POLICY,
        name="delivery-policy",
        at=("policy", "Statement", {"Sid": "ExchangeArtifacts"}, "Action"),
        value=["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
        finding="s3:PutObjectAcl",
    ),
    "a connection that must be used for a repository": Fault(
        type=ROLE_POLICY,
        name="delivery-policy",
        at=("policy", "Statement", {"Sid": "UseConnection"}, "Condition"),
        value={"StringEquals": {"codeconnections:FullRepositoryId": "example/shop"}},
        finding="codeconnections:UseConnection",
    ),
    "a report whose group cannot be asked for": Fault(
        type=ROLE_POLICY,
        name="run-lighthouse-policy",
        at=("policy", "Statement", {"Sid": "WriteReports"}, "Action"),
        value=["codebuild:BatchPutTestCases", "codebuild:CreateReport", "codebuild:UpdateReport"],
        finding="codebuild:CreateReportGroup",
    ),
    "a task definition that may be registered under one name": Fault(
        type=ROLE_POLICY,
        name="delivery-policy",
        at=("policy", "Statement", {"Sid": "RegisterTaskDefinition"}, "Resource"),
        value=["arn:aws:ecs:eu-west-1:123456789012:task-definition/shop-everything-on:*"],
        finding="ecs:RegisterTaskDefinition",
    ),
    "alarms that may be read one by one": Fault(
        type=ROLE_POLICY,
        graph="prod",
        name="deploy-code-deploy-policy",
        at=("policy", "Statement", {"Sid": "WatchAlarms"}, "Resource"),
        value=["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop-prod-errors"],
        finding="cloudwatch:DescribeAlarms",
    ),
    "more than the table says": Fault(
        type=ROLE_POLICY,
        name="delivery-policy",
        at=("policy", "Statement", {"Sid": "ExchangeArtifacts"}, "Resource"),
        value=["arn:aws:s3:::shop-artifacts-bucket-1a2b3c4/*"],
        finding="s3:GetObjectVersion",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_each_role_has_what_aws_s_pages_name_for_it(name: str) -> None:
    found = [
        text
        for role in roles(described(name))
        for purpose in PURPOSES
        if purpose.applies(role)
        for text in problems(role, purpose)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", NAMES)
def test_each_role_that_may_do_something_has_a_page(name: str) -> None:
    """So that a new kind of role comes with what AWS says of it."""
    unknown = [
        role.name
        for role in roles(described(name))
        if role.statements and not any(purpose.applies(role) for purpose in PURPOSES)
    ]
    assert unknown == []


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
def test_a_page_is_of_a_role_that_there_is(purpose: Purpose) -> None:
    assert any(purpose.applies(role) for name in NAMES for role in roles(described(name)))


@pytest.mark.parametrize("purpose", PURPOSES, ids=lambda purpose: purpose.name)
def test_what_differs_from_aws_s_example_says_why(purpose: Purpose) -> None:
    for permission in purpose.permissions:
        assert bool(permission.proof or permission.absent) == permission.differs, permission.actions
        assert not (permission.proof and permission.absent), permission.actions


@pytest.mark.parametrize("name", NAMES)
def test_a_trust_policy_demands_what_its_service_is_documented_to_send(name: str) -> None:
    """A service that is silent must not be refused for it, but one that says another account must be."""
    for role in roles(described(name)):
        if not role.service:
            continue
        suffix = "" if f"{role.service}.amazonaws.com" in SENDS_SOURCE else "IfExists"
        condition = dict(role.trust["Condition"])
        assert condition.pop(f"StringEquals{suffix}") == {"aws:SourceAccount": "123456789012"}, role.name
        assert set(condition) <= {f"ArnEquals{suffix}"}, role.name
        for keys in condition.values():
            assert list(keys) == ["aws:SourceArn"], role.name


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    graph = fault.planted(described(fault.graph))
    found = [
        text
        for role in roles(graph)
        for purpose in PURPOSES
        if purpose.applies(role)
        for text in problems(role, purpose)
    ]
    assert [text for text in found if fault.finding in text], json.dumps(found)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == permissions_page(), "make golden"

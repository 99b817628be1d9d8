"""Which permissions a rehearsal used: what was allowed is held against what is granted."""

from __future__ import annotations

from typing import Any

import pytest

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.emulated import Need, RolePolicies, allows
from local.rehearsal.report.model import Permission
from local.rehearsal.usage import permissions

BUCKET = "arn:aws:s3:::files"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


GRANTED = RolePolicies(
    [
        policy(
            allow(["s3:GetObject", "s3:PutObject"], [f"{BUCKET}/in/*", f"{BUCKET}/out/*"]),
            allow("ecs:Describe*", "*"),
            {"Effect": "Deny", "Action": "s3:*", "Resource": f"{BUCKET}/in/secret"},
        ),
        policy(allow("kms:Decrypt", "arn:aws:kms:eu-west-1:123456789012:key/1")),
    ]
)


def told(used: set[tuple[str, str]]) -> dict[tuple[str, str], bool | None]:
    return {(each.action, each.resource): each.used for each in permissions({"role": GRANTED}, {"role": used})}


def test_each_action_on_each_resource_is_told_by_itself() -> None:
    assert told({("s3:GetObject", f"{BUCKET}/in/a"), ("ecs:DescribeTasks", "arn:aws:ecs:eu-west-1:1:task/a")}) == {
        ("s3:GetObject", f"{BUCKET}/in/*"): True,
        ("s3:GetObject", f"{BUCKET}/out/*"): False,
        ("s3:PutObject", f"{BUCKET}/in/*"): False,
        ("s3:PutObject", f"{BUCKET}/out/*"): False,
        ("ecs:Describe*", "*"): True,
        ("kms:Decrypt", "arn:aws:kms:eu-west-1:123456789012:key/1"): None,
    }


def test_the_names_of_resources_are_compared_with_their_case() -> None:
    assert not any(told({("s3:GetObject", f"{BUCKET}/IN/a")}).values())


def test_what_is_not_emulated_is_told_as_used_when_it_was() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    assert told({("kms:Decrypt", key)})["kms:Decrypt", key] is True


def test_a_role_that_was_never_at_work_is_left_out() -> None:
    assert list(permissions({"role": GRANTED, "other": GRANTED}, {"other": set()})) == []


def test_policies_remember_what_they_have_allowed_and_nothing_else() -> None:
    policies = RolePolicies(GRANTED)
    for action, key in (("s3:GetObject", "in/a"), ("s3:GetObject", "in/secret"), ("s3:DeleteObject", "in/a")):
        allows(policies, Need(action, f"{BUCKET}/{key}"), account="123456789012", region="eu-west-1")
    assert policies.used == {("s3:GetObject", f"{BUCKET}/in/a")}
    assert policies == GRANTED


def test_the_stand_in_for_aws_says_what_it_has_allowed(aws: AwsServices) -> None:
    aws.client("s3").create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    role = aws.as_role("worker", [policy(allow("s3:PutObject", f"{BUCKET}/out/*"))])
    client = aws.client_as(role, "s3")
    client.put_object(Bucket="files", Key="out/a", Body=b"")
    with pytest.raises(client.exceptions.ClientError):
        client.put_object(Bucket="files", Key="in/a", Body=b"")
    assert aws.used()["worker"] == {("s3:PutObject", f"{BUCKET}/out/a")}
    granted = {"worker": [policy(allow("s3:PutObject", f"{BUCKET}/out/*"))]}
    assert list(permissions(granted, aws.used())) == [
        Permission(role="worker", action="s3:PutObject", resource=f"{BUCKET}/out/*", used=True)
    ]

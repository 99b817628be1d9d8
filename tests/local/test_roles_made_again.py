"""A role that is made again while somebody is at work under it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.rehearsal.aws_services import REGION, AwsServices


def allowing(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def test_what_stays_allowed_is_never_taken_away_meanwhile(need: Callable[..., None]) -> None:
    """Two builds under one role: the second one's start must not refuse what the first one asks for."""
    need("ministack")
    taken: list[str] = []
    with AwsServices() as aws:
        events = aws.client("iam").meta.events
        events.register(
            "before-parameter-build.iam.DeleteRolePolicy", lambda params, **_: taken.append(params["PolicyName"])
        )
        at_work = aws.client_as(aws.as_role("build", [allowing("s3:*"), allowing("sqs:*")], region=REGION), "s3")
        aws.as_role("build", [allowing("s3:*"), allowing("sqs:*")], region=REGION)
        assert taken == []
        aws.as_role("build", [allowing("s3:*")], region=REGION)
        assert taken == ["policy-1"]
        assert at_work.list_buckets()["Buckets"] == []

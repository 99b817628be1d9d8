"""What CodePipeline publishes, by AWS's own samples, and a stack that listens to it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mocked import Graph, build_program

PIPELINE, RUN, EARLIER = (
    "myPipeline",
    "12345678-1234-5678-abcd-12345678abcd",
    "01234567-0123-0123-0123-012345678901",
)
EVENT: Mapping[str, Any] = {
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
    "version": "0",
    "id": "01234567-EXAMPLE",
    "detail-type": "CodePipeline Pipeline Execution State Change",
    "source": "aws.codepipeline",
    "account": "123456789012",
    "time": "2020-01-24T22:03:07Z",
    "region": "us-east-1",
    "resources": ["arn:aws:codepipeline:us-east-1:123456789012:myPipeline"],
    "detail": {"pipeline": PIPELINE, "execution-id": RUN, "state": "STARTED", "version": 3.0},
}
"""What CodePipeline sends when a run changes its state."""
STAGE: Mapping[str, Any] = {
    **EVENT,
    "detail-type": "CodePipeline Stage Execution State Change",
    "detail": {
        "pipeline": PIPELINE,
        "version": 1.0,
        "execution-id": RUN,
        "start-time": "2020-01-24T22:03:07Z",
        "stage": "Deploy",
        "state": "STARTED",
    },
}
"""What CodePipeline sends when a stage of a run changes its state."""
APPROVAL: Mapping[str, Any] = {
    **EVENT,
    "detail-type": "CodePipeline Action Execution State Change",
    "detail": {
        "pipeline": PIPELINE,
        "execution-id": RUN,
        "stage": "Promote",
        "action": "Approve",
        "state": "STARTED",
        "type": {"owner": "AWS", "provider": "Manual", "category": "Approval", "version": "1"},
        "version": 3.0,
    },
}
"""What CodePipeline sends when an approval begins to wait."""


def changed(event: Mapping[str, Any], **detail: object) -> dict[str, Any]:
    """An event with some details changed."""
    return {**event, "detail": {**event["detail"], **detail}}


def matches(pattern: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """EventBridge's rule for patterns of literal lists: every key is there, with one of the values listed.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
    """
    return all(
        key in given and (matches(wanted, given[key]) if isinstance(wanted, Mapping) else given[key] in wanted)
        for key, wanted in pattern.items()
    )


STACK: Mapping[str, Any] = {
    "aws:region": "eu-west-1",
    "ecs-delivery:application": {"name": "shop"},
    "ecs-delivery:source": {"github": {"repository": "example/shop"}},
    "ecs-delivery:hosting": {"loadBalancer": {"plainHttp": True}},
}
"""A small stack."""


@cache
def stack(*events: str, **notifications: str) -> Graph:
    """A small stack that tells of these events, or of those that it tells of by default."""
    return build_program(
        {
            **STACK,
            "ecs-delivery:deploy": {"approval": {"enabled": "approval" in events}},
            "ecs-delivery:notifications": {
                "enabled": True,
                **({"events": list(events)} if events else {}),
                **notifications,
            },
        }
    )

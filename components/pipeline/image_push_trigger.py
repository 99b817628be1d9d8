"""Starts the pipeline when an image arrives in ECR, pinned to exactly that image.

CodePipeline's ECR source notices nothing by itself (aws-cdk#10901). The event has no resource ARNs, so the
rule matches by repository name (aws-cdk#29225).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from components.pipeline.model import ImagePushTrigger
from components.pipeline.start_rule import Occasion, Revision, StartRule

DIGEST = Revision(type="IMAGE_DIGEST", name="digest", path="$.detail.image-digest")
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html"""


class _Arrival(NamedTuple):
    """One way of an image into ECR: the event of its success, and the words for it."""

    detail_type: str
    success: Mapping[str, list[str]]
    words: str


_ARRIVALS: Mapping[str, _Arrival] = {
    "push": _Arrival("ECR Image Action", {"action-type": ["PUSH"], "result": ["SUCCESS"]}, "was pushed"),
    "replication": _Arrival(
        "ECR Replication Action", {"action-type": ["REPLICATE"], "result": ["SUCCESS"]}, "was replicated"
    ),
    "pullThroughCache": _Arrival("ECR Pull Through Cache Action", {"sync-status": ["SUCCESS"]}, "was cached"),
}
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html"""


def event_pattern(trigger: ImagePushTrigger) -> dict[str, object]:
    """The EventBridge pattern of an image that has arrived under the tag, or under one that the pattern matches.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    arrival = _ARRIVALS[trigger.arrives_by]
    return {
        "source": ["aws.ecr"],
        "detail-type": [arrival.detail_type],
        "detail": {
            **arrival.success,
            "repository-name": [trigger.repository],
            "image-tag": [{"wildcard": trigger.tag} if "*" in trigger.tag else trigger.tag],
        },
    }


class ImagePushTriggerRule(StartRule):
    """The rule for an image."""

    TYPE: ClassVar[str] = "ecs-delivery:index:ImagePushTriggerRule"


def arrival_of(trigger: ImagePushTrigger) -> Occasion:
    """Return what the rule waits for."""
    return Occasion(
        name="image-push",
        words=f"{trigger.repository}:{trigger.tag} {_ARRIVALS[trigger.arrives_by].words}",
        pattern=event_pattern(trigger),
        revision=DIGEST,
    )

"""Starts the pipeline when an object is uploaded to a bucket, pinned to exactly that version of it.

The bucket sends the event only when its owner has it send events to EventBridge, which concerns all of the bucket, so
nothing here switches it on: https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html
"""

from __future__ import annotations

from typing import ClassVar

from components.pipeline.model import UploadTrigger
from components.pipeline.start_rule import Occasion, Revision, StartRule

VERSION = Revision(type="S3_OBJECT_VERSION_ID", name="version", path="$.detail.object.version-id")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html"""


class UploadTriggerRule(StartRule):
    """The rule for an upload."""

    TYPE: ClassVar[str] = "ecs-delivery:index:UploadTriggerRule"


def event_pattern(trigger: UploadTrigger) -> dict[str, object]:
    """Return the EventBridge pattern of an object that was uploaded, in one piece, in parts, or as a copy.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
    """
    return {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [trigger.bucket]}, "object": {"key": [trigger.object_key]}},
    }


def upload_of(trigger: UploadTrigger) -> Occasion:
    """Return what the rule waits for."""
    return Occasion(
        name="upload",
        words=f"{trigger.object_key} was uploaded to {trigger.bucket}",
        pattern=event_pattern(trigger),
        revision=VERSION,
    )

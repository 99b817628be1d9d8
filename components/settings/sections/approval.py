"""A person's yes before something is done: the same keys wherever a manual approval may stand."""

from pydantic import Field

from components.settings.names import TopicArn
from components.settings.section import Section


class ApprovalSection(Section):
    """A manual approval."""

    enabled: bool = Field(default=False, description="Whether a person has to approve.", examples=[True])
    notify_topic_arn: TopicArn | None = Field(
        default=None,
        description="SNS topic that is notified when an approval waits.",
        examples=["arn:aws:sns:eu-west-1:123456789012:approvals"],
    )
    timeout_minutes: int = Field(
        default=7 * 24 * 60,
        ge=5,
        le=60 * 24 * 60,  # https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html
        description="Time after which an approval nobody gave fails the run.",
        examples=[10080],
    )

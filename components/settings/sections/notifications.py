"""Section `notifications`: who is told what became of a run, and by which way."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from components.settings.names import (
    EmailAddress,
    KmsKeyArn,
    SlackChannelId,
    SlackWorkspaceId,
    TeamsChannelId,
    TopicArn,
    Uuid,
)
from components.settings.section import Problem, Section

Happening = Literal["failed", "rolledBack", "stopped", "recovered", "succeeded", "approval", "alarm"]
"""What a message can be about."""

MOST_ADDRESSES = 50
"""Ours: whoever has more people to tell has a mailing list, which confirms once."""


class SlackSection(Section):
    """A channel of Slack. The workspace is authorized once, by a person, in the console of Amazon Q Developer."""

    workspace_id: SlackWorkspaceId = Field(description="The workspace.", examples=["T012ABCDEFG"])
    channel_id: SlackChannelId = Field(description="The channel.", examples=["C012ABCDEFG"])


class TeamsSection(Section):
    """A channel of Microsoft Teams. The team is authorized once, by a person, in the console of Amazon Q Developer."""

    tenant_id: Uuid = Field(description="The tenant.", examples=["1f0e2d3c-4b5a-4697-8877-665544332211"])
    team_id: Uuid = Field(description="The team.", examples=["0f1e2d3c-4b5a-4697-8877-665544332211"])
    channel_id: TeamsChannelId = Field(
        description="The channel, as its link has it.",
        examples=["19%3ab6ef35dc342d56ba5654e6fc6d25a071%40thread.tacv2"],
    )


class NotificationsSection(Section):
    """Messages on what became of a run, by an SNS topic: e-mail, Slack, Microsoft Teams."""

    enabled: bool = Field(default=False, description="Whether messages are sent.", examples=[True])
    events: tuple[Happening, ...] = Field(
        default=("failed", "rolledBack", "stopped", "recovered", "approval", "alarm"),
        min_length=1,
        description="What messages are sent about. `recovered`: a run succeeds after one that failed. `approval`: a "
        "person has to approve. `alarm`: an alarm of `hosting.alarms` fires, or is over.",
        examples=[["failed", "rolledBack", "recovered", "approval", "alarm"]],
    )
    topic_arn: TopicArn | None = Field(
        default=None,
        description="SNS topic in the stack's region that messages are sent to, instead of one that is made here.",
        examples=["arn:aws:sns:eu-west-1:123456789012:deliveries"],
    )
    topic_key_arn: KmsKeyArn | None = Field(
        default=None,
        description="The key of your own that the topic of `topicArn` is encrypted with. Its policy must let "
        "CloudWatch use it, or no alarm arrives.",
        examples=["arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c-4b5a-4697-8877-665544332211"],
    )
    email: tuple[EmailAddress, ...] = Field(
        default=(),
        max_length=MOST_ADDRESSES,
        description="Addresses that get each message; each of them confirms once.",
        examples=[["team@example.com"]],
    )
    slack: SlackSection | None = Field(
        default=None,
        description="A channel of Slack, by Amazon Q Developer in chat applications.",
        examples=[{"workspaceId": "T012ABCDEFG", "channelId": "C012ABCDEFG"}],
    )
    teams: TeamsSection | None = Field(
        default=None,
        description="A channel of Microsoft Teams, by Amazon Q Developer in chat applications; AWS's provider "
        "knows one channel of a team in an account.",
        examples=[
            {
                "tenantId": "1f0e2d3c-4b5a-4697-8877-665544332211",
                "teamId": "0f1e2d3c-4b5a-4697-8877-665544332211",
                "channelId": "19%3ab6ef35dc342d56ba5654e6fc6d25a071%40thread.tacv2",
            }
        ],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a key without a topic, and what stands twice."""
        if self.topic_key_arn is not None and self.topic_arn is None:
            yield Problem(
                path=("topicKeyArn",),
                message="has an effect only together with topicArn: a topic that is made here has the stack's own key",
                fix="pulumi config rm --path 'ecs-delivery:notifications.topicKeyArn'",
            )
        for key, values in (("events", self.events), ("email", self.email)):
            for value, times in Counter(map(str, values)).items():
                if times > 1:
                    yield Problem(
                        path=(key,),
                        message=f"must name each once, got {value} {times} times",
                        fix=f"edit the file: leave {value} out of {key} but once",
                    )

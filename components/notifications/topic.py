"""The topic that every message goes to, and who gets them from there: e-mail, Slack, Microsoft Teams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import chatbot, iam, sns

from components.foundation.commands import aws_command
from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, resource_policy, service_trust
from components.settings.sections.notifications import NotificationsSection


@dataclass(frozen=True, kw_only=True, slots=True)
class NotificationTopicArgs:
    """What distinguishes one topic from another.

    Attributes:
        foundation: What it is made with.
        notifications: The stack file's ``notifications``.
        tells_of_alarms: Whether there are alarms that are published to it.
    """

    foundation: Foundation
    notifications: NotificationsSection
    tells_of_alarms: bool


class NotificationTopic(pulumi.ComponentResource):
    """An encrypted SNS topic, or one that is given, with its subscriptions."""

    TYPE: ClassVar[str] = "ecs-delivery:index:NotificationTopic"

    arn: pulumi.Output[str]
    """The topic's ARN."""
    ready: tuple[pulumi.Resource, ...] = ()
    """What must exist before an alarm may publish to it."""

    def __init__(self, name: str, args: NotificationTopicArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        self._name, self._args = name, args
        given = args.notifications
        if given.topic_arn is None:
            self.arn = self._topic()
            self._key: pulumi.Input[str] | None = args.foundation.key.arn
        else:
            self.arn, self._key = pulumi.Output.from_input(given.topic_arn), given.topic_key_arn
        for address in given.email:
            sns.TopicSubscription(
                f"{name}-email-{address}",
                topic=self.arn,
                protocol="email",
                endpoint=address,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self._chat()
        self.register_outputs({"arn": self.arn})

    @property
    def notes(self) -> list[pulumi.Input[str]]:
        """What a person has to do before messages arrive."""
        return list(self._notes())

    def publish(self) -> tuple[Statement, ...]:
        """Return permission to send messages.

        https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#sns-what-permissions-for-sse
        """
        statements = [Statement(sid="PublishMessages", actions=("sns:Publish",), resources=(self.arn,))]
        if self._key is not None:
            actions = ("kms:Decrypt", "kms:GenerateDataKey")
            statements.append(Statement(sid="EncryptMessages", actions=actions, resources=(self._key,)))
        return tuple(statements)

    def _topic(self) -> pulumi.Output[str]:
        foundation, child = self._args.foundation, pulumi.ResourceOptions(parent=self)
        topic = sns.Topic(
            f"{self._name}-topic",
            name=f"{foundation.prefix}-notifications",
            kms_master_key_id=foundation.key.arn,
            tags=foundation.tags,
            opts=child,
        )
        policy = sns.TopicPolicy(
            f"{self._name}-topic-policy", arn=topic.arn, policy=self._policy(topic.arn), opts=child
        )
        # The key's policy, too: CloudWatch drops what it may not encrypt, and nobody hears of it.
        self.ready = (policy, foundation.key.policy)
        return topic.arn

    def _policy(self, topic: pulumi.Output[str]) -> pulumi.Output[str]:
        """Roles of this account publish by their own policies."""
        account = self._args.foundation.account
        statements: list[dict[str, object]] = [
            {
                # https://docs.aws.amazon.com/sns/latest/dg/sns-security-best-practices.html#enforce-encryption-data-in-transit
                "Sid": "PublishEncryptedOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]
        if self._args.tells_of_alarms:
            statements.append(
                {
                    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
                    "Sid": "PublishAlarmsOfThisStack",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": topic,
                    "Condition": {
                        "StringEquals": {"aws:SourceAccount": account.id},
                        "ArnLike": {
                            "aws:SourceArn": account.arn("cloudwatch", f"alarm:{self._args.foundation.prefix}-*")
                        },
                    },
                }
            )
        return resource_policy(statements)

    def _chat(self) -> None:
        """Subscribe channels, by Amazon Q Developer in chat applications."""
        given, child = self._args.notifications, pulumi.ResourceOptions(parent=self)
        if given.slack is None and given.teams is None:
            return
        foundation, account = self._args.foundation, self._args.foundation.account
        # Messages need no permission. What people in the channel may have done is the intersection of role and
        # guardrail: https://docs.aws.amazon.com/chatbot/latest/adminguide/understanding-permissions.html. The guardrail
        # holds for roles of their own, too.
        role = iam.Role(
            f"{self._name}-chat-role",
            description=f"What channels may do that hear of {foundation.prefix}: nothing",
            assume_role_policy=service_trust("chatbot.amazonaws.com", account_id=account.id),
            permissions_boundary=foundation.permissions_boundary,
            tags=foundation.tags,
            opts=child,
        )
        guardrails = [account.arn("iam", "policy/AWSDenyAll", region="", account_id="aws")]
        if given.slack:
            chatbot.SlackChannelConfiguration(
                f"{self._name}-slack",
                configuration_name=f"{foundation.prefix}-slack",
                slack_team_id=given.slack.workspace_id,
                slack_channel_id=given.slack.channel_id,
                sns_topic_arns=[self.arn],
                iam_role_arn=role.arn,
                guardrail_policy_arns=guardrails,
                tags=foundation.tags,
                opts=self._anew("slackTeamId"),
            )
        if given.teams:
            chatbot.TeamsChannelConfiguration(
                f"{self._name}-teams",
                configuration_name=f"{foundation.prefix}-teams",
                tenant_id=given.teams.tenant_id,
                team_id=given.teams.team_id,
                channel_id=given.teams.channel_id,
                sns_topic_arns=[self.arn],
                iam_role_arn=role.arn,
                guardrail_policy_arns=guardrails,
                tags=foundation.tags,
                opts=self._anew("teamId", "tenantId"),
            )

    def _anew(self, *names: str) -> pulumi.ResourceOptions:
        """Options of a channel that is another one when these change: AWS cannot change them, and the provider tries.

        https://docs.aws.amazon.com/chatbot/latest/APIReference/API_UpdateSlackChannelConfiguration.html
        """
        return pulumi.ResourceOptions(parent=self, replace_on_changes=list(names), delete_before_replace=True)

    def _notes(self) -> Iterator[pulumi.Input[str]]:
        given = self._args.notifications
        if given.email:
            yield (
                f"Confirm the subscription in the e-mail that AWS sends to {', '.join(given.email)}; "
                "until then no message arrives there."
            )
        chats = [name for name, there in (("Slack", given.slack), ("Microsoft Teams", given.teams)) if there]
        for chat in chats:
            yield (
                f"Authorize {chat} once for this account, before `pulumi up`: in the console of Amazon Q Developer in "
                "chat applications, Configure new client; and invite @Amazon Q into a private channel."
            )
        if given.topic_arn is None and not given.email and not chats:
            subscribe = aws_command(
                "sns",
                "subscribe",
                region=self._args.foundation.region,
                topic_arn=self.arn,
                protocol="email",
                notification_endpoint="team@example.com",
            )
            yield pulumi.Output.concat("Subscribe to the topic, or nobody gets the messages: ", subscribe)
        if given.topic_arn is not None:
            admits = "lets the roles of the functions publish"
            if self._args.tells_of_alarms:
                admits += ", and cloudwatch.amazonaws.com for the alarms"
            key = f", and the policy of {given.topic_key_arn} lets them use the key" if given.topic_key_arn else ""
            yield f"See that the policy of {given.topic_arn} {admits}{key}: docs/operations.md."

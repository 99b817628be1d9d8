"""Starts the pipeline when an image arrives in ECR, pinned to exactly that image.

CodePipeline's ECR source notices nothing by itself (aws-cdk#10901). The event has no resource ARNs, so the
rule matches by repository name (aws-cdk#29225).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pulumi
from pulumi_aws import cloudwatch, iam

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust
from components.pipeline.model import ImagePushTrigger


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


def start_request(source_action: str) -> str:
    """The input of ``StartPipelineExecution``, with the event's digest where EventBridge fills it in.

    Without it a second push could move the tag before the run has looked at it.
    """
    override = {"actionName": source_action, "revisionType": "IMAGE_DIGEST", "revisionValue": "<digest>"}
    return json.dumps({"sourceRevisions": [override]})


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePushTriggerRuleArgs:
    """What distinguishes one rule from another.

    Attributes:
        foundation: What the rule is made with.
        pipeline_name: The pipeline's name.
        pipeline_arn: The pipeline to start.
        source_action: Its ECR source action, which gets the digest.
        trigger: Repository and tag.
    """

    foundation: Foundation
    pipeline_name: str
    pipeline_arn: pulumi.Output[str]
    source_action: str
    trigger: ImagePushTrigger


class ImagePushTriggerRule(pulumi.ComponentResource):
    """An EventBridge rule with a role that may start one pipeline and nothing else."""

    TYPE: ClassVar[str] = "ecs-delivery:index:ImagePushTriggerRule"

    def __init__(self, name: str, args: ImagePushTriggerRuleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account, tags = args.foundation.account, args.foundation.tags
        rule_name = f"{args.pipeline_name}-image-push"
        pattern, request = event_pattern(args.trigger), start_request(args.source_action)
        rule = cloudwatch.EventRule(
            f"{name}-rule",
            name=rule_name,
            description=f"{args.trigger.repository}:{args.trigger.tag} {_ARRIVALS[args.trigger.arrives_by].words}: "
            f"start {args.pipeline_name}",
            event_pattern=json.dumps(pattern),
            tags=tags,
            opts=child,
        )
        role = iam.Role(
            f"{name}-role",
            description=f"Starts the pipeline {args.pipeline_name}",
            assume_role_policy=service_trust(
                "events.amazonaws.com",
                account_id=account.id,
                source_arn=account.arn("events", f"rule/{rule_name}"),
            ),
            permissions_boundary=args.foundation.permissions_boundary,
            tags=tags,
            opts=child,
        )
        iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(
                [
                    Statement(
                        sid="StartPipeline",
                        actions=("codepipeline:StartPipelineExecution",),
                        resources=(args.pipeline_arn,),
                    )
                ]
            ),
            opts=child,
        )
        cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            arn=args.pipeline_arn,
            role_arn=role.arn,
            input_transformer={
                "input_paths": {"digest": "$.detail.image-digest"},
                "input_template": request,
            },
            opts=child,
        )
        self.register_outputs({})

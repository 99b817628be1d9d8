"""An EventBridge rule that starts a pipeline with what an event names, whatever the event is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pulumi
from pulumi_aws import cloudwatch, iam

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """What a run takes instead of the newest.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_SourceRevisionOverride.html

    Attributes:
        type: Its type, for example ``IMAGE_DIGEST``.
        name: What stands in its place in the request, for example ``digest``.
        path: Where the event has it.
    """

    type: str
    name: str
    path: str

    def start_request(self, source_action: str) -> str:
        """Return the input of ``StartPipelineExecution``, with the revision where EventBridge fills it in.

        Without it a second event could come before the run has looked at what the first one was about.
        """
        override = {"actionName": source_action, "revisionType": self.type, "revisionValue": f"<{self.name}>"}
        return json.dumps({"sourceRevisions": [override]})


@dataclass(frozen=True, kw_only=True, slots=True)
class Occasion:
    """What a rule waits for.

    Attributes:
        name: Of this kind of occasion, the end of the rule's name.
        words: It as a sentence without its full stop.
        pattern: The EventBridge pattern of it.
        revision: What of the event the run is pinned to.
    """

    name: str
    words: str
    pattern: Mapping[str, object]
    revision: Revision


@dataclass(frozen=True, kw_only=True, slots=True)
class StartRuleArgs:
    """What distinguishes one rule from another.

    Attributes:
        foundation: What the rule is made with.
        pipeline_name: The pipeline's name.
        pipeline_arn: The pipeline to start.
        source_action: Its source action, which gets the revision.
        occasion: What it waits for.
    """

    foundation: Foundation
    pipeline_name: str
    pipeline_arn: pulumi.Output[str]
    source_action: str
    occasion: Occasion


class StartRule(pulumi.ComponentResource):
    """An EventBridge rule with a role that may start one pipeline and nothing else.

    A subclass sets :attr:`TYPE`.
    """

    TYPE: ClassVar[str]
    """The Pulumi type token; never changed without an alias."""

    def __init__(self, name: str, args: StartRuleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account, tags = args.foundation.account, args.foundation.tags
        occasion, revision = args.occasion, args.occasion.revision
        rule_name = f"{args.pipeline_name}-{occasion.name}"
        rule = cloudwatch.EventRule(
            f"{name}-rule",
            name=rule_name,
            description=f"{occasion.words}: start {args.pipeline_name}",
            event_pattern=json.dumps(occasion.pattern),
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
                "input_paths": {revision.name: revision.path},
                "input_template": revision.start_request(args.source_action),
            },
            opts=child,
        )
        self.register_outputs({})

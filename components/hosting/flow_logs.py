"""Flow logs: which connections were tried in the network that is made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import pulumi
from pulumi_aws import ec2, iam

from components.foundation.foundation import Foundation
from components.foundation.iam import Statement, policy_document, service_trust

TRAFFIC: Final[Mapping[str, str]] = {"rejected": "REJECT", "all": "ALL"}
"""What is logged, in EC2's words: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html

The refused ones are what Security Hub asks for, control EC2.6:
https://docs.aws.amazon.com/securityhub/latest/userguide/ec2-controls.html
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowLogsArgs:
    """What distinguishes the flow logs of one network from another's.

    Attributes:
        foundation: What they are made with.
        vpc_id: The VPC.
        connections: Which connections are logged.
    """

    foundation: Foundation
    vpc_id: pulumi.Input[str]
    connections: Literal["rejected", "all"]


class FlowLogs(pulumi.ComponentResource):
    """The flow logs of a VPC in a log group with the stack's retention and key, and the role that writes them.

    The role makes no log group: one that was destroyed would come back with the last records, without retention.
    """

    TYPE: ClassVar[str] = "ecs-delivery:hosting:FlowLogs"

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        foundation = args.foundation
        logs = foundation.log_group(f"{name}-group", f"/vpc/{foundation.prefix}", self)
        role = iam.Role(
            f"{name}-role",
            description=f"Flow logs of the network of {foundation.prefix} are written with it",
            assume_role_policy=service_trust(
                "vpc-flow-logs.amazonaws.com",
                account_id=foundation.account.id,
                # The id is known only when the flow log is there, and that needs the role.
                source_arn=foundation.account.arn("ec2", "vpc-flow-log/*"),
            ),
            permissions_boundary=foundation.permissions_boundary,
            tags=foundation.tags,
            opts=child,
        )
        policy = iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=policy_document(
                [
                    # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
                    Statement(
                        sid="WriteFlowLogs",
                        actions=("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
                        resources=(pulumi.Output.concat(logs.arn, ":*"),),
                    )
                ]
            ),
            opts=child,
        )
        ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type=TRAFFIC[args.connections],
            log_destination=logs.arn,
            iam_role_arn=role.arn,
            tags=foundation.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({"logGroup": logs.name})

"""Reserved capacity: machines of CodeBuild that wait for builds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import pulumi
from pulumi_aws import codebuild

from components.foundation.foundation import Foundation
from components.jobs.build_project import Machine

OVERFLOW: Final[Mapping[str, str]] = {"queue": "QUEUE", "onDemand": "ON_DEMAND"}
"""What becomes of a build that finds no machine free: word of the stack file -> CodeBuild's.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateFleet.html
"""


def reserved_capacity(
    name: str,
    *,
    foundation: Foundation,
    machine: Machine,
    capacity: int,
    overflow: Literal["queue", "onDemand"],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Make a reserved capacity fleet, which is billed as long as it is there, and return its ARN.

    It needs no role: CodeBuild has it outside of any VPC, and runs its own image on it.
    https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html

    Args:
        name: Its Pulumi name.
        foundation: What it is made with.
        machine: What its machines are.
        capacity: How many of them there are.
        overflow: What becomes of a build that finds none free.
        opts: Its parent.
    """
    return codebuild.Fleet(
        name,
        name=f"{foundation.prefix}-fleet",
        base_capacity=capacity,
        compute_type=machine.compute_type,
        environment_type=machine.environment_type,
        overflow_behavior=OVERFLOW[overflow],
        tags=foundation.tags,
        opts=opts,
    ).arn

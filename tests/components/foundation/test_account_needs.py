"""What the account must allow, in words and numbers."""

from __future__ import annotations

import re

import pytest

from components.foundation import account_needs
from components.foundation.account_needs import (
    ECS_ROLE,
    FARGATE,
    VPCS,
    AccountNeeds,
    Need,
    Quota,
    builds,
)
from components.jobs.build_project import LONG_RUNNING, browser_machine, image_builder, quick_machine, waiting_machine

MACHINES = {
    machine.type
    for machine in (
        LONG_RUNNING,
        quick_machine("eu-west-1"),
        waiting_machine("eu-west-1"),
        *map(browser_machine, ("small", "medium", "large")),
        *(
            image_builder(architecture=architecture, size=size)
            for architecture in ("arm64", "x86_64")
            for size in ("small", "medium", "large", "xlarge")
        ),
    )
}
QUOTAS = [*(builds(machine) for machine in sorted(MACHINES))] + [
    value for value in vars(account_needs).values() if isinstance(value, Quota)
]


def test_every_machine_has_a_quota() -> None:
    for machine in MACHINES:
        assert builds(machine).name == f"Concurrently running builds for {machine} environment"
    with pytest.raises(KeyError):
        builds("Windows/Large")


def test_no_two_quotas_share_a_code() -> None:
    assert len({quota.code for quota in QUOTAS}) == len({quota.name for quota in QUOTAS}) == len(QUOTAS)
    assert all(re.fullmatch(r"L-[0-9A-F]{8}", quota.code) for quota in QUOTAS)


def test_a_stack_asks_for_two_of_its_kind() -> None:
    assert (Need(quota=FARGATE, amount=2.25).desired, Need(quota=FARGATE, amount=3).desired) == (5, 6)
    assert [Need(quota=FARGATE, amount=amount).asks for amount in (3, 3.25)] == [False, True]


def test_everything_is_said_in_two_lines() -> None:
    needs = AccountNeeds(
        builds={"Linux/Medium": 1, "ARM/Small": 2},
        each_run=False,
        hosting=(Need(quota=FARGATE, amount=4.5), Need(quota=VPCS, amount=1)),
        roles=(ECS_ROLE,),
    )
    assert needs.lines == [
        "CodeBuild builds at the same time: ARM/Small 2, Linux/Medium 1. A new account allows 1 of each.",
        (
            "The hosting takes at most (a new account has): Fargate On-Demand vCPU resource count 4.5 (6), "
            "VPCs per Region 1 (5). "
            "Service-linked roles, made by the first use: AWSServiceRoleForECS."
        ),
    ]
    assert [need.quota.service for need in needs.needs] == ["codebuild", "codebuild", "fargate", "vpc"]


def test_runs_side_by_side_have_no_number_together() -> None:
    assert AccountNeeds(builds={"ARM/Small": 2}, each_run=True).lines == [
        "CodeBuild builds at the same time, for each run: ARM/Small 2. A new account allows 1 of each."
    ]

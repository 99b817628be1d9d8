"""What hosting takes of the account's quotas."""

from __future__ import annotations

from typing import Any

import pytest
from made_hosting import made

from components.engines.deployment_configuration import deployment_configuration
from components.foundation.account_needs import (
    ELASTIC_IPS,
    FARGATE,
    FARGATE_SPOT,
    LOAD_BALANCERS,
    NAT_GATEWAYS,
    VPCS,
    Quota,
)
from components.settings.sections.deploy import DeploySection


def taken(hosting: dict[str, Any] | None = None, **sections: Any) -> dict[Quota, float]:  # noqa: ANN401 - sections of a stack file
    return {need.quota: need.amount for need in made(hosting, **sections).hosting.needs}


def test_the_smallest_hosting_takes_a_network_a_load_balancer_and_its_tasks_twice() -> None:
    assert taken() == {FARGATE: 2, LOAD_BALANCERS: 1, VPCS: 1}


def test_tasks_are_counted_at_their_most_while_a_deployment_lasts() -> None:
    application = {"name": "shop", "cpu": 512, "memory": 1024, "desiredCount": 3}
    assert taken({"service": {"scaling": {"maximum": 9}}}, application=application)[FARGATE] == 2 * 9 * 0.5
    assert taken(application=application)[FARGATE] == 2 * 6 * 0.5


def test_a_schedule_and_the_shares_of_a_deployment_are_counted() -> None:
    many = {"expression": "rate(1 hour)", "minimum": 1, "maximum": 20}
    section = {"service": {"maximumPercent": 150, "scaling": {"schedule": {"many": many}}}}
    assert taken(section, deploy={"engine": "ecs"})[FARGATE] == 1.5 * 20 * 0.25


def test_a_deployment_of_ecs_makes_as_many_new_tasks_as_codedeploys() -> None:
    for strategy in ("rolling", "blueGreen"):
        deploy = DeploySection(engine="ecs", strategy=strategy)
        assert deployment_configuration(deploy.rollout)["maximumPercent"] == 200


def test_spot_has_a_quota_of_its_own() -> None:
    needs = taken({"service": {"capacityProvider": "fargateSpot"}}, deploy={"engine": "ecs"})
    assert FARGATE not in needs
    assert needs[FARGATE_SPOT] == 2


@pytest.mark.parametrize(
    ("network", "needs"),
    [
        ({"natGateways": "single"}, {VPCS: 1, NAT_GATEWAYS: 1, ELASTIC_IPS: 1}),
        ({"natGateways": "onePerAz", "availabilityZones": 3}, {VPCS: 1, NAT_GATEWAYS: 1, ELASTIC_IPS: 3}),
        ({"taskSubnets": "private"}, {VPCS: 1}),
        (
            {
                "existing": {
                    "vpcId": "vpc-0a1b2c3d4e5f67890",
                    "publicSubnets": ["subnet-0a1b2c3d4e5f67890", "subnet-0a1b2c3d4e5f67891"],
                }
            },
            {},
        ),
    ],
    ids=["one gateway", "one in each zone", "none", "a VPC that exists"],
)
def test_a_network_takes_what_is_made_for_it(network: dict[str, Any], needs: dict[Quota, float]) -> None:
    assert {quota: amount for quota, amount in taken({"network": network}).items() if quota.service != "fargate"} == {
        LOAD_BALANCERS: 1,
        **needs,
    }

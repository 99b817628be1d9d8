"""What the local provider makes of a changed service: the request that AWS's would send, and what ECS makes of it."""

from __future__ import annotations

import pytest
from local_provider import Provider, Refused, Values

from local.aws_models import service_model
from local.ecs_updates import WITH_CODE_DEPLOY, documented, refused_with_code_deploy, starts_deployment
from local.engine.providers import changes, ecs_service
from local.engine.providers.ecs_service import TOKEN, deployment, refusal, sent

MEMBERS = set(service_model("ecs").operation_model("UpdateService").input_shape.members)
BY_CODE_DEPLOY: Values = {"name": "shop", "deploymentController": {"type": "CODE_DEPLOY"}}
BY_ECS: Values = {"name": "shop", "deploymentController": {"type": "ECS"}}


def test_the_model_still_says_what_can_be_updated_of_a_service_that_code_deploy_deploys() -> None:
    assert (
        "For services using the blue/green (CODE_DEPLOY) deployment controller, only the desired count, deployment "
        "configuration, health check grace period, task placement constraints and strategies, enable ECS managed tags "
        "option, and propagate tags can be updated using this API."
    ) in " ".join(documented().split())
    assert WITH_CODE_DEPLOY < MEMBERS


def test_the_model_says_of_each_member_whether_it_starts_a_deployment() -> None:
    assert {member for member in MEMBERS if starts_deployment(member)} == {
        *("forceNewDeployment", "loadBalancers", "networkConfiguration", "platformVersion", "taskDefinition"),
        *("serviceConnectConfiguration", "serviceRegistries", "volumeConfigurations", "vpcLatticeConfigurations"),
    }


def test_every_property_of_the_service_is_a_member_of_the_request_or_known_not_to_be() -> None:
    """What the provider makes a new service for is never in it."""
    names = {name for name, row in changes.table()[TOKEN].items() if not row.force_new.startswith(("yes", "conditi"))}
    for name in sorted(names - {"tags", "forceDelete", "sigintRollback", "triggers", "waitForSteadyState"}):
        (member,) = sent(BY_ECS, {**BY_ECS, name: True})
        assert member in MEMBERS, name
    assert sent(BY_ECS, {**BY_ECS, "tags": {"a": "b"}, "forceDelete": True}) == frozenset()


def test_a_forced_deployment_goes_with_every_request_but_one_of_tags_alone() -> None:
    forced: Values = {**BY_ECS, "forceNewDeployment": True}
    assert deployment(forced, {**forced, "healthCheckGracePeriodSeconds": 90.0}) == ["forceNewDeployment"]
    assert deployment(forced, {**forced, "tags": {"a": "b"}}) == []
    assert deployment(forced, BY_ECS) == [], "taking it away is a request without"
    assert deployment(BY_ECS, {**BY_ECS, "networkConfiguration": {"subnets": ["a"]}}) == ["networkConfiguration"]


BEHIND: Values = {**BY_ECS, "loadBalancers": [{"containerName": "shop"}]}


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (BY_ECS, {**BY_ECS, "healthCheckGracePeriodSeconds": 60.0}, True),
        (BY_ECS, {**BEHIND, "healthCheckGracePeriodSeconds": 60.0}, True),
        (BEHIND, {**BEHIND, "healthCheckGracePeriodSeconds": 60.0}, False),
        (BY_ECS, BEHIND, False),
        ({**BEHIND, "healthCheckGracePeriodSeconds": 60.0}, {**BY_ECS, "healthCheckGracePeriodSeconds": 60.0}, False),
    ],
    ids=["without load balancer", "with the first one", "behind one", "without a period", "the way back"],
)
def test_ecs_takes_a_grace_period_only_of_a_service_behind_a_load_balancer(
    before: Values, after: Values, *, refused: bool
) -> None:
    """https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1313."""
    assert ("only valid for services configured to use" in refusal(before, after, lambda: True)) == refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forceNewDeployment": True}, "Cannot force a new deployment on services with a CODE_DEPLOY deployment contr"),
        ({"taskDefinition": "shop:2"}, "Unable to update task definition on services with a CODE_DEPLOY deployment"),
        ({"networkConfiguration": {"subnets": ["a"]}}, "Unable to update network parameters on services with a CODE_D"),
        ({"enableExecuteCommand": True}, "Unable to update enableExecuteCommand on services with a CODE_DEPLOY deploy"),
        ({"loadBalancers": []}, "Unable to update loadBalancers on services with a CODE_DEPLOY deployment controller"),
        ({"platformVersion": "1.4.0"}, "Unable to update platformVersion on services with a CODE_DEPLOY deployment co"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_service_that_code_deploy_deploys_takes_no_more_than_aws_says(change: Values, said: str) -> None:
    provider = Provider()
    identity, state = provider.create(TOKEN, BY_CODE_DEPLOY)
    with pytest.raises(Refused) as caught:
        provider.update(TOKEN, state, BY_CODE_DEPLOY, {**BY_CODE_DEPLOY, **change}, identity)
    assert str(caught.value).startswith(f"ecs UpdateService: InvalidParameterException: {said}")
    identity, state = provider.create(TOKEN, {**BY_ECS, "name": "other"}, "other")
    provider.update(TOKEN, state, BY_ECS, {**BY_ECS, **change}, identity, "other")


@pytest.mark.parametrize(
    "change",
    [
        {"healthCheckGracePeriodSeconds": 90.0},
        {"deploymentMaximumPercent": 150.0},
        {"desiredCount": 3.0},
        {"enableEcsManagedTags": True},
        {"propagateTags": "SERVICE"},
        {"orderedPlacementStrategies": []},
        {"tags": {"a": "b"}},
        {"waitForSteadyState": True},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_service_that_code_deploy_deploys_takes_the_rest(change: Values) -> None:
    service: Values = {**BY_CODE_DEPLOY, "loadBalancers": [{"containerName": "shop"}]}
    assert refusal(service, {**service, **change}, lambda: True) == ""


def test_another_controller_is_no_update_of_one_that_code_deploy_deploys() -> None:
    assert refusal(BY_CODE_DEPLOY, {**BY_ECS, "networkConfiguration": {"subnets": ["a"]}}, lambda: True) == ""


def test_a_shell_is_refused_to_tasks_without_a_role() -> None:
    shell: Values = {**BY_ECS, "enableExecuteCommand": True}
    assert "a valid taskRoleArn is not being used" in refusal(BY_ECS, shell, lambda: False)
    assert refusal(shell, {**BY_ECS, "enableExecuteCommand": False}, lambda: False) == ""
    assert refusal(shell, {**shell, "desiredCount": 3.0}, lambda: False) == ""


def test_the_order_of_a_set_is_no_change() -> None:
    one: Values
    other: Values
    one, other = {"targetGroupArn": "a", "containerPort": 80}, {"targetGroupArn": "b", "containerPort": 80.0}
    first: Values = {**BY_ECS, "loadBalancers": [one, other]}
    assert ecs_service.sent(first, {**BY_ECS, "loadBalancers": [other, {**one, "containerPort": 80.0}]}) == frozenset()


def test_nothing_is_refused_when_nothing_is_asked() -> None:
    assert refused_with_code_deploy(()) == ""


@pytest.mark.parametrize(
    ("old", "new", "forced", "replaces"),
    [
        (["FARGATE"], ["FARGATE_SPOT"], True, False),
        (["FARGATE"], ["FARGATE_SPOT"], False, True),
        ([], ["FARGATE_SPOT"], True, True),
        (["FARGATE"], [], True, True),
    ],
)
def test_another_capacity_provider_is_a_new_service_unless_a_deployment_is_forced(
    old: list[str], new: list[str], *, forced: bool, replaces: bool
) -> None:
    def given(providers: list[str]) -> Values:
        strategies: list[object] = [{"capacityProvider": name, "weight": 1.0} for name in providers]
        return {**BY_ECS, "forceNewDeployment": forced, "capacityProviderStrategies": strategies}  # type: ignore[dict-item]  # mypy does not narrow items

    found = Provider().diff(TOKEN, given(old), given(new))
    assert list(found.replaces) == (["capacityProviderStrategies"] if replaces else [])

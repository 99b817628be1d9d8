"""Edits of the stack file of a deployed stack: what the engine makes of them in an account that refuses as AWS does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from live_stack import ENGINES, Config, LiveStack, State

from local.engine.outcome import Outcome
from local.engine.stack import EngineFailure, LocalStack

pytestmark = pytest.mark.engine

CERTIFICATE = {
    "certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234",
    "domainName": "shop.example.com",
}
BALANCER = "shop-hosting-load-balancer"
PRODUCTION, REDIRECT = f"{BALANCER}-production", f"{BALANCER}-redirect"
HTTP, HTTPS = f"{BALANCER}-http", f"{BALANCER}-https"
LISTENER = "aws:lb/listener:Listener"
TWO_GROUPS, ONE_GROUP = ("codeDeploy", "ecs blue/green"), ("ecs rolling", "ecsAction")


class Live(LiveStack):
    """A stack that is deployed, and whose file is edited.

    Attributes:
        values: The stack file's values.
    """

    def __init__(self, folder: Path, deploy: dict[str, Any]) -> None:
        super().__init__(folder)
        self.values = self.config(deploy)

    def stack(self) -> LocalStack:
        return self.with_config(self.values)

    def up(self, edit: Callable[[Config], None] = lambda _: None) -> Outcome:
        """Edit the file and deploy it; a preview finds nothing left to change then."""
        edit(self.values)
        outcome = self.stack().up()
        assert self.stack().preview().changes == ()
        return outcome


@pytest.fixture
def live(tmp_path: Path) -> Callable[[str], Live]:
    """A stack deployed by one of the engines."""

    @cache
    def deployed(engine: str) -> Live:
        made = Live(tmp_path, copy.deepcopy(ENGINES[engine]))
        made.up()
        return made

    return deployed


def takes_a_certificate(config: Config) -> None:
    config["ecs-delivery:hosting"]["loadBalancer"] = dict(CERTIFICATE)


def takes_plain_http(config: Config) -> None:
    config["ecs-delivery:hosting"]["loadBalancer"] = {"plainHttp": True}


def alarms(*, on: bool) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        config["ecs-delivery:hosting"]["alarms"] = {"enabled": on}

    return edit


@pytest.mark.parametrize("engine", TWO_GROUPS)
def test_a_certificate_takes_the_place_of_plain_http_in_one_update(engine: str, live: Callable[[str], Live]) -> None:
    """The users' listener leaves port 80 before the redirect takes it, and keeps the target group that serves."""
    outcome = live(engine).up(takes_a_certificate)
    order = [step.name for step in outcome.changes]
    assert order.index(PRODUCTION) < order.index(REDIRECT)
    (listener,) = (step for step in outcome.changes if step.name == PRODUCTION)
    assert (listener.op, listener.replaced_by) == ("update", ())
    assert set(listener.changed) == {"certificateArn", "port", "protocol", "sslPolicy"}


@pytest.mark.parametrize("engine", ONE_GROUP)
def test_with_one_target_group_a_certificate_comes_and_goes_by_an_edit_alone(
    engine: str, live: Callable[[str], Live]
) -> None:
    """Each port has a listener of its own: there is no moment at which nothing answers on port 80."""

    def listeners(outcome: Outcome) -> list[tuple[str, str]]:
        return [(step.op, step.name) for step in outcome.changes if step.type == LISTENER]

    stack = live(engine)
    for _ in range(2):
        assert listeners(stack.up(takes_a_certificate)) == [("create", HTTPS), ("update", HTTP)]
        assert listeners(stack.up(takes_plain_http)) == [("update", HTTP), ("delete", HTTPS)]


def under_earlier_names(*, secure: bool) -> Callable[[State], None]:
    """The listeners as version 0.1 named them: the users' one, and with a certificate the redirect."""
    names = {HTTPS: PRODUCTION, HTTP: REDIRECT} if secure else {HTTP: PRODUCTION}

    def rewrite(resources: State) -> None:
        renamed = {}
        for found in resources:
            if found["type"] == LISTENER:
                urn, _, name = found["urn"].rpartition("::")
                renamed[found["urn"]] = f"{urn}::{names[name]}"
                found["urn"] = renamed[found["urn"]]
        for found in resources:
            found["dependencies"] = [renamed.get(urn, urn) for urn in found.get("dependencies", [])]
            for needs in found.get("propertyDependencies", {}).values():
                needs[:] = [renamed.get(urn, urn) for urn in needs or []]

    return rewrite


@pytest.mark.parametrize("secure", [False, True], ids=["plain HTTP", "certificate"])
@pytest.mark.parametrize("edited", [False, True], ids=["as it is", "and edited"])
def test_listeners_of_a_rolling_stack_of_an_earlier_version_stay(
    live: Callable[[str], Live], *, secure: bool, edited: bool
) -> None:
    """None is replaced, whether the upgrade comes alone or with an edit."""
    stack = live("ecs rolling")
    if secure:
        stack.up(takes_a_certificate)
    stack.rewrite(under_earlier_names(secure=secure))
    edit = (takes_plain_http if secure else takes_a_certificate) if edited else lambda _: None
    steps = [(step.op, step.name) for step in stack.up(edit).changes if step.type == LISTENER]
    if not edited:
        assert steps == []
    elif secure:
        assert steps == [("update", HTTP), ("delete", PRODUCTION)]
    else:
        assert steps == [("update", HTTPS), ("create", HTTP)]


@pytest.mark.parametrize("secure", [False, True], ids=["plain HTTP", "certificate"])
def test_another_strategy_takes_the_listeners_over(live: Callable[[str], Live], *, secure: bool) -> None:
    """From one target group to two no listener is made on a port that the other one still has."""

    stack = live("ecs rolling")
    if secure:
        stack.up(takes_a_certificate)
    stack.values["ecs-delivery:deploy"] = dict(ENGINES["codeDeploy"])
    made = [step.name for step in stack.stack().preview().changes if (step.op, step.type) == ("create", LISTENER)]
    assert made == [f"{BALANCER}-test"]


def test_the_way_back_to_plain_http_is_refused_as_aws_does_and_leaves_the_listeners(
    live: Callable[[str], Live],
) -> None:
    stack = live("codeDeploy")
    stack.up(takes_a_certificate)
    before = [resource for resource in stack.stack().graph() if resource["type"] == "aws:lb/listener:Listener"]
    takes_plain_http(stack.values)
    with pytest.raises(EngineFailure, match="An SSL policy cannot be specified for HTTP listeners"):
        stack.stack().up()
    after = [resource for resource in stack.stack().graph() if resource["type"] == "aws:lb/listener:Listener"]
    assert after == before


def test_the_way_back_to_plain_http_that_is_documented_works(live: Callable[[str], Live]) -> None:
    """docs/hosting.md: two commands of the AWS CLI, a refresh, the edit."""

    def by_hand(resources: State) -> None:
        resources[:] = [found for found in resources if not found["urn"].endswith(REDIRECT)]
        for found in resources:
            if found["type"] == "aws:lb/listener:Listener":
                port = 80 if found["urn"].endswith(PRODUCTION) else 8080
                for values in (found["inputs"], found["outputs"]):
                    values |= {"port": port, "protocol": "HTTP", "sslPolicy": "", "certificateArn": ""}

    stack = live("codeDeploy")
    stack.up(takes_a_certificate)
    stack.rewrite(by_hand)
    outcome = stack.up(takes_plain_http)
    assert not [
        step for step in outcome.changes if "replace" in step.op or (step.op == "delete" and "listener" in step.type)
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_alarms_can_be_switched_off_and_on(engine: str, live: Callable[[str], Live]) -> None:
    stack = live(engine)
    for on, op in ((False, "delete"), (True, "create")):
        outcome = stack.up(alarms(on=on))
        assert {step.op for step in outcome.changes if step.type.endswith(":MetricAlarm")} == {op}
        assert not [step for step in outcome.changes if step.type.endswith(":Service")]


def test_the_alarms_of_a_service_that_an_earlier_version_named_stay_until_its_next_run(
    live: Callable[[str], Live],
) -> None:
    """Taken away here, AWS's provider would give no names, which the SDK refuses."""

    def named(resources: State) -> None:
        (service,) = (found for found in resources if found["type"] == "aws:ecs/service:Service")
        for values in (service["inputs"], service["outputs"]):
            values["alarms"] = {"alarmNames": ["shop-live-errors"], "enable": True, "rollback": True}

    stack = live("ecs rolling")
    stack.rewrite(named)
    assert stack.up().changes == ()
    stack.up(alarms(on=False))


def test_another_region_makes_everything_anew(live: Callable[[str], Live]) -> None:
    """Names are taken by region: what is made there first is no second claim."""

    def moved(config: Config) -> None:
        config["aws:region"] = "eu-central-1"

    outcome = live("codeDeploy").up(moved)
    assert {step.op for step in outcome.changes if step.type == "aws:lb/loadBalancer:LoadBalancer"} >= {"replace"}


def test_a_protected_stack_is_refused_as_a_whole_and_can_be_removed_as_the_readme_says(
    live: Callable[[str], Live],
) -> None:
    def protect(*, on: bool) -> Callable[[Config], None]:
        def edit(config: Config) -> None:
            config["ecs-delivery:retention"] = {"protect": on}

        return edit

    stack = live("codeDeploy")
    stack.up(protect(on=True))
    before = stack.stack().graph()
    protected = sorted(resource["name"] for resource in before if resource["protect"])
    with pytest.raises(EngineFailure) as refused:
        stack.stack().destroy()
    assert str(refused.value).startswith(
        f"{len(protected)} resources are protected, and nothing was deleted: {', '.join(protected)}. To remove them "
    )
    assert stack.stack().graph() == before

    stack.up(protect(on=False))
    stack.stack().destroy()
    assert not stack.stack().exists


def test_a_stack_whose_traffic_was_moved_to_the_other_group_is_removed(live: Callable[[str], Live]) -> None:
    """A target group that a listener forwards to goes after the listener, whichever that is."""

    def shifted(resources: State) -> None:
        blue, green = (
            next(found["id"] for found in resources if found["urn"].endswith(f"-{colour}"))
            for colour in ("blue", "green")
        )
        for found in resources:
            if found["type"] == "aws:lb/listener:Listener":
                for values in (found["inputs"], found["outputs"]):
                    assert values["defaultActions"][0]["targetGroupArn"] == blue
                    values["defaultActions"][0]["targetGroupArn"] = green

    stack = live("codeDeploy")
    stack.rewrite(shifted)
    stack.stack().destroy()
    assert not stack.stack().exists


def test_another_web_acl_takes_the_place_of_the_one_before(live: Callable[[str], Live]) -> None:
    """AWS knows an association by the load balancer alone: ended after the new one is there, it would end that, too."""
    acl = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/{}/0f0f0f0f-1234-4abc-8def-0123456789ab"
    stack = live("codeDeploy")
    for name in ("shop", "strict"):
        stack.up(load_balancer(plainHttp=True, webAclArn=acl.format(name)))
        (found,) = (item for item in stack.stack().graph() if item["type"].startswith("aws:wafv2/"))
        assert found["inputs"]["webAclArn"] == acl.format(name)


def test_a_fleet_comes_and_goes_and_nothing_else_is_made_anew(live: Callable[[str], Live]) -> None:
    """Projects take it on and let go of it in place; it is there before they do, and goes when none has it."""

    def builds(**section: object) -> Callable[[Config], None]:
        def edit(config: Config) -> None:
            config["ecs-delivery:build"] = section

        return edit

    stack, project = live("codeDeploy"), "shop-build-image-project"
    for fleet, ops in (
        ({"capacity": 1}, {"shop-build-fleet": "create", project: "update"}),
        ({"capacity": 2, "overflow": "onDemand"}, {"shop-build-fleet": "update"}),
        (None, {"shop-build-fleet": "delete", project: "update"}),
    ):
        outcome = stack.up(builds(**({"fleet": fleet} if fleet else {})))
        assert {step.name: step.op for step in outcome.changes} == ops
    (there,) = (item for item in stack.stack().graph() if item["name"] == project)
    assert "fleet" not in there["inputs"]["environment"]


def zones(count: int) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        config["ecs-delivery:hosting"]["network"] = {"availabilityZones": count}

    return edit


def test_what_an_edit_left_half_done_is_continued_when_its_reason_is_gone(live: Callable[[str], Live]) -> None:
    """CodeDeploy's tasks are in the subnets of the third zone until the pipeline has run."""

    def delivered(zones: int) -> Callable[[State], None]:
        """The pipeline has run: its AppSpec named the public subnets of so many zones."""

        def rewrite(resources: State) -> None:
            ends = tuple(f"-public-{number + 1}" for number in range(zones))
            subnets = [
                found["id"]
                for found in resources
                if found["type"] == "aws:ec2/subnet:Subnet" and found["urn"].endswith(ends)
            ]
            (service,) = (found for found in resources if found["type"] == "aws:ecs/service:Service")
            for values in (service["inputs"], service["outputs"]):
                values["networkConfiguration"]["subnets"] = subnets

        return rewrite

    stack = live("codeDeploy")
    stack.up(zones(3))
    stack.rewrite(delivered(3))
    zones(2)(stack.values)
    with pytest.raises(EngineFailure, match="has dependencies and cannot be deleted"):
        stack.stack().up()
    assert {step.op for step in stack.stack().preview().changes} == {"delete"}, "all else is done"

    stack.rewrite(delivered(2))
    outcome = stack.up()
    assert "aws:ec2/subnet:Subnet" in {step.type for step in outcome.changes}


def test_from_rolling_to_two_target_groups_as_documented(live: Callable[[str], Live]) -> None:
    """docs/hosting.md: the AWS CLI tells the service of the second group, a refresh, the edit."""

    def by_hand(resources: State) -> None:
        (service,) = (found for found in resources if found["type"] == "aws:ecs/service:Service")
        made = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
        advanced = {
            "alternateTargetGroupArn": f"{made}:targetgroup/shop-live-green/0123456789abcdef",
            "productionListenerRule": f"{made}:listener-rule/app/lb-shop-live/1/2/3",
            "testListenerRule": f"{made}:listener-rule/app/lb-shop-live/1/4/5",
            "roleArn": "arn:aws:iam::123456789012:role/shop-hosting-service-shift-role",
        }
        for values in (service["inputs"], service["outputs"]):
            values["loadBalancers"][0]["advancedConfiguration"] = advanced
            values["deploymentConfiguration"] = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": "5"}

    stack = live("ecs rolling")
    stack.rewrite(by_hand)
    stack.values["ecs-delivery:deploy"] = dict(ENGINES["ecs blue/green"])
    (service,) = (step for step in stack.stack().preview().changes if step.type == "aws:ecs/service:Service")
    assert (service.op, "deploymentController" in service.changed) == ("update", False)
    stack.up()


def load_balancer(**values: object) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        config["ecs-delivery:hosting"]["loadBalancer"] = values

    return edit


def delivered(resources: State) -> None:
    """The pipeline has run: the revision that the service runs is one that Pulumi does not know."""
    (service,) = (found for found in resources if found["type"] == "aws:ecs/service:Service")
    for values in (service["inputs"], service["outputs"]):
        values["taskDefinition"] = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop-live:7"


@pytest.mark.parametrize("engine", ONE_GROUP)
def test_the_load_balancer_of_a_service_goes_in_place(engine: str, live: Callable[[str], Live]) -> None:
    """The service is told first; what is left of the load balancer is deleted then."""
    stack = live(engine)
    stack.rewrite(delivered)
    outcome = stack.up(load_balancer(enabled=False))
    (service,) = (step for step in outcome.changes if step.type == "aws:ecs/service:Service")
    assert (service.op, service.changed) == ("update", ("loadBalancers[0]",))
    assert outcome.deployments == ("shop-hosting-service-service, for loadBalancers",)
    left = [resource["type"] for resource in stack.stack().graph()]
    assert not [kind for kind in left if kind.startswith(("aws:lb/", "aws:cloudwatch/metricAlarm"))]


def test_a_load_balancer_comes_to_a_service_in_the_two_edits_that_are_documented(tmp_path: Path) -> None:
    """docs/hosting.md: ECS refuses a grace period that comes with the first load balancer."""
    stack = Live(tmp_path, dict(ENGINES["ecs rolling"]))
    stack.up(load_balancer(enabled=False))
    stack.rewrite(delivered)
    stack.values["ecs-delivery:hosting"]["loadBalancer"] = {"plainHttp": True}
    with pytest.raises(EngineFailure, match="only valid for services configured to use load balancers"):
        stack.stack().up()

    without_grace = load_balancer(plainHttp=True, healthCheck={"gracePeriodSeconds": 0})
    assert stack.up(without_grace).deployments == ("shop-hosting-service-service, for loadBalancers",)
    assert stack.up(load_balancer(plainHttp=True)).deployments == ()

"""What the sections hold when they are right, and how their defaults follow from each other."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from components.settings import ApplicationSection, BuildSection, DeploySection, Settings, SettingsError, load_settings
from components.settings.reader.shapes import shape_of
from components.settings.section import Section
from components.settings.sections.application import FARGATE_MEMORY
from components.settings.sections.tests import BudgetsSection

EXISTING: dict[str, Any] = {
    "cluster": "shop",
    "service": "shop",
    "executionRole": "shop-execution",
    "loadBalancer": "shop",
    "listeners": {"production": 443},
    "targetGroups": ["shop-blue", "shop-green"],
}
PLAIN = {"loadBalancer": {"plainHttp": True}}
MINIMAL: dict[str, Any] = {
    "application": {"name": "shop"},
    "source": {"github": {"repository": "example/shop"}},
    "hosting": {"existing": EXISTING},
}


def settings(**sections: object) -> Settings:
    return load_settings({**MINIMAL, **sections}, stack="dev")


def problems(**sections: object) -> list[str]:
    with pytest.raises(SettingsError) as error:
        settings(**sections)
    return [line.removeprefix("Pulumi.dev.yaml: ecs-delivery:") for line in error.value.lines]


def test_everything_but_application_source_and_how_users_reach_the_service_may_be_left_out() -> None:
    given = settings(hosting=PLAIN)
    assert given.build == BuildSection()
    assert given.deploy == DeploySection()
    assert (given.has_code, given.smoke_test_enabled) == (True, False)


@pytest.mark.parametrize("nothing", [None, "", {}, "{}", "null"])
def test_a_section_with_nothing_in_it_counts_as_left_out(nothing: object) -> None:
    assert settings(build=nothing).build == BuildSection()


def test_the_container_is_named_like_the_application_unless_it_has_a_name() -> None:
    assert settings().application.container == "shop"
    assert settings(application={"name": "shop", "containerName": "web"}).application.container == "web"


def test_the_repository_is_named_after_application_and_stack_unless_it_has_a_name() -> None:
    assert BuildSection().repository_for("shop-dev") == "shop-dev"
    assert BuildSection(repository="team/shop").repository_for("shop-dev") == "team/shop"


@pytest.mark.parametrize(
    ("engine", "strategy", "timeout"),
    [("codeDeploy", "allAtOnce", 7200), ("ecs", "rolling", 60), ("ecsAction", "rolling", 30)],
)
def test_an_engine_brings_its_strategy_and_its_timeout(engine: str, strategy: str, timeout: int) -> None:
    deploy = settings(deploy={"engine": engine}).deploy
    assert (deploy.effective_strategy, deploy.effective_timeout_minutes) == (strategy, timeout)
    assert deploy.effective_step is None
    assert deploy.shift_minutes == 0


def test_what_is_given_wins_over_what_the_engine_brings() -> None:
    deploy = settings(
        deploy={"engine": "ecs", "strategy": "canary", "timeoutMinutes": 90, "step": {"percent": 20}}
    ).deploy
    assert (deploy.effective_strategy, deploy.effective_timeout_minutes) == ("canary", 90)
    assert deploy.effective_step == deploy.step


@pytest.mark.parametrize(
    ("strategy", "percent", "minutes"), [("canary", 10, 5), ("linear", 10, 45), ("linear", 30, 15), ("linear", 99, 5)]
)
def test_canary_waits_once_and_linear_after_each_step_but_the_last(strategy: str, percent: int, minutes: int) -> None:
    deploy = settings(deploy={"strategy": strategy, "step": {"percent": percent}}).deploy
    assert deploy.shift_minutes == minutes


@pytest.mark.parametrize(("timeout", "fits"), [(47, True), (46, False)])
def test_a_timeout_must_be_longer_than_the_waiting(timeout: int, fits: bool) -> None:
    # 45 minutes of steps, then one of both versions
    linear = {"engine": "ecs", "strategy": "linear", "bakeMinutes": 1, "timeoutMinutes": timeout}
    if fits:
        assert settings(deploy=linear).deploy.timeout_minutes == timeout
    else:
        assert "must be longer than the 46 minutes" in problems(deploy=linear)[0]


@pytest.mark.parametrize(
    ("prefix", "other", "overlap"),
    [("a/", "b/", False), ("a/", "a/b/", True), ("a/b/", "a/", True), ("", "", True)],
)
def test_a_sync_may_stay_in_its_bucket_if_the_prefixes_do_not_overlap(prefix: str, other: str, overlap: bool) -> None:
    files = {"enabled": True, "bucket": "shop", "prefix": prefix, "sync": {"bucket": "shop", "prefix": other}}
    if overlap:
        assert "which overlap" in problems(deploy={"staticFiles": files})[0]
    else:
        assert settings(deploy={"staticFiles": files}).deploy.static_files.enabled


@pytest.mark.parametrize("cpu", FARGATE_MEMORY)
def test_every_memory_fargate_offers_is_taken_and_no_other(cpu: int) -> None:
    taken = []
    for memory in range(512, 122880 + 1, 512):
        with contextlib.suppress(SettingsError):
            taken.append(settings(application={"name": "shop", "cpu": cpu, "memory": memory}).application.memory)
    assert tuple(taken) == FARGATE_MEMORY[cpu]


def test_fargate_offers_what_its_page_lists() -> None:
    ends = {cpu: (sizes[0], sizes[-1], len(sizes)) for cpu, sizes in FARGATE_MEMORY.items()}
    assert ends == {
        256: (512, 2048, 3),
        512: (1024, 4096, 4),
        1024: (2048, 8192, 7),
        2048: (4096, 16384, 13),
        4096: (8192, 30720, 23),
        8192: (16384, 61440, 12),
        16384: (32768, 122880, 12),
    }


def test_a_task_definition_too_long_for_ecs_is_refused() -> None:
    long = {f"WORDS_{number}": "x" * 10_000 for number in range(7)}
    [line] = problems(application={"name": "shop", "environment": long})
    assert line.startswith(
        "application.environment: must fit into 61440 bytes together with secrets and command "
        "(ECS takes task definitions up to 64 KiB), got 70"
    )


def test_build_arguments_too_long_for_codebuild_are_refused() -> None:
    [line] = problems(build={"args": {"WORDS": "x" * 4000}})
    assert line.startswith("build.args: must fit into 4000 characters (CodeBuild takes about 5500 of all variables")


def test_a_long_value_is_shown_shortened() -> None:
    [line] = problems(application={"name": "x" * 100})
    assert f'got "{"x" * 59}… (102 characters) — ' in line


@pytest.mark.parametrize("name", ["ab", "a1", "shop-2", "a" * 24])
def test_application_names_that_every_service_takes_are_taken(name: str) -> None:
    assert settings(application={"name": name}).application.name == name


@pytest.mark.parametrize("name", ["a", "a" * 25, "1shop", "shop-", "a--b", "Shop", "shöp", "shop\n"])
def test_application_names_that_some_service_refuses_are_refused(name: str) -> None:
    assert problems(application={"name": name})[0].startswith("application.name: must be 2 to 24")


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCdEf",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCdEf:url::",
        "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:shop-AbCdEf:url:AWSCURRENT:",
        "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/db",
    ],
)
def test_arns_ecs_reads_secrets_from_are_taken(arn: str) -> None:
    assert settings(application={"name": "shop", "secrets": {"DB": arn}}).application.secrets == {"DB": arn}


@pytest.mark.parametrize("name", ["shop", "a.b", "my-bucket-1", "x" * 63])
def test_bucket_names_s3_takes_are_taken(name: str) -> None:
    files = {"bucket": name}
    assert settings(deploy={"staticFiles": files}).deploy.static_files.bucket == name


@pytest.mark.parametrize("name", ["ab", "x" * 64, "a..b", "10.0.0.1", "xn--a", "a-s3alias", "-ab", "a_b", "Ab"])
def test_bucket_names_s3_refuses_are_refused(name: str) -> None:
    assert problems(deploy={"staticFiles": {"bucket": name}})[0].startswith("deploy.staticFiles.bucket: must be an S3")


def test_a_promotion_may_have_the_same_name_in_another_account_or_region() -> None:
    elsewhere = {"enabled": True, "repository": "shop-dev", "region": "us-east-1"}
    assert settings(promotion=elsewhere).promotion.repository == "shop-dev"
    role = "arn:aws:iam::123456789012:role/promote"
    there = {"enabled": True, "repository": "shop-dev", "accountId": "123456789012", "roleArn": role}
    assert settings(promotion=there).promotion.role_arn == role


def test_a_listener_may_be_given_by_its_arn_and_then_needs_no_load_balancer() -> None:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
    existing = {**EXISTING, "listeners": {"production": arn}}
    del existing["loadBalancer"]
    given = settings(hosting={"existing": existing}).hosting
    assert given.existing
    assert given.existing.listeners
    assert given.existing.listeners.production == arn


def test_hosting_left_out_is_made_and_then_wants_to_know_how_users_reach_it() -> None:
    [line] = problems(hosting=None)
    assert line.startswith("hosting.loadBalancer.certificateArn: is missing; users reach the service encrypted")
    assert "hosting.loadBalancer.plainHttp' true" in line


@pytest.mark.parametrize(
    ("network", "public", "endpoints"),
    [
        ({}, True, False),
        ({"taskSubnets": "private"}, False, True),
        ({"natGateways": "single"}, False, False),
        ({"natGateways": "onePerAz", "taskSubnets": "public"}, True, False),
        ({"existing": {"vpcId": "vpc-0a1b2c3d", "publicSubnets": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"]}}, True, False),
    ],
)
def test_tasks_run_where_they_find_a_way_out(network: dict[str, Any], public: bool, endpoints: bool) -> None:
    given = settings(hosting={**PLAIN, "network": network}).hosting.network
    assert (given.tasks_in_public, given.needs_endpoints) == (public, endpoints)


def test_tasks_run_in_the_private_subnets_of_a_network_that_has_them() -> None:
    existing = {
        "vpcId": "vpc-0a1b2c3d",
        "publicSubnets": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"],
        "privateSubnets": ["subnet-1a1b2c3d", "subnet-1a1b2c3e"],
    }
    given = settings(hosting={**PLAIN, "network": {"existing": existing}}).hosting.network
    assert (given.tasks_in_public, given.needs_endpoints) == (False, False)


def test_an_internal_load_balancer_may_stand_in_private_subnets_alone() -> None:
    existing = {"vpcId": "vpc-0a1b2c3d", "privateSubnets": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"]}
    hosting = {"network": {"existing": existing}, "loadBalancer": {"plainHttp": True, "internal": True}}
    assert settings(hosting=hosting).hosting.load_balancer.internal


@pytest.mark.parametrize(
    ("balancer", "production", "test"),
    [
        ({"plainHttp": True}, 80, 8080),
        ({"certificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f"}, 443, 8443),
        ({"plainHttp": True, "testPort": 9000}, 80, 9000),
    ],
)
def test_ports_follow_from_the_certificate(balancer: dict[str, Any], production: int, test: int) -> None:
    given = settings(hosting={"loadBalancer": balancer}).hosting.load_balancer
    assert (given.production_port, given.effective_test_port) == (production, test)


@pytest.mark.parametrize(
    ("scaling", "bounds"),
    [({}, (2, 4)), ({"minimum": 1}, (1, 2)), ({"maximum": 9}, (2, 9)), ({"minimum": 2, "maximum": 2}, (2, 2))],
)
def test_the_number_of_tasks_starts_from_the_desired_count(scaling: dict[str, int], bounds: tuple[int, int]) -> None:
    given = settings(hosting={**PLAIN, "service": {"scaling": scaling}}).hosting.service.scaling
    assert (given.effective_minimum(2), given.effective_maximum(2)) == bounds


@pytest.mark.parametrize("block", ["10.0.0.0/16", "172.16.0.0/20", "192.168.1.0/24"])
def test_blocks_of_private_addresses_are_taken(block: str) -> None:
    assert settings(hosting={**PLAIN, "network": {"cidrBlock": block}}).hosting.network.cidr_block == block


@pytest.mark.parametrize(("plain_http", "lowest"), [(False, 90), (True, 75)])
def test_best_practices_are_judged_by_what_the_address_allows(*, plain_http: bool, lowest: int) -> None:
    assert BudgetsSection().scores(plain_http=plain_http)["best-practices"] == lowest
    assert BudgetsSection(best_practices=60).scores(plain_http=plain_http)["best-practices"] == 60


def test_the_name_of_a_load_balancer_without_encryption_is_address_enough_for_tests() -> None:
    hosting = {"existing": {**EXISTING, "listeners": {"production": 80}}}
    assert settings(hosting=hosting, tests={"enabled": True}).tests.enabled


def test_seven_alarms_of_ones_own_fit_beside_the_three_made_here_and_ten_without_them() -> None:
    names = [f"alarm-{number}" for number in range(10)]
    assert settings(hosting=PLAIN, deploy={"alarms": names[:7]}).deploy.alarms == tuple(names[:7])
    without = {**PLAIN, "alarms": {"enabled": False}}
    assert settings(hosting=without, deploy={"alarms": names}).deploy.alarms == tuple(names)


def test_parallel_runs_are_fine_where_they_do_not_meet() -> None:
    assert (
        settings(pipeline={"executionMode": "parallel"}, deploy={"engine": "ecs"}).pipeline.execution_mode == "parallel"
    )


def test_a_section_refuses_python_callers_the_same_way() -> None:
    with pytest.raises(ValidationError, match=r"must be 512, 1024 or 2048 \(MiB\) with cpu 256"):
        ApplicationSection(name="shop", memory=4096)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings().application.__setattr__("name", "cart")


def every_field(section: type[Section], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for field in section.model_fields.values():
        key = f"{above}{field.validation_alias}"
        yield key, field
        if below := shape_of(field).section:
            yield from every_field(below, f"{key}.")


EVERY_FIELD = dict(every_field(Settings))


def test_every_key_is_described() -> None:
    assert [key for key, field in EVERY_FIELD.items() if not re.fullmatch(r"[A-Z`].+\.", field.description or "")] == []


def test_the_example_a_message_offers_is_not_refused_in_turn() -> None:
    for key, field in EVERY_FIELD.items():
        assert field.examples, key
        annotation: Any = Annotated[(field.annotation, "as in its section", *field.metadata)]
        kind: TypeAdapter[Any] = TypeAdapter(annotation)
        for example in field.examples:
            kind.validate_json(json.dumps(example), strict=True)

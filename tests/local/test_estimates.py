"""Estimates: against worked examples of AWS's price pages, on the graphs of the stack files, over all constants."""

from __future__ import annotations

import copy
import csv
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import pytest
from edits import keys
from mocked import build_program
from summary import program, stack_files

from components.settings import load_stack_file
from components.stages import STAGES
from local.engine.providers.catalogue import KINDS as TYPES
from local.estimates import Estimate, Line, estimate
from local.estimates.constants import EVERYWHERE, REFERENCE, constants, price, regions, value
from local.estimates.dollars import beyond_free, billed_minutes
from local.estimates.page import as_json, page
from local.estimates.resources import Graph, region_of
from local.estimates.seconds import timelines
from local.estimates.words import bar, changes, duration, notes, short

EXAMPLES: Mapping[str, tuple[float, tuple[tuple[str, float], ...]]] = {
    # https://aws.amazon.com/fargate/pricing/, example 1: 5 tasks of 1 vCPU and 2 GB, 600 s on each of 30 days.
    "Fargate x86": (1.01 + 0.22, (("fargate.X86_64.vcpu", 5 * 1 * 600 * 30 / 3600), ("fargate.X86_64.gb", 25 * 2))),
    # The same page, example 2.
    "Fargate ARM": (0.81 + 0.18, (("fargate.ARM64.vcpu", 25), ("fargate.ARM64.gb", 50))),
    # The same page, example 3: 10 pods of 0.25 vCPU and 1 GB, an hour on each of 30 days.
    "Fargate x86, small": (3.04 + 1.33, (("fargate.X86_64.vcpu", 75), ("fargate.X86_64.gb", 300))),
    # https://aws.amazon.com/cloudwatch/pricing/: "Four standard resolution alarms = $0.10 per alarm metric * 4".
    "alarms": (0.40, (("alarm.metric", 4),)),
    # https://aws.amazon.com/codebuild/pricing/ by Infracost's own test of it, aws_codebuild_project.
    "CodeBuild small": (5.00, (("codebuild.LINUX_CONTAINER.SMALL", 1_000),)),
    "CodeBuild medium": (100.00, (("codebuild.LINUX_CONTAINER.MEDIUM", 10_000),)),
    "CodeBuild large": (2_000.00, (("codebuild.LINUX_CONTAINER.LARGE", 100_000),)),
    # https://aws.amazon.com/vpc/pricing/ in published estimates of 2026: NAT gateway 32.85, an address 3.65, the
    # endpoints for ECR's two names and the logs in two zones 43.80, all for 730 hours.
    "NAT gateway": (32.85, (("nat.hour", 730),)),
    "public IPv4 address": (3.65, (("ipv4.hour", 730),)),
    "interface endpoints": (43.80, (("endpoint.hour", 3 * 2 * 730),)),
    # https://aws.amazon.com/elasticloadbalancing/pricing/ in one of them: 16.43, and 5.84 for a unit.
    "load balancer": (16.43 + 5.84, (("alb.hour", 730), ("alb.lcu", 730))),
    # https://aws.amazon.com/lambda/pricing/: 5,000 GB-seconds on x86 are 0.083.
    "Lambda": (0.08, (("lambda.X86_64.gb_second", 5_000),)),
    # https://aws.amazon.com/ecr/pricing/, https://aws.amazon.com/s3/pricing/: 0.2 GB and 5 GB.
    "ECR": (0.02, (("ecr.gb", 0.2),)),
    "S3": (0.12, (("s3.gb", 5),)),
    # https://aws.amazon.com/kms/pricing/, https://aws.amazon.com/secrets-manager/pricing/: a month each.
    "KMS": (1.00, (("kms.key", 1),)),
    "Secrets Manager": (0.40, (("secret.month", 1),)),
}
"""What a published example comes to in us-east-1, and what it takes of which constant."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_published_example_comes_to_the_same(name: str) -> None:
    expected, taken = EXAMPLES[name]
    amounts = [found.value * quantity for constant, quantity in taken if (found := price(constant, REFERENCE))]
    assert len(amounts) == len(taken)
    assert sum(amounts) == pytest.approx(expected, abs=0.0051)


@pytest.mark.parametrize(
    ("region", "constant", "hours", "expected"),
    [
        # Published estimates that name AWS's price list as their source, for 730 hours.
        ("ap-southeast-1", "alb.hour", 730, 18.40),
        ("eu-central-1", "nat.hour", 730, 37.96),
        ("eu-central-1", "endpoint.hour", 2 * 730, 17.52),
        ("ap-south-1", "nat.hour", 2 * 730, 81.76),
        ("ap-south-1", "alb.hour", 730, 17.45),
    ],
)
def test_an_example_of_another_region_comes_to_the_same(
    region: str, constant: str, hours: float, expected: float
) -> None:
    found = price(constant, region)
    assert found
    assert found.region == region
    assert found.value * hours == pytest.approx(expected, abs=0.0051)


def test_minutes_are_rounded_up_and_a_free_part_is_taken_off_once() -> None:
    """https://aws.amazon.com/codepipeline/pricing/: V1's dollar a month is 500 minutes besides the 100 free ones."""
    assert [billed_minutes(seconds) for seconds in (0, 1, 60, 60.0000001, 61)] == [0, 1, 1, 1, 2]
    minutes = sum(billed_minutes(seconds) for seconds in [1, 59, 61, 120] * 100)
    assert minutes == 600
    assert beyond_free(minutes, value("codepipeline.free")) * value("codepipeline.minute") == pytest.approx(1.00)
    assert beyond_free(99, value("codepipeline.free")) == 0


KINDS = ("price", "measured", "found", "assumption", "bar")


def test_every_constant_has_its_source_and_date_and_says_what_it_is() -> None:
    for item in constants().values():
        assert item.kind in KINDS, item
        assert item.value > 0, item
        assert date.fromisoformat(item.read) >= date(2026, 1, 1), item
        assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]+/.*|docs/[a-z]+\.md", item.source), item
        assert item.unit in {"USD", "s", "s/MB", "minutes", "hours", "MB", "GB", "LCU", "metrics"}, item
        assert (
            item.kind != "price"
            or "quoted" in item.note
            or item.source.startswith("https://aws.amazon.com/")
            or ("a bill" in item.note)
        ), item


def test_every_constant_is_used() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8") for path in stack_files()["dev"].parent.glob("local/estimates/*.py")
    )
    unused = [
        name
        for name, _ in constants()
        if f'"{name}"' not in sources
        and not name.startswith(("codebuild.", "fargate.", "lambda.", "time.job.", "time.build.begin"))
        and name not in {"kms.request", "secret.request", "logs.stored", "waf.acl", "waf.rule", "codepipeline.free"}
    ]
    assert unused == []


def test_every_type_of_resource_is_counted_or_said_why_not() -> None:
    """A new one that costs something would be free of charge in every estimate, and nobody would notice."""
    folder = stack_files()["dev"].parent / "local" / "estimates"
    code = "".join((folder / name).read_text(encoding="utf-8") for name in ("dollars.py", "seconds.py"))
    counted = {f"aws:{found}" for found in re.findall(r'"([a-z0-9]+/[a-zA-Z0-9]+:[a-zA-Z0-9]+)"', code)}
    with (folder / "not_counted.tsv").open(encoding="utf-8") as file:
        left_out = {f"aws:{row['type']}": row for row in csv.DictReader(file, delimiter="\t")}
    assert set(TYPES) == counted | left_out.keys()
    assert not counted & left_out.keys()
    assert all(row["why"] and row["source"].startswith("https://aws.amazon.com/") for row in left_out.values())


@cache
def graph_of(name: str) -> list[dict[str, Any]]:
    return [item.as_dict() for item in program(name)]


def before_anything_is_known(name: str) -> list[dict[str, Any]]:
    """The graph as a preview of a new stack has it: what AWS answers is not known."""
    values = load_stack_file(stack_files()[name])
    return [{**item.as_dict(), "outputs": {}} for item in build_program(values, stack_name=name, preview=True)]


def edited(graph: Graph, kind: str, **inputs: object) -> list[dict[str, Any]]:
    """A graph with other inputs of the resources of a kind."""
    changed = copy.deepcopy([dict(item) for item in graph])
    for item in changed:
        if item["type"] == kind:
            item["inputs"] = {**item["inputs"], **inputs}
            item["outputs"] = {}
    return changed


@pytest.mark.parametrize("name", stack_files())
def test_every_stack_file_can_be_estimated(name: str) -> None:
    found = estimate(graph_of(name))
    assert found.region == "eu-west-1"
    assert found.pipeline_name == f"shop-{name}"
    assert found.on_demand.serving is not None
    assert found.on_demand.serving <= (found.on_demand.all_traffic or 0) <= found.on_demand.run
    assert (found.warm.serving or 0) <= found.on_demand.serving
    assert all(line.quantity > 0 for line in found.lines)
    assert [stage for stage, _ in found.on_demand.stages] == [
        stage.NAME for stage in STAGES if stage.NAME in {step.stage for step in found.on_demand.steps}
    ]
    written = {step.action for step in found.on_demand.steps}
    assert {name for name in written if name in page(found)} == written
    assert as_json(found)["dollars"]["pipeline"] == found.pipeline_dollars


def test_a_preview_that_knows_no_outputs_gives_the_same() -> None:
    """What is planned says enough: a preview of a new stack tells as much as what is deployed."""
    for name in ("dev", "existing-network"):
        planned, there = estimate(before_anything_is_known(name)), estimate(graph_of(name))
        assert planned == there


def test_what_a_preview_marks_as_unknown_counts_as_absent() -> None:
    graph = edited(graph_of("dev"), "aws:lb/loadBalancer:LoadBalancer", subnets="[known after up]")
    assert estimate(graph).hosting == estimate(graph_of("dev")).hosting


@cache
def dev() -> Estimate:
    return estimate(graph_of("dev"))


def test_stages_stand_in_a_row_and_actions_of_one_run_order_side_by_side() -> None:
    steps = {step.action: step for step in dev().on_demand.steps}
    assert steps["BuildImage"].start == steps["BuildSmokeTestImage"].start == steps["Source"].end
    assert steps["DeployService"].start == max(steps["BuildImage"].end, steps["BuildSmokeTestImage"].end)
    assert steps["RunLighthouse"].start == steps["RunSmokeTest"].start == steps["DeployService"].end
    assert dict(dev().on_demand.stages)["Test"] == max(
        steps[name].seconds for name in ("RunLighthouse", "RunSmokeTest")
    )
    classic = {step.action: step for step in estimate(graph_of("classic")).on_demand.steps}
    assert classic["PrepareDeployment"].start == classic["BuildImage"].end
    assert classic["DeployService"].start == classic["PrepareDeployment"].end


def test_a_build_that_prepares_the_deployment_saves_the_start_of_another_machine() -> None:
    """The work is the same; a Lambda machine and a second of CodePipeline are not needed."""
    one, two = (
        {step.action: step.seconds for step in estimate(graph_of(name)).on_demand.steps}
        for name in ("nginx", "classic")
    )
    assert two["PrepareDeployment"] == 1 + 5 + value("time.job.prepare-deployment")
    assert one["BuildImage"] == two["BuildImage"] + value("time.job.prepare-deployment")
    assert "PrepareDeployment" not in one


def test_the_time_to_the_first_user_is_the_sum_of_published_parts() -> None:
    """By hand: source 15, build 1 + 7 + 11 + 70, preparation 2, CodeDeploy 9, tasks 17 + 150 MB at 0.09 + 3,
    registration 5, one check within 5 s, and a second of CodePipeline for each of the three actions in a row."""
    started = 17 + 150 * 0.09 + 3
    expected = 15 + (1 + 7 + 11 + 70) + 2 + 9 + started + 5 + 5 + 3
    assert dev().on_demand.serving == pytest.approx(expected) == pytest.approx(161.5)
    assert dev().warm.serving == pytest.approx(15 + (5 + 5 + 20) + 2 + 9 + started + 5 + 5 + 3)


def test_a_start_of_a_task_is_within_what_others_have_recorded() -> None:
    """Seconds from createdAt to startedAt on Fargate, with the size of the image where it was told.

    StopTask's page has 19.8; tasks of 2022 15.3 and 23.9; five on ARM of 2026 18.5 to 24.8; 413 MB took 53 to 62.
    """
    placed, pulled, started = (value(f"time.task.{name}") for name in ("placed", "pulled", "started"))
    assert placed + 413 * pulled + started == pytest.approx(57, abs=0.5)
    assert placed + value("use.image") * pulled + started >= 24.8


def test_one_health_check_is_waited_for_whatever_the_threshold_is() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/load-balancer-healthcheck.html"""
    (group, *_) = [item for item in graph_of("dev") if item["type"] == "aws:lb/targetGroup:TargetGroup"]
    check = group["inputs"]["healthCheck"]

    def serving(**other: int) -> float:
        graph = edited(graph_of("dev"), group["type"], healthCheck={**check, **other})
        return estimate(graph).on_demand.serving or 0

    assert serving(healthyThreshold=10) == serving()
    assert serving(interval=30) == pytest.approx(serving() + 25)


@cache
def on_a_fleet(capacity: int, overflow: str = "queue", *, layers: bool = True) -> Estimate:
    """The dev stack's file with reserved capacity, in us-east-1."""
    values: dict[str, Any] = copy.deepcopy(dict(load_stack_file(stack_files()["dev"])))
    fleet = {"capacity": capacity, "overflow": overflow}
    values["ecs-delivery:build"] = {**values.get("ecs-delivery:build", {}), "fleet": fleet, "cache": layers}
    return estimate([item.as_dict() for item in build_program(values, stack_name="dev")], region="us-east-1")


def built(found: Estimate) -> dict[str, tuple[float, str]]:
    """How long each image takes to build, and on what."""
    return {step.action: (step.seconds, step.machine) for step in found.on_demand.steps if "Image" in step.action[5:]}


def test_a_machine_of_the_fleet_waits_for_each_image_or_they_wait_for_it() -> None:
    """By hand: 1 s of CodePipeline, 5 until the machine has it, 5 to begin, 20 to build with layers that are there.

    The application's image has its deployment prepared in 2 more.
    """
    both = {
        "BuildImage": (33, "ARM small of the fleet"),
        "BuildSmokeTestImage": (31, "ARM small of the fleet"),
    }
    assert {name: built(on_a_fleet(2))[name] for name in both} == both
    one = built(on_a_fleet(1))
    assert (one["BuildImage"], one["BuildSmokeTestImage"][0]) == (both["BuildImage"], 33 + 30)
    assert built(on_a_fleet(1, "onDemand"))["BuildSmokeTestImage"] == (1 + 1 + 7 + 11 + 60, "ARM medium")
    without_layers = built(on_a_fleet(2, layers=False))
    assert without_layers["BuildImage"][0] == 1 + 5 + 11 + 70 + 2
    assert on_a_fleet(2).on_demand.serving == on_a_fleet(2).warm.serving
    assert on_a_fleet(2).on_demand.serving == dev().warm.serving


def test_a_fleet_is_billed_around_the_clock_and_its_builds_are_not() -> None:
    one, two = amounts(on_a_fleet(1)), amounts(on_a_fleet(2))
    what = "CodeBuild, reserved capacity, ARM small"
    assert one[what] == round(730 * 60 * 0.00203, 2)
    assert two[what] == round(2 * 730 * 60 * 0.00203, 2)
    (line,) = [line for line in on_a_fleet(1).pipeline if line.what == what]
    assert (line.key, line.price and line.price.kind) == ("build.fleet", "assumption")
    assert "CodeBuild, ARM medium" not in two, "the smoke test was the one"
    assert "CodeBuild, ARM medium" in amounts(on_a_fleet(1, "onDemand"))
    minutes = [line.arithmetic for line in on_a_fleet(2).pipeline if line.what.startswith("CodeBuild")]
    assert not any("BuildImage" in each for each in minutes)


def test_a_fleet_of_others_has_a_machine_for_each_build_and_is_not_in_the_bill() -> None:
    arn = "arn:aws:codebuild:eu-west-1:123456789012:fleet/builders:0f0f0f0f-1234-4abc-8def-0123456789ab"
    values: dict[str, Any] = copy.deepcopy(dict(load_stack_file(stack_files()["dev"])))
    values["ecs-delivery:build"] = {**values.get("ecs-delivery:build", {}), "fleet": {"arn": arn}}
    found = estimate([item.as_dict() for item in build_program(values, stack_name="dev")])
    assert found.on_demand.serving == dev().warm.serving
    assert not [line for line in found.pipeline if "reserved" in line.what]


def test_a_size_whose_price_nobody_has_read_is_said_to_have_none() -> None:
    graph = [
        *graph_of("dev"),
        {
            "type": "aws:codebuild/fleet:Fleet",
            "inputs": {"baseCapacity": 1, "environmentType": "ARM_CONTAINER", "computeType": "BUILD_GENERAL1_LARGE"},
        },
    ]
    (line,) = estimate(graph).unpriced
    assert (line.what, line.amount) == ("CodeBuild, reserved capacity, ARM large", None)
    assert any(note.startswith("no prices were read") for note in notes(estimate(graph)))


def test_with_a_fleet_nothing_is_aimed_at_on_demand() -> None:
    assert on_a_fleet(1).bars[0].what == "from commit to serving, on machines of build.fleet"


def test_zstd_costs_each_build_what_it_takes_to_compress_the_base_image() -> None:
    values = load_stack_file(stack_files()["dev"])
    build: Any = values.get("ecs-delivery:build") or {}
    changed = {**values, "ecs-delivery:build": {**build, "compression": "zstd"}}
    graph = [item.as_dict() for item in build_program(changed, stack_name="dev")]
    before, after = (
        {step.action: step.seconds for step in found.on_demand.steps} for found in (dev(), estimate(graph))
    )
    assert {name: after[name] - seconds for name, seconds in before.items() if after[name] != seconds} == {
        name: value("time.build.zstd") for name in ("BuildImage", "BuildSmokeTestImage")
    }


def test_a_deployment_in_steps_takes_their_time_and_keeps_the_old_tasks() -> None:
    """20 % each 3 minutes: the fifth step has all of the traffic after 4 x 3 minutes, the old tasks stay for 5."""
    run = estimate(graph_of("prod")).on_demand
    (deployed,) = [step for step in run.steps if step.action == "DeployService"]
    assert run.serving is not None
    assert run.all_traffic == run.serving + 4 * 3 * 60
    assert deployed.end == run.all_traffic + 5 * 60
    assert run.rolled_back == run.all_traffic - deployed.start
    assert run.moved_back == value("time.back")


@pytest.mark.parametrize(
    ("configuration", "shift"),
    [
        ("CodeDeployDefault.ECSAllAtOnce", 0),
        ("CodeDeployDefault.ECSLinear10PercentEvery3Minutes", 9 * 3 * 60),
        ("CodeDeployDefault.ECSCanary10Percent15Minutes", 15 * 60),
    ],
)
def test_codedeploys_own_configurations_are_known(configuration: str, shift: float) -> None:
    """https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html"""
    graph = edited(
        graph_of("dev"), "aws:codedeploy/deploymentGroup:DeploymentGroup", deploymentConfigName=configuration
    )
    run = estimate(graph).on_demand
    assert run.serving is not None
    assert run.all_traffic == run.serving + shift


def test_each_engine_brings_a_version_into_service_in_its_own_way() -> None:
    """`ecs` waits for a machine first; a rolling deployment ends when the old tasks are drained and have stopped."""
    rolling = estimate(graph_of("grpc")).on_demand
    parts = dict(next(step for step in rolling.steps if step.action == "DeployService").parts)
    assert {
        *("the Lambda machine starts", "ECS is told", "tasks start", "one health check"),
        *("old tasks are drained", "old tasks stop"),
    } <= set(parts)
    assert rolling.moved_back is None
    shifted = estimate(graph_of("ecs-blue-green")).on_demand
    assert "old tasks kept for a rollback" in dict(next(s for s in shifted.steps if s.action == "DeployService").parts)
    classic = next(step for step in estimate(graph_of("classic")).on_demand.steps if step.action == "DeployService")
    assert classic.machine == ""
    assert "one health check, by AWS's default" in dict(classic.parts), "the service is not the stack's"
    worker = next(step for step in estimate(graph_of("worker")).on_demand.steps if step.action == "DeployService")
    assert not any("health" in part for part, _ in worker.parts), "nothing asks it"


def test_a_rolling_deployment_with_room_for_one_task_takes_one_after_the_other() -> None:
    graph = edited(graph_of("grpc"), "aws:ecs/service:Service", desiredCount=4)
    for item in graph:
        if item["type"] == "aws:codebuild/project:Project" and item["inputs"]["name"].endswith("deploy-ecs"):
            for variable in item["inputs"]["environment"]["environmentVariables"]:
                if variable["name"] == "DEPLOYMENT_CONFIGURATION":
                    variable["value"] = '{"strategy": "ROLLING", "maximumPercent": 125, "minimumHealthyPercent": 100}'
            item["outputs"] = {}
    run, _ = timelines(graph)
    assert run.serving is not None
    assert run.all_traffic == pytest.approx(run.serving + 3 * (33.5 + 5 + 5))


def test_a_person_takes_no_time_and_costs_nothing() -> None:
    found = estimate(graph_of("everything-on"))
    approval = next(step for step in found.on_demand.steps if step.action == "ApprovePromotion")
    assert (approval.seconds, approval.machine) == (0, "a person")
    assert "ApprovePromotion" not in next(line.arithmetic for line in found.pipeline if "minutes" in line.what)


def amounts(found: Estimate) -> dict[str, float]:
    return {line.what: round(line.amount or 0, 2) for line in found.lines}


def test_the_bill_is_quantity_times_price() -> None:
    """By hand, in us-east-1: 12 action minutes in a run, 2 each on a small and a medium ARM machine and a small x86."""
    found = amounts(estimate(graph_of("dev"), region="us-east-1"))
    assert found["CodePipeline, action minutes"] == round(220 * 12 * 0.002, 2) == 5.28
    assert found["CodeBuild, ARM small"] == round(220 * 2 * 0.0034, 2) == 1.50
    assert found["CodeBuild, ARM medium"] == round(220 * 2 * 0.007, 2) == 3.08
    assert found["CodeBuild, x86 small"] == round(220 * 2 * 0.005, 2) == 2.20
    assert found["Fargate ARM, processors"] == round(2 * 730 * 0.25 * 0.03238, 2)
    assert found["Fargate ARM, memory"] == round(2 * 730 * 0.5 * 0.00356, 2)
    assert found["Application Load Balancer"] == 16.43
    assert found["Public IPv4 addresses of the load balancer"] == 7.30
    assert found["KMS key"] == 1.00


def test_half_as_many_runs_cost_half_as_many_minutes() -> None:
    one, half = dev(), estimate(graph_of("dev"), runs=110)
    assert amounts(half)["CodePipeline, action minutes"] == pytest.approx(
        amounts(one)["CodePipeline, action minutes"] / 2
    )
    assert amounts(half)["KMS key"] == amounts(one)["KMS key"]


def test_nat_gateways_are_counted_by_the_networks_component_and_by_themselves() -> None:
    asked = edited(graph_of("dev"), "awsx:ec2:Vpc", natGateways={"strategy": "OnePerAz"}, numberOfAvailabilityZones=3)
    (hours,) = [line for line in estimate(asked).hosting if line.what == "NAT gateways"]
    assert hours.quantity == 3 * 730
    there = [*graph_of("dev"), *({"type": "aws:ec2/natGateway:NatGateway", "inputs": {}} for _ in range(2))]
    (hours,) = [line for line in estimate(there).hosting if line.what == "NAT gateways"]
    assert hours.quantity == 2 * 730
    assert not [line for line in dev().hosting if "NAT" in line.what]


def test_one_nat_gateway_more_costs_what_its_hours_and_its_address_do() -> None:
    """In us-east-1: 32.85 + 3.65 = 36.50."""
    one, two = (
        estimate(
            edited(graph_of("dev"), "awsx:ec2:Vpc", natGateways={"strategy": strategy}, numberOfAvailabilityZones=2),
            region="us-east-1",
        )
        for strategy in ("Single", "OnePerAz")
    )
    assert two.dollars - one.dollars == pytest.approx(36.50)
    assert dict(changes(one, two)) == {
        "NAT gateways": pytest.approx(32.85),
        "Public IPv4 addresses of the NAT gateways": pytest.approx(3.65),
    }


def test_private_tasks_have_no_addresses_and_spot_is_said_to_cost_less() -> None:
    private = edited(graph_of("grpc"), "aws:ecs/service:Service", networkConfiguration={"assignPublicIp": False})
    assert "Public IPv4 addresses of the tasks" in amounts(estimate(graph_of("grpc")))
    assert "Public IPv4 addresses of the tasks" not in amounts(estimate(private))
    spot = edited(
        graph_of("grpc"), "aws:ecs/service:Service", capacityProviderStrategies=[{"capacityProvider": "FARGATE_SPOT"}]
    )
    assert any("Spot is up to 70 % less" in what for what in amounts(estimate(spot)))


def test_with_codedeploy_the_next_deployment_decides_where_tasks_run() -> None:
    """An edit changes what CodeDeploy is told, and not the service, which follows with the next run."""
    graph = copy.deepcopy(graph_of("dev"))
    for item in graph:
        for variable in item["inputs"].get("environment", {}).get("environmentVariables", []):
            if variable["name"] == "APPSPEC":
                variable["value"] = (
                    variable["value"].replace('"ENABLED"', '"DISABLED"').replace("FARGATE", "FARGATE_SPOT")
                )
    found = amounts(estimate(graph))
    assert "Public IPv4 addresses of the tasks" not in found
    assert any("Spot is up to 70 % less" in what for what in found)


def test_tasks_are_as_many_as_the_scaling_keeps_at_least() -> None:
    graph = edited(graph_of("dev"), "aws:appautoscaling/target:Target", minCapacity=5)
    (line,) = [line for line in estimate(graph).hosting if line.what == "Fargate ARM, processors"]
    assert line.quantity == 5 * 730 * 0.25
    unscaled = [item for item in graph if not item["type"].startswith("aws:appautoscaling/")]
    (line,) = [line for line in estimate(unscaled).hosting if line.what == "Fargate ARM, processors"]
    assert line.quantity == 2 * 730 * 0.25


def test_a_price_that_was_not_read_for_a_region_is_that_of_another_and_says_so() -> None:
    (line,) = [line for line in dev().pipeline if line.what == "CodeBuild, ARM small"]
    assert line.price
    assert (line.price.region, line.remark) == (REFERENCE, "at the price of us-east-1, none was read for eu-west-1")
    assert notes(dev()) == ["13.44 USD of it at the price of us-east-1, none was read for eu-west-1"]
    assert not any(line.remark for line in estimate(graph_of("dev"), region=REFERENCE).lines)


def test_a_region_without_a_price_says_so() -> None:
    """Nothing is guessed: what costs the same everywhere is counted, nothing else."""
    found = estimate(graph_of("dev"), region="ap-southeast-3")
    assert "ap-southeast-3" not in regions()
    assert {line.what for line in found.lines if line.price} == {
        "CodePipeline, action minutes",
        "KMS key",
        "Public IPv4 addresses of the tasks",
        "Public IPv4 addresses of the load balancer",
    }
    assert [line.remark for line in found.unpriced] == ["no price was read for ap-southeast-3"] * len(found.unpriced)
    missing = f"{len(found.unpriced)} of {len(found.lines)} parts of the bill are not in these sums"
    assert notes(found) == [f"no prices were read for ap-southeast-3: {missing}"]
    assert "no price" in page(found)


def test_a_machine_without_a_price_costs_nothing_silently() -> None:
    graph = copy.deepcopy(graph_of("dev"))
    for item in graph:
        if item["type"] == "aws:codebuild/project:Project":
            item["inputs"]["environment"]["computeType"] = "BUILD_GENERAL1_2XLARGE"
            item["outputs"] = {}
    assert {line.what for line in estimate(graph).unpriced} >= {"CodeBuild, ARM 2xlarge"}


def test_the_region_is_found_in_the_graph() -> None:
    assert region_of([{"type": "pulumi:providers:aws", "inputs": {"region": "sa-east-1"}}]) == "sa-east-1"
    assert region_of([{"type": "aws:s3/bucket:Bucket", "inputs": {"bucket": "shop"}}]) is None
    assert region_of(graph_of("dev")) == "eu-west-1"


def test_what_decides_about_a_line_is_a_key_of_the_stack_file() -> None:
    known = set(keys())
    lines = [line for name in stack_files() for line in estimate(graph_of(name)).lines if line.key]
    for key in {key for line in lines for key in line.key.split(", ")}:
        assert any(path == key or path.startswith(f"{key}.") for path in known), key


def test_the_bars_are_told_and_whether_they_are_met() -> None:
    """They are what is aimed at, and no constant is bent until they are met."""
    assert [(item.what, item.most, item.met) for item in dev().bars] == [
        ("from commit to serving", 200, True),
        ("from commit to serving, on machines of build.fleet", 105, True),
        ("from the merge of what was built before to serving", 85, True),
        ("from the merge of what was built before to serving, on machines of build.fleet", 85, True),
        ("rollback", 60, True),
        ("the pipeline at 220 runs", 15, True),
    ]
    assert bar(dev().bars[0]) == "from commit to serving: 2 min 42 s, aimed at 3 min 20 s at most: met"
    assert [item.what for item in estimate(graph_of("prod")).bars] == ["rollback", "the pipeline at 220 runs"]
    few = estimate(graph_of("dev"), runs=10).bars[-1]
    assert (few.met, bar(few).endswith(": met")) == (True, True)


def test_of_a_tree_that_was_built_before_nothing_is_built() -> None:
    """A machine starts nevertheless, since the pipeline cannot leave out an action."""
    found, built = dev(), {step.action: step for step in dev().built.steps}
    found_again = (
        ("CodePipeline", 1),
        ("queued", 1),
        ("the machine starts", 7),
        ("finds the image of its source tree", 4),
    )
    assert built["BuildImage"].parts == (*found_again, ("prepares the deployment", 2))
    assert built["BuildSmokeTestImage"].parts == found_again
    assert built.keys() == {step.action for step in found.on_demand.steps}
    assert found.built.serving == (found.on_demand.serving or 0) - (11 + 70 - 4)
    assert found.built_warm.serving == (found.warm.serving or 0) - (5 + 20 - 4)
    assert "nothing is built, and the first user is answered after 1 min 24 s (warm 1 min 22 s)" in page(found)
    assert "nothing is built" not in page(estimate(graph_of("prod"))), "prod builds nothing anyway"


def test_a_preview_ends_with_time_and_money() -> None:
    assert short(dev()) == [
        "Time and money, modelled from published figures, not measured in an account",
        "  from a commit to the first user: 2 min 42 s (1 min 42 s with build.fleet); the run ends after 4 min 12 s",
        "  a month: pipeline 14.18 USD at 220 runs, hosting 63.68 USD and its traffic",
        "  13.44 USD of it at the price of us-east-1, none was read for eu-west-1",
    ]


def test_a_preview_of_an_edit_ends_with_what_it_changes() -> None:
    after = estimate(
        edited(graph_of("dev"), "awsx:ec2:Vpc", natGateways={"strategy": "Single"}, numberOfAvailabilityZones=2)
    )
    told = short(after, dev())
    assert "  a month: pipeline 14.18 USD at 220 runs, hosting 63.68 -> 102.85 USD and its traffic" in told
    assert "    NAT gateways: +35.04 USD a month" in told
    assert short(dev(), dev()) == short(dev())
    slower = short(estimate(graph_of("prod")), dev())
    assert "2 min 42 s -> 1 min 28 s" in slower[1]
    assert any(line.startswith("    11 smaller ones: ") for line in slower), slower


def test_a_stack_without_a_pipeline_or_a_service_has_a_bill_nevertheless() -> None:
    nothing = estimate([])
    assert (nothing.lines, nothing.bars, nothing.on_demand.run) == ((), (), 0)
    assert short(nothing)[1] == "  from a commit to the end of the run: 0 s"
    only_key = estimate([{"type": "aws:ecs/cluster:Cluster", "inputs": {"settings": [{"value": "enabled"}]}}])
    assert [line.what for line in only_key.lines] == ["CloudWatch, Container Insights"]


def test_container_insights_cost_as_they_are_chosen() -> None:
    """By hand: 16 metrics of the cluster and 16 of the service, and of two tasks with a container each 16 for each."""
    quantities = {}
    for chosen in ("disabled", "enabled", "enhanced"):
        settings = [{"name": "containerInsights", "value": chosen}]
        found = estimate(edited(graph_of("dev"), "aws:ecs/cluster:Cluster", settings=settings))
        lines = [line for line in found.lines if "Insights" in line.what]
        quantities[chosen] = [(line.quantity, round(line.amount or 0, 2)) for line in lines]
    assert quantities["disabled"] == []
    assert quantities["enabled"] == [(32, 9.60)]
    assert quantities["enhanced"] == [(32 + 2 * (16 + 16), 6.72)]


def test_durations_are_told_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0, 59.4, 60, 92, 3600, 3720)] == [
        "0 s", "59 s", "1 min", "1 min 32 s", "1 h", "1 h 2 min",
    ]  # fmt: skip


def test_a_line_without_a_price_has_no_amount() -> None:
    line = Line(what="a", quantity=1, unit="hours", price=None, region=None)
    assert (line.amount, line.remark) == (None, "no price was read for this")


def test_prices_of_regions_are_not_those_of_the_reference_by_mistake() -> None:
    """A copied row would show: most prices of a region differ from those of us-east-1, or are said to be the same."""
    for (name, region), item in constants().items():
        if region not in {EVERYWHERE, REFERENCE} and item.kind == "price":
            assert region in item.source or "a bill" in item.note, (name, region)

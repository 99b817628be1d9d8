"""docs/costs.md: what the two stacks take in time and money, and what choices add. `make golden` writes it."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edits import keys
from mocked import build_program
from one_by_one import PROJECT, one_by_one
from summary import built_in_turn, program, stack_files

from components.settings import load_stack_file
from components.settings.reader.stack_file import PREFIX
from local.estimates import NOT_MEASURED, Estimate, Line, estimate
from local.estimates.constants import EVERYWHERE, constants, regions
from local.estimates.words import bar, beside, clock, duration, notes, price, quantity

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "costs.md"
STACKS = ("dev", "prod")


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that a stack file may say, and what it is compared with.

    Attributes:
        stack: The stack whose file it is put into.
        keys: Dotted keys without the program's prefix -> values.
        beside: Keys that both have, the stack as it is compared with, too.
    """

    stack: str
    keys: Mapping[str, Any]
    beside: Mapping[str, Any] | None = None

    @property
    def words(self) -> str:
        """How it is written."""
        return "<br>".join(f"`{key}: {_written(value)}`" for key, value in self.keys.items())


_PRIVATE = {"hosting.network.taskSubnets": "private"}
_NO_TESTS = {"tests.enabled": False, "build.smokeTest.enabled": False}
_ECS = {"deploy": {"engine": "ecs"}}
CHOICES: Mapping[str, Sequence[Choice]] = {
    "Tests and builds": (
        Choice("dev", {"pipeline.parallelJobs": True}),
        Choice("dev", {"build.smokeTest.enabled": False}),
        Choice("dev", {"tests.lighthouse.enabled": False}),
        Choice("dev", {"tests.lighthouse.compute": "medium"}),
        Choice("dev", {"tests.timeoutMinutes": 30}),
        Choice("dev", _NO_TESTS),
        Choice("dev", {"application.architecture": "x86_64"}),
        Choice("dev", {"build.compute": "medium"}, {"application.architecture": "x86_64"}),
        Choice("dev", {"build.compression": "zstd"}),
        Choice("dev", {"build.fleet": {}}),
        Choice("dev", {"build.fleet": {"capacity": 2}}),
        Choice("dev", {"promotion.enabled": False}),
        Choice("prod", {"verification": {"provenance": {"enabled": False}}}),
        Choice("prod", {"release.enabled": False}),
    ),
    "Deployments": (
        Choice("dev", {"deploy": {"engine": "ecs"}}),
        Choice("dev", {"deploy": {"engine": "ecs", "strategy": "blueGreen"}}),
        Choice("dev", {"deploy": {"engine": "ecsAction"}}),
        Choice("dev", {"deploy.terminationWaitMinutes": 15}),
        Choice("dev", {"deploy": {"strategy": "canary", "step": {"percent": 10, "intervalMinutes": 5}}}),
        Choice("prod", {"deploy": {"strategy": "allAtOnce", "terminationWaitMinutes": 15}}),
        Choice("prod", {"deploy.terminationWaitMinutes": 15}),
        Choice("prod", {"deploy": {"engine": "ecs"}}),
    ),
    "Waits, with what AWS's own defaults would add": (
        Choice("dev", {"hosting.loadBalancer.healthCheck.intervalSeconds": 30}),
        Choice("dev", {"hosting.loadBalancer.deregistrationSeconds": 300}, _ECS),
        Choice("dev", {"deploy.bakeMinutes": 15}, {"deploy": {"engine": "ecs", "strategy": "blueGreen"}}),
    ),
    "Network": (
        Choice("dev", _PRIVATE, _NO_TESTS),
        Choice("dev", {**_PRIVATE, "hosting.network.natGateways": "single"}),
        Choice(
            "dev", {"hosting.network.natGateways": "onePerAz"}, {**_PRIVATE, "hosting.network.natGateways": "single"}
        ),
        Choice("dev", {"hosting.network.availabilityZones": 3}),
        Choice("dev", {"hosting": {"loadBalancer": {"enabled": False}}}, {**_ECS, **_NO_TESTS}),
    ),
    "Service": (
        Choice("dev", {"application.desiredCount": 3}),
        Choice("dev", {"application.cpu": 512, "application.memory": 1024}),
        Choice("prod", {"hosting.alarms.enabled": False}),
        Choice("dev", {"hosting.containerInsights": "disabled"}),
        Choice("dev", {"hosting.containerInsights": "enhanced"}),
        Choice("dev", {"statuses": {"enabled": True, "tokenSecret": "shop/github-status-token"}}),
        Choice("dev", {"notifications.enabled": True}),
    ),
}

_ALARM = (
    "an alarm of `hosting.alarms` fires after two bad minutes and their metrics, and takes traffic back only for as "
    "long as the old tasks are there"
)
WAITS: Mapping[str, str] = {
    "application.healthCheck.intervalSeconds": "three failures in a row stop the container, and a busy or starting one "
    "has no more than three intervals",
    "application.stopTimeoutSeconds": "ECS's own 30 seconds, of which a container takes what it needs: it ends before "
    "when it heeds SIGTERM",
    "deploy.bakeMinutes": _ALARM,
    "deploy.step.intervalMinutes": _ALARM,
    "deploy.terminationWaitMinutes": _ALARM,
    "hosting.loadBalancer.deregistrationSeconds": "a request under way has this long, and AWS's page says 5 only where "
    "each is answered within a second",
    "hosting.loadBalancer.healthCheck.healthyThreshold": "AWS allows no fewer, and a new task needs one check whatever "
    "this says",
    "hosting.loadBalancer.healthCheck.intervalSeconds": "AWS allows no shorter one",
    "hosting.loadBalancer.slowStartSeconds": "none by default",
}
"""What a deployment waits for by a key of the stack file, and why its default is no shorter.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/load-balancer-healthcheck.html and
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/load-balancer-connection-draining.html
"""


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key}: {_written(item)}' for key, item in value.items())} }}" if value else "{}"
    return str(value)


def edited(stack: str, *changes: Mapping[str, Any]) -> dict[str, Any]:
    """A stack file's content with changes; a whole section replaces what is there."""
    values: dict[str, Any] = copy.deepcopy(dict(load_stack_file(stack_files()[stack])))
    for change in changes:
        for path, value in change.items():
            if ":" in path:
                values[path] = value
                continue
            section, *keys = path.split(".")
            if not keys:
                values[f"{PREFIX}{section}"] = copy.deepcopy(value)
                continue
            place = values.setdefault(f"{PREFIX}{section}", {})
            for key in keys[:-1]:
                place = place.setdefault(key, {})
            place[keys[-1]] = copy.deepcopy(value)
    return values


@cache
def estimate_of(stack: str) -> Estimate:
    """The estimate of a stack as its file is."""
    return estimate([item.as_dict() for item in program(stack)])


def compared(choice: Choice) -> tuple[Estimate, Estimate]:
    """The estimates without a choice and with it."""
    without = choice.beside or {}
    before = _estimate(choice.stack, without) if without else estimate_of(choice.stack)
    return before, _estimate(choice.stack, without, choice.keys)


def _estimate(stack: str, *changes: Mapping[str, Any]) -> Estimate:
    graph = build_program(edited(stack, *changes), stack_name=stack)
    return estimate([item.as_dict() for item in graph])


def on_ec2(graph: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A stack whose waiting jobs have a small machine of EC2."""
    for item in graph:
        if item["type"] == "aws:codebuild/project:Project" and item["inputs"]["name"].endswith(WAITING):
            item["inputs"]["environment"] |= {"type": "ARM_CONTAINER", "computeType": "BUILD_GENERAL1_SMALL"}
    return graph


def prepared_apart(graph: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same stack, with an action that prepares the deployment, on the machine of short jobs."""
    split = one_by_one(graph)
    projects = {item["inputs"]["name"]: item["inputs"] for item in split if item["type"] == PROJECT}
    for name, project in projects.items():
        if name.endswith("-prepare-deployment"):
            project["environment"] = projects[name.replace("prepare-deployment", "verify-image")]["environment"]
    return split


WAITING = ("-run-smoke-test", "-deploy-ecs")
LEVERS: Mapping[str, tuple[Mapping[str, Any], Callable[[list[dict[str, Any]]], list[dict[str, Any]]]]] = {
    "The smoke-test image is built beside the application's, on another size of machine": ({}, built_in_turn),
    "The build of the image prepares the deployment, too: one machine less starts": ({}, prepared_apart),
    "The smoke test's job waits on a Lambda machine": ({}, on_ec2),
    "With `deploy: { engine: ecs }`, `deploy-ecs` waits on a Lambda machine, too": (_ECS, on_ec2),
}
"""What makes a run of the dev stack shorter or cheaper and is no key: the file it is tried with, a stack without it."""


def levered(lever: str) -> tuple[Estimate, Estimate]:
    """The estimates without something of `LEVERS` and with it."""
    keys_of_file, without = LEVERS[lever]
    graph = [item.as_dict() for item in build_program(edited("dev", keys_of_file), stack_name="dev")]
    return estimate(without(copy.deepcopy(graph))), estimate(graph)


def page() -> str:
    """The page as it is to be."""
    return (
        "\n".join(
            [
                *_head(),
                *(line for stack in STACKS for line in _stack(stack)),
                *_billed_waits(),
                *_levers(),
                *_choices(),
                *_waits(),
                *_foot(),
            ]
        )
        + "\n"
    )


def _wrapped(text: str) -> list[str]:
    """A paragraph or an item of a list as lines."""
    return textwrap.wrap(text, 130, subsequent_indent="  " if text.startswith("- ") else "", break_on_hyphens=False)


def _head() -> Iterator[str]:
    yield "# What a stack takes, in time and money"
    yield ""
    yield "<!-- Generated by `make golden` from the graphs of the stack files: edit tests/costs_page.py. -->"
    yield ""
    yield from _wrapped(
        f"All of this is {NOT_MEASURED}. `make cost` tells it of your own stack file, also with `STACK=prod`, "
        '`STACK_FILE=FILE`, `ARGS=--json` or `ARGS="--runs 500"`; `make diagram` writes it into a page. Each price and '
        "each time has its source, its date, and whether somebody published it or it is an assumption, in "
        "[constants.tsv](../local/estimates/constants.tsv). Prices have been read for "
        f"{', '.join(sorted(regions()))}, as far as documents that quote AWS's price list could be read; for what is "
        "missing there, us-east-1's price stands in, and the estimate says so. For any other region only what costs "
        "the same everywhere is counted, and the estimate says that, too."
    )
    yield ""
    yield f"|  | {' | '.join(STACKS)} |"
    yield f"|---|{'---|' * len(STACKS)}"
    yield _row("Starts with", lambda item: f"a new {item.starts_from}" if item.starts_from != "commit" else "a commit")
    yield _row("The first user has the new version after", lambda item: duration(item.on_demand.serving or 0))
    yield _row("All users have it after", lambda item: duration(item.on_demand.all_traffic or 0))
    yield _row("The run ends after", lambda item: duration(item.on_demand.run))
    yield _row("Back to the version before, while its tasks run", lambda item: duration(item.on_demand.moved_back or 0))
    yield _row(
        "Back to it later, by a rollback of the Deploy stage", lambda item: duration(item.on_demand.rolled_back or 0)
    )
    yield _row("Pipeline, USD a month", lambda item: f"{item.pipeline_dollars:,.2f} at {item.runs} runs")
    yield _row("Hosting, USD a month", lambda item: f"{item.hosting_dollars:,.2f}")


def _row(words: str, cell: Callable[[Estimate], str]) -> str:
    return f"| {words} | {' | '.join(cell(estimate_of(stack)) for stack in STACKS)} |"


def _stack(stack: str) -> Iterator[str]:
    found = estimate_of(stack)
    yield from ("", f"## {stack}", "")
    yield "| Stage | Action | From | Takes | Warm | Side by side with |"
    yield "|---|---|---|---|---|---|"
    for index, (step, quick) in enumerate(zip(found.on_demand.steps, found.warm.steps, strict=True)):
        warm = duration(quick.seconds) if quick.seconds != step.seconds else ""
        others = ", ".join(beside(found.on_demand, index))
        machine = f" ({step.machine})" if step.machine else ""
        times = f"{clock(step.start)} | {duration(step.seconds)} | {warm}"
        yield f"| {step.stage} | {step.action}{machine} | {times} | {others} |"
    if found.warm != found.on_demand:
        yield ""
        yield "Warm: with `build.fleet`, reserved capacity, and a machine of it for each image that is built."
    if found.warm.serving is not None and found.warm.serving != found.on_demand.serving:
        first, last = duration(found.warm.serving), duration(found.warm.run)
        yield f"The first user would have the new version after {first}, and the run would end after {last}."
    yield ""
    yield "| USD a month | For | Quantity | USD each | Because | Decided by |"
    yield "|---|---|---|---|---|---|"
    for name, lines, total in (
        (f"Pipeline, {found.runs} runs", found.pipeline, found.pipeline_dollars),
        ("Hosting", found.hosting, found.hosting_dollars),
    ):
        yield from map(_line, lines)
        yield f"| **{total:,.2f}** | **{name}** | | | | |"
    yield ""
    yield from (f"{note[0].upper()}{note[1:]}." for note in notes(found))
    yield ""
    yield "Aimed at, by the constants' last rows:"
    yield ""
    yield from (f"- {bar(item)}" for item in found.bars)


def _line(line: Line) -> str:
    because = ", ".join(filter(None, [line.arithmetic, "assumed" if line.assumed else ""]))
    keys = ", ".join(f"`{key}`" for key in line.key.split(", ")) if line.key else ""
    amount = "?" if line.amount is None else f"{line.amount:,.2f}"
    return f"| {amount} | {line.what} | {' '.join(quantity(line))} | {price(line)} | {because} | {keys} |"


def _billed_waits() -> Iterator[str]:
    """What runs wait for, and who pays for it."""
    deploy = load_stack_file(stack_files()["prod"])[f"{PREFIX}deploy"]
    assert isinstance(deploy, dict)
    wait = deploy["terminationWaitMinutes"]
    each = 220 * constants()["codepipeline.minute", EVERYWHERE].value
    yield from ("", "## Waits that are billed", "")
    roadmap, continues, advice = (
        "https://github.com/aws/containers-roadmap/issues/269",
        "https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ContinueDeployment.html",
        "https://github.com/GoogleChrome/lighthouse/blob/main/docs/variability.md#run-on-adequate-hardware",
    )
    yield from _wrapped(
        "CodePipeline bills each minute that an action waits. With engine `codeDeploy` the action `DeployService` is "
        "CodePipeline's own, `CodeDeployToECS`, which succeeds when CodeDeploy's deployment has succeeded, and that is "
        f"[after the old tasks have been terminated]({roadmap}): the traffic's steps and "
        "`deploy.terminationWaitMinutes` are minutes of the run, "
        f"{each:.2f} USD a month for each of them at 220 runs. There is no safe way around it: "
        f"[`ContinueDeployment`]({continues}) with `TERMINATION_WAIT` ends the wait instead of moving it out of the "
        "run, and with it the way back; an action that succeeds before the deployment has would let images be tagged "
        "and released that an alarm rolls back a minute later. So the key decides: `Pulumi.prod.yaml` waits "
        f"{wait} minutes, as long as the alarms of `hosting.alarms` need after the last step. The steps before have "
        "been watched by the same alarms, and a later way back is `make rollback`."
    )
    yield ""
    yield from _wrapped(
        "Jobs that wait (`deploy-ecs`, `watch-deployment`, `run-smoke-test`, `run-before`, `run-after`, "
        "`verify-image`) run on a Lambda machine, which starts in seconds and is billed by the second, where the "
        "longest time that they may take fits into its 15 minutes and the region has such machines; else on a small "
        "machine of EC2. That is decided when the stack file is read, by `deploy.timeoutMinutes` and what the strategy "
        "waits, by `tests.timeoutMinutes`, and by `timeoutMinutes` of a command and of a scan."
    )
    yield ""
    yield from _wrapped(
        f"Lighthouse measures on a small machine, 2 vCPUs and 4 GiB. [Lighthouse's own advice]({advice}) is at least "
        "two dedicated cores and 2 GB, with four recommended, and no functions as a service. Measured on a machine of "
        "2 cores that other work asked for four to ten times over, with Lighthouse 12.6.1 and its simulated "
        "throttling, seven runs or eight each: a light page scored 99 to 100 for performance on two cores and 72 to "
        "100 on one; a page whose script keeps a processor busy 70 to 84 on two cores and 39 to 72 on one; "
        "accessibility, best practices and search engines 100 in all runs. A run took about as long on one core as on "
        "two, and all its processes together at most 815 MiB. Four cores, what `medium` has, could not be had. "
        "`tests.lighthouse.compute: medium` is for pages with much script, whose scores for performance vary most."
    )


def _levers() -> Iterator[str]:
    yield from ("", "## What makes a run shorter and cheaper", "")
    yield from _wrapped(
        "Of the dev stack, before and after. What is decided by a key stands under [what choices cost]"
        "(#what-choices-cost); that builds ask Docker Hub for nothing has no published figure."
    )
    yield from ("", "| What | First user | Whole run | Pipeline, USD a month |", "|---|---|---|---|")
    for lever in LEVERS:
        yield _before_and_after(lever, *levered(lever))
    dev = estimate_of("dev")
    merged = (dev.on_demand.serving or 0, dev.built.serving or 0), (dev.on_demand.run, dev.built.run)
    times = " | ".join(_change(duration(was), duration(becomes)) for was, becomes in merged)
    yield f"| The source tree of a merged pull request was built before | {times} | as far as runs are such merges |"


def _before_and_after(what: str, before: Estimate, after: Estimate) -> str:
    cells = (
        (duration(before.on_demand.serving or 0), duration(after.on_demand.serving or 0)),
        (duration(before.on_demand.run), duration(after.on_demand.run)),
        (f"{before.pipeline_dollars:,.2f}", f"{after.pipeline_dollars:,.2f}"),
    )
    return f"| {what} | {' | '.join(_change(*cell) for cell in cells)} |"


def _change(was: str, becomes: str) -> str:
    return was if was == becomes else f"{was} → {becomes}"


def _choices() -> Iterator[str]:
    yield from ("", "## What choices cost", "")
    yield from _wrapped(
        "Each row is put into the stack file that the first column names, and compared with that file without it. A "
        "whole section in a row replaces the file's. A web ACL costs 5.00 USD a month and each of its rules 1.00: they "
        "are yours, and `hosting.loadBalancer.webAclArn` adds nothing itself. What a machine of `build.fleet` costs is "
        "an assumption, since AWS's own price could not be read; its initial charge is not counted. "
        "`retention.logDays`, `retention.artifactDays` and `hosting.network.flowLogs` cost by volume. That a larger "
        "machine builds faster is not reckoned with."
    )
    for name, choices in CHOICES.items():
        yield from ("", f"### {name}", "")
        yield "| Stack | Written | First user | Whole run | Pipeline, USD a month | Hosting, USD a month |"
        yield "|---|---|---|---|---|---|"
        for choice in choices:
            before, after = compared(choice)
            beside_it = f" beside {Choice('', choice.beside).words}" if choice.beside else ""
            cells = (
                _difference(before.on_demand.serving or 0, after.on_demand.serving or 0, duration),
                _difference(before.on_demand.run, after.on_demand.run, duration),
                _amounts(before, after, "pipeline"),
                _amounts(before, after, "hosting"),
            )
            yield f"| {choice.stack} | {choice.words}{beside_it} | {' | '.join(cells)} |"


def _waits() -> Iterator[str]:
    yield from ("", "## What a deployment waits for", "")
    yield from _wrapped(
        "Each wait is a part of the times above, and each default the shortest that is safe. A newly registered target "
        "of a load balancer is healthy after one successful check."
    )
    yield from ("", "| Key | Default | Why no shorter |", "|---|---|---|")
    known = keys()
    for key, reason in WAITS.items():
        default = known[key].default
        yield f"| `{key}` | {'-' if default is None else f'`{default}`'} | {reason[0].upper()}{reason[1:]} |"


def _amounts(before: Estimate, after: Estimate, part: str) -> str:
    """What a choice adds to a bill; nothing is said where a price is missing."""
    if any(line.price is None for item in (before, after) for line in getattr(item, part)):
        return "no price was read"
    was, becomes = (getattr(item, f"{part}_dollars") for item in (before, after))
    return _difference(was, becomes, lambda amount: f"{amount:,.2f}")


def _difference(before: float, after: float, words: Callable[[float], str]) -> str:
    difference = after - before
    if abs(difference) < 0.005:
        return ""
    return f"{'+' if difference > 0 else '-'}{words(abs(difference))}"


def _foot() -> Iterator[str]:
    yield from ("", "## What it does not know", "")
    assumed = sum(1 for item in constants().values() if item.kind == "assumption")
    for text in (
        "How long your own build takes: the figure is that of an image whose layers are in the cache.",
        "Traffic to the internet and between zones, requests to S3 and to the key, copies into other regions: by use.",
        "Free tiers, which belong to the account and not to one stack, Savings Plans, and taxes.",
        "What a stack only names: databases, web ACLs, certificates, hosted zones, a load balancer that exists.",
        f"{assumed} of the {len(constants())} constants are assumptions, and no time was measured in an account.",
    ):
        yield from _wrapped(f"- {text}")


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print("wrote docs/costs.md")  # noqa: T201 - a command's output

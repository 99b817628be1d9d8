"""Settings that disarm each other: one table, a file for each row, and the fix applied."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from command_fixes import problems_of, set_as_pulumi_does
from test_settings_malformed import FILES

from components.settings import Settings, load_settings, load_stack_file
from components.settings.conflicts import CONFLICTS, DAY, Conflict
from components.settings.reader.generate import ROOT
from components.settings.reader.shapes import Shape, leaves
from components.settings.rules import RULES

KEYS = {".".join(path) for path, _ in leaves(Shape(kind="section", words="", section=Settings))}
CONFLICT_FILES = {file.stem.removeprefix("conflict_"): file for file in FILES if file.stem.startswith("conflict_")}


def name(conflict: Conflict) -> str:
    return conflict.rule.__name__


def config_of(conflict: Conflict) -> dict[str, Any]:
    """The file, as `load_settings` takes it."""
    return dict(json.loads(json.dumps(load_stack_file(CONFLICT_FILES[name(conflict)]))))


def fixed(config: dict[str, Any], line: str) -> Iterator[dict[str, Any]]:
    """The file after each of the ways out that a line offers."""
    for way in line.partition(" — ")[2].split(", or "):
        edited = copy.deepcopy(config)
        if command := re.fullmatch(r"pulumi config set --stack dev --path '([^']+)' (.+)", way):
            set_as_pulumi_does(edited, command[1], shlex.split(command[2])[0])
        elif command := re.fullmatch(r"pulumi config rm --stack dev --path '([^']+)'", way):
            section, _, key = command[1].rpartition(".")
            del edited[section][key]
        elif cut := re.fullmatch(r"edit the file: leave out the last (\d+)", way):
            ecr = edited["ecs-delivery:source"]["ecr"]
            ecr["promoters"] = ecr["promoters"][: -int(cut[1])]
        else:
            assert way == "let several stacks promote by one role"
            continue
        yield edited


def test_every_conflict_has_a_file_and_every_file_a_conflict() -> None:
    assert sorted(map(name, CONFLICTS)) == sorted(CONFLICT_FILES)


def test_every_conflict_is_looked_for() -> None:
    assert [conflict.rule for conflict in CONFLICTS] == [*RULES][-len(CONFLICTS) :]


@pytest.mark.parametrize("conflict", CONFLICTS, ids=name)
def test_its_file_is_refused_for_this_reason_alone(conflict: Conflict) -> None:
    assert set(conflict.keys) <= KEYS
    (line,) = problems_of(config_of(conflict))
    assert line.split(": ")[1].removeprefix("ecs-delivery:") in conflict.keys


@pytest.mark.parametrize("conflict", CONFLICTS, ids=name)
def test_each_way_out_that_is_offered_is_one(conflict: Conflict) -> None:
    config = config_of(conflict)
    (line,) = problems_of(config)
    first, *others = fixed(config, line)
    assert problems_of(first) == (), "the first is enough by itself"
    for edited in others:
        assert line.split(": ")[1] not in {other.split(": ")[1] for other in problems_of(edited)}


CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"
OTHER_SIDE: dict[str, dict[str, Any]] = {
    "alarms_fire_while_the_old_tasks_are_there": {"ecs-delivery:hosting.alarms.enabled": False},
    "canary_moves_the_errors_above_the_threshold": {"ecs-delivery:hosting.alarms.errorPercent": 4},
    "starting_tasks_set_off_no_alarm": {
        "ecs-delivery:hosting.alarms.minutes": 3,
        "ecs-delivery:deploy.terminationWaitMinutes": 6,
    },
    "the_alarm_on_unhealthy_tasks_can_fire": {"ecs-delivery:application.desiredCount": 3},
    "best_practices_can_be_met": {
        "ecs-delivery:hosting.loadBalancer.plainHttp": False,
        "ecs-delivery:hosting.loadBalancer.certificateArn": CERTIFICATE,
        "ecs-delivery:hosting.loadBalancer.domainName": "shop.example.com",
    },
    "artifacts_outlive_the_run": {"ecs-delivery:promotion.approval.timeoutMinutes": 60},
}
"""What makes the value that is refused right, without touching it."""


@pytest.mark.parametrize("conflict", [one for one in CONFLICTS if len(one.keys) > 1], ids=name)
def test_the_value_that_is_refused_is_right_beside_others(conflict: Conflict) -> None:
    """It is a pair that is refused, not a value."""
    config = config_of(conflict)
    for path, value in OTHER_SIDE[name(conflict)].items():
        set_as_pulumi_does(config, path, str(value).lower() if isinstance(value, bool) else str(value))
    assert problems_of(config) == ()


@pytest.mark.parametrize("conflict", CONFLICTS, ids=name)
def test_the_documentation_says_so(conflict: Conflict) -> None:
    keys = ", ".join(f"`{key}`" for key in conflict.keys)
    assert f"| {keys} | {conflict.lost} |" in (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8").splitlines()


# Where the line is


def stack(**sections: dict[str, Any]) -> dict[str, Any]:
    """A small stack file that is right, with these sections beside it."""
    whole = {
        "application": {"name": "shop"},
        "source": {"github": {"repository": "example/shop"}},
        **sections,
        "hosting": {"loadBalancer": {"plainHttp": True}, **sections.get("hosting", {})},
    }
    return {f"ecs-delivery:{key}": value for key, value in whole.items()}


def grace(seconds: int) -> dict[str, Any]:
    return {"loadBalancer": {"plainHttp": True, "healthCheck": {"gracePeriodSeconds": seconds}}}


def budget(best_practices: int, *, enabled: bool = True) -> dict[str, Any]:
    return {"enabled": enabled, "lighthouse": {"budgets": {"bestPractices": best_practices}}}


def existing(address: str) -> dict[str, Any]:
    """A service that exists, as the whole section."""
    named = {"cluster": "shop", "service": "shop", "executionRole": "shop", "serviceUrl": address}
    return {**stack(deploy={"engine": "ecs"}, tests=budget(90)), "ecs-delivery:hosting": {"existing": named}}


NO_ALARMS = {"alarms": {"enabled": False}}
BLUE_GREEN = {"engine": "ecs", "strategy": "blueGreen"}
APPROVAL = {"enabled": True, "timeoutMinutes": 2 * DAY - 5}
PROMOTION = {"enabled": True, "repository": "shop-prod", "approval": APPROVAL}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(stack(), id="the defaults"),
        pytest.param(stack(deploy={"terminationWaitMinutes": 5}), id="long enough"),
        pytest.param(
            stack(deploy={"terminationWaitMinutes": 13}, hosting={"alarms": {"minutes": 10}}),
            id="slow alarms, long wait",
        ),
        pytest.param(stack(deploy={"terminationWaitMinutes": 0}, hosting=NO_ALARMS), id="no alarms, no wait"),
        pytest.param(
            stack(deploy={"terminationWaitMinutes": 1, "alarms": ["a"]}, hosting=NO_ALARMS), id="alarms of others"
        ),
        pytest.param(stack(deploy={**BLUE_GREEN, "bakeMinutes": 5}), id="long enough a bake"),
        pytest.param(stack(deploy={"engine": "ecs", "timeoutMinutes": 5}), id="rolling needs no bake"),
        pytest.param(stack(deploy={"engine": "ecsAction", "timeoutMinutes": 5}), id="the Amazon ECS action"),
        pytest.param(stack(deploy={"engine": "ecsAction"}, hosting=grace(3600)), id="no roll-back to set off"),
        pytest.param(stack(deploy={"strategy": "canary", "step": {"percent": 6}}), id="a canary above the threshold"),
        pytest.param(stack(deploy={"strategy": "linear", "step": {"percent": 5}}), id="linear goes on"),
        pytest.param(stack(hosting=grace(119)), id="a grace period below"),
        pytest.param(stack(hosting={"alarms": {"unhealthyHosts": 2}}), id="all tasks unhealthy"),
        pytest.param(
            stack(hosting={"alarms": {"unhealthyHosts": 9, "enabled": False}}), id="an alarm that is not made"
        ),
        pytest.param(stack(tests=budget(79)), id="the best there is over plain HTTP"),
        pytest.param(stack(tests={"enabled": True}), id="the default over plain HTTP"),
        pytest.param(stack(tests=budget(100, enabled=False)), id="no tests at all"),
        pytest.param(existing("https://shop.example.com"), id="a service that exists, with encryption"),
        pytest.param(stack(promotion=PROMOTION, retention={"artifactDays": 3}), id="artifacts that last"),
        pytest.param(
            stack(deploy={"approval": APPROVAL}, retention={"artifactDays": 3}), id="artifacts that last, too"
        ),
        pytest.param(stack(retention={"artifactDays": 2}), id="no approval to wait for"),
        pytest.param(
            stack(deploy={"terminationWaitMinutes": 0}, hosting=NO_ALARMS, retention={"artifactDays": 1}),
            id="nothing to wait for",
        ),
    ],
)
def test_what_fits_is_accepted(config: dict[str, Any]) -> None:
    assert load_settings(config, stack="dev")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        pytest.param(stack(deploy={**BLUE_GREEN, "bakeMinutes": 4}), "deploy.bakeMinutes", id="a short bake"),
        pytest.param(
            stack(deploy=BLUE_GREEN, hosting={"alarms": {"minutes": 3}}), "deploy.bakeMinutes", id="slower alarms"
        ),
        pytest.param(
            stack(deploy={"terminationWaitMinutes": 0, "alarms": ["a"]}, hosting=NO_ALARMS),
            "deploy.terminationWaitMinutes",
            id="alarms of others and no wait",
        ),
        pytest.param(
            stack(deploy={"engine": "ecs", "strategy": "canary", "step": {"percent": 5}}),
            "deploy.step.percent",
            id="ECS's own canary",
        ),
        pytest.param(
            stack(deploy={"strategy": "canary", "step": {"percent": 99}}, hosting={"alarms": {"errorPercent": 99}}),
            "deploy.step.percent",
            id="no canary is that large",
        ),
        pytest.param(
            stack(hosting=grace(3600)), "hosting.loadBalancer.healthCheck.gracePeriodSeconds", id="beyond any alarm"
        ),
        pytest.param(
            stack(hosting={"alarms": {"unhealthyHosts": 2}, "service": {"scaling": {"minimum": 1}}}),
            "hosting.alarms.unhealthyHosts",
            id="fewer tasks at night",
        ),
        pytest.param(
            existing("http://shop.example.com"),
            "tests.lighthouse.budgets.bestPractices",
            id="a service that exists, without encryption",
        ),
        pytest.param(
            stack(promotion=PROMOTION, retention={"artifactDays": 2}), "retention.artifactDays", id="a day too short"
        ),
        pytest.param(
            stack(deploy={"approval": APPROVAL}, retention={"artifactDays": 2}),
            "retention.artifactDays",
            id="a day too short for the approval of the deployment",
        ),
        pytest.param(
            stack(
                deploy={"strategy": "linear", "step": {"percent": 50, "intervalMinutes": 2000}},
                retention={"artifactDays": 1},
            ),
            "retention.artifactDays",
            id="a slow deployment",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_the_first_way_out_mends_it(config: dict[str, Any], key: str) -> None:
    (line,) = problems_of(config)
    assert line.split(": ")[1] == f"ecs-delivery:{key}"
    assert problems_of(next(fixed(config, line))) == ()

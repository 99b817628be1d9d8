"""Alarms: of both target groups, silent where nobody calls, and known to the engines that roll back by them."""

from __future__ import annotations

from typing import Any

import pytest
from made_hosting import made

NAMES = ("shop-dev-errors", "shop-dev-latency", "shop-dev-unhealthy-hosts")


def alarms(**settings: object) -> dict[str, dict[str, Any]]:
    found = made({"alarms": settings}, deploy={"terminationWaitMinutes": 60})
    return {item.inputs["name"]: dict(item.inputs) for item in found.graph.of("MetricAlarm")}


def test_three_alarms_are_made_and_stages_know_their_names() -> None:
    found = made()
    assert sorted(item.inputs["name"] for item in found.graph.of("MetricAlarm")) == sorted(NAMES)
    assert found.hosting.alarms == NAMES


def test_alarms_may_be_left_out() -> None:
    found = made({"alarms": {"enabled": False}})
    assert found.graph.of("MetricAlarm") == []
    assert found.hosting.alarms == ()


def test_errors_count_the_tasks_and_the_load_balancers_own_and_not_of_a_handful_of_requests() -> None:
    queries = {item["id"]: item for item in alarms(errorPercent=2)["shop-dev-errors"]["metricQueries"]}
    assert {key: item["metric"]["metricName"] for key, item in queries.items() if "metric" in item} == {
        "requests": "RequestCount",
        "target": "HTTPCode_Target_5XX_Count",
        "balancer": "HTTPCode_ELB_5XX_Count",
    }
    expression = queries["result"]["expression"]
    assert expression == (
        "IF((FILL(requests, 0) + FILL(balancer, 0)) >= 20, "
        "100 * (FILL(target, 0) + FILL(balancer, 0)) / (FILL(requests, 0) + FILL(balancer, 0)), 0)"
    )
    assert [key for key, item in queries.items() if item["returnData"]] == ["result"]
    dimensions = {"LoadBalancer": "app/lb-shop-dev/0123456789abcdef"}
    assert all(item["metric"]["dimensions"] == dimensions for item in queries.values() if "metric" in item)


def test_latency_is_the_95th_percentile_in_seconds() -> None:
    alarm = alarms(latencyMilliseconds=1500)["shop-dev-latency"]
    assert (alarm["extendedStatistic"], alarm["threshold"], alarm["metricName"]) == ("p95", 1.5, "TargetResponseTime")


@pytest.mark.parametrize(("deploy", "groups"), [({}, 2), ({"engine": "ecs"}, 1)], ids=["codeDeploy", "rolling"])
def test_unhealthy_tasks_count_in_every_target_group(deploy: dict[str, Any], groups: int) -> None:
    found = made(deploy=deploy)
    alarm = found.one("MetricAlarm", "alarms-unhealthy-hosts").inputs
    asked = [item["metric"]["dimensions"]["TargetGroup"] for item in alarm["metricQueries"] if "metric" in item]
    assert sorted(asked) == sorted(item.outputs["arnSuffix"] for item in found.graph.of("TargetGroup"))
    assert len(asked) == groups
    assert alarm["comparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_an_alarm_needs_all_its_minutes_and_silence_is_no_alarm() -> None:
    for alarm in alarms(minutes=4).values():
        assert (alarm["evaluationPeriods"], alarm["datapointsToAlarm"]) == (6, 4)
        assert alarm["treatMissingData"] == "notBreaching"
        assert "alarmActions" not in alarm

"""What the comparison of task definitions shows, and how a described one is registered again."""

from __future__ import annotations

from fake_tools import module

job = module("task_definition")


def test_a_running_value_is_shown_where_nobody_writes_a_secret() -> None:
    shown = {place: job.Difference(place, '"1"', '"2"').shown() for place in ("memory", "containerDefinitions.web.cpu")}
    assert all(said == f'{place}: running "1", wanted "2"' for place, said in shown.items())
    for place in ("containerDefinitions.web.command", "containerDefinitions.web.environment.KEY.value", "tags.team"):
        assert job.Difference(place, '"1"', '"2"').shown() == f'{place}: running another value, wanted "2"'
    assert job.Difference("memory", "", '"2"').shown() == 'memory: running nothing, wanted "2"'
    assert job.Difference("containerDefinitions.web", "there", "").shown().endswith("wanted nothing")


def test_what_aws_adds_to_a_description_is_not_registered() -> None:
    tags = [{"key": "aws:cloudformation:stack", "value": "x"}, {"key": "team", "value": "shop"}]
    described = {"family": "shop", "revision": 7, "cpu": None, "volumes": [{"name": "tmp", "host": None}]}
    kept = {"family": "shop", "volumes": [{"name": "tmp"}]}
    assert job.as_registered({"taskDefinition": described, "tags": tags}) == {**kept, "tags": tags[1:]}
    assert job.as_registered({**described, "tags": tags[:1]}) == kept
    assert job.as_registered({"taskDefinition": described}) == kept


def test_a_container_that_did_not_run_has_no_last_lines() -> None:
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "shop"}}
    definition = {"containerDefinitions": [{"name": "shop", "logConfiguration": logs}]}
    assert module("stopped_tasks").log_of({"containers": [{"name": "shop"}]}, definition, "/ecs/shop") == []

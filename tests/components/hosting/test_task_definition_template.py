"""The rendered task definition, where the pipeline finds it."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from mocked import Graph, build
from samples import BUCKET, EXECUTION_ROLE, TAGS, TASK_ROLE, artifact_bucket, foundation, hosting, shop

from components.engines.target import TakeOver
from components.hosting.task_definition import TaskSurroundings, task_definition
from components.hosting.task_definition_template import KEY, TaskDefinitionTemplate, TaskDefinitionTemplateArgs


def template(application: dict[str, object] | None = None, **surroundings: object) -> Graph:
    def program() -> None:
        base = foundation()
        TaskDefinitionTemplate(
            "template",
            TaskDefinitionTemplateArgs(
                foundation=base,
                application=shop(**({} if application is None else {"application": application})).application,
                hosting=hosting(base, **surroundings),
                artifacts=artifact_bucket(base),
            ),
        )

    return build(program)


@cache
def plain() -> Graph:
    return template()


def content(graph: Graph) -> dict[str, Any]:
    return dict(json.loads(graph.one("BucketObjectv2").inputs["content"]))


@pytest.mark.parametrize("task_role", [TASK_ROLE, None], ids=["with a task role", "without a task role"])
def test_the_template_is_the_task_definition_in_its_surroundings(task_role: str | None) -> None:
    """No placeholder but the image is left: `None` written as text would be a role ECS cannot find."""
    graph = plain() if task_role else template(task_role_arn=None)
    assert content(graph) == task_definition(
        shop().application,
        TaskSurroundings(
            family="shop-dev",
            execution_role_arn=EXECUTION_ROLE,
            task_role_arn=task_role,
            log_group="/ecs/shop-dev",
            region="eu-west-1",
            parameters_arn="arn:aws:ssm:eu-west-1:123456789012:parameter",
            tags=TAGS,
        ),
    )


def test_the_template_is_one_readable_object_in_the_artifact_bucket() -> None:
    inputs = dict(plain().one("BucketObjectv2").inputs)
    assert inputs.pop("content").startswith('{\n  "family": "shop-dev",\n')
    assert inputs == {"bucket": BUCKET, "key": KEY, "contentType": "application/json", "tags": TAGS}


def test_the_template_lies_where_no_pipeline_keeps_artifacts() -> None:
    """Artifacts expire and every build may write them. A pipeline is named after its application, so its folder starts
    with a small letter: whatever the application and the stack are called, this one does not."""
    folder, _, name = KEY.partition("/")
    assert not re.match("[a-z]", folder)
    assert name == "template.json"


def test_the_template_is_stored_after_the_buckets_policy() -> None:
    """The first object already obeys it."""
    assert plain().one("BucketPolicy").urn in plain().one("BucketObjectv2").dependencies


def test_the_address_of_the_template_is_what_the_component_offers() -> None:
    component = plain().one("ecs-delivery:index:TaskDefinitionTemplate")
    assert plain().registered_outputs[component.urn] == {"uri": f"s3://{BUCKET}/{KEY}"}
    assert [item.type for item in plain().children(component)] == ["aws:s3/bucketObjectv2:BucketObjectv2"]


def stated(**application: object) -> dict[str, Any]:
    """What is stored of a service that exists."""
    existing = TakeOver(file=None, agreed=False)
    return content(template({"name": "shop", **application}, take_over=existing, task_role_arn=None))


NOTHING_STATED = {"family": "shop-dev", "executionRoleArn": EXECUTION_ROLE, "containerDefinitions": [{"name": "shop"}]}


@pytest.mark.parametrize(
    ("application", "task", "container"),
    [
        pytest.param({}, {}, {}, id="nothing"),
        pytest.param(
            {"port": 3000, "architecture": "x86_64", "desiredCount": 3}, {}, {}, id="what says which one it is"
        ),
        pytest.param({"cpu": 512, "memory": 1024}, {"cpu": "512", "memory": "1024"}, {}, id="a size"),
        pytest.param({"cpu": 256}, {"cpu": "256"}, {}, id="a default that is stated"),
        pytest.param({"containerName": "web"}, {}, {"name": "web"}, id="the container's name"),
        pytest.param(
            {"environment": {"B": "2", "A": "1"}, "secrets": {"KEY": "arn:aws:ssm:eu-west-1:123456789012:parameter/k"}},
            {},
            {
                "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/k"}],
            },
            id="variables",
        ),
        pytest.param(
            {"readOnlyRootFilesystem": True, "user": "1000", "command": ["serve"]},
            {},
            {"readonlyRootFilesystem": True, "user": "1000", "command": ["serve"]},
            id="how it runs",
        ),
    ],
)
def test_of_a_service_that_exists_only_what_the_stack_file_states_is_stored(
    application: dict[str, object], task: dict[str, str], container: dict[str, object]
) -> None:
    """A default that nobody wrote must not reach a service that somebody else has made."""
    expected = {**NOTHING_STATED, **task, "containerDefinitions": [{"name": "shop", **container}]}
    assert stated(**application) == expected

"""The job that says what a deployment changes, for who approves it: it really runs, against a stand-in of aws."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from fake_tools import DIGEST, NOT_THERE, OTHER_DIGEST, REPOSITORY, Machine, deployment, module

RUN = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "CLUSTER": "main",
    "SERVICE": "shop",
    "AWS_REGION": "eu-west-1",
    "CODEBUILD_BUILD_ID": "shop-dev-review-deployment:0f0f",
}
NEW, OLD = "a" * 40, "b" * 40
REVISION = "arn:aws:ecs:eu-west-1:123456789012:task-definition/shop:7"


def definition(
    image: str = f"{REPOSITORY}@{OTHER_DIGEST}", family: str = "shop", **container: object
) -> dict[str, Any]:
    """A task definition."""
    return {"family": family, "cpu": "256", "containerDefinitions": [{"name": "shop", "image": image, **container}]}


def serves(machine: Machine, running: dict[str, Any], **service: object) -> None:
    """The service runs this."""
    machine.answer(
        "aws ecs describe-services", {"services": [{"status": "ACTIVE", "taskDefinition": REVISION, **service}]}
    )
    described = {**running, "taskDefinitionArn": REVISION}
    machine.answer("aws ecs describe-task-definition", {"taskDefinition": described})


def tagged(machine: Machine, *tags: str) -> None:
    """The image that runs has these tags."""
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": OTHER_DIGEST, "imageTags": tags}]})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a prepared deployment."""
    made = Machine(tmp_path)
    made.file("deployment.json", deployment(commit=NEW))
    made.file("taskdef.json", definition(f"{REPOSITORY}@{DIGEST}", environment=[{"name": "LEVEL", "value": "debug"}]))
    return made


def run(machine: Machine) -> "subprocess.CompletedProcess[str]":
    return machine.run("review_deployment", **RUN)


def exported(machine: Machine) -> dict[str, str]:
    """What the approval gets."""
    lines = (line.removeprefix("export ").partition("=") for line in machine.exports.splitlines())
    return {name: value.strip("'") for name, _, value in lines}


def test_the_approval_says_what_is_replaced_and_what_changes(machine: Machine) -> None:
    serves(machine, definition(environment=[{"name": "LEVEL", "value": "info"}], cpu=128))
    tagged(machine, "v1.2.2", f"{OLD}-0f0f0f0f")

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert exported(machine) == {
        "RUNNING": f"{OLD}-0f0f0f0f v1.2.2 ({OTHER_DIGEST[:19]})",
        "CHANGES": "2 keys besides the image",
        "COMMITS": f"https://github.com/example/shop/compare/{OLD}...{NEW}",
        "REVIEW_URL": "https://eu-west-1.console.aws.amazon.com/codebuild/home?region=eu-west-1"
        "#/builds/shop-dev-review-deployment:0f0f/view/new",
    }
    assert f"running:  {REVISION}, {OLD}-0f0f0f0f v1.2.2" in result.stdout
    assert "  - containerDefinitions.shop.cpu: running 128, wanted 0" in result.stdout
    assert (
        '  - containerDefinitions.shop.environment.LEVEL.value: running another value, wanted "debug"' in result.stdout
    )


def test_the_task_set_that_serves_is_what_is_replaced(machine: Machine) -> None:
    """With CodeDeploy the service itself may name another revision."""
    task_sets = [{"status": "ACTIVE", "taskDefinition": "other"}, {"status": "PRIMARY", "taskDefinition": "primary"}]
    serves(machine, definition(), taskSets=task_sets)
    tagged(machine)
    assert run(machine).returncode == 0
    assert machine.called("aws ecs describe-task-definition")[0].after("--task-definition") == ["primary"]


def test_a_service_without_a_primary_task_set_is_named(machine: Machine) -> None:
    """What CodeDeploy deploys has its task definition in its task sets alone."""
    draining = {"status": "ACTIVE", "taskSets": [{"status": "DRAINING", "taskDefinition": REVISION}]}
    machine.answer("aws ecs describe-services", {"services": [draining]})
    result = run(machine)
    assert result.returncode == 1
    assert "shop has no primary task set: it serves nobody yet" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_first_delivery_replaces_whatever_there_is(machine: Machine) -> None:
    """The family is another one, which is no change."""
    machine.file("taskdef.json", definition(f"{REPOSITORY}@{DIGEST}"))
    serves(machine, definition("public.ecr.aws/docker/library/busybox:1", family="shop-bootstrap"))
    result = run(machine)
    assert result.returncode == 0, result.stderr
    found = exported(machine)
    assert found["RUNNING"] == "public.ecr.aws/docker/library/busybox:1"
    assert found["CHANGES"] == "nothing besides the image"
    assert found["COMMITS"] == "not known"
    assert machine.called("aws ecr") == []


def test_the_image_that_several_containers_have_is_one_change(machine: Machine) -> None:
    """An init container from the same build, for example."""
    new, running = definition(f"{REPOSITORY}@{DIGEST}"), definition()
    for each in (new, running):
        each["containerDefinitions"].append({**each["containerDefinitions"][0], "name": "init"})
    machine.file("taskdef.json", new)
    serves(machine, running)
    tagged(machine)
    assert run(machine).returncode == 0
    assert exported(machine)["CHANGES"] == "nothing besides the image"


def test_an_image_that_is_gone_is_named_by_its_digest(machine: Machine) -> None:
    serves(machine, definition())
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE)
    assert run(machine).returncode == 0
    assert exported(machine)["RUNNING"] == f"{REPOSITORY}@{OTHER_DIGEST}"


def test_the_same_image_with_other_settings_says_so(machine: Machine) -> None:
    serves(machine, definition(f"{REPOSITORY}@{DIGEST}"))
    tagged(machine, f"{NEW}-0f0f0f0f")
    assert run(machine).returncode == 0
    found = exported(machine)
    assert found["CHANGES"] == "1 key and not the image"
    assert found["COMMITS"] == f"the same, {NEW}"


def test_another_container_than_what_runs_is_named(machine: Machine) -> None:
    running = definition()
    running["containerDefinitions"][0]["name"] = "web"
    serves(machine, running)
    assert run(machine).returncode == 0
    assert exported(machine)["RUNNING"] == "no container shop"


@pytest.mark.parametrize(
    ("source", "before", "after", "expected"),
    [
        ("https://github.com/example/shop", "b", "a", "https://github.com/example/shop/compare/b...a"),
        ("https://gitlab.com/example/x/shop", "b", "a", "https://gitlab.com/example/x/shop/-/compare/b...a"),
        ("https://bitbucket.org/example/shop", "b", "a", "https://bitbucket.org/example/shop/branches/compare/a%0Db"),
        ("https://git.example.com/shop", "b", "a", "b to a"),
        ("https://github.com/example/shop", "", "a", "not known"),
        ("https://github.com/example/shop", "b", "", "not known"),
    ],
)
def test_commits_are_compared_where_they_are_known(source: str, before: str, after: str, expected: str) -> None:
    assert module("review_deployment").comparison(source, before, after) == expected


def test_all_texts_fit_into_a_review() -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html."""
    short, most = module("review_deployment").short, module("review_deployment").MOST
    assert short("x" * most) == "x" * most
    assert short("x" * (most + 1)) == "x" * (most - 3) + "..."


def test_without_its_service_there_is_nothing_to_review(machine: Machine) -> None:
    machine.answer("aws ecs describe-services", {"services": []})
    result = run(machine)
    assert result.returncode == 1
    assert "the cluster main has no service shop" in result.stderr

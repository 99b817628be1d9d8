"""docs/configuration.md and every preview say when an edit takes effect, and what users notice of it."""

from __future__ import annotations

import re

import pytest
from edits import BY_ENGINE, ENGINES, edits, keys
from edits_page import PAGE, completed, found

from components.jobs.buildspec import load_buildspec
from local.aws_models import service_model
from local.engine import effects
from local.engine.effects import When
from local.engine.outcome import State, Step

OF_CODE = ("-jobs-object$", "-lighthouse-")
"""Rules about what is made from the code of this repository, which no edit of a stack file changes."""
SERVICE = "aws:ecs/service:Service"
WAYS = r"docs/hosting\.md|second stack|run pulumi up again"
DEPLOYS = "ECS deploys the running version again"


def test_the_page_is_what_the_edits_make_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == completed(text), "write it anew: make golden"


def test_every_key_is_edited() -> None:
    assert {edit.key for edit, _ in found()} == set(keys())


def test_every_edit_changes_something_and_every_change_has_a_rule() -> None:
    unchanged = [f"{edit.key} ({edit.engine})" for edit, _ in found() if all(step.op == "same" for step in edit.steps)]
    unknown = {effect.words for _, told in found() for effect in told if effect.words.startswith(effects.UNKNOWN)}

    assert unchanged == [], "give another value to try, in tests/edits.py"
    assert unknown == set(), f"write a rule, in {effects.TABLE.name}"


def test_every_rule_is_about_an_edit() -> None:
    used = {rule for edit, _ in found() for rule in effects.rules_of(edit.steps)}
    unused = [rule for rule in effects.rules() if rule not in used and rule.name.pattern not in OF_CODE]

    assert [(rule.type, rule.name.pattern, rule.operation, rule.property, rule.stack) for rule in unused] == []


SERVING = (
    "aws:ecs/service:",
    "aws:ecs/cluster:",
    "aws:lb/",
    "aws:ec2/",
    "aws:vpc/",
    "aws:appautoscaling/",
    "aws:codedeploy/",
)


def test_an_edit_of_the_delivery_touches_nothing_that_serves() -> None:
    """But for the protection: of the load balancer AWS has its own."""
    touched = {
        (edit.key, step.type)
        for edit, _ in found()
        if edit.key.partition(".")[0] not in BY_ENGINE
        for step in edit.steps
        if step.op != "same" and step.type.startswith(SERVING)
    }
    assert touched == {("retention.protect", "aws:lb/loadBalancer:LoadBalancer")}


def test_what_is_not_possible_in_place_names_another_way() -> None:
    refused = {effect.words for _, told in found() for effect in told if effect.when is When.NOT_IN_PLACE}

    assert refused
    assert [words for words in refused if not re.search(WAYS, words)] == []


@pytest.mark.parametrize(
    "name",
    sorted({rule.property for rule in effects.rules() if rule.type == SERVICE and "+" not in rule.property} - {""}),
)
def test_ecs_deploys_again_where_its_model_says_so(name: str) -> None:
    """ECS's own description of UpdateService says of each parameter whether it "triggers a new service deployment"."""
    members = service_model("ecs").operation_model("UpdateService").input_shape.members
    told = members[PARAMETERS.get(name, name)].documentation
    triggers = re.search(r"(?:parameter|configuration)[^.]* triggers a new", told) is not None
    rules = [rule for rule in effects.rules() if (rule.type, rule.property) == (SERVICE, name)]

    assert {rule.effect.words.startswith(DEPLOYS) for rule in rules} == {triggers}


PARAMETERS = {
    "capacityProviderStrategies": "capacityProviderStrategy",
    "deploymentCircuitBreaker": "deploymentConfiguration",
    "deploymentMaximumPercent": "deploymentConfiguration",
    "deploymentMinimumHealthyPercent": "deploymentConfiguration",
}
"""What AWS's provider calls otherwise than ECS."""


def test_each_engine_is_tried() -> None:
    assert {edit.engine for edit in edits()} == set(ENGINES)


def test_of_a_policy_that_goes_with_its_repository_nothing_is_told() -> None:
    def step(op: str, kind: str, parent: str) -> Step:
        return Step(op=op, urn=f"urn:{parent}:{kind}", type=kind, name="registry-app", parent=parent)

    policy, repository = "aws:ecr/repositoryPolicy:RepositoryPolicy", "aws:ecr/repository:Repository"
    opened = {rule.effect.words for rule in effects.rules_of([step("delete", policy, "app")])}
    assert opened == {"The repository takes images of everybody who may push to Amazon ECR."}
    steps = [step("delete", policy, "app"), step("delete", repository, "app"), step("same", repository, "other")]
    assert opened.isdisjoint(rule.effect.words for rule in effects.rules_of(steps))


PREPARES, RUNS = (
    "The next run prepares and makes its deployment with the new settings.",
    "Jobs run with the new settings.",
)


@pytest.mark.parametrize(
    ("project", "jobs", "edited", "told"),
    [
        ("build-image", ("build-image", "prepare-deployment"), {"CONTAINER_PORT": "3000"}, {PREPARES}),
        ("build-image", ("build-image", "prepare-deployment"), {"LOAD_BALANCER_CONTAINER": "nginx"}, {PREPARES}),
        ("build-image", ("build-image", "prepare-deployment"), {"DOCKERFILE": "other"}, {RUNS}),
        ("build-image", ("build-image", "prepare-deployment"), {"DOCKERFILE": "o", "APPSPEC": "{}"}, {PREPARES, RUNS}),
        ("build-image", ("build-image", "prepare-deployment"), {"IMAGE_REPOSITORY_URI": "o"}, {PREPARES, RUNS}),
        ("build-image", ("build-image", "prepare-deployment"), {"JOBS_SHA256": "1"}, {RUNS}),
        ("build-image", ("build-image", "prepare-deployment"), {}, {RUNS}),
        ("build-image", ("build-image",), {"DOCKERFILE": "other"}, {RUNS}),
        ("record-image", ("record-image", "prepare-deployment"), {"TAG_PREFIX": "release-"}, {PREPARES}),
        ("prepare-deployment", ("prepare-deployment",), {"CONTAINER_PORT": "3000"}, {PREPARES}),
    ],
)
def test_of_a_build_with_two_jobs_it_is_told_whose_settings_are_edited(
    project: str, jobs: tuple[str, ...], edited: dict[str, str], told: set[str]
) -> None:
    """Where no variable is, it is the machine."""
    text = load_buildspec(*jobs, artifacts=("Image", "Deployment") if len(jobs) > 1 else ()).text

    def state(variables: dict[str, str], machine: str) -> State:
        listed = [{"name": name, "value": value} for name, value in variables.items()]
        return State(
            {"source": {"buildspec": text}, "environment": {"computeType": machine, "environmentVariables": listed}}
        )

    known = {"DOCKERFILE": "Dockerfile", "CONTAINER_PORT": "8080"}
    step = Step(
        op="update",
        urn="urn:project",
        type="aws:codebuild/project:Project",
        name=f"shop-{project}-project",
        changed=("environment.environmentVariables[1].value",),
        old=state(known, "small"),
        new=state(
            {**edited, **{name: known[name] for name in known if name not in edited}}, "small" if edited else "medium"
        ),
    )
    of_code_deploy = Step(op="same", urn="urn:watch", type=step.type, name="shop-watch-deployment-project")
    assert {rule.effect.words for rule in effects.rules_of([step, of_code_deploy])} == told

"""What is printed of what the engine did or would do."""

from __future__ import annotations

import pytest

from local.engine.outcome import Outcome, Step
from local.engine.report import report
from local.engine.values import UNKNOWN

TOP = "urn:pulumi:dev::shop::demo:index:Box::shop"


def step(
    op: str,
    name: str,
    token: str,
    parent: str = TOP,
    changed: tuple[str, ...] = (),
    replaced_by: tuple[str, ...] = (),
) -> Step:
    urn = f"urn:{token}:{name}"
    return Step(op, urn, token, name, parent, changed=changed, replaced_by=replaced_by)


BOX = Step(op="create", urn=TOP, type="demo:index:Box", name="shop", parent="urn:stack")


def test_a_plan_stands_in_the_programs_tree_sorted_by_name() -> None:
    outcome = Outcome(
        (
            step("create", "shop-logs", "aws:cloudwatch/logGroup:LogGroup"),
            step("create", "alone", "aws:kms/key:Key", "urn:stack"),
            BOX,
            step("create", "shop-bucket", "aws:s3/bucket:Bucket"),
        ),
        {"url": UNKNOWN, "names": ["one", "two"], "count": 3, "empty": []},
    )
    assert report(outcome, planned=True) == (
        "Outputs\n"
        "  count  3\n"
        "  empty  []\n"
        "  names  one\n"
        "         two\n"
        "  url    [known after up]\n"
        "\n"
        " +  alone           aws:kms:Key\n"
        " +  shop            demo:index:Box\n"
        " +  ├─ shop-bucket  aws:s3:Bucket\n"
        " +  └─ shop-logs    aws:cloudwatch:LogGroup\n"
        "\n"
        "4 to create\n"
        "\n"
    )


def test_what_ecs_deploys_by_itself_is_told() -> None:
    outcome = Outcome((step("same", "a", "aws:kms/key:Key"),), deployments=("shop, for networkConfiguration",))
    assert report(outcome, planned=True) == (
        "ECS deploys at once, beside the pipeline: shop, for networkConfiguration.\n\n1 unchanged\n\n"
    )


def test_a_deployment_of_ecs_is_said_once() -> None:
    """What users notice of the edit says it already, in the words of docs/configuration.md."""
    edit = Step("update", "a", "aws:ecs/service:Service", "shop", changed=("networkConfiguration",))
    runs = Step("same", "b", "aws:codepipeline/pipeline:Pipeline", "pipeline")  # a stack that is there
    text = report(Outcome((edit, runs), deployments=("shop, for networkConfiguration",)), planned=True)
    assert text.count("ECS deploys") == 1
    assert "ECS deploys the running version again" in text


def test_changes_are_named_and_what_stays_is_only_counted() -> None:
    outcome = Outcome(
        (
            Step(op="same", urn=TOP, type="demo:index:Box", name="shop", parent="urn:stack"),
            step("same", "shop-key", "aws:kms/key:Key"),
            step("update", "shop-logs", "aws:cloudwatch/logGroup:LogGroup", changed=("retentionInDays",)),
            step("update", "shop-pipe", "aws:codepipeline/pipeline:Pipeline", changed=("a", "b", "c", "d", "e", "f")),
            step(
                "create-replacement", "shop-app", "aws:codedeploy/application:Application", changed=("computePlatform",)
            ),
            step(
                "replace",
                "shop-app",
                "aws:codedeploy/application:Application",
                changed=("computePlatform",),
                replaced_by=("computePlatform",),
            ),
            step("delete-replaced", "shop-app", "aws:codedeploy/application:Application"),
            step("delete", "shop-old", "aws:iam/role:Role"),
        )
    )
    assert report(outcome, planned=False) == (
        "Cannot be undone:\n"
        "  The CodeDeploy application shop-app is replaced because of computePlatform: the old one is deleted\n"
        "  with its history of deployments.\n"
        "Users notice:\n"
        "  Log lines older than the new retention are deleted, or kept longer.\n"
        "Ships with the next run:\n"
        "  The pipeline takes its new form; a run that is under way ends as failed after the actions that are\n"
        "  running, so start it again.\n"
        "For a second pair of eyes: pipeline/destroys.\n"
        "\n"
        "    shop          demo:index:Box\n"
        "+-  ├─ shop-app   aws:codedeploy:Application  [computePlatform; a new one because of computePlatform]\n"
        " ~  ├─ shop-logs  aws:cloudwatch:LogGroup  [retentionInDays]\n"
        " -  ├─ shop-old   aws:iam:Role\n"
        " ~  └─ shop-pipe  aws:codepipeline:Pipeline  [a, b, c, d and 2 more]\n"
        "\n"
        "2 updated, 1 deleted, 1 replaced, 2 unchanged\n"
        "\n"
    )


def test_a_change_that_users_do_not_notice_is_said_to_be_one() -> None:
    steps = (
        step("same", "shop-pipe", "aws:codepipeline/pipeline:Pipeline"),
        step("update", "shop-role", "aws:iam/role:Role", changed=("description",)),
    )
    assert report(Outcome(steps), planned=True).startswith("Users notice nothing of it.\n\n")


def test_a_change_without_a_rule_is_named() -> None:
    steps = (
        step("same", "shop-pipe", "aws:codepipeline/pipeline:Pipeline"),
        step("update", "shop-queue", "aws:sqs/queue:Queue", changed=("delaySeconds",)),
    )
    told = report(Outcome(steps), planned=True)
    assert "It is not known what this does: ~ aws:sqs/queue:Queue shop-queue (delaySeconds)." in told


@pytest.mark.parametrize(
    ("steps", "said"), [((step("same", "a", "aws:kms/key:Key"),), "1 unchanged\n\n"), ((), "Nothing there.\n\n")]
)
def test_no_change_is_one_line(steps: tuple[Step, ...], said: str) -> None:
    assert report(Outcome(steps), planned=True) == said

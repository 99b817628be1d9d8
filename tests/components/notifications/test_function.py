"""What people are told, by the events that AWS publishes, with what can be looked up, or without."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session  # type: ignore[import-untyped]  # ships no types
import pytest
from asked import SOURCE, Aws, action, run
from published import APPROVAL, EARLIER, EVENT, RUN, changed

from components.notifications import function
from components.notifications.run import LONGEST, Run
from local.rehearsal.emulated.model import request_problems

TOPIC = "arn:aws:sns:us-east-1:123456789012:shop-prod-notifications"
EVERYTHING = "alarm,approval,failed,recovered,rolledBack,stopped,succeeded"


def ended(state: str) -> dict[str, Any]:
    return changed(EVENT, state=state)


@dataclass
class Told(Aws):
    """AWS, and what the function says with its help."""

    def tell(self, event: Mapping[str, Any], wanted: str = EVERYTHING) -> function.Message | None:
        environment = {"APPLICATION": "shop", "ENVIRONMENT": "prod", "TOPIC_ARN": TOPIC, "KINDS": wanted}
        return function.tell(dict(event), environment, self.client, print)

    def message(self, event: Mapping[str, Any]) -> function.Message:
        told = self.tell(event)
        assert told is not None
        return told

    @property
    def published(self) -> list[dict[str, Any]]:
        return [parameters for operation, parameters in self.calls if operation == "Publish"]


def test_a_build_that_failed_is_told_with_the_last_words_of_its_job() -> None:
    failed = action("BuildImage", "Failed", result={"externalExecutionId": "shop-prod-build-image:0f1e"}, at=2)
    aws = Told([failed, SOURCE], [run("Failed")])
    told = aws.message(ended("FAILED"))
    assert told.kind == "failed"
    assert told.title == "shop in prod: the delivery failed"
    assert told.facts == {
        "Application": "shop",
        "Environment": "prod",
        "Commit": "d99f3b2c4a1e Sell <b>tea</b>",
        "Action": "Build/BuildImage",
        "Reason": "the tag 1.2.0 is taken.",
    }
    ((_, log),) = [call for call in aws.calls if call[0] == "GetLogEvents"]
    assert (log["logGroupName"], log["logStreamName"]) == ("/aws/codebuild/shop-prod-build-image", "0f1e")


def test_what_to_do_next_is_a_link_and_a_command_that_the_service_knows() -> None:
    failed = action("BuildImage", "Failed", result={"externalExecutionId": "shop-prod-build-image:0f1e"})
    look, again = Told([failed], [run("Failed")]).message(ended("FAILED")).steps
    page = "https://us-east-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/myPipeline/executions"
    assert look == f"Look at the run: {page}/{RUN}/timeline?region=us-east-1"
    words = shlex.split(again.partition("aws ")[2])
    assert words[:2] == ["codepipeline", "retry-stage-execution"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options.pop("--region") == "us-east-1"
    names = {"--pipeline-name": "pipelineName", "--stage-name": "stageName", "--retry-mode": "retryMode"}
    names["--pipeline-execution-id"] = "pipelineExecutionId"
    request = {names[name]: value for name, value in options.items()}
    assert request_problems("codepipeline", "RetryStageExecution", request) == []
    assert request["stageName"] == "Build"


def test_a_deployment_that_codedeploy_took_back_is_told_as_such_and_is_a_failure_too() -> None:
    failed = action("Deploy", "Failed", "CodeDeployToECS", stage="Deploy", result={"externalExecutionId": "d-ABC"})
    aws = Told([failed], [run("Failed")])
    aws.deployment = {
        "errorInformation": {"code": "ALARM_ACTIVE", "message": "One or more alarms have been activated: shop-errors."},
        "rollbackInfo": {"rollbackDeploymentId": "d-DEF"},
    }
    told = aws.message(ended("FAILED"))
    assert (told.kind, told.facts["Reason"]) == ("rolledBack", aws.deployment["errorInformation"]["message"])
    assert aws.tell(ended("FAILED"), "failed") is not None
    assert aws.tell(ended("FAILED"), "stopped") is None


@pytest.mark.parametrize(
    "words",
    [
        "FAILED: the deployment d-ABC is stopped and rolled back: tasks stop",
        "FAILED: the deployment did not succeed: ROLLBACK_SUCCESSFUL. The previous version keeps serving.",
    ],
)
def test_a_deployment_that_a_job_saw_taken_back_is_told_as_such(words: str) -> None:
    failed = action("Deploy", "Failed", result={"externalExecutionId": "shop-prod-deploy-ecs:0f1e"})
    assert Told([failed], [run("Failed")], [words]).message(ended("FAILED")).kind == "rolledBack"


@pytest.mark.parametrize("result", [{}, {"externalExecutionId": "shop-prod-build-image:0f1e"}])
def test_where_no_job_has_said_why_it_is_what_codepipeline_says(result: dict[str, Any]) -> None:
    said = {**result, "errorDetails": {"code": "JobFailed", "message": "Build terminated with state: FAILED.\nMore."}}
    aws = Told([action("BuildImage", "Failed", result=said)], [run("Failed")], ["no last words"])
    assert aws.message(ended("FAILED")).facts["Reason"] == "Build terminated with state: FAILED."


def test_a_long_reason_is_cut() -> None:
    failed = action("Build", "Failed", "ECS", result={"errorDetails": {"code": "JobFailed", "message": "x" * 1000}})
    reason = Told([failed], [run("Failed")]).message(ended("FAILED")).facts["Reason"]
    assert (len(reason), reason[-1]) == (LONGEST, "…")


def test_an_action_that_succeeded_when_it_was_tried_again_is_no_failed_one() -> None:
    tried = [action("Deploy", "Failed", at=3), action("Build", "Succeeded", at=2), action("Build", "Failed", at=1)]
    assert Told(tried, [run("Failed")]).message(ended("FAILED")).facts["Action"] == "Build/Deploy"


def test_a_run_that_somebody_stopped_is_told_with_what_they_said() -> None:
    trigger = {"triggerType": "StartPipelineExecution", "triggerDetail": "arn:aws:iam::123456789012:user/mary"}
    stopped = run("Stopped", stopTrigger={"reason": "Wrong branch."}, trigger=trigger)
    told = Told([SOURCE], [stopped]).message(ended("STOPPED"))
    assert (told.kind, told.facts["Reason"], told.facts["Started by"]) == ("stopped", "Wrong branch.", "user/mary")
    assert told.steps[1].endswith("aws codepipeline start-pipeline-execution --name myPipeline --region us-east-1")


@pytest.mark.parametrize(
    ("earlier", "kinds"),
    [
        (["Failed"], ("recovered", "succeeded")),
        (["Superseded", "Stopped", "Failed", "Succeeded"], ("recovered", "succeeded")),
        (["Succeeded", "Failed"], ("succeeded",)),
        ([], ("succeeded",)),
    ],
)
def test_a_success_after_a_failure_is_told_of_the_last_run_that_ended_by_itself(
    earlier: list[str], kinds: tuple[str, ...]
) -> None:
    before = [run(status, f"{number}{EARLIER[1:]}") for number, status in enumerate(earlier)]
    later = run("Failed", f"f{EARLIER[1:]}")
    aws = Told([SOURCE], [later, run("Succeeded"), *before])
    assert function.kinds(Run(ended("SUCCEEDED"), function.as_far_as_possible(aws.client, print))) == kinds
    assert bool(aws.tell(ended("SUCCEEDED"), "failed,recovered")) == ("recovered" in kinds)


def test_a_run_that_succeeds_when_it_is_retried_is_a_success_after_a_failure() -> None:
    aws = Told([action("Build", at=2), action("Build", "Failed", at=1)], [run("Succeeded")])
    assert aws.message(ended("SUCCEEDED")).kind == "recovered"


def test_a_run_of_which_nothing_is_known_yet_is_no_success_after_a_failure() -> None:
    assert Told([SOURCE], [run("Failed", EARLIER)]).message(ended("SUCCEEDED")).kind == "succeeded"


def test_a_stage_that_was_rolled_back_is_told_as_such() -> None:
    rolled = run("Succeeded", executionType="ROLLBACK", rollbackMetadata={"rollbackTargetPipelineExecutionId": EARLIER})
    assert Told([], [rolled]).message(ended("SUCCEEDED")).kind == "rolledBack"


def test_the_version_is_what_was_deployed_or_built() -> None:
    built = action("BuildImage", variables={"IMAGE_VERSION": "1.2.0", "IMAGE_DIGEST": ""}, at=1)
    deployed = action("Prepare", variables={"DEPLOYED_VERSION": "1.2.0-rc1"}, at=2)
    assert Told([built], [run("Succeeded")]).message(ended("SUCCEEDED")).facts["Version"] == "1.2.0"
    assert Told([built, deployed], [run("Succeeded")]).message(ended("SUCCEEDED")).facts["Version"] == "1.2.0-rc1"


@pytest.mark.parametrize("form", ["resolved", "configuration"])
def test_an_approval_is_told_with_its_question_and_where_to_answer_it(form: str) -> None:
    asks = {"CustomData": "Promote 1.2.0?", "ExternalEntityLink": "https://shop.example.com"}
    waits = action("Approve", "InProgress", "Manual", stage="Promote", at=1, **{form: asks})
    told = Told([SOURCE, action("Else", at=3), waits], [run("InProgress")]).message(APPROVAL)
    assert (told.kind, told.facts["Action"], told.facts["Question"]) == (
        "approval",
        "Promote/Approve",
        "Promote 1.2.0?",
    )
    answer, look = told.steps
    assert answer.startswith("Approve or reject: https://us-east-1.console.aws.amazon.com/codesuite/codepipeline/")
    assert look == "Look at it first: https://shop.example.com"


def test_the_author_is_told_by_name_and_not_by_address() -> None:
    said = {"CommitId": "d99f3b2c", "AuthorDisplayName": "Ada Lovelace\nmore", "AuthorEmail": "ada@example.com"}
    source = action("Source", provider="CodeStarSourceConnection", variables=said)
    aws = Told([source], [run("Stopped")])
    assert aws.message(ended("STOPPED")).facts["Author"] == "Ada Lovelace"
    assert "ada@example.com" not in json.dumps(aws.published)
    assert "Author" not in Told([SOURCE], [run("Stopped")]).message(ended("STOPPED")).facts


def test_a_rollback_is_told_with_what_it_goes_back_to() -> None:
    """Only the stage runs again: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html."""
    rolled = run("Succeeded", executionType="ROLLBACK", rollbackMetadata={"rollbackTargetPipelineExecutionId": EARLIER})
    prepared = action("Prepare", variables={"DEPLOYED_VERSION": "1.1.0", "DEPLOYED_COMMIT": "0f1e2d3c4b5a6978"})
    told = Told([action("Deploy", stage="Deploy")], [rolled], by_run={EARLIER: [prepared]}).message(ended("SUCCEEDED"))
    assert (told.facts["Version"], told.facts["Commit"]) == ("1.1.0", "0f1e2d3c4b5a")


def test_an_approval_that_is_not_listed_yet_is_told_all_the_same() -> None:
    assert Told().message(APPROVAL).facts["Action"] == "Promote/Approve"


@pytest.mark.parametrize(
    "event", [ended("FAILED"), ended("STOPPED"), ended("SUCCEEDED"), APPROVAL], ids=lambda one: one["detail"]["state"]
)
def test_a_message_goes_out_when_nothing_can_be_looked_up(
    event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    aws = Told(refuses=("ListActionExecutions", "ListPipelineExecutions", "GetLogEvents", "GetDeployment"))
    told = aws.message(event)
    assert told.facts["Application"] == "shop"
    assert len(aws.published) == 1
    assert (
        "The message goes out without what codepipeline list_action_executions would say: not auth"
        in capsys.readouterr().out
    )


def test_a_message_that_cannot_be_published_fails_so_that_lambda_tries_again() -> None:
    with pytest.raises(PermissionError):
        Told(refuses=("Publish",)).tell(ended("FAILED"))


@pytest.mark.parametrize("state", ["STARTED", "RESUMED", "CANCELED", "SUPERSEDED", "STOPPING"])
def test_of_other_states_nobody_is_told(state: str) -> None:
    aws = Told()
    assert aws.tell(ended(state)) is None
    assert aws.published == []


def test_mail_gets_text_and_amazon_q_what_it_reads() -> None:
    """The schema: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html."""
    failed = action("BuildImage", "Failed", result={"externalExecutionId": "shop-prod-build-image:0f1e"}, at=2)
    aws = Told([failed, SOURCE], [run("Failed")])
    told = aws.message(ended("FAILED"))
    ((published),) = aws.published
    assert (published["TopicArn"], published["MessageStructure"]) == (TOPIC, "json")
    assert published["Subject"] == "shop in prod: the delivery failed"
    texts = json.loads(published["Message"])
    assert set(texts) == {"default", "https"}
    assert texts["default"] == told.text
    assert "\nCommit: d99f3b2c4a1e Sell <b>tea</b>\n" in texts["default"]
    chat = json.loads(texts["https"])
    assert (chat["version"], chat["source"], chat["content"]["textType"]) == ("1.0", "custom", "client-markdown")
    assert set(chat) <= {"version", "source", "id", "content", "metadata"}
    assert set(chat["content"]) <= {"textType", "title", "description", "nextSteps", "keywords"}
    assert set(chat["metadata"]) <= {
        *("threadId", "summary", "eventType", "relatedResources", "additionalContext"),
        "enableCustomActions",
    }
    assert chat["metadata"]["threadId"] == RUN


def test_the_message_of_a_commit_calls_nobody_in_a_chat() -> None:
    said = {**SOURCE, "output": {"outputVariables": {"CommitId": "d99f3b2c", "CommitMessage": "<!channel> & <@U012>"}}}
    aws = Told([said], [run("Failed")])
    aws.message(ended("FAILED"))
    chat = json.loads(json.loads(aws.published[0]["Message"])["https"])
    assert "&lt;!channel&gt; &amp; &lt;@U012&gt;" in chat["content"]["description"]
    assert "<" not in json.dumps(chat)


def test_a_subject_fits_into_what_sns_takes() -> None:
    """ASCII, shorter than 100 characters, no line breaks: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""
    for title in function.TITLES.values():
        subject = f"{'a' * 24} in {'b' * 29}: {title}"[: function.LONGEST_SUBJECT]
        assert subject.isascii()
        assert len(subject) < 100
        assert subject.isprintable()


def test_lambda_calls_it_with_clients_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = Told([SOURCE], [run("Stopped")])

    class Session:
        create_client = staticmethod(aws.client)

    monkeypatch.setattr(botocore.session, "get_session", Session)
    for name, value in (("APPLICATION", "shop"), ("ENVIRONMENT", "prod"), ("TOPIC_ARN", TOPIC), ("KINDS", "stopped")):
        monkeypatch.setenv(name, value)
    function.handler(ended("STOPPED"), object())
    function.handler(ended("FAILED"), object())
    assert [one["TopicArn"] for one in aws.published] == [TOPIC]
    said = capsys.readouterr().out
    assert "shop in prod: the delivery was stopped" in said
    assert said.endswith("Nobody wants to know of it.\n")

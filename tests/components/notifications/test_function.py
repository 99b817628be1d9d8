"""What people are told, by the events that AWS publishes, with what can be looked up, or without."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.session  # type: ignore[import-untyped]  # ships no types
import pytest
from botocore import xform_name
from published import APPROVAL, EARLIER, EVENT, RUN, changed

from components.notifications import function
from local.aws_models import service_model
from local.rehearsal.emulated.model import answer_problems, request_problems

TOPIC = "arn:aws:sns:us-east-1:123456789012:shop-prod-notifications"
EVERYTHING = "alarm,approval,failed,recovered,rolledBack,stopped,succeeded"
LOG = [
    "Python 3.13.1",
    "FAILED: what a step before said",
    "==> Push the image",
    "FAILED: the tag 1.2.0 is taken.",
    "  |",
]


def ended(state: str) -> dict[str, Any]:
    return changed(EVENT, state=state)


def action(
    name: str, status: str = "Succeeded", provider: str = "CodeBuild", *, at: float = 1, **more: object
) -> dict[str, Any]:
    """One action as ListActionExecutions has it; ``more`` are variables, result and configuration."""
    kind = {"category": "Build", "owner": "AWS", "provider": provider, "version": "1"}
    configuration = {"configuration": more["configuration"]} if "configuration" in more else {}
    resolved = {"resolvedConfiguration": more["resolved"]} if "resolved" in more else {}
    return {
        "pipelineExecutionId": RUN,
        "actionExecutionId": f"{name}-{at}",
        "stageName": more.get("stage", "Build"),
        "actionName": name,
        "startTime": at,
        "status": status,
        "input": {"actionTypeId": kind, **configuration, **resolved},
        "output": {"outputVariables": more.get("variables", {}), "executionResult": more.get("result", {})},
    }


SOURCE = action(
    "Source",
    provider="CodeStarSourceConnection",
    at=0.5,
    variables={"CommitId": "d99f3b2c4a1e8f7766554433221100ffeeddccbb", "CommitMessage": "Sell <b>tea</b>\n\nAnd more."},
)


def run(status: str, identity: str = RUN, **more: object) -> dict[str, Any]:
    return {"pipelineExecutionId": identity, "status": status, **more}


class UnlikeAwsError(BaseException):
    """No exception that the function could take for a refusal."""


def check(problems: list[str]) -> None:
    if problems:
        raise UnlikeAwsError("; ".join(problems))


@dataclass
class Aws:
    """AWS as far as the function asks it, held against botocore's models."""

    actions: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=lambda: LOG)
    deployment: dict[str, Any] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def client(self, service: str) -> Client:
        return Client(service, self)

    def answer(self, operation: str) -> dict[str, Any]:
        answers: dict[str, dict[str, Any]] = {
            "ListActionExecutions": {"actionExecutionDetails": self.actions},
            "ListPipelineExecutions": {"pipelineExecutionSummaries": self.runs},
            "GetLogEvents": {"events": [{"message": line} for line in self.log]},
            "GetDeployment": {"deploymentInfo": self.deployment},
            "Publish": {"MessageId": "1"},
        }
        return answers[operation]

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


@dataclass
class Client:
    service: str
    aws: Aws

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        names = {xform_name(one): one for one in service_model(self.service).operation_names}
        operation = names[name]

        def call(**parameters: object) -> dict[str, Any]:
            check(request_problems(self.service, operation, parameters))
            self.aws.calls.append((operation, parameters))
            if operation in self.aws.refuses:
                raise PermissionError(f"not authorized to perform: {operation}")
            answer = self.aws.answer(operation)
            check(answer_problems(self.service, operation, answer))
            return answer

        return call


def test_a_build_that_failed_is_told_with_the_last_words_of_its_job() -> None:
    failed = action("BuildImage", "Failed", result={"externalExecutionId": "shop-prod-build-image:0f1e"}, at=2)
    aws = Aws([failed, SOURCE], [run("Failed")])
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
    look, again = Aws([failed], [run("Failed")]).message(ended("FAILED")).steps
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
    aws = Aws([failed], [run("Failed")])
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
    assert Aws([failed], [run("Failed")], [words]).message(ended("FAILED")).kind == "rolledBack"


@pytest.mark.parametrize("result", [{}, {"externalExecutionId": "shop-prod-build-image:0f1e"}])
def test_where_no_job_has_said_why_it_is_what_codepipeline_says(result: dict[str, Any]) -> None:
    said = {**result, "errorDetails": {"code": "JobFailed", "message": "Build terminated with state: FAILED.\nMore."}}
    aws = Aws([action("BuildImage", "Failed", result=said)], [run("Failed")], ["no last words"])
    assert aws.message(ended("FAILED")).facts["Reason"] == "Build terminated with state: FAILED."


def test_a_long_reason_is_cut() -> None:
    failed = action("Build", "Failed", "ECS", result={"errorDetails": {"code": "JobFailed", "message": "x" * 1000}})
    reason = Aws([failed], [run("Failed")]).message(ended("FAILED")).facts["Reason"]
    assert (len(reason), reason[-1]) == (function.LONGEST, "…")


def test_an_action_that_succeeded_when_it_was_tried_again_is_no_failed_one() -> None:
    tried = [action("Deploy", "Failed", at=3), action("Build", "Succeeded", at=2), action("Build", "Failed", at=1)]
    assert Aws(tried, [run("Failed")]).message(ended("FAILED")).facts["Action"] == "Build/Deploy"


def test_a_run_that_somebody_stopped_is_told_with_what_they_said() -> None:
    trigger = {"triggerType": "StartPipelineExecution", "triggerDetail": "arn:aws:iam::123456789012:user/mary"}
    stopped = run("Stopped", stopTrigger={"reason": "Wrong branch."}, trigger=trigger)
    told = Aws([SOURCE], [stopped]).message(ended("STOPPED"))
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
    aws = Aws([SOURCE], [later, run("Succeeded"), *before])
    assert function.kinds(function.Run(ended("SUCCEEDED"), aws.client, print)) == kinds
    assert bool(aws.tell(ended("SUCCEEDED"), "failed,recovered")) == ("recovered" in kinds)


def test_a_run_that_succeeds_when_it_is_retried_is_a_success_after_a_failure() -> None:
    aws = Aws([action("Build", at=2), action("Build", "Failed", at=1)], [run("Succeeded")])
    assert aws.message(ended("SUCCEEDED")).kind == "recovered"


def test_a_run_of_which_nothing_is_known_yet_is_no_success_after_a_failure() -> None:
    assert Aws([SOURCE], [run("Failed", EARLIER)]).message(ended("SUCCEEDED")).kind == "succeeded"


def test_a_stage_that_was_rolled_back_is_told_as_such() -> None:
    rolled = run("Succeeded", executionType="ROLLBACK", rollbackMetadata={"rollbackTargetPipelineExecutionId": EARLIER})
    assert Aws([], [rolled]).message(ended("SUCCEEDED")).kind == "rolledBack"


def test_the_version_is_what_was_deployed_or_built() -> None:
    built = action("BuildImage", variables={"IMAGE_VERSION": "1.2.0", "IMAGE_DIGEST": ""}, at=1)
    deployed = action("Prepare", variables={"DEPLOYED_VERSION": "1.2.0-rc1"}, at=2)
    assert Aws([built], [run("Succeeded")]).message(ended("SUCCEEDED")).facts["Version"] == "1.2.0"
    assert Aws([built, deployed], [run("Succeeded")]).message(ended("SUCCEEDED")).facts["Version"] == "1.2.0-rc1"


@pytest.mark.parametrize("form", ["resolved", "configuration"])
def test_an_approval_is_told_with_its_question_and_where_to_answer_it(form: str) -> None:
    asks = {"CustomData": "Promote 1.2.0?", "ExternalEntityLink": "https://shop.example.com"}
    waits = action("Approve", "InProgress", "Manual", stage="Promote", at=1, **{form: asks})
    told = Aws([SOURCE, action("Else", at=3), waits], [run("InProgress")]).message(APPROVAL)
    assert (told.kind, told.facts["Action"], told.facts["Question"]) == (
        "approval",
        "Promote/Approve",
        "Promote 1.2.0?",
    )
    answer, look = told.steps
    assert answer.startswith("Approve or reject: https://us-east-1.console.aws.amazon.com/codesuite/codepipeline/")
    assert look == "Look at it first: https://shop.example.com"


def test_an_approval_that_is_not_listed_yet_is_told_all_the_same() -> None:
    assert Aws().message(APPROVAL).facts["Action"] == "Promote/Approve"


@pytest.mark.parametrize(
    "event", [ended("FAILED"), ended("STOPPED"), ended("SUCCEEDED"), APPROVAL], ids=lambda one: one["detail"]["state"]
)
def test_a_message_goes_out_when_nothing_can_be_looked_up(
    event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    aws = Aws(refuses=("ListActionExecutions", "ListPipelineExecutions", "GetLogEvents", "GetDeployment"))
    told = aws.message(event)
    assert told.facts["Application"] == "shop"
    assert len(aws.published) == 1
    assert (
        "The message goes out without what codepipeline list_action_executions would say: not auth"
        in capsys.readouterr().out
    )


def test_a_message_that_cannot_be_published_fails_so_that_lambda_tries_again() -> None:
    with pytest.raises(PermissionError):
        Aws(refuses=("Publish",)).tell(ended("FAILED"))


@pytest.mark.parametrize("state", ["STARTED", "RESUMED", "CANCELED", "SUPERSEDED", "STOPPING"])
def test_of_other_states_nobody_is_told(state: str) -> None:
    aws = Aws()
    assert aws.tell(ended(state)) is None
    assert aws.published == []


def test_mail_gets_text_and_amazon_q_what_it_reads() -> None:
    """The schema: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html."""
    failed = action("BuildImage", "Failed", result={"externalExecutionId": "shop-prod-build-image:0f1e"}, at=2)
    aws = Aws([failed, SOURCE], [run("Failed")])
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
    aws = Aws([said], [run("Failed")])
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
    aws = Aws([SOURCE], [run("Stopped")])

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

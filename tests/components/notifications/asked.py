"""AWS as far as functions ask it about a run, held against botocore's models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name  # type: ignore[import-untyped]  # ships no types
from published import RUN

from local.aws_models import service_model
from local.rehearsal.emulated.model import answer_problems, request_problems

LOG = [
    "Python 3.13.1",
    "FAILED: what a step before said",
    "==> Push the image",
    "FAILED: the tag 1.2.0 is taken.",
    "  |",
]


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
    secret: str = ""
    by_run: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def client(self, service: str) -> Client:
        return Client(service, self)

    def answer(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        of = parameters.get("filter", {}).get("pipelineExecutionId")
        answers: dict[str, dict[str, Any]] = {
            "ListActionExecutions": {"actionExecutionDetails": self.by_run.get(of, self.actions)},
            "ListPipelineExecutions": {"pipelineExecutionSummaries": self.runs},
            "GetLogEvents": {"events": [{"message": line} for line in self.log]},
            "GetDeployment": {"deploymentInfo": self.deployment},
            "Publish": {"MessageId": "1"},
            "GetSecretValue": {"SecretString": self.secret} if self.secret else {},
        }
        return answers[operation]


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
            answer = self.aws.answer(operation, parameters)
            check(answer_problems(self.service, operation, answer))
            return answer

        return call

"""A stack's pipeline in the user's account: AWS's SDK asks it, and each request is shown as a line of the AWS CLI."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local.aws_models import botocore_session
from local.errors import Refusal

Json = dict[str, Any]

CREDENTIALS = "sign in first, for example with `aws sso login`, and name the profile with AWS_PROFILE"
REASONS = {
    "AccessDeniedException": "docs/operations.md#go-back-to-an-earlier-version lists what whoever goes back may do",
    "ConflictException": "the pipeline is busy with something else: try again in a moment",
    "ExpiredTokenException": CREDENTIALS,
    "InvalidClientTokenId": CREDENTIALS,
    "PipelineNotFoundException": "check the account (AWS_PROFILE), the stack (STACK=...) and its aws:region",
    "UnrecognizedClientException": CREDENTIALS,
}
"""What puts an error of the API right: https://docs.aws.amazon.com/codepipeline/latest/APIReference/CommonErrors.html
and the errors that each operation's page lists."""


class ApiRefusal(Refusal):
    """A request that AWS refuses.

    Attributes:
        code: The error of the API.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UserPipeline:
    """The pipeline of a stack, asked with the credentials that the AWS CLI would take.

    Attributes:
        name: Its name.
        region: Where it is.
    """

    def __init__(self, name: str, region: str, show: Callable[[str], None]) -> None:
        """Describe it.

        Args:
            name: Its name.
            region: Where it is; empty for the region of the user's own configuration.
            show: Is told each request that is no repetition, as a line of the AWS CLI.

        Raises:
            Refusal: There is no region.
        """
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # noqa: PLC0415 - takes time

        session = botocore_session()
        self.name, self.region, self._show = name, region or str(session.get_config_variable("region") or ""), show
        if not self.region:
            raise Refusal(f"{name}: no region is given. Write aws:region into the stack file, or set AWS_REGION.")
        try:
            self._client = session.create_client("codepipeline", region_name=self.region)
        except BotoCoreError as error:
            raise Refusal(f"{name}: {str(error).rstrip('.')}. To put it right: {CREDENTIALS}.") from None

    @property
    def url(self) -> str:
        """Where people look at it."""
        place = f"https://{self.region}.console.aws.amazon.com/codesuite/codepipeline/pipelines/{self.name}/view"
        return f"{place}?region={self.region}"

    def line(self, operation: str, **parameters: Any) -> str:  # noqa: ANN401 - as the API takes them
        """Return the line of the AWS CLI that makes a request.

        Args:
            operation: As the API calls it.
            parameters: The request.
        """
        from botocore import xform_name  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

        words = [
            word
            for name, value in parameters.items()
            for word in (f"--{xform_name(name, '-')}", value if isinstance(value, str) else _shorthand(value))
        ]
        return shlex.join(["aws", "codepipeline", xform_name(operation, "-"), *words, "--region", self.region])

    def ask(self, operation: str, *, again: bool = False, **parameters: Any) -> Json:  # noqa: ANN401 - as above
        """Make a request and return the answer.

        Args:
            operation: As the API calls it.
            again: Whether it was shown before.
            parameters: The request.

        Raises:
            ApiRefusal: AWS refuses it.
            Refusal: AWS is not reached.
        """
        from botocore import xform_name  # noqa: PLC0415 - as above
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        if not again:
            self._show(f"    $ {self.line(operation, **parameters)}")
        try:
            answer: Json = getattr(self._client, xform_name(operation))(**parameters)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            fix = f" To put it right: {REASONS[code]}." if code in REASONS else ""
            said = message.rstrip(".")
            raise ApiRefusal(code, f"{self.name}: AWS refuses {operation} with {code}: {said}.{fix}") from None
        except BotoCoreError as error:
            said = str(error).rstrip(".")
            raise Refusal(f"{self.name}: {said}. To put it right: {CREDENTIALS}, and look at the network.") from None
        return answer

    def runs(self, stage: str = "") -> Iterator[Json]:
        """Yield the summaries of its runs, the newest first.

        Args:
            stage: Those alone that succeeded there in the current version of the pipeline.
        """
        filtered: Json = {"filter": {"succeededInStage": {"stageName": stage}}} if stage else {}
        found: list[Json] = []
        more: Mapping[str, Any] = {}
        while True:
            answer = self.ask("ListPipelineExecutions", again=bool(more), pipelineName=self.name, **filtered, **more)
            found += answer["pipelineExecutionSummaries"]
            if "nextToken" not in answer:
                break
            more = {"nextToken": answer["nextToken"]}
        # The page of the operation promises no order.
        yield from sorted(found, key=lambda run: run["startTime"], reverse=True)

    def actions(self, run: str, *, again: bool = False) -> list[Json]:
        """Return the executions of a run's actions, the newest first; of a run with more than 100 of them those."""
        wanted = {"pipelineExecutionId": run}
        found = self.ask("ListActionExecutions", again=again, pipelineName=self.name, filter=wanted)
        details = found["actionExecutionDetails"]
        return sorted(details, key=lambda action: action["startTime"], reverse=True)

    def stage(self, name: str, *, again: bool = False) -> Json:
        """Return the state of a stage.

        Raises:
            Refusal: There is none of this name.
        """
        stages = self.ask("GetPipelineState", again=again, name=self.name)["stageStates"]
        found = {str(stage["stageName"]): stage for stage in stages}
        if name not in found:
            raise Refusal(
                f"{self.name} has no stage {name}, only {', '.join(found)}: is it a pipeline of this program?"
            )
        return dict(found[name])


def _shorthand(value: Mapping[str, Any]) -> str:
    """Write a structure as the AWS CLI's shorthand has it.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-shorthand.html
    """
    return ",".join(
        f"{key}={'{' + _shorthand(item) + '}' if isinstance(item, Mapping) else item}" for key, item in value.items()
    )

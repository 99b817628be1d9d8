"""Who is told of a run: the rules of EventBridge, the functions that they call, and a stand-in for the topic of SNS.

The functions are the program's own, each under its own role: they look up what they tell in the emulators of
CodePipeline, CodeDeploy, CloudWatch Logs and Secrets Manager. Nobody is subscribed to the topic, so a message goes
nowhere but into the report; what GitHub is to show goes to the GitHub of this machine.

Sources: https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html (events),
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html (what SNS takes),
https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (what an encrypted topic demands of a publisher).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from components.notifications import function, github_status
from components.notifications.event_function import RUN
from components.notifications.messenger import FUNCTION
from components.notifications.status_reporter import STATUS_FUNCTION
from local.errors import Refusal
from local.rehearsal.account import Account
from local.rehearsal.emulated import Caller, Emulated, Json, Need, Policies, allows
from local.rehearsal.emulated.model import request_problems
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.report.model import Message
from local.rehearsal.resources import Graph, place_in, values_of

_STATES: Final = {
    Status.SUCCEEDED: "SUCCEEDED",
    Status.FAILED: "FAILED",
    Status.STOPPED: "STOPPED",
    Status.SUPERSEDED: "SUPERSEDED",
}
_WITHIN_A_STAGE: Final = (Status.SUCCEEDED, Status.FAILED, Status.STOPPED)
"""How a run ends while it is in a stage; it is overtaken before one."""
_FILES: Final = (FUNCTION, STATUS_FUNCTION)
"""What functions run, beside what all of them know of a run."""
_MOST_BYTES: Final = 262_144
_LONGEST_SUBJECT: Final = 100
_Event = dict[str, Any]


class PublishRefusedError(Exception):
    """SNS, or KMS, says no."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """A topic, as far as somebody with a role publishes to it.

    A role of the topic's own account needs no more than its own policies; the topic's policy denies what comes without
    TLS, which nothing here does.

    Attributes:
        arn: Its ARN.
        key: The key that it is encrypted with; empty without one.
        policies: Of the role that publishes.
    """

    arn: str
    key: str
    policies: Policies

    def publish(self, **parameters: Any) -> dict[str, str]:  # noqa: ANN401 - a request
        """Take a message, or raise what SNS would answer.

        Raises:
            PublishRefusedError: With the reason.
        """
        if problems := request_problems("sns", "Publish", parameters):
            raise PublishRefusedError("; ".join(problems))
        if parameters["TopicArn"] != self.arn:
            raise PublishRefusedError(f"NotFound: Topic does not exist: {parameters['TopicArn']}")
        region, account = place_in(self.arn)
        needs = [Need("sns:Publish", self.arn)]
        needs += [Need(f"kms:{action}", self.key) for action in ("GenerateDataKey", "Decrypt") if self.key]
        for need in needs:
            if not allows(self.policies, need, account=account, region=region):
                raise PublishRefusedError(
                    f"AuthorizationError: not authorized to perform {need.action} on {need.resource}"
                )
        _check(parameters)
        return {"MessageId": str(uuid.uuid4())}


def _check(parameters: Mapping[str, str]) -> None:
    subject, text = parameters.get("Subject", ""), parameters["Message"]
    if len(subject) >= _LONGEST_SUBJECT or not subject.isascii() or not subject.isprintable():
        raise PublishRefusedError("InvalidParameter: Subject")
    if len(text.encode()) > _MOST_BYTES:
        raise PublishRefusedError("InvalidParameter: Message too long")
    if parameters.get("MessageStructure") == "json" and not isinstance(json.loads(text).get("default"), str):
        raise PublishRefusedError("InvalidParameter: Message Structure - No default entry in JSON message body")


@dataclass(frozen=True, slots=True)
class _Client:
    """A client of an emulator: a method for each operation, by botocore's names."""

    service: Emulated
    caller: Caller

    def __getattr__(self, name: str) -> Callable[..., Json]:
        from botocore import xform_name  # type: ignore[import-untyped]  # noqa: PLC0415 - ships no types, and takes time

        operation = next(each for each in self.service.operations() if xform_name(each) == name)
        return lambda **parameters: self.service.call(operation, parameters, self.caller)


class Notifications:
    """The rules and the functions of one stack; nothing happens where it has none.

    Attributes:
        messages: What people would have been told, and GitHub shows, the oldest first.
        log: What the functions have said in their logs.
    """

    def __init__(
        self, stack: str, graph: Graph, account: Account, services: Iterable[Emulated], github_url: str = ""
    ) -> None:
        """Describe it.

        Args:
            stack: The stack's name.
            graph: Its resources.
            account: Where it is.
            services: The emulators that the functions ask.
            github_url: Where the API of GitHub is on this machine.

        Raises:
            Refusal: A function that is deployed is not one of this program.
        """
        self.messages: list[Message] = []
        self.log: list[str] = []
        self._stack, self._account, self._github_url = stack, account, github_url
        self._services = {service.SERVICE: service for service in services}
        functions = {made["arn"]: made for made in values_of(graph, "aws:lambda/function:Function")}
        patterns = {
            rule["name"]: rule["eventPattern"] for rule in values_of(graph, "aws:cloudwatch/eventRule:EventRule")
        }
        self._calls = [
            (patterns[target["rule"]], functions[target["arn"]])
            for target in values_of(graph, "aws:cloudwatch/eventTarget:EventTarget")
            if target["arn"] in functions
        ]
        self._keys = {topic["arn"]: topic["kmsMasterKeyId"] for topic in values_of(graph, "aws:sns/topic:Topic")}
        self._waiting: set[str] = set()
        self._stages: dict[str, str] = {}
        for made in functions.values():
            _check_code(made)

    def hear(self, pipeline: str, execution: Execution, run: ActionRun | None) -> None:
        """Hear that a run or one of its actions has changed, and tell what is to be told."""
        for event in self._events(pipeline, execution, run):
            self.call(event)

    def call(self, event: _Event) -> None:
        """Call the functions whose rules an event matches, as EventBridge does."""
        for pattern, called in self._calls:
            if self._matches(pattern, event):
                self._call(event, called)

    def _events(self, pipeline: str, execution: Execution, run: ActionRun | None) -> Iterator[_Event]:
        """Yield the events of a change; that a stage has ended is known when the next one begins, or the run ends."""
        if run is None:
            yield from self._stage_events(pipeline, execution)
        if run is None and execution.ended is not None:
            yield self._event(pipeline, execution, "Pipeline", state=_STATES[execution.status])
        if run and run.action.category == "Approval" and run.identity not in self._waiting:
            self._waiting.add(run.identity)
            kind = {"owner": "AWS", "provider": run.action.provider, "category": "Approval", "version": "1"}
            action = {"stage": run.action.stage, "action": run.action.name, "type": kind}
            yield self._event(pipeline, execution, "Action", state="STARTED", **action)

    def _stage_events(self, pipeline: str, execution: Execution) -> Iterator[_Event]:
        before, over = self._stages.pop(execution.identity, ""), execution.ended is not None
        if before:
            within = over and execution.stage == before and execution.status in _WITHIN_A_STAGE
            state = _STATES[execution.status] if within else "SUCCEEDED"
            yield self._event(pipeline, execution, "Stage", stage=before, state=state)
        if execution.stage and not over:
            again = any(action.action.stage == execution.stage for action in execution.actions)
            self._stages[execution.identity] = execution.stage
            state = "RESUMED" if again else "STARTED"
            yield self._event(pipeline, execution, "Stage", stage=execution.stage, state=state)

    def _event(self, pipeline: str, execution: Execution, what: str, **detail: object) -> _Event:
        account, region = self._account.identity, self._account.region
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": f"CodePipeline {what} Execution State Change",
            "source": "aws.codepipeline",
            "account": account,
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "region": region,
            "resources": [f"arn:aws:codepipeline:{region}:{account}:{pipeline}"],
            "detail": {"pipeline": pipeline, "execution-id": execution.identity, "version": 1.0, **detail},
        }

    def _matches(self, pattern: str, event: _Event) -> bool:
        events = self._account.client("events")
        return bool(events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"])

    def _call(self, event: _Event, called: Mapping[str, Any]) -> None:
        role = called["role"].rpartition("/")[2]
        policies = self._account.roles.get(role, ())
        caller = Caller(role, policies)

        def client(service: str) -> Any:  # noqa: ANN401 - of whatever service
            if service == "sns":
                arn = called["environment"]["variables"]["TOPIC_ARN"]
                return Topic(arn=arn, key=self._keys.get(arn, ""), policies=policies)
            if service == "secretsmanager":
                return self._account.client_as(role, service)
            return _Client(self._services[service], caller)

        if _file_of(called) == STATUS_FUNCTION:
            self._show(event, called["environment"]["variables"], client)
        else:
            self._tell(event, called["environment"]["variables"], client)

    def _tell(self, event: _Event, environment: Mapping[str, str], client: Callable[[str], Any]) -> None:
        try:
            said = function.tell(event, environment, client, self.log.append)
        except PublishRefusedError as refused:
            self._note("A message could not be sent", str(refused))
            return
        if said:
            self._note(said.title, said.text)

    def _show(self, event: _Event, environment: Mapping[str, str], client: Callable[[str], Any]) -> None:
        """Show something on this machine's GitHub; of what goes wrong, the topic would hear after three tries."""
        here = {**environment, "GITHUB_API_URL": self._github_url}
        said: list[str] = []
        try:
            github_status.report(event, here, client, said.append)
        except Exception as error:  # noqa: BLE001 - a function that fails is tried again, and fails nothing else
            self._note("GitHub does not show what it should", f"{error}")
        self.log += said
        for line in said:
            if not line.endswith(github_status.NOTHING_NEW):
                self._note(f"GitHub shows {here['GITHUB_REPOSITORY']}", line)

    def _note(self, title: str, text: str) -> None:
        self.messages.append(Message(stack=self._stack, title=title, text=text))


def _file_of(called: Mapping[str, Any]) -> Path | None:
    return next((file for file in _FILES if called["handler"].split(".")[1:2] == [file.stem]), None)


def _check_code(called: Mapping[str, Any]) -> None:
    """Refuse a function that was deployed by another version of this program."""
    file, assets = _file_of(called), called["code"]["assets"]
    own = {f"{part.parent.name}/{part.name}": _hash_of(part) for part in (file, RUN) if part}
    if file is None or {name: asset["hash"] for name, asset in assets.items()} != own:
        raise Refusal(f"the function {called['name']} is another one than this program's: run `make up` again")


def _hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()

"""Who is told of a run: the rules of EventBridge, the function that they call, and a stand-in for its topic of SNS.

The function is the program's own, under its own role: it looks up what it tells in the emulators of CodePipeline,
CodeDeploy and CloudWatch Logs. Nobody is subscribed to the topic, so a message goes nowhere but into the report.

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
from typing import Any, Final

from components.notifications import function
from components.notifications.messenger import FUNCTION
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
    """The rules and the function of one stack; nothing happens where it has none.

    Attributes:
        messages: What people would have been told, the oldest first.
        log: What the function could not look up.
    """

    def __init__(self, stack: str, graph: Graph, account: Account, services: Iterable[Emulated]) -> None:
        """Describe it.

        Args:
            stack: The stack's name.
            graph: Its resources.
            account: Where it is.
            services: The emulators that the function asks.

        Raises:
            Refusal: The function that is deployed is not that of this program.
        """
        self.messages: list[Message] = []
        self.log: list[str] = []
        self._stack, self._account = stack, account
        self._services = {service.SERVICE: service for service in services}
        patterns = {
            rule["name"]: rule["eventPattern"] for rule in values_of(graph, "aws:cloudwatch/eventRule:EventRule")
        }
        self._function = next(values_of(graph, "aws:lambda/function:Function"), None)
        targets = values_of(graph, "aws:cloudwatch/eventTarget:EventTarget")
        own = self._function["arn"] if self._function else ""
        self._patterns = [patterns[target["rule"]] for target in targets if target["arn"] == own]
        self._keys = {topic["arn"]: topic["kmsMasterKeyId"] for topic in values_of(graph, "aws:sns/topic:Topic")}
        self._waiting: set[str] = set()
        if self._function:
            _check_code(self._function["code"])

    def hear(self, pipeline: str, execution: Execution, run: ActionRun | None) -> None:
        """Hear that a run or one of its actions has changed, and tell what is to be told."""
        for event in self._events(pipeline, execution, run):
            if self._function and any(self._matches(pattern, event) for pattern in self._patterns):
                self._tell(event, self._function)

    def _events(self, pipeline: str, execution: Execution, run: ActionRun | None) -> Iterator[_Event]:
        if run is None and execution.ended is not None:
            yield self._event(pipeline, execution, "Pipeline", state=_STATES[execution.status])
        if run and run.action.category == "Approval" and run.identity not in self._waiting:
            self._waiting.add(run.identity)
            kind = {"owner": "AWS", "provider": run.action.provider, "category": "Approval", "version": "1"}
            action = {"stage": run.action.stage, "action": run.action.name, "type": kind}
            yield self._event(pipeline, execution, "Action", state="STARTED", **action)

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

    def _tell(self, event: _Event, called: Mapping[str, Any]) -> None:
        environment, role = called["environment"]["variables"], called["role"].rpartition("/")[2]
        arn = environment["TOPIC_ARN"]
        topic = Topic(arn=arn, key=self._keys.get(arn, ""), policies=self._account.roles.get(role, ()))
        caller = Caller(role, topic.policies)

        def client(service: str) -> Topic | _Client:
            return topic if service == "sns" else _Client(self._services[service], caller)

        try:
            said = function.tell(event, environment, client, self.log.append)
        except PublishRefusedError as refused:
            self.messages.append(Message(stack=self._stack, title="A message could not be sent", text=str(refused)))
            return
        if said:
            self.messages.append(Message(stack=self._stack, title=said.title, text=said.text))


def _check_code(code: Mapping[str, Any]) -> None:
    """Refuse a function that was deployed by another version of this program."""
    text = FUNCTION.read_bytes()
    asset = code["assets"][FUNCTION.name]
    if asset["hash"] != hashlib.sha256(text).hexdigest():
        raise Refusal("the function of the notifications is another one than this program's: run `make up` again")

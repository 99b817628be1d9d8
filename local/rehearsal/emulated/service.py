"""One emulated service of AWS: strict as its model, and as the policies of whoever asks.

It is served on loopback in the protocol that every SDK and the CLI speak to these services: JSON 1.1.
"""

from __future__ import annotations

import copy
import json
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, NamedTuple, TypeAlias

from local.aws_models import service_model
from local.loopback import serving_http
from local.rehearsal.emulated.access import Need, allows, caller
from local.rehearsal.emulated.model import answer_problems, request_problems

Json: TypeAlias = dict[str, Any]
Operations: TypeAlias = Mapping[str, Callable[[Json], Json]]
Policies: TypeAlias = Sequence[Mapping[str, Any]]
"""The policy documents of a role."""


_KEY = re.compile(r"Credential=([^/]+)/")


class Caller(NamedTuple):
    """Who makes a request.

    Attributes:
        role: The name of the role that was assumed.
        policies: The role's policies; ``None`` for the account's owner, who may do everything.
    """

    role: str
    policies: Policies | None


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The service's own no."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    operation: str
    parameters: Json


class Emulated:
    """A service of one account in one region.

    A subclass sets the class attributes and says which operations it has and which permissions they need.

    Attributes:
        policies: The policies of the role that asks; ``None`` for the account's owner, who may do everything.
        calls: Every request that was made over the network, in order.
        lock: Held while a request is answered.
    """

    SERVICE: ClassVar[str]
    """botocore's name of the service, which is its name in ARNs and in IAM actions, too."""
    INVALID: ClassVar[str]
    """The code of a request that the model refuses."""

    def __init__(self, *, account: str = "123456789012", region: str = "eu-west-1") -> None:
        self.account, self.region = account, region
        self.policies: Policies | None = None
        self.calls: list[Call] = []
        self.lock = threading.RLock()

    @property
    def target_prefix(self) -> str:
        """What stands before the operation in a request's ``X-Amz-Target``."""
        return str(service_model(self.SERVICE).metadata["targetPrefix"])

    def operations(self) -> Operations:
        """Return what is emulated, by the operation's name."""
        raise NotImplementedError

    def needs(self, operation: str, parameters: Json) -> list[Need]:
        """Return the permissions behind a request, by the Service Authorization Reference."""
        raise NotImplementedError

    def arn(self, resource: str) -> str:
        """Return the ARN of one of its resources."""
        return f"arn:aws:{self.SERVICE}:{self.region}:{self.account}:{resource}"

    def owner(self, operation: str, **parameters: Any) -> Json:  # noqa: ANN401 - JSON
        """Answer a call of the account's owner, which is not recorded."""
        return self._answered(operation, parameters)

    def call(self, operation: str, parameters: Json, by: Caller | None = None) -> Json:
        """Answer one request.

        Args:
            operation: What is asked for.
            parameters: The request.
            by: Who asks; by default somebody with the emulator's own policies.

        Raises:
            Refused: The service says no.
        """
        with self.lock:
            if operation not in self.operations():
                known = ", ".join(self.operations())
                raise Refused("UnsupportedFeatureException", f"{operation} is not rehearsed here; there are: {known}")
            self._check_request(operation, parameters)
            self.calls.append(Call(operation, copy.deepcopy(parameters)))
            self._check_access(self.needs(operation, parameters), by or Caller("build", self.policies))
            return self._answered(operation, parameters)

    def _answered(self, operation: str, parameters: Json) -> Json:
        with self.lock:
            self._check_request(operation, parameters)
            answer = copy.deepcopy(self.operations()[operation](parameters))
            if problems := answer_problems(self.SERVICE, operation, answer):
                raise AssertionError(f"the emulator answers {operation} unlike AWS: {'; '.join(problems)}")
            return answer

    def _check_request(self, operation: str, parameters: Json) -> None:
        if problems := request_problems(self.SERVICE, operation, parameters):
            raise Refused(self.INVALID, "; ".join(problems))

    def _check_access(self, needs: Sequence[Need], by: Caller) -> None:
        for need in needs:
            if by.policies is not None and not allows(by.policies, need, account=self.account, region=self.region):
                raise Refused(
                    "AccessDeniedException",
                    f"User: {caller(self.account, by.role)} is not authorized to perform: {need.action} on resource: "
                    f"{need.resource} because no identity-based policy allows the {need.action} action",
                )


@contextmanager
def serving(
    *services: Emulated, caller_of: Callable[[str], Caller] | None = None, listener: socket.socket | None = None
) -> Iterator[str]:
    """Serve as long as the block lasts; gives the address for ``AWS_ENDPOINT_URL_ECS`` and the like.

    Args:
        services: What is served.
        caller_of: Whose an access key is; by default somebody's with each emulator's own policies. A signature is not
            checked: who knows a key here was given it.
        listener: A socket that listens already, on loopback; by default a free port.
    """
    by_prefix = {service.target_prefix: service for service in services}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            key = _KEY.search(self.headers.get("Authorization", ""))
            by = caller_of(key[1] if key else "") if caller_of else None
            status, answer = _answer(by_prefix, self.headers.get("X-Amz-Target", ""), body, by)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with serving_http(Handler, listener=listener) as address:
        yield address


def _answer(
    services: Mapping[str, Emulated], target: str, body: bytes, by: Caller | None
) -> tuple[int, dict[str, Any]]:
    prefix, _, operation = target.partition(".")
    try:
        return 200, services[prefix].call(operation, json.loads(body or b"{}"), by)
    except Refused as refused:
        return 400, {"__type": refused.code, "message": refused.message}
    except Exception:  # noqa: BLE001 - a fault of the stand-in must be told from a refusal
        return 500, {"__type": "ServerException", "message": traceback.format_exc()}

"""HAProxy in the place of an Application Load Balancer: its listeners, weighted target groups and health checks.

Nothing is reloaded: targets come and go, and weights change, by HAProxy's runtime API.

Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/ with load-balancer-target-groups.html,
target-group-health-checks.html, edit-target-group-attributes.html and load-balancer-listeners.html behind it;
https://docs.haproxy.org/2.6/configuration.html and https://docs.haproxy.org/2.6/management.html#9.3.

Where this differs from AWS:

- A target group whose targets are all unhealthy answers 503; on AWS requests go to all of them then.
- A health check waits ten seconds for its answer, or longer if it is to.
- A gRPC health check that takes code 0 takes any answer with status 200: HAProxy does not look at trailers.
- Answers say which target gave them, in `SERVED_BY`, on the port that is reached from outside the machine.
"""

from __future__ import annotations

import csv
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from local.rehearsal import tools
from local.rehearsal.starting import await_ready, end_inside

SERVED_BY = "X-Rehearsal-Target"
"""The header with the name of the target that has answered."""
_OUTSIDE = 900
"""HAProxy's number of the socket that is reached from outside the machine."""
_PATIENCE = 20.0
_CHECK_HEADERS = "hdr Host 10.0.0.10 hdr User-Agent ELB-HealthChecker/2.0 hdr Connection close"
"""Health checks call a target by an address, and not by the service's name. Their version is that of the target group:
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html#target-group-protocol-version.
"""
_GRPC_HEADERS = (
    f"{_CHECK_HEADERS.replace(' hdr Connection close', '')} hdr Content-Type application/grpc hdr TE trailers"
)
STICKY = "AWSALB"
"""The cookie of the load balancer's that keeps a client at its target.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html#sticky-sessions
"""
_LEAST_TIMEOUT = 10.0
"""Seconds that a health check waits in any case: this machine may be busy where Fargate's would not be."""
_PASSED = ("L7OK", "L7OKC")
_UNANSWERED = ("L4TOUT", "L7TOUT", "L6TOUT")
_DRAIN_STEP = 0.05
_CONFIGURATION = """\
global
  stats socket {folder}/admin mode 600 level admin
  pidfile {folder}/pid
  maxconn 2000
defaults
  mode http
  # A request that a target does not take is lost on AWS, too.
  retries 0
  timeout connect 10s
  timeout client {idle}s
  timeout server {idle}s
  timeout http-request 60s
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetGroup:
    """A target group.

    Attributes:
        arn: Its ARN.
        name: Its name.
        path: The path of its health check.
        port: The port of its health check; 0 for the one that requests go to.
        secure: Whether requests to targets go over TLS, whose certificates are not checked.
        secure_check: Whether health checks do.
        version: ``HTTP1``, ``HTTP2`` or ``GRPC``.
        sticky: Seconds that a client's requests go to the same target; 0 for no stickiness.
        matcher: The codes that the health check takes for well, such as ``200-399``.
        interval: Seconds between two checks.
        timeout: Seconds that a check waits for its answer.
        healthy: How many checks in a row an unhealthy target must pass.
        unhealthy: How many checks in a row a target must fail.
        delay: Seconds that requests in flight get when a target is deregistered.
    """

    arn: str
    name: str
    path: str = "/"
    port: int = 0
    secure: bool = False
    secure_check: bool = False
    version: str = "HTTP1"
    sticky: int = 0
    matcher: str = "200"
    interval: float = 30.0
    timeout: float = 5.0
    healthy: int = 5
    unhealthy: int = 2
    delay: float = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Forward:
    """Where a listener, or a rule of one, sends the requests that it is for.

    Attributes:
        arn: The listener's ARN, or the rule's.
        weights: Target group, by its ARN -> weight.
        paths: The path patterns of a rule; none for all paths.
        headers: Header -> patterns of a rule, one of which it matches; the host is one.
        status: The code to answer with instead.
        redirect: The scheme to redirect to instead, with code 301.
    """

    arn: str
    weights: Mapping[str, float] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    status: int = 0
    redirect: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """A listener.

    Attributes:
        port: Its port.
        forwards: Its rules by their priority, and at last its default action.
        secure: Whether it speaks HTTPS.
    """

    port: int
    forwards: tuple[Forward, ...]
    secure: bool = False

    @property
    def arn(self) -> str:
        """Its ARN, which is that of its default action."""
        return self.forwards[-1].arn


@dataclass(frozen=True, slots=True)
class Health:
    """What the health checks say of a target.

    Attributes:
        state: ``initial``, ``healthy`` or ``unhealthy``; empty for a target that is not registered.
        reason: What is wrong with it, in the words of Elastic Load Balancing.
    """

    state: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a target group has answered so far.

    Attributes:
        requests: How many requests.
        errors: How many of them with a code 5xx.
    """

    requests: int
    errors: int


@dataclass(slots=True)
class _Target:
    registered: float
    passed: bool = False
    draining: bool = False
    health: Health = Health("initial")


class LoadBalancer:
    """One load balancer on a machine of its own network, for as long as the `with` block lasts.

    Attributes:
        address: Where it listens on the machine.
        port: The port of this computer's loopback where its first listener is reached from outside the machine.
    """

    def __init__(
        self,
        *,
        enter: Sequence[str],
        folder: Path,
        address: str,
        listeners: Sequence[Listener],
        groups: Sequence[TargetGroup],
        certificate: Path | None = None,
        checks: float = 1.0,
        idle: int = 60,
    ) -> None:
        """Describe it; `with` starts it.

        Args:
            enter: The command that runs another one on the machine.
            folder: Where its files may be; it is made.
            address: An address for it, which the machine gets.
            listeners: Its listeners; the first is the users'.
            groups: Its target groups.
            certificate: PEM file with certificate and key, for listeners that speak HTTPS.
            checks: By what the intervals of health checks are multiplied.
            idle: Seconds without a byte after which a connection is closed.
        """
        self.address, self._enter, self._folder = address, tuple(enter), folder
        self._groups = {group.arn: group for group in groups}
        self._listeners, self._certificate, self._checks, self._idle = tuple(listeners), certificate, checks, idle
        self._places = {
            forward.arn: f"f{number}.{position}"
            for number, listener in enumerate(listeners)
            for position, forward in enumerate(listener.forwards)
        }
        self._order_of_states = threading.Lock()
        self._targets: dict[tuple[str, str], _Target] = {}
        self._figures: dict[str, Figures] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Where the users' listener is reached from outside the machine, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start it; `await_ready` waits until it takes orders. Requests wait by themselves."""
        self._folder.mkdir(parents=True)
        self._weights.write_text("".join(f"{key} {bound}\n" for key, bound in self._first_bounds()))
        file = self._folder / "haproxy.cfg"
        file.write_text(self._configuration())
        ip = (tools.command("ip"), "address", "replace", f"{self.address}/32", "dev", "lo")
        subprocess.run([*self._enter, *ip], check=True, capture_output=True)
        # The process here is nsenter; what it starts ends with it.
        command = (tools.command("setpriv"), "--pdeathsig", "TERM", tools.command("haproxy"), "-db", "-f", str(file))
        with (self._folder / "haproxy.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self._enter, *command],
                env={"PATH": os.environ["PATH"], "OUTSIDE": str(self._socket.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self._socket.fileno(),),
            )
        self._socket.close()
        return self

    def await_ready(self) -> None:
        """Wait until it takes orders.

        Raises:
            RuntimeError: It has ended before.
        """
        if self._process is not None:
            await_ready(self._process, "HAProxy", self._answers, self._folder / "haproxy.log")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._end()

    def _answers(self) -> bool:
        try:
            return "Name: HAProxy" in self._order("show info")
        except OSError:
            return False

    def _end(self) -> None:
        self._socket.close()
        if self._process is None:
            return
        end_inside(self._process)
        self._process.wait()
        ip = (tools.command("ip"), "address", "delete", f"{self.address}/32", "dev", "lo")
        subprocess.run([*self._enter, *ip], check=False, capture_output=True)

    # What the runtime API does.

    def route(self, place: str, weights: Mapping[str, float]) -> None:
        """Let a listener or a rule forward in these proportions.

        Raises:
            LookupError: There is no such listener or rule, or no such target group.
        """
        if place not in self._places or not weights.keys() <= self._groups.keys():
            raise LookupError(f"the load balancer does not have {place} or one of {', '.join(weights)}")
        orders = [f"set map {self._weights} {key} {bound}" for key, bound in self._bounds(place, weights)]
        if orders:
            self._done("; ".join(orders))

    def register(self, group: str, name: str, address: str, port: int) -> None:
        """Add a target; it gets requests as soon as it has passed one health check."""
        checked = self._groups[group]
        server = f"{checked.name}/{name}"
        interval = max(50, round(checked.interval * self._checks * 1000))
        self._targets[group, name] = _Target(time.monotonic())
        self._done(
            f"add server {server} {address}:{port} check inter {interval}ms "
            f"fall {checked.unhealthy} rise {checked.healthy}{_spoken(checked, port)}"
        )
        if checked.sticky:  # else a server that is added has no cookie
            self._done(f"set dynamic-cookie-key backend {checked.name} {STICKY}")
        # It is checked, and gets nothing yet.
        self._done(f"set server {server} state drain; enable health {server}")

    def deregister(self, group: str, name: str) -> None:
        """Take a target out and wait until its last request is answered, or the delay is over."""
        target = self._targets.get((group, name))
        if target is None or target.draining:
            return
        server = f"{self._groups[group].name}/{name}"
        with self._order_of_states:
            target.draining = True
            self._done(f"set server {server} state drain")
        deadline = time.monotonic() + self._groups[group].delay
        while time.monotonic() < deadline and self._in_flight(group, name):
            time.sleep(_DRAIN_STEP)
        del self._targets[group, name]
        removed = f"set server {server} state maint; shutdown sessions server {server}"
        self._done(removed)
        for _ in range(20):  # its last connections may need a moment
            if "deleted" in self._order(f"del server {server}"):
                return
            time.sleep(_DRAIN_STEP)

    def _in_flight(self, group: str, name: str) -> bool:
        rows = self._statistics()
        found = [row for row in rows if (row["pxname"], row["svname"]) == (self._groups[group].name, name)]
        return any(int(row["scur"]) or int(row["qcur"]) for row in found)

    def refresh(self) -> None:
        """Read what the health checks have found since, and let targets have requests that have passed their first."""
        by_name = {group.name: group for group in self._groups.values()}
        for row in self._statistics():
            group = by_name.get(row["pxname"])
            if group is None:
                continue
            if row["svname"] == "BACKEND":
                self._figures[group.arn] = Figures(int(row["req_tot"] or 0), int(row["hrsp_5xx"] or 0))
                continue
            target = self._targets.get((group.arn, row["svname"]))
            if target is not None and not target.draining:
                self._judge(group, row, target)

    def _judge(self, group: TargetGroup, row: Mapping[str, str], target: _Target) -> None:
        if not target.passed:
            if row["check_status"] in _PASSED:
                with self._order_of_states:
                    if target.draining:
                        return
                    target.passed = True
                    server = f"{group.name}/{row['svname']}"
                    # HAProxy wants as many as an unhealthy target needs, once a check has failed.
                    self._done(f"set server {server} health up; set server {server} state ready")
                target.health = Health("healthy")
            elif time.monotonic() - target.registered > group.unhealthy * group.interval * self._checks:
                target.health = Health("unhealthy", _reason(row))
        else:
            well = row["status"].startswith("UP")
            target.health = Health("healthy") if well else Health("unhealthy", _reason(row))

    def health(self, group: str, name: str) -> Health:
        """What was found of a target when it was last read."""
        target = self._targets.get((group, name))
        return target.health if target else Health()

    def unhealthy(self) -> int:
        """How many targets are unhealthy, in all target groups."""
        return sum(target.health.state == "unhealthy" for target in list(self._targets.values()))

    def figures(self) -> Figures:
        """What all target groups have answered so far."""
        all_of_them = list(self._figures.values())
        return Figures(sum(one.requests for one in all_of_them), sum(one.errors for one in all_of_them))

    def _statistics(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self._order("show stat").lstrip("# ").splitlines()))

    def _order(self, text: str) -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_PATIENCE)
            client.connect(str(self._folder / "admin"))
            client.sendall(f"{text}\n".encode())
            pieces = []
            while piece := client.recv(65536):
                pieces.append(piece)
        return b"".join(pieces).decode()

    def _done(self, text: str) -> None:
        said = self._order(text).strip()
        if said and "registered" not in said:
            raise RuntimeError(f"HAProxy refuses `{text}`: {said}")

    # How its configuration is written.

    @property
    def _weights(self) -> Path:
        return self._folder / "weights"

    def _first_bounds(self) -> list[tuple[str, int]]:
        forwards = [forward for listener in self._listeners for forward in listener.forwards if not forward.redirect]
        return [bound for forward in forwards for bound in self._bounds(forward.arn, forward.weights)]

    def _bounds(self, place: str, weights: Mapping[str, float]) -> list[tuple[str, int]]:
        """Of a number drawn from 0 to 99, each group but the last has those below its bound that nobody had before."""
        total, below, bounds = sum(weights.values()) or 1.0, 0.0, []
        for arn in list(self._groups)[:-1]:
            below += weights.get(arn, 0.0)
            bounds.append((f"{self._places[place]}/{self._groups[arn].name}", round(100 * below / total)))
        return bounds

    def _configuration(self) -> str:
        parts = [_CONFIGURATION.format(folder=self._folder, idle=self._idle)]
        parts += [self._frontend(number, listener) for number, listener in enumerate(self._listeners)]
        parts += [self._backend(group) for group in self._groups.values()]
        codes = {forward.status for listener in self._listeners for forward in listener.forwards} - {0}
        parts += [f"backend status.{code}\n  http-request return status {code}\n" for code in sorted(codes)]
        return "".join(parts)

    def _frontend(self, number: int, listener: Listener) -> str:
        secure = f" ssl crt {self._certificate} alpn h2,http/1.1" if listener.secure else ""
        lines = [f"frontend f{number}", f"  bind {self.address}:{listener.port}{secure}"]
        if not number:
            lines.append(f"  bind fd@${{OUTSIDE}} id {_OUTSIDE}")
            lines.append(f"  http-response set-header {SERVED_BY} %[srv_name] if {{ so_id {_OUTSIDE} }}")
        lines += [
            "  http-request set-header X-Forwarded-For %[src]",
            f"  http-request set-header X-Forwarded-Proto {'https' if listener.secure else 'http'}",
            f"  http-request set-header X-Forwarded-Port {listener.port}",
            "  http-request set-var(txn.drawn) rand(100)",
        ]
        for forward in listener.forwards:
            lines += self._forward(forward)
        return "\n".join([*lines, ""])

    def _forward(self, forward: Forward) -> list[str]:
        place = self._places[forward.arn]
        asked = {"path": forward.paths} if forward.paths else {}
        asked |= {f"req.hdr({header})": patterns for header, patterns in forward.headers.items()}
        lines, conditions = [], []
        for number, (what, patterns) in enumerate(asked.items()):
            expressions = " ".join(f"'^{_expression(pattern)}$'" for pattern in patterns)
            ignoring = "" if what == "path" else " -i"
            lines.append(f"  acl {place}.{number} {what} -m reg{ignoring} {expressions}")
            conditions.append(f"{place}.{number}")
        condition = " ".join(conditions)
        if forward.status:
            # A backend, because `http-request return` comes before every `use_backend`.
            return [*lines, f"  use_backend status.{forward.status} if {condition or 'TRUE'}"]
        if forward.redirect:
            return [
                *lines,
                f"  http-request redirect scheme {forward.redirect} code 301 {f'if {condition}' if condition else ''}",
            ]
        names = [group.name for group in self._groups.values()]
        variables = {name: f"txn.b{re.sub(r'[^0-9A-Za-z]', '_', f'{place}_{name}')}" for name in names}
        lines += [
            f"  http-request set-var({variables[name]}) str({place}/{name}),map_str_int({self._weights},0)"
            for name in names[:-1]
        ]
        lines += [
            f"  use_backend {name} if {condition} {{ var(txn.drawn),sub({variables[name]}) lt 0 }}"
            for name in names[:-1]
        ]
        return [*lines, f"  use_backend {names[-1]} if {condition or 'TRUE'}"]

    def _backend(self, group: TargetGroup) -> str:
        asked = f"meth GET uri {group.path} ver HTTP/1.1 {_CHECK_HEADERS}"
        expected = f"status {group.matcher}"
        refused: list[str] = []
        sticky: list[str] = []
        if group.version == "GRPC":
            asked = f"meth POST uri {group.path} ver HTTP/2.0 {_GRPC_HEADERS}"
            expected = _grpc_answer(group.matcher)
        if group.version != "HTTP1":  # the socket from outside the machine speaks nothing else
            wrong = ["!{ req.ver 2.0 }", *(["!{ method POST }"] if group.version == "GRPC" else [])]
            refused = [f"  http-request return status 464 if !{{ so_id {_OUTSIDE} }} {each}" for each in wrong]
        if group.sticky:
            life = f"maxidle {group.sticky}s maxlife {group.sticky}s"
            sticky = [f"  cookie {STICKY} insert indirect nocache dynamic {life}", f"  dynamic-cookie-key {STICKY}"]
        return "\n".join(
            [
                f"backend {group.name}",
                "  balance roundrobin",
                *refused,
                *sticky,
                "  option httpchk",
                f"  http-check send {asked}",
                f"  http-check expect {expected}",
                f"  timeout check {round(max(group.timeout, _LEAST_TIMEOUT) * 1000)}ms",
                "",
            ]
        )


def _spoken(group: TargetGroup, port: int) -> str:
    """What the targets of a group are spoken to in, as parameters of a server.

    With a port of their own health checks do not take over the server's TLS.
    """
    words = [f" port {group.port or port}"]
    if group.secure or group.secure_check:
        words.append("verify none")
    if group.secure:
        words.append("ssl")
    if group.secure_check:
        words.append("check-ssl")
    if group.version != "HTTP1":
        words.append("proto h2 check-proto h2 alpn h2 check-alpn h2")
    return " ".join(words)


def _grpc_answer(codes: str) -> str:
    """What the answer of a gRPC health check has to be."""
    spans = [part.partition("-") for part in codes.split(",")]
    taken = [code for first, _, last in spans for code in range(int(first), int(last or first) + 1)]
    if 0 in taken:  # an answer with a message says its code in a trailer
        return "status 200"
    return f"hdr name grpc-status value -m reg ^({'|'.join(map(str, taken))})$"


def _expression(pattern: str) -> str:
    """A path pattern of a rule as a regular expression: it knows ``*`` and ``?``."""
    return "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)


def _reason(row: Mapping[str, str]) -> str:
    if row["check_code"]:
        return f"Health checks failed with these codes: [{row['check_code']}]"
    return "Request timed out" if row["check_status"] in _UNANSWERED else "Health checks failed"

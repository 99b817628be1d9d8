"""Namespaces of Cloud Map: the endpoints of Service Connect, and the DNS names of service discovery.

An endpoint is an address of the rehearsal's machine, at whose port a proxy passes each connection on to the next task.
Containers find it by a line in ``/etc/hosts``, as on AWS; a DNS name they find by a name server.

Where this differs from AWS:

- There is one proxy for each endpoint, and not one in each task. It passes connections on and knows no protocol: it
  tries no request again.
- A call by an endpoint's name comes from the proxy's address, and no security group is between services.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from socketserver import BaseRequestHandler, ThreadingTCPServer, ThreadingUDPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from local.loopback import copy_both_ways, datagrams, in_network_of
from local.rehearsal import dns
from local.rehearsal.emulated import Refused

NAME_SERVER = "198.19.255.54"
"""The name server of the network that tasks run in."""
_ADDRESSES = ipaddress.ip_network("198.19.128.0/18")
_CONNECT_SECONDS = 5
_MOST_RECORDS = 8
"""https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-multivalue.html"""


class Alias(NamedTuple):
    """What clients call: a name and a port."""

    name: str
    port: int


@dataclass(slots=True)
class _Endpoint:
    """One endpoint; a service that has left it leaves it to the tasks that know it."""

    alias: Alias
    owner: str
    address: str = ""
    targets: dict[str, tuple[str, int]] = field(default_factory=dict)
    turn: Callable[[], int] = field(default_factory=lambda: itertools.count().__next__)
    proxy: _Proxy | None = None

    def connection(self, process: int) -> socket.socket:
        """Connect to the next task that answers.

        Raises:
            OSError: None does.
        """
        targets = list(self.targets.values())
        first = self.turn()
        for number in range(len(targets)):
            target = targets[(first + number) % len(targets)]
            with contextlib.suppress(OSError):
                return in_network_of(process, partial(socket.create_connection, target, _CONNECT_SECONDS))
        raise OSError("no task answers")


class Namespaces:
    """What services of one or several stacks find each other by, for as long as the `with` block lasts."""

    def __init__(self, machine: Callable[[], int]) -> None:
        """Describe them.

        Args:
            machine: Gives a process of the machine that the tasks run on.
        """
        self._machine = machine
        self._lock = threading.RLock()
        self._free = _ADDRESSES.hosts()
        self._names: dict[str, str] = {}
        self._endpoints: dict[tuple[str, str], _Endpoint] = {}
        self._left: list[_Endpoint] = []
        self._records: dict[str, dict[str, str]] = {}
        self._name_server: _NameServer | None = None

    def __enter__(self) -> Self:
        """Nothing listens before the first service is in a namespace."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        servers = [endpoint.proxy for endpoint in (*self._endpoints.values(), *self._left)] + [self._name_server]
        for server in filter(None, servers):
            server.shutdown()
            server.server_close()

    # Service Connect.

    def made(self, name: str, arn: str) -> None:
        """Know a namespace by both its name and its ARN."""
        self._names[arn] = name

    def claim(self, owner: str, namespace: str, wanted: Mapping[str, Alias]) -> None:
        """Let a service have these endpoints in a namespace, by their discovery names, and no others.

        Raises:
            Refused: Another service has one of them.
        """
        place = self._names.get(namespace, namespace)
        with self._lock:
            for name, alias in wanted.items():
                for (where, other), endpoint in self._endpoints.items():
                    same = where == place and (other == name or endpoint.alias == alias)
                    if same and endpoint.owner != owner:
                        # https://github.com/aws/copilot-cli/issues/4337
                        said = f"SC service is already used by {endpoint.owner}"
                        raise Refused("InvalidParameterException", said)
            for key, endpoint in list(self._endpoints.items()):
                if endpoint.owner == owner and (key[0] != place or wanted.get(key[1]) != endpoint.alias):
                    self._left.append(self._endpoints.pop(key))
            for name, alias in wanted.items():
                if (place, name) not in self._endpoints:
                    self._endpoints[place, name] = self._open(_Endpoint(alias, owner))

    def _open(self, endpoint: _Endpoint) -> _Endpoint:
        endpoint.address, process = str(next(self._free)), self._machine()
        listen = partial(socket.create_server, (endpoint.address, endpoint.alias.port), backlog=128)
        endpoint.proxy = _Proxy(partial(endpoint.connection, process), in_network_of(process, listen))
        _serve(endpoint.proxy)
        return endpoint

    def hosts(self, namespace: str) -> tuple[str, ...]:
        """The endpoints that a task which starts now can call, as ``name:address``."""
        place = self._names.get(namespace, namespace)
        with self._lock:
            found = [endpoint for (where, _), endpoint in self._endpoints.items() if where == place]
        return tuple(f"{endpoint.alias.name}:{endpoint.address}" for endpoint in found)

    def register(self, owner: str, name: str, task: str, target: tuple[str, int]) -> None:
        """Let an endpoint of a service lead to a task, too."""
        for endpoint in self._of(owner, name):
            endpoint.targets[task] = target

    def deregister(self, owner: str, task: str) -> None:
        """Let nothing lead to a task any more."""
        with self._lock:
            for endpoint in (*self._endpoints.values(), *self._left):
                if endpoint.owner == owner:
                    endpoint.targets.pop(task, None)
            for tasks in self._records.values():
                tasks.pop(task, None)

    def _of(self, owner: str, name: str) -> list[_Endpoint]:
        with self._lock:
            found = [endpoint for (_, known), endpoint in self._endpoints.items() if known == name]
            return [endpoint for endpoint in found if endpoint.owner == owner]

    # Service discovery.

    def record(self, name: str, task: str, address: str) -> None:
        """Let a DNS name lead to a task, too."""
        with self._lock:
            self._records.setdefault(name, {})[task] = address
            if self._name_server is None:
                self._name_server = _NameServer(
                    self.addresses, in_network_of(self._machine(), partial(datagrams, NAME_SERVER, 53))
                )
                _serve(self._name_server)

    def addresses(self, name: str) -> list[str]:
        """The addresses that a DNS name leads to."""
        with self._lock:
            return list(self._records.get(name, {}).values())[:_MOST_RECORDS]


def _serve(server: _Proxy | _NameServer) -> None:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class _Proxy(ThreadingTCPServer):
    """Passes connections to an endpoint on."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, connect: Callable[[], socket.socket], listening: socket.socket) -> None:
        self.connect = connect
        super().__init__(("", 0), _Passing, bind_and_activate=False)
        self.socket.close()
        self.socket = listening


class _Passing(BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        """Pass one connection on; where no task answers it is closed."""
        with contextlib.suppress(OSError), self.server.connect() as task:
            task.settimeout(None)
            copy_both_ways(self.request, task)


class _NameServer(ThreadingUDPServer):
    """Knows the names of service discovery."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, addresses: Callable[[str], Sequence[str]], answering: socket.socket) -> None:
        self.addresses = addresses
        super().__init__((NAME_SERVER, 53), _Question, bind_and_activate=False)
        self.socket.close()
        self.socket = answering

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own types
        """Keep quiet: what is no question gets no answer."""


class _Question(BaseRequestHandler):
    server: _NameServer

    def handle(self) -> None:
        """Answer one question."""
        asked, answering = self.request
        found = self.server.addresses(dns.name_asked(asked))
        answering.sendto(dns.answer(asked, found, seconds=0), self.client_address)

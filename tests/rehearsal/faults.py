"""Faults that strike the actions of a rehearsal while they run: each in the middle of its work.

- A crash: the machine of a build dies, with all its processes; for any other provider it is an exception.
- A refusal: the role that the action works under lacks a permission for as long as it runs.
- A lost network: from a moment on nothing answers that the action reaches, and its connections break off.

The commands of a build go through wrappers first on PATH, which strike just after a command has taken effect. A build
that is to lose its network reaches everything through a `relay`, which is killed; the registry is behind one, too.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from botocore.session import Session  # type: ignore[import-untyped]  # ships no types
from delivered_stack import less

from local.rehearsal.account import Account
from local.rehearsal.actions.code_build import CodeBuild
from local.rehearsal.codebuild import BuildHost
from local.rehearsal.deployed import Project
from local.rehearsal.emulated import RolePolicies
from local.rehearsal.github import DROP
from local.rehearsal.pipeline import ActionContext, ActionProvider, Completed
from local.rehearsal.rehearsal import Rehearsal

_HERE, _REGISTRY = "127.0.0.1", "127.0.0.3"
_WRAPPER = """#!/bin/sh
case "{tool} $*" in
  {call})
    {real} "$@"
    code=$?
    {strike}
    exit $code ;;
esac
exec {real} "$@"
"""
_KILL_RELAY = "pid=$(cat {file}); kill -9 $pid; while kill -0 $pid 2> /dev/null; do :; done"


class MachineDied(Exception):  # noqa: N818 - no fault of a test
    """A crash of a provider that has no machine."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What strikes an action, and what becomes of that.

    Attributes:
        kind: ``crash``, ``refusal``, ``lost network``, or empty: nothing strikes this action.
        after: The call after which it strikes: a command with its words, as a pattern of the shell, or a method and a
            path of GitHub's API, as a pattern, too; for a provider that runs no build, how a line of its log begins.
        permission: What the role lacks.
        registry: Whether the registry is lost, too.
        until: A text in the log at which the network comes back; otherwise it does after the action.
        says: What the action's error says, ``{role}`` for the role; of one that does not fail, what its log says.
        fails: Whether the action fails.
    """

    kind: str
    after: str = ""
    permission: str = ""
    registry: bool = False
    until: str = ""
    says: tuple[str, ...]
    fails: bool = True


def crash(after: str, *says: str) -> Fault:
    """A crash after a call."""
    return Fault(kind="crash", after=after, says=says or ("signal 9",))


def refusal(permission: str, *says: str, fails: bool = True) -> Fault:
    """A missing permission, which is named with the role."""
    return Fault(kind="refusal", permission=permission, says=(permission, "{role}", *says), fails=fails)


def lost(after: str, *says: str, registry: bool = False) -> Fault:
    """A network that is lost after a call."""
    return Fault(kind="lost network", after=after, says=says or ("Could not connect",), registry=registry)


class Relay:
    """What goes between a build and all that it reaches, for as long as it runs."""

    def __init__(self, rehearsal: Rehearsal, address: str, ports: Sequence[int]) -> None:
        self.address, self.file = address, rehearsal.sandbox.folder / f"relay-{address}"
        script = str(Path(__file__).with_name("relay.py"))
        self._words = [*rehearsal.sandbox.enter, sys.executable, script, str(self.file), address, *map(str, ports)]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin, or begin again."""
        self.end()
        self._process = subprocess.Popen(self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> None:
        """Break off all connections, and refuse those that come."""
        if self._process:
            self._process.communicate()  # closes its standard input, and with that it ends
            self._process = None


class Faults:
    """What strikes which action: each time that it is carried out, an action takes its next fault.

    Attributes:
        rehearsal: What is struck.
    """

    rehearsal: Rehearsal

    def __init__(self, faults: Mapping[tuple[str, str], Sequence[Fault]]) -> None:
        """Take the faults by pipeline and action."""
        self._left = {action: list(each) for action, each in faults.items()}
        self._addresses = iter(range(10, 250))
        self._lock = threading.Lock()

    @contextmanager
    def striking(self, rehearsal: Rehearsal) -> Iterator[None]:
        """Have the registry's name lead to a relay."""
        self.rehearsal = rehearsal
        account = rehearsal.stacks["dev"].account  # which is that of prod, too
        registry = f"{account.identity}.dkr.ecr.{account.region}.amazonaws.com"
        hosts = rehearsal.sandbox.folder / "hosts"
        hosts.write_text(f"{hosts.read_text().replace(f' {registry}', '')}{_REGISTRY} {registry}\n")
        self.registry = Relay(rehearsal, _REGISTRY, [443])
        self.registry.start()
        try:
            yield
        finally:
            self.registry.end()

    def struck(self, provider: ActionProvider) -> ActionProvider:
        """Return a provider with which actions take their faults."""
        return _Struck(self, provider)

    def take(self, context: ActionContext) -> Fault | None:
        """Return the fault that an action takes now."""
        left = self._left.get((context.deployed.pipeline, context.action.name))
        return left.pop(0) if left else None

    @contextmanager
    def lacking(self, role: str, permission: str) -> Iterator[None]:
        """Take a permission out of a role."""
        account = next(stack.account for stack in self.rehearsal.stacks.values() if role in stack.account.roles)
        whole = account.roles[role]
        self._give(account, role, RolePolicies(less(whole, permission)))
        try:
            yield
        finally:
            self._give(account, role, whole)

    def _give(self, account: Account, role: str, policies: RolePolicies) -> None:
        account.roles[role] = policies
        self.rehearsal.sandbox.aws.make_role(role, policies, account=account.identity)

    def relay(self, ports: Sequence[int]) -> Relay:
        """Return a relay at an address of its own."""
        with self._lock:
            return Relay(self.rehearsal, f"127.0.0.{next(self._addresses)}", ports)


class _Struck:
    """A provider whose actions take their faults."""

    def __init__(self, faults: Faults, provider: ActionProvider) -> None:
        self._faults, self._provider = faults, provider

    def run(self, context: ActionContext) -> Completed:
        """Carry out an action."""
        fault = self._faults.take(context)
        if fault is None or not fault.kind:
            return self._provider.run(context)
        if isinstance(self._provider, CodeBuild):
            return self._build(self._provider, context, fault)
        if fault.permission:
            return self._provider.run(replace(context, policies=less(context.policies, fault.permission)))
        if fault.kind == "crash":
            return self._provider.run(replace(context, changed=lambda: self._crash(context, fault)))
        with _unreachable(context.store.region) as s3:
            store = replace(context.store, as_pipeline=replace(context.store.as_pipeline, client=s3))
            return self._provider.run(replace(context, store=store))

    @staticmethod
    def _crash(context: ActionContext, fault: Fault) -> None:
        context.changed()
        if context.run.log and context.run.log[-1].startswith(fault.after):
            raise MachineDied

    def _build(self, code_build: CodeBuild, context: ActionContext, fault: Fault) -> Completed:
        faults, project = self._faults, context.deployed.project(context.action.name)
        with ExitStack() as ends:
            if fault.permission:
                ends.enter_context(faults.lacking(project.role, fault.permission))
                return code_build.run(context)
            if fault.kind == "crash":
                machines = _StruckMachines(code_build.machines, context.folder, fault.after, "kill -9 0")
                self._at_github(fault.after, lambda: _kill(context.folder))
                return replace(code_build, machines=machines).run(context)
            rehearsal = faults.rehearsal
            urls = [rehearsal.github.url, rehearsal.sandbox.aws.endpoint, *code_build.machines._environment.values()]  # type: ignore[attr-defined]
            own = faults.relay(sorted({port for url in urls if (port := urlsplit(url).port)}))
            own.start()
            ends.callback(own.end)
            relays = [own]
            if fault.registry:
                relays.append(faults.registry)
                ends.callback(faults.registry.start)
            strike = "; ".join(_KILL_RELAY.format(file=relay.file) for relay in relays)
            self._at_github(fault.after, own.end)

            def changed() -> None:
                context.changed()
                if fault.until and context.run.log and fault.until in context.run.log[-1]:
                    own.start()

            return replace(
                code_build,
                machines=_StruckMachines(code_build.machines, context.folder, fault.after, strike, by=own.address),
                differs=lambda project: _by(own.address, code_build.differs(project)),
            ).run(replace(context, changed=changed))

    def _at_github(self, call: str, strike: Callable[[], object]) -> None:
        """Strike after a request, whose answer is lost; once."""
        struck = threading.Event()

        def watch(_number: int, method: str, path: str, *, when: str) -> Any:  # noqa: ANN401 - what a watcher wishes
            if when == "before" or struck.is_set() or not fnmatch(f"{method} {path}", call):
                return None
            struck.set()
            strike()
            return DROP

        self._faults.rehearsal.github.on_request(watch)


class _StruckMachines:
    """Machines whose commands go through wrappers, and that reach what they reach by way of a relay."""

    def __init__(self, machines: Any, folder: Path, after: str, strike: str, *, by: str = _HERE) -> None:  # noqa: ANN401 - a protocol of the provider's
        self._machines, self._bin, self._by = machines, folder / "wrappers", by
        self._after, self._strike = after.replace(" ", "\\ "), strike

    def place(self, project: Project, credentials: Mapping[str, str], *, region: str) -> BuildHost:
        """Return a new machine."""
        host: BuildHost = self._machines.place(project, credentials, region=region)
        self._bin.mkdir(parents=True)
        for tool in ("aws", "docker"):
            real = shutil.which(tool, path=host.environment["PATH"])
            wrapper = self._bin / tool
            wrapper.write_text(_WRAPPER.format(tool=tool, real=real, call=self._after, strike=self._strike))
            wrapper.chmod(0o755)
        environment = _by(self._by, host.environment)
        return replace(host, environment={**environment, "PATH": f"{self._bin}:{environment['PATH']}"})


def _by(address: str, variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value.replace(_HERE, address) for name, value in variables.items()}


@contextmanager
def _unreachable(region: str) -> Iterator[Any]:
    """A client of Amazon S3 where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind((_HERE, 0))
        yield Session().create_client(
            "s3",
            region_name=region,
            endpoint_url=f"http://{_HERE}:{nobody.getsockname()[1]}",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - of nobody
            config=Config(retries={"max_attempts": 0}),
        )


def _kill(folder: Path) -> None:
    """Kill the processes of the build whose files are in a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder / "build" / "shell").encode() in (process / "cmdline").read_bytes():
                os.killpg(os.getpgid(int(process.name)), signal.SIGKILL)

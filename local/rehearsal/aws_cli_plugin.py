"""A plugin of the AWS CLI v2 that turns it into a server, which forks an AWS CLI for each call.

The AWS CLI loads it by its configuration (``cli_legacy_plugin_path``), in its own interpreter and with its own
libraries: nothing of this project can be imported here, and of the standard library only what the AWS CLI brings along.
By then the AWS CLI is imported; the first calls, which reach nobody, read the descriptions of services and import the
rest. An `aws` command (:class:`local.rehearsal.aws_cli.WarmAwsCli`) hands it arguments, folder, environment and its own
standard streams. The forked process is the AWS CLI from there on: same output, same exit code, and it ends when the
`aws` command is killed.

The AWS CLI has a thread of its logging library by then, which forked processes lack; they log nothing by it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

_HEADER = 8
_WARM_UP = (
    ("ecr", "describe-images", "--repository-name", "warm"),
    ("ecs", "describe-services", "--services", "warm"),
    ("sts", "get-caller-identity"),
    ("s3", "ls", "s3://warm"),
    ("s3", "cp", "s3://warm/up", "-"),
    ("codepipeline", "list-action-executions", "--pipeline-name", "warm"),
)
"""Calls that reach nobody; what they import and read, later calls find done."""
_PROGRAM = sys.argv[0]


class _Server:
    """Takes calls and forks the AWS CLI for each; one thread, so that forking is safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._selector = selectors.DefaultSelector()
        self._lines: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Serve until standard input is closed."""
        listener = socket.socket(socket.AF_UNIX)
        woken, waker = socket.socketpair()
        waker.setblocking(False)  # noqa: FBT003 - its only argument
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        unfinished = self._path.with_name("unready")
        listener.bind(str(unfinished))
        listener.listen(64)
        unfinished.rename(self._path)  # whoever sees the socket can connect to it
        for channel, what in ((listener, "call"), (woken, "ended"), (sys.stdin.buffer, "over")):
            self._selector.register(channel, selectors.EVENT_READ, what)
        while True:
            for key, _ in self._selector.select():
                if key.data == "over":
                    for process in self._lines:
                        _end(process)
                    return
                if key.data == "call":
                    self._take(listener.accept()[0])
                elif key.data == "ended":
                    woken.recv(4096)
                    self._reap()
                else:
                    _end(key.data)  # whoever called is gone
                    self._selector.unregister(key.fileobj)

    def _take(self, line: socket.socket) -> None:
        """Fork the AWS CLI for one call."""
        header, streams, _, _ = socket.recv_fds(line, _HEADER, 3)
        if len(header) < _HEADER or len(streams) < len(("in", "out", "errors")):
            line.close()
            return
        body = b""
        while len(body) < int.from_bytes(header, "big"):
            body += line.recv(65536)
        process = os.fork()
        if process == 0:
            _become(body, streams)
        for stream in streams:
            os.close(stream)
        self._lines[process] = line
        self._selector.register(line, selectors.EVENT_READ, process)

    def _reap(self) -> None:
        """Tell the callers of processes that have ended."""
        while self._lines:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if process == 0:
                return
            line = self._lines.pop(process)
            code = os.waitstatus_to_exitcode(status)
            with contextlib.suppress(OSError):
                line.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
            with contextlib.suppress(KeyError):
                self._selector.unregister(line)
            line.close()


def _end(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _become(call: bytes, streams: list[int]) -> None:
    """Turn this forked process into the AWS CLI; does not return."""
    code = 255
    try:
        umask, folder, count, *rest = call.split(b"\0")
        words, environment = rest[: int(count)], rest[int(count) :]
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        os.closerange(3, 1024)
        os.umask(int(umask))
        os.chdir(folder)
        os.environ.clear()
        os.environb.update(entry.partition(b"=")[::2] for entry in environment)
        # They are in a database, which a forked process cannot lock when its parent has it open: each call
        # took up to a minute then. https://github.com/aws/aws-cli/blob/v2/awscli/telemetry.py
        os.environ["AWS_CLI_SESSION_ID_DISABLED"] = "true"
        own = os.path.join(os.path.dirname(sys.modules["awscli"].__file__ or ""), "data")  # noqa: PTH118, PTH120 - as it does
        os.environ["AWS_DATA_PATH"] = os.pathsep.join(filter(None, [os.environ.get("AWS_DATA_PATH"), own]))
        time.tzset()
        random.seed()
        sys.argv = [_PROGRAM, *map(os.fsdecode, words)]
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        code = _call()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        os._exit(code)


def _call() -> int:
    """Run the AWS CLI by `sys.argv`; returns its exit code."""
    import awscli.clidriver  # type: ignore[import-not-found]  # noqa: PLC0415 - the command's own module

    try:
        return int(awscli.clidriver.main() or 0)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


@contextlib.contextmanager
def _nowhere() -> Iterator[None]:
    """Standard streams that lead nowhere, an environment that reaches nobody."""
    streams, environment, words = (sys.stdout, sys.stderr), dict(os.environ), sys.argv
    nothing = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    os.environ.update(nothing)
    with Path(os.devnull).open("w") as sink:
        sys.stdout = sys.stderr = sink
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = words


def _warm_up() -> None:
    """Import the AWS CLI, and let it read what it reads in every call."""
    import botocore.session  # type: ignore[import-untyped]  # noqa: PLC0415 - the AWS CLI's, by the name it goes by there

    # What a session reads of the services it keeps; all sessions here are of one process each, so they may share it.
    session = botocore.session
    session.create_loader = functools.cache(session.create_loader)
    with _nowhere():
        for words in _WARM_UP:
            sys.argv = [_PROGRAM, *words]
            _call()
    if not session.create_loader.cache_info().hits:
        raise RuntimeError("the calls of this AWS CLI do not share what they read: each would read everything anew")


def awscli_initialize(_hooks: object) -> NoReturn:
    """Serve the calls that come in at a socket: what the AWS CLI calls when it loads its plugins."""
    _warm_up()
    # A call is short and leaves little behind: collecting, over all that it inherits, would take most of its time.
    gc.freeze()
    gc.disable()
    _Server(Path(os.environ["WARM_AWS_CLI_SOCKET"])).serve()
    os._exit(0)

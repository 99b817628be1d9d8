"""A machine for a job under test: a folder, and stand-ins for the tools, which are alone on its PATH.

A stand-in answers by rules: the first rule whose words all stand in the command line, in their order, is used; a rule
may be used up. What has been called is kept, with standard input. Unknown calls fail, and say so.
"""

import atexit
import importlib
import json
import marshal
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import coverage
import yaml

from components.jobs.buildspec import FOLDER
from local.loopback import serving_http
from local.rehearsal.codebuild import put_python

JOBS = FOLDER / "jobs"
TIMEOUT_SECONDS = 60
# A job as Python runs its folder, with pauses of another length. The first path of `-c` is the job's own folder.
_PACED = """\
import runpy, sys, time
del sys.path[0]
_, pace, *sys.argv = sys.argv
sleep, pace = time.sleep, float(pace)
time.sleep = lambda seconds: sleep(pace * seconds)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
DIGEST = f"sha256:{'a' * 64}"
OTHER_DIGEST = f"sha256:{'b' * 64}"
REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop"
NOT_THERE = "An error occurred (ImageNotFoundException) when calling the DescribeImages operation: no such image"

# What each job begins with is no call, and starts no Python for it.
_STAND_IN = """#!/bin/sh
case "$*" in --version | version | 'buildx version') echo "Version 1.2.3 of {tool}" && exit ;; esac
exec '{python}' -IS '{answers}' {tool} "$@"
"""
# What it is told and what it keeps is marshalled: to import json takes as long as starting Python does.
_ANSWERS = """\
import fcntl, marshal, os, sys
_, tool, *words = sys.argv
base = {base!r}
stdin = sys.stdin.read() if "--password-stdin" in words else ""
log = open(base + "/calls", "ab")
fcntl.flock(log, fcntl.LOCK_EX)  # to the end: a job may call two tools at once
log.write(marshal.dumps([[tool, *words], stdin, dict(os.environ)]))
log.flush()
with open(base + "/rules", "rb") as file:
    rules = marshal.load(file)
for rule in rules:
    rest = iter([tool, *words])
    if rule["times"] and all(word in rest for word in rule["words"]):
        rule["times"] -= 1
        with open(base + "/rules", "wb") as file:
            marshal.dump(rules, file)
        for name, content in rule["files"].items():
            for number, word in enumerate(words):
                name = name.replace("{{" + word + "}}", words[number + 1] if number + 1 < len(words) else "")
            name = name.replace("{{last}}", words[-1])
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            open(name, "w", errors="surrogateescape").write(content)
            os.chmod(name, 0o755)
        for option, copy in rule["keeps"].items():
            given = words[words.index(option) + 1]
            open(copy, "w").write(open(given.replace("fileb://", "").replace("file://", "")).read())
        sys.stdout.write(rule["output"])
        sys.stderr.write(rule["errors"])
        sys.exit(rule["code"])
sys.stderr.write("no rule for " + " ".join([tool, *words]))
sys.exit(99)
"""


class MeasuredJobs:
    """Runs jobs while their coverage is measured.

    Coverage's own support of subprocesses would measure every Python that a test starts, and needs site-packages.
    """

    def __init__(self) -> None:
        script, site_packages = Path(__file__).with_name("measured.py"), Path(coverage.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(script), str(site_packages)],
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        atexit.register(self._end)

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(
        self, arguments: list[str], cwd: Path, env: dict[str, str], pace: float, data: str, place: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run a job; `place` is for what it prints, `data` for what is measured."""
        output, errors = place / "output", place / "errors"
        for file in (output, errors):
            file.write_text("")
        request = {
            "folder": str(FOLDER),
            "arguments": arguments,
            "cwd": str(cwd),
            "env": env,
            "pace": pace,
            "data": data,
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps({**request, "output": str(output), "errors": str(errors)}) + "\n")
        stdin.flush()
        limit = threading.Timer(TIMEOUT_SECONDS, self._end)
        limit.start()
        answer = stdout.readline()
        limit.cancel()
        assert answer, f"{arguments} takes longer than {TIMEOUT_SECONDS} seconds"
        return subprocess.CompletedProcess(arguments, int(answer), output.read_text(), errors.read_text())


@cache
def measured_jobs() -> MeasuredJobs:
    """One for all tests of a process."""
    return MeasuredJobs()


class Call(NamedTuple):
    """One command that a job ran."""

    words: list[str]
    stdin: str
    env: dict[str, str]

    def __str__(self) -> str:
        return " ".join(self.words)

    def after(self, option: str) -> list[str]:
        """The values of an option that may stand several times."""
        return [value for word, value in zip(self.words, self.words[1:], strict=False) if word == option]


class Machine:
    """Where a job runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "build"
        self.pace = 0.05  # how long pauses of a job are, as a share of what it asks for: stand-ins need no patience
        self.variables: dict[str, str] = {}  # what each job of the machine gets, unless it is given
        self._base = folder / "tools"
        self.bin = self._base / "bin"
        self._rules: list[dict[str, Any]] = []
        self.folder.mkdir()
        self.bin.mkdir(parents=True)
        answers = self._base / "answers.py"
        answers.write_text(_ANSWERS.format(base=str(self._base)))
        for tool in ("aws", "docker", "git", "go", "node", "npm"):
            path = self.bin / tool
            path.write_text(_STAND_IN.format(python=sys.executable, answers=answers, tool=tool))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def answer(
        self,
        words: str,
        output: object = "",
        *,
        code: int = 0,
        errors: str = "",
        files: dict[str, str] | None = None,
        keeps: dict[str, str] | None = None,
        times: int = 1000,
    ) -> None:
        """Answer a command that holds these words; a dict or list is written as JSON.

        `files` are written by the command; `keeps` says where to copy the file that an option names.
        """
        text = output if isinstance(output, str) else json.dumps(output)
        rule = {"words": words.split(), "output": text, "code": code, "errors": errors, "files": files or {}}
        self._rules.append({**rule, "keeps": keeps or {}, "times": times})

    def offer_jobs(self, bundle: bytes) -> None:
        """Let the AWS CLI fetch the bundle of the jobs."""
        self.answer("aws s3 cp --only-show-errors", files={"{last}": bundle.decode("utf-8", "surrogateescape")})

    def without(self, tool: str) -> None:
        """Take a tool off the machine."""
        (self.bin / tool).unlink()

    def file(self, name: str, content: object) -> Path:
        """A file in the job's folder; anything but a text is written as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def json(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """A file that the job wrote."""
        return json.loads((self.folder / name).read_text())

    def publish(self) -> None:
        """Let the tools know the answers; running a job does so, too."""
        (self._base / "rules").write_bytes(marshal.dumps(self._rules))

    def run(self, job: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a job with these variables and no others."""
        self.publish()
        jobs_dir = self._base / "jobs"
        jobs_dir.mkdir(exist_ok=True)
        arguments, env = [job.replace("_", "-")], {"PATH": str(self.bin), "JOBS_DIR": str(jobs_dir)}
        env |= {**self.variables, **variables}
        if measuring := coverage.Coverage.current():
            data = measuring.get_data().base_filename()
            return measured_jobs().run(arguments, self.folder, env, self.pace, data, self._base)
        return subprocess.run(
            # Without site-packages: a job has the standard library and nothing else.
            [sys.executable, "-S", "-c", _PACED, str(self.pace), str(FOLDER), *arguments],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    def run_buildspec(self, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run all commands of a buildspec with these variables; then print what it exports, `NAME=value` a line."""
        self.publish()
        put_python(self.bin)
        spec = yaml.safe_load(text)
        commands = [command for phase in spec["phases"].values() for command in phase.get("commands", [])]
        shown = [f'echo "{name}=${name}"' for name in spec["env"].get("exported-variables", [])]
        declared = {**spec["env"]["variables"], "JOBS_DIR": str(self._base / "fetched"), **variables}
        return subprocess.run(
            ["/bin/bash", "-e", "-c", "\n".join([*commands, *shown])],
            cwd=self.folder,
            env={"PATH": f"{self.bin}:/usr/bin:/bin", **declared},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    @property
    def exports(self) -> str:
        """What the job hands to the pipeline."""
        return (self._base / "jobs" / "exports.env").read_text()

    @property
    def calls(self) -> list[Call]:
        """The commands that the job ran, in order."""
        log = self._base / "calls"
        if not log.exists():
            return []
        with log.open("rb") as kept:
            size, found = log.stat().st_size, list[Call]()
            while kept.tell() < size:
                found.append(Call(*marshal.load(kept)))  # noqa: S302 - the stand-ins' own
            return found

    def called(self, words: str) -> list[Call]:
        """The commands that hold these words in this order."""
        return [call for call in self.calls if _in_order(words.split(), call.words)]


def _in_order(wanted: list[str], words: list[str]) -> bool:
    rest = iter(words)
    return all(word in rest for word in wanted)


def module(name: str) -> ModuleType:
    """A module of the jobs, to call its functions."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    return importlib.import_module(f"jobs.{name}")


def image(**changes: object) -> dict[str, object]:
    """A whole image.json."""
    made = {"repository": REPOSITORY, "digest": DIGEST, **changes}
    return {
        "uri": f"{made['repository']}@{made['digest']}",
        "tag": "0123abc-12345678",
        "tree": "",
        "commit": "0123abc",
        "version": "1.2.3",
        "source": "https://github.com/example/shop",
        "created": "2026-01-31T12:00:00+00:00",
        **made,
    }


def deployment(**changes: object) -> dict[str, object]:
    """A whole deployment.json."""
    made = image(**{key: changes[key] for key in ("repository", "digest") if key in changes})
    return {
        **made,
        "image": made["uri"],
        "container": "shop",
        "reached": "shop",
        "port": 8080,
        **changes,
    }


class Reply(NamedTuple):
    """What a web server under test answers."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - a NamedTuple's default, never changed


class Request(NamedTuple):
    """What a web server under test was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class WebServer:
    """The behaviour of a web server: override `reply`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.url = ""

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        raise NotImplementedError


@contextmanager
def serving(server: WebServer) -> Iterator[str]:
    """Serve on loopback as long as the block lasts; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            server.requests.append(request)
            reply = server.reply(request)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    with serving_http(Handler) as server.url:
        yield server.url

"""Every command that a stack tells its user, pasted into a shell and carried out by the AWS CLI v2.

The shell takes it apart, the AWS CLI parses it and holds every parameter against the service's model. A server on
loopback receives the requests and answers for AWS.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aws_requests import requests_of
from stack_graphs import NAMES, described, graph
from summary import ROOT

from local.loopback import serving_http

RAISE = "aws service-quotas request-service-quota-increase --region eu-west-1"
COMMAND = re.compile(r": (aws .+)$")
Request = tuple[str, Mapping[str, Any]]
"""An operation's name and its parameters; the parameters only where the protocol is JSON."""


def notes(name: str) -> list[str]:
    return list(graph(name).exports["nextSteps"])


def commands(name: str) -> list[str]:
    return [found[1] for note in notes(name) if (found := COMMAND.search(note))]


class Shell:
    """A person's shell with the AWS CLI v2, and somebody who answers for AWS."""

    def __init__(self, aws: Path, folder: Path, address: str) -> None:
        self.answers: dict[str, Mapping[str, Any]] = {}
        self.requests: list[Request] = []
        self.folder = folder
        self.variables = {
            "PATH": f"{aws}:{os.environ['PATH']}",
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def paste(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as it is, in an empty folder that holds just the token a person is told to write."""
        for file in self.folder.iterdir():
            file.unlink()
        (self.folder / "token.txt").write_text("a-token\n")
        self.requests.clear()
        return subprocess.run(
            ["bash", "-uc", command], cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False
        )

    def run(self, command: str) -> list[Request]:
        """Paste a command that must succeed; returns what AWS received."""
        done = self.paste(command)
        assert (done.returncode, done.stderr) == (0, ""), f"{command}\n{done.stderr}"
        return list(self.requests)


@pytest.fixture
def shell(warm_aws_cli: Path, tmp_path: Path) -> Iterator[Shell]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = self.headers.get("X-Amz-Target")  # IAM has none, its protocol is "query"
            operation = target.rpartition(".")[2] if target else body.decode().partition("&")[0].partition("=")[2]
            made.requests.append((operation, json.loads(body) if target else {}))
            answer = (
                json.dumps(made.answers.get(operation, {})) if target else f"<Response><{operation}Result/></Response>"
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode())

        def do_GET(self) -> None:  # Amazon S3, whose protocol is REST
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.requests.append((f"{self.command} {urlsplit(self.path).query}", {}))
            self.send_response(200)
            self.end_headers()

        do_PUT = do_GET  # noqa: N815 - as above

    with serving_http(Handler) as address:
        made = Shell(warm_aws_cli, tmp_path, address)
        yield made


@cache
def pipeline(name: str) -> Mapping[str, Any]:
    """The pipeline as AWS would hand it out."""
    (made,) = (request for request in requests_of(described(name)) if request.operation == "CreatePipeline")
    return dict(made.params["pipeline"])


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_that_the_aws_cli_knows(name: str, shell: Shell) -> None:
    """Each names its region: none is configured here, and the AWS CLI ends where it needs one."""
    shell.answers["GetPipeline"] = {"pipeline": pipeline(name), "metadata": {"created": 0}}
    assert commands(name)
    for command in commands(name):
        assert len(shell.run(command)) == len(re.findall(r"\baws [a-z]", command)), command


def test_the_commands_of_the_account_page_are_known_too(shell: Shell) -> None:
    page = (ROOT / "docs" / "account.md").read_text(encoding="utf-8")
    found = re.findall(r"`(aws [^`]+)`|^(aws .+)$", page, re.MULTILINE)
    assert len(found) == 6
    shell.variables["AWS_DEFAULT_REGION"] = "eu-west-1"  # IAM has no region to name
    for command in ("".join(pair) for pair in found):
        assert len(shell.run(command)) == 1, command


def test_every_kind_of_command_is_among_them() -> None:
    every = {command for name in NAMES for command in commands(name)}
    calls = {tuple(call.split()[1:3]) for command in every for call in re.findall(r"aws \S+ \S+", command)}
    assert calls == {
        ("acm", "describe-certificate"),
        ("codeconnections", "get-connection"),
        ("codepipeline", "get-pipeline"),
        ("codepipeline", "start-pipeline-execution"),
        ("codepipeline", "update-pipeline"),
        ("s3api", "get-bucket-notification-configuration"),
        ("s3api", "put-bucket-notification-configuration"),
        ("s3api", "put-bucket-versioning"),
        ("secretsmanager", "create-secret"),
        ("secretsmanager", "put-secret-value"),
        ("service-quotas", "request-service-quota-increase"),
        ("sns", "subscribe"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_no_command_hides_where_it_is_not_looked_for(name: str) -> None:
    for note in notes(name):
        assert len(re.findall(r"\baws [a-z]", note)) == (note.count("aws ") if COMMAND.search(note) else 0), note


@pytest.mark.parametrize("name", NAMES)
def test_a_note_looks_the_same_in_every_form_pulumi_shows_it(name: str) -> None:
    """``pulumi stack output`` shows a list as JSON, where a quotation mark or a backslash looks different."""
    for note in notes(name):
        assert json.dumps(note) == f'"{note}"'


def test_saving_the_pipeline_as_it_is_changes_nothing_of_it(shell: Shell) -> None:
    shell.answers["GetPipeline"] = {"pipeline": pipeline("dev"), "metadata": {"created": 0}}
    (command,) = (command for command in commands("dev") if "update-pipeline" in command)
    assert shell.run(command) == [
        ("GetPipeline", {"name": "shop-dev"}),
        ("UpdatePipeline", {"pipeline": pipeline("dev")}),
    ]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("aws codepipeline start-pipeline-executoin --name shop-dev --region eu-west-1", "invalid choice"),
        ("aws codepipeline start-pipeline-execution --nmae shop-dev --region eu-west-1", "required: --name"),
        ("aws codepipeline start-pipeline-execution --name --region eu-west-1", "expected one argument"),
        (f"{RAISE} --service-code codebuild --quota-code L-5ED1D25B --desired-value four", "invalid float value"),
        ("aws codepipeline update-pipeline --pipeline file://nowhere.json --region eu-west-1", "nowhere.json"),
        ("aws codepipeline start-pipeline-execution --name shop-dev", "You must specify a region"),
    ],
    ids=["operation", "option", "no value", "no number", "no file", "no region"],
)
def test_a_command_that_is_wrong_is_refused(command: str, complaint: str, shell: Shell) -> None:
    """Otherwise the tests above could not see anything."""
    done = shell.paste(command)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert shell.requests == []

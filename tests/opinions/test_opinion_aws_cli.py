"""Every command that a stack tells its user, pasted into a shell and given to the AWS CLI.

The shell takes it apart, the AWS CLI parses it and holds every parameter against the service's model. Nothing is sent:
each request is answered where it would leave the machine.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aws_requests import requests_of
from awscli.clidriver import create_clidriver  # type: ignore[import-untyped]  # awscli ships no types
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]  # botocore ships no types
from botocore.model import OperationModel  # type: ignore[import-untyped]  # botocore ships no types
from stack_graphs import NAMES, described, graph
from summary import ROOT

RAISE = "aws service-quotas request-service-quota-increase --region eu-west-1"
COMMAND = re.compile(r": (aws .+)$")
PASTED = 'aws() { printf "%s\\0" "$@"; printf "\\n"; } >&3\n'
"""A shell function that writes down what the shell made of a command, on a channel of its own."""


def notes(name: str) -> list[str]:
    return list(graph(name).exports["nextSteps"])


def commands(name: str) -> list[str]:
    return [found[1] for note in notes(name) if (found := COMMAND.search(note))]


def taken_apart(command: str, folder: Path) -> Iterator[list[str]]:
    """The calls of the AWS CLI that a shell makes of a command."""
    done = subprocess.run(
        ["bash", "-euc", f"exec 3>&1 >/dev/null; {PASTED}{command}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    for line in done.stdout.splitlines():
        yield line.split("\0")[:-1]


class Cli:
    """The AWS CLI in this process, with somebody who answers for AWS."""

    def __init__(self) -> None:
        self.answers: Mapping[str, Any] = {}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self._driver = create_clidriver()
        self._driver.session.register("before-parameter-build", self._note)
        self._driver.session.register("before-call", self._answer)

    def call(self, words: Sequence[str]) -> tuple[int, str, str]:
        """Run one call: exit code, output, complaints."""
        said, complained = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(complained):
            try:
                code = self._driver.main(list(words))
            except SystemExit as end:  # what cannot be parsed
                code = int(end.code or 0)
        return int(code), said.getvalue(), complained.getvalue()

    def _note(self, params: Mapping[str, Any], model: OperationModel, **_rest: object) -> None:
        self.asked.append((model.name, dict(params)))

    def _answer(self, model: OperationModel, **_rest: object) -> tuple[AWSResponse, Any]:
        response = AWSResponse("https://nowhere", 200, {}, None)
        return response, self.answers.get(model.name, {})


@pytest.fixture(scope="module")
def one_cli() -> Iterator[Cli]:
    """Made once: it reads the descriptions of the services."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "nobody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        environment.setenv("AWS_CONFIG_FILE", "/dev/null")
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        yield Cli()


@pytest.fixture
def cli(one_cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """In a folder of its own, with the file that a person was told to write."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token.txt").write_text("a-token\n")
    one_cli.asked = []
    return one_cli


@cache
def pipeline(name: str) -> Mapping[str, Any]:
    """The pipeline as AWS would hand it out."""
    (made,) = (request for request in requests_of(described(name)) if request.operation == "CreatePipeline")
    return dict(made.params["pipeline"])


def paste(cli: Cli, command: str, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Paste a command of a stack into a shell; returns what AWS was asked."""
    cli.answers = {"GetPipeline": {"pipeline": pipeline(name), "metadata": {"created": 0}}}
    asked = len(cli.asked)
    folder = Path.cwd()
    before = set(folder.iterdir())
    calls = list(taken_apart(command, folder))
    made = [path for path in folder.iterdir() if path not in before]
    assert calls, command
    for words in calls:
        assert "--region" in words, command
        code, said, complained = cli.call(words)
        assert (code, complained) == (0, ""), f"{command}\n{complained}"
        for path in made:  # where the shell sent the output
            path.write_text(path.read_text() + said)
    return cli.asked[asked:]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_that_the_aws_cli_knows(name: str, cli: Cli) -> None:
    assert commands(name)
    for command in commands(name):
        assert paste(cli, command, name)


def test_the_commands_of_the_account_page_are_known_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")  # IAM has no region to name
    page = (ROOT / "docs" / "account.md").read_text(encoding="utf-8")
    found = re.findall(r"`(aws [^`]+)`|^(aws .+)$", page, re.MULTILINE)
    assert len(found) == 6
    for command in ("".join(pair) for pair in found):
        (words,) = taken_apart(command, Path.cwd())
        code, _, complained = cli.call(words)
        assert (code, complained) == (0, ""), command


def test_every_kind_of_command_is_among_them() -> None:
    every = {command for name in NAMES for command in commands(name)}
    calls = {tuple(call.split()[1:3]) for command in every for call in re.findall(r"aws \S+ \S+", command)}
    assert calls == {
        ("codeconnections", "get-connection"),
        ("codepipeline", "get-pipeline"),
        ("codepipeline", "start-pipeline-execution"),
        ("codepipeline", "update-pipeline"),
        ("secretsmanager", "create-secret"),
        ("secretsmanager", "put-secret-value"),
        ("service-quotas", "request-service-quota-increase"),
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


def test_saving_the_pipeline_as_it_is_changes_nothing_of_it(cli: Cli) -> None:
    (command,) = (command for command in commands("dev") if "update-pipeline" in command)
    assert paste(cli, command, "dev") == [
        ("GetPipeline", {"name": "shop-dev"}),
        ("UpdatePipeline", {"pipeline": pipeline("dev")}),
    ]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("aws codepipeline start-pipeline-executoin --name shop-dev --region eu-west-1", "Invalid choice"),
        ("aws codepipeline start-pipeline-execution --nmae shop-dev --region eu-west-1", "required: --name"),
        ("aws codepipeline start-pipeline-execution --name --region eu-west-1", "expected one argument"),
        (f"{RAISE} --service-code codebuild --quota-code L-5ED1D25B --desired-value four", "invalid float value"),
        ("aws codepipeline update-pipeline --pipeline file://nowhere.json --region eu-west-1", "nowhere.json"),
    ],
    ids=["operation", "option", "no value", "no number", "no file"],
)
def test_a_command_that_is_wrong_is_refused(command: str, complaint: str, cli: Cli) -> None:
    """Otherwise the tests above could not see anything."""
    (words,) = taken_apart(command, Path.cwd())
    code, _, complained = cli.call(words)
    assert code != 0
    assert complaint in complained

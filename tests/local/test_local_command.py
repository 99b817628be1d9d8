"""`python -m local` and `make`: what a person types and reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.__main__ import main
from local.engine.stack import ROOT


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_stack_there_is_no_file_for_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "--stack", "staging"]) == 1
    assert capsys.readouterr().err == (
        "Pulumi.staging.yaml: there is no such stack file. Stacks here: dev, prod - "
        "take one of them (STACK=...), or copy its file to Pulumi.staging.yaml.\n"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"config: [", "is not YAML"),
        (b"- a\n- b\n", "must be an object"),
        (b"config:\n  ecs-delivery:aplication: {name: shop}\n", "did you mean application?"),
        (b"", "ecs-delivery:application"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
    ids=["not YAML", "a list", "misspelt", "empty", "not text"],
)
def test_a_wrong_stack_file_is_told_before_the_engine_starts(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no pulumi, no Go: nothing that could start
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_bytes(content)
    assert main(["preview", "--stack-file", str(file)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "Traceback" not in output.err
    assert all(re.match(r"Pulumi\.dev\.yaml:(\d+:)? ", line) for line in output.err.splitlines())
    assert said in output.err


def test_a_stack_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--stack-file", str(tmp_path / "mine.yaml")]) == 1
    assert capsys.readouterr().err.startswith("mine.yaml: does not exist")


def test_without_pulumi_and_go_the_command_ends_with_3_and_says_what_to_install(tmp_path: Path) -> None:
    result = run(ROOT, "preview", PATH=str(tmp_path), HOME=str(tmp_path))
    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    assert "curl -fsSL https://get.pulumi.com | sh" in result.stderr


def test_an_unknown_command_names_those_there_are() -> None:
    result = run(ROOT, "prevue", **os.environ)
    assert result.returncode == 2
    assert "preview" in result.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository: the unchanged program with the unchanged stack files, and no state yet."""
    folder = tmp_path_factory.mktemp("checkout") / "repository"
    # What is compiled already is compiled in the copy, too: it has the times of the files that it was made of.
    leave_out = shutil.ignore_patterns(".venv", ".git", ".local", ".mypy_cache", ".ruff_cache")
    shutil.copytree(ROOT, folder, ignore=leave_out)
    return folder


EXAMPLE = ("--stack-file", "examples/Pulumi.classic.yaml")


def local(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    hostile = {**os.environ, "AWS_PROFILE": "nobody", "PULUMI_BACKEND_URL": "s3://nowhere", "AWS_REGION": "mars-1"}
    return run(checkout, *arguments, **hostile)


@pytest.mark.engine
def test_nothing_is_deployed_at_first(checkout: Path) -> None:
    result = local(checkout, "outputs")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Stack dev is not deployed on this machine: make up STACK=dev\n"
    result = local(checkout, "destroy")
    assert result.returncode == 0
    assert result.stdout == "Stack dev is not deployed on this machine: there is nothing to destroy.\n"


@pytest.mark.engine
def test_a_wrong_stack_file_is_told_alone_where_the_engine_starts_meanwhile(checkout: Path) -> None:
    """The engine has nothing to say about a program that was not run."""
    file = checkout / "Pulumi.wrong.yaml"
    file.write_text("config:\n  ecs-delivery:aplication: {name: shop}\n")
    result = local(checkout, "preview", "--stack", "wrong")
    file.unlink()
    assert (result.returncode, result.stdout) == (1, "")
    assert "did you mean application?" in result.stderr
    assert all(line.startswith("Pulumi.wrong.yaml:") for line in result.stderr.splitlines())


@pytest.fixture(scope="module")
def session(checkout: Path) -> dict[tuple[str, ...], subprocess.CompletedProcess[str]]:
    """Every command, one after the other, each also with an example's file: as they were typed, and what they did.

    What is deployed is destroyed twice, by either file.
    """
    state, kept = checkout / ".local" / "engine" / "dev", checkout.parent / "kept"
    commands = [("preview",), ("preview", *EXAMPLE), ("up",), ("preview", "--json"), ("preview", "--json", *EXAMPLE)]
    commands += [(*command, *file) for command in (("outputs",), ("graph",)) for file in ((), EXAMPLE)]
    done = {command: local(checkout, *command) for command in commands}
    shutil.copytree(state, kept)
    done[("destroy", *EXAMPLE)] = local(checkout, "destroy", *EXAMPLE)
    assert not state.exists()
    kept.rename(state)
    done["destroy",] = local(checkout, "destroy")
    return done


@pytest.mark.engine
def test_preview_up_outputs_graph_and_destroy_work_one_after_the_other(
    checkout: Path, session: dict[tuple[str, ...], subprocess.CompletedProcess[str]]
) -> None:
    preview = session["preview",]
    assert preview.returncode == 0, preview.stderr
    assert re.match(
        r"Stack dev of Pulumi\.dev\.yaml: pulumi \S+, stand-in AWS, no account\.\n\nshop, dev: nothing is",
        preview.stdout,
    )
    assert re.search(r"\n\nPlanned in \d+\.\d s\. To deploy it here: make up STACK=dev\n\Z", preview.stdout)
    assert preview.stderr == ""

    up = session["up",]
    assert up.returncode == 0, up.stderr
    assert re.search(r"\n\d+ created\n\nDeployed in ", up.stdout)

    again = json.loads(session["preview", "--json"].stdout)
    assert {found["op"] for found in again["steps"]} == {"same"}

    outputs = session["outputs",].stdout
    assert re.search(r"^pipelineName +shop-dev$", outputs, re.MULTILINE)

    graph = json.loads(session["graph",].stdout)
    assert "aws:codepipeline/pipeline:Pipeline" in {resource["type"] for resource in graph}

    destroyed = session["destroy",]
    assert destroyed.returncode == 0, destroyed.stderr
    assert destroyed.stdout.endswith("Its state is gone from this machine.\n")
    assert not (checkout / ".local" / "engine" / "dev").exists()
    assert {path.name: path.read_bytes() for path in checkout.glob("Pulumi*.yaml")} == {
        path.name: path.read_bytes() for path in ROOT.glob("Pulumi*.yaml")
    }


@pytest.mark.engine
def test_examples_can_be_tried_one_after_the_other(
    session: dict[tuple[str, ...], subprocess.CompletedProcess[str]],
) -> None:
    """What a newcomer does; it ended in a traceback once, since the state went by the name of the file."""
    for typed, done in session.items():
        assert (done.returncode, done.stderr) == (0, ""), typed
    preview = session[("preview", *EXAMPLE)].stdout
    assert preview.startswith("Stack dev of examples/Pulumi.classic.yaml: ")
    assert preview.endswith("make up STACK=dev STACK_FILE=examples/Pulumi.classic.yaml\n")
    over_what_is_deployed = json.loads(session[("preview", "--json", *EXAMPLE)].stdout)
    assert {"same", "create", "delete"} <= {found["op"] for found in over_what_is_deployed["steps"]}
    for command in ("outputs", "graph"):
        assert session[(command, *EXAMPLE)].stdout == session[command,].stdout, "it is the stack's, whatever the file"

"""`make new`: the stack files of a repository, from five answers, accepted by the program and by each other."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mocked import build_program

from components.settings import load_settings, load_stack_file
from local.__main__ import main
from local.errors import Refusal
from local.new import command, dockerfile
from local.new.arguments import add_arguments
from local.new.dockerfile import Said
from local.new.stack_files import gaps

ROOT = Path(__file__).parents[2]
ANSWERS = {
    "--repository": "acme/store",
    "--branch": "master",
    "--port": "3000",
    "--health-path": "/healthz",
    "--certificate": "none",
}
CERTIFICATE = "arn:aws:acm:eu-central-1:210987654321:certificate/11111111-2222-4333-8444-555555555555"


def words(*more: str, **changed: str | None) -> list[str]:
    given = {**ANSWERS, **{f"--{name.replace('_', '-')}": value for name, value in changed.items()}}
    return [*(word for flag, value in given.items() if value is not None for word in (flag, value)), *more]


def new(folder: Path, arguments: list[str], ask: Callable[[str], str] | None = None) -> list[str]:
    """Write the files, and return the names of the stacks."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    before = set(folder.glob("Pulumi.*.yaml"))
    command.run(parser.parse_args(arguments), folder=folder, ask=ask)
    return sorted(file.name.split(".")[1] for file in set(folder.glob("Pulumi.*.yaml")) - before)


def refused(folder: Path, arguments: list[str]) -> list[str]:
    with pytest.raises(Refusal) as refusal:
        new(folder, arguments)
    return str(refusal.value).splitlines()


@pytest.mark.parametrize(
    ("arguments", "stacks"),
    [
        (words(), ["dev", "prod"]),
        (words("--environments", "dev,staging,prod"), ["dev", "prod", "staging"]),
        (words("--environments", "prod"), ["prod"]),
        (words("--several"), ["store-dev", "store-prod"]),
        (words(certificate=CERTIFICATE), ["dev", "prod"]),
    ],
    ids=["two", "three", "one", "several applications", "https"],
)
def test_the_files_make_pipelines_that_hand_the_image_on(
    tmp_path: Path, arguments: list[str], stacks: list[str]
) -> None:
    assert new(tmp_path, arguments) == stacks
    values = {stack: load_stack_file(tmp_path / f"Pulumi.{stack}.yaml") for stack in stacks}
    assert list(gaps(values)) == []
    graphs = {stack: build_program(dict(given), stack_name=stack) for stack, given in values.items()}
    for stack, graph in graphs.items():
        environment = stack.removeprefix("store-")
        assert graph.exports["pipelineName"] == f"store-{environment}"
        expected = ["Source", "Build", "Deploy", *(["Promote"] if environment != "prod" else [])]
        assert list(graph.stages) == expected  # no stage that needs something of the application
    assert ("aws:region", "eu-central-1" if CERTIFICATE in arguments else "eu-west-1") in values[stacks[0]].items()


@pytest.mark.parametrize(
    ("stage", "section"),
    [("Test", "  ecs-delivery:tests:\n    enabled: "), ("Release", "  ecs-delivery:release:\n    enabled: ")],
)
def test_one_line_switches_a_stage_on(tmp_path: Path, stage: str, section: str) -> None:
    new(tmp_path, words())
    file = tmp_path / "Pulumi.prod.yaml"
    text = file.read_text()
    assert f"{section}false # true: " in text
    file.write_text(text.replace(f"{section}false", f"{section}true").replace("smokeTest: { enabled: false }", ""))
    assert stage in build_program(dict(load_stack_file(file)), stack_name="prod").stages


def test_the_smoke_test_is_another_line(tmp_path: Path) -> None:
    new(tmp_path, words())
    file = tmp_path / "Pulumi.dev.yaml"
    text = file.read_text().replace("smokeTest: { enabled: false }", "smokeTest: { enabled: true }")
    file.write_text(text.replace("tests:\n    enabled: false", "tests:\n    enabled: true"))
    graph = build_program(dict(load_stack_file(file)), stack_name="dev")
    assert "RunSmokeTest" in {action["name"] for action in graph.stages["Test"]}


def test_what_is_missing_is_named_at_once_where_nobody_can_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = refused(tmp_path, ["--port", "3000"])
    assert [line.partition(":")[0] for line in lines] == ["--repository", "--branch", "--health-path", "--certificate"]
    assert not list(tmp_path.iterdir())
    assert main(["new"]) == 1
    assert "--port: is missing. The port that its program listens on - add --port VALUE" in capsys.readouterr().err


def test_each_wrong_answer_says_what_is_allowed(tmp_path: Path) -> None:
    arguments = words(
        "--region", "mars", "--environments", "dev,dev", "--name", "Store",
        port="http", health_path="healthz", certificate="yes", branch="",
    )  # fmt: skip
    lines = refused(tmp_path, arguments)
    assert [line.partition(":")[0] for line in lines] == [
        "--branch", "--port", "--health-path", "--certificate", "--name", "--region", "--environments",
    ]  # fmt: skip
    assert all(" must be " in line and ", got " in line and " - " in line for line in lines)
    assert refused(tmp_path, words(repository="https://gitlab.com/acme/store"))[0].startswith("--repository: must be ")
    assert refused(tmp_path, words("--region", "eu-west-1", certificate=CERTIFICATE)) == [
        "--region: must be the certificate's region, got eu-west-1 - leave it out"
    ]
    assert refused(tmp_path, words("--app", str(tmp_path / "nowhere")))[0].startswith("--app: must be a folder")


@pytest.mark.parametrize(
    "address", ["https://github.com/acme/store.git", "git@github.com:acme/store.git", "acme/store"]
)
def test_an_address_is_understood(tmp_path: Path, address: str) -> None:
    new(tmp_path, words(repository=address))
    settings = load_settings(load_stack_file(tmp_path / "Pulumi.dev.yaml"), stack="dev")
    assert settings.source.github
    assert settings.source.github.repository == "acme/store"


def test_a_long_name_loses_whole_words(tmp_path: Path) -> None:
    new(tmp_path, words(repository="jtwebman/node-express-docker-starter"))
    values = load_stack_file(tmp_path / "Pulumi.dev.yaml")
    assert load_settings(values, stack="dev").application.name == "node-express-docker"


def test_nothing_is_overwritten_but_the_example(tmp_path: Path) -> None:
    for name in ("Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    new(tmp_path, words())
    written = (tmp_path / "Pulumi.dev.yaml").read_bytes()
    [line] = refused(tmp_path, words(port="4000"))
    assert line.startswith("Pulumi.dev.yaml, Pulumi.prod.yaml: is there already, and nothing was written - add --force")
    assert (tmp_path / "Pulumi.dev.yaml").read_bytes() == written
    assert new(tmp_path, words("--several", repository="acme/blog")) == ["blog-dev", "blog-prod"]
    new(tmp_path, words("--force", port="4000"))
    assert b"port: 4000" in (tmp_path / "Pulumi.dev.yaml").read_bytes()


def test_a_person_is_asked_five_questions_and_again_when_an_answer_is_wrong(tmp_path: Path) -> None:
    asked: list[str] = []
    answers = iter(["acme/store", "", "none", "3000", "/up", ""])

    def ask(question: str) -> str:
        asked.append(question)
        return next(answers)

    assert new(tmp_path, [], ask) == ["dev", "prod"]
    assert len(dict.fromkeys(asked)) == 5
    assert [question for question in asked if asked.count(question) > 1] == [
        "The port that its program listens on: "
    ] * 2
    settings = load_settings(load_stack_file(tmp_path / "Pulumi.dev.yaml"), stack="dev")
    assert (settings.application.port, settings.application.health_check_path) == (3000, "/up")
    assert settings.source.github
    assert settings.source.github.branch == "main"
    assert settings.hosting.load_balancer.plain_http


def test_a_checkout_answers_four_of_them(tmp_path: Path) -> None:
    app = tmp_path / "app"
    for arguments in (
        ["init", "-q", "-b", "trunk", str(app)],
        ["-C", str(app), "remote", "add", "origin", "git@github.com:acme/store.git"],
    ):
        subprocess.run(["git", *arguments], check=True)
    (app / "Dockerfile").write_text(
        "FROM node\nEXPOSE 3000\nHEALTHCHECK CMD curl -f http://localhost:3000/up || exit 1\n"
    )
    new(tmp_path, ["--app", str(app), "--certificate", "none"])
    settings = load_settings(load_stack_file(tmp_path / "Pulumi.dev.yaml"), stack="dev")
    assert settings.source.github
    assert (settings.source.github.repository, settings.source.github.branch) == ("acme/store", "trunk")
    assert (settings.application.port, settings.application.health_check_path) == (3000, "/up")


def test_of_several_ports_a_person_has_to_choose(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM node\nEXPOSE 80 443\n")
    lines = refused(tmp_path, words("--app", str(tmp_path), port=None))
    assert [line.partition(":")[0] for line in lines] == ["--port"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM a\nEXPOSE 8080", Said((8080,))),
        ("FROM a\nARG PORT=3000\nENV PORT=${PORT}\nEXPOSE $PORT", Said((3000,))),
        ("FROM a\nENV PORT 3000\nEXPOSE ${PORT:-80}/tcp", Said((3000,))),
        ("FROM a\nEXPOSE ${PORT:-80}", Said((80,))),
        ("FROM a\nEXPOSE $PORT", Said()),
        ("FROM a\nEXPOSE 53/udp 80/TCP 8000-8010", Said((80,))),
        ("FROM a AS build\nEXPOSE 9000\nFROM b\nEXPOSE 80", Said((80,))),
        ("FROM a AS Base\nEXPOSE 9000\nFROM base\n", Said((9000,))),
        ("FROM --platform=linux/arm64 a\nexpose 80 \\\n  # more\n  443", Said((80, 443))),
        ("FROM a\nHEALTHCHECK --interval=5s --retries=3 CMD wget -qO- http://127.0.0.1:80/ping?x=1", Said((), "/ping")),
        ('FROM a\nHEALTHCHECK CMD ["curl", "-f", "http://localhost"]', Said((), "/")),
        ("FROM a\nENV P=81\nHEALTHCHECK CMD curl http://localhost:${P}/h || exit 1", Said((), "/h")),
        ("FROM a\nHEALTHCHECK CMD curl http://localhost/h\nHEALTHCHECK NONE", Said()),
        ("FROM a\nHEALTHCHECK CMD [not json", Said()),
        ("FROM a\nENV A='\nEXPOSE 1", Said((1,))),
        ("", Said()),
    ],
)
def test_a_dockerfile_says_port_and_health_check(text: str, said: Said) -> None:
    assert dockerfile.read(text) == said


def test_a_gap_between_two_files_is_found() -> None:
    stacks = {name: dict(load_stack_file(ROOT / f"Pulumi.{name}.yaml")) for name in ("dev", "prod")}
    assert list(gaps(stacks)) == []
    other = {**stacks["prod"], "ecs-delivery:source": {"ecr": {"repository": "else", "tag": "promoted"}}}
    assert list(gaps({**stacks, "prod": other})) == [
        "Pulumi.dev.yaml promotes into shop-prod:promoted, and no stack file watches that: the image goes no further"
    ]
    ecr = {"repository": "shop-prod", "tag": "promoted", "promoters": ["shop-test-promote-image"]}
    [line] = gaps({**stacks, "prod": {**stacks["prod"], "ecs-delivery:source": {"ecr": ecr}}})
    assert line.endswith("promotes by shop-dev-promote-image: add it to source.ecr.promoters")
    [line] = gaps({**stacks, "prod": {**stacks["prod"], "ecs-delivery:application": {"name": "blog"}}})
    assert line == "Pulumi.dev.yaml promotes shop, and Pulumi.prod.yaml delivers blog"
    elsewhere = {"enabled": True, "repository": "shop-prod", "accountId": "210987654321"}
    assert list(gaps({"dev": {**stacks["dev"], "ecs-delivery:promotion": elsewhere}})) == []


def test_every_command_that_is_written_down_is_one(tmp_path: Path) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    found = [
        command
        for page in pages
        for command in re.findall(r'make new(?: APP=\S+)?(?: ARGS="[^"]*")?', page.read_text(encoding="utf-8"))
    ]
    assert len(set(found)) >= 5
    for number, written in enumerate(dict.fromkeys(found)):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = dict(word.split("=", 1) for word in shlex.split(written)[2:])
        arguments = shlex.split(given.get("ARGS", ""))
        missing = [word for flag, value in ANSWERS.items() if flag not in arguments for word in (flag, value)]
        assert new(folder, [*arguments, *missing]), written

"""`make rehearse`: what a person types, reads and is left with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.__main__ import main
from local.engine.stack import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearse command")]


class Place:
    """Where a rehearsal keeps what it makes, for a look at what it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.folder)}

    def left(self) -> list[str]:
        """Files, processes and mounts."""
        found = [str(path) for path in self.folder.iterdir()]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.folder) in words:
                found.append(f"{process.name}: {words[:200]}")
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
        return found + [line for line in mounts if str(self.folder) in line]


@pytest.fixture
def place(need: Callable[..., None]) -> Iterator[Place]:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy", "chromium", "lighthouse")
    with tempfile.TemporaryDirectory(prefix="r-") as folder:  # short: sockets are in it
        yield Place(Path(folder))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "local", "rehearse", *words]


def test_the_stages_and_actions_can_be_listed_without_running_any(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0] == "dev: shop-dev, superseded"
    assert "    1  RunLighthouse           CodeBuild" in listed
    assert "prod: shop-prod, queued" in listed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--app", "nowhere"], "nowhere is no folder: the folder of an application is wanted"),
        (["--stack", "staging"], "Pulumi.staging.yaml: there is no such stack file. Stacks here: dev, prod"),
        (
            ["--stack-file", "examples/Pulumi.classic.yaml"],
            "--stack-file is the file of one stack: name it with --stack",
        ),
        (["--until", "Bild"], "shop-dev has no Bild; there are Source, Build, Deploy, Test, Promote, BuildImage,"),
        (["--stack", "prod"], "shop-prod begins with an image, and not with code: rehearse it after the stack"),
    ],
    ids=["no folder", "no stack", "file of no stack", "no action", "prod alone"],
)
def test_what_cannot_be_rehearsed_is_refused_with_the_way_out(
    words: list[str], said: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.left() == []  # the tools are there
    assert main(["rehearse", *words]) == 1
    output = capsys.readouterr()
    assert output.err.startswith(said)
    assert "Traceback" not in output.err


def test_secrets_are_asked_for_before_anything_starts_and_their_file_stays_out(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.left() == []  # the tools are there
    stack, application = tmp_path / "Pulumi.dev.yaml", tmp_path / "shop"
    secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/token-AbCdEf"  # noqa: S105 - a name
    text = (ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    stack.write_text(text.replace("    memory: 512\n", f'    memory: 512\n    secrets: {{ TOKEN: "{secret}" }}\n'))
    words = ["rehearse", "--stack", "dev", "--stack-file", str(stack)]
    assert main(words) == 1
    lacking = f"The application reads secrets, and none is given:\n  TOKEN of dev: {secret}\nWrite them into a file, "
    assert lacking in capsys.readouterr().err
    application.mkdir()
    (application / "a").touch()
    assert main([*words, "--app", str(application), "--until", "BuildImage"]) == 1
    assert capsys.readouterr().err.startswith("The application has no Dockerfile"), (
        "nothing is deployed, so none is read"
    )
    (application / ".env").write_text("TOKEN=open-sesame\n")
    assert main([*words, "--app", str(application), "--secrets", str(application / ".env")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{application}/.env would be delivered with the application: list it in .gitignore, or")
    (application / ".gitignore").write_text(".env\n")
    assert main([*words, "--app", str(application), "--secrets", str(application / ".env")]) == 1
    assert capsys.readouterr().err.startswith("The application has no Dockerfile and no smoke/Dockerfile, "), (
        "it goes on"
    )


def test_a_part_of_a_delivery_leaves_a_report_and_nothing_else(place: Place, tmp_path: Path) -> None:
    words = command("--stack", "dev", "--until", "BuildImage", "--json", "--report", str(tmp_path))
    done = subprocess.run(words, cwd=ROOT, env=place.environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    (run,) = summary["stacks"][0]["runs"]
    assert [(action["action"], action["status"]) for action in run["actions"]] == [
        ("Source", "Succeeded"),
        ("BuildImage", "Succeeded"),
    ]
    first = done.stderr.splitlines()[:10]
    assert first[0].startswith("dev: ")
    assert {part["name"] for part in summary["emulated"]} <= {line[2:26].rstrip() for line in first}
    assert {path.name for path in tmp_path.iterdir()} == {"rehearsal.html", "rehearsal.json", "junit.xml"}
    assert place.left() == []


@pytest.mark.usefixtures("interruptible")
def test_a_rehearsal_that_is_interrupted_leaves_nothing(place: Place, tmp_path: Path) -> None:
    with subprocess.Popen(
        command("--stack", "dev", "--report", str(tmp_path)),
        cwd=ROOT,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if "BuildImage begins" in line:
                break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)

    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "Interrupted."
    deadline = time.monotonic() + 20
    while place.left() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert place.left() == []

"""`make rehearse`: what a person types, reads and is left with."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from terminals import in_terminal

from local.__main__ import main
from local.engine.stack import ROOT
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.delivery import _decide
from local.rehearsal.report.terminal import Lines

APPROVED = """config:
  aws:region: eu-west-1
  ecs-delivery:application: { name: shop, port: 8080, healthCheckPath: /healthz }
  ecs-delivery:source: { github: { repository: example/shop, branch: main } }
  ecs-delivery:hosting: { loadBalancer: { plainHttp: true } }
  ecs-delivery:promotion: { enabled: true, repository: shop-prod, approval: { enabled: true } }
"""

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rehearse command")]


class Place:
    """Where a rehearsal keeps what it makes, for a look at what it leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[int, str] = {}
        self._groups: set[str] = set()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.folder)}

    def note(self, command: int) -> None:
        """Take down which processes and control groups a running command has."""
        parents = {process: parent for process, (parent, _) in processes().items()}
        children = [command]
        for process in children:
            children += [child for child, parent in parents.items() if parent == process]
        now = processes()
        self._processes = {process: now[process][1] for process in children if process in now}
        self._groups = {path.name for path in self.folder.glob("**/sandbox-*")}

    def left(self) -> list[str]:
        """Files, processes, mounts and control groups; a network namespace ends with its processes and mounts."""
        found = [str(path) for path in self.folder.iterdir()]
        now = processes()
        for process, (_, started) in now.items():
            try:
                words = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.folder) in words or self._processes.get(process) == started:
                found.append(f"{process}: {words[:200]}")
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
        # Other machines end meanwhile, and with them what is being looked through, which `os.walk` takes as it comes.
        groups = [path for path, _, _ in os.walk("/sys/fs/cgroup") if Path(path).name in self._groups]
        return [*found, *(line for line in mounts if str(self.folder) in line), *groups]

    def left_in_the_end(self) -> list[str]:
        """What is left when everything has had its time to end."""
        deadline = time.monotonic() + 20
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


def processes() -> dict[int, tuple[int, str]]:
    """The parent of each process, and when it was started."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            found[int(process.name)] = (int(fields[1]), fields[19])
    return found


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
            ["--stack-file", "classic.yaml"],
            "--stack-file classic.yaml does not say of which stack: --stack-file NAME=classic.yaml",
        ),
        (
            ["--stack-file", "qa=qa.yaml"],
            "--stack-file qa=qa.yaml: qa is not rehearsed, but dev, prod; name them all with --stack",
        ),
        (
            ["--until", "Bild"],
            "there is no stage or action Bild: dev has Source, Build, Deploy, Test, Promote, BuildImage",
        ),
        (["--until", "staging/Deploy"], "staging/Deploy: no stack staging is rehearsed here, only dev and prod"),
        (
            ["--from", "Bild"],
            "there is no stage or action Bild: dev has Source, Build, Deploy, Test, Promote, BuildImage",
        ),
        (["--stack", "prod"], "shop-prod begins with an image, and not with code: rehearse it after the stack"),
    ],
    ids=[
        "no folder",
        "no stack",
        "file of no stack",
        "file of another stack",
        "no action",
        "no stack of an action",
        "from no action",
        "prod alone",
    ],
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
    lacking = (
        f"The application, its build or its tests read secrets, and none is given:\n  TOKEN of dev: {secret}\n"
        "Write them into a "
    )
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
    report, application = tmp_path / "report", tmp_path / "application"
    shutil.copytree(EXAMPLE, application)

    def rehearsed(*words: str) -> subprocess.CompletedProcess[str]:
        always = ("--app", str(application), "--until", "BuildImage", "--json", "--report", str(report))
        return subprocess.run(
            command(*always, *words), cwd=ROOT, env=place.environment, capture_output=True, text=True, check=False
        )

    def reused(done: subprocess.CompletedProcess[str]) -> dict[str, bool]:
        assert done.returncode == 0, done.stderr
        (run,) = json.loads(done.stdout)["stacks"][0]["runs"]
        assert {action["status"] for action in run["actions"]} == {"Succeeded"}
        return {action["action"]: action["reused"] for action in run["actions"]}

    done = rehearsed("--fresh")
    assert reused(done) == {"Source": False, "BuildImage": False, "BuildSmokeTestImage": False}
    first = done.stderr.splitlines()[:10]
    assert first[0].startswith("dev: ")
    emulated = {part["name"] for part in json.loads(done.stdout)["emulated"]}
    assert emulated <= {line[2:26].rstrip() for line in first}
    assert {path.name for path in report.iterdir()} == {"rehearsal.html", "rehearsal.json", "junit.xml"}
    assert place.left() == []

    for words in ((), ("--retry",)):
        again = rehearsed(*words)
        assert reused(again) == {"Source": False, "BuildImage": True, "BuildSmokeTestImage": True}
        assert "dev / Build / BuildImage as before, " in again.stderr
    assert place.left() == []

    (application / "server.py").write_text("# Another version\n")
    refused = rehearsed("--retry")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("--retry continues the last rehearsal of the same commit, and there was none of ")
    assert place.left() == []


def test_an_approval_that_nobody_can_be_asked_for_fails_with_the_way_out(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(APPROVED)
    words = command("--stack", "dev", "--stack-file", str(file), "--json", "--report", str(tmp_path / "report"))
    done = subprocess.run(
        words, cwd=ROOT, env=place.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1, done.stderr
    (run,) = json.loads(done.stdout)["stacks"][0]["runs"]
    last = run["actions"][-1]
    assert (last["action"], last["status"]) == ("ApprovePromotion", "Failed")
    assert last["error"] == "Nobody can be asked for an approval without a terminal; --approve says yes."


@pytest.mark.parametrize(
    ("said", "seconds", "decision"),
    [("y\n", 60, True), ("no\n", 60, False), ("", 0.01, None)],
    ids=["yes", "no", "late"],
)
def test_a_person_at_a_terminal_is_asked_for_as_long_as_the_approval_waits(
    said: str, seconds: float, decision: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        os.write(ours, said.encode())
        assert _decide(Lines(StringIO()), "Approve", "Look at dev.", seconds, approve=False) is decision
    os.close(ours)


@contextlib.contextmanager
def running(place: Place, report: Path, moment: str) -> Iterator[subprocess.Popen[str]]:
    """A rehearsal that has come to the line with this text."""
    words = command("--stack", "dev", "--fresh", "--verbose", "--report", str(report))
    with subprocess.Popen(
        words, cwd=ROOT, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert any(moment in line for line in process.stdout), "it has ended before"
        place.note(process.pid)
        yield process


@pytest.mark.parametrize("moment", ["dev: ", "Source succeeded"], ids=["first line", "in a run"])
def test_a_rehearsal_whose_output_nobody_reads_any_more_ends(place: Place, tmp_path: Path, moment: str) -> None:
    """As with `make rehearse | head`."""
    with running(place, tmp_path, moment) as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        said = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert said == ""
    assert place.left_in_the_end() == []


@pytest.mark.parametrize("moment", ["Base images", "Source begins", "BuildImage begins"])
@pytest.mark.usefixtures("interruptible")
def test_a_rehearsal_that_is_interrupted_leaves_nothing(moment: str, place: Place, tmp_path: Path) -> None:
    """Before anything has started, while the Docker engine starts beside the first action, and when all has."""
    with running(place, tmp_path, moment) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)

    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "Interrupted."
    assert place.left_in_the_end() == []


@pytest.mark.parametrize(
    "moment",
    ["CodePipeline, CodeBuild", "==> Build and push", "Started the deployment"],
    ids=["start", "build", "deployment"],
)
def test_a_rehearsal_that_is_killed_leaves_nothing(place: Place, tmp_path: Path, moment: str) -> None:
    """Up to a second later, so that it is killed in another state each time."""
    with running(place, tmp_path, moment) as process:
        time.sleep(time.time() % 1)
        place.note(process.pid)
        process.kill()
        process.communicate()

    assert place.left_in_the_end() == []
    assert list(tmp_path.iterdir()) == []


def test_a_shell_opens_in_a_job_that_has_failed_and_its_end_is_that_of_the_rehearsal(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(place.folder))
    words = command("--break", "build", "--until", "BuildImage", "--shell", "--report", str(tmp_path / "report"))
    shown = in_terminal(
        words,
        ("`exit` ends the rehearsal.", "aws sts get-caller-identity --query Arn --output text; ls Dockerfile\n"),
        ("Dockerfile\n", 'python3 "$JOBS_DIR/jobs.pyz" build-image; echo "it ended ""with $?"; exit\n'),
        seconds=120,
    )

    assert "dev / Build / BuildImage, as shop-build-image-role-" in shown
    assert "assumed-role/shop-build-image-role-" in shown
    again = shown.partition("`exit` ends the rehearsal.")[2]
    assert "no-such-option" in again
    assert "it ended with 1" in again
    assert place.left_in_the_end() == []


@pytest.mark.usefixtures("interruptible")
def test_a_rehearsal_is_repeated_for_a_changed_file_until_ctrl_c(place: Place, tmp_path: Path) -> None:
    application = tmp_path / "application"
    shutil.copytree(EXAMPLE, application)
    words = command("--app", str(application), "--until", "Source", "--watch", "--report", str(tmp_path / "report"))
    with subprocess.Popen(
        words, cwd=ROOT, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout

        def until(line_with: str) -> str:
            return next(line for line in process.stdout or () if line_with in line)

        until("Source succeeded")
        until("Waiting for a change.")
        (application / "README.md").write_text("Another application\n")
        assert until("Changed: ") == "Changed: README.md\n"
        until("Source succeeded")
        until("Waiting for a change.")
        place.note(process.pid)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]

    assert process.returncode == 130
    assert said.splitlines()[-1] == "Interrupted."
    assert place.left_in_the_end() == []

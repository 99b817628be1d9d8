"""Stand-in providers in a process of their own: the same answers, and an end with what started them."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.engine.stack import EngineFailure, LocalStack
from local.engine.stand_ins import Resources, Seen, StandIns, StandInsApart
from local.errors import Refusal

ROOT = Path(__file__).parents[2]
_PATIENCE = 30.0

PROGRAM = """
import pulumi
from pulumi_aws import ecr, kms

key = kms.Key("shop", description=pulumi.Config().require("about"))
ecr.Repository("shop", name="shop", encryption_configurations=[
    ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key.arn)
])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: sample\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  aws:region: eu-west-1\n  sample:about: images\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    return tmp_path


def stack(project: Path, stand_ins: StandIns | None = None) -> LocalStack:
    return LocalStack("dev", project_dir=project, stand_ins=stand_ins)


def ports(served: str) -> list[int]:
    return [int(each.partition(":")[2]) for each in served.split(",")]


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_they_serve_until_the_block_ends() -> None:
    with StandInsApart() as stand_ins, stand_ins.serving([]) as served:
        assert served.startswith("aws:")
        assert [answers(port) for port in ports(served)] == [True, True]
        assert stand_ins.seen([]) == Seen([], [])
    assert [answers(port) for port in ports(served)] == [False, False]


@pytest.mark.engine
def test_the_plan_is_the_same_as_with_stand_ins_of_this_process(project: Path) -> None:
    """Of a new stack, and of an edit of a deployed one, of which they are told."""
    with StandInsApart() as stand_ins:
        first = stack(project, stand_ins).preview()
    assert first == stack(project).preview()
    stack(project).up()
    file = project / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("images", "all images"))
    with StandInsApart() as stand_ins:
        edited = stack(project, stand_ins).preview()
    assert edited == stack(project).preview()
    assert [(step.op, step.name) for step in edited.changes] == [("update", "shop")]


def test_what_happened_to_them_is_told_with_the_question() -> None:
    with StandInsApart() as stand_ins:
        stand_ins._process.kill()  # as the kernel does that has no memory left
        with pytest.raises(Refusal, match="process of the stand-in providers has ended"), stand_ins.serving([]):
            pass


class EndingMeanwhile(StandInsApart):
    """Stand-ins whose process ends before the engine asks them anything."""

    @contextmanager
    def serving(self, before: Resources) -> Iterator[str]:
        with super().serving(before) as served:
            self._process.kill()
            yield served


@pytest.mark.engine
def test_a_run_that_they_leave_fails_with_what_the_engine_says(project: Path) -> None:
    with EndingMeanwhile() as stand_ins, pytest.raises(EngineFailure, match=r"could not connect|connection"):
        stack(project, stand_ins).preview()


def test_they_end_with_the_process_that_started_them() -> None:
    """However it ends: nobody is left to end them in an orderly way."""
    code = (
        "import os, signal; from local.engine.stand_ins import StandInsApart\n"
        "with StandInsApart() as apart, apart.serving([]) as ports:\n"
        "  print(ports, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    deadline = time.monotonic() + _PATIENCE
    while any(answers(port) for port in ports(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [answers(port) for port in ports(done.stdout)] == [False, False]


def in_session(leader: int) -> list[str]:
    """The processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, fields = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        state, _, _, session = fields.split()[:4]
        if int(session) == leader and state != "Z":
            found.append(name)
    return found


@pytest.mark.engine
@pytest.mark.parametrize("after", [0.0, 0.2, 0.6])
def test_a_preview_that_is_interrupted_leaves_nothing_behind(request: pytest.FixtureRequest, after: float) -> None:
    """Ctrl-C reaches all processes of the terminal's group at once, at whatever they are."""
    name = f"interrupted{after:.1f}".replace(".", "")
    request.addfinalizer(functools.partial(shutil.rmtree, ROOT / ".local" / "engine" / name))
    file = ROOT / "Pulumi.dev.yaml"
    command = [sys.executable, "-m", "local", "preview", "--stack", name, "--stack-file", str(file)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    process.stdout.readline()
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=_PATIENCE)
    assert process.returncode
    assert "Traceback" not in errors
    deadline = time.monotonic() + _PATIENCE
    while in_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert in_session(process.pid) == []

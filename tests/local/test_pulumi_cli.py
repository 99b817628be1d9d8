"""Finding the pulumi command, building it, and saying what to install: a missing tool is named with its cure."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from local import go_tool
from local.engine.pulumi_cli import PulumiCli, built_version, find_pulumi
from local.engine.stack import ROOT
from local.errors import MissingTool, Refusal

GOOD_GO = """
case "$1" in
version) echo "go version go1.26.0 linux/amd64" ;;
build)
  echo "go: downloading github.com/pulumi/pulumi/pkg/v3 v3" >&2
  echo "github.com/pulumi/pulumi/pkg/v3" >&2
  while [ "$1" != -o ]; do shift; done
  mkdir -p "$(dirname "$2")"; printf '#!/bin/sh\\necho v9\\n' > "$2"; chmod +x "$2" ;;
esac
"""


class Machine:
    """A machine with only what a test puts on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.home = folder / "home"
        self.bin.mkdir()
        self.home.mkdir()
        self.cache = self.home / ".cache" / "ecs-delivery"
        self.built = self.cache / f"pulumi-v{built_version()}" / "bin" / "pulumi"
        monkeypatch.setenv("PATH", str(self.bin))
        monkeypatch.setenv("HOME", str(self.home))
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def put(self, tool: str, script: str) -> Path:
        path = self.bin / tool
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        path.chmod(0o755)
        return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_the_command_on_path_is_used_and_asked_for_its_version_once(machine: Machine) -> None:
    """Asking takes a sixth of a second, at every preview; another command in its place is asked again."""
    for version in ("3.250.1", "3.251.22"):
        path = machine.put("pulumi", f"echo asked >> {machine.home}/asked; echo v{version}")
        assert [find_pulumi(), find_pulumi()] == [PulumiCli(path, version)] * 2
    assert (machine.home / "asked").read_text() == "asked\n" * 2


def test_asking_leaves_nothing_in_the_users_pulumi_home(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real command writes a log whatever it is asked."""
    monkeypatch.setenv("PULUMI_HOME", str(machine.home / ".pulumi"))
    machine.put("pulumi", 'mkdir -p "$PULUMI_HOME/logs"; echo v3.250.1')
    find_pulumi()
    assert not (machine.home / ".pulumi").exists()


@pytest.mark.parametrize("answer", ["echo v3.199.9", "echo v2.250.0", "echo v4.0.0", "echo nonsense", "exit 1"])
def test_a_command_that_does_not_serve_is_passed_over_for_what_was_built_earlier(
    machine: Machine, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    machine.put("pulumi", answer)
    machine.built.parent.mkdir(parents=True)
    machine.built.touch()
    assert find_pulumi() == PulumiCli(machine.built, built_version())
    assert f"and 3.200 or newer is needed: using {built_version()} instead" in capsys.readouterr().err


def test_the_cache_directory_may_be_elsewhere(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine.home / "elsewhere"))
    assert go_tool.cache_directory() == machine.home / "elsewhere" / "ecs-delivery"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert go_tool.cache_directory() == machine.cache


def test_without_pulumi_it_is_built_and_said_what_and_why(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.put("go", GOOD_GO)
    found = find_pulumi()
    said = capsys.readouterr().err
    assert found == PulumiCli(machine.built, built_version())
    assert subprocess.run([found.path], capture_output=True, text=True, check=True).stdout == "v9\n"
    first = f"There is no pulumi on this machine: building pulumi {built_version()} from its Go modules."
    assert said.splitlines()[0] == first
    assert "takes 4 to 5 minutes" in said
    assert "is ready after 0:0" in said
    assert "go: downloading" not in said, "Go's own noise is kept back"
    kept = f"pulumi-v{built_version()}"
    assert {path.name for path in machine.cache.iterdir()} == {kept, f"{kept}.lock"}


def test_the_build_gets_a_version_and_an_environment_of_its_own(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unstamped, the command does not know its version; the user's Go settings are for the user's own modules."""
    machine.put("go", f'echo "$@" >> {machine.home}/calls; env >> {machine.home}/environment\n{GOOD_GO}')
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOOS", "plan9")
    find_pulumi()
    calls = (machine.home / "calls").read_text()
    assert f"common/version.Version=v{built_version()}" in calls
    environment = (machine.home / "environment").read_text().splitlines()
    assert {"CGO_ENABLED=0", "GOWORK=off", "GOGC=400"} <= set(environment)
    assert not [line for line in environment if line.startswith(("GOFLAGS", "GOOS"))]


def test_a_failed_build_shows_what_go_said_and_leaves_nothing(machine: Machine) -> None:
    machine.put("go", 'case "$1" in version) echo go1.26.0 ;; *) echo "no required module" >&2; exit 1 ;; esac')
    with pytest.raises(Refusal, match=r"Building pulumi .* failed\. Go said:\n  no required module"):
        find_pulumi()
    assert [path.name for path in machine.cache.iterdir()] == [f"pulumi-v{built_version()}.lock"]


def test_without_pulumi_and_go_both_cures_are_told(machine: Machine) -> None:
    with pytest.raises(MissingTool) as refused:
        find_pulumi()
    assert str(refused.value).splitlines() == [
        "There is no pulumi on this machine, and no Go to build it with.",
        "Install either of them, then repeat the command:",
        "  pulumi   curl -fsSL https://get.pulumi.com | sh   (the official installer; then open a new shell)",
        "  Go       sudo apt-get install golang-go   (it must be 1.21 or newer; if it is not: https://go.dev/dl)",
    ]
    assert refused.value.exit_code == 3
    assert not machine.cache.exists()


@pytest.mark.parametrize("version", ["go1.19.8", "go1.20", "devel"])
def test_a_go_too_old_to_fetch_a_newer_one_is_named(machine: Machine, version: str) -> None:
    """Debian 12 has Go 1.19."""
    go = machine.put("go", f'echo "go version {version} linux/amd64"')
    with pytest.raises(MissingTool) as refused:
        find_pulumi()
    assert f"({go}) is too old to build it." in str(refused.value)
    assert "apt-get install golang-go" in str(refused.value)


def test_a_go_that_can_fetch_a_newer_one_is_told_to(machine: Machine) -> None:
    """Debian 13 has Go 1.24 and turns fetching off."""
    machine.put(
        "go", f'[ "$1" = build ] && echo "$GOTOOLCHAIN" > {machine.home}/toolchain\n{GOOD_GO.replace("1.26", "1.24")}'
    )
    find_pulumi()
    assert (machine.home / "toolchain").read_text() == "auto\n"


def test_two_commands_build_it_once(machine: Machine) -> None:
    slow = f'[ "$1" = build ] && echo building >> {machine.home}/builds && sleep 0.5\n{GOOD_GO}'
    machine.put("go", slow)
    code = "from local.engine.pulumi_cli import find_pulumi; print(find_pulumi().path)"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True) for _ in range(2)
    ]
    results = [run.communicate() for run in runs]
    assert [stdout for stdout, _ in results] == [f"{machine.built}\n"] * 2
    assert (machine.home / "builds").read_text() == "building\n"
    assert any("is being made by another command; waiting for it" in stderr for _, stderr in results)


def test_an_interrupted_build_leaves_nothing_and_ends_go(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.put(
        "go",
        f'case "$1" in version) echo go1.26.0 ;; *) echo $$ > {machine.home}/pid; echo a/b; exec sleep 600 ;; esac',
    )

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(go_tool.Progress, "take", interrupt)
    with pytest.raises(KeyboardInterrupt):
        find_pulumi()
    assert [path.name for path in machine.cache.iterdir()] == [f"pulumi-v{built_version()}.lock"]
    pid = int((machine.home / "pid").read_text())
    time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


def test_progress_is_told_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 10, 25, 30, 65])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress = go_tool.Progress()
    for line in ("go: downloading a v1\n", "go: downloading b v1\n", "go: downloading c v1\n", "some/package\n"):
        progress.take(line)
    assert capsys.readouterr().err.splitlines() == ["  0:25  2 modules downloaded", "  1:05  1 packages compiled"]


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(Refusal, match="set HOME or XDG_CACHE_HOME"):
        go_tool.cache_directory()

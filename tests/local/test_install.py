"""`local/install.sh`: what `make` does first on a fresh machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.engine.stack import ROOT

GOOD_PYTHON = """
case "$1" in
--version) echo "Python 3.12.1" ;;
-m) mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; echo "$@" >> calls ;;
-c) ;;
esac
if [ "$2" = pip ]; then echo "$@" >> calls; fi
"""


class Machine:
    """A checkout on a machine with only what a test puts on it."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.checkout = folder / "checkout"
        (self.checkout / "local").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "local" / "install.sh", self.checkout / "local")
        (self.checkout / "requirements-dev.txt").touch()
        for tool in ("cp", "dirname", "mkdir", "rm", "touch"):
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)

    def put(self, tool: str, script: str) -> None:
        path = self.bin / tool
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def install(self, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["/bin/sh", str(self.checkout / "local" / "install.sh")]
        there = {"PATH": str(self.bin), **environment}
        return subprocess.run(command, env=there, capture_output=True, text=True, check=False)

    @property
    def installed(self) -> bool:
        return (self.checkout / ".venv" / ".installed").exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


AS_IF_OLD = "import sys; sys.version_info = (3, 10, 9); exec(sys.argv[1])"


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("", "sudo apt-get install python3 python3-venv"),
        (
            f'[ "$1" = --version ] && echo "Python 3.10.9"; exec {sys.executable} -c "{AS_IF_OLD}" "$2"',
            "This project needs Python 3.11 or newer; here is: Python 3.10.9.",
        ),
        ('case "$2" in *ensurepip*) exit 1 ;; esac', "sudo apt-get install python3-venv"),
    ],
    ids=["none", "old", "Debian's without venv"],
)
def test_without_a_python_that_serves_it_says_what_to_install(machine: Machine, python: str, said: str) -> None:
    if python:
        machine.put("python3", python)
    result = machine.install()
    assert result.returncode == 3
    assert said in result.stderr
    assert not machine.installed


@pytest.mark.parametrize(("python", "named"), [("python3.12", {}), ("mine", {"PYTHON": "mine"})])
def test_a_newer_python_beside_an_old_one_is_found_and_one_that_is_asked_for_is_taken(
    machine: Machine, python: str, named: dict[str, str]
) -> None:
    machine.put("python3", '[ "$1" != -c ]')
    machine.put(python, GOOD_PYTHON)
    result = machine.install(**named)
    assert result.returncode == 0, result.stderr
    assert "Making .venv with Python 3.12.1." in result.stderr
    assert machine.installed


def test_packages_are_installed_with_their_hashes_checked(machine: Machine) -> None:
    machine.put("python3", GOOD_PYTHON)
    assert machine.install().returncode == 0
    venv, install, check = dict.fromkeys((machine.checkout / "calls").read_text().splitlines())
    assert venv == "-m venv --clear .venv"
    assert install.endswith("--no-deps --only-binary :all: --require-hashes --requirement requirements-dev.txt")
    assert check.endswith("pip --disable-pip-version-check check")


def test_a_link_to_another_checkouts_environment_is_replaced_and_that_one_is_left(
    machine: Machine, tmp_path: Path
) -> None:
    other = tmp_path / "other" / ".venv"
    (other / "bin").mkdir(parents=True)
    (machine.checkout / ".venv").symlink_to(other)
    machine.put("python3", GOOD_PYTHON)
    assert machine.install().returncode == 0
    assert not (machine.checkout / ".venv").is_symlink()
    assert [path.name for path in other.iterdir()] == ["bin"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ('[ "$2" != pip ]', ""),
        # Nothing is resolved, so this is where a lock that was written by hand would show.
        ('case "$*" in *" check") echo "yours 1.0 requires other"; exit 1 ;; esac', "yours 1.0 requires other"),
    ],
    ids=["not installed", "do not fit together"],
)
def test_a_failed_installation_is_not_taken_for_done(machine: Machine, fault: str, said: str) -> None:
    machine.put("python3", f"{GOOD_PYTHON}\n{fault}")
    result = machine.install()
    assert result.returncode == 1
    assert said in result.stderr
    assert not said or "requirements-dev.txt is not complete" in result.stderr
    assert not machine.installed


def test_make_installs_once_and_again_when_pulumi_has_made_the_environment_anew(tmp_path: Path) -> None:
    """`pulumi install` upgrades setuptools, which the lock keeps below what a check needs."""
    (tmp_path / "local").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements-dev.txt").touch()
    (tmp_path / "local" / "install.sh").write_text("#!/bin/sh\necho again >> calls; touch .venv/.installed\n")
    (tmp_path / "local" / "install.sh").chmod(0o755)
    venv = [sys.executable, "-m", "venv", "--without-pip", ".venv"]
    subprocess.run(venv, cwd=tmp_path, check=True)
    calls = []
    for command in (["make", "install"], ["make", "install"], venv, ["make", "install"]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        calls.append((tmp_path / "calls").read_text().count("again"))
    assert calls == [1, 1, 1, 2]

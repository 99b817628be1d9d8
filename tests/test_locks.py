"""The lock files are complete, and installing from them never resolves to a newer release."""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import importlib.metadata
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from locks import LOCKS, MACHINES, ROOT, Locked, declared, read_lock, unmet
from packaging.markers import default_environment

HERE = {key: str(value) for key, value in default_environment().items()}
"""The values of environment markers on this machine."""
NEWER = "9999.0"
"""A release that did not exist when the lock was written."""


@functools.cache
def requirements_of(package: Locked) -> list[str]:
    """Return a locked package's requirements as its installed release has them."""
    distribution = importlib.metadata.distribution(package.name)
    assert distribution.version == package.version, f"make install: {package.name} {distribution.version} is installed"
    return distribution.requires or []


def requirements_known_here(package: Locked) -> list[str]:
    """Return nothing for a package that only another Python or platform installs."""
    return requirements_of(package) if package.applies(HERE) else []


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_everything_that_its_packages_require(name: str, machine: dict[str, str]) -> None:
    """It is installed without resolving, so what it lacks would be missing."""
    lock = read_lock((ROOT / name).read_text(encoding="utf-8"))
    assert list(unmet(lock, declared(LOCKS[name]), requirements_known_here, machine)) == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_package_that_is_taken_out_of_a_lock_is_missed(name: str) -> None:
    lock = read_lock((ROOT / name).read_text(encoding="utf-8"))
    for package in lock:
        if package.applies(HERE):
            rest = [other for other in lock if other is not package]
            problems = list(unmet(rest, declared(LOCKS[name]), requirements_known_here, HERE))
            assert problems, package.line
            assert all(problem.endswith("is not locked") for problem in problems)


def test_an_extra_that_is_taken_out_of_a_lock_is_missed() -> None:
    """What happened: `coverage[toml]` was required and `coverage` was locked, so pip looked for a release itself."""
    text = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").replace("coverage[toml]==", "coverage==")
    problems = list(unmet(read_lock(text), [], requirements_known_here, HERE))
    assert [problem.partition(", and ")[2] for problem in problems] == [
        f"the lock has no such extra: {line}" for line in re.findall(r"^coverage==\S+", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("line", ["boto3>=1", "boto3", "boto3==1.*", "boto3==1,!=1.5"])
def test_a_line_that_leaves_the_version_open_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not locked to one version"):
        read_lock(f"{line} \\\n    --hash=sha256:0\n")


class Index:
    """A package index on this machine: of each locked package the locked release and a newer one, without content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def offer(self, name: str, version: str, requirements: Iterable[str]) -> str:
        """Add a release, and return the hash of its wheel."""
        stem = f"{re.sub(r'[-.]+', '_', name)}-{version}"
        extras = sorted({extra for text in requirements for extra in re.findall(r"extra == ['\"](.+?)['\"]", text)})
        metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        metadata += [f"Provides-Extra: {extra}" for extra in extras]
        metadata += [f"Requires-Dist: {text}" for text in requirements]
        files = {
            "METADATA": "\n".join(metadata) + "\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = io.StringIO()
        rows = csv.writer(record, lineterminator="\n")
        path = self.folder / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for file, text in files.items():
                wheel.writestr(f"{stem}.dist-info/{file}", text)
                digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
                rows.writerow([f"{stem}.dist-info/{file}", f"sha256={digest}", len(text)])
            rows.writerow([f"{stem}.dist-info/RECORD", "", ""])
            wheel.writestr(f"{stem}.dist-info/RECORD", record.getvalue())
        return hashlib.sha256(path.read_bytes()).hexdigest()

    @property
    def environment(self) -> dict[str, str]:
        """An environment in which pip knows this index alone."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        only = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder), "PIP_CONFIG_FILE": os.devnull}
        return {**own, **only, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


class Checkout:
    """A checkout with our lock files, whose hashes are those of an index on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        (self.folder / "local").mkdir(parents=True)
        shutil.copy(ROOT / "local" / "install.sh", self.folder / "local")
        self.index = Index(folder / "index")
        self.hashes: dict[str, str] = {}
        for name in LOCKS:
            self.write(name, read_lock((ROOT / name).read_text(encoding="utf-8")))

    def write(self, name: str, lock: Iterable[Locked]) -> None:
        """Write a lock file of the packages that this machine installs."""
        lines = [f"{line.line} \\\n    --hash=sha256:{self._hash(line)}\n" for line in lock if line.applies(HERE)]
        (self.folder / name).write_text("".join(lines), encoding="utf-8")

    def _hash(self, package: Locked) -> str:
        if package.name not in self.hashes:
            requirements = requirements_of(package)
            self.index.offer(package.name, NEWER, requirements)
            self.hashes[package.name] = self.index.offer(package.name, package.version, requirements)
        return self.hashes[package.name]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.index.environment, capture_output=True, text=True, check=False
        )

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pip on `.venv`, which need not have one."""
        return self.run(sys.executable, "-m", "pip", "--python", ".venv/bin/python", *arguments)

    def make_install(self) -> subprocess.CompletedProcess[str]:
        """Install as `make install` does."""
        return self.run("sh", "local/install.sh")

    def pulumi_install(self) -> subprocess.CompletedProcess[str]:
        """Install as `pulumi install` does with the toolchain pip.

        https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/python/toolchain/pip.go, `InstallDependencies`. What it does
        between the two, upgrading pip, needs a network. The pip is this Python's: to get one takes a venv five seconds.
        """
        self.run(sys.executable, "-m", "venv", "--without-pip", ".venv")
        return self.pip("install", "-q", "-r", "requirements.txt")

    @property
    def installed(self) -> dict[str, str]:
        listed = self.pip("list", "--format", "freeze").stdout
        return {name: version for name, _, version in (line.partition("==") for line in listed.split())}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def locked_here(name: str) -> dict[str, str]:
    lock = read_lock((ROOT / name).read_text(encoding="utf-8"))
    return {line.name: line.version for line in lock if line.applies(HERE)}


def test_make_install_takes_the_locked_releases_when_there_are_newer_ones(checkout: Checkout) -> None:
    done = checkout.make_install()
    assert done.returncode == 0, done.stdout + done.stderr
    assert locked_here("requirements-dev.txt").items() <= checkout.installed.items()


def test_pulumi_install_takes_the_locked_releases_when_there_are_newer_ones(checkout: Checkout) -> None:
    """Pulumi lets pip resolve, so the file that it hands to pip leaves nothing open."""
    done = checkout.pulumi_install()
    assert done.returncode == 0, done.stdout + done.stderr
    assert locked_here("requirements.txt").items() <= checkout.installed.items()


def test_a_lock_that_lacks_a_package_is_refused_by_both(checkout: Checkout) -> None:
    """Neither installs a release that nobody locked, and neither calls an incomplete environment done."""
    for name in LOCKS:
        lock = read_lock((ROOT / name).read_text(encoding="utf-8"))
        checkout.write(name, [line for line in lock if line.name != "protobuf"])
    resolved = checkout.pulumi_install()
    assert resolved.returncode != 0
    assert "protobuf" in resolved.stderr
    done = checkout.make_install()
    assert done.returncode != 0
    assert "requires protobuf, which is not installed" in done.stdout + done.stderr
    assert not (checkout.folder / ".venv" / ".installed").exists()


def test_this_python_is_one_the_locks_are_tested_for() -> None:
    assert ".".join(platform.python_version_tuple()[:2]) in {machine["python_version"] for machine in MACHINES.values()}

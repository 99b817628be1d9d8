"""What a run says of the tests that it skipped, and that it fails where nothing may be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SAMPLE = """
import pytest

DOCKER = "docker: /engine lacks dockerd (bring it: make tools)"
NODE = "github: npm not on PATH (bring it: install Node.js)"

@pytest.mark.parametrize("number", range(3))
def test_with_docker(number):
    pytest.skip(DOCKER)

def test_with_both():
    pytest.skip(f"{DOCKER}; {NODE}")

@pytest.mark.skip(reason="not today")
def test_later(): ...

@pytest.mark.xfail(strict=True)
def test_known():
    assert False

def test_well(): ...
"""


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the sample with the hooks of this repository, and nothing else of it."""
    (folder / "test_sample.py").write_text(SAMPLE)
    own = {key: value for key, value in os.environ.items() if not key.startswith(("NO_SKIPS", "PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-p", "skips", "-p", "no:cacheprovider", "-rfExX", *arguments]
    if "-n2" in arguments:
        command += ["-p", "xdist"]
    # No other plugin has a part in it, and each takes its time.
    given = {**own, "PYTHONPATH": str(TESTS), "COLUMNS": "100", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["one process", "several"])
def test_a_run_ends_with_what_it_skipped_and_how_to_run_it(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    summary = done.stdout[done.stdout.index("tests were not run") :].splitlines()
    assert summary[1:5] == [
        "    4  docker: /engine lacks dockerd",
        "    1  github: npm not on PATH",
        "    1  not today",
        "To run them, bring what they need: make tools, then install Node.js",
    ]
    assert "5 tests were not run on this machine" in done.stdout
    assert "1 passed, 5 skipped, 1 xfailed" in summary[-1]


def test_a_run_that_skipped_nothing_says_nothing_of_it(tmp_path: Path) -> None:
    assert "not run on this machine" not in run(tmp_path, "-k", "well").stdout


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["one process", "several"])
def test_where_nothing_may_be_skipped_each_skipped_test_fails(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments, NO_SKIPS="true")
    assert done.returncode == 1
    assert "docker: /engine lacks dockerd (bring it: make tools)" in done.stdout
    assert "not today" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "skipped" not in last
    assert "1 passed" in last
    assert "1 xfailed" in last


def test_where_nothing_may_be_skipped_a_skipped_file_fails(tmp_path: Path) -> None:
    (tmp_path / "test_file.py").write_text("import pytest\npytest.skip('no file', allow_module_level=True)\n")
    assert run(tmp_path, "test_file.py").returncode == 5
    done = run(tmp_path, "test_file.py", NO_SKIPS="true")
    assert done.returncode not in {0, 5}
    assert "no file" in done.stdout

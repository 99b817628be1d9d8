"""Every lock and every pin moves: `.github/renovate.json` is valid, and its patterns match what the repository has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for

from components.hosting.bootstrap import BOOTSTRAP_IMAGE
from local.engine.pulumi_cli import built_version

ROOT = Path(__file__).parent.parent
CONFIG: dict[str, Any] = json.loads((ROOT / ".github" / "renovate.json").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads(
    (resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "renovate.json").read_text(encoding="utf-8")
)

MANAGERS = {
    r"requirements(-dev)?\.txt": "pip-compile",
    r"aws-cli-requirements\.txt": "pip_requirements",
    r"go\.(mod|sum)": "gomod",
    r"package(-lock)?\.json": "npm",
    r"pom\.xml": "maven",
    r"(action|checks|comment|deploy|deploy-stack|preview|preview-prod)\.yml": "github-actions",
}
"""The manager of Renovate for each kind of file that locks something, by the file's name."""


def files() -> list[Path]:
    """Return the files of the repository, new ones included."""
    # A checkout may belong to somebody else than root, who runs the tests in a container.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in map(Path, listed.splitlines()) if (ROOT / path).is_file()]


APART = [path for path in files() if path.parent != Path() and path.name == "requirements.txt"]
"""The locks of the examples, and of tools that need an environment of their own."""


def unknown_keys(config: Any) -> Iterator[str]:  # noqa: ANN401 - any part of it
    """Yield each key that is no option of Renovate; its schema lets them pass."""
    if isinstance(config, dict):
        yield from config.keys() - SCHEMA["definitions"].keys() - {"$schema"}
    for part in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from unknown_keys(part)


def test_the_configuration_is_one_that_renovate_reads() -> None:
    problems = [error.message for error in validator_for(SCHEMA)(SCHEMA).iter_errors(CONFIG)]
    assert problems == []
    assert list(unknown_keys(CONFIG)) == []


@pytest.mark.parametrize(
    "misspelt",
    [{"minimumReleaseAeg": "7 days"}, {"packageRules": [{"matchManager": ["gomod"]}]}, {"customManagers": [{"x": 1}]}],
)
def test_a_misspelt_key_is_found(misspelt: dict[str, Any]) -> None:
    assert len(list(unknown_keys(misspelt))) == 1


def test_every_file_that_locks_something_has_a_manager() -> None:
    """A lock that no manager knows would stay as it is until it no longer installs."""
    locking = re.compile(
        r".*lock.*\.(json|toml|yaml|yml|txt)|.*\.(lock|sum)|.*requirements.*\.txt|go\.mod|package\.json|pom\.xml"
    )
    workflows = [path for path in files() if path.parts[:2] in {(".github", "workflows"), (".github", "actions")}]
    used = set()
    for path in [*workflows, *(path for path in files() if locking.fullmatch(path.name))]:
        managers = [manager for pattern, manager in MANAGERS.items() if re.fullmatch(pattern, path.name)]
        assert managers, f"{path}: which manager of Renovate moves it?"
        used.update(managers)
    assert {*used, "custom.regex"} == set(CONFIG["enabledManagers"])
    assert CONFIG["ignorePaths"] == ["**/node_modules/**"], "what is recommended leaves out tests and examples"


def test_every_image_that_a_buildspec_pins_is_found() -> None:
    manager = CONFIG["customManagers"][0]
    patterns = [pattern.replace("(?<", "(?P<") for pattern in manager["matchStrings"]]
    (where,) = manager["managerFilePatterns"]
    pinned = 0
    for path in files():
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace") if path.parts[0] == "buildspecs" else ""
        digests = re.findall(r"sha256:[0-9a-f]{64}", text)
        pinned += len(digests)
        if digests:
            assert re.search(where.strip("/"), str(path))
            found = [match for pattern in patterns for match in re.finditer(pattern, text)]
            assert [match["currentDigest"] for match in found] == digests
            assert all(match["depName"] and match["currentValue"] for match in found)
    assert pinned


def test_the_image_of_a_new_service_is_found() -> None:
    manager = CONFIG["customManagers"][1]
    (where,), (pattern,) = manager["managerFilePatterns"], manager["matchStrings"]
    path = Path("components/hosting/bootstrap.py")
    assert re.search(where.strip("/"), str(path))
    (found,) = re.finditer(pattern.replace("(?<", "(?P<"), (ROOT / path).read_text(encoding="utf-8"))
    assert f"{found['depName']}:{found['currentValue']}@{found['currentDigest']}" == BOOTSTRAP_IMAGE


def test_every_package_that_a_workflow_installs_by_name_has_a_version_that_is_found() -> None:
    manager = CONFIG["customManagers"][2]
    (pattern,) = (pattern.replace("(?<", "(?P<") for pattern in manager["matchStrings"])
    every = []
    for path in files():
        if path.parent == Path(".github/workflows"):
            text = (ROOT / path).read_text(encoding="utf-8")
            installed = re.findall(r"(?:npm install|npx|pip install|go install) .*", text)
            assert len(installed) == len(re.findall(pattern, text)), installed
            every += installed
    assert every


@pytest.mark.parametrize(
    ("name", "command"),
    [
        *((str(path), "--output-file=requirements.txt requirements.in") for path in APART),
        ("requirements-dev.txt", "--all-extras --output-file=requirements-dev.txt pyproject.toml"),
        (
            "requirements.txt",
            "--constraints=requirements-dev.txt --output-file=requirements.txt pyproject.toml",
        ),
    ],
)
def test_a_python_lock_says_how_it_was_written(name: str, command: str) -> None:
    """Renovate repeats the command, in the order of the file names: so the second takes what the first has locked.

    It refuses `--no-header`, `-o FILE` and other short options, see `lib/modules/manager/pip-compile/common.ts`.
    """
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    start = "#    uv pip compile --universal --python-version=3.11 --generate-hashes --no-strip-extras"
    assert lines[1] == f"{start} {command}"


@pytest.mark.parametrize("path", [path for path in files() if path.name == "package-lock.json"], ids=str)
def test_an_npm_lock_has_no_addresses_and_stays_so(path: Path) -> None:
    assert '"resolved"' not in (ROOT / path).read_text(encoding="utf-8")
    npmrc = ROOT / path.parent / ".npmrc"
    assert npmrc.read_text(encoding="utf-8") == "omit-lockfile-registry-resolved=true\n"


def test_the_workflows_use_the_pulumi_that_is_built_elsewhere() -> None:
    """Without a version, the action installs the latest."""
    used = 0
    for path in sorted((ROOT / ".github").rglob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for job in [*content.get("jobs", {}).values(), content.get("runs", {})]:
            for step in job.get("steps", ()):
                if step.get("uses", "").startswith("pulumi/actions@"):
                    used += 1
                    assert step.get("with", {}).get("pulumi-version") == built_version(), path.name
    assert used

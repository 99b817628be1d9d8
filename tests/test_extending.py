"""`docs/extending.md` is followed to the letter, in a copy of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from filecmp import cmp
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
GENERATE = re.findall(
    r"\$\(VENV\)/python (.*)", (ROOT / "Makefile").read_text(encoding="utf-8").split("\ngolden:")[1].split("\n\n")[0]
)
MOST_FOR_A_STAGE = 10
"""Files that change for a stage with a section and a job, generated ones included."""
GENERATED = {"stack-file.schema.json", "docs/configuration.md", "docs/jobs.md"}
"""What `make golden` writes for all of the page."""
MOST_FOR_A_KEY = 5
"""Files that change for a key, generated ones included."""


WORDS = (
    *(
        "architecture",
        "every_key",
        "generated",
        "other_key",
        "unknown",
        "announce",
        "examples",
        "everything-on",
        "table",
    ),
    "stand",
)
HOLD_FOR_ALL = (
    "tests/components/test_architecture.py",
    "tests/components/settings",
    "tests/components/pipeline/test_artifact_files.py",
    "tests/components/stages/test_stages_share_machines.py",
    "tests/test_jobs.py",
    "tests/buildspecs/test_specs.py",
    "tests/buildspecs/test_oncall.py",
    "tests/components/test_delivery.py",
    "tests/test_readme.py",
    "-k",
    " or ".join(WORDS),
)
"""Tests that are told of nothing: they find what is there."""


class Step(NamedTuple):
    """What the page says of one file: its new content, or lines that are replaced.

    Attributes:
        file: Path in the repository.
        before: Lines that are there; empty for a new file.
        after: What stands in their place.
    """

    file: str
    before: str
    after: str


def steps(section: str) -> list[Step]:
    """The steps of a section of the page: the blocks of code, each of the next file that the text before it names."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found, files = list[Step](), list[str]()
    for prose, language, code in re.findall(r"(.*?)```(\w+)\n(.*?)```\n", text, re.DOTALL):
        files = re.findall(r"`([\w/.-]+\.(?:py|yml|yaml|md))`", prose) or files[1:] or files
        if language == "diff":
            lines = code.splitlines(keepends=True)
            before, after = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
            found.append(Step(files[0], before, after))
        else:
            found.append(Step(files[0], "", code))
    return found


def follow(step: Step, copy: Path) -> None:
    file = copy / step.file
    if not step.before:
        assert not file.exists(), step.file
        file.write_text(step.after, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    assert text.count(step.before) == 1, f"{step.file}: {step.before}"
    file.write_text(text.replace(step.before, step.after), encoding="utf-8")


def python(copy: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with what the page adds."""
    folder = tmp_path_factory.mktemp("copy")
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for section in ("A key", "A stage with a job", "An engine"):
        for step in steps(section):
            follow(step, folder)
    quick, *others = GENERATE
    assert others == [f"{quick} edits", f"{quick} report"]
    python(folder, *quick.split())
    return folder


def test_the_page_touches_as_few_files_as_it_says() -> None:
    stage = {step.file: step.before for step in steps("A stage with a job")}
    assert sum(not before for before in stage.values()) == 4
    assert len(stage) == 7
    assert len({*stage, *GENERATED}) <= MOST_FOR_A_STAGE
    engine = {step.file: step.before for step in steps("An engine")}
    assert [file for file, before in engine.items() if not before] == ["components/engines/by_hand.py"]
    key = {step.file for step in steps("A key")} | {"docs/configuration.md", "stack-file.schema.json"}
    assert len(key) <= MOST_FOR_A_KEY


def test_what_is_generated_for_them_is_the_schema_and_two_pages(copy: Path) -> None:
    by_hand = {step.file for section in ("A key", "A stage with a job", "An engine") for step in steps(section)}
    files = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} - by_hand
    written = {name for name in files if not (ROOT / name).exists() or not cmp(copy / name, ROOT / name, shallow=False)}
    assert {name for name in written if not re.search(r"__pycache__|\.\w+_cache/", name)} == GENERATED


def test_what_was_added_passes_the_tests_that_hold_for_all_of_its_kind(copy: Path) -> None:
    python(copy, "-m", "ruff", "check", "--no-cache", "components", "buildspecs")
    python(copy, "-m", "ruff", "format", "--no-cache", "--check", "components", "buildspecs")
    said = python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-cov", *HOLD_FOR_ALL)
    assert re.search(r"\d+ passed", said)
    assert "failed" not in said


def test_what_an_edit_of_a_new_key_does_is_said_of_each(copy: Path) -> None:
    keys = "import sys; sys.path[:0] = ['.', 'tests']; import edits; print(*edits.keys())"
    new = set(python(copy, "-c", keys).split()) - set(
        subprocess.run(
            [sys.executable, "-c", keys], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert "application.startTimeoutSeconds" in new
    assert {key.partition(".")[0] for key in new} == {"application", "announcement"}
    said = python(copy, *GENERATE[1].split(), *new).splitlines()
    assert {line.split()[0] for line in said} == new
    assert [line for line in said if "**with the next run**: " not in line] == []


def test_what_was_added_is_in_the_pipeline(copy: Path) -> None:
    assert "- ReadWebhook: `secretsmanager:GetSecretValue`" in (copy / "docs" / "jobs.md").read_text(encoding="utf-8")
    assert "`engine`" in (copy / "docs" / "configuration.md").read_text(encoding="utf-8")
    program = """
import sys
sys.path.insert(0, "tests")
from samples import build_stage, shop
from summary import EXAMPLES, program
from components.stages.deploy import DeployStage
print([action["name"] for action in program(EXAMPLES).stages["Announce"]])
built = build_stage(DeployStage, shop(deploy={"engine": "byHand"}))
print([(action.name, action.provider.value) for action in built.actions], built.grants)
"""
    assert python(copy, "-c", program).splitlines() == ["['Announce']", "[('DeployService', 'Manual')] []"]

"""The loader of the buildspecs: what it accepts, what it adds, what it refuses."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import yaml

from components.jobs.buildspec import BuildspecError, jobs_of, load_buildspec, read_buildspec

GOOD = """\
# For its readers alone.
version: 0.2
env:
  shell: bash
  variables:
    NAME: world
    GREETING: ""
  secrets-manager:
    TOKEN: ""
  exported-variables:
    - ANSWER
phases:
  build:
    commands:
      - python3 "$JOBS_DIR/jobs.pyz" greet
      - . "$JOBS_DIR/exports.env"
    finally:
      - rm -r "$HOME/greetings"
  install:
    runtime-versions:
      nodejs: 22
reports:
  lighthouse:
    files:
      - report.xml
    file-format: JUNITXML
artifacts:
  base-directory: out
  files:
    - greeting.txt
    - "**/*.json"
"""
GREET = """\
'Greet somebody. Answers.'
import os
import tempfile
from jobs import voice
from jobs.tone import loud
print(os.name, voice.require("NAME"), job.optional("GREETING"), "$NOT_A_VARIABLE")
job.export(ANSWER="yes")
"""
VOICE = """\
from jobs import job, tone
token = job.require("TOKEN")
given = job.require(given_name)
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a folder of buildspecs: the good one, changed by replacing texts, and its jobs."""

    def write_folder(*changes: tuple[str, str]) -> Path:
        text = GOOD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "greet.yml"
        path.write_text(text)
        folder = tmp_path / "jobs"
        folder.mkdir(exist_ok=True)
        for name, content in {"greet": GREET, "voice": VOICE, "tone": "import job\n", "other": "broken("}.items():
            (folder / f"{name}.py").write_text(content)
        return path

    return write_folder


def test_a_buildspec_tells_its_inputs_outputs_and_reports(write: Write) -> None:
    spec = read_buildspec(write())

    assert (spec.name, spec.purpose) == ("greet", "Greet somebody. Answers.")
    assert dict(spec.variables) == {"NAME": "world", "GREETING": ""}
    assert spec.secrets == ("TOKEN",)
    assert spec.exported == ("ANSWER",)
    assert spec.artifact_files == ("greeting.txt", "**/*.json")
    assert spec.reports == ("lighthouse",)
    assert dict(spec.modules) == {"greet": GREET, "tone": "import job\n", "voice": VOICE}


def test_a_buildspec_cannot_be_changed_after_loading(write: Write) -> None:
    spec = read_buildspec(write())

    with pytest.raises(FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc] # the point of the test
    with pytest.raises(TypeError):
        spec.variables["NAME"] = "other"  # type: ignore[index] # the point of the test


def test_the_text_holds_everything_but_the_reference_of_a_secret(write: Write) -> None:
    text = read_buildspec(write()).text
    given, loaded = yaml.safe_load(GOOD), yaml.safe_load(text)

    assert text.startswith("# Greet somebody. Answers.\nversion: 0.2\n")
    assert "readers" not in text
    assert loaded["env"] == {
        "shell": "bash",
        "variables": {
            "JOBS_DIR": "/tmp/ecs-delivery",  # noqa: S108 - the value itself
            "LC_ALL": "C.UTF-8",
            "PYENV_VERSION": "system",
            "JOBS_BUNDLE": "",
            "JOBS_SHA256": "",
            "NAME": "world",
            "GREETING": "",
        },
        "exported-variables": ["ANSWER"],
    }
    assert loaded["phases"]["build"] == given["phases"]["build"]
    assert loaded["phases"]["install"]["runtime-versions"] == {"nodejs": 22}
    assert loaded["reports"] == given["reports"]
    assert loaded["artifacts"] == given["artifacts"]


def test_the_first_phase_to_run_fetches_and_verifies_the_bundle_before_anything_else(write: Write) -> None:
    """The phase install stands last in the file, and runs first."""
    path = write(("      nodejs: 22\n", "      nodejs: 22\n    commands:\n      - node --version\n"))

    assert yaml.safe_load(read_buildspec(path).text)["phases"]["install"]["commands"] == [
        'mkdir -p "$JOBS_DIR"',
        'aws s3 cp --only-show-errors "$JOBS_BUNDLE" "$JOBS_DIR/jobs.pyz"',
        'echo "$JOBS_SHA256  $JOBS_DIR/jobs.pyz" | sha256sum --check --quiet',
        "node --version",
    ]


def test_a_buildspec_without_a_job_fetches_none(write: Write) -> None:
    path = write()
    path.write_text('version: 0.2\nenv: {shell: bash}\nphases: {build: {commands: ["echo $CODEBUILD_BUILD_ID"]}}\n')

    spec = read_buildspec(path)

    assert yaml.safe_load(spec.text) == yaml.safe_load(path.read_text())
    assert (spec.purpose, spec.artifact_files) == ("", ())
    assert spec.text.startswith("version: 0.2\n")


def test_the_purpose_is_the_first_line_that_the_job_says_of_itself(write: Write) -> None:
    path = write()
    job = path.parent / "jobs" / "greet.py"
    body = GREET.partition("\n")[2]
    job.write_text(f'"""Answer.\n\nAt length.\n"""\n{body}')
    assert read_buildspec(path).purpose == "Answer."

    job.write_text(body)
    with pytest.raises(BuildspecError) as refusal:
        read_buildspec(path)
    assert str(refusal.value) == (
        "greet.yml: jobs/greet.py: has no docstring, whose first line says what the job is for"
    )


def test_git_gets_credentials_only_where_the_source_is_a_clone(write: Write) -> None:
    """AWS names the key for that case: it is written as in its tutorial, `yes` and not `true`.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/tutorials-github-gitclone.html
    """
    path = write(("shell: bash", 'shell: bash\n  git-credential-helper: "yes"'))
    archived, cloned = read_buildspec(path).text, read_buildspec(path, clones=True).text
    assert "git-credential-helper" not in archived
    assert cloned.replace("  git-credential-helper: yes\n", "") == archived
    assert "\nenv:\n  git-credential-helper: yes\n" in cloned


def test_a_projects_text_names_its_buildspec() -> None:
    assert jobs_of(load_buildspec("build-image").text) == ("build-image",)
    assert jobs_of(load_buildspec("build-image", clones=True).text) == ("build-image",)
    both = ("build-image", "prepare-deployment")
    assert jobs_of(load_buildspec(*both, artifacts=("Image", "Deployment"), clones=True).text) == both
    for text in ("version: 0.2", load_buildspec("build-image").text.replace("Dockerfile", "Containerfile")):
        with pytest.raises(BuildspecError, match="no buildspec here is "):
            jobs_of(text)


FAREWELL = """\
version: 0.2
env:
  shell: bash
  variables:
    NAME: world
    TONE: low
  exported-variables:
    - LEFT
phases:
  build:
    commands:
      - python3 "$JOBS_DIR/jobs.pyz" farewell
      - . "$JOBS_DIR/exports.env"
artifacts:
  files:
    - farewell.txt
"""
HELLO = FAREWELL.replace("farewell", "hello").replace("    TONE: low\n", "").replace("LEFT", "ANSWER")


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two buildspecs whose jobs can run in one build."""
    (tmp_path / "jobs").mkdir()
    jobs = {
        "hello": '"""Say hello."""\njob.require("NAME")\njob.export(ANSWER="yes")\n',
        "farewell": '"""Leave. Quietly."""\njob.require("NAME")\njob.require("TONE")\njob.export(LEFT="yes")\n',
    }
    for name, text in jobs.items():
        (tmp_path / "jobs" / f"{name}.py").write_text(text)
        (tmp_path / f"{name}.yml").write_text(HELLO if name == "hello" else FAREWELL)
    return tmp_path / "hello.yml", tmp_path / "farewell.yml"


def test_the_jobs_of_several_buildspecs_run_in_one_build(two: tuple[Path, Path]) -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/sample-pipeline-multi-input-output.html"""
    spec = read_buildspec(*two, artifacts=("Hello", "Farewell"))

    assert (spec.name, spec.purpose) == ("hello and farewell", "Say hello. Leave. Quietly.")
    assert dict(spec.variables) == {"NAME": "world", "TONE": "low"}
    assert spec.exported == ("ANSWER", "LEFT")
    assert dict(spec.artifacts) == {"Hello": ("hello.txt",), "Farewell": ("farewell.txt",)}
    assert spec.artifact_files == ("hello.txt", "farewell.txt")
    assert {*spec.modules} == {"hello", "farewell"}
    document = yaml.safe_load(spec.text)
    assert document["phases"]["build"]["commands"][3:] == [
        'python3 "$JOBS_DIR/jobs.pyz" hello',
        '. "$JOBS_DIR/exports.env"',
        'python3 "$JOBS_DIR/jobs.pyz" farewell',
        '. "$JOBS_DIR/exports.env"',
    ]
    assert document["artifacts"] == {
        "secondary-artifacts": {"Hello": {"files": ["hello.txt"]}, "Farewell": {"files": ["farewell.txt"]}}
    }


def test_the_first_of_them_may_take_a_clone(two: tuple[Path, Path]) -> None:
    two[0].write_text(HELLO.replace("shell: bash", 'shell: bash\n  git-credential-helper: "yes"'))
    cloned = read_buildspec(*two, artifacts=("Hello", "Farewell"), clones=True).text
    assert "\nenv:\n  git-credential-helper: yes\n" in cloned


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("NAME: world", "NAME: moon", "env.variables.NAME: is 'world' and 'moon'", id="default"),
        pytest.param("  build:", "  install:", "farewell: only phases.build, plain variables and", id="phase"),
        pytest.param(
            "artifacts:",
            "reports: {r: {files: [a]}}\nartifacts:",
            "farewell: only phases.build, plain variables and",
            id="report",
        ),
        pytest.param(
            "  exported-variables",
            '  secrets-manager: {TOKEN: ""}\n  exported-variables',
            "farewell: only phases.build, plain variables and",
            id="secret",
        ),
    ],
)
def test_what_cannot_be_put_together_is_refused(two: tuple[Path, Path], old: str, new: str, message: str) -> None:
    assert old in FAREWELL
    two[1].write_text(FAREWELL.replace(old, new))
    if "TOKEN" in new:
        job = two[1].parent / "jobs" / "farewell.py"
        job.write_text(f'{job.read_text()}job.require("TOKEN")\n')
    with pytest.raises(BuildspecError) as refusal:
        read_buildspec(*two, artifacts=("Hello", "Farewell"))
    assert str(refusal.value).startswith(f"hello and farewell.yml: {message}")


@pytest.mark.parametrize(
    ("artifacts", "message"),
    [
        ("secondary-artifacts: []", "artifacts.secondary-artifacts: must be a mapping"),
        ("{secondary-artifacts: {A: {}}, files: [a]}", "artifacts: 'files' is not known here; allowed: secondary-"),
        ("secondary-artifacts: {A: {name: a}}", "artifacts.secondary-artifacts.A: 'name' is not known here"),
        ("secondary-artifacts: {A: {files: [1]}}", "artifacts.secondary-artifacts.A.files, entry 1: must be a text"),
    ],
)
def test_a_wrong_secondary_artifact_is_refused(two: tuple[Path, Path], artifacts: str, message: str) -> None:
    two[0].write_text(f"{HELLO.partition('artifacts:')[0]}artifacts:\n  {artifacts}\n")
    with pytest.raises(BuildspecError) as refusal:
        read_buildspec(two[0])
    assert str(refusal.value).startswith(f"hello.yml: {message}")


def test_a_job_that_says_nothing_of_clones_gets_none(write: Write) -> None:
    with pytest.raises(
        BuildspecError, match=r"greet\.yml: env\.git-credential-helper: must be \"yes\" in a job that takes"
    ):
        read_buildspec(write(), clones=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("version: 0.2", "version: 0.1", "version: must be 0.2, got 0.1", id="version"),
        pytest.param(
            "reports:", "report:", "the file: 'report' is not known here; allowed: version, env", id="top-key"
        ),
        pytest.param(
            "shell: bash", "shell: sh", "env.shell: must be bash (CodeBuild's default is sh), got 'sh'", id="shell"
        ),
        pytest.param("  shell:", "  shel:", "env: 'shel' is not known here; allowed: shell, git-", id="env-key"),
        pytest.param(
            "shell: bash",
            "shell: bash\n  git-credential-helper: no",
            'env.git-credential-helper: must be "yes" in a job that takes a clone, got False',
            id="credential-helper",
        ),
        pytest.param(
            "NAME: world", "NAME: 3", "env.variables.NAME: must be a text; YAML reads it as 3: quote it", id="number"
        ),
        pytest.param(
            "NAME: world", "name: world", "env.variables: 'name' is no name for a variable of ours", id="case"
        ),
        pytest.param("NAME: world", "1: world", "env.variables: 1 is no name for a variable of ours", id="number-name"),
        pytest.param(
            "NAME: world", "CODEBUILD_NAME: x", "'CODEBUILD_NAME' is no name for a variable of ours", id="reserved"
        ),
        pytest.param("NAME: world", "JOBS_DIR: x", "'JOBS_DIR' is no name for a variable of ours", id="own"),
        pytest.param(
            "NAME: world", "JOBS_SHA256: x", "'JOBS_SHA256' is no name for a variable of ours", id="of-the-bundle"
        ),
        pytest.param("NAME: world", "LC_ALL: C", "'LC_ALL' is no name for a variable of ours", id="locale"),
        pytest.param(
            "NAME: world", 'PYENV_VERSION: "3.9"', "'PYENV_VERSION' is no name for a variable of ours", id="interpreter"
        ),
        pytest.param(
            'TOKEN: ""', "TOKEN: arn", 'env.secrets-manager.TOKEN: must be "": the reference differs', id="secret"
        ),
        pytest.param('TOKEN: ""', 'token: ""', "env.secrets-manager: 'token' is no name", id="secret-name"),
        pytest.param(
            "  build:", "  bild:", "phases: 'bild' is not known here; allowed: install, pre_build, build", id="phase"
        ),
        pytest.param(
            "    finally:", "    final:", "phases.build: 'final' is not known here; allowed: runtime", id="phase-key"
        ),
        pytest.param(
            "      - . ",
            "      - echo a: b\n      - . ",
            "phases.build.commands, entry 2: must be a text; YAML reads it as",
            id="mapping",
        ),
        pytest.param(
            "      - . ",
            "      - |\n        a\n        b\n      - . ",
            "entry 2: has several lines: what is longer",
            id="lines",
        ),
        pytest.param(
            "    finally:\n      - rm", "    finally: rm", "phases.build.finally: must be a list, got", id="no-list"
        ),
        pytest.param(
            "  install:",
            "  pre_build:",
            "phases.pre_build: runtime-versions belong into the phase install",
            id="runtime",
        ),
        pytest.param(
            'jobs.pyz" greet',
            'jobs.pyz" gr-et',
            "there is no module gr_et; jobs/ holds greet, other, tone, voice",
            id="job",
        ),
        pytest.param(
            "      - . ",
            "      - echo $NAMES\n      - . ",
            "phases.build.commands, entry 2: reads NAMES, which env",
            id="undeclared",
        ),
        pytest.param(
            "    NAME: world\n",
            "",
            "jobs/greet.py: reads NAME, which env.variables does not declare",
            id="undeclared-py",
        ),
        pytest.param(
            "    NAME:",
            "    MORE: x\n    NAME:",
            "env: MORE is declared, but no command or job reads it",
            id="unused",
        ),
        pytest.param(
            "    - ANSWER",
            "    - ANSWER\n    - OTHER",
            "env.exported-variables: OTHER must be set by job.export(OTHER",
            id="export",
        ),
        pytest.param(
            "    - ANSWER", "    []", "env.exported-variables: lacks ANSWER, which a job sets", id="no-export"
        ),
        pytest.param(
            "exports.env", "export.env", "env.exported-variables: ANSWER must be set by job.export", id="not-taken-over"
        ),
        pytest.param(
            "  base-directory:",
            "  base:",
            "artifacts: 'base' is not known here; allowed: files, base-dir",
            id="artifact-key",
        ),
        pytest.param(
            "    file-format:", "    format:", "reports.lighthouse: 'format' is not known here", id="report-key"
        ),
        pytest.param("- report.xml", "- 1", "reports.lighthouse.files, entry 1: must be a text", id="report-file"),
        pytest.param("- greeting.txt", "- {a: b}", "artifacts.files, entry 1: must be a text", id="artifact-file"),
        pytest.param("reports:", "[reports:", "greet.yml: not YAML: ", id="not-yaml"),
    ],
)
def test_a_wrong_buildspec_is_refused_by_file_and_place(write: Write, old: str, new: str, message: str) -> None:
    path = write((old, new))

    with pytest.raises(BuildspecError) as refusal:
        read_buildspec(path)

    assert str(refusal.value).startswith("greet.yml: ")
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "the file: must be a mapping, got ['a']"),
        ("version: 0.2\nenv: {shell: bash}\n", "phases: must be a mapping, got None"),
        ("version: 0.2\nenv: {shell: bash}\nphases: {}\n", "phases: there are none; allowed: install"),
    ],
)
def test_a_file_without_phases_is_refused(write: Write, text: str, message: str) -> None:
    path = write()
    path.write_text(text)

    with pytest.raises(BuildspecError, match=message.replace("[", r"\[")):
        read_buildspec(path)


def test_a_module_that_is_missing_is_not_overlooked(write: Write) -> None:
    path = write()
    for module in (path.parent / "jobs").iterdir():
        module.unlink()

    with pytest.raises(BuildspecError, match="jobs/ holds nothing"):
        read_buildspec(path)


def test_a_misspelt_name_gets_the_nearest_known_one(write: Write) -> None:
    path = write()

    with pytest.raises(
        BuildspecError, match=r"gret\.yml: there is no such buildspec. Did you mean greet\? There are: greet"
    ):
        read_buildspec(path.with_stem("gret"))
    with pytest.raises(BuildspecError, match=r"nothing-like-it\.yml: there is no such buildspec\. There are: greet\."):
        read_buildspec(path.with_stem("nothing-like-it"))


def test_a_buildspec_of_the_program_is_read_once() -> None:
    assert load_buildspec("tag-image") is load_buildspec("tag-image")
    assert load_buildspec("tag-image").exported == ("VERSION_TAG",)

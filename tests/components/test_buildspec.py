"""The loader of the buildspecs: what it accepts, what it adds, what it refuses."""

import ast
import subprocess
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import yaml

from components import buildspec
from components.buildspec import BuildspecError, load_buildspec, read_buildspec

GOOD = """\
# Greet somebody. Output: greeting.txt.
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
      - python3 "$SCRIPTS_DIR/greet.py"
      - . "$SCRIPTS_DIR/exports.env"
    finally:
      - bash "$SCRIPTS_DIR/clean.sh"
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
import os
import voice
from voice import loud
print(os.name, voice.require("NAME"), job.optional("GREETING"), "$NOT_A_VARIABLE")
job.export(ANSWER="yes")
"""
VOICE = """\
import job
token = job.require("TOKEN")
given = job.require(given_name)
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a folder of buildspecs: the good one, changed by replacing texts, and its scripts."""

    def write_folder(*changes: tuple[str, str], scripts: dict[str, str] | None = None) -> Path:
        text = GOOD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "greet.yml"
        path.write_text(text)
        folder = tmp_path / "scripts"
        folder.mkdir(exist_ok=True)
        files = {"greet.py": GREET, "voice.py": VOICE, "clean.sh": 'rm -r "$HOME/greetings"', **(scripts or {})}
        for name, content in files.items():
            (folder / name).write_text(content)
        return path

    return write_folder


def test_a_buildspec_tells_its_inputs_outputs_and_reports(write: Write) -> None:
    spec = read_buildspec(write())

    assert spec.name == "greet"
    assert dict(spec.variables) == {"NAME": "world", "GREETING": ""}
    assert spec.secrets == ("TOKEN",)
    assert spec.exported == ("ANSWER",)
    assert spec.artifact_files == ("greeting.txt", "**/*.json")
    assert spec.reports == ("lighthouse",)


def test_a_buildspec_cannot_be_changed_after_loading(write: Write) -> None:
    spec = read_buildspec(write())

    with pytest.raises(FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc] # the point of the test
    with pytest.raises(TypeError):
        spec.variables["NAME"] = "other"  # type: ignore[index] # the point of the test


def test_the_text_holds_everything_but_the_reference_of_a_secret(write: Write) -> None:
    text = read_buildspec(write()).text
    given, loaded = yaml.safe_load(GOOD), yaml.safe_load(text)

    assert text.startswith("# Greet somebody. Output: greeting.txt.\nversion: 0.2\n")
    assert loaded["env"] == {
        "shell": "bash",
        "variables": {"SCRIPTS_DIR": "/tmp/ecs-delivery", "NAME": "world", "GREETING": ""},  # noqa: S108 - the value itself
        "exported-variables": ["ANSWER"],
    }
    assert loaded["phases"]["build"] == given["phases"]["build"]
    assert loaded["phases"]["install"]["runtime-versions"] == {"nodejs": 22}
    assert loaded["reports"] == given["reports"]
    assert loaded["artifacts"] == given["artifacts"]


def test_the_first_phase_to_run_writes_the_scripts_before_anything_else(write: Write) -> None:
    """The phase install stands last in the file, and runs first."""
    path = write(("      nodejs: 22\n", "      nodejs: 22\n    commands:\n      - node --version\n"))

    commands = yaml.safe_load(read_buildspec(path).text)["phases"]["install"]["commands"]

    assert commands[0] == 'mkdir -p "$SCRIPTS_DIR"'
    assert [command.splitlines()[0] for command in commands[1:-1]] == [
        f"cat > \"$SCRIPTS_DIR/{name}\" <<'END_OF_SCRIPT'" for name in ("greet.py", "voice.py", "clean.sh")
    ]
    assert commands[-1] == "node --version"


def test_the_written_scripts_are_the_same_byte_by_byte(write: Write, tmp_path: Path) -> None:
    """The commands are run by a real bash, each in a process of its own, as CodeBuild does."""
    nasty = "print('$HOME', \"`date`\", '\\\\', '''\n''')  # ü $(false)\n\n\nEND_OF = 'EOF'\n"
    path = write(("env:\n", "env:\n"), scripts={"voice.py": VOICE + nasty})
    target = tmp_path / "written"

    commands = yaml.safe_load(read_buildspec(path).text)["phases"]["install"]["commands"]
    for command in commands:
        subprocess.run(
            ["/bin/bash", "-c", command], env={"SCRIPTS_DIR": str(target), "PATH": "/bin:/usr/bin"}, check=True
        )

    assert (target / "greet.py").read_text() == GREET
    assert (target / "voice.py").read_text() == VOICE + nasty
    assert (target / "clean.sh").read_text() == 'rm -r "$HOME/greetings"\n'


WORDY = '''\
#!/usr/bin/env python3
# A comment.
"""What the script does.

Variables: NAME.
"""

import job  # why


class Voice:  # noqa: D101 - for the linter
    """A voice."""

    loud = True
    # Another comment.


class Nothing(Exception):
    """All there is in it."""


def speak():
    """Speak."""
    "not a docstring, and nobody's business"
    return f"""
    # {job.require("NAME")} is no comment
""" + """
# nor is this
"""
'''
SHORT = '''\

import job  # why


class Voice:

 loud = True


class Nothing(Exception):
 """All there is in it."""


def speak():
 "not a docstring, and nobody's business"
 return f"""
    # {job.require("NAME")} is no comment
""" + """
# nor is this
"""
'''


def test_docstrings_comments_and_wide_indentation_stay_behind_and_nothing_else(write: Write) -> None:
    commands = yaml.safe_load(read_buildspec(write(scripts={"voice.py": WORDY + VOICE})).text)["phases"]["install"]

    written = next(command for command in commands["commands"] if "/voice.py" in command)
    assert written.split("\n", 1)[1] == f"{SHORT}{VOICE}END_OF_SCRIPT\n"


@pytest.mark.parametrize("script", sorted((buildspec.FOLDER / "scripts").glob("*.py")), ids=lambda path: path.name)
def test_each_script_is_deployed_as_the_same_program(script: Path) -> None:
    """Read by Python, without the docstrings."""
    original, deployed = (
        ast.parse(text) for text in (script.read_text(), buildspec._without_prose(script.read_text()))
    )
    for node in ast.walk(original):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and len(node.body) > 1:
            del node.body[: ast.get_docstring(node) is not None]

    assert ast.dump(deployed) == ast.dump(original)
    assert "\n#" not in buildspec._without_prose(script.read_text())


def test_scripts_stay_readable_in_the_text(write: Write) -> None:
    text = read_buildspec(write()).text

    assert text.count("- |\n") == 3
    assert "\n   import voice\n   from voice import loud\n" in text


def test_a_buildspec_without_scripts_gets_none(write: Write) -> None:
    path = write()
    path.write_text('version: 0.2\nenv: {shell: bash}\nphases: {build: {commands: ["echo $CODEBUILD_BUILD_ID"]}}\n')

    spec = read_buildspec(path)

    assert yaml.safe_load(spec.text) == yaml.safe_load(path.read_text())
    assert spec.artifact_files == ()


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
        pytest.param("  shell:", "  shel:", "env: 'shel' is not known here; allowed: shell, variables", id="env-key"),
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
        pytest.param("NAME: world", "SCRIPTS_DIR: x", "'SCRIPTS_DIR' is no name for a variable of ours", id="own"),
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
            "    finally:\n      - bash", "    finally: bash", "phases.build.finally: must be a list, got", id="no-list"
        ),
        pytest.param(
            "  install:",
            "  pre_build:",
            "phases.pre_build: runtime-versions belong into the phase install",
            id="runtime",
        ),
        pytest.param(
            "greet.py",
            "gret.py",
            "there is no script gret.py; scripts/ holds clean.sh, greet.py, voice.py",
            id="script",
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
            "scripts/greet.py: reads NAME, which env.variables does not declare",
            id="undeclared-py",
        ),
        pytest.param(
            "    NAME:",
            "    MORE: x\n    NAME:",
            "env: MORE is declared, but no command or script reads it",
            id="unused",
        ),
        pytest.param(
            "    - ANSWER",
            "    - ANSWER\n    - OTHER",
            "env.exported-variables: OTHER must be set by job.export(OTHER",
            id="export",
        ),
        pytest.param(
            "    - ANSWER", "    []", "env.exported-variables: lacks ANSWER, which a script sets", id="no-export"
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


def test_a_variable_that_only_a_shell_script_reads_must_be_declared_too(write: Write) -> None:
    path = write(scripts={"clean.sh": "rm ${NUMBER}"})

    with pytest.raises(BuildspecError, match=r"scripts/clean\.sh: reads NUMBER, which env\.variables does not declare"):
        read_buildspec(path)


def test_a_script_that_holds_the_mark_of_its_end_is_refused(write: Write) -> None:
    """What followed the mark would be run as commands."""
    path = write(scripts={"voice.py": f"{VOICE}# END_OF_SCRIPT\n"})

    with pytest.raises(BuildspecError, match=r"greet\.yml: scripts/voice\.py: holds END_OF_SCRIPT"):
        read_buildspec(path)


def test_a_script_of_another_folder_cannot_be_missing_silently(write: Write) -> None:
    path = write()
    for script in (path.parent / "scripts").iterdir():
        script.unlink()

    with pytest.raises(BuildspecError, match="scripts/ holds nothing"):
        read_buildspec(path)


def test_a_text_longer_than_codebuild_takes_is_refused(write: Write) -> None:
    fits = len(read_buildspec(write()).text)
    name = buildspec.LIMIT - fits - len("   \n")

    assert len(read_buildspec(write(scripts={"voice.py": f"{VOICE}{'x' * name}\n"})).text) == buildspec.LIMIT
    with pytest.raises(BuildspecError, match="25601 characters with its scripts, CodeBuild takes 25600: shorten them"):
        read_buildspec(write(scripts={"voice.py": f"{VOICE}{'x' * (name + 1)}\n"}))


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

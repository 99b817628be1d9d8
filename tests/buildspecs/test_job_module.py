"""What all jobs share, and that each can be used alone."""

import platform
import re
import sys
from pathlib import Path

import pytest
from fake_tools import DIGEST, REPOSITORY, Machine, module

from components.jobs.buildspec import FOLDER, load_buildspec

JOBS = sorted(path.stem for path in FOLDER.glob("*.yml"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_job_that_is_not_there_is_answered_with_those_that_are(machine: Machine) -> None:
    """A module without `main` is none."""
    for name in ("tag-images", "registry"):
        result = machine.run(name)
        assert result.returncode == 1
        assert result.stderr == f"buildspecs: there is no job {name!r}; there are: {', '.join(JOBS)}\n"


@pytest.mark.parametrize("name", JOBS)
def test_help_says_what_the_job_does_and_runs_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = module(name.replace("-", "_"))
    monkeypatch.setattr(sys, "argv", [name, "--help"])

    with pytest.raises(SystemExit) as end:
        job.main()

    assert end.value.code == 0
    assert "Variables: " in capsys.readouterr().out


@pytest.mark.parametrize("name", JOBS)
def test_a_missing_variable_is_named_and_ends_the_job_with_code_2(name: str, machine: Machine) -> None:
    spec = load_buildspec(name)
    result = machine.run(name.replace("-", "_"))

    named = [
        variable for variable in (*spec.variables, *spec.secrets) if f"variable {variable} is not set" in result.stderr
    ]
    # A phase that is left out is as wrong as a misspelt one, and is told the two that there are.
    assert len(named) == 1 or "PHASE must be publish" in result.stderr
    assert result.returncode == 2
    assert machine.calls == []


def test_an_argument_is_refused_because_inputs_are_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["job", "something"])

    with pytest.raises(SystemExit) as end:
        module("job").start("does something")

    assert end.value.code == 2


@pytest.mark.parametrize("name", JOBS)
def test_the_log_begins_with_the_versions_of_what_the_job_uses(name: str, machine: Machine) -> None:
    modules = load_buildspec(name).modules
    text, all_text = modules[name.replace("-", "_")], "".join(modules.values())
    used = {
        # The release looks at a digest with a module that could ask for one.
        "aws": bool(re.search(r'job\.aws\(|"aws", ["*]', all_text)) and name != "create-github-release",
        "docker": "registry.login(" in text,
        "docker buildx": '"docker", "buildx", ' in text,
        "go": "notation.install(" in text,
        "node": '"npm", "' in text,
    }
    result = machine.run(name.replace("-", "_"))

    versions = [f"Python {platform.python_version()}", *(f"{tool} 1.2.3" for tool, uses in used.items() if uses)]
    assert result.stdout.splitlines()[0] == ", ".join(versions)


def test_the_version_of_the_aws_cli_is_read_where_it_is_installed_and_it_is_not_started(machine: Machine) -> None:
    """As AWS's installer lays it out: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html."""
    machine.without("aws")
    installed = machine.folder.parent / "aws-cli" / "v2" / "2.31.0" / "dist" / "aws"
    installed.parent.mkdir(parents=True)
    installed.write_text("#!/bin/sh\necho started\n")
    installed.chmod(0o755)
    (machine.folder.parent / "aws-cli" / "v2" / "current").symlink_to(installed.parents[1])
    (machine.bin / "aws").symlink_to(machine.folder.parent / "aws-cli" / "v2" / "current" / "dist" / "aws")

    result = machine.run("tag_image")

    assert result.stdout.splitlines()[0].endswith(", aws 2.31.0")


def test_an_aws_cli_that_does_not_know_a_parameter_is_named_as_too_old(machine: Machine) -> None:
    machine.file("deployment.json", {"repository": REPOSITORY, "digest": DIGEST, "version": "1", "commit": ""})
    machine.answer("aws ecr describe-images", code=252, errors="aws: [ERROR]: Unknown options: --bake-time\n")

    result = machine.run("tag_image", IMAGE_REPOSITORY_URI=REPOSITORY, IMAGE_DIGEST=DIGEST)

    assert (
        "  | aws: [ERROR]: Unknown options: --bake-time\n"
        "This AWS CLI, aws 1.2.3, does not know what it is asked for: it is too old. The jobs need "
    ) in result.stderr


def test_a_tool_that_is_not_installed_is_named(machine: Machine) -> None:
    machine.without("aws")
    machine.file("deployment.json", {"repository": REPOSITORY, "digest": DIGEST, "version": "1", "commit": ""})

    result = machine.run("tag_image", IMAGE_REPOSITORY_URI=REPOSITORY, IMAGE_DIGEST=DIGEST)

    assert result.returncode == 1
    assert "FAILED: `aws` is not installed here, or not on PATH." in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("how", ["run", "stream"])
def test_a_failing_command_shows_its_last_lines(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = getattr(module("job"), how)
    code = "import sys; [print(n) for n in range(99)]; sys.exit(7)"

    with pytest.raises(SystemExit) as end:
        run("Count", sys.executable, "-c", code)

    shown = capsys.readouterr()
    assert end.value.code == 1
    assert shown.out.startswith("==> Count\n    $ ")
    assert "FAILED: Count: `" in shown.err
    assert "ended with code 7.\nIts last lines:\n  | 79\n" in shown.err
    assert "  | 98\nUsers may have either version" in shown.err


def test_a_secret_never_gets_into_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    job = module("job")
    hidden = job.secret("hunter2")

    module("job").stream("Print it", sys.executable, "-c", "import sys; print('it is', sys.argv[1])", hidden)
    with pytest.raises(SystemExit):
        job.fail(f"it is {hidden}")

    shown = capsys.readouterr()
    assert "hunter2" not in shown.out + shown.err
    assert "it is ***" in shown.out
    assert "it is ***" in shown.err


def test_a_tool_that_is_not_installed_is_named_when_its_output_is_shown_live(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        module("job").stream("Look", "no-such-tool-here")

    assert "`no-such-tool-here` is not installed here" in capsys.readouterr().err


def test_a_failure_that_is_allowed_gives_its_code() -> None:
    assert module("job").stream("Fail", sys.executable, "-c", "raise SystemExit(7)", check=False) == 7
    assert module("job").run("Fail", sys.executable, "-c", "raise SystemExit(7)", check=False).code == 7


def test_a_secret_that_is_empty_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    job = module("job")
    assert job.secret("") == ""
    job.say("it is")

    assert capsys.readouterr().out == "it is\n"


def test_a_job_run_by_hand_only_shows_what_it_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JOBS_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    module("job").export(NAME="it's")

    assert capsys.readouterr().out == """export NAME='it'"'"'s'\n"""
    assert list(tmp_path.iterdir()) == []


def test_exported_values_survive_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = module("job")
    monkeypatch.setenv("JOBS_DIR", str(tmp_path))
    job.export(NAME="it's $HOME `x`")

    shell = f'. "{tmp_path}/exports.env"; printf %s "$NAME"'
    result = job.run("Read it back", "/bin/sh", "-c", shell)

    assert result.output == "it's $HOME `x`"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [("{", dict, "X is not JSON"), ("[]", dict, "X must be a JSON object"), ("{}", list, "X must be a JSON list")],
)
def test_a_variable_that_is_not_the_expected_json_is_refused(
    text: str, kind: type, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        module("inputs").parsed("X", text, kind)

    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_a_variable_that_is_no_number_above_zero_is_refused(text: str) -> None:
    with pytest.raises(SystemExit) as end:
        module("inputs").number("X", text)

    assert end.value.code == 2


def test_the_last_lines_that_are_kept_are_those_of_the_last_command() -> None:
    job = module("job")
    job.stream("Say one thing", "printf", "one\n")
    job.stream("Say another", "printf", "two\n")

    assert list(job.last_lines) == ["two\n"]


def test_what_two_commands_give_is_kept_apart_and_a_failure_ends_the_job() -> None:
    job = module("job")
    assert job.at_once(lambda: 1, lambda: "two") == (1, "two")
    for pair in ((lambda: job.fail("no", 3), lambda: 2), (lambda: 1, lambda: job.fail("no", 3))):
        with pytest.raises(SystemExit) as end:
            job.at_once(*pair)
        assert end.value.code == 3


def test_what_a_job_writes_takes_the_place_of_a_file_and_of_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    job = module("job")
    Path("elsewhere").mkdir()
    Path("image.json").symlink_to("elsewhere")
    job.write_json("image.json", {"a": 1})
    assert (Path("image.json").is_symlink(), job.parsed("image.json")) == (False, {"a": 1})
    with pytest.raises(SystemExit):
        job.write_json("elsewhere", {})
    assert "elsewhere is a folder of the input artifact" in capsys.readouterr().err

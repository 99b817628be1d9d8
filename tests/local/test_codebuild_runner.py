"""What CodeBuild does with a buildspec, one rule at a time."""

import itertools
import json
import stat
import textwrap
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.errors import Refusal
from local.rehearsal.codebuild import Build, BuildHost, BuildspecProblem, Result, Variable, names_in, run_build, unpack

PLACE = BuildHost(environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "FROM_IMAGE": "image"})
NUMBERS = itertools.count()
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/token-AbCdEf"


def vault(secret_id: str) -> str:
    """Secrets Manager with one secret."""
    if secret_id in ("shop/token", ARN):
        return '{"key": "s3cret", "number": 7}'
    raise LookupError(f"no secret {secret_id}")


def run(text: str, folder: Path, *, inputs: Mapping[str, Path] | None = None, **build: Any) -> Result:  # noqa: ANN401 - fields of Build
    """Run a buildspec of this text, which lacks its version and gets bash unless it has an `env`."""
    text = textwrap.dedent(text)
    env = "" if "env:" in text else "env: {shell: bash}\n"
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "a.txt").write_text("a")
    secrets, place = build.pop("secrets", None), build.pop("place", PLACE)
    return run_build(
        Build(project="shop", buildspec=f"version: 0.2\n{env}{text}", inputs=inputs or {"Source": source}, **build),
        place,
        folder / f"build-{next(NUMBERS)}",
        secrets=secrets,
    )


def run_own(text: str | None, folder: Path) -> Result:
    """Run a buildspec that the source has as a file, or lacks."""
    source = folder / "code"
    (source / "ci").mkdir(parents=True)
    if text is not None:
        (source / "ci/unit.yml").write_text(text)
    return run_build(
        Build(project="shop", buildspec="ci/unit.yml", inputs={"Source": source}),
        PLACE,
        folder / f"own-{next(NUMBERS)}",
    )


def printed(result: Result) -> list[str]:
    """What the commands printed."""
    return [line for line in result.log.splitlines() if not line.startswith("[Container]")]


def states(result: Result) -> dict[str, str]:
    """How each phase ended that ran."""
    return {phase.name: phase.status for phase in result.phases}


def test_phases_run_in_codebuilds_order_whatever_the_order_in_the_file(tmp_path: Path) -> None:
    result = run("phases: {build: {commands: [echo 2]}, install: {commands: [echo 1]}}", tmp_path)

    assert printed(result) == ["1", "2"]
    assert states(result) == dict.fromkeys(("DOWNLOAD_SOURCE", "INSTALL", "BUILD", "UPLOAD_ARTIFACTS"), "SUCCEEDED")
    assert result.succeeded


@pytest.mark.parametrize(
    ("failing", "ran"),
    [
        ("install", ["INSTALL"]),
        ("pre_build", ["INSTALL", "PRE_BUILD"]),
        ("build", ["INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"]),
        ("", ["INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"]),
    ],
)
def test_after_a_build_that_failed_comes_what_cleans_up_and_nothing_after_others(
    tmp_path: Path, failing: str, ran: list[str]
) -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html#view-build-details-phases"""
    commands = {
        name: ["exit 1" if name == failing else "true"] for name in ("install", "pre_build", "build", "post_build")
    }
    result = run("phases: " + json.dumps({name: {"commands": said} for name, said in commands.items()}), tmp_path)
    between = [name for name in states(result) if name not in ("DOWNLOAD_SOURCE", "UPLOAD_ARTIFACTS")]
    assert between == ran
    assert result.succeeded == (not failing)


def test_a_buildspec_of_the_application_is_read_where_it_is(tmp_path: Path) -> None:
    text = "version: 0.2\nenv: {variables: {A: b}}\nphases: {build: {commands: ['echo $A of $(ls)']}}"
    assert printed(run_own(text, tmp_path)) == ["b of ci"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "YAML_FILE_ERROR: stat "),
        ("phases: {build: {finally: [a]}}", "ci/unit.yml: phases.build: 'finally' is not emulated here"),
        ("phases: [", "ci/unit.yml: YAML_FILE_ERROR: "),
    ],
)
def test_a_buildspec_of_the_application_that_cannot_be_read_fails_the_build(
    tmp_path: Path, text: str | None, message: str
) -> None:
    (phase,) = run_own(text, tmp_path).phases
    assert phase.message.startswith(message)


def test_a_failed_command_ends_the_phases_and_artifacts_are_attempted(tmp_path: Path) -> None:
    text = "phases: {install: {commands: [echo 1, exit 3, echo 2]}, build: {commands: [echo 3]}}\n"
    result = run(f"{text}artifacts: {{files: [a.txt]}}", tmp_path, outputs=("Out",))

    assert printed(result) == ["1"]
    assert states(result) == {"DOWNLOAD_SOURCE": "SUCCEEDED", "INSTALL": "FAILED", "UPLOAD_ARTIFACTS": "SUCCEEDED"}
    assert result.phases[1].message == "Error while executing command: exit 3. Reason: exit status 3"
    assert "Out" in result.artifacts
    assert not result.succeeded


def test_exported_variables_and_the_working_folder_are_carried_from_command_to_command(tmp_path: Path) -> None:
    result = run(
        r"""
        phases:
          install:
            commands:
              - mkdir sub && cd sub
              - export TEXT=$'two  blanks\nB=2\n'; PLAIN=1; set -eu; f() { echo; }; exit 0
          build:
            commands:
              - printf '%s' "$TEXT" | od -An -c | tr -d ' \n'; echo " ${PWD##*/} ${B-} ${PLAIN-} $(type -t f)"
              - unset TEXT FROM_IMAGE
              - echo "${TEXT-gone} ${FROM_IMAGE-gone}"
        """,
        tmp_path,
    )

    assert printed(result) == [r"twoblanks\nB=2\n sub   ", "gone gone"]


def test_exported_variables_are_read_at_the_end(tmp_path: Path) -> None:
    result = run(
        """
        env:
          shell: bash
          variables: {DECLARED: from the buildspec}
          exported-variables: [TAG, DECLARED, NEVER_SET, AWS_REGION, KEY]
        phases: {build: {commands: [export TAG=1, export TAG=2]}}
        """,
        tmp_path,
        secrets=vault,
        project_variables=(Variable(name="KEY", value="shop/token:key", type="SECRETS_MANAGER"),),
    )

    assert result.exported == {"TAG": "2", "DECLARED": "from the buildspec"}


def test_the_action_is_stronger_than_the_project_and_the_project_than_the_buildspec(tmp_path: Path) -> None:
    result = run(
        """
        env: {shell: bash, variables: {A: buildspec, B: buildspec, C: "$(echo x) ${B}", FROM_IMAGE: buildspec}}
        phases: {build: {commands: [echo "$A $B $C $FROM_IMAGE $AWS_REGION"]}}
        """,
        tmp_path,
        project_variables=(Variable(name="A", value="project"), Variable(name="B", value="project")),
        overrides=(Variable(name="A", value="action"),),
    )

    assert printed(result) == ["action project $(echo x) ${B} buildspec eu-central-1"], "values are literal"


def test_nothing_of_this_process_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_DEVELOPER", "1")
    result = run("phases: {build: {commands: ['echo ${OF_THE_DEVELOPER-nothing} $FROM_IMAGE']}}", tmp_path)

    assert printed(result) == ["nothing image"]


def test_secrets_are_fetched_and_masked(tmp_path: Path) -> None:
    references = {"KEY": "shop/token:key", "NUMBER": f"{ARN}:number", "WHOLE": "shop/token"}
    result = run(
        """
        phases:
          build:
            commands:
              - echo "${#KEY} ${#NUMBER} ${#WHOLE} $KEY AKIAIOSFODNN0EXAMPLE"; echo s3cret >&2; exit $NUMBER
        """,
        tmp_path,
        secrets=vault,
        project_variables=tuple(
            Variable(name=name, value=value, type="SECRETS_MANAGER") for name, value in references.items()
        ),
    )

    assert printed(result) == ["6 1 30 *** ***", "***"]
    assert "s3cret" not in repr(result)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("shop/nothing", "Secrets Manager: no secret shop/nothing"),
        ("shop/token:nothing", "Secrets Manager: the secret shop/token has no JSON key nothing"),
    ],
)
def test_a_secret_that_cannot_be_had_fails_the_build_before_any_command(tmp_path: Path, value: str, said: str) -> None:
    variable = Variable(name="KEY", value=value, type="SECRETS_MANAGER")
    text = "phases: {build: {commands: [echo never]}}"
    result = run(text, tmp_path, project_variables=(variable,), secrets=vault)

    assert printed(result) == []
    assert states(result) == {"DOWNLOAD_SOURCE": "FAILED"}
    assert said in result.phases[0].message
    with pytest.raises(Refusal, match="the value of KEY is kept in AWS"):
        run(text, tmp_path, project_variables=(variable,))


def test_the_output_is_the_buildspecs_artifacts_without_their_modes(tmp_path: Path) -> None:
    """ "codebuild does not preserve permissions" (cdklabs/aws-delivlib#25)."""
    result = run(
        """
        phases: {build: {commands: [mkdir out, echo 1 > out/run.sh, chmod 755 out/run.sh, cd /]}}
        artifacts: {files: [out/run.sh, a.txt, missing.txt]}
        """,
        tmp_path,
        outputs=("Out",),
    )
    unpacked = unpack(result.artifacts["Out"], tmp_path / "unpacked")
    second = run("phases: {build: {commands: [cat out/run.sh]}}", tmp_path, inputs=result.artifacts)

    assert names_in(result.artifacts["Out"]) == ["a.txt", "out/run.sh"]
    assert not (tmp_path / "source" / "out").exists(), "what a build makes of its source stays in the build"
    assert not (unpacked / "out" / "run.sh").stat().st_mode & stat.S_IXUSR
    assert "[Container] Skipping invalid file path missing.txt" in result.log
    assert printed(second) == ["1"]


def test_an_output_that_the_buildspec_does_not_make_fails_and_one_that_nobody_wants_is_left(tmp_path: Path) -> None:
    nothing = run("phases: {build: {commands: ['true']}}", tmp_path, outputs=("Out",))
    unwanted = run("phases: {build: {commands: ['true']}}\nartifacts: {files: [missing]}", tmp_path)

    assert nothing.phases[-1].message == "the buildspec has no artifacts, the action expects Out"
    assert (unwanted.artifacts, unwanted.succeeded) == ({}, True)


def test_of_several_outputs_each_is_the_secondary_artifact_of_its_name(tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/codebuild/latest/userguide/sample-pipeline-multi-input-output.html"""
    result = run(
        """
        phases: {build: {commands: [mkdir out, echo 1 > out/1, echo 2 > 2]}}
        artifacts:
          files: [a.txt]
          secondary-artifacts:
            Second: {base-directory: out, files: ['**/*']}
            First: {files: ['2', a.txt]}
            Third: {files: [missing]}
        """,
        tmp_path,
        outputs=("First", "Second"),
    )

    assert result.succeeded
    assert {name: names_in(packed) for name, packed in result.artifacts.items()} == {
        "First": ["2", "a.txt"],
        "Second": ["1"],
    }
    assert {name: packed.name for name, packed in result.artifacts.items()} == {
        "First": "First.zip",
        "Second": "Second.zip",
    }


@pytest.mark.parametrize(
    ("outputs", "rules", "said"),
    [
        (("A", "B"), "{secondary-artifacts: {A: {files: [a.txt]}}}", "no secondary artifact B, the action expects B"),
        (("B", "A"), "{secondary-artifacts: {A: {files: [a.txt]}}}", "no secondary artifact B, the action expects B"),
        (
            ("A", "B"),
            "{files: [a.txt], secondary-artifacts: {A: {files: [a.txt]}, b: {files: [a.txt]}}}",
            "no secondary artifact B, the action expects B",
        ),
        (
            ("A", "B"),
            "{secondary-artifacts: {A: {files: [a.txt]}, B: {base-directory: .}}}",
            "no secondary artifact B, the action expects B",
        ),
        (
            ("B",),
            "{secondary-artifacts: {A: {files: [a.txt]}, B: {files: [a.txt]}}}",
            "no artifacts, the action expects B",
        ),
    ],
)
def test_an_output_that_is_no_artifact_by_its_name_fails_the_build(
    tmp_path: Path, outputs: tuple[str, ...], rules: str, said: str
) -> None:
    """The others are stored all the same."""
    result = run(f"phases: {{build: {{commands: ['true']}}}}\nartifacts: {rules}", tmp_path, outputs=outputs)

    assert states(result)["UPLOAD_ARTIFACTS"] == "FAILED"
    assert result.phases[-1].message == f"the buildspec has {said}"
    assert result.artifacts.keys() == {*outputs} - {"B"}


def test_an_output_of_several_of_which_no_file_is_there_fails_the_build(tmp_path: Path) -> None:
    rules = "{secondary-artifacts: {A: {files: [a.txt]}, B: {files: [missing]}}}"
    result = run(f"phases: {{build: {{commands: ['true']}}}}\nartifacts: {rules}", tmp_path, outputs=("A", "B"))

    assert result.phases[-1].message.startswith("no matching ")
    assert result.artifacts.keys() == {"A"}


@pytest.mark.parametrize(
    ("rules", "packed"),
    [
        ("{base-directory: out, files: ['**/*']}", [".hidden", "1", "link", "sub/.dot/3", "sub/2"]),
        ("{base-directory: out, files: [1, sub/2]}".replace("1", "'1'"), ["1", "sub/2"]),
        ("{base-directory: out, files: [sub]}", None),
        ("{base-directory: nowhere, files: ['**/*']}", None),
        ("{files: [nothing]}", None),
    ],
)
def test_artifacts_are_chosen_by_files_and_base_directory(tmp_path: Path, rules: str, packed: list[str] | None) -> None:
    made = "mkdir -p out/sub/.dot; touch out/1 out/.hidden out/sub/2 out/sub/.dot/3; ln -s 1 out/link"
    result = run(f"phases: {{build: {{commands: ['{made}']}}}}\nartifacts: {rules}", tmp_path, outputs=("Out",))

    if packed is None:
        assert states(result)["UPLOAD_ARTIFACTS"] == "FAILED"
        assert result.phases[-1].message.startswith("no matching ")
        assert result.artifacts == {}
    else:
        assert names_in(result.artifacts["Out"]) == packed


JUNIT = """<testsuites>
  <testsuite name="s" tests="99" failures="0">
    <testcase classname="page" name="fast"/>
    <testcase classname="page" name="good"><failure message="0.5 &lt; 0.9">long</failure></testcase>
    <testcase name="broken"><error>no page</error></testcase>
    <testcase name="left out"><skipped/></testcase>
  </testsuite>
</testsuites>"""


@pytest.mark.parametrize(
    ("content", "file", "said"),
    [
        (JUNIT, "junit.xml", ""),
        (JUNIT, "other.xml", "report pages: no matching report paths found"),
        ("<testsuite>", "junit.xml", "report pages: junit.xml is no XML"),
        ("<html/>", "junit.xml", "report pages: junit.xml is no JUnit XML: it begins with <html>"),
    ],
)
def test_a_junit_report_is_counted_by_its_test_cases_also_after_a_failed_build(
    tmp_path: Path, content: str, file: str, said: str
) -> None:
    source = tmp_path / "code"
    source.mkdir()
    (source / "junit.xml").write_text(content)
    rules = f"{{pages: {{files: [{file}], file-format: JUNITXML}}}}"
    text = f"phases: {{build: {{commands: ['exit 1']}}}}\nreports: {rules}"
    result = run(text, tmp_path, inputs={"Source": source})

    assert states(result)["UPLOAD_ARTIFACTS"] == ("FAILED" if said else "SUCCEEDED")
    assert result.phases[-1].message.startswith(said)
    if not said:
        report = result.reports["pages"]
        assert (report.tests, report.failures, report.errors) == (4, 1, 1)
        assert report.failing == ("page good: 0.5 < 0.9", "broken: no page")


def test_a_build_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    began = time.monotonic()
    text = f"phases: {{build: {{commands: ['(while :; do date +%N > {alive}; sleep 0.1; done) & sleep 60']}}}}"
    result = run(text, tmp_path, timeout_minutes=0.7 / 60)

    assert time.monotonic() - began < 20
    assert states(result) == {"DOWNLOAD_SOURCE": "SUCCEEDED", "BUILD": "TIMED_OUT"}
    assert not result.succeeded
    left = alive.read_text()
    time.sleep(0.3)
    assert alive.read_text() == left


def test_what_a_command_leaves_running_runs_until_the_build_ends(tmp_path: Path) -> None:
    text = "phases: {build: {commands: ['(echo started; sleep 60; echo never) &', sleep 0.1; echo on]}}"
    result = run(text, tmp_path)

    assert sorted(printed(result)) == ["on", "started"]
    assert result.succeeded


def test_commands_are_entered_by_the_places_prefix_and_one_that_is_killed_names_the_signal(tmp_path: Path) -> None:
    place = BuildHost(environment=PLACE.environment, enter=("env", "ENTERED=1"))
    result = run("phases: {build: {commands: [echo $ENTERED, 'kill -9 0']}}", tmp_path, place=place)

    assert printed(result) == ["1"]
    assert "Reason: signal 9" in result.phases[1].message


def test_two_builds_have_their_scripts_in_folders_of_their_own(tmp_path: Path) -> None:
    text = """
        env: {shell: bash, variables: {JOBS_DIR: /tmp/ecs-delivery}}
        phases: {build: {commands: [mkdir -p $JOBS_DIR, echo $JOBS_DIR]}}
        """
    folders = {printed(run(text, tmp_path))[0] for _ in range(2)}

    assert len(folders) == 2
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "phases: {bild: {commands: [a]}}",
            "shop: phases: 'bild' is not emulated here; there are install, pre_build, build, post_build",
        ),
        (
            "phases: {build: {finally: [a]}}",
            "shop: phases.build: 'finally' is not emulated here; there are runtime-versions, commands",
        ),
        ("cache: {paths: [a]}", "shop: the file: 'cache' is not emulated here; there are version, env, "),
        ("env: {parameter-store: {A: b}}", "shop: env: 'parameter-store' is not emulated here; there are shell, "),
        ("env: {shell: zsh}", "shop: env.shell: only bash is emulated here, got 'zsh'"),
        ("env: {variables: {PORT: 80}}", "shop: env.variables.PORT: must be a text, YAML reads it as 80"),
        ("phases: {build: {commands: [echo a: b]}}", "shop: phases.build.commands.1: must be a text, YAML reads it as"),
        ("artifacts: {files: [a], discard-paths: yes}", "shop: artifacts: 'discard-paths' is not emulated here"),
        (
            "artifacts: {secondary-artifacts: {A: {files: [a], discard-paths: yes}}}",
            "shop: artifacts.secondary-artifacts.A: 'discard-paths' is not emulated here",
        ),
        (
            "artifacts: {secondary-artifacts: {A: {files: [1]}}}",
            "shop: artifacts.secondary-artifacts.A.files.1: must be a text, YAML reads it as 1",
        ),
        ("artifacts: {secondary-artifacts: {A: [a]}}", "shop: artifacts.secondary-artifacts.A: must be a mapping, got"),
        ("reports: {a: {files: [a], discard-paths: yes}}", "shop: reports.a: 'discard-paths' is not emulated here"),
        ("reports: {a: {files: [a], file-format: CUCUMBERJSON}}", "shop: reports.a.file-format: only JUNITXML is emul"),
        ("phases: [a]", "shop: phases: must be a mapping, got ['a']"),
        ("phases: [", "shop: YAML_FILE_ERROR: while parsing"),
    ],
)
def test_what_is_malformed_or_not_emulated_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BuildspecProblem) as caught:
        run(text, tmp_path)

    assert said in str(caught.value)


def test_what_no_pipeline_here_does_is_refused(tmp_path: Path) -> None:
    build = Build(project="shop", buildspec="version: 0.2\nphases: {build: {commands: [a]}}", inputs={"S": tmp_path})
    (tmp_path / "x").touch()

    with pytest.raises(Refusal, match="is not empty"):
        run_build(build, PLACE, tmp_path)
    with pytest.raises(Refusal, match="one input artifact is emulated here"):
        run("phases: {build: {commands: [a]}}", tmp_path, inputs={"One": tmp_path, "Two": tmp_path})


@pytest.mark.parametrize("name", ["../outside", "public/../../outside", "/outside", "a/.."])
def test_a_zip_that_unpacks_outside_fails_the_build_before_any_command(tmp_path: Path, name: str) -> None:
    packed = tmp_path / "packed" / "Source.zip"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a")
        archive.writestr(name, "evil")

    result = run("phases: {build: {commands: [echo ran]}}", tmp_path, inputs={"Source": packed})

    assert states(result) == {"DOWNLOAD_SOURCE": "FAILED"}
    assert f"CLIENT_ERROR: Source.zip holds '{name}', which leads out of the folder" in result.log
    assert [path for path in tmp_path.rglob("*") if path.name == "outside"] == []


def test_a_link_in_a_zip_is_unpacked_as_a_text(tmp_path: Path) -> None:
    """As CodePipeline's archives have them: see `local.rehearsal.codebuild.source_action`."""
    packed = tmp_path / "packed" / "Source.zip"
    packed.parent.mkdir()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("env.txt")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/proc/self/environ")

    result = run("phases: {build: {commands: [cat env.txt]}}", tmp_path, inputs={"Source": packed})

    assert printed(result) == ["/proc/self/environ"]

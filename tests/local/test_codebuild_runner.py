"""What CodeBuild does with a buildspec, one rule at a time."""

import itertools
import stat
import textwrap
import time
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.errors import Refusal
from local.rehearsal.codebuild import Build, BuildspecProblem, Place, Result, Variable, names_in, run_build, unpack

PLACE = Place(environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "FROM_IMAGE": "image"})
NUMBERS = itertools.count()


class Vault:
    """Parameter Store and Secrets Manager with three entries."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def parameters(self, names: Collection[str]) -> Mapping[str, str]:
        self.asked.append(tuple(names))
        known = {"/shop/password": "hunter22", "/shop/user": "ann"}
        return {name: known[name] for name in names if name in known}

    def secret(self, secret_id: str, stage: str, version: str) -> str:
        self.asked.append((secret_id, stage, version))
        if secret_id in {"shop/token", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/token-AbCdEf"}:
            return '{"key": "s3cret", "number": 7}'
        raise LookupError(f"no secret {secret_id}")


def run(text: str, folder: Path, *, inputs: Mapping[str, Path] | None = None, **build: Any) -> Result:  # noqa: ANN401 - fields of Build
    """Run a buildspec of this text, which lacks its version and gets bash unless it has an `env`."""
    text = textwrap.dedent(text)
    env = "" if "env:" in text else "env: {shell: bash}\n"
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "a.txt").write_text("a")
    secrets, show, place = build.pop("secrets", None), build.pop("show", None), build.pop("place", PLACE)
    return run_build(
        Build(project="shop", buildspec=f"version: 0.2\n{env}{text}", inputs=inputs or {"Source": source}, **build),
        place,
        folder / f"build-{next(NUMBERS)}",
        secrets=secrets,
        show=show,
    )


def printed(result: Result) -> list[str]:
    """What the commands printed."""
    return [line for line in result.log.splitlines() if not line.startswith("[Container]")]


def states(result: Result) -> dict[str, str]:
    """How each phase ended that ran."""
    return {phase.name: phase.status for phase in result.phases}


FOUR = """
phases:
  install: {{commands: [echo install, {install}]}}
  pre_build: {{commands: [echo pre_build, {pre_build}]}}
  build: {{commands: [echo build, {build}]}}
  post_build: {{commands: [echo post_build $CODEBUILD_BUILD_SUCCEEDING, {post_build}]}}
artifacts: {{files: ["**/*"]}}
"""
GOOD = dict.fromkeys(("install", "pre_build", "build", "post_build"), '":"')


def test_phases_run_in_codebuilds_order_whatever_the_order_in_the_file(tmp_path: Path) -> None:
    result = run(
        "phases: {post_build: {commands: [echo 4]}, build: {commands: [echo 3]}, install: {commands: [echo 1]}}",
        tmp_path,
    )

    assert printed(result) == ["1", "3", "4"]
    assert states(result) == dict.fromkeys(
        ("DOWNLOAD_SOURCE", "INSTALL", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS"), "SUCCEEDED"
    )
    assert result.succeeded


@pytest.mark.parametrize("phase", ["install", "pre_build"])
def test_a_failure_in_install_or_pre_build_stops_the_rest_but_artifacts_are_attempted(
    tmp_path: Path, phase: str
) -> None:
    result = run(FOUR.format(**{**GOOD, phase: "exit 3"}), tmp_path, outputs=("Out",))

    assert printed(result)[-1] == phase
    assert states(result)[phase.upper()] == "FAILED"
    assert list(states(result))[-2:] == [phase.upper(), "UPLOAD_ARTIFACTS"]
    assert "Out" in result.artifacts
    assert not result.succeeded


def test_after_a_failed_build_post_build_runs_and_knows_of_it(tmp_path: Path) -> None:
    result = run(FOUR.format(**{**GOOD, "build": "exit 3"}), tmp_path, outputs=("Out",))

    assert printed(result)[-1] == "post_build 0"
    assert states(result)["POST_BUILD"] == states(result)["UPLOAD_ARTIFACTS"] == "SUCCEEDED"
    assert not result.succeeded
    failed = result.phase("BUILD")
    assert failed
    assert failed.message == "Error while executing command: exit 3. Reason: exit status 3"


def test_a_succeeding_build_says_so_to_post_build(tmp_path: Path) -> None:
    assert printed(run(FOUR.format(**GOOD), tmp_path))[-1] == "post_build 1"


@pytest.mark.parametrize("shell", ["bash", "/bin/sh"])
def test_environment_and_working_folder_are_carried_from_command_to_command(tmp_path: Path, shell: str) -> None:
    result = run(
        f"""
        env: {{shell: {shell}}}
        phases:
          pre_build:
            commands:
              - mkdir sub && cd sub
              - PLAIN="it's \\"quoted\\" \\\\ and
                \tlonger"; export EXPORTED=' two  blanks '
          build:
            commands:
              - echo "$PLAIN|$EXPORTED|${{PWD##*/}}"
              - sh -c 'echo "${{PLAIN-not exported}}|$EXPORTED"'
              - unset EXPORTED FROM_IMAGE
              - echo "${{EXPORTED-gone}} ${{FROM_IMAGE-gone}}"
        """,
        tmp_path,
    )

    assert printed(result) == [
        'it\'s "quoted" \\ and longer| two  blanks |sub',
        "not exported| two  blanks ",
        "gone gone",
    ]


def test_a_variable_of_several_lines_is_carried_over_as_it_is(tmp_path: Path) -> None:
    result = run(
        r"""
        phases:
          build:
            commands:
              - TEXT=$'first\nB=2\n\ndeclare -x C=3'
              - printf '%s' "$TEXT" | od -An -c | tr -d ' \n'; echo "${B-} ${C-}"
        """,
        tmp_path,
    )

    assert printed(result) == [r"first\nB=2\n\ndeclare-xC=3 "]


def test_arrays_functions_and_options_are_not_carried_over(tmp_path: Path) -> None:
    result = run(
        """
        phases:
          build:
            commands:
              - "declare -A MAP=([a]=1); LIST=(1 2); f() { echo; }; export -f f; set -euo pipefail"
              - 'echo "${MAP[a]-no map} ${LIST[1]-no list} $(type -t f) ${UNSET-fine}"; false; echo on'
        """,
        tmp_path,
    )

    assert printed(result) == ["no map no list  fine", "on"]


def test_exit_ends_only_its_own_command(tmp_path: Path) -> None:
    result = run("phases: {build: {commands: ['LEFT=1; exit 0; echo never', 'echo $LEFT on']}}", tmp_path)

    assert printed(result) == ["1 on"]


def test_an_entry_of_several_lines_has_the_exit_code_of_its_last_command(tmp_path: Path) -> None:
    good = run("phases:\n  build:\n    commands:\n      - |\n        false\n        true\n", tmp_path)
    bad = run("phases:\n  build:\n    commands:\n      - |\n        true\n        false\n", tmp_path)

    assert (good.succeeded, bad.succeeded) == (True, False)


def test_a_failed_command_skips_the_others_of_its_phase(tmp_path: Path) -> None:
    assert printed(run("phases: {build: {commands: [echo 1, 'false', echo 2]}}", tmp_path)) == ["1"]


def test_a_syntax_error_fails_its_command_alone(tmp_path: Path) -> None:
    result = run("phases: {build: {commands: ['KEPT=1', 'if'], finally: [echo $KEPT]}}", tmp_path)

    assert printed(result)[-1] == "1"
    assert states(result)["BUILD"] == "FAILED"


def test_the_shell_is_sh_unless_the_buildspec_says_bash(tmp_path: Path) -> None:
    probe = "phases: {build: {commands: ['echo ${BASH_VERSION:+bash}.']}}"

    assert printed(run(f"env: {{shell: bash}}\n{probe}", tmp_path)) == ["bash."]
    assert printed(run(f"env: {{}}\n{probe}", tmp_path)) == ["."]


def test_finally_runs_after_a_failed_command(tmp_path: Path) -> None:
    result = run(
        "phases: {build: {commands: ['exit 4', echo never], finally: ['echo finally $CODEBUILD_BUILD_SUCCEEDING']}}",
        tmp_path,
    )

    assert printed(result) == ["finally 0"]
    assert "exit status 4" in result.phases[1].message


def test_a_failing_finally_fails_the_phase(tmp_path: Path) -> None:
    result = run("phases: {build: {commands: [echo fine], finally: ['exit 5', echo never]}}", tmp_path)

    assert printed(result) == ["fine"]
    assert "exit status 5" in result.phases[1].message


def test_on_failure_abort_leaves_out_post_build(tmp_path: Path) -> None:
    result = run(
        "phases: {build: {on-failure: ABORT, commands: ['false']}, post_build: {commands: [echo never]}}", tmp_path
    )

    assert printed(result) == []
    assert list(states(result)) == ["DOWNLOAD_SOURCE", "BUILD", "UPLOAD_ARTIFACTS"]


def test_on_failure_continue_goes_on_and_the_build_stays_failed(tmp_path: Path) -> None:
    result = run(
        """
        phases:
          install: {on-failure: CONTINUE, commands: ['false']}
          build: {commands: [echo $CODEBUILD_BUILD_SUCCEEDING]}
        """,
        tmp_path,
    )

    assert printed(result) == ["0"]
    assert (states(result)["BUILD"], result.succeeded) == ("SUCCEEDED", False)


@pytest.mark.parametrize(
    ("on_failure", "tries", "succeeds"),
    [
        ("RETRY", 4, True),
        ("RETRY-2", 3, True),
        ("RETRY-1", 2, False),
        ("RETRY-0", 1, False),
        ("RETRY-.*not yet.*", 3, True),
        ("RETRY-.*never said.*", 1, False),
        ("RETRY-2-not yet", 3, True),
        ("RETRY-5-never said", 1, False),
    ],
)
def test_on_failure_retry_runs_the_phase_again(tmp_path: Path, on_failure: str, tries: int, *, succeeds: bool) -> None:
    needed = 4 if on_failure == "RETRY" else 3
    result = run(
        f"""
        phases:
          build:
            on-failure: {on_failure!r}
            commands:
              - N=$((${{N:-0}}+1)); echo try $N
              - test $N -ge {needed} || {{ echo not yet; exit 1; }}
        """,
        tmp_path,
    )

    assert [line for line in printed(result) if line.startswith("try")] == [f"try {n + 1}" for n in range(tries)]
    assert states(result)["BUILD"] == ("SUCCEEDED" if succeeds else "FAILED")


def test_exported_variables_are_read_at_the_end_of_post_build(tmp_path: Path) -> None:
    result = run(
        """
        env:
          shell: bash
          variables: {DECLARED: from the buildspec}
          exported-variables: [TAG, PLAIN, DECLARED, NEVER_SET, AWS_REGION]
        phases:
          build: {commands: [export TAG=1, PLAIN=yes]}
          post_build: {commands: [export TAG=2]}
        """,
        tmp_path,
    )

    assert result.exported == {"TAG": "2", "PLAIN": "yes", "DECLARED": "from the buildspec"}


def test_the_action_is_stronger_than_the_project_and_the_project_than_the_buildspec(tmp_path: Path) -> None:
    result = run(
        """
        env: {shell: bash, variables: {A: buildspec, B: buildspec, C: buildspec, FROM_IMAGE: buildspec}}
        phases: {build: {commands: [echo $A $B $C $FROM_IMAGE]}}
        """,
        tmp_path,
        project_variables=(Variable(name="A", value="project"), Variable(name="B", value="project")),
        overrides=(Variable(name="A", value="action"),),
    )

    assert printed(result) == ["action project buildspec buildspec"]


def test_values_are_literal(tmp_path: Path) -> None:
    result = run(
        """
        env: {shell: bash, variables: {PATH: "$PATH:/opt/bin", HOME: "$(echo x) ${B}"}}
        phases: {build: {commands: ['echo "$PATH $HOME"']}}
        """,
        tmp_path,
    )

    assert printed(result) == ["$PATH:/opt/bin $(echo x) ${B}"]


def test_nothing_of_this_process_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_DEVELOPER", "1")
    result = run("phases: {build: {commands: ['echo ${OF_THE_DEVELOPER-nothing} $FROM_IMAGE']}}", tmp_path)

    assert printed(result) == ["nothing image"]


def test_parameters_and_secrets_are_fetched_and_masked(tmp_path: Path) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop/token-AbCdEf"
    vault = Vault()
    shown: list[str] = []
    result = run(
        """
        env:
          shell: bash
          parameter-store: {PASSWORD: /shop/password, LOGIN: /shop/user}
          secrets-manager: {KEY: "shop/token:key", STAGED: "shop/token:key:AWSPREVIOUS", BY_ID: "shop/token:key::v1"}
          exported-variables: [PASSWORD, KEY, LENGTHS]
        phases:
          build:
            commands:
              - LENGTHS="${#PASSWORD} ${#KEY} ${#NUMBER} ${#WHOLE}"
              - echo "$PASSWORD $KEY $LOGIN $NUMBER"; echo hunter22 >&2; echo hunter22; exit 1
        """,
        tmp_path,
        secrets=vault,
        show=shown.append,
        project_variables=(
            Variable(name="NUMBER", value=f"{arn}:number", type="SECRETS_MANAGER"),
            Variable(name="WHOLE", value="shop/token", type="SECRETS_MANAGER"),
        ),
        overrides=(Variable(name="LOGIN", value="plain"),),
    )

    assert result.exported == {"LENGTHS": "8 6 1 30"}
    assert ("/shop/password",) in vault.asked
    assert ("shop/token", "AWSPREVIOUS", "") in vault.asked
    assert ("shop/token", "", "v1") in vault.asked
    assert (arn, "", "") in vault.asked
    assert "*** *** plain ***" in printed(result)
    everything = "\n".join([result.log, *shown, *(phase.message for phase in result.phases)])
    assert "hunter22" not in everything
    assert "s3cret" not in everything


def test_an_access_key_id_is_not_shown(tmp_path: Path) -> None:
    assert printed(run("phases: {build: {commands: [echo key AKIAIOSFODNN7EXAMPLE]}}", tmp_path)) == ["key ***"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PARAMETER_STORE", "/shop/nothing", "Parameter Store: no parameter /shop/nothing"),
        ("SECRETS_MANAGER", "shop/nothing", "Secrets Manager: no secret shop/nothing"),
        ("SECRETS_MANAGER", "shop/token:nothing", "Secrets Manager: the secret shop/token has no JSON key nothing"),
        ("SECRETS_MANAGER", "shop/token:key:A:b", "names a version's stage and its id; one of them is allowed"),
        ("SECRETS_MANAGER", "shop/token:key:A::b", "has too many parts: <id>:<json-key>:<stage>:<version>"),
    ],
)
def test_a_secret_that_cannot_be_had_fails_the_build_before_any_command(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    variable = Variable(name="KEY", value=value, type=name)
    result = run("phases: {build: {commands: [echo never]}}", tmp_path, project_variables=(variable,), secrets=Vault())

    assert printed(result) == []
    assert states(result) == {"DOWNLOAD_SOURCE": "FAILED"}
    assert said in result.phases[0].message


def test_secrets_without_anybody_to_ask_are_refused(tmp_path: Path) -> None:
    variable = Variable(name="KEY", value="shop/token", type="SECRETS_MANAGER")
    with pytest.raises(Refusal, match="the values of KEY are kept in AWS"):
        run("phases: {build: {commands: [echo]}}", tmp_path, project_variables=(variable,))


def test_codebuild_sets_its_own_variables(tmp_path: Path) -> None:
    result = run(
        "phases: {build: {commands: [env | grep -E '^(CODEBUILD_|AWS_|CI=)' | sort]}}",
        tmp_path,
        pipeline="shop-dev",
        image="aws/codebuild/standard:7.0",
        source_version="0123abc",
    )
    given = dict(line.split("=", 1) for line in printed(result))

    assert given["CODEBUILD_BUILD_ID"].startswith("shop:")
    identifier = given["CODEBUILD_BUILD_ID"].removeprefix("shop:")
    assert len(identifier) == 36
    assert given["CODEBUILD_BUILD_ARN"] == f"arn:aws:codebuild:eu-central-1:123456789012:build/shop:{identifier}"
    assert given["CODEBUILD_PROJECT_ARN"] == "arn:aws:codebuild:eu-central-1:123456789012:project/shop"
    assert given["CODEBUILD_INITIATOR"] == "codepipeline/shop-dev"
    assert given["CODEBUILD_BUILD_IMAGE"] == "aws/codebuild/standard:7.0"
    assert given["CODEBUILD_RESOLVED_SOURCE_VERSION"] == "0123abc"
    assert given["CODEBUILD_SOURCE_VERSION"] == "arn:aws:s3:::shop-dev/Source.zip"
    assert Path(given["CODEBUILD_SRC_DIR"]).is_dir()
    assert given["AWS_REGION"] == given["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert (given["CI"], given["CODEBUILD_CI"], given["CODEBUILD_BUILD_NUMBER"]) == ("true", "true", "1")
    assert abs(int(given["CODEBUILD_START_TIME"]) / 1000 - time.time()) < 60
    assert given["CODEBUILD_LOG_PATH"] == identifier


def test_what_a_build_makes_of_its_source_stays_in_the_build(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    run("phases: {build: {commands: [touch made]}}", tmp_path, inputs={"Source": tmp_path / "code"})
    assert not (tmp_path / "code" / "made").exists()


def test_extra_inputs_are_beside_the_primary_source(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    result = run(
        """
        phases:
          build:
            commands:
              - cat which $CODEBUILD_SRC_DIR_Two/which; echo ${CODEBUILD_SRC_DIR_One-unset}
              - test $PWD = $CODEBUILD_SRC_DIR
        """,
        tmp_path,
        inputs={"One": tmp_path / "one", "Two": tmp_path / "two"},
    )

    assert printed(result) == ["onetwounset"]
    assert result.succeeded


def test_one_output_is_the_buildspecs_artifacts_without_their_modes(tmp_path: Path) -> None:
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

    assert names_in(result.artifacts["Out"]) == ["a.txt", "out/run.sh"]
    assert not (unpacked / "out" / "run.sh").stat().st_mode & stat.S_IXUSR
    assert "[Container] Skipping invalid file path missing.txt" in result.log


def test_an_output_is_an_input_of_the_next_build(tmp_path: Path) -> None:
    first = run("phases: {build: {commands: [echo 1 > x]}}\nartifacts: {files: [x]}", tmp_path, outputs=("Out",))
    second = run("phases: {build: {commands: [cat x]}}", tmp_path, inputs=first.artifacts)

    assert printed(second) == ["1"]


def test_several_outputs_are_the_secondary_artifacts_by_their_names(tmp_path: Path) -> None:
    text = """
        phases: {build: {commands: [echo 1 > one, echo 2 > two]}}
        artifacts:
          files: [a.txt]
          secondary-artifacts:
            One: {files: [one]}
            Two: {files: ["*"], exclude-paths: [one]}
        """
    result = run(text, tmp_path, outputs=("One", "Two"))
    assert {name: names_in(file) for name, file in result.artifacts.items()} == {
        "One": ["one"],
        "Two": ["a.txt", "two"],
    }

    lacking = run(text, tmp_path, outputs=("One", "Two", "Three"))
    assert lacking.phases[-1].message == "the action has several output artifacts, and secondary-artifacts lack Three"
    surplus = run(text.replace("Two:", "Four: {files: [two]}\n            Two:"), tmp_path, outputs=("One", "Two"))
    assert surplus.phases[-1].message == "secondary-artifacts name Four, which is no output"


def test_an_output_that_the_buildspec_does_not_make_fails_and_one_that_nobody_wants_is_left(tmp_path: Path) -> None:
    nothing = run("phases: {build: {commands: ['true']}}", tmp_path, outputs=("Out",))
    unwanted = run("phases: {build: {commands: ['true']}}\nartifacts: {files: [missing]}", tmp_path)

    assert nothing.phases[-1].message == "the buildspec has no artifacts, the action expects Out"
    assert (unwanted.artifacts, unwanted.succeeded) == ({}, True)


TREE = (
    "mkdir -p out/sub/.dot other outer; touch out/1 out/.hidden out/sub/2 out/sub/.dot/3 other/4 outer/5; "
    "ln -s 1 out/link"
)


@pytest.mark.parametrize(
    ("rules", "packed"),
    [
        ("{base-directory: out, files: ['**/*']}", [".hidden", "1", "link", "sub/.dot/3", "sub/2"]),
        ("{base-directory: out, files: ['*']}", [".hidden", "1", "link"]),
        ("{base-directory: out, files: ['*/2']}", ["sub/2"]),
        ("{base-directory: out, files: [sub]}", None),
        (
            "{base-directory: 'out*', files: ['**/*'], exclude-paths: ['**/.*', '**/.*/**/*']}",
            ["1", "5", "link", "sub/2"],
        ),
        ("{base-directory: ./out, files: ['**/*'], exclude-paths: 'sub/**/*'}", [".hidden", "1", "link"]),
        ("{files: ['out/**/2', other/4], discard-paths: yes}", ["2", "4"]),
        ("{files: [$KIND/4]}", ["other/4"]),
        ("{base-directory: nowhere, files: ['**/*']}", None),
        ("{files: [nothing, 'out/*.txt']}", None),
    ],
)
def test_artifacts_are_chosen_by_files_base_directory_exclude_paths_and_discard_paths(
    tmp_path: Path, rules: str, packed: list[str] | None
) -> None:
    result = run(
        f"phases: {{build: {{commands: ['{TREE}', export KIND=other]}}}}\nartifacts: {rules}",
        tmp_path,
        outputs=("Out",),
    )

    if packed is None:
        assert states(result)["UPLOAD_ARTIFACTS"] == "FAILED"
        assert result.phases[-1].message.startswith("no matching ")
        assert result.artifacts == {}
    else:
        assert names_in(result.artifacts["Out"]) == packed


@pytest.mark.parametrize(("wanted", "kept"), [("yes", True), ("no", False)])
def test_symbolic_links_are_kept_when_enabled_and_else_their_content_is(
    tmp_path: Path, wanted: str, *, kept: bool
) -> None:
    result = run(
        f"phases: {{build: {{commands: ['{TREE}']}}}}\nartifacts: {{files: ['out/*'], enable-symlinks: {wanted}}}",
        tmp_path,
        outputs=("Out",),
    )

    with zipfile.ZipFile(result.artifacts["Out"]) as files:
        mode = files.getinfo("out/link").external_attr >> 16
    assert stat.S_ISLNK(mode) is kept
    assert (unpack(result.artifacts["Out"], tmp_path / "unpacked") / "out" / "link").is_symlink() is kept


JUNIT = """<testsuites>
  <testsuite name="s" tests="99" failures="0">
    <testcase classname="page" name="fast"/>
    <testcase classname="page" name="good"><failure message="0.5 &lt; 0.9">long</failure></testcase>
    <testcase name="broken"><error>no page</error></testcase>
    <testcase name="left out"><skipped/></testcase>
  </testsuite>
</testsuites>"""


def report_of(tmp_path: Path, content: str, rules: str = "{files: ['*.xml']}") -> Result:
    """A build that leaves a report."""
    source = tmp_path / "code"
    source.mkdir()
    (source / "junit.xml").write_text(content)
    return run(
        f"phases: {{build: {{commands: ['exit 1']}}}}\nreports: {{pages: {rules}}}", tmp_path, inputs={"Source": source}
    )


def test_a_junit_report_is_counted_by_its_test_cases_also_after_a_failed_build(tmp_path: Path) -> None:
    report = report_of(tmp_path, JUNIT).reports["pages"]

    assert (report.files, report.tests, report.failures, report.errors, report.skipped) == (1, 4, 1, 1, 1)
    assert report.failing == ("page good: 0.5 < 0.9", "broken: no page")


@pytest.mark.parametrize(
    ("content", "rules", "said"),
    [
        (JUNIT, "{files: [other.xml]}", "report pages: no matching report paths found"),
        (JUNIT, "{files: ['*'], base-directory: out}", "report pages: no matching base directory path found for out"),
        ("<testsuite>", "{files: ['*.xml'], file-format: junitxml}", "report pages: junit.xml is no XML"),
        ("<html/>", "{files: ['*.xml']}", "report pages: junit.xml is no JUnit XML: it begins with <html>"),
    ],
)
def test_a_report_that_cannot_be_read_fails_the_upload(tmp_path: Path, content: str, rules: str, said: str) -> None:
    result = report_of(tmp_path, content, rules)

    assert states(result)["UPLOAD_ARTIFACTS"] == "FAILED"
    assert result.phases[-1].message.startswith(said)


def test_a_report_of_another_format_is_accepted_and_noted(tmp_path: Path) -> None:
    result = report_of(tmp_path, "{}", "{files: ['*.xml'], file-format: CucumberJson}")

    assert states(result)["UPLOAD_ARTIFACTS"] == "SUCCEEDED"
    assert "Report pages: 1 files of CUCUMBERJSON, which is not read here" in result.log


def test_runtime_versions_are_accepted_and_noted(tmp_path: Path) -> None:
    result = run("phases: {install: {runtime-versions: {nodejs: 22}}}", tmp_path)

    assert result.succeeded
    assert "Selecting 'nodejs' runtime version '22': what is on PATH is used here" in result.log


def test_a_build_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    began = time.monotonic()
    result = run(
        f"""
        phases:
          build:
            commands: ["(while :; do date +%N > {alive}; sleep 0.1; done) & sleep 60"]
          post_build: {{commands: [echo never]}}
        """,
        tmp_path,
        timeout_minutes=0.7 / 60,
    )

    assert time.monotonic() - began < 20
    assert states(result) == {"DOWNLOAD_SOURCE": "SUCCEEDED", "BUILD": "TIMED_OUT"}
    assert not result.succeeded
    left = alive.read_text()
    time.sleep(0.3)
    assert alive.read_text() == left


def test_what_a_command_leaves_running_runs_until_the_build_ends(tmp_path: Path) -> None:
    result = run(
        """
        phases:
          build:
            commands:
              - (echo started; sleep 60; echo never) &
              - kill -0 $! 2>/dev/null; sleep 0.1; echo on
        """,
        tmp_path,
    )

    assert sorted(printed(result)) == ["on", "started"]
    assert result.succeeded


def test_a_killed_command_fails_and_names_the_signal(tmp_path: Path) -> None:
    result = run("phases: {build: {commands: ['kill -9 0'], finally: [echo cleaned]}}", tmp_path)

    assert "Reason: signal 9" in result.phases[1].message
    assert printed(result) == ["cleaned"]


def test_each_line_of_the_log_is_shown_as_it_comes(tmp_path: Path) -> None:
    moments: dict[str, float] = {}
    run(
        "phases: {build: {commands: ['echo first; sleep 0.4; echo second']}}",
        tmp_path,
        show=lambda line: moments.setdefault(line, time.monotonic()),
    )

    assert moments["second"] - moments["first"] > 0.3
    assert "[Container] Entering phase BUILD" in moments


def test_commands_are_entered_by_the_places_prefix(tmp_path: Path) -> None:
    place = Place(environment=PLACE.environment, enter=("env", "ENTERED=1"))

    assert printed(run("phases: {build: {commands: [echo $ENTERED]}}", tmp_path, place=place)) == ["1"]


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
            "shop: YAML_FILE_ERROR: phases: 'bild' is not known here; allowed: install, ",
        ),
        (
            "phases: {build: {commands: [echo a: b]}}",
            "phases.build.commands.1: must be a text, YAML reads it as {'echo a': 'b'}; quote it, YAML takes a colon",
        ),
        ("run-as: app\nphases: {build: {commands: [a]}}", "shop: run-as: commands run as the user who runs this"),
        ("phases: {build: {run-as: app, commands: [a]}}", "shop: phases.build.run-as: commands run as the user"),
        ("env: {shell: cmd.exe}\nphases: {build: {commands: [a]}}", "env.shell: cmd.exe is for Windows"),
        ("phases: [", "shop: YAML_FILE_ERROR: while parsing"),
    ],
)
def test_a_malformed_buildspec_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BuildspecProblem) as caught:
        run(text, tmp_path)

    assert said in str(caught.value)


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    build = Build(project="shop", buildspec="version: 0.2\nphases: {build: {commands: [a]}}", inputs={"S": tmp_path})
    (tmp_path / "x").touch()

    with pytest.raises(Refusal, match="is not empty"):
        run_build(build, PLACE, tmp_path)


def test_an_input_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"input artifact Source: .*nowhere does not exist; give a folder or a zip"):
        run("phases: {build: {commands: [a]}}", tmp_path, inputs={"Source": tmp_path / "nowhere"})

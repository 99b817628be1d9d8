"""The program's buildspecs: what each declares, held against what its scripts do.

How the jobs fit together in the pipelines is in `test_jobs`.
"""

import ast
import itertools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from botocore import xform_name  # type: ignore[import-untyped]  # ships no types
from fake_tools import DIGEST, JOBS, REPOSITORY, Machine, deployment
from job_scripts import calls, files
from samples import BUNDLE_VARIABLES

from components.jobs.buildspec import FOLDER, load_buildspec
from components.jobs.bundle import pack
from components.settings.secrets import names_a_secret
from local.aws_models import botocore_session, service_model

NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))
SCRIPT_FILES = sorted(JOBS.glob("[!_]*.py"))

RUNNABLE = [path for path in SCRIPT_FILES if re.search(r"^def main\(", path.read_text(), re.MULTILINE)]


def script_of(name: str) -> Path:
    """The module of a job."""
    return JOBS / f"{name.replace('-', '_')}.py"


def help_of(name: str) -> str:
    """What a job says of itself."""
    return ast.get_docstring(ast.parse(script_of(name).read_text())) or ""


ARTIFACT_FILES = {file for name in NAMES for file in load_buildspec(name).artifact_files if "*" not in file}


def test_there_is_a_buildspec_for_each_job() -> None:
    assert [path.stem.replace("_", "-") for path in RUNNABLE] == NAMES


def test_each_module_is_one_of_a_job() -> None:
    """Coverage tells nothing of a file that no test executes."""
    used = {module for name in NAMES for module in load_buildspec(name).modules}

    assert used | {"runner"} == {path.stem for path in SCRIPT_FILES}


@pytest.mark.parametrize("name", NAMES)
def test_each_output_artifact_holds_what_the_job_writes(name: str) -> None:
    """Files by name, or a folder that the script has as a constant."""
    artifacts = yaml.safe_load(load_buildspec(name).text).get("artifacts", {})
    if "base-directory" in artifacts:
        assert artifacts["files"] == ["**/*"]
        assert f'OUTPUT = Path("{artifacts["base-directory"]}")\n' in script_of(name).read_text()
    else:
        assert files(name, "write_json") == set(artifacts.get("files", []))


@pytest.mark.parametrize("name", NAMES)
def test_each_job_names_the_files_that_it_reads_and_writes_in_its_help(name: str) -> None:
    """And no others: the help says what must be in the folder, and a reader that these tests overlook is found."""
    opened = files(name, "read_json") | files(name, "write_json")
    named = set(re.findall(r"[\w-]+\.(?:json|yaml)", help_of(name)))

    assert opened <= named
    assert named & ARTIFACT_FILES <= opened


@pytest.mark.parametrize("name", NAMES)
def test_each_buildspec_runs_the_job_of_its_name_and_is_short(name: str) -> None:
    """CodeBuild takes 25,600 characters, which it does not document (aws/aws-cdk issue 30326)."""
    text = load_buildspec(name).text

    assert f'python3 "$JOBS_DIR/jobs.pyz" {name}\n' in text
    assert len(text) < 4_000


@pytest.mark.parametrize("name", NAMES)
def test_no_buildspec_declares_a_secret_in_clear(name: str) -> None:
    spec = load_buildspec(name)

    assert [variable for variable in spec.variables if names_a_secret(variable)] == []
    assert not re.search(r"TOKEN|SECRET|PASSWORD", " ".join(spec.variables))
    assert "secrets-manager" not in spec.text


@pytest.mark.parametrize("name", NAMES)
def test_each_secret_is_kept_out_of_the_log_where_it_is_read(name: str) -> None:
    secrets = load_buildspec(name).secrets
    reads = [call for function in ("require", "optional") for call in calls(name, function)]
    of_secrets = [ast.unparse(call) for call in reads if getattr(call.args[0], "value", "") in secrets]
    masked = [ast.unparse(call.args[0]) for call in calls(name, "secret")]

    assert len(of_secrets) >= len(secrets)
    assert Counter(of_secrets) <= Counter(masked)


def test_a_buildspec_runs_by_itself_and_hands_its_variables_on(tmp_path: Path) -> None:
    """As CodeBuild gets it: the bundle is fetched and verified, the job run, and its exports taken over."""
    machine = Machine(tmp_path)
    machine.file("deployment.json", deployment())
    machine.offer_jobs(pack())
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})

    result = machine.run_buildspec(
        load_buildspec("tag-image").text, IMAGE_REPOSITORY_URI=REPOSITORY, IMAGE_DIGEST=DIGEST, **BUNDLE_VARIABLES
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "VERSION_TAG=v1.2.3"
    assert machine.calls[0].words[-2] == BUNDLE_VARIABLES["JOBS_BUNDLE"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_with_another_hash_is_not_run(name: str, tmp_path: Path) -> None:
    """Whoever can write into the bucket still cannot change what a job does."""
    machine = Machine(tmp_path)
    machine.offer_jobs(pack(edit=lambda text: f"{text}# one comment more\n"))

    result = machine.run_buildspec(load_buildspec(name).text, **BUNDLE_VARIABLES)
    assert result.returncode == 1
    assert "jobs.pyz: FAILED" in result.stdout
    assert "computed checksum did NOT match" in result.stderr
    assert "Python" not in result.stdout


@pytest.mark.parametrize("name", [name for name in NAMES if "PHASE" in load_buildspec(name).variables])
def test_static_files_are_published_unless_the_pipeline_says_otherwise(name: str) -> None:
    assert load_buildspec(name).variables["PHASE"] == "publish"


def test_nothing_is_checked_for_a_release_unless_the_pipeline_says_so() -> None:
    variables = load_buildspec("prepare-deployment").variables

    assert (variables["RELEASED"], variables["TAG_PREFIX"]) == ("false", "")


def test_lighthouse_reports_to_a_report_group_of_junit_results() -> None:
    assert load_buildspec("run-lighthouse").reports == ("lighthouse",)
    report = yaml.safe_load(load_buildspec("run-lighthouse").text)["reports"]["lighthouse"]

    assert report == {"files": ["lighthouse-report/junit.xml"], "file-format": "JUNITXML"}


def test_the_images_that_jobs_fetch_are_pinned_by_their_content() -> None:
    """The packages of Lighthouse have a lock file, see test_lighthouse_job."""
    variables = [item for name in NAMES for item in load_buildspec(name).variables.items()]
    pins = [value for key, value in variables if key.endswith("_IMAGE")]

    assert pins
    assert all(re.fullmatch(r".+:.+@sha256:[0-9a-f]{64}", pin) for pin in pins)


def test_all_scripts_run_on_the_oldest_python_of_codebuilds_images() -> None:
    """Amazon Linux 2023's own Python, the one that PYENV_VERSION=system starts there.

    https://docs.aws.amazon.com/linux/al2023/ug/python.html
    """
    vermin = [
        str(Path(sys.executable).with_name("vermin")),
        "--target=3.9-",
        "--violations",
        "--no-tips",
        *map(str, SCRIPT_FILES),
    ]
    done = subprocess.run(vermin, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    for script in SCRIPT_FILES:
        tree = ast.parse(script.read_text(), feature_version=(3, 9))
        future = [
            node.names[0].name for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        ]
        assert future == ["annotations"], f"{script.name}: `str | None` is an error at run time before Python 3.10"


@pytest.mark.parametrize("script", SCRIPT_FILES, ids=lambda path: path.name)
def test_no_script_asks_a_shell(script: Path) -> None:
    assert not re.search(r"shell\s*=\s*True|os\.system|os\.popen|getoutput", script.read_text())


# The AWS CLI's own names of services.
CLI_NAMES = {"s3api": "s3", "deploy": "codedeploy"}
TOKENS = {"nextToken", "NextToken", "NextMarker", "Marker", "NextContinuationToken"}


def aws_operations(script: Path) -> set[tuple[str, str]]:
    """The service and the operation of each AWS CLI command in a script, as the CLI names them."""
    tuples = [node.elts for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Tuple)]
    calls = [node.args for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    services = set(botocore_session().get_available_services())
    words = [[getattr(node, "value", None) for node in nodes] for nodes in (*tuples, *calls)]
    named = [[CLI_NAMES.get(str(word), word) for word in row] for row in words]
    pairs = {pair for row in named for pair in itertools.pairwise(row) if pair[0] in services}
    return {(str(service), str(operation)) for service, operation in pairs if isinstance(operation, str)}


def test_each_list_that_the_aws_cli_does_not_page_is_paged_by_its_job() -> None:
    """The CLI follows a token only where botocore has a paginator; elsewhere a job sees the first page alone."""
    seen, unpaged = set[str](), set[str]()
    for script in SCRIPT_FILES:
        for service, operation in aws_operations(script):
            model = service_model(service)
            name = next((name for name in model.operation_names if xform_name(name, "-") == operation), "")
            answer = model.operation_model(name).output_shape if name else None
            if answer is None or not TOKENS & answer.members.keys():
                continue
            seen.add(operation)
            if name not in botocore_session().get_paginator_model(service)._paginator_config:
                unpaged |= {f"{script.name}: {operation}"} if '"--next-token"' not in script.read_text() else set()

    assert unpaged == set()
    assert {"list-service-deployments", "list-tasks", "list-objects-v2"} <= seen, "the rule finds the calls it is about"


@pytest.mark.parametrize("name", NAMES)
def test_each_job_names_its_variables_and_no_others_in_its_help(name: str) -> None:
    """`python3 buildspecs JOB --help` is all there is to read for somebody who runs a job by hand."""
    spec, description = load_buildspec(name), help_of(name)
    text = re.sub(r"\([^)]*\)", "", description.partition("Variables")[2])

    assert set(re.findall(r"\b[A-Z][A-Z0-9_]{3,}\b", text)) <= {*spec.variables, *spec.secrets}
    assert [variable for variable in (*spec.variables, *spec.secrets) if variable not in description] == []

"""The program's buildspecs: what each takes and gives, and that they fit together."""

import ast
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from botocore import xform_name  # type: ignore[import-untyped]  # ships no types
from botocore.session import Session  # type: ignore[import-untyped]  # ships no types
from fake_tools import DIGEST, JOBS, Machine, deployment
from samples import BUNDLE_VARIABLES

from components.jobs.buildspec import FOLDER, load_buildspec
from components.jobs.bundle import pack

NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))
SCRIPT_FILES = sorted(JOBS.glob("[!_]*.py"))

# job: exported variables, files of the output artifact
OUTPUTS: dict[str, tuple[set[str], set[str]]] = {
    "build-image": ({"IMAGE_DIGEST", "IMAGE_URI", "IMAGE_VERSION"}, {"image.json"}),
    "create-github-release": ({"RELEASE_URL"}, set()),
    "deploy-ecs": ({"SERVICE_DEPLOYMENT_ARN"}, set()),
    "extract-static-files": (set(), {"**/*"}),
    "prepare-deployment": (
        {"DEPLOYED_VERSION"},
        {"taskdef.json", "appspec.yaml", "imageDetail.json", "imagedefinitions.json", "deployment.json"},
    ),
    "promote-image": ({"PROMOTED_IMAGE_URI"}, set()),
    "record-image": ({"IMAGE_DIGEST", "IMAGE_URI", "IMAGE_VERSION"}, {"image.json"}),
    "run-lighthouse": (set(), {"**/*"}),
    "run-smoke-test": (set(), set()),
    "sync-static-files": (set(), set()),
    "tag-image": ({"VERSION_TAG"}, set()),
    "upload-static-files": (set(), set()),
    "watch-deployment": (set(), set()),
}
# One reads a file of ECR's source action, the other deploys, tags and publishes nothing: that only words its messages.
READS_ABOUT = ("record-image", "watch-deployment")


def script_of(name: str) -> Path:
    """The module of a job."""
    return JOBS / f"{name.replace('-', '_')}.py"


def literal_arguments(script: Path, function: str) -> set[str]:
    """The texts that a job gives to this function of other modules as first argument."""
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == function
        and isinstance(call.args[0], ast.Constant)
    }


def test_there_is_a_buildspec_for_each_job() -> None:
    assert sorted(OUTPUTS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_buildspec_delivers_what_the_pipeline_expects(name: str) -> None:
    spec = load_buildspec(name)

    assert (set(spec.exported), set(spec.artifact_files)) == OUTPUTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_each_buildspec_runs_the_job_of_its_name_and_is_short(name: str) -> None:
    """CodeBuild takes 25,600 characters, which it does not document (aws/aws-cdk issue 30326)."""
    text = load_buildspec(name).text

    assert f'python3 "$JOBS_DIR/jobs.pyz" {name}\n' in text
    assert len(text) < 4_000


def test_the_only_secret_is_the_github_token_and_no_buildspec_declares_one_in_clear() -> None:
    assert {name: load_buildspec(name).secrets for name in NAMES if load_buildspec(name).secrets} == {
        "create-github-release": ("GITHUB_TOKEN",)
    }
    for name in NAMES:
        assert not re.search(r"TOKEN|SECRET|PASSWORD", " ".join(load_buildspec(name).variables))
        assert "secrets-manager" not in load_buildspec(name).text


def test_a_buildspec_runs_by_itself_and_hands_its_variables_on(tmp_path: Path) -> None:
    """As CodeBuild gets it: the bundle is fetched and verified, the job run, and its exports taken over."""
    machine = Machine(tmp_path)
    machine.file("deployment.json", deployment())
    machine.offer_jobs(pack())
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})

    result = machine.run_buildspec(load_buildspec("tag-image").text, IMAGE_DIGEST=DIGEST, **BUNDLE_VARIABLES)
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


def test_each_job_after_the_preparation_is_told_the_digest_that_the_pipeline_delivers() -> None:
    delivered = set(load_buildspec("prepare-deployment").artifact_files)
    acting = {name for name in NAMES if literal_arguments(script_of(name), "read_json") & delivered} - {*READS_ABOUT}
    assert acting == {
        name
        for name in NAMES
        if "IMAGE_DIGEST" in load_buildspec(name).variables and name not in ("prepare-deployment", "record-image")
    }


@pytest.mark.parametrize("name", ["upload-static-files", "sync-static-files"])
def test_static_files_are_published_unless_the_pipeline_says_otherwise(name: str) -> None:
    assert load_buildspec(name).variables["PHASE"] == "publish"


def test_nothing_is_checked_for_a_release_unless_the_pipeline_says_so() -> None:
    variables = load_buildspec("prepare-deployment").variables

    assert (variables["RELEASED"], variables["TAG_PREFIX"]) == ("false", "")


def test_lighthouse_reports_to_a_report_group_of_junit_results() -> None:
    assert load_buildspec("run-lighthouse").reports == ("lighthouse",)
    report = yaml.safe_load(load_buildspec("run-lighthouse").text)["reports"]["lighthouse"]

    assert report == {"files": ["lighthouse-report/junit.xml"], "file-format": "JUNITXML"}


def test_the_images_a_build_fetches_are_pinned_by_their_content() -> None:
    """The packages of Lighthouse have a lock file, see test_lighthouse_job."""
    variables = load_buildspec("build-image").variables
    pins = [value for key, value in variables.items() if key.endswith("_IMAGE")]

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
    services = set(Session().get_available_services())
    words = [[getattr(node, "value", None) for node in nodes] for nodes in (*tuples, *calls)]
    named = [[CLI_NAMES.get(str(word), word) for word in row] for row in words]
    pairs = {pair for row in named for pair in itertools.pairwise(row) if pair[0] in services}
    return {(str(service), str(operation)) for service, operation in pairs if isinstance(operation, str)}


def test_each_list_that_the_aws_cli_does_not_page_is_paged_by_its_job() -> None:
    """The CLI follows a token only where botocore has a paginator; elsewhere a job sees the first page alone."""
    seen, unpaged = set[str](), set[str]()
    for script in SCRIPT_FILES:
        for service, operation in aws_operations(script):
            model = Session().get_service_model(service)
            name = next((name for name in model.operation_names if xform_name(name, "-") == operation), "")
            answer = model.operation_model(name).output_shape if name else None
            if answer is None or not TOKENS & answer.members.keys():
                continue
            seen.add(operation)
            if name not in Session().get_paginator_model(service)._paginator_config:
                unpaged |= {f"{script.name}: {operation}"} if '"--next-token"' not in script.read_text() else set()

    assert unpaged == set()
    assert {"list-service-deployments", "list-tasks", "list-objects-v2"} <= seen, "the rule finds the calls it is about"


@pytest.mark.parametrize("name", NAMES)
def test_each_job_names_all_its_variables_in_its_help(name: str) -> None:
    """`python3 buildspecs JOB --help` is all there is to read for somebody who runs a job by hand."""
    spec = load_buildspec(name)
    description = ast.get_docstring(ast.parse(script_of(name).read_text())) or ""

    assert [variable for variable in (*spec.variables, *spec.secrets) if variable not in description] == []

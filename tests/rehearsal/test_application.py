"""The example application: built by the real job from the base images that this machine has, run, and broken.

The stack is Pulumi.dev.yaml as it is, but for the processor, which is this machine's.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from delivered_stack import DeliveredStack
from mocked import REGION
from test_images import Jobs, failure, fresh_commit, image_json
from test_lighthouse import Auditing

from local.rehearsal.application import Source
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.base_images import PLATFORM, DockerBuild, ImageStore, Provision, builds_of, needed, provide
from local.rehearsal.breaking import break_app
from local.rehearsal.codebuild import CloneReference, Result
from local.rehearsal.job_sandbox import JobSandbox

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "app"
BUILDS = (DockerBuild(dockerfile="Dockerfile"), DockerBuild(dockerfile="smoke/Dockerfile"))
BUDGETS = {"accessibility": 90, "best-practices": 75, "seo": 80}
"""Of the dev stack, without encryption, and without the speed of a page: other tests keep the machine busy."""


TOOLS = ("docker.io/moby/buildkit", "docker.io/docker/buildkit-syft-scanner")
"""What builds fetch themselves."""


class Built(NamedTuple):
    """What the two build jobs have made, one after the other, and the images that each asked other registries for."""

    app: Result
    smoke: Result
    first: set[str]
    second: set[str]


class Rehearsal:
    """Builds and runs applications in the sandbox, by the jobs of the dev stack."""

    def __init__(self, jobs: Jobs, variables: Mapping[str, str]) -> None:
        self.jobs, self._variables = jobs, variables

    def build(self, source: Source, action: str = "BuildImage", **settings: str) -> Result:
        """Run a build job."""
        artifact = source.archive(self.jobs.folder / f"{source.commit}-{action}.zip")
        # Nothing of this test's images is there yet, whatever was committed at the same second.
        said = {f"Source.{name}": value for name, value in {**source.variables, "CommitId": fresh_commit()}.items()}
        return self.jobs.run(action, {"Source": artifact}, said, PLATFORM=PLATFORM, **self._variables, **settings)

    def asked(self) -> list[str]:
        """What other registries than Amazon ECR were asked for, from the start."""
        return self.jobs.sandbox.registry_log.read_text(encoding="utf-8").splitlines()

    def smoke_test(self, image: Result, url: str) -> subprocess.CompletedProcess[str]:
        """Run the smoke test as its task does."""
        uri = image_json(image, "SmokeTestImage")["uri"]
        return self.jobs.sandbox.docker("run", "--rm", "--env", f"SERVICE_URL={url}", uri, check=False)

    @contextlib.contextmanager
    def running(self, image: Mapping[str, Any]) -> Iterator[Container]:
        """The application, with the root file system that it may not write to."""
        quickly = ("--health-interval=1s", "--health-start-period=1s")
        name = self.jobs.docker("run", "--detach", "--read-only", *quickly, image["uri"]).stdout.strip()
        try:
            yield Container(self.jobs.sandbox, name)
        finally:
            self.jobs.docker("rm", "--force", name)


class Container:
    """A running container."""

    def __init__(self, sandbox: JobSandbox, name: str) -> None:
        self._sandbox, self._name = sandbox, name

    def inspect(self) -> dict[str, Any]:
        """What the engine says of it."""
        return dict(json.loads(self._sandbox.docker("inspect", self._name).stdout)[0])

    @property
    def url(self) -> str:
        """Where it is, on the machine."""
        return f"http://{self.inspect()['NetworkSettings']['IPAddress']}:8080"

    def log(self) -> str:
        """What it has written."""
        done = self._sandbox.docker("logs", self._name)
        return done.stdout + done.stderr

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a state."""
        deadline = time.monotonic() + 30
        while not holds(state := self.inspect()["State"]):
            assert time.monotonic() < deadline, state
            time.sleep(0.1)
        return dict(state)

    def get(self, path: str) -> tuple[int, dict[str, str], str]:
        """Ask it for a path, from the machine."""
        program = (
            "import json, sys, urllib.error, urllib.request\n"
            "try: answer = urllib.request.urlopen(sys.argv[1])\n"
            "except urllib.error.HTTPError as error: answer = error\n"
            "print(json.dumps([answer.status, dict(answer.headers), answer.read().decode()]))"
        )
        command = [*self._sandbox.enter, sys.executable, "-c", program, f"{self.url}{path}"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        status, headers, text = json.loads(said)
        return status, headers, text


@pytest.fixture(scope="module")
def provision(tmp_path_factory: pytest.TempPathFactory) -> Provision:
    """The base images as a machine has them that knows no registry and has no Docker engine."""
    store = ImageStore(tmp_path_factory.mktemp("images"))
    return provide(needed(EXAMPLE, BUILDS), network=False, engine=False, store=store)


@pytest.fixture(scope="module")
def rehearsal(
    sandbox: JobSandbox, provision: Provision, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsal]:
    stack = DeliveredStack("dev")
    assert sandbox.registry(region=REGION).token, "the engine can read what the jobs have pushed"
    for action in ("BuildImage", "BuildSmokeTestImage"):
        name = stack.variables(action)["IMAGE_REPOSITORY_URI"].partition("/")[2]
        sandbox.repository(name, region=REGION)
    tools = stack.variables("BuildImage")["BUILD_TOOLS_REPOSITORY_URI"].partition("/")[2]
    sandbox.repository(tools, region=REGION, imageTagMutability="IMMUTABLE")
    with sandbox.serving_images(provision) as variables:
        yield Rehearsal(Jobs(sandbox, stack, tmp_path_factory.mktemp("builds")), variables)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source.of(EXAMPLE, tmp_path_factory.mktemp("example") / "app")


@pytest.fixture(scope="module")
def built(rehearsal: Rehearsal, example: Source) -> Built:
    before = len(rehearsal.asked())
    app = rehearsal.build(example)
    between = len(rehearsal.asked())
    smoke = rehearsal.build(example, "BuildSmokeTestImage")
    asked = rehearsal.asked()
    first, second = ({line.split()[1] for line in part} for part in (asked[before:between], asked[between:]))
    for result in (app, smoke):
        assert result.succeeded, result.log
    return Built(app, smoke, first, second)


@pytest.fixture
def broken(example: Source, tmp_path: Path, request: pytest.FixtureRequest) -> Source:
    """The example with the fault that the test's parameter names."""
    source = Source.of(example.folder, tmp_path / "broken")
    return source.changed(break_app(source.folder, request.param))


def test_what_builds_fetch_themselves_is_asked_of_docker_hub_once(built: Built) -> None:
    """The first build copies it into a repository of the stack: a delivery waits for no other registry afterwards.

    What the Dockerfile names is asked for each time, which shows that the second build was watched, too.
    """
    assert set(TOOLS) <= built.first
    assert built.second & set(TOOLS) == set()
    assert "docker.io/library/python" in built.second
    assert "Copy moby/buildkit:" in built.app.log
    assert "Copy moby/buildkit:" not in built.smoke.log


def test_an_image_that_is_compressed_with_zstd_is_pulled_and_runs(
    rehearsal: Rehearsal, example: Source, sandbox: JobSandbox
) -> None:
    result = rehearsal.build(example, COMPRESSION="zstd")
    assert result.succeeded, result.log
    image = image_json(result)
    registry, name = sandbox.registry(region=REGION), image["repository"].partition("/")[2]
    (manifest,) = [
        registry.json(name, entry["digest"])
        for entry in registry.json(name, image["digest"])["manifests"]
        if entry["platform"]["os"] == "linux"
    ]
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    with rehearsal.running(image) as container:
        container.until(lambda state: state["Health"]["Status"] == "healthy")
        assert container.get("/")[0] == 200


def test_its_own_tests_pass() -> None:
    command = [sys.executable, "-m", "unittest", "discover", "tests"]
    done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ran 7 tests" in done.stderr


def test_the_dev_stack_builds_these(rehearsal: Rehearsal) -> None:
    """So the base images that are provided are those that its pipeline needs."""
    found = builds_of(rehearsal.jobs.stack.deployed)
    assert sorted(found, key=lambda build: build.dockerfile) == list(BUILDS)


def test_a_build_that_gets_a_base_image_has_it_from_the_pipeline(tmp_path: Path) -> None:
    """Its Dockerfile names it by an argument, whatever that has as default."""
    for folder in ("docker", "smoke"):
        (tmp_path / folder).mkdir()
    (tmp_path / "smoke" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "docker" / "Dockerfile").write_text("ARG BASE_IMAGE=node:22\nFROM ${BASE_IMAGE} AS runtime\nFROM x\n")
    found = builds_of(DeliveredStack("everything-on").deployed)
    assert {(build.dockerfile, build.target) for build in found} == {
        ("docker/Dockerfile", "runtime"),
        ("smoke/Dockerfile", ""),
    }
    assert needed(tmp_path, found) == []


def test_it_is_published_with_the_commit_that_the_artifact_refers_to(
    sandbox: JobSandbox, example: Source, tmp_path: Path
) -> None:
    example.publish(sandbox, "example/corner-shop")
    arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/8ce5a0c6-5f5d-4b5e-9a4e-0d4f3c2b1a09"
    reference = CloneReference.read(example.reference(sandbox, "example/corner-shop", arn))
    assert (reference.commit, reference.branch) == (example.commit, "main")
    changed = Source.of(example.folder, tmp_path / "changed").changed("something")
    changed.publish(sandbox, "example/corner-shop")
    again = CloneReference.read(changed.reference(sandbox, "example/corner-shop", arn))
    assert again.commit == changed.commit != example.commit
    assert again.url.endswith("/example/corner-shop.git")


def test_what_stands_in_is_named(provision: Provision) -> None:
    lines = [str(image).partition(" of ")[0] for image in provision.images]
    version = ".".join(map(str, sys.version_info[:3]))
    assert lines == [
        "docker/dockerfile:1: stand-in: the Dockerfile frontend",
        f"python:3.13-slim: stand-in: Python {version}",
    ]


def test_the_service_runs_as_the_stack_has_it(rehearsal: Rehearsal, built: Built, example: Source) -> None:
    """Not as root, on a file system that is not written to, under its health check; it ends when it is told to."""
    with rehearsal.running(image_json(built.app)) as container:
        container.until(lambda state: state["Health"]["Status"] == "healthy")
        assert container.inspect()["Config"]["User"] == "10001:10001"
        status, headers, page = container.get("/")
        assert (status, headers["X-Version"]) == (200, (example.folder / "VERSION").read_text().strip())
        assert "Fresh today" in page
        assert container.get("/healthz")[::2] == (200, "ok\n")
        assert json.loads(container.get("/products.json")[2])[0] == {"name": "Apples", "cents": 290}
        name = container.inspect()["Id"]
        rehearsal.jobs.docker("stop", "--time", "10", name)
        assert container.inspect()["State"]["ExitCode"] == 0
        assert '"message":"stopped"' in container.log()


def test_the_smoke_test_passes(rehearsal: Rehearsal, built: Built) -> None:
    with rehearsal.running(image_json(built.app)) as container:
        result = rehearsal.smoke_test(built.smoke, container.url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "is version 1.0.0, build " in result.stdout
    assert "4 links and files of the first page were asked for" in result.stdout


def test_its_static_files_have_names_by_content(rehearsal: Rehearsal, built: Built) -> None:
    uri = image_json(built.app)["uri"]
    listed = rehearsal.jobs.docker("run", "--rm", uri, "find", "/app/public", "-type", "f").stdout.split()
    assert sorted(Path(file).suffixes[-1] for file in listed) == [".css", ".html", ".html", ".svg", ".svg", ".txt"]
    assert all(len(Path(file).suffixes) == 2 for file in listed if "/assets/" in file)


@pytest.mark.parametrize("broken", ["build"], indirect=True)
def test_a_broken_build_fails_the_build(rehearsal: Rehearsal, broken: Source) -> None:
    said = failure(rehearsal.build(broken))
    assert "Dockerfile could not be built and pushed" in said
    assert "unknown flag: --no-such-option" in said


@pytest.mark.parametrize("broken", ["health"], indirect=True)
def test_a_broken_health_check_is_answered_and_bad(rehearsal: Rehearsal, broken: Source) -> None:
    result = rehearsal.build(broken)
    with rehearsal.running(image_json(result)) as container:
        container.until(lambda state: state["Health"]["Status"] == "unhealthy")
        assert container.get("/healthz")[0] == 503
        assert container.get("/")[0] == 200


@pytest.mark.parametrize("broken", ["crash"], indirect=True)
def test_a_crash_ends_the_container(rehearsal: Rehearsal, broken: Source) -> None:
    with rehearsal.running(image_json(rehearsal.build(broken))) as container:
        assert container.until(lambda state: not state["Running"])["ExitCode"] == 1
        assert "broken on purpose" in container.log()


@pytest.mark.parametrize("broken", ["migration"], indirect=True)
def test_a_broken_migration_ends_the_container_and_is_named(rehearsal: Rehearsal, broken: Source) -> None:
    with rehearsal.running(image_json(rehearsal.build(broken))) as container:
        assert container.until(lambda state: not state["Running"])["ExitCode"] == 1
        assert 'the migration 001 products failed: near "TABEL"' in container.log()


@pytest.mark.parametrize("broken", ["smoke"], indirect=True)
def test_a_broken_smoke_test_fails(rehearsal: Rehearsal, built: Built, broken: Source) -> None:
    image = rehearsal.build(broken, "BuildSmokeTestImage")
    with rehearsal.running(image_json(built.app)) as container:
        result = rehearsal.smoke_test(image, container.url)
    assert result.returncode == 1
    assert "FAILED: the first page does not say 'Fresh yesterday'" in result.stdout + result.stderr


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The application on this machine, without a container; gives its address."""
    program = (
        "from pathlib import Path\nfrom shop.assets import build\nfrom shop.server import Server\n"
        "from shop.site import Site\nbuild(Path('public'), Path('built'))\n"
        "server = Server(Site.load(Path('built'), '1'), 0)\n"
        "print(server.server_port, flush=True)\nserver.serve_forever()"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@pytest.mark.parametrize("broken", ["lighthouse"], indirect=True)
def test_its_first_page_keeps_the_budgets_unless_it_is_broken(
    need: Callable[..., None], aws: AwsServices, warm_aws_cli: Path, example: Source, broken: Source, tmp_path: Path
) -> None:
    need("lighthouse", "chromium")
    results = {}
    for name, source in (("whole", example), ("broken", broken)):
        folder = tmp_path / f"audit-{name}"
        folder.mkdir()
        with served(source.folder) as url:
            results[name] = Auditing(aws, warm_aws_cli, folder, url).run(f"shop-{name}", ["/"], BUDGETS)
    assert results["whole"].succeeded, results["whole"].log
    said = failure(results["broken"])
    assert "accessibility" in said
    assert "seo" in said
    assert "best-practices" not in said

"""The jobs that build, record, run, copy and tag images: executed as CodeBuild would, with Docker, BuildKit and ECR.

Buildspecs, project variables and the policies of the roles are those of the program's own graph. What differs from AWS
is said in `local.rehearsal.job_sandbox` and `local.rehearsal.aws_server`, and beside a test where it matters.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import gzip
import hashlib
import io
import itertools
import json
import re
import subprocess
import sys
import tarfile
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types
from delivered_stack import DeliveredStack, unzipped
from foreign_files import put_foreign_files
from mocked import REGION
from rehearsing import hurried, with_variables

from components.jobs.buildspec import load_buildspec
from local.rehearsal import images
from local.rehearsal.aws_services import ACCOUNT
from local.rehearsal.codebuild import Result, run_build
from local.rehearsal.images import Entry, Image, RegistryClient
from local.rehearsal.job_sandbox import BRIDGE, DOCKER_HUB, OTHER_ACCOUNT, JobSandbox

APP = "shop/images"
SMOKE = "shop/images-smoke-test"
BASE = "platform/node"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
COMMIT = "a" * 40
MERGED = "9" * 40
DATE = "2026-01-31T12:00:00Z"
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS build
WORKDIR /app
ARG BUILD_PROFILE
COPY src/ src/
RUN echo "$BUILD_PROFILE" > profile && tr a-z A-Z < src/page > page && rm -r src

FROM ${BASE_IMAGE} AS runtime
WORKDIR /app
COPY --from=build /app/ ./
RUN mkdir public && cp page public/index.html
CMD ["cat", "/app/page", "/app/profile"]
"""
HTTPS = {
    "certificateArn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab",
    "domainName": "shop.example.com",
}
IN_CLEAR = "npm_9f8e7d6c5b4a"
SMOKE_DOCKERFILE = f"""\
FROM {HOST}/docker-hub/library/busybox:1
COPY test.sh /
CMD ["sh", "/test.sh"]
"""
SMOKE_TEST = """\
# Debian's static busybox cannot look up names, which its wget does for a number too.
address=${SERVICE_URL#http://}
address=${address%/}
printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 "${address%:*}" "${address#*:}" | grep -x healthy
"""


def less(policy: Mapping[str, Any], permission: str) -> dict[str, Any]:
    """A policy without a permission."""
    statements = [
        {**statement, "Action": [action for action in statement["Action"] if action != permission]}
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": [statement for statement in statements if statement["Action"]]}


class Jobs:
    """Runs builds of one stack on new machines."""

    def __init__(self, sandbox: JobSandbox, stack: DeliveredStack, folder: Path) -> None:
        self.sandbox, self.stack, self.folder = sandbox, stack, folder
        self.proxy = ""
        self._number = itertools.count(1)
        self._lock = threading.Lock()
        self._given: dict[tuple[str, str], dict[str, str]] = {}

    def run(
        self,
        action: str,
        inputs: Mapping[str, Path],
        variables: Mapping[str, str],
        *,
        without: str = "",
        machine: str = "",
        **settings: str,
    ) -> Result:
        """Run the build of an action.

        Args:
            action: The action's name.
            inputs: A folder or a zip for each input artifact.
            variables: What earlier actions exported, `namespace.name`.
            without: A permission that the role shall not have.
            machine: A machine that stays, with what the builds before have left to its engine; a new one without.
            settings: Project variables that differ.
        """
        folder = self.folder / f"{next(self._number)}-{action}"
        deployed = self.stack.deployed
        build = deployed.build(action, inputs, {**variables, "variables.LIGHTHOUSE_RUNS": "1"})
        if "DOCKER_HUB_CACHE_URI" in {variable.name for variable in build.project_variables}:
            settings = {**self.sandbox.docker_hub(REGION), **settings}
        place = self.sandbox.place(self._credentials(action, without), region=REGION, proxy=self.proxy)
        if machine:
            place = replace(place, environment={**place.environment, "REHEARSAL_MACHINE": machine})
        return run_build(hurried(self.sandbox.aws, with_variables(build, **settings)), place, folder)

    def role(self, action: str) -> str:
        """The name of the role under which an action's builds run; each stack here has its own."""
        return f"{self.stack.deployed.project(action).role}-{self.stack.deployed.pipeline}"

    def _credentials(self, action: str, without: str) -> dict[str, str]:
        """The credentials of that role, of which there is one less a permission for each that a test takes away."""
        with self._lock:
            if (action, without) not in self._given:
                policies = [less(policy, without) for policy in self.stack.deployed.policies(action)]
                name = f"{self.role(action)}{without.replace(':', '-')}"
                self._given[action, without] = self.sandbox.aws.as_role(name, policies, region=REGION)
        return self._given[action, without]

    def docker(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Look at what is on the machine, or run what was built."""
        return self.sandbox.docker(*words)


@pytest.fixture(scope="module")
def stack() -> DeliveredStack:
    """With an archive of the code; what a clone changes is in test_full_clone.py."""
    return DeliveredStack("everything-on", {"source": {"github": {"repository": "example/shop"}}})


@pytest.fixture(scope="module")
def base(sandbox: JobSandbox) -> str:
    return prepared_registry(sandbox)


@functools.cache
def prepared_registry(sandbox: JobSandbox) -> str:
    """Make the repositories as the program makes them, with a base image, once; returns the base image's digest."""
    for resource in DeliveredStack("everything-on").graph:
        if resource["type"] == "aws:ecr/repository:Repository":
            inputs = resource["inputs"]
            sandbox.repository(
                inputs["name"],
                region=REGION,
                imageTagMutability=inputs["imageTagMutability"],
                imageTagMutabilityExclusionFilters=inputs["imageTagMutabilityExclusionFilters"],
                imageScanningConfiguration=inputs["imageScanningConfiguration"],
            )
    sandbox.repository(BASE, region=REGION)
    secrets = sandbox.aws.client("secretsmanager", region=REGION)
    secrets.create_secret(Name="shop/npm-token", SecretString=IN_CLEAR)
    secrets.create_secret(Name="shop/ghcr", SecretString=json.dumps({"username": "robot", "password": "unasked"}))
    sandbox.repository("docker-hub/library/busybox", region=REGION)
    image = images.image(images.busybox())
    registry = sandbox.registry(region=REGION)
    registry.push("docker-hub/library/busybox", image, "1", "latest")
    return registry.push(BASE, image, "22")


@pytest.fixture(scope="module")
def jobs(sandbox: JobSandbox, stack: DeliveredStack, base: str, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    assert base
    return Jobs(sandbox, stack, tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="module")
def registry(sandbox: JobSandbox) -> RegistryClient:
    return sandbox.registry(region=REGION)


@pytest.fixture(scope="module")
def delivered(jobs: Jobs, base: str, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The build of a first commit, on whose image most tests go on."""
    result = jobs.run("BuildImage", {"Source": source(tmp_path_factory.mktemp("source"))}, of_commit(COMMIT, base))
    assert result.succeeded, result.log
    return result


@pytest.fixture(scope="module")
def smoke_image(jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The smoke-test image of the same commit."""
    folder = source(tmp_path_factory.mktemp("source"))
    result = jobs.run("BuildSmokeTestImage", {"Source": folder}, of_commit(COMMIT))
    assert result.succeeded, result.log
    return result


def source(folder: Path, page: str = "hello", dockerfile: str = DOCKERFILE) -> Path:
    """The application's repository, which also has files for tools that a job must not let it choose or configure."""
    for name, content in {
        "docker/Dockerfile": dockerfile,
        "smoke/Dockerfile": SMOKE_DOCKERFILE,
        "smoke/test.sh": SMOKE_TEST,
        "src/page": f"{page}\n",
        "VERSION": "1.2.3\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    put_foreign_files(folder)
    return folder


def of_commit(commit: str, base: str = "") -> dict[str, str]:
    """What the source stage announces."""
    said = {"CommitId": commit, "AuthorDate": DATE, "BranchName": "main"}
    return {f"Source.{name}": value for name, value in said.items()} | {"SourceImage.ImageDigest": base}


def fresh_commit() -> str:
    """A commit that nothing was built of."""
    return hashlib.sha1(uuid.uuid4().bytes, usedforsecurity=False).hexdigest()


def image_json(result: Result, artifact: str = "Image") -> dict[str, Any]:
    with zipfile.ZipFile(result.artifacts[artifact]) as opened:
        return dict(json.loads(opened.read("image.json")))


def deployment(folder: Path, image: Mapping[str, Any]) -> Path:
    """The artifact of the deployment, as far as these jobs read it."""
    folder.mkdir()
    (folder / "deployment.json").write_text(json.dumps({**image, "image": image["uri"], "container": "web"}))
    return folder


def digests(sandbox: JobSandbox, name: str) -> set[str]:
    """Every manifest that a repository holds, with or without a tag."""
    found = sandbox.aws.client("ecr", region=REGION).list_images(repositoryName=name)["imageIds"]
    return {entry["imageDigest"] for entry in found}


def config_of(registry: RegistryClient, name: str, digest: str) -> dict[str, Any]:
    """The configuration of the image for Linux in an index."""
    (of_image,) = [entry for entry in registry.json(name, digest)["manifests"] if entry["platform"]["os"] == "linux"]
    return dict(json.loads(registry.blob(name, registry.json(name, of_image["digest"])["config"]["digest"])))


@contextlib.contextmanager
def serving(sandbox: JobSandbox, folder: Path, page: str) -> Iterator[str]:
    """A service on the machine that answers every request with this line."""
    folder.mkdir()
    (folder / "index.html").write_text(f"{page}\n")
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", BRIDGE, "--directory", str(folder)]
    with subprocess.Popen([*sandbox.enter, *command], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            port = re.search(r"port (\d+)", server.stdout.readline())
            assert port
            yield f"http://{BRIDGE}:{port[1]}/"
        finally:
            subprocess.run(["pkill", "-P", str(server.pid)], check=False)


@contextlib.contextmanager
def watching_docker_hub(sandbox: JobSandbox, folder: Path) -> Iterator[Path]:
    """Write a line into a file for each connection that somebody on the machine makes to Docker Hub."""
    folder.mkdir()
    seen = folder / "connections"
    seen.touch()
    program = f"""
import socket, sys
with socket.create_server(({DOCKER_HUB!r}, 443)) as server:
    print("ready", flush=True)
    while True:
        server.accept()[0].close()
        with open({str(seen)!r}, "a") as file:
            print("connection", file=file)
"""
    command = [*sandbox.enter, sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            yield seen
        finally:
            subprocess.run(["pkill", "-P", str(server.pid)], check=False)


def denied(result: Result) -> set[str]:
    """What the role was not allowed, by the words of AWS and of the registry."""
    return set(re.findall(r"is not authorized to perform: (\S+)", result.log))


def failure(result: Result) -> str:
    """How a build ended that was to fail."""
    assert not result.succeeded
    return result.log.partition("FAILED: ")[2]


class Recorded:
    """The job of a pipeline whose only source is an image: one for two platforms, with its attestation."""

    NAME = "team/shop"

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.index, self.arm = two_platforms("recorded", COMMIT, "4.5.6")
        jobs.sandbox.registry(region=REGION).push(self.NAME, self.index, "stable")

    def run(self, digest: str, **settings: str) -> Result:
        """Record the image of this digest."""
        folder = self._jobs.folder / f"source-{uuid.uuid4().hex}"
        folder.mkdir()
        detail = {"ImageDigest": digest, "RepositoryName": self.NAME, "ImageURI": f"{HOST}/{self.NAME}@{digest}"}
        (folder / "imageDetail.json").write_text(json.dumps(detail))
        return self._jobs.run("BuildImage", {"SourceImage": folder}, {"SourceImage.ImageDigest": digest}, **settings)


class Promotion:
    """A delivered image for two platforms with attestation and signature, and the repository it goes to."""

    def __init__(self, jobs: Jobs, name: str, target: RegistryClient, folder: Path) -> None:
        self.jobs, self.name, self.target, self.folder = jobs, name, target, folder
        self.source = jobs.sandbox.registry(region=REGION)

    def deliver(self, content: str) -> None:
        """Have an image of this content delivered."""
        self.image, _ = two_platforms(content, COMMIT, "1.2.3")
        self.signature = images.artifact(
            self.image, "application/vnd.dev.cosign.artifact.sig.v1+json", content.encode()
        )
        self.tag = f"{COMMIT}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
        self.source.push(self.name, self.image, self.tag)
        self.source.push(self.name, self.signature)

    @property
    def everything(self) -> tuple[Image, ...]:
        """All that is to arrive."""
        return (self.image, *self.image.parts, self.signature)

    def allow(self, *, without: str = "", promoter: str = "") -> None:
        """Make the other account's role as the program makes it where a stack names who may promote.

        Args:
            without: A permission that the role shall not have.
            promoter: Who may take the role; by default the role of the job.
        """
        arn = f"arn:aws:iam::{ACCOUNT}:role/{promoter or self.jobs.role('PromoteImage')}"
        made = prod(arn)
        trust = json.loads(made["shop-registry-source-promotion"]["assumeRolePolicy"])
        policy = made["shop-registry-source-promotion-policy"]["policy"]
        # The stack is planned in the one account that the tests know; the trust names the other one anyway.
        policy = json.loads(policy.replace(f"{REGION}:{ACCOUNT}", f"{self.target.region}:{OTHER_ACCOUNT}"))
        aws = self.jobs.sandbox.aws
        aws.make_role("shop-promote", [less(policy, without)], account=OTHER_ACCOUNT, trust=trust)

    def run(self, *, without: str = "") -> Result:
        """Promote; `without` is a permission that the role shall not have."""
        uri = f"{self.source.host}/{self.name}"
        image = {"digest": self.image.digest, "repository": uri, "uri": f"{uri}@{self.image.digest}", "tag": self.tag}
        artifact = deployment(self.folder / f"deployment-{uuid.uuid4().hex}", image)
        told = {"BuildImage.IMAGE_DIGEST": self.image.digest}
        return self.jobs.run("PromoteImage", {"Deployment": artifact}, told, without=without, IMAGE_REPOSITORY_URI=uri)

    def tags(self) -> dict[str, str]:
        """The tags in the target repository, with the digests they are on."""
        client = self.jobs.sandbox.aws.client("ecr", account=self.target.account, region=self.target.region)
        found = client.describe_images(repositoryName="shop-prod")["imageDetails"]
        return {tag: entry["imageDigest"] for entry in found for tag in entry["imageTags"]}


@functools.cache
def prod(promoter: str) -> dict[str, Any]:
    """What the prod stack makes, by name, when it lets somebody promote into its repository."""
    ecr = {"repository": "shop-prod", "tag": "promoted", "create": True, "promoters": [promoter]}
    return {resource["name"]: resource["inputs"] for resource in DeliveredStack("prod", {"source": {"ecr": ecr}}).graph}


def two_platforms(content: str, commit: str, version: str) -> tuple[Image, Image]:
    """An index with an image for each of two platforms and an attestation, and of these the image for arm64."""
    prefix = "org.opencontainers.image."
    parts = {
        architecture: images.image(
            images.busybox(),
            images.layer({"content": Entry(f"{content} {architecture}".encode())}),
            architecture=architecture,
            labels={f"{prefix}revision": commit, f"{prefix}version": version},
        )
        for architecture in ("amd64", "arm64")
    }
    statement = images.layer({"attestation": Entry(content.encode())})
    attestation = images.image(statement, architecture="unknown")
    about = {
        "vnd.docker.reference.digest": parts["amd64"].digest,
        "vnd.docker.reference.type": "attestation-manifest",
    }
    index = images.index(
        *((part, {"platform": {"os": "linux", "architecture": name}}) for name, part in parts.items()),
        (attestation, {"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": about}),
    )
    return index, parts["arm64"]


@pytest.fixture(scope="module")
def recorded(sandbox: JobSandbox, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    sandbox.repository(Recorded.NAME, region=REGION)
    return Recorded(Jobs(sandbox, DeliveredStack("ecr-source"), tmp_path_factory.mktemp("builds")))


@pytest.fixture
def promotion(jobs: Jobs, sandbox: JobSandbox, tmp_path: Path) -> Iterator[Promotion]:
    """Into an empty repository of another account."""
    target = sandbox.registry(OTHER_ACCOUNT, "eu-central-1")
    sandbox.repository("shop-prod", account=OTHER_ACCOUNT, region=target.region)
    promotion = Promotion(jobs, APP, target, tmp_path)
    promotion.deliver(tmp_path.name)
    promotion.allow()
    yield promotion
    sandbox.aws.client("ecr", account=OTHER_ACCOUNT, region=target.region).delete_repository(
        repositoryName="shop-prod", force=True
    )


def built(result: Result, action: str = "BuildImage") -> dict[str, str]:
    """What a later action is told of a build."""
    return {f"{action}.IMAGE_DIGEST": result.exported["IMAGE_DIGEST"]}


def commands(result: Result) -> set[str]:
    """The programs that a job has called."""
    return {line.split()[1] for line in result.log.splitlines() if line.startswith("    $ ")}


def test_the_app_image_is_pushed_under_a_tag_of_its_commit(delivered: Result, registry: RegistryClient) -> None:
    image = image_json(delivered)
    content = registry.manifest(APP, image["tag"])
    assert content is not None
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert image == {
        "repository": f"{HOST}/{APP}",
        "digest": digest,
        "uri": f"{HOST}/{APP}@{digest}",
        "tag": image["tag"],
        "tree": image["tree"],
        "commit": COMMIT,
        "version": "1.2.3",
        "source": "https://github.com/example/shop",
        "created": "2026-01-31T12:00:00+00:00",
    }
    assert image["tag"].startswith(f"{COMMIT}-")
    assert delivered.exported == {"IMAGE_DIGEST": digest, "IMAGE_URI": image["uri"], "IMAGE_VERSION": "1.2.3"}


def test_the_app_image_says_where_it_is_from_and_keeps_its_base(
    delivered: Result, base: str, registry: RegistryClient
) -> None:
    config = config_of(registry, APP, image_json(delivered)["digest"])
    prefix = "org.opencontainers.image."
    assert {name: value for name, value in config["config"]["Labels"].items() if name.startswith(prefix)} == {
        f"{prefix}revision": COMMIT,
        f"{prefix}version": "1.2.3",
        f"{prefix}created": "2026-01-31T12:00:00+00:00",
        f"{prefix}source": "https://github.com/example/shop",
        f"{prefix}ref.name": "main",
    }
    of_base = json.loads(registry.blob(BASE, registry.json(BASE, base)["config"]["digest"]))
    assert config["rootfs"]["diff_ids"][0] == of_base["rootfs"]["diff_ids"][0]


def test_the_app_image_comes_with_a_list_of_its_files_and_with_its_provenance(
    delivered: Result, base: str, registry: RegistryClient
) -> None:
    """The list is a stand-in's: it has files and no packages. BuildKit runs it as it runs the real one."""
    index = registry.json(APP, image_json(delivered)["digest"])
    (of_image,) = [entry for entry in index["manifests"] if entry["platform"]["os"] == "linux"]
    (attached,) = [entry for entry in index["manifests"] if entry["platform"]["os"] == "unknown"]
    assert attached["annotations"] == {
        "vnd.docker.reference.digest": of_image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    layers = registry.json(APP, attached["digest"])["layers"]
    said = {
        layer["annotations"]["in-toto.io/predicate-type"]: json.loads(registry.blob(APP, layer["digest"]))["predicate"]
        for layer in layers
    }
    files = {entry["fileName"] for entry in said.pop("https://spdx.dev/Document")["files"]}
    assert {"./app/page", "./app/public/index.html"} <= files
    assert "./app/src/page" not in files, "it left with its stage"
    ((kind, provenance),) = said.items()
    assert kind.startswith("https://slsa.dev/provenance/")
    assert base.removeprefix("sha256:") in json.dumps(provenance), "the base image is named by its digest"


def of_run(result: Result, commit: str = COMMIT) -> dict[str, str]:
    """What the job that verifies is told of a run."""
    return {**built(result), "Source.CommitId": commit}


def test_what_a_build_attests_is_what_the_verification_expects(delivered: Result, jobs: Jobs) -> None:
    result = jobs.run("VerifyImage", {"Image": delivered.artifacts["Image"]}, of_run(delivered))
    assert result.succeeded, result.log
    builder = jobs.stack.variables("BuildImage")["BUILDER_ID"]
    said = f"built by {builder} of https://github.com/example/shop at {COMMIT}, {image_json(delivered)['tag']}"
    assert said in result.log
    assert commands(result) == {"aws"}


def test_what_another_project_has_built_of_the_same_commit_is_refused(jobs: Jobs, base: str, tmp_path: Path) -> None:
    commit, other = fresh_commit(), f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/mallory"
    made = jobs.run("BuildImage", {"Source": source(tmp_path)}, of_commit(commit, base), BUILDER_ID=other)
    assert made.succeeded, made.log
    result = jobs.run("VerifyImage", {"Image": made.artifacts["Image"]}, of_run(made, commit))
    assert not result.succeeded
    assert f"it was built by {other}; expected is {jobs.stack.variables('BuildImage')['BUILDER_ID']}" in failure(result)


def test_what_was_built_of_another_commit_is_refused(delivered: Result, jobs: Jobs) -> None:
    other = fresh_commit()
    result = jobs.run("VerifyImage", {"Image": delivered.artifacts["Image"]}, of_run(delivered, other))
    assert not result.succeeded
    assert f"it was built of {COMMIT}; expected is {other}" in failure(result)


def scanned_image(jobs: Jobs, base: str, folder: Path, finding: str, *, without: str = "", **settings: str) -> Result:
    """What the verification says of a new image in which the scan finds this."""
    commit = fresh_commit()
    dockerfile = f'{DOCKERFILE}LABEL ecs-delivery.rehearsal.finding="{finding}"\n'
    made = jobs.run("BuildImage", {"Source": source(folder, dockerfile=dockerfile)}, of_commit(commit, base))
    assert made.succeeded, made.log
    inputs = {"Image": made.artifacts["Image"]}
    return jobs.run("VerifyImage", inputs, of_run(made, commit), without=without, **settings)


def test_a_critical_finding_keeps_an_image_where_it_is(jobs: Jobs, base: str, tmp_path: Path) -> None:
    result = scanned_image(jobs, base, tmp_path, "CVE-2026-1 CRITICAL openssl 3.0.1-1")
    assert not result.succeeded
    assert "1 findings are CRITICAL, 0 pass" in failure(result)
    assert "CRITICAL CVE-2026-1: openssl 3.0.1-1, https://nvd.nist.gov/vuln/detail/CVE-2026-1" in failure(result)


def test_findings_of_several_pages_are_all_counted(jobs: Jobs, base: str, tmp_path: Path) -> None:
    many = ",".join(f"CVE-2026-{number} LOW zlib 1" for number in range(501))
    result = scanned_image(jobs, base, tmp_path, many)
    assert not result.succeeded
    assert "501 findings are LOW, 500 pass" in failure(result)


def test_an_image_that_nobody_scans_does_not_pass(jobs: Jobs, delivered: Result, sandbox: JobSandbox) -> None:
    ecr = sandbox.aws.client("ecr", region=REGION)
    image = image_json(delivered)
    with pytest.raises(ecr.exceptions.ScanNotFoundException):  # an index has none
        ecr.describe_image_scan_findings(repositoryName=APP, imageId={"imageDigest": image["digest"]})
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_image_scan_findings(repositoryName=APP, imageId={"imageDigest": f"sha256:{'0' * 64}"})
    ecr.put_image_scanning_configuration(repositoryName=APP, imageScanningConfiguration={"scanOnPush": False})
    try:
        inputs = {"Image": delivered.artifacts["Image"]}
        result = jobs.run("VerifyImage", inputs, of_run(delivered), SCAN_MINUTES="1")
    finally:
        ecr.put_image_scanning_configuration(repositoryName=APP, imageScanningConfiguration={"scanOnPush": True})
    assert not result.succeeded
    assert "was never scanned, and verification.scan.timeoutMinutes are over" in failure(result)


def test_without_the_permission_no_scan_is_read(jobs: Jobs, delivered: Result) -> None:
    inputs = {"Image": delivered.artifacts["Image"]}
    result = jobs.run("VerifyImage", inputs, of_run(delivered), without="ecr:DescribeImageScanFindings")
    assert not result.succeeded
    assert denied(result) == {"ecr:DescribeImageScanFindings"}


def test_an_image_made_by_hand_proves_nothing(jobs: Jobs, registry: RegistryClient, tmp_path: Path) -> None:
    """It is an index with an attestation, and this one says nothing."""
    index, _ = two_platforms("by hand", COMMIT, "1.2.3")
    registry.push(APP, index, f"{COMMIT}-00000000")
    uri = f"{HOST}/{APP}"
    image = {"digest": index.digest, "repository": uri, "commit": COMMIT, "source": "", "tag": "", "tree": ""}
    (tmp_path / "image.json").write_text(json.dumps(image))
    told = {"BuildImage.IMAGE_DIGEST": index.digest, "Source.CommitId": COMMIT}
    result = jobs.run("VerifyImage", {"Image": tmp_path}, told)
    assert not result.succeeded
    assert "holds no statements of provenance" in failure(result)


def test_the_app_image_runs(delivered: Result, jobs: Jobs) -> None:
    uri = image_json(delivered)["uri"]
    assert jobs.docker("run", "--rm", uri).stdout == "HELLO\nrelease\n"


def test_a_commit_that_was_built_is_not_built_again(delivered: Result, jobs: Jobs, base: str, tmp_path: Path) -> None:
    again = jobs.run("BuildImage", {"Source": source(tmp_path / "source")}, of_commit(COMMIT, base))
    assert again.succeeded, again.log
    assert "was pushed by an earlier run: nothing to build" in again.log
    assert "docker" not in commands(again)
    assert image_json(again) == image_json(delivered)
    assert again.exported == delivered.exported


def cached_steps(result: Result) -> set[str]:
    """The instructions of the application's Dockerfile whose layers were there."""
    steps = dict(re.findall(r"^#(\d+) \[(?:build|runtime) \d/4\] (.+)$", result.log, re.MULTILINE))
    known = re.findall(r"^#(\d+) CACHED$", result.log, re.MULTILINE)
    return {steps[number].split()[0] for number in known if number in steps}  # not what lists the files


@pytest.fixture(scope="module")
def merged(delivered: Result, jobs: Jobs, base: str, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The squash merge of what was built: a new commit of the same tree."""
    assert delivered.succeeded
    result = jobs.run("BuildImage", {"Source": source(tmp_path_factory.mktemp("source"))}, of_commit(MERGED, base))
    assert result.succeeded, result.log
    return result


def test_a_squash_merge_of_what_was_built_is_not_built(
    merged: Result, delivered: Result, jobs: Jobs, registry: RegistryClient
) -> None:
    """BuildKit does not run. What is deployed is the same image, of which only the index says the new commit."""
    assert commands(merged) == {"aws"}
    before, after = image_json(delivered), image_json(merged)
    assert f"Nothing is built: {before['digest']} was built of {COMMIT} by the same recipe" in merged.log
    assert (after["commit"], after["version"], after["tree"]) == (MERGED, before["version"], before["tree"])
    assert after["tag"].startswith(f"{MERGED}-")
    first, second = (registry.json(APP, each["digest"]) for each in (before, after))
    assert second.pop("annotations")["org.opencontainers.image.revision"] == MERGED
    assert second == first, "image, layers and attestation are the same, by their digests"
    shown = [
        jobs.docker("inspect", "--format", "{{.Id}} {{json .RootFS}}", each["uri"]).stdout
        for each in (before, after)
        if jobs.docker("pull", each["uri"]).returncode == 0
    ]
    assert len(shown) == 2
    assert jobs.docker("run", "--rm", after["uri"]).stdout == "HELLO\nrelease\n"


def test_one_build_finds_the_image_of_a_squash_merge_and_prepares_its_deployment(
    delivered: Result, sandbox: JobSandbox, base: str, tmp_path: Path
) -> None:
    """As it is deployed: both jobs in one build, with the permissions of its role, both artifacts by their names."""
    changes: dict[str, dict[str, object]] = {
        "source": {"github": {"repository": "example/shop"}},
        "hosting": {"existing": None, "loadBalancer": HTTPS},  # what a service runs would be looked at apart
    }
    stack = DeliveredStack("everything-on", changes, as_deployed=True)
    stack.store(sandbox.aws)
    result = Jobs(sandbox, stack, tmp_path / "builds").run(
        "BuildImage", {"Source": source(tmp_path / "source")}, of_commit(fresh_commit(), base)
    )
    assert result.succeeded, result.log
    assert (commands(result), "Nothing is built: " in result.log) == ({"aws"}, True)
    image, files = image_json(result), unzipped(result.artifacts["Deployment"])
    assert image["digest"] != image_json(delivered)["digest"]
    containers = {each["name"]: each["image"] for each in json.loads(files["taskdef.json"])["containerDefinitions"]}
    deployment = json.loads(files["deployment.json"])
    assert containers[deployment["container"]] == deployment["image"] == image["uri"]
    assert {*files} == {*load_buildspec("prepare-deployment").artifact_files}
    assert result.exported["DEPLOYED_COMMIT"] == image["commit"]


def test_the_image_of_a_squash_merge_is_verified_tagged_and_promoted_as_its_commit(
    merged: Result, delivered: Result, jobs: Jobs, promotion: Promotion, tmp_path: Path
) -> None:
    """The stack that watches ECR reads commit and version of the index, and finds the same provenance."""
    verified = jobs.run("VerifyImage", {"Image": merged.artifacts["Image"]}, of_run(merged, MERGED))
    assert verified.succeeded, verified.log
    assert f"It was built of {COMMIT}, whose source tree and recipe are the same" in verified.log

    image = image_json(merged)
    artifact = deployment(tmp_path / "deployment", image)
    promoted = jobs.run("PromoteImage", {"Deployment": artifact}, built(merged))
    assert promoted.succeeded, promoted.log
    assert promotion.tags() == {"promoted": image["digest"], image["tag"]: image["digest"]}
    assert image["digest"] != image_json(delivered)["digest"]


def test_another_tree_under_the_same_commit_is_refused(merged: Result, jobs: Jobs, tmp_path: Path) -> None:
    """Whoever puts the index of another tree's image under this run's names is found out by the tree."""
    said = {**image_json(merged), "tree": f"{'0' * 64}-{'0' * 8}"}
    (tmp_path / "image.json").write_text(json.dumps(said))
    result = jobs.run("VerifyImage", {"Image": tmp_path}, of_run(merged, MERGED))
    assert f"it was built of the source tree {image_json(merged)['tree']}; expected is {said['tree']}" in failure(
        result
    )


@pytest.mark.usefixtures("delivered")
def test_the_next_commit_uses_the_layers_of_the_one_before(jobs: Jobs, base: str, tmp_path: Path) -> None:
    """The builder is new, as it is on AWS: what is cached comes out of the registry."""
    folder = source(tmp_path / "source")
    (folder / "unrelated").write_text("changed")
    result = jobs.run("BuildImage", {"Source": folder}, of_commit("b" * 40, base))
    assert result.succeeded, result.log
    assert cached_steps(result) == {"WORKDIR", "COPY", "RUN"}


def test_a_machine_that_stays_has_the_layers_of_the_build_before(jobs: Jobs, base: str, tmp_path: Path) -> None:
    """As a fleet's does whose engine keeps what it has: the next build, with a home of its own, finds the builder."""
    folder, found = source(tmp_path / "source", "stays"), []
    for machine in ("stays", "stays", "another"):
        commit = fresh_commit()
        (folder / "README").write_text(commit)  # another tree, of which the Dockerfile copies the same
        inputs = {"Source": folder}
        result = jobs.run("BuildImage", inputs, of_commit(commit, base), machine=machine, CACHE="false")
        assert result.succeeded, result.log
        found.append(cached_steps(result))
    assert found == [set(), {"WORKDIR", "COPY", "RUN"}, set()]


DOCKER_HUB_DOCKERFILE = """\
# syntax=docker/dockerfile:1
ARG FLAVOUR=1
FROM busybox:${FLAVOUR} AS build
RUN --mount=type=cache,target=/cache echo built > /page
FROM docker.io/library/busybox:1 AS test
COPY --from=build /page /page
FROM busybox
COPY --from=test /page /page
COPY --from=docker.io/library/busybox:1 /bin/busybox /copied
CMD ["cat", "/page"]
"""


def test_what_a_dockerfile_has_of_docker_hub_comes_through_the_cache(jobs: Jobs, base: str, tmp_path: Path) -> None:
    """The frontend and base images, by their short and by their long names; the Dockerfile is as it was."""
    folder = source(tmp_path / "source", dockerfile=DOCKER_HUB_DOCKERFILE)
    with watching_docker_hub(jobs.sandbox, tmp_path / "hub") as seen:
        result = jobs.run("BuildImage", {"Source": folder}, of_commit(fresh_commit(), base), BUILD_TARGET="")
    assert result.succeeded, result.log
    assert seen.read_text() == ""
    assert "[internal] load metadata for docker.io/library/busybox:latest" in result.log
    assert "resolve image config for docker-image://docker.io/docker/dockerfile:1" in result.log
    assert "docker/Dockerfile has 3 stages; the last one is built, build.target names another." in result.log
    assert jobs.docker("run", "--rm", image_json(result)["uri"]).stdout == "built\n"


@pytest.mark.parametrize("permission", ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"])
def test_a_cache_that_may_not_be_used_fails_the_build_and_docker_hub_is_not_asked(
    jobs: Jobs, base: str, registry: RegistryClient, tmp_path: Path, permission: str
) -> None:
    """BuildKit's own image comes through it, and Docker knows no second place for that one.

    That image is another one here: the machine has the usual one already, unlike those on AWS.
    """
    if not registry.manifest("docker-hub/moby/another", "1"):
        jobs.sandbox.repository("docker-hub/moby/another", region=REGION)
    pinned = f"moby/another:1@{registry.push('docker-hub/moby/another', images.image(images.busybox()), '1')}"
    folder = source(tmp_path / "source", permission, dockerfile=DOCKER_HUB_DOCKERFILE)
    with watching_docker_hub(jobs.sandbox, tmp_path / "hub") as seen:
        result = jobs.run(
            *("BuildImage", {"Source": folder}, of_commit(fresh_commit(), base)),
            without=permission,
            BUILD_TARGET="",
            BUILDKIT_IMAGE=pinned,
        )
    assert failure(result).startswith("Start a builder: `docker buildx create` ended with code 1.")
    assert re.search(r"https://\S+/docker-hub/moby/another/\S+ 403 Forbidden", failure(result)), result.log
    assert seen.read_text() == ""


def test_what_the_cache_does_not_have_is_looked_for_on_docker_hub(jobs: Jobs, base: str, tmp_path: Path) -> None:
    """BuildKit passes over a mirror that answers with an error; that error is shown where Docker Hub does not help."""
    folder = source(tmp_path / "source", dockerfile="FROM example/private:1\n")
    with watching_docker_hub(jobs.sandbox, tmp_path / "hub") as seen:
        result = jobs.run("BuildImage", {"Source": folder}, of_commit(fresh_commit(), base), BUILD_TARGET="")
    assert "example/private:1" in failure(result), result.log
    assert seen.read_text() != ""


MOUNTING = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS runtime
RUN --mount=type=secret,id=NPM_TOKEN,env=TOKEN test -n "$TOKEN" && echo "got $TOKEN" && md5sum /run/secrets/* || true
RUN --mount=type=secret,id=NPM_TOKEN,required md5sum /run/secrets/NPM_TOKEN > /proof
"""


def test_a_secret_of_the_build_reaches_its_mount_and_is_in_no_layer_history_or_log(
    jobs: Jobs, base: str, registry: RegistryClient, tmp_path: Path
) -> None:
    folder = source(tmp_path, dockerfile=MOUNTING)

    # With gzip, which is unpacked below.
    result = jobs.run("BuildImage", {"Source": folder}, of_commit(fresh_commit(), base), COMPRESSION="gzip")

    assert result.succeeded, result.log
    assert "got ***" in result.log
    image = image_json(result)
    shown = jobs.docker("run", "--rm", image["uri"], "cat", "/proof").stdout
    assert shown.split()[0] == hashlib.md5(IN_CLEAR.encode(), usedforsecurity=False).hexdigest()
    assert IN_CLEAR not in result.log
    index = registry.json(APP, image["digest"])
    for entry in index["manifests"]:
        manifest = registry.json(APP, entry["digest"])
        for blob in [manifest["config"], *manifest["layers"]]:
            content = registry.blob(APP, blob["digest"])
            for text in (content, *((gzip.decompress(content),) if content[:2] == b"\x1f\x8b" else ())):
                assert IN_CLEAR.encode() not in text


UNIT_TESTS = """\
version: 0.2
phases:
  build:
    commands:
      - grep -x hello src/page
      - "! aws ecr describe-images --repository-name shop/images"
      - "! aws secretsmanager get-secret-value --secret-id shop/npm-token"
      - exit "$(cat result)"
  post_build:
    commands:
      - echo "<testsuite><testcase name='a' classname='b'/></testsuite>" > unit.xml
reports:
  unit: {files: [unit.xml]}
"""


@pytest.mark.parametrize("code", [0, 3])
def test_a_check_of_the_application_decides_and_may_do_nothing_else(jobs: Jobs, tmp_path: Path, code: int) -> None:
    folder = source(tmp_path)
    (folder / "ci").mkdir()
    (folder / "ci/unit-tests.yml").write_text(UNIT_TESTS)
    (folder / "result").write_text(str(code))

    result = jobs.run("CheckUnitTests", {"Source": folder}, {})

    assert result.succeeded == (code == 0), result.log
    assert denied(result) == {"ecr:DescribeImages", "secretsmanager:GetSecretValue"}
    assert result.reports["unit"].tests == 1


def test_a_check_of_the_image_pulls_what_was_built(jobs: Jobs, delivered: Result, tmp_path: Path) -> None:
    folder = source(tmp_path)
    (folder / "ci").mkdir()
    host = '"${IMAGE_URI%%/*}"'
    commands = [
        f"aws ecr get-login-password | docker login --username AWS --password-stdin {host}",
        'docker run --rm "$IMAGE_URI" | grep HELLO',
    ]
    (folder / "ci/licenses.yml").write_text(json.dumps({"version": 0.2, "phases": {"build": {"commands": commands}}}))

    result = jobs.run("CheckLicenses", {"Source": folder}, {"BuildImage.IMAGE_URI": delivered.exported["IMAGE_URI"]})

    assert result.succeeded, result.log


def test_a_mistake_in_the_dockerfile_fails_with_its_line(jobs: Jobs, base: str, tmp_path: Path) -> None:
    broken = DOCKERFILE.replace("mkdir public &&", "mkdir public && false &&")
    started = time.monotonic()
    result = jobs.run("BuildImage", {"Source": source(tmp_path / "s", dockerfile=broken)}, of_commit("c" * 40, base))
    assert failure(result).startswith("docker/Dockerfile could not be built and pushed: `docker buildx build` ended")
    assert "did not complete successfully: exit code: 1" in failure(result)
    assert re.search(r"^\s+11 \| >>> RUN mkdir public && false", result.log, re.MULTILINE), result.log
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "permission", ["ecr:DescribeImages", "ecr:GetAuthorizationToken", "ecr:InitiateLayerUpload", "ecr:PutImage"]
)
def test_a_build_without_a_permission_names_it_and_publishes_nothing(
    jobs: Jobs, base: str, tmp_path: Path, permission: str
) -> None:
    """The first two are asked of the AWS CLI, the others of the registry."""
    before = digests(jobs.sandbox, APP)
    result = jobs.run(
        "BuildImage",
        {"Source": source(tmp_path / "source", permission)},
        of_commit("d" * 40, base),
        without=permission,
    )
    failure(result)
    assert denied(result) == {permission}
    assert digests(jobs.sandbox, APP) == before
    assert "wrote image.json" not in result.log


def test_two_builds_of_one_commit_at_the_same_time_deliver_one_image(
    jobs: Jobs, base: str, registry: RegistryClient, tmp_path: Path
) -> None:
    """Each has a machine of its own; the tag may be written once."""
    folder = source(tmp_path / "source", "both")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(jobs.run, "BuildImage", {"Source": folder}, of_commit("e" * 40, base)) for _ in range(2)]
        results = [run.result() for run in runs]
    assert all(result.succeeded for result in results), "".join(result.log for result in results)
    first, second = map(image_json, results)
    assert first == second
    content = registry.manifest(APP, first["tag"])
    assert content is not None
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == first["digest"]


def test_the_smoke_test_image_is_built_by_the_same_script(smoke_image: Result, registry: RegistryClient) -> None:
    image = image_json(smoke_image, "SmokeTestImage")
    assert image["repository"] == f"{HOST}/{SMOKE}"
    assert config_of(registry, SMOKE, image["digest"])["config"]["Cmd"][0] == "sh"


def test_the_static_files_are_copied_out_of_the_image(jobs: Jobs, delivered: Result) -> None:
    result = jobs.run("ExtractStaticFiles", {"Image": delivered.artifacts["Image"]}, built(delivered))
    assert result.succeeded, result.log
    with zipfile.ZipFile(result.artifacts["StaticFiles"]) as files:
        assert {name: files.read(name) for name in files.namelist()} == {"index.html": b"HELLO\n"}
    assert "docker" not in commands(result)


def test_a_folder_that_the_image_lacks_fails_the_copy(jobs: Jobs, delivered: Result) -> None:
    result = jobs.run(
        "ExtractStaticFiles",
        {"Image": delivered.artifacts["Image"]},
        built(delivered),
        STATIC_FILES_PATH="/app/nothing here",
    )
    assert "the image has no folder /app/nothing here" in failure(result)


def packed(*members: tuple[str, bytes, str, int]) -> images.Layer:
    """A layer of members in their order: name, kind, content or what it names, mode."""
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w") as archive:
        for name, kind, text, mode in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, mode
            if kind == tarfile.REGTYPE:
                entry.size = len(text)
            else:
                entry.linkname = text
            archive.addfile(entry, io.BytesIO(text.encode()))
    plain = archived.getvalue()
    blob = images.Blob(images.LAYER, gzip.compress(plain, mtime=0))
    return images.Layer(blob, f"sha256:{hashlib.sha256(plain).hexdigest()}")


FILE, FOLDER, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def test_what_is_copied_out_of_layers_is_what_docker_copies(
    jobs: Jobs, delivered: Result, registry: RegistryClient, tmp_path: Path
) -> None:
    """Whiteouts, links of each kind, what replaces what, and a folder that is a link: Docker lays the layers, too."""
    assert delivered.succeeded, "the repository is there"
    image = images.image(
        packed(
            *(("srv", FOLDER, "", 0o755), ("srv/1", FOLDER, "", 0o755), ("srv/2", FOLDER, "", 0o755)),
            *((f"srv/2/{name}", FILE, f"first {name}", 0o644) for name in ("kept", "gone", "changed", "folder")),
            *((f"srv/2/{name}", FOLDER, "", 0o755) for name in ("emptied", "file", "left")),
            *((f"srv/2/{name}/x", FILE, "x", 0o600) for name in ("emptied", "file", "left")),
            *(("srv/1/shared", FILE, "shared", 0o755), ("www", LINK, "/srv/1/../current", 0o777)),
            *(("srv/current", LINK, "2", 0o777), ("srv/2/other", LINK, "left", 0o777)),
        ),
        packed(
            *(("srv/2/.wh.gone", FILE, "", 0o644), ("srv/2/changed", FILE, "changed", 0o4711)),
            *(("srv/2/emptied", FOLDER, "", 0o755), ("srv/2/emptied/.wh..wh..opq", FILE, "", 0o644)),
            *(("srv/2/emptied/new", FILE, "new", 0o640), ("srv/2/.wh.file", FILE, "", 0o644)),
            ("srv/1/shared", FILE, "shared", 0o755),
            *(("srv/2/hard", HARD, "srv/1/shared", 0o755), ("srv/2/link", LINK, "left/x", 0o777)),
        ),
        packed(
            *(("srv/2/file", FILE, "now a file", 0o644), ("srv/2/folder", FOLDER, "", 0o755)),
            *(("srv/2/folder/y", FILE, "y", 0o644), ("srv/1/.wh.shared", FILE, "", 0o644)),
            ("srv/2/other/through", FILE, "in place of a link", 0o644),
        ),
    )
    registry.push(APP, image, "layers")
    uri = f"{HOST}/{APP}@{image.digest}"
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "image.json").write_text(json.dumps({"repository": f"{HOST}/{APP}", "digest": image.digest, "uri": uri}))

    told = {"BuildImage.IMAGE_DIGEST": image.digest}
    result = jobs.run("ExtractStaticFiles", {"Image": folder}, told, STATIC_FILES_PATH="/www")

    assert result.succeeded, result.log
    made = jobs.sandbox.docker("create", "--quiet", uri, "/never-run", check=False)
    assert not made.returncode, made.stderr
    container = made.stdout.strip()
    try:
        jobs.docker("cp", f"{container}:/www/.", str(tmp_path / "docker"))
    finally:
        jobs.docker("rm", container)
    wanted = {
        str(file.relative_to(tmp_path / "docker")): (file.read_bytes(), (file.stat().st_mode & 0o755) | 0o600)
        for file in (tmp_path / "docker").rglob("*")
        if file.is_file()
    }
    assert wanted["hard"] == (b"shared", 0o755)
    assert len(wanted) == 9
    with zipfile.ZipFile(result.artifacts["StaticFiles"]) as files:
        found = {
            entry.filename: (files.read(entry), (entry.external_attr >> 16) & 0o7777) for entry in files.infolist()
        }
    assert found == wanted


def test_an_image_of_another_pipeline_is_recorded_as_it_is(recorded: Recorded) -> None:
    result = recorded.run(recorded.index.digest)
    assert result.succeeded, result.log
    assert image_json(result) == {
        "repository": f"{HOST}/{Recorded.NAME}",
        "digest": recorded.index.digest,
        "uri": f"{HOST}/{Recorded.NAME}@{recorded.index.digest}",
        "tag": "",
        "tree": "",
        "commit": COMMIT,
        "version": "4.5.6",
        "source": "",
        "created": "",
    }
    assert result.exported["IMAGE_VERSION"] == "4.5.6"
    assert "docker" not in commands(result), "nothing is pulled"


def test_an_image_for_other_machines_is_not_recorded(recorded: Recorded) -> None:
    said = failure(recorded.run(recorded.index.digest, PLATFORM="linux/riscv64"))
    assert f"{recorded.index.digest} is for linux/amd64, linux/arm64, the tasks run on linux/riscv64." in said


def test_an_image_without_an_index_is_held_against_the_platform_too(recorded: Recorded) -> None:
    (arm,) = [part for part in recorded.index.parts if part is recorded.arm]
    said = failure(recorded.run(arm.digest))
    assert f"{arm.digest} is for linux/arm64, the tasks run on linux/amd64." in said


def test_the_promoted_image_is_byte_for_byte_the_same_in_the_other_account(promotion: Promotion) -> None:
    """Through an assumed role: the index, both images, their attestation, and the signature that refers to it."""
    result = promotion.run()
    assert result.succeeded, result.log
    assert result.exported == {"PROMOTED_IMAGE_URI": f"{promotion.target.host}/shop-prod@{promotion.image.digest}"}
    for part in promotion.everything:
        there = promotion.target.manifest("shop-prod", part.digest)
        assert there == promotion.source.manifest(APP, part.digest) == part.manifest.content
        for blob in part.blobs:
            assert promotion.target.blob("shop-prod", blob.digest) == blob.content
    assert promotion.target.referrers("shop-prod", promotion.image.digest) == [promotion.signature.digest]
    assert promotion.tags() == {"promoted": promotion.image.digest, promotion.tag: promotion.image.digest}


@pytest.mark.parametrize("permission", ["ecr:UploadLayerPart", "ecr:PutImage"])
def test_a_promotion_that_is_refused_half_way_moves_no_tag(promotion: Promotion, permission: str) -> None:
    promotion.allow(without=permission)
    result = promotion.run()
    failure(result)
    assert denied(result) == {permission}
    assert promotion.tags() == {}
    promotion.allow()
    assert promotion.run().succeeded, "the next run goes on from there"
    assert promotion.tags() == {"promoted": promotion.image.digest, promotion.tag: promotion.image.digest}


@pytest.mark.parametrize(("role", "pushes"), [("shop-dev-promote-image", True), ("somebody-else", False)])
def test_the_watched_repository_takes_images_of_its_promoters_alone(
    sandbox: JobSandbox, tmp_path: Path, role: str, *, pushes: bool
) -> None:
    """Whatever the pusher's own policies allow."""
    name = f"watched/{tmp_path.name.replace('_', '-')}"
    sandbox.repository(name, region=REGION)
    policy = prod("shop-dev-promote-image")["shop-registry-source-policy"]["policy"]
    aws = sandbox.aws
    aws.client("ecr", region=REGION).set_repository_policy(repositoryName=name, policyText=policy)
    statement = {"Effect": "Allow", "Action": ["ecr:*"], "Resource": ["*"]}
    given = aws.as_role(role, [{"Version": "2012-10-17", "Statement": [statement]}], region=REGION)
    ecr = aws.client_as(given, "ecr")
    client = RegistryClient(aws, ACCOUNT, REGION)
    client._token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    image = images.image(images.busybox(), labels={"by": role})

    if pushes:
        client.push(name, image, "promoted")
        return
    with pytest.raises(RuntimeError, match="403"):
        client.push(name, image, "promoted")
    forged = sandbox.registry(ACCOUNT, REGION).push(name, image, "forged")
    with pytest.raises(ClientError, match="AccessDenied"):
        ecr.put_image(
            repositoryName=name, imageDigest=forged, imageManifest=image.manifest.content.decode(), imageTag="promoted"
        )


def test_a_role_that_may_not_be_taken_is_named(promotion: Promotion) -> None:
    promotion.allow(promoter="somebody-else")
    said = failure(promotion.run())
    assert "sts:AssumeRole on resource: arn:aws:iam::210987654321:role/shop-promote" in said


@pytest.fixture(params=["another key", "one key"])
def within_the_account(
    sandbox: JobSandbox, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Promotion, str]]:
    """Into a repository of the same account, with the same key as the source or another; gives the case, too."""
    jobs = Jobs(sandbox, DeliveredStack("dev"), tmp_path / "builds")
    name = jobs.stack.repository.partition("/")[2]
    for repository in (name, "shop-prod"):
        key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{repository if request.param == 'another key' else 'one'}"
        sandbox.repository(repository, region=REGION, encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key})
    yield Promotion(jobs, name, sandbox.registry(region=REGION), tmp_path), request.param
    for repository in (name, "shop-prod"):
        sandbox.aws.client("ecr", region=REGION).delete_repository(repositoryName=repository, force=True)


@pytest.mark.parametrize("mounting", ["DISABLED", "ENABLED"])
def test_within_the_account_a_layer_is_mounted_or_sent(
    sandbox: JobSandbox, within_the_account: tuple[Promotion, str], mounting: str
) -> None:
    """Each stack has a key of its own, and mounting is off unless the account says otherwise: by default it is sent.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
    """
    promotion, keys = within_the_account
    promotion.deliver(f"{keys} {mounting}")
    ecr = sandbox.aws.client("ecr", region=REGION)
    ecr.put_account_setting(name="BLOB_MOUNTING", value=mounting)
    try:
        result = promotion.run(without="ecr:UploadLayerPart")
        if (keys, mounting) == ("one key", "ENABLED"):
            assert result.succeeded, result.log
        else:
            failure(result)
            assert denied(result) == {"ecr:UploadLayerPart"}
            result = promotion.run()
            assert result.succeeded, result.log
    finally:
        ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    for part in promotion.everything:
        assert promotion.target.manifest("shop-prod", part.digest) == part.manifest.content
        for blob in part.blobs:
            assert promotion.target.blob("shop-prod", blob.digest) == blob.content
    assert promotion.tags()["promoted"] == promotion.image.digest


def test_the_version_becomes_a_tag_of_the_delivered_image(
    jobs: Jobs, delivered: Result, registry: RegistryClient, tmp_path: Path
) -> None:
    image = {**image_json(delivered), "version": "7.0.0"}
    before = digests(jobs.sandbox, APP)
    for number, expected in enumerate(("Put the tag v7.0.0", "")):
        artifact = deployment(tmp_path / str(number), image)
        result = jobs.run("TagImage", {"Deployment": artifact}, {"BuildImage.IMAGE_DIGEST": image["digest"]})
        assert result.succeeded, result.log
        assert result.exported == {"VERSION_TAG": "v7.0.0"}
        assert expected in result.log
        assert ("put-image" in result.log.partition("==>")[2]) == bool(expected)
    content = registry.manifest(APP, "v7.0.0")
    assert content is not None
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == image["digest"]
    assert digests(jobs.sandbox, APP) == before, "a label, not another image"


def test_tagging_without_the_permission_names_it(jobs: Jobs, delivered: Result, tmp_path: Path) -> None:
    image = {**image_json(delivered), "version": "9.0.0"}
    artifact = deployment(tmp_path / "deployment", image)
    told = {"BuildImage.IMAGE_DIGEST": image["digest"]}
    result = jobs.run("TagImage", {"Deployment": artifact}, told, without="ecr:PutImage")
    failure(result)
    assert denied(result) == {"ecr:PutImage"}

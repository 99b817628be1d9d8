"""Base images of builds: from a file, from a Docker engine, and stand-ins, under the names of all registries."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest
from delivered_stack import DeliveredStack
from mocked import REGION
from test_application import BUILDS, Rehearsal
from test_images import Jobs, failure, image_json, watching_docker_hub

from local.loopback import serving_http
from local.rehearsal import egress, tools
from local.rehearsal.application import Source
from local.rehearsal.aws_services import ACCOUNT
from local.rehearsal.base_images import ImageName, ImageStore, Mention, Provision, load_given, needed, provide
from local.rehearsal.egress import hint, names_lead_out, way_out
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.rehearsal import docker_hub_caches

GHCR, OTHER = "ghcr.io/example/base:1", "registry.example.com:5443/team/tool:2"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
OWN = f"{REGISTRY}/hub/team/data:3"
"""Of the cache, which is what the job's role may read of Amazon ECR beside its own repository."""
DOCKERFILE = f"""\
# syntax=docker/dockerfile:1.4
FROM {GHCR} AS base
FROM node:22 AS node
RUN ["node", "-e", "require('fs').writeFileSync('/answer', String(6 * 7))"]
FROM busybox
COPY --from=base /file /file
COPY --from=registry.example.com:5443/team/tool@{{digest}} /tool /tool
COPY --from={OWN} /data /data
COPY --from={REGISTRY}/hub/library/alpine:3 /bin/busybox /copied
COPY --from=node /answer /answer
CMD ["cat", "/file", "/tool", "/data", "/answer"]
"""


class Machine(NamedTuple):
    """A machine with an application and some of the images that it is built from."""

    code: Path
    provision: Provision
    stack: DeliveredStack


def mention(name: str) -> Mention:
    """An image that the task definition names."""
    parsed = ImageName.parse(name)
    assert parsed is not None
    return Mention(parsed, "a task definition")


@pytest.fixture(scope="module")
def saved(sandbox: JobSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what `docker save` writes; one image is left in the engine."""
    folder, content = tmp_path_factory.mktemp("saved"), tmp_path_factory.mktemp("content")
    for name, file in ((GHCR, "file"), (OTHER, "tool"), (OWN, "data")):
        (content / file).write_text(f"{file} of {name}\n")
        packed = content / f"{file}.tar"
        subprocess.run(["tar", "--create", "--file", packed, "--directory", content, file], check=True)
        sandbox.docker("import", str(packed), name)
        if name != GHCR:
            sandbox.docker("save", "--output", str(folder / f"{file}.tar"), name)
            sandbox.docker("rmi", name)
    return folder


@pytest.fixture(scope="module")
def machine(sandbox: JobSandbox, saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    store = ImageStore(tmp_path_factory.mktemp("images"))
    (content,) = load_given([str(saved / "tool.tar")], store).values()
    code = tmp_path_factory.mktemp("code")
    (code / "Dockerfile").write_text(DOCKERFILE.format(digest=content.digest))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{sandbox.folder}/docker.sock")
        patch.setenv("PATH", str(Path(tools.engine()["docker"]).parent), prepend=":")
        wanted = [
            *needed(code, BUILDS[:1]),
            *map(mention, ("alpine:3.20", "gcr.io/distroless/static:nonroot", "python:3")),
        ]
        provision = provide(wanted, given=[str(saved)], network=False, store=store)
    return Machine(code, provision, DeliveredStack("dev", {"build": {"dockerHubCache": "hub"}}))


@pytest.fixture(scope="module")
def rehearsal(sandbox: JobSandbox, machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """With a pull-through cache for Docker Hub."""
    assert sandbox.registry(region=REGION).token
    name = machine.stack.variables("BuildImage")["IMAGE_REPOSITORY_URI"].partition("/")[2]
    ecr = sandbox.aws.client("ecr", region=REGION)
    if name not in [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]:
        sandbox.repository(name, region=REGION)
    with sandbox.serving_images(machine.provision, caches=docker_hub_caches([machine.stack.deployed])) as variables:
        yield Rehearsal(Jobs(sandbox, machine.stack, tmp_path_factory.mktemp("builds")), variables)


def test_it_is_said_where_each_image_is_from(machine: Machine) -> None:
    said = [
        str(image).partition(" of this machine")[0].partition(" of BuildKit")[0] for image in machine.provision.images
    ]
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    tool = next(image for image in machine.provision.images if image.name.digest)
    assert said[:-3] == [
        "docker/dockerfile:1.4: stand-in: the Dockerfile frontend",
        f"{GHCR}: from this machine's Docker engine",
        f"node:22: stand-in: Node.js {node.removeprefix('v')}",
        "busybox:latest: stand-in: busybox",
        f"registry.example.com:5443/team/tool@{tool.content.digest}: given by you",
        f"{OWN}: given by you",
        f"{REGISTRY}/hub/library/alpine:3: stand-in: busybox",
    ]


def test_afterwards_nothing_answers_for_docker_hub(sandbox: JobSandbox, machine: Machine, tmp_path: Path) -> None:
    """Whoever watches its address can have it again. It comes before what has them served until the end."""
    hosts = (sandbox.folder / "hosts").read_text()
    with sandbox.serving_images(machine.provision):
        assert "ghcr.io" in (sandbox.folder / "hosts").read_text()
    assert (sandbox.folder / "hosts").read_text() == hosts
    with watching_docker_hub(sandbox, tmp_path / "hub") as seen:
        assert seen.read_text() == ""


def test_the_cache_is_filled_where_a_stack_has_one_and_nowhere_else(machine: Machine) -> None:
    assert docker_hub_caches([machine.stack.deployed]) == {f"{REGISTRY}/hub"}
    assert docker_hub_caches([DeliveredStack("dev").deployed]) == set()


def test_a_build_finds_them_under_their_names(rehearsal: Rehearsal, machine: Machine, tmp_path: Path) -> None:
    """On Docker Hub, with and without the cache; on another registry and port; by digest; and on Amazon ECR."""
    source = Source.of(machine.code, tmp_path / "source")
    result = rehearsal.build(source)
    assert result.succeeded, result.log
    uri = image_json(result)["uri"]
    assert rehearsal.jobs.docker("run", "--rm", uri).stdout == (f"file of {GHCR}\ntool of {OTHER}\ndata of {OWN}\n42")


def test_what_the_cache_has_is_not_asked_of_docker_hub(
    sandbox: JobSandbox, machine: Machine, rehearsal: Rehearsal
) -> None:
    """The cache holds them under the tags that the Dockerfile names."""
    del rehearsal
    registry = sandbox.registry(region=REGION)
    for image in machine.provision.images:
        if image.name.host == "docker.io":
            content = registry.manifest(f"hub/{image.name.repository}", image.name.tag)
            assert content == machine.provision.store.read(image.content.digest)


def test_the_engine_finds_them_too(rehearsal: Rehearsal) -> None:
    """What runs beside the application, such as a proxy, is named like that."""
    assert rehearsal.jobs.docker("run", "--rm", "alpine:3.20", "echo", "ran").stdout == "ran\n"
    assert rehearsal.jobs.docker("run", "--rm", "gcr.io/distroless/static:nonroot", "id", "-u").stdout == "65532\n"


@pytest.mark.parametrize("command", ["pip", "pip3", "python -m pip"])
def test_python_has_its_package_manager(rehearsal: Rehearsal, command: str) -> None:
    assert rehearsal.jobs.docker("run", "--rm", "python:3", *command.split(), "--version").stdout.startswith("pip ")


@pytest.mark.parametrize(
    ("image", "instruction", "said"),
    [
        ("httpd:2", "", "docker.io/library/httpd:2: not found"),
        ("node:22", "RUN apt-get update", "this is a stand-in for a base image, without packages"),
        ("busybox", "RUN wget http://registry.example.com/", "bad address 'registry.example.com'"),
    ],
)
def test_what_is_not_there_is_said(
    rehearsal: Rehearsal, tmp_path: Path, image: str, instruction: str, said: str
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "Dockerfile").write_text(f"FROM {image}\n{instruction}\n")
    assert said in failure(rehearsal.build(Source.of(code, tmp_path / "source")))


FETCHING = """\
FROM python:3
RUN ["python", "-c", "from urllib.request import *; urlretrieve('http://packages.example.com/list', '/list')"]
COPY fetch.py /
RUN ["python", "/fetch.py"]
CMD ["cat", "/list", "/all"]
"""
_WITHOUT_PROXY = """
from pathlib import Path
from urllib.request import ProxyHandler, build_opener
Path("/all").write_bytes(build_opener(ProxyHandler({})).open("http://packages.example.com/all").read())
"""


def test_run_lines_get_out_where_they_may(
    rehearsal: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the machine's own proxy here, which is a site of this test; programs need not know any, and images none."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "Dockerfile").write_text(FETCHING)
    (code / "fetch.py").write_text(_WITHOUT_PROXY)
    result = rehearsal.build(Source.of(code, tmp_path / "kept-in"))
    assert hint(failure(result)).startswith("RUN lines have no network here")
    sandbox = rehearsal.jobs.sandbox
    with serving_http(Packages) as own, way_out(sandbox.enter) as proxy, names_lead_out(sandbox.holder):
        monkeypatch.setenv("http_proxy", own)
        monkeypatch.setattr(rehearsal.jobs, "proxy", proxy)
        result = rehearsal.build(Source.of(code, tmp_path / "source"))
        fetch = ("run", "--rm", "busybox", "wget", "-q", "-O", "-", "http://packages.example.com/")
        assert "bad address" in sandbox.docker(*fetch, check=False).stderr, "the application has no way out"
    assert result.succeeded, result.log
    uri = image_json(result)["uri"]
    assert rehearsal.jobs.docker("run", "--rm", uri).stdout == (
        "http://packages.example.com/listhttp://packages.example.com/all"
    )
    environment = rehearsal.jobs.docker("image", "inspect", "--format", "{{json .Config.Env}}", uri).stdout
    assert "proxy" not in environment.lower()


_ASKING = """
import socket, sys, urllib.request
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(10)
for name, kind in (("localhost", 1), ("localhost", 28), ("nowhere.invalid", 1)):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    question = b"ab\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + labels + b"\\0\\0" + bytes([kind]) + b"\\0\\1"
    asking.sendto(question, (sys.argv[1], 53))
    answer = asking.recv(512)
    print(name, answer[:2] == b"ab", answer[3] & 15, answer[7])
    if answer[7]:
        url = f"http://{socket.inet_ntoa(answer[-4:])}:{sys.argv[2]}/x"
        print(urllib.request.urlopen(url, timeout=10).read().decode())
"""


def test_every_name_that_there_is_leads_out(sandbox: JobSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of this machine's here; no name is made up, and there are no addresses of another kind."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    before = threading.active_count()
    with serving_http(Packages) as site:
        port = site.rpartition(":")[2]
        monkeypatch.setattr(egress, "_WEB", (80, int(port)))
        with names_lead_out(sandbox.holder):
            command = [*sandbox.enter, sys.executable, "-c", _ASKING, egress.NAME_SERVER, port]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["localhost True 0 1", "/x", "localhost True 0 0", "nowhere.invalid True 3 0"]
    assert threading.active_count() == before


class Packages(BaseHTTPRequestHandler):
    """Says what it was asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

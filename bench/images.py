"""What zstd does to images of `examples/`, against gzip: their size, and how long build, push and pull take.

As the build job does it, on the machine of the rehearsal, with stand-ins for the base images: BuildKit exports what it
has built, and the Docker engine pulls it into an empty store. The time to build the layers is no part of it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figures, table
from bench.measure import BenchError
from local.rehearsal.base_images import PLATFORM, DockerBuild, ImageStore, needed, provide
from local.rehearsal.codebuild import BuildHost
from local.rehearsal.graphs import ROOT
from local.rehearsal.images import RegistryClient
from local.rehearsal.job_sandbox import JobSandbox

EXAMPLES = ("app", "nginx")
OUTPUTS: Mapping[str, str] = {
    "gzip": "oci-mediatypes=true,compression=gzip",
    "zstd": "oci-mediatypes=true,compression=zstd,force-compression=true",
    "zstd, the base image's layers as they are": "oci-mediatypes=true,compression=zstd",
}
"""In words -> how BuildKit is told."""


def images(rounds: int) -> str:
    """Measure each example with each compression.

    Args:
        rounds: How often each is built, pushed and pulled, by a new BuildKit.

    Returns:
        The table of figures, each with its ratio to gzip's.

    Raises:
        BenchError: An image could not be built or pulled.
    """
    rows: list[list[str]] = []
    with ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        sandbox = ends.enter_context(JobSandbox())
        store = ImageStore(folder / "images")
        for example in EXAMPLES:
            code = ROOT / "examples" / example
            wanted = needed(code, [DockerBuild(dockerfile="Dockerfile")])
            provision = provide(wanted, network=False, engine=False, store=store)
            with sandbox.serving_images(provision) as variables:
                found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in OUTPUTS}
                for _ in range(rounds):
                    for name, measured in _round(sandbox, variables["BUILDKIT_IMAGE"], code):
                        found[name].append(measured)
            rows += list(_rows(example, found))
    heads = ["example", "compressed with", "MB", "of gzip", "push, s", "of gzip", "pull, s", "of gzip"]
    return table(heads, rows)


def _rows(example: str, found: Mapping[str, list[tuple[float, float, float]]]) -> Iterator[list[str]]:
    least = {name: [Figures(each).least for each in zip(*measured, strict=True)] for name, measured in found.items()}
    for name, values in least.items():
        cells = [f"{value:.2f}" for value in values]
        ratios = [f"{value / base:.2f}" for value, base in zip(values, least["gzip"], strict=True)]
        yield [example, name, *(text for pair in zip(cells, ratios, strict=True) for text in pair)]


def _round(sandbox: JobSandbox, buildkit: str, code: Path) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Megabytes, and the seconds of export with push and of pull, by the name of the output."""
    registry = sandbox.registry()
    place = sandbox.place({})
    auths = {"auths": {registry.host: {"auth": registry.token}}}
    Path(place.environment["DOCKER_CONFIG"], "config.json").write_text(json.dumps(auths), encoding="utf-8")
    create = ("buildx", "create", "--name", "bench", "--driver", "docker-container", "--bootstrap")
    _docker(place, *create, "--driver-opt", f"image={buildkit}")
    build = ("buildx", "build", "--builder", "bench", "--platform", PLATFORM, "--provenance=false", str(code))
    _docker(place, *build, "--output", "type=cacheonly")
    try:
        for number, (name, output) in enumerate(OUTPUTS.items()):
            repository = f"bench/{code.name}-{number}-{time.monotonic_ns()}"
            uri = sandbox.repository(repository)
            begun = time.monotonic()
            _docker(place, *build, "--tag", f"{uri}:1", "--output", f"type=image,push=true,{output}")
            pushed = time.monotonic()
            _docker(place, "pull", "--quiet", f"{uri}:1")
            pulled = time.monotonic()
            _docker(place, "rmi", "--force", f"{uri}:1")
            yield name, (_megabytes(registry, repository), pushed - begun, pulled - pushed)
    finally:
        _docker(place, "buildx", "rm", "bench")


def _megabytes(registry: RegistryClient, repository: str) -> float:
    return float(sum(layer["size"] for layer in registry.json(repository, "1")["layers"])) / 1e6


def _docker(place: BuildHost, *words: str) -> None:
    done = subprocess.run(
        [*place.enter, "docker", *words], env=dict(place.environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"docker {' '.join(words[:3])} failed:\n{done.stderr[-2000:]}")

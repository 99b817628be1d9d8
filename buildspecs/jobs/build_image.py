"""Build the application's or the smoke-test image from the source, push it once, write image.json.

The image is tagged `<commit>-<recipe>`: the commit fixes the code, the recipe (8 hex digits) what else goes in. Of code
that was uploaded to a bucket there is no commit: `s3-<version of the object>-<recipe>`. A tag that is there already is
not built again.

Variables: IMAGE_REPOSITORY_URI, DOCKERFILE, BUILD_CONTEXT, BUILD_TARGET, BUILD_ARGS (JSON object),
BASE_IMAGE_REPOSITORY_URI and BASE_IMAGE_DIGEST (handed to the Dockerfile as build argument BASE_IMAGE), PLATFORM
(linux/arm64 or linux/amd64), CACHE (true or false), VERSION_FROM (commit or file), VERSION_PATH, SOURCE_URL, COMMIT_ID,
COMMIT_DATE (ISO 8601) and BRANCH, or of uploaded code OBJECT_VERSION, BUILDKIT_IMAGE and SBOM_GENERATOR_IMAGE (of
Docker Hub, by digest), DOCKER_HUB_CACHE_URI (registry and prefix of an ECR pull-through cache for Docker Hub, or
empty), BUILD_MOUNTS (JSON object: the id of each secret of the build, and where Secrets Manager has it),
BASE_REPOSITORIES (JSON list of ECR repositories whose images the Dockerfile names), REGISTRY_LOGINS (JSON object: the
host of each other registry, and the secret with its username and password), TASK_DEFINITION_FILE (a file of the source
that image.json is to hold, or empty), and for a full clone CONNECTION_ARN, CLONED_FROM (address of the Git provider)
and CLONED_REPOSITORIES (JSON list of names there, the code's own first).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jobs import build_secrets, checkout, dockerignore, inputs, job, registry

BUILDER = "ecs-delivery"
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,127}")
MOUNTED_SECRET = re.compile(r"--mount=(?=\S*type=secret)\S*?\bid=([A-Za-z0-9_.-]+)")
"""https://docs.docker.com/reference/dockerfile/#run---mounttypesecret"""
OUT_OF_MEMORY = re.compile(r"exit code: 137\b|\bKilled\b|cannot allocate memory")


class Revision(NamedTuple):
    """What is built: a commit, or a version of an object that was uploaded."""

    id: str
    tag: str
    """It, as an image tag begins."""
    version: str
    """What it is released as, unless a file says that."""
    created: str
    """When it was made; of an upload nobody knows when the code was."""


def revision() -> Revision:
    """What the source action says of the code."""
    uploaded = job.optional("OBJECT_VERSION")
    if not uploaded:
        commit, date = job.require("COMMIT_ID"), commit_date()
        return Revision(commit, commit, f"{date:%Y.%m.%d}-{commit[:7]}", date.isoformat())
    if uploaded == "null":  # https://docs.aws.amazon.com/AmazonS3/latest/API/postVersions.html
        job.fail(
            "the code is of a bucket that keeps no versions of its objects, so nothing says which upload this is: "
            "`aws s3api put-bucket-versioning` switches them on, see nextSteps."
        )
    # An opaque text, of which nothing else is promised: https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
    fits = re.fullmatch(r"[A-Za-z0-9._-]{1,100}", uploaded)
    tag = uploaded if fits else hashlib.sha256(uploaded.encode()).hexdigest()
    return Revision(uploaded, f"s3-{tag}", f"s3-{re.sub('[^0-9A-Za-z]', '', tag)[:7]}", "")


def commit_date() -> datetime:
    """When the commit was made."""
    text = job.require("COMMIT_DATE")
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))  # noqa: FURB162 - Python 3.9 knows no "Z"
    except ValueError:
        job.fail(f"COMMIT_DATE must be an ISO 8601 time such as 2026-01-31T12:00:00Z, got {text!r}.", job.MISUSED)


def version(built: Revision) -> str:
    """The version this is released as."""
    origin = job.require("VERSION_FROM")
    if origin == "commit":
        return built.version
    if origin != "file":
        job.fail(f"VERSION_FROM must be commit or file, got {origin!r}.", job.MISUSED)
    path = Path(job.require("VERSION_PATH"))
    if not path.is_file():
        job.fail(f"the version is to come from {path}, but the source has no such file.")
    text = (job.text(str(path)).splitlines() or [""])[0].strip()[: job.MOST_CHARACTERS]
    if not VERSION.fullmatch(text):
        job.fail(
            f"the first line of {path} is no version: {text!r}. Allowed: letters, digits, dot and dash, 128 at most, "
            "first a letter or digit. A plus sign is not allowed in an image tag."
        )
    return text


def base_image() -> registry.Repository | None:
    """The repository of the base image, when the pipeline has an image source beside the code."""
    uri = job.optional("BASE_IMAGE_REPOSITORY_URI")
    return registry.repository(uri) if uri else None


def image_tag(revision: str, arguments: dict[str, str], version: str) -> str:
    """The commit, or what stands for it, and a fingerprint of all else that makes the image."""
    choices = [job.require("DOCKERFILE"), job.require("BUILD_CONTEXT"), job.optional("BUILD_TARGET")]
    recipe = [*choices, job.require("PLATFORM"), version, sorted(arguments.items())]
    # A clone has links and files that an archive of the same commit lacks.
    recipe += ["clone"] if checkout.is_clone() else []
    return f"{revision}-{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:8]}"


def task_definition(path: str) -> dict[str, Any]:
    """The task definition that the commit brings, for the job that prepares the deployment, which sees no code."""
    file = Path(path).resolve()
    if Path.cwd() not in file.parents or not file.is_file():
        job.fail(f"the source has no file {path!r}: see hosting.existing.taskDefinitionFile in the stack file.")
    try:
        value = json.loads(job.text(path))
    except (ValueError, RecursionError) as error:
        job.fail(
            f"{path} is not JSON: {error}. A task definition is written as `aws ecs register-task-definition` takes it."
        )
    inner = value.get("taskDefinition", value) if isinstance(value, dict) else None
    containers = inner.get("containerDefinitions") if isinstance(inner, dict) else None
    if not isinstance(containers, list) or not all(isinstance(part, dict) for part in containers):
        job.fail(f"{path} is no task definition: it has no list containerDefinitions.")
    return dict(value)


def from_docker_hub(image: str) -> str:
    """The address of one of Docker Hub's images, by way of the cache if there is one."""
    cache = job.optional("DOCKER_HUB_CACHE_URI")
    return f"{cache}/{image}" if cache else image


def prepare_builder() -> None:
    """Make the builder that can write a registry cache and attestations, unless it is there already.

    It fetches Docker Hub's images through the cache, those that the Dockerfile names included.
    https://docs.docker.com/build/buildkit/toml-configuration/, https://github.com/moby/buildkit/issues/4079
    """
    known = job.run("Look for the builder", "docker", "buildx", "inspect", BUILDER, check=False)
    if not known.code:
        return
    cache, image = job.optional("DOCKER_HUB_CACHE_URI"), from_docker_hub(job.require("BUILDKIT_IMAGE"))
    create = ["docker", "buildx", "create", "--name", BUILDER, "--driver", "docker-container"]
    with tempfile.TemporaryDirectory() as folder:
        if cache:
            mirror = Path(folder, "buildkitd.toml")
            mirror.write_text(f'[registry."docker.io"]\nmirrors = ["{cache}"]\n', encoding="utf-8")
            create += ["--buildkitd-config", str(mirror)]
        job.stream("Start a builder", *create, "--driver-opt", f"image={image}", "--bootstrap")


def build(
    repository: registry.Repository,
    tag: str,
    labels: dict[str, str],
    arguments: dict[str, str],
    mounted: dict[str, str],
) -> str:
    """Build and push; returns the digest the builder reports, nothing if it failed."""
    options = ["--platform", job.require("PLATFORM"), "--file", job.require("DOCKERFILE")]
    if job.optional("BUILD_TARGET"):
        options += ["--target", job.optional("BUILD_TARGET")]
    for name, value in labels.items():
        options += ["--label", f"org.opencontainers.image.{name}={value}"]
    for name, value in arguments.items():
        options += ["--build-arg", f"{name}={value}"]
    if job.require("CACHE") == "true":
        cache = f"type=registry,ref={repository.uri}:buildcache"
        # ignore-error: a cache that cannot be written costs time, never a delivery.
        extras = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
        options += ["--cache-from", cache, "--cache-to", f"{cache},{extras}"]
    # The provenance would name the address a clone is from: account and connection. The labels say commit and source.
    os.environ["BUILDX_GIT_INFO"] = "false"
    sbom = f"--sbom=generator={from_docker_hub(job.require('SBOM_GENERATOR_IMAGE'))}"
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder, "metadata.json")
        for number, (name, value) in enumerate(mounted.items()):
            file = Path(folder, f"secret-{number}")
            file.write_text(value, encoding="utf-8")
            options += ["--secret", f"id={name},src={file}"]
        code = job.stream(
            f"Build and push {repository.uri}:{tag}",
            *("docker", "buildx", "build", "--builder", BUILDER, "--progress", "plain", *options),
            *("--provenance=mode=max", sbom, "--tag", f"{repository.uri}:{tag}"),
            *("--metadata-file", str(metadata), "--push", job.require("BUILD_CONTEXT")),
            check=False,
        )
        if code:
            return ""
        return str(json.loads(metadata.read_text(encoding="utf-8"))["containerimage.digest"])


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version", "docker --version", "docker buildx version")
    repository = registry.repository(job.require("IMAGE_REPOSITORY_URI"))
    built = revision()
    arguments = {
        str(name): str(value) for name, value in inputs.parsed("BUILD_ARGS", job.optional("BUILD_ARGS"), dict).items()
    }
    base = base_image()
    if base:
        digest = registry.checked_digest(job.require("BASE_IMAGE_DIGEST"), "BASE_IMAGE_DIGEST")
        arguments["BASE_IMAGE"] = f"{base.uri}@{digest}"
    described = job.optional("TASK_DEFINITION_FILE")
    described_task = task_definition(described) if described else {}
    dockerfile, context = job.require("DOCKERFILE"), job.require("BUILD_CONTEXT")
    checkout.complete(context, dockerignore.excluded(dockerfile, context), needs=dockerfile)
    if not Path(dockerfile).is_file() or not Path(context).is_dir():
        job.fail(f"the source has no Dockerfile {dockerfile!r} or no folder {context!r}: see build in the stack file.")
    text = job.content(dockerfile).decode(errors="replace")
    labels = {
        "revision": built.id,
        "version": version(built),
        "created": built.created,
        "source": job.optional("SOURCE_URL"),
        "ref.name": job.optional("BRANCH"),
    }
    tag = image_tag(built.tag, arguments, labels["version"])

    pushed = registry.digest_of(repository, f"imageTag={tag}")
    if pushed:
        job.say(f"{repository.uri}:{tag} was pushed by an earlier run: nothing to build.")
    else:
        stages = re.findall(r"(?im)^[ \t]*FROM[ \t]", text)
        if len(stages) > 1 and not job.optional("BUILD_TARGET"):
            job.say(f"{dockerfile} has {len(stages)} stages; the last one is built, build.target names another.")
        bases = inputs.parsed("BASE_REPOSITORIES", job.optional("BASE_REPOSITORIES"), list)
        registry.login(repository, *([base] if base else []), *map(registry.repository, bases))
        for host, where in inputs.parsed("REGISTRY_LOGINS", job.optional("REGISTRY_LOGINS"), dict).items():
            build_secrets.sign_in(host, where)
        wanted = inputs.parsed("BUILD_MOUNTS", job.optional("BUILD_MOUNTS"), dict)
        missing = sorted(set(MOUNTED_SECRET.findall(text)) - set(wanted))
        if missing:
            job.say(f"{dockerfile} mounts secrets that build.secrets does not name: {', '.join(missing)}.")
        mounted = {name: build_secrets.value(where) for name, where in wanted.items()}
        prepare_builder()
        given = {name: value for name, value in labels.items() if value}
        reported = build(repository, tag, given, arguments, mounted)
        pushed = registry.digest_of(repository, f"imageTag={tag}")
        if not reported and not pushed:
            last = "".join(job.last_lines)
            why = " (out of memory? see build.compute in the stack file)" if OUT_OF_MEMORY.search(last) else ""
            job.ended(f"{dockerfile} could not be built and pushed{why}", ("docker", "buildx", "build"), 1, last)
        if not reported:
            # The tag stays with who was first, and that was made of the same by the same recipe.
            job.say(f"Another run has pushed {repository.uri}:{tag} meanwhile: its image is taken.")
        elif pushed != reported:
            job.fail(
                f"the builder pushed {reported}, but {repository.uri}:{tag} is {pushed}: another writer used this tag."
            )
    image = {
        "repository": repository.uri,
        "digest": pushed,
        "uri": f"{repository.uri}@{pushed}",
        "tag": tag,
        "commit": built.id,
        "version": labels["version"],
        "source": labels["source"],
        "created": labels["created"],
    }
    job.write_json("image.json", {**image, **({"taskDefinition": described_task} if described else {})})
    job.export(IMAGE_DIGEST=str(pushed), IMAGE_URI=image["uri"] or "", IMAGE_VERSION=labels["version"])

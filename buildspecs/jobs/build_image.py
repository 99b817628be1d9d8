"""Build the application's or the smoke-test image from the source, push it once, write image.json.

An image is by the digest of its whole source tree and by a recipe (8 hex digits), what else goes in: its tag
`tree-<tree>-<recipe>`. It is delivered as `<commit>-<recipe>`, whose recipe has the version, too. Of code that was
uploaded to a bucket there is no commit: `s3-<version of the object>-<recipe>`. A tag that is there already is not
built again. Neither is the tree of another commit, as a squash merge or a revert has it: the index of its image is
stored once more, with commit and version as annotations, and names the same image, layers and provenance.
BuildKit attaches the image's provenance: source, commit, recipe and source tree as labels that the build is told to
write, and the project that builds it.

Variables: IMAGE_REPOSITORY_URI, BUILDER_ID (the ARN of this build project), DOCKERFILE, BUILD_CONTEXT, BUILD_TARGET,
BUILD_ARGS (JSON object), BASE_IMAGE_REPOSITORY_URI and BASE_IMAGE_DIGEST (handed to the Dockerfile as build argument
BASE_IMAGE), PLATFORM (linux/arm64 or linux/amd64), CACHE (true or false), VERSION_FROM (commit or file), VERSION_PATH,
SOURCE_URL, COMMIT_ID, COMMIT_DATE (ISO 8601) and BRANCH, or of uploaded code OBJECT_VERSION, BUILDKIT_IMAGE and
SBOM_GENERATOR_IMAGE (of Docker Hub, by digest), BUILD_TOOLS_REPOSITORY_URI (the repository that gets copies of them,
or empty), DOCKER_HUB_CACHE_URI (registry and prefix of an ECR pull-through cache for Docker Hub, or empty),
COMPRESSION (gzip or zstd), BUILD_MOUNTS (JSON object: the id of each secret of the build, and where Secrets Manager has
it), BASE_REPOSITORIES (JSON list of ECR repositories whose images the Dockerfile names), REGISTRY_LOGINS (JSON object:
the host of each other registry, and the secret with its username and password), TASK_DEFINITION_FILE (a file of the
source that image.json is to hold, or empty), and for a full clone CONNECTION_ARN, CLONED_FROM (address of the Git
provider) and CLONED_REPOSITORIES (JSON list of names there, the code's own first).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jobs import (
    build_secrets,
    checkout,
    dockerignore,
    image_labels,
    inputs,
    job,
    provenance,
    registry,
    registry_api,
    source_tree,
)

BUILDER = "ecs-delivery"
"""What the builder's name begins with."""
GZIP = "gzip"
COMPRESSIONS = (GZIP, "zstd")
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
    tag = image_labels.tag_of(uploaded, "s3://")
    return Revision(uploaded, tag, f"s3-{re.sub('[^0-9A-Za-z]', '', tag[3:])[:7]}", "")


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


def fingerprint(*parts: object) -> str:
    """Eight hexadecimal digits of what makes an image."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def recipe_of(arguments: dict[str, str], history: str) -> str:
    """A fingerprint of all that makes the image beside the source tree, and of what its provenance has to say.

    `history` is the commit where a build sees more of the clone than its tree, else nothing.
    """
    choices = [job.require("DOCKERFILE"), job.require("BUILD_CONTEXT"), job.optional("BUILD_TARGET")]
    how = [job.require("PLATFORM"), sorted(arguments.items()), job.require("BUILDER_ID"), job.optional("SOURCE_URL")]
    how += [] if compression() == GZIP else [compression()]
    return fingerprint(*choices, *how, history)


def history_in(context: str, excluded: Callable[[str], bool], commit: str) -> str:
    """The commit where the build context has something of a clone's `.git`, which no tree tells; else nothing."""
    inside = checkout.is_clone() and checkout.lies_in(".git", context)
    files = (path for path in (Path(".git"), *Path(".git").rglob("*")) if not path.is_dir())
    seen = inside and not all(excluded(os.path.relpath(path, context)) for path in files)
    return commit if seen else ""


def of_the_tree(repository: registry.Repository, identity: str) -> str | None:
    """The digest that has the tag of this source tree and recipe; None where there is none."""
    return registry.digest_of(repository, f"imageTag={image_labels.TREE_TAG}{identity}")


def built_before(repository: registry.Repository, tag: str, labels: dict[str, str], there: str | None) -> str:
    """The digest of the image that was built of the same tree by the same recipe, delivered as these labels say.

    Its tag, which is on `there`, is believed where its provenance says the same. Nothing where there is no such image.
    """
    if not there:
        return ""
    identity = labels[image_labels.TREE]
    by_tree = f"{image_labels.TREE_TAG}{identity}"
    source = registry_api.Registry(repository, registry_api.token("image's", repository.region(), {})[0])
    image = registry.Image(repository, there)
    found = provenance.read(source, image, job.require("PLATFORM"))
    expected = provenance.Expected(job.require("BUILDER_ID"), job.optional("SOURCE_URL"), "", identity)
    if wrong := [*provenance.differences(found, expected)]:
        lines = "".join(f"\n  - {job.one_line(each)}" for each in wrong)
        job.fail(
            f"{repository.uri}:{by_tree} is {there}, which is not what this project builds of this source:{lines}\n"
            "Somebody else has put the tag there. See who may push into the repository, and delete that image; then "
            "retry."
        )
    content, media_type = source.manifest(there)
    index = json.dumps({**json.loads(content), "annotations": labels}).encode()
    source.put(tag, (index, media_type))
    job.say(
        f"Nothing is built: {there} was built of {found.built_of} by the same recipe, whose source tree is that of "
        f"{labels[image_labels.REVISION]}, and is delivered as {tag}."
    )
    return f"sha256:{hashlib.sha256(index).hexdigest()}"


def compression() -> str:
    """What the image's layers are compressed with."""
    given = job.require("COMPRESSION")
    if given not in COMPRESSIONS:
        job.fail(f"COMPRESSION must be {' or '.join(COMPRESSIONS)}, got {given!r}.", job.MISUSED)
    return given


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


def build_tool(image: str) -> str:
    """The address of an image that every build needs: in this account's own registry, under the digest that is pinned.

    What the repository lacks is copied there as it is: nobody can put anything else under the digest. Docker Hub is
    asked again for another version alone. A copy that fails costs time, never a delivery.
    https://docs.docker.com/reference/cli/docker/buildx/imagetools/create/
    """
    source, own = from_docker_hub(image), job.optional("BUILD_TOOLS_REPOSITORY_URI")
    if not own:
        return source
    digest = registry.checked_digest(image.partition("@")[2], f"what stands behind @ in {image}")
    tools, wanted = registry.repository(own), f"imageDigest={digest}"
    if registry.digest_of(tools, wanted) is None:
        copy = ("docker", "buildx", "imagetools", "create", "--prefer-index=false", "--tag", f"{own}:{digest[7:19]}")
        job.stream(f"Copy {image} to {own}, once", *copy, source, check=False)
        if registry.digest_of(tools, wanted) is None:
            job.say(f"{image} could not be copied: this build fetches it from Docker Hub, the next one tries again.")
            return source
    return f"{own}@{digest}"


def prepare_builder() -> str:
    """Make the builder that can write a registry cache and attestations, unless it is there already; return its name.

    It fetches Docker Hub's images through the cache, those that the Dockerfile names included.
    https://docs.docker.com/build/buildkit/toml-configuration/, https://github.com/moby/buildkit/issues/4079

    The machine of a fleet may have the builder's container, with its layers, from a build before. buildx takes it by
    its name, whatever it was made with: so the name says that.
    https://github.com/docker/buildx/blob/v0.32.0/driver/docker-container/driver.go
    """
    pinned, cache = job.require("BUILDKIT_IMAGE"), job.optional("DOCKER_HUB_CACHE_URI")
    own = job.optional("BUILD_TOOLS_REPOSITORY_URI")
    name = f"{BUILDER}-{fingerprint(pinned, own, cache)}"
    known = job.run("Look for the builder", "docker", "buildx", "inspect", name, check=False)
    if not known.code:
        return name
    image = build_tool(pinned)
    create = ["docker", "buildx", "create", "--name", name, "--driver", "docker-container"]
    with tempfile.TemporaryDirectory() as folder:
        if cache:
            mirror = Path(folder, "buildkitd.toml")
            mirror.write_text(f'[registry."docker.io"]\nmirrors = ["{cache}"]\n', encoding="utf-8")
            create += ["--buildkitd-config", str(mirror)]
        job.stream("Start a builder", *create, "--driver-opt", f"image={image}", "--bootstrap")
    return name


def output() -> str:
    """Where the image goes, and how: pushed under the tags that the build gets.

    With zstd the base image's layers are compressed anew, too: OCI's media types alone know it.
    https://docs.docker.com/build/exporters/image-registry/, https://docs.docker.com/build/exporters/#compression
    """
    pushed = f"type=image,push=true,oci-mediatypes=true,compression={compression()}"
    return pushed if compression() == GZIP else f"{pushed},force-compression=true"


def build(
    builder: str,
    repository: registry.Repository,
    tags: tuple[str, ...],
    labels: dict[str, str],
    arguments: dict[str, str],
    mounted: dict[str, str],
) -> str:
    """Build and push; returns the digest the builder reports, nothing if it failed."""
    options = ["--platform", job.require("PLATFORM"), "--file", job.require("DOCKERFILE")]
    if job.optional("BUILD_TARGET"):
        options += ["--target", job.optional("BUILD_TARGET")]
    for name, value in labels.items():
        options += ["--label", f"{name}={value}"]
    for name, value in arguments.items():
        options += ["--build-arg", f"{name}={value}"]
    if job.require("CACHE") == "true":
        cache = f"type=registry,ref={repository.uri}:buildcache"
        # ignore-error: a cache that cannot be written costs time, never a delivery.
        extras = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
        # As the image's: a layer that both hold is compressed and pushed once.
        options += ["--cache-from", cache, "--cache-to", f"{cache},{extras},compression={compression()}"]
    # The provenance would name the address a clone is from: account and connection. The labels say commit and source,
    # which mode=max records: https://github.com/moby/buildkit/blob/v0.29.0/docs/attestations/slsa-provenance.md
    os.environ["BUILDX_GIT_INFO"] = "false"
    attested = f"--provenance=mode=max,builder-id={job.require('BUILDER_ID')}"
    sbom = f"--sbom=generator={build_tool(job.require('SBOM_GENERATOR_IMAGE'))}"
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder, "metadata.json")
        for number, (name, value) in enumerate(mounted.items()):
            file = Path(folder, f"secret-{number}")
            file.write_text(value, encoding="utf-8")
            options += ["--secret", f"id={name},src={file}"]
        code = job.stream(
            f"Build and push {repository.uri}:{tags[0]}",
            *("docker", "buildx", "build", "--builder", builder, "--progress", "plain", *options),
            *(attested, sbom, *(word for tag in tags for word in ("--tag", f"{repository.uri}:{tag}"))),
            *("--metadata-file", str(metadata), "--output", output(), job.require("BUILD_CONTEXT")),
            check=False,
        )
        if code:
            return ""
        return str(json.loads(metadata.read_text(encoding="utf-8"))["containerimage.digest"])


def built_now(
    repository: registry.Repository,
    tag: str,
    labels: dict[str, str],
    arguments: dict[str, str],
    base: registry.Repository | None,
) -> str:
    """The digest of the image that is built now, or that another run has pushed meanwhile."""
    dockerfile = job.require("DOCKERFILE")
    text = job.content(dockerfile).decode(errors="replace")
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
    builder = prepare_builder()
    tags = (tag, f"{image_labels.TREE_TAG}{labels[image_labels.TREE]}")
    reported = build(builder, repository, tags, labels, arguments, mounted)
    last = "".join(job.last_lines)
    pushed = registry.digest_of(repository, f"imageTag={tag}")
    if not reported:
        # The tag stays with who was first, and that was made of the same by the same recipe.
        identity = labels[image_labels.TREE]
        pushed = pushed or built_before(repository, tag, labels, of_the_tree(repository, identity))
        if not pushed:
            why = " (out of memory? see build.compute in the stack file)" if OUT_OF_MEMORY.search(last) else ""
            job.ended(f"{dockerfile} could not be built and pushed{why}", ("docker", "buildx", "build"), 1, last)
        job.say(f"Another run has pushed {repository.uri}:{tag} meanwhile: its image is taken.")
    elif pushed != reported:
        job.fail(
            f"the builder pushed {reported}, but {repository.uri}:{tag} is {pushed}: another writer used this tag."
        )
    return str(pushed)


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
    excluded = dockerignore.excluded(dockerfile, context)
    checkout.complete(context, excluded, needs=dockerfile)
    if not Path(dockerfile).is_file() or not Path(context).is_dir():
        job.fail(f"the source has no Dockerfile {dockerfile!r} or no folder {context!r}: see build in the stack file.")
    job.content(dockerfile)  # ends the job for a link that leads out of the source
    labels = {
        "revision": built.id,
        "version": version(built),
        "created": built.created,
        "source": job.optional("SOURCE_URL"),
        "ref.name": job.optional("BRANCH"),
    }
    tree = source_tree.digest_of(Path.cwd())
    identity = f"{tree}-{recipe_of(arguments, history_in(context, excluded, built.id))}"
    recipe = fingerprint(identity, labels["version"])
    given = {f"{image_labels.OCI}{name}": value for name, value in labels.items() if value}
    given |= {image_labels.RECIPE: recipe, image_labels.TREE: identity}
    tag = f"{built.tag}-{recipe}"

    pushed, of_tree = job.at_once(
        lambda: registry.digest_of(repository, f"imageTag={tag}"), lambda: of_the_tree(repository, identity)
    )
    if pushed:
        job.say(f"{repository.uri}:{tag} was pushed by an earlier run: nothing to build.")
    pushed = (
        pushed or built_before(repository, tag, given, of_tree) or built_now(repository, tag, given, arguments, base)
    )
    image = {
        "repository": repository.uri,
        "digest": pushed,
        "uri": f"{repository.uri}@{pushed}",
        "tag": tag,
        "tree": identity,
        "commit": built.id,
        "version": labels["version"],
        "source": labels["source"],
        "created": labels["created"],
    }
    job.write_json("image.json", {**image, **({"taskDefinition": described_task} if described else {})})
    job.export(IMAGE_DIGEST=str(pushed), IMAGE_URI=image["uri"] or "", IMAGE_VERSION=labels["version"])

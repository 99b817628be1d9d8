"""The jobs that make, record and use images: each really runs, against stand-ins of aws and docker."""

import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest
from fake_tools import (
    DIGEST,
    NOT_THERE,
    OTHER_DIGEST,
    REPOSITORY,
    Machine,
    Reply,
    Request,
    WebServer,
    image,
    module,
    serving,
)

BUILDER = "arn:aws:codebuild:eu-west-1:123456789012:project/shop-dev-build-image"
BUILD = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "DOCKERFILE": "Dockerfile",
    "BUILD_CONTEXT": ".",
    "BUILD_ARGS": json.dumps({"GREETING": 'hello "you" $HOME'}),
    "PLATFORM": "linux/arm64",
    "CACHE": "true",
    "COMPRESSION": "gzip",
    "VERSION_FROM": "commit",
    "VERSION_PATH": "VERSION",
    "SOURCE_URL": "https://github.com/example/shop",
    "BUILDER_ID": BUILDER,
    "COMMIT_ID": "0123456789abcdef0123456789abcdef01234567",
    "COMMIT_DATE": "2026-01-31T12:00:00Z",
    "BRANCH": "main",
    "BUILDKIT_IMAGE": "moby/buildkit:v9",
    "SBOM_GENERATOR_IMAGE": "docker/generator:v9",
}
RECORD = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "PLATFORM": "linux/arm64",
}
DETAIL = {"ImageDigest": DIGEST, "RepositoryName": "shop", "ImageURI": f"{REPOSITORY}@{DIGEST}"}


def described(digest: str) -> dict[str, object]:
    return {"imageDetails": [{"imageDigest": digest}]}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a source to build, an empty repository and a working builder."""
    machine = Machine(tmp_path)
    machine.file("Dockerfile", "FROM scratch\n")
    return machine


def pushes(machine: Machine, digest: str = DIGEST, *, reported: str = DIGEST) -> None:
    """The repository is empty until the builder has pushed."""
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE, times=2)
    machine.answer("aws ecr describe-images", described(digest))
    machine.answer("aws ecr get-login-password", "pass-word\n")
    machine.answer("docker login", "Login Succeeded\n")
    machine.answer("docker buildx inspect", code=1)
    machine.answer("docker buildx create", "ecs-delivery\n")
    metadata = json.dumps({"containerimage.digest": reported})
    machine.answer("docker buildx build", "#1 done\n", files={"{--metadata-file}": metadata})


def test_an_image_is_built_pushed_and_described(machine: Machine) -> None:
    pushes(machine)

    result = machine.run("build_image", **BUILD)

    assert result.returncode == 0, result.stderr
    described_as = machine.json("image.json")
    assert set(described_as) == set(image())
    assert described_as == image(
        tag=described_as["tag"], tree=described_as["tree"], commit=BUILD["COMMIT_ID"], version="2026.01.31-0123456"
    )
    assert machine.exports.splitlines() == [
        f"export IMAGE_DIGEST={DIGEST}",
        f"export IMAGE_URI={REPOSITORY}@{DIGEST}",
        "export IMAGE_VERSION=2026.01.31-0123456",
    ]


def test_a_builder_that_is_there_is_used_again(machine: Machine) -> None:
    machine.answer("docker buildx inspect", "Name: ecs-delivery\n")
    pushes(machine)

    assert machine.run("build_image", **BUILD).returncode == 0
    assert machine.called("docker buildx create") == []
    assert len(machine.called("docker buildx build")) == 1


def test_a_builders_name_says_what_it_is_made_with(machine: Machine) -> None:
    """The machine of a fleet has builders of earlier builds: buildx takes one of that name, whatever is in it."""
    names: list[str] = []
    hub = REPOSITORY.replace("shop", "docker-hub")
    for variables in (BUILD, {**BUILD, "BUILDKIT_IMAGE": "moby/buildkit:v10"}, {**BUILD, "DOCKER_HUB_CACHE_URI": hub}):
        pushes(machine)
        assert machine.run("build_image", **variables).returncode == 0
        create, build = (machine.called(f"docker buildx {word}")[-1] for word in ("create", "build"))
        assert create.after("--name") == build.after("--builder")
        names += create.after("--name")
    assert len(set(names)) == 3
    assert all(re.fullmatch("ecs-delivery-[0-9a-f]{8}", name) for name in names)


def test_the_build_gets_platform_labels_cache_and_attestations(machine: Machine) -> None:
    pushes(machine)

    machine.run("build_image", **BUILD)

    (build,) = machine.called("docker buildx build")
    tag, tree = (machine.json("image.json")[key] for key in ("tag", "tree"))
    assert module("image_labels").A_TREE.fullmatch(tree)
    assert build.after("--platform") == ["linux/arm64"]
    assert build.after("--tag") == [f"{REPOSITORY}:{tag}", f"{REPOSITORY}:tree-{tree}"]
    assert build.after("--build-arg") == ['GREETING=hello "you" $HOME']
    assert build.after("--label") == [
        f"org.opencontainers.image.revision={BUILD['COMMIT_ID']}",
        "org.opencontainers.image.version=2026.01.31-0123456",
        "org.opencontainers.image.created=2026-01-31T12:00:00+00:00",
        "org.opencontainers.image.source=https://github.com/example/shop",
        "org.opencontainers.image.ref.name=main",
        f"ecs-delivery.recipe={tag[-8:]}",
        f"ecs-delivery.tree={tree}",
    ]
    assert build.after("--cache-from") == [f"type=registry,ref={REPOSITORY}:buildcache"]
    extras = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true,compression=gzip"
    assert build.after("--cache-to") == [f"type=registry,ref={REPOSITORY}:buildcache,{extras}"]
    assert build.after("--output") == ["type=image,push=true,oci-mediatypes=true,compression=gzip"]
    provenance = f"--provenance=mode=max,builder-id={BUILDER}"
    assert {provenance, "--sbom=generator=docker/generator:v9"} <= set(build.words)
    assert build.words[-1] == "."
    known = {"builder", "progress", "platform", "tag", "build-arg", "label", "cache-from", "cache-to", "provenance"}
    options = {word[2:].partition("=")[0] for word in build.words if word.startswith("--")}
    assert options - known == {"sbom", "output", "file", "metadata-file"}, "a build gets no entitlement"


def test_the_builder_is_started_without_entitlements(machine: Machine) -> None:
    """https://docs.docker.com/reference/cli/docker/buildx/create/: --buildkitd-flags could allow insecure ones."""
    pushes(machine)

    machine.run("build_image", **BUILD)

    (create,) = machine.called("docker buildx create")
    options = {word for word in create.words if word.startswith("--")}
    assert options == {"--name", "--driver", "--driver-opt", "--bootstrap"}


def test_everything_of_docker_hub_comes_through_a_cache(machine: Machine) -> None:
    machine.answer("docker buildx create", keeps={"--buildkitd-config": str(machine.folder / "kept.toml")})
    pushes(machine)

    hub = REPOSITORY.replace("shop", "docker-hub")
    machine.run("build_image", **{**BUILD, "DOCKER_HUB_CACHE_URI": hub})

    configuration = tomllib.loads((machine.folder / "kept.toml").read_text())
    assert configuration == {"registry": {"docker.io": {"mirrors": [hub]}}}

    (create,) = machine.called("docker buildx create")
    assert create.after("--driver-opt") == [f"image={hub}/moby/buildkit:v9"]
    (build,) = machine.called("docker buildx build")
    assert f"--sbom=generator={hub}/docker/generator:v9" in build.words


TOOLS = f"{REPOSITORY}-build-tools"
PINNED = {"BUILDKIT_IMAGE": f"moby/buildkit:v9@{DIGEST}", "SBOM_GENERATOR_IMAGE": f"docker/generator:v9@{OTHER_DIGEST}"}


def building_with_tools(machine: Machine, *, held: bool, arrive: bool = True) -> dict[str, str]:
    """A stack with a repository for the build's tools; the variables of the job."""
    lookup = "aws ecr describe-images --repository-name shop-build-tools"
    for digest in (DIGEST, OTHER_DIGEST):
        of_tool = f"{lookup} --registry-id 123456789012 --region eu-west-1 --image-ids imageDigest={digest}"
        if not held:
            machine.answer(of_tool, code=254, errors=NOT_THERE, times=1)
        if held or arrive:
            machine.answer(of_tool, described(digest))
        else:
            machine.answer(of_tool, code=254, errors=NOT_THERE)
    machine.answer("docker buildx imagetools create", code=0 if arrive else 1)
    pushes(machine)
    return {**BUILD, **PINNED, "BUILD_TOOLS_REPOSITORY_URI": TOOLS}


def images_used(machine: Machine) -> tuple[list[str], list[str]]:
    """BuildKit's image and the SBOM generator's."""
    (create,), (build,) = machine.called("docker buildx create --driver"), machine.called("docker buildx build")
    return create.after("--driver-opt"), [word for word in build.words if word.startswith("--sbom")]


COPIES = ([f"image={TOOLS}@{DIGEST}"], [f"--sbom=generator={TOOLS}@{OTHER_DIGEST}"])


def test_what_builds_fetch_themselves_comes_from_the_own_registry(machine: Machine) -> None:
    result = machine.run("build_image", **building_with_tools(machine, held=True))

    assert result.returncode == 0, result.stderr
    assert images_used(machine) == COPIES
    assert machine.called("docker buildx imagetools") == []
    assert "moby/buildkit" not in " ".join(map(str, machine.calls))


def test_what_the_own_registry_lacks_is_copied_there_as_it_is(machine: Machine) -> None:
    """By its digest: nothing else can be put there in its place, whatever a tag says."""
    result = machine.run("build_image", **building_with_tools(machine, held=False))

    assert result.returncode == 0, result.stderr
    assert images_used(machine) == COPIES
    copies = [call.words[2:] for call in machine.called("docker buildx imagetools")]
    assert copies == [
        ["imagetools", "create", "--prefer-index=false", "--tag", f"{TOOLS}:{digest[7:19]}", image]
        for digest, image in zip((DIGEST, OTHER_DIGEST), PINNED.values(), strict=True)
    ]


def test_a_copy_that_fails_delays_no_delivery(machine: Machine) -> None:
    result = machine.run("build_image", **building_with_tools(machine, held=False, arrive=False))

    assert result.returncode == 0, result.stderr
    assert images_used(machine) == (
        [f"image={PINNED['BUILDKIT_IMAGE']}"],
        [f"--sbom=generator={PINNED['SBOM_GENERATOR_IMAGE']}"],
    )
    assert "could not be copied: this build fetches it from Docker Hub, the next one tries again." in result.stdout


def test_an_image_that_is_not_pinned_is_not_copied(machine: Machine) -> None:
    variables = {**building_with_tools(machine, held=False), "BUILDKIT_IMAGE": "moby/buildkit:latest"}
    result = machine.run("build_image", **variables)
    assert result.returncode == 1
    assert "what stands behind @ in moby/buildkit:latest is not a digest (sha256: and 64 hex digits)" in result.stderr


def test_with_zstd_all_layers_are_compressed_anew_and_those_of_the_cache_alike(machine: Machine) -> None:
    pushes(machine)

    machine.run("build_image", **{**BUILD, "COMPRESSION": "zstd"})

    (build,) = machine.called("docker buildx build")
    expected = "type=image,push=true,oci-mediatypes=true,compression=zstd,force-compression=true"
    assert build.after("--output") == [expected]
    (cache,) = build.after("--cache-to")
    assert cache.endswith(",compression=zstd")


def test_another_compression_is_refused(machine: Machine) -> None:
    result = machine.run("build_image", **{**BUILD, "COMPRESSION": "lzma"})
    assert result.returncode == 2
    assert "COMPRESSION must be gzip or zstd, got 'lzma'." in result.stderr
    assert machine.called("docker") == []


def test_the_password_goes_by_standard_input_and_nowhere_else(machine: Machine) -> None:
    pushes(machine)

    result = machine.run("build_image", **BUILD)

    (login,) = machine.called("docker login")
    assert login.stdin == "pass-word"
    assert "pass-word" not in result.stdout + result.stderr + "".join(map(str, machine.calls))


def test_without_a_cache_none_is_read_or_written(machine: Machine) -> None:
    pushes(machine)

    machine.run("build_image", **{**BUILD, "CACHE": "false"})

    assert "buildcache" not in str(machine.called("docker buildx build")[0])


def test_an_image_of_the_same_commit_and_recipe_is_not_built_again(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", described(DIGEST))

    result = machine.run("build_image", **BUILD)

    assert result.returncode == 0, result.stderr
    assert machine.json("image.json")["digest"] == DIGEST
    assert machine.called("docker") == []
    assert "nothing to build" in result.stdout


@pytest.mark.parametrize(
    "change",
    [
        {"DOCKERFILE": "Other"},
        {"BUILD_CONTEXT": "app"},
        {"BUILD_TARGET": "final"},
        {"PLATFORM": "linux/amd64"},
        {"COMPRESSION": "zstd"},
        {"BUILDER_ID": "arn:aws:codebuild:eu-west-1:123456789012:project/store-dev-build-image"},
        {"SOURCE_URL": "https://github.com/example/store"},
    ],
)
def test_whatever_changes_the_image_changes_its_tag(monkeypatch: pytest.MonkeyPatch, change: dict[str, str]) -> None:
    """Else an edited stack file would silently deliver the old image of the same commit, or one that proves less."""
    recipe = module("build_image").recipe_of
    for name, value in BUILD.items():
        monkeypatch.setenv(name, value)
    before = recipe({"A": "1"}, "")

    assert module("image_labels").A_RECIPE.fullmatch(before)
    assert recipe({"A": "1"}, "") == before
    assert recipe({"A": "2"}, "") != before
    assert recipe({"A": "1"}, BUILD["COMMIT_ID"]) != before
    monkeypatch.setenv(*next(iter(change.items())))
    assert recipe({"A": "1"}, "") != before


def test_a_newer_base_image_makes_another_image_of_the_same_commit(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", described(DIGEST))
    tags = set()
    for digest in (DIGEST, OTHER_DIGEST):
        machine.run("build_image", **{**BUILD, "BASE_IMAGE_REPOSITORY_URI": REPOSITORY, "BASE_IMAGE_DIGEST": digest})
        tags.add(machine.json("image.json")["tag"])

    assert len(tags) == 2


def test_a_base_image_is_handed_to_the_dockerfile_by_digest(machine: Machine) -> None:
    pushes(machine)
    base = {
        "BASE_IMAGE_REPOSITORY_URI": "210987654321.dkr.ecr.eu-west-1.amazonaws.com/base",
        "BASE_IMAGE_DIGEST": OTHER_DIGEST,
    }

    result = machine.run("build_image", **{**BUILD, **base, "BUILD_ARGS": "{}"})

    assert result.returncode == 0, result.stderr
    (build,) = machine.called("docker buildx build")
    assert build.after("--build-arg") == [f"BASE_IMAGE={base['BASE_IMAGE_REPOSITORY_URI']}@{OTHER_DIGEST}"]
    assert len(machine.called("docker login")) == 2


def test_the_version_can_come_from_a_file(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", described(DIGEST))
    machine.file("VERSION", "1.2.3\nmore\n")

    machine.run("build_image", **{**BUILD, "VERSION_FROM": "file"})

    assert machine.json("image.json")["version"] == "1.2.3"


UPLOADED = {
    **{name: value for name, value in BUILD.items() if name not in ("COMMIT_ID", "COMMIT_DATE", "BRANCH")},
    "SOURCE_URL": "s3://shop-uploads/shop.zip",
    "OBJECT_VERSION": "_IYV3p45BT0ac8hjHg1houSdS1a.Mro8",
}


def test_uploaded_code_is_known_by_the_version_of_its_object(machine: Machine) -> None:
    """An archive has no commit and no date. What runs can be fetched again from the bucket, by this very version."""
    pushes(machine)

    result = machine.run("build_image", **UPLOADED)

    assert result.returncode == 0, result.stderr
    recorded = machine.json("image.json")
    assert (recorded["commit"], recorded["version"]) == (UPLOADED["OBJECT_VERSION"], "s3-IYV3p45")
    assert (recorded["source"], recorded["created"]) == ("s3://shop-uploads/shop.zip", "")
    assert re.fullmatch(r"s3-_IYV3p45BT0ac8hjHg1houSdS1a\.Mro8-[0-9a-f]{8}", recorded["tag"])
    (build,) = machine.called("docker buildx build")
    assert build.after("--label") == [
        f"org.opencontainers.image.revision={UPLOADED['OBJECT_VERSION']}",
        "org.opencontainers.image.version=s3-IYV3p45",
        "org.opencontainers.image.source=s3://shop-uploads/shop.zip",
        f"ecs-delivery.recipe={recorded['tag'][-8:]}",
        f"ecs-delivery.tree={recorded['tree']}",
    ]


def test_a_version_that_is_no_image_tag_has_one_all_the_same(machine: Machine) -> None:
    """AWS says no more of it than that it is an opaque text of up to 1,024 bytes."""
    pushes(machine)

    assert machine.run("build_image", **{**UPLOADED, "OBJECT_VERSION": "a/b+c" * 100}).returncode == 0
    recorded = machine.json("image.json")
    assert recorded["commit"] == "a/b+c" * 100
    assert re.fullmatch(r"s3-[0-9a-f]{64}-[0-9a-f]{8}", recorded["tag"])
    assert re.fullmatch(r"s3-[0-9a-f]{7}", recorded["version"])


def test_an_upload_that_its_bucket_keeps_no_version_of_is_not_built(machine: Machine) -> None:
    """S3 calls all of them null: the next upload would pass for this one, and would not be built."""
    result = machine.run("build_image", **{**UPLOADED, "OBJECT_VERSION": "null"})
    assert result.returncode == 1
    assert "the code is of a bucket that keeps no versions of its objects" in result.stderr
    assert machine.called("docker buildx build") == []


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
def test_a_task_definition_of_the_commit_comes_with_the_image(machine: Machine, mark: str) -> None:
    """The job that prepares the deployment sees no code."""
    machine.answer("aws ecr describe-images", described(DIGEST))
    definition = {"family": "shop", "containerDefinitions": [{"name": "web", "image": "<IMAGE1_NAME>"}]}
    machine.file("deploy/taskdef.json", mark + json.dumps(definition))

    result = machine.run("build_image", **{**BUILD, "TASK_DEFINITION_FILE": "deploy/taskdef.json"})

    assert result.returncode == 0, result.stderr
    assert machine.json("image.json")["taskDefinition"] == definition
    assert "taskDefinition" not in image()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("deploy/taskdef.json", "the source has no file 'deploy/taskdef.json'"),
        ("../Dockerfile", "the source has no file '../Dockerfile'"),
        ("linked.json", "the source has no file 'linked.json'"),
        ("Dockerfile", "Dockerfile is not JSON: Expecting value"),
        ("list.json", "list.json is no task definition: it has no list containerDefinitions"),
        ("no-containers.json", "no-containers.json is no task definition"),
    ],
)
def test_a_task_definition_that_cannot_be_had_is_named_before_anything_is_built(
    machine: Machine, path: str, message: str
) -> None:
    machine.file("list.json", "[]")
    machine.file("no-containers.json", {"containerDefinitions": "web"})
    (machine.folder / "linked.json").symlink_to("/etc/hostname")

    result = machine.run("build_image", **{**BUILD, "TASK_DEFINITION_FILE": path})

    assert result.returncode == 1
    assert message in result.stderr
    assert machine.calls == []


@pytest.mark.parametrize(
    ("change", "message", "code"),
    [
        ({"VERSION_FROM": "file"}, "the version is to come from VERSION, but the source has no such file", 1),
        ({"VERSION_FROM": "file", "VERSION_PATH": "bad"}, "the first line of bad is no version: '1.0+x'", 1),
        ({"VERSION_FROM": "file", "VERSION_PATH": "empty"}, "the first line of empty is no version: ''", 1),
        ({"VERSION_FROM": "tag"}, "VERSION_FROM must be commit or file, got 'tag'", 2),
        ({"COMMIT_DATE": "yesterday"}, "COMMIT_DATE must be an ISO 8601 time", 2),
        ({"DOCKERFILE": "docker/File"}, "the source has no Dockerfile 'docker/File'", 1),
        ({"BUILD_CONTEXT": "app"}, "or no folder 'app'", 1),
        ({"BUILD_ARGS": "GREETING=x"}, "BUILD_ARGS is not JSON", 2),
        ({"IMAGE_REPOSITORY_URI": f"{REPOSITORY}:latest"}, "without tag or digest", 2),
        ({"BASE_IMAGE_REPOSITORY_URI": REPOSITORY}, "BASE_IMAGE_DIGEST is not set", 2),
        (
            {"BASE_IMAGE_REPOSITORY_URI": REPOSITORY, "BASE_IMAGE_DIGEST": "latest"},
            "BASE_IMAGE_DIGEST is not a digest",
            1,
        ),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else None,
)
def test_a_source_that_cannot_be_built_is_refused_before_anything_runs(
    machine: Machine, change: dict[str, str], message: str, code: int
) -> None:
    machine.file("bad", "1.0+x\n")
    machine.file("empty", "")

    result = machine.run("build_image", **{**BUILD, **change})

    assert message in result.stderr
    assert result.returncode == code
    assert machine.calls == []


def test_a_failing_build_shows_what_was_said_and_leaves_no_image(machine: Machine) -> None:
    machine.answer("docker buildx build", "#9 RUN make\nmake: *** no rule\n", code=1)
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE)
    pushes(machine)

    result = machine.run("build_image", **BUILD)

    assert result.returncode == 1
    assert "#9 RUN make\nmake: *** no rule\n" in result.stdout
    assert "FAILED: Dockerfile could not be built and pushed: `docker buildx build` ended with code 1." in result.stderr
    assert "  | make: *** no rule" in result.stderr, "although another command has run since"
    assert not (machine.folder / "image.json").exists()


@pytest.mark.parametrize(
    "said",
    [
        'ERROR: process "/bin/sh -c npm run build" did not complete successfully: exit code: 137\n',
        "#9 12.3 Killed\n",
        "runc: fork/exec /bin/sh: cannot allocate memory\n",
    ],
)
def test_a_build_that_was_killed_names_the_size_of_the_machine(machine: Machine, said: str) -> None:
    machine.answer("docker buildx build", said, code=1)
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE)
    pushes(machine)

    result = machine.run("build_image", **BUILD)

    assert "pushed (out of memory? see build.compute in the stack file): `docker buildx build` ended" in result.stderr


@pytest.mark.parametrize(
    ("dockerfile", "target", "said"),
    [
        ("FROM a\n", "", False),
        ("# FROM nothing\nFROM a AS one\n  from b\nRUN echo FROM c\n", "", True),
        ("FROM a AS one\nFROM b\n", "one", False),
    ],
)
def test_the_log_says_which_of_several_stages_is_built(
    machine: Machine, dockerfile: str, target: str, said: bool
) -> None:
    pushes(machine)
    machine.file("Dockerfile", dockerfile)

    result = machine.run("build_image", **{**BUILD, "BUILD_TARGET": target})

    line = "Dockerfile has 2 stages; the last one is built, build.target names another."
    assert (line in result.stdout.splitlines()) == said


def test_an_image_that_another_run_pushed_meanwhile_is_taken(machine: Machine) -> None:
    """The tag is written once; the registry refuses the second, which was made of the same by the same recipe."""
    machine.answer("docker buildx build", "ERROR: the tag is immutable\n", code=1)
    pushes(machine, OTHER_DIGEST)

    result = machine.run("build_image", **BUILD)

    assert result.returncode == 0, result.stderr
    assert "meanwhile: its image is taken" in result.stdout
    assert machine.json("image.json")["digest"] == OTHER_DIGEST


def test_a_registry_that_holds_another_image_than_was_built_is_noticed(machine: Machine) -> None:
    pushes(machine, OTHER_DIGEST)

    result = machine.run("build_image", **BUILD)

    assert result.returncode == 1
    assert f"the builder pushed {DIGEST}, but" in result.stderr
    assert not (machine.folder / "image.json").exists()


def test_an_answer_that_is_no_missing_image_is_not_taken_for_one(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", code=254, errors="An error occurred (AccessDeniedException) when calling")

    result = machine.run("build_image", **BUILD)

    assert result.returncode == 1
    assert "AccessDeniedException" in result.stderr
    assert machine.called("docker") == []


class BlobStore(WebServer):
    """Where ECR keeps configuration blobs."""

    config: object = None

    def reply(self, request: Request) -> Reply:
        assert request.method == "GET"
        return Reply(200, json.dumps(self.config).encode()) if self.config else Reply(403, b"expired")


def manifest(**content: object) -> dict[str, object]:
    return {
        "images": [{"imageManifest": json.dumps(content), "imageManifestMediaType": "application/x"}],
        "failures": [],
    }


def digest_of(config: object) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(config).encode()).hexdigest()}"


def holds_image(machine: Machine, url: str, config: object) -> None:
    """The repository holds an index with one image and its attestation."""
    index = [
        {"digest": OTHER_DIGEST, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": f"sha256:{'c' * 64}", "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    machine.answer(f"aws ecr batch-get-image imageDigest={DIGEST}", manifest(manifests=index))
    layer = digest_of(config)
    machine.answer(f"aws ecr batch-get-image imageDigest={OTHER_DIGEST}", manifest(config={"digest": layer}))
    machine.answer(f"aws ecr get-download-url-for-layer --layer-digest {layer}", {"downloadUrl": f"{url}/config"})


CONFIG = {
    "os": "linux",
    "architecture": "arm64",
    "config": {
        "Labels": {
            "org.opencontainers.image.revision": "0123abc",
            "org.opencontainers.image.version": "1.2.3",
            "org.opencontainers.image.source": "https://github.com/example/shop",
            "org.opencontainers.image.created": "2026-01-31T12:00:00+00:00",
        }
    },
}


def record(machine: Machine, config: object, **changes: str) -> tuple[int, str]:
    """Run the job against a store that answers with this configuration; its exit code and what it said."""
    machine.file("imageDetail.json", DETAIL)
    store = BlobStore()
    store.config = config
    with serving(store) as url:
        holds_image(machine, url, config)
        result = machine.run("record_image", **{**RECORD, **changes})
    return result.returncode, result.stdout + result.stderr


def test_a_promoted_image_is_recorded_with_what_its_labels_say(machine: Machine) -> None:
    code, said = record(machine, CONFIG)

    assert code == 0, said
    assert machine.json("image.json") == image(tag="")
    assert f"export IMAGE_DIGEST={DIGEST}\n" in machine.exports


AFTERWARDS = {
    "org.opencontainers.image.revision": "fedcba9",
    "org.opencontainers.image.version": "1.2.4",
    "org.opencontainers.image.created": "2026-02-01T12:00:00+00:00",
}


@pytest.mark.parametrize(
    ("more", "recorded"),
    [
        (
            {"ecs-delivery.recipe": "0a1b2c3d", "ecs-delivery.tree": "of the build"},
            {"commit": "fedcba9", "version": "1.2.4", "created": "2026-02-01T12:00:00+00:00", "tree": "of the build"},
        ),
        ({}, {}),
    ],
    ids=["of the build", "of another tool"],
)
def test_a_promoted_image_is_of_the_commit_that_its_index_names(
    machine: Machine, more: dict[str, str], recorded: dict[str, str]
) -> None:
    """The image itself was built for another commit of the same source tree, and its labels say that one."""
    entry = {"digest": OTHER_DIGEST, "platform": {"os": "linux", "architecture": "arm64"}}
    index = manifest(manifests=[entry], annotations={**AFTERWARDS, **more})
    machine.answer(f"aws ecr batch-get-image imageDigest={DIGEST}", index)

    code, said = record(machine, CONFIG)

    assert code == 0, said
    assert machine.json("image.json") == image(tag="", **recorded)


FURTHER_DIGEST = f"sha256:{'f' * 64}"
FURTHER = {"FURTHER_IMAGES": json.dumps({"nginx": f"{REPOSITORY}-nginx"})}


def test_what_belongs_to_a_promoted_image_is_found_by_its_digest(machine: Machine) -> None:
    tag = f"imageTag=app-{DIGEST[7:]}"
    found = {"imageDetails": [{"imageDigest": FURTHER_DIGEST}]}
    machine.answer(f"aws ecr describe-images --repository-name shop-nginx {tag}", found)
    config = {"digest": digest_of(CONFIG)}
    machine.answer(f"aws ecr batch-get-image imageDigest={FURTHER_DIGEST}", manifest(config=config))

    code, said = record(machine, CONFIG, **FURTHER)

    assert code == 0, said
    assert machine.exports.endswith(f"export FURTHER_DIGESTS=nginx={FURTHER_DIGEST}\n")
    assert machine.json("image.json") == image(tag="")


def test_a_promoted_image_whose_companion_is_missing_is_not_deployed(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE)

    code, said = record(machine, CONFIG, **FURTHER)

    assert code == 1
    assert f"{REPOSITORY}-nginx has no image app-{DIGEST[7:]}" in said
    assert "is nginx among the images of the stack that promotes?" in said
    assert not (machine.folder / "image.json").exists()


def test_a_companion_of_another_platform_is_refused(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": FURTHER_DIGEST}]})
    entry = {"digest": OTHER_DIGEST, "platform": {"os": "linux", "architecture": "s390x"}}
    machine.answer(f"aws ecr batch-get-image imageDigest={FURTHER_DIGEST}", manifest(manifests=[entry]))

    code, said = record(machine, CONFIG, **FURTHER)

    assert code == 1
    assert f"{REPOSITORY}-nginx@{FURTHER_DIGEST} is for linux/s390x, the tasks run on linux/arm64" in said


def test_an_image_of_one_platform_needs_no_index(machine: Machine) -> None:
    machine.answer(f"aws ecr batch-get-image imageDigest={DIGEST}", manifest(config={"digest": digest_of(CONFIG)}))
    code, said = record(machine, CONFIG)

    assert code == 0, said
    assert machine.json("image.json") == image(tag="")
    assert len(machine.called("aws ecr batch-get-image")) == 1


def test_an_image_without_labels_is_recorded_without_version(machine: Machine) -> None:
    code, said = record(machine, {"os": "linux", "architecture": "arm64", "config": {}})

    assert code == 0, said
    assert machine.json("image.json")["version"] == ""


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (CONFIG, {"PLATFORM": "linux/amd64"}, "is for linux/arm64, the tasks run on linux/amd64"),
        ({**CONFIG, "architecture": "s390x"}, {}, "is for linux/s390x, the tasks run on linux/arm64"),
        (CONFIG, {"IMAGE_DIGEST": OTHER_DIGEST}, f"the source delivered shop@{DIGEST}, the pipeline announced"),
        (CONFIG, {"IMAGE_DIGEST": "promoted"}, "IMAGE_DIGEST is not a digest"),
        (None, {}, "configuration could not be read from the registry"),
    ],
    ids=["index without platform", "image of other platform", "other digest", "no digest", "store refuses"],
)
def test_an_image_that_does_not_fit_is_refused(
    machine: Machine, config: object, changes: dict[str, str], message: str
) -> None:
    code, said = record(machine, config, **changes)

    assert code == 1
    assert message in said
    assert not (machine.folder / "image.json").exists()


def test_an_image_that_is_gone_is_named(machine: Machine) -> None:
    machine.file("imageDetail.json", DETAIL)
    machine.answer("aws ecr batch-get-image", {"images": [], "failures": [{"failureReason": "not found"}]})

    result = machine.run("record_image", **RECORD)

    assert result.returncode == 1
    assert f"{REPOSITORY} holds no image {DIGEST}: not found" in result.stderr


REFUSED = "An error occurred (AccessDeniedException) when calling the operation: not allowed"


def assert_ended_by(command: str, code: int, said: str) -> None:
    """The job ended there, in the command's own words, and left nothing for the pipeline."""
    assert code == 1
    assert f"`{command}` ended with code 254" in said
    assert f"  | {REFUSED}" in said
    assert "export " not in said


# What becomes of a failing `docker buildx build` is said above.
@pytest.mark.parametrize(
    "command",
    ["aws ecr describe-images", "aws ecr get-login-password", "docker login --username", "docker buildx create"],
)
def test_each_command_of_the_build_that_fails_ends_it_with_its_own_words(machine: Machine, command: str) -> None:
    machine.answer(command, code=254, errors=REFUSED)
    pushes(machine)

    result = machine.run("build_image", **BUILD)

    assert_ended_by(command, result.returncode, result.stdout + result.stderr)
    assert not (machine.folder / "image.json").exists()
    assert machine.called("docker buildx build") == []


@pytest.mark.parametrize("command", ["aws ecr batch-get-image", "aws ecr get-download-url-for-layer"])
def test_each_command_of_the_record_that_fails_ends_it_with_its_own_words(machine: Machine, command: str) -> None:
    machine.answer(command, code=254, errors=REFUSED)

    code, said = record(machine, CONFIG)

    assert_ended_by(command, code, said)
    assert not (machine.folder / "image.json").exists()

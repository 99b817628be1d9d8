"""The jobs that copy and tag images: each really runs, against registries on loopback and a stand-in of aws."""

import json
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
    deployment,
    module,
    serving,
)
from oci_registry import INDEX, MANIFEST, TOKEN, OciRegistry, digest_of, host, tokens

PROMOTE = {
    "TARGET_REPOSITORY": "shop-prod",
    "TARGET_REGISTRY": "",
    "TARGET_REGION": "",
    "TARGET_ROLE_ARN": "",
    "CHANNEL_TAG": "promoted",
    "IMAGE_DIGEST": DIGEST,
}
OWN_TAG = "0123abc-12345678"


def multi_architecture_image(registry: OciRegistry) -> str:
    """An index of two platforms and an attestation, with a signature that refers to it; the index's digest."""
    children = []
    for platform in ("amd64", "arm64", "unknown"):
        layers = [registry.blob("shop", f"layer of {platform}".encode()), registry.blob("shop", b"common layer")]
        child = registry.manifest("shop", MANIFEST, config=registry.blob("shop", platform.encode()), layers=layers)
        children.append({"digest": child, "platform": {"os": "linux", "architecture": platform}})
    index = registry.manifest("shop", INDEX, manifests=children)
    empty = registry.blob("shop", b"{}")
    signature = registry.manifest(
        "shop", MANIFEST, config=empty, layers=[registry.blob("shop", b"sig")], subject={"digest": index}
    )
    registry.manifest("shop", MANIFEST, config=empty, layers=[], subject={"digest": signature})
    return index


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.variables["IMAGE_REPOSITORY_URI"] = REPOSITORY
    return machine


def promotes(machine: Machine, source: str, target: str, digest: str, **changes: object) -> None:
    """The image is deployed; the target's tags are elsewhere until the copy."""
    machine.variables["IMAGE_REPOSITORY_URI"] = f"{host(source)}/shop"
    machine.file("deployment.json", deployment(repository=f"{host(source)}/shop", digest=digest, **changes))
    machine.answer("aws ecr get-authorization-token", tokens(target), times=1)
    machine.answer("aws ecr get-authorization-token", tokens(source))
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE, times=2)
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": digest}]})


def assert_complete_copy(source: OciRegistry, target: OciRegistry, index: str) -> None:
    wanted = {name: content for (repository, name), content in source.manifests.items() if repository == "shop"}
    copied = {name: content for (repository, name), content in target.manifests.items() if repository == "shop-prod"}
    assert copied.pop("promoted") == copied.pop(OWN_TAG) == wanted[index]
    assert copied == wanted
    assert len(wanted) == 6
    blobs = {name for repository, name in source.blobs if repository == "shop"}
    assert {name for repository, name in target.blobs if repository == "shop-prod"} == blobs


def test_an_index_with_attestations_and_signatures_is_copied_byte_by_byte(machine: Machine) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    assert_complete_copy(source, target, index)
    assert machine.exports == f"export PROMOTED_IMAGE_URI={host(there)}/shop-prod@{index}\n"
    assert [str(request) for request in target.requests[-2:]] == [
        f"PUT /v2/shop-prod/manifests/{OWN_TAG}",
        "PUT /v2/shop-prod/manifests/promoted",
    ], "the channel tag moves last"
    assert machine.called("docker") == []
    assert TOKEN not in result.stdout + result.stderr


@pytest.mark.parametrize("mounts", [True, False], ids=["mounting", "not mounting"])
def test_within_a_registry_layers_are_mounted_if_it_does_that(machine: Machine, mounts: bool) -> None:
    registry = OciRegistry(mounts=mounts)
    index = multi_architecture_image(registry)
    with serving(registry) as url:
        promotes(machine, url, url, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    assert_complete_copy(registry, registry, index)
    assert any(request.method == "PATCH" for request in registry.requests) is not mounts


def test_what_is_there_already_is_not_copied_again(machine: Machine) -> None:
    """A run that was killed half-way is taken up where it stopped."""
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    child = json.loads(source.manifests["shop", index][0])["manifests"][0]["digest"]
    target.manifests["shop-prod", child] = source.manifests["shop", child]
    target.blobs["shop-prod", digest_of(b"common layer")] = b"common layer"
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    asked = [str(request) for request in source.requests]
    assert f"GET /v2/shop/manifests/{child}" not in asked
    assert f"GET /v2/shop/blobs/{digest_of(b'common layer')}" not in asked
    assert f"GET /v2/shop/blobs/{digest_of(b'layer of arm64')}" in asked


def test_a_second_promotion_of_the_same_image_does_nothing(machine: Machine) -> None:
    machine.file("deployment.json", deployment())
    machine.answer("aws ecr get-authorization-token", tokens("http://127.0.0.1:1"))
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})

    result = machine.run("promote_image", **PROMOTE)

    assert result.returncode == 0, result.stderr
    assert "nothing to promote" in result.stdout
    assert machine.exports == f"export PROMOTED_IMAGE_URI=127.0.0.1:1/shop-prod@{DIGEST}\n"


def tagged(machine: Machine, tag: str, *digests: str) -> None:
    """The target's answers for a tag, one after the other; the last one stays. An empty digest: no such tag."""
    for number, digest in enumerate(digests, 1):
        times = 1000 if number == len(digests) else 1
        found = {"imageDetails": [{"imageDigest": digest}]}
        words = f"aws ecr describe-images shop-prod imageTag={tag}"
        if digest:
            machine.answer(words, found, times=times)
        else:
            machine.answer(words, code=254, errors=NOT_THERE, times=times)


def test_after_two_promotions_each_promoted_image_still_has_a_tag(tmp_path: Path) -> None:
    """Without a tag ECR's lifecycle rule expires it, although it may still run or be rolled back to."""
    source, target = OciRegistry(), OciRegistry()
    config = source.blob("shop", b"{}")
    first, second = (source.manifest("shop", MANIFEST, config=config, layers=[], note=note) for note in "ab")
    with serving(source) as here, serving(target) as there:
        for digest, before in ((first, ""), (second, first)):
            folder = tmp_path / digest[7:19]
            folder.mkdir()
            machine = Machine(folder)
            tagged(machine, "promoted", before, digest)
            tagged(machine, f"commit-{digest[7:11]}", "", digest)
            promotes(machine, here, there, digest, tag=f"commit-{digest[7:11]}")
            result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": digest})
            assert result.returncode == 0, result.stderr

    tags = {name: digest_of(content) for (_, name), (content, _) in target.manifests.items() if ":" not in name}
    assert tags == {"promoted": second, f"commit-{first[7:11]}": first, f"commit-{second[7:11]}": second}


@pytest.mark.parametrize("tag", ["", "promoted"], ids=["no tag", "the channel tag"])
def test_an_image_without_a_lasting_tag_gets_one_from_its_digest(machine: Machine, tag: str) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index, tag=tag)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    tags = {name for _, name in target.manifests if ":" not in name}
    assert tags == {"promoted", f"sha256-{index[7:19]}"}


def test_an_image_that_carries_the_channel_tag_alone_gets_its_lasting_tag_too(machine: Machine) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    tagged(machine, "promoted", index)
    with serving(source) as here, serving(target) as there:
        tagged(machine, OWN_TAG, "", index)
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    assert digest_of(target.manifests["shop-prod", OWN_TAG][0]) == index
    assert ("shop-prod", "promoted") not in target.manifests, "a tag that is right is not put again"


def test_a_lasting_tag_that_is_there_already_is_not_put_again(machine: Machine) -> None:
    """A repository whose tags are immutable refuses even the same image."""
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    tagged(machine, "promoted", OTHER_DIGEST, index)
    tagged(machine, OWN_TAG, index)
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    assert {name for _, name in target.manifests if ":" not in name} == {"promoted"}


def test_a_lasting_tag_on_another_image_is_a_failure_that_names_both(machine: Machine) -> None:
    tagged(machine, OWN_TAG, OTHER_DIGEST)
    promotes(machine, "http://127.0.0.1:1", "http://127.0.0.1:1", DIGEST)

    result = machine.run("promote_image", **PROMOTE)

    assert result.returncode == 1
    assert f"shop-prod:{OWN_TAG} is {OTHER_DIGEST}, this delivery promotes {DIGEST}" in result.stderr


def with_further(source: OciRegistry, machine: Machine, here: str) -> tuple[str, dict[str, str]]:
    """An image that is delivered with the application's; its digest, and what the job is told of it."""
    config, layer = source.blob("shop-nginx", b"{}"), source.blob("shop-nginx", b"nginx")
    further = source.manifest("shop-nginx", MANIFEST, config=config, layers=[layer])
    given = {"FURTHER_IMAGES": json.dumps({"nginx": f"{host(here)}/shop-nginx"}), "FURTHER_DIGESTS": f"nginx={further}"}
    machine.answer("aws ecr describe-images shop-prod-nginx", code=254, errors=NOT_THERE, times=1)
    machine.answer("aws ecr describe-images shop-prod-nginx", {"imageDetails": [{"imageDigest": further}]})
    return further, given


def test_what_belongs_to_the_image_is_there_before_it(machine: Machine) -> None:
    """The push of the channel tag starts the next pipeline, which finds all by the digest of the one."""
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    with serving(source) as here, serving(target) as there:
        further, given = with_further(source, machine, here)
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, **given, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    assert_complete_copy(source, target, index)
    tags = [str(request).rpartition("/")[::2] for request in target.requests if request.method == "PUT"]
    assert [(path, tag) for path, tag in tags if path.endswith("manifests") and ":" not in tag] == [
        ("PUT /v2/shop-prod-nginx/manifests", f"app-{index[7:]}"),
        ("PUT /v2/shop-prod/manifests", OWN_TAG),
        ("PUT /v2/shop-prod/manifests", "promoted"),
    ]
    assert digest_of(target.manifests["shop-prod-nginx", f"app-{index[7:]}"][0]) == further


def test_an_image_that_was_promoted_with_another_one_is_not_promoted_again(machine: Machine) -> None:
    """Prod would deploy a pair that nobody tested: the further image was built anew of the same commit."""
    found = {"imageDetails": [{"imageDigest": OTHER_DIGEST}]}
    machine.answer(f"aws ecr describe-images shop-prod-nginx imageTag=app-{DIGEST[7:]}", found)
    promotes(machine, "http://127.0.0.1:1", "http://127.0.0.1:1", DIGEST)
    third = f"sha256:{'f' * 64}"
    given = {"FURTHER_IMAGES": '{"nginx": "127.0.0.1:1/shop-nginx"}', "FURTHER_DIGESTS": f"nginx={third}"}

    result = machine.run("promote_image", **{**PROMOTE, **given})

    assert result.returncode == 1
    assert f"shop-prod-nginx:app-{DIGEST[7:]} is {OTHER_DIGEST}, this delivery promotes {third}" in result.stderr
    assert "build a new commit" in result.stderr


@pytest.mark.parametrize("script", ["promote_image", "tag_image"])
def test_nothing_but_what_the_pipeline_delivers_is_promoted_or_tagged(machine: Machine, script: str) -> None:
    machine.file("deployment.json", deployment(digest=OTHER_DIGEST))

    result = machine.run(script, **PROMOTE)

    assert result.returncode == 1
    assert f"deployment.json is about {OTHER_DIGEST}, the pipeline delivers {DIGEST}" in result.stderr
    assert machine.calls == []


def test_another_account_is_entered_by_its_role_for_the_target_only(machine: Machine) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    credentials = {"AccessKeyId": "AKIA", "SecretAccessKey": "hidden-key", "SessionToken": "hidden-token"}
    machine.answer("aws sts assume-role", {"Credentials": credentials})
    role = "arn:aws:iam::210987654321:role/promotion"
    elsewhere = {"TARGET_REGISTRY": "210987654321", "TARGET_REGION": "us-east-1", "TARGET_ROLE_ARN": role}
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, **elsewhere, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    assert_complete_copy(source, target, index)
    assert machine.called("aws sts assume-role")[0].after("--role-arn") == [role]
    others, own = machine.called("aws ecr get-authorization-token")
    assert others.after("--region") == ["us-east-1"]
    assert others.env["AWS_SECRET_ACCESS_KEY"] == "hidden-key"  # noqa: S105 - made up
    assert others.env["AWS_SESSION_TOKEN"] == "hidden-token"  # noqa: S105 - made up
    assert "AWS_SESSION_TOKEN" not in own.env
    assert "hidden" not in result.stdout + result.stderr


def test_a_role_of_another_account_than_the_target_is_refused(machine: Machine) -> None:
    machine.file("deployment.json", deployment())
    machine.answer("aws ecr get-authorization-token", tokens(f"https://{REPOSITORY.split('/')[0]}"))

    result = machine.run("promote_image", **{**PROMOTE, "TARGET_REGISTRY": "210987654321"})

    assert result.returncode == 1
    assert "the role acts in the registry 123456789012.dkr.ecr.eu-west-1.amazonaws.com" in result.stderr
    assert "is to go to account 210987654321" in result.stderr
    assert len(machine.calls) == 1


def test_a_broken_transfer_is_tried_again(machine: Machine) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    target.broken_uploads = 2
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 0, result.stderr
    assert_complete_copy(source, target, index)


def test_a_transfer_that_stays_broken_ends_the_job_before_the_tag(machine: Machine) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    target.broken_uploads = 99
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 1
    assert "could not be copied to" in result.stderr
    assert "HTTP Error 500: Internal Server Error broken" in result.stderr, "what the registry says is told"
    assert ("shop-prod", "promoted") not in target.manifests


def test_a_manifest_that_is_not_its_digest_is_refused(machine: Machine) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    source.spoilt = True
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 1
    assert f"answered with something else than {index}" in result.stderr
    assert target.manifests == {}


def test_an_image_that_is_not_there_is_refused_with_the_registrys_answer(machine: Machine) -> None:
    with serving(OciRegistry()) as url:
        promotes(machine, url, url, DIGEST)
        result = machine.run("promote_image", **PROMOTE)

    assert result.returncode == 1
    assert f"GET {url}/v2/shop/manifests/{DIGEST}: the registry answers 404" in result.stderr


@pytest.mark.parametrize("tag", [OWN_TAG, "promoted"])
def test_a_tag_that_another_run_moved_meanwhile_is_noticed(machine: Machine, tag: str) -> None:
    registry = OciRegistry()
    index = multi_architecture_image(registry)
    for each in (OWN_TAG, "promoted"):
        tagged(machine, each, "", OTHER_DIGEST if each == tag else index)
    with serving(registry) as url:
        promotes(machine, url, url, index)
        result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 1
    assert f"{tag} is {OTHER_DIGEST} after the copy, not {index}" in result.stderr


class Moved(WebServer):
    """Sends everybody elsewhere, as ECR does for blobs."""

    target = ""

    def reply(self, request: Request) -> Reply:
        assert request.headers["authorization"]
        return Reply(307, headers={"Location": f"{self.target}{request.path}"})


class Open(WebServer):
    """Needs nobody's authorization."""

    def reply(self, request: Request) -> Reply:
        assert "authorization" not in request.headers
        return Reply(200, b"blob")


def test_the_registrys_token_does_not_follow_to_where_blobs_are_stored() -> None:
    """S3 refuses a request that is signed in its address and carries another authorization."""
    first, second = Moved(), Open()
    with serving(first) as here, serving(second) as there:
        first.target = there
        answer = module("web").ask("GET", f"{here}/blob", {"Authorization": "Basic x"})

    assert (answer.status, answer.body) == (200, b"blob")


def held(machine: Machine, **changes: object) -> None:
    machine.file("deployment.json", deployment(**changes))
    manifest = json.dumps({"mediaType": INDEX, "name": "ü"}, ensure_ascii=False)
    machine.answer("aws ecr batch-get-image", {"images": [{"imageManifest": manifest}], "failures": []})
    machine.answer("aws ecr put-image", {"image": {}})


def test_the_version_becomes_a_tag_on_the_deployed_digest(machine: Machine) -> None:
    machine.answer("aws ecr describe-images imageTag=v1.2.3", code=254, errors=NOT_THERE, times=1)
    machine.answer("aws ecr describe-images imageTag=v1.2.3", {"imageDetails": [{"imageDigest": DIGEST}]})
    held(machine)

    result = machine.run("tag_image", IMAGE_DIGEST=DIGEST, TAG_PREFIX="v")

    assert result.returncode == 0, result.stderr
    (put,) = machine.called("aws ecr put-image")
    assert put.after("--image-tag") == ["v1.2.3"]
    assert put.after("--image-digest") == [DIGEST]
    assert put.after("--image-manifest-media-type") == [INDEX]
    assert put.after("--registry-id") == ["123456789012"]
    assert put.after("--region") == ["eu-west-1"]
    assert machine.exports == "export VERSION_TAG=v1.2.3\n"
    assert machine.called("docker") == []


def test_the_version_becomes_a_tag_on_each_image_and_on_the_applications_last(machine: Machine) -> None:
    """A version of the application that has its tag is complete."""
    for repository, digest in (("shop-nginx", OTHER_DIGEST), ("shop", DIGEST)):
        words = f"aws ecr describe-images --repository-name {repository} imageTag=v1.2.3"
        machine.answer(words, code=254, errors=NOT_THERE, times=1)
        machine.answer(words, {"imageDetails": [{"imageDigest": digest}]})
    held(machine)
    given = {"FURTHER_IMAGES": json.dumps({"nginx": f"{REPOSITORY}-nginx"}), "FURTHER_DIGESTS": f"nginx={OTHER_DIGEST}"}

    result = machine.run("tag_image", IMAGE_DIGEST=DIGEST, TAG_PREFIX="v", **given)

    assert result.returncode == 0, result.stderr
    puts = [name for call in machine.called("aws ecr put-image") for name in call.after("--repository-name")]
    assert puts == ["shop-nginx", "shop"]
    assert machine.exports == "export VERSION_TAG=v1.2.3\n"


def test_the_manifest_is_handed_over_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, seen = module("registry"), []
    text = '{\n  "schemaVersion":2 , "annotations": {"who": "ü"}}'

    def look(_why: str, *command: str, **_rest: object) -> None:
        place = command[command.index("--image-manifest") + 1]
        seen.append(Path(place.removeprefix("file://")).read_bytes())

    monkeypatch.setattr(registry.job, "aws", look)
    monkeypatch.setattr(registry, "manifest", lambda *_: (text, INDEX))

    registry.put_tag(
        registry.repository(REPOSITORY),
        DIGEST,
        "v1",
    )

    assert seen == [text.encode()]


def test_a_version_that_is_on_this_image_already_is_a_success(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": DIGEST}]})
    held(machine)

    result = machine.run("tag_image", IMAGE_DIGEST=DIGEST, TAG_PREFIX="v")

    assert result.returncode == 0, result.stderr
    assert machine.called("aws ecr put-image") == []


def test_a_version_on_another_image_is_a_failure_that_names_both(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": OTHER_DIGEST}]})
    held(machine)

    result = machine.run("tag_image", IMAGE_DIGEST=DIGEST, TAG_PREFIX="v")

    assert result.returncode == 1
    assert (
        f"the version v1.2.3 in {REPOSITORY} is the image {OTHER_DIGEST}, and this delivery brings {DIGEST}"
        in result.stderr
    )
    assert "raise the version" in result.stderr
    assert machine.called("aws ecr put-image") == []


def test_a_tag_that_somebody_takes_away_at_once_is_noticed(machine: Machine) -> None:
    machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE)
    held(machine)

    result = machine.run("tag_image", IMAGE_DIGEST=DIGEST, TAG_PREFIX="v")

    assert result.returncode == 1
    assert f"{REPOSITORY} has no tag v1.2.3 although it was just put on {DIGEST}" in result.stderr


@pytest.mark.parametrize(
    ("changes", "prefix", "message"),
    [
        ({"version": ""}, "v", "has no version: its label org.opencontainers.image.version is missing"),
        ({"version": "1+2"}, "v", "'v1+2' is no image tag"),
        (
            {"commit": "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"},
            "v",
            "which is no commit, and a GitHub release is made of one",
        ),
        ({}, "-", "'-1.2.3' is no image tag"),
        ({"digest": "latest"}, "v", "deployment.json is about latest, the pipeline delivers"),
    ],
)
def test_a_version_that_cannot_be_a_tag_is_refused(
    machine: Machine, changes: dict[str, object], prefix: str, message: str
) -> None:
    held(machine, **changes)

    result = machine.run("tag_image", IMAGE_DIGEST=DIGEST, TAG_PREFIX=prefix)

    assert result.returncode == 1
    assert message in result.stderr
    assert machine.calls == []


REFUSED = "An error occurred (AccessDeniedException) when calling the operation: not allowed"


@pytest.mark.parametrize("command", ["sts assume-role", "ecr get-authorization-token", "ecr describe-images"])
def test_each_command_of_the_promotion_that_fails_ends_it_before_anything_is_copied(
    machine: Machine, command: str
) -> None:
    source, target = OciRegistry(), OciRegistry()
    index = multi_architecture_image(source)
    machine.answer(f"aws {command}", code=254, errors=REFUSED)
    credentials = {"AccessKeyId": "AKIA", "SecretAccessKey": "hidden-key", "SessionToken": "hidden-token"}
    machine.answer("aws sts assume-role", {"Credentials": credentials})
    role = {"TARGET_ROLE_ARN": "arn:aws:iam::210987654321:role/promotion"}
    with serving(source) as here, serving(target) as there:
        promotes(machine, here, there, index)
        result = machine.run("promote_image", **{**PROMOTE, **role, "IMAGE_DIGEST": index})

    assert result.returncode == 1
    assert f"`aws {command}` ended with code 254" in result.stderr
    assert f"  | {REFUSED}" in result.stderr
    assert target.requests == []


@pytest.mark.parametrize("command", ["describe-images", "batch-get-image", "put-image"])
def test_each_command_of_the_tagging_that_fails_ends_it_with_its_own_words(machine: Machine, command: str) -> None:
    machine.answer(f"aws ecr {command}", code=254, errors=REFUSED)
    machine.answer("aws ecr describe-images imageTag=v1.2.3", code=254, errors=NOT_THERE)
    held(machine)

    result = machine.run("tag_image", IMAGE_DIGEST=DIGEST, TAG_PREFIX="v")

    assert result.returncode == 1
    assert f"`aws ecr {command}` ended with code 254" in result.stderr
    assert f"  | {REFUSED}" in result.stderr
    assert machine.calls[-1].words[2] == command, "nothing is done after it"


class Luring(OciRegistry):
    """A registry that has the layers sent to another host."""

    def __init__(self, elsewhere: str, first: str) -> None:
        super().__init__()
        self.elsewhere, self.first = elsewhere, first

    def reply(self, request: Request) -> Reply:
        reply = super().reply(request)
        place = reply.headers.get("Location", "")
        lures = request.method == self.first and place
        return reply._replace(headers={"Location": f"{self.elsewhere}{place}"}) if lures else reply


@pytest.mark.parametrize("first", ["POST", "PATCH"])
def test_the_token_is_sent_to_no_other_host_that_the_registry_names(machine: Machine, first: str) -> None:
    source, stranger = OciRegistry(mounts=False), OciRegistry()
    index = multi_architecture_image(source)
    with serving(source) as here, serving(stranger) as elsewhere:
        target = Luring(elsewhere, first)
        target.mounts = False
        with serving(target) as there:
            promotes(machine, here, there, index)
            result = machine.run("promote_image", **{**PROMOTE, "IMAGE_DIGEST": index})

    assert result.returncode == 1
    assert "which is another host: the token is not sent" in result.stderr
    assert stranger.requests == []

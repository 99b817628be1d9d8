"""The job that verifies what is delivered, against a registry on loopback: whole images, and forged ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attested import BUILDER, COMMIT, LABELS, RECIPE, SOURCE, TREE, V02, Attested, Json, hexadecimal
from fake_tools import Machine, image, module, serving
from oci_registry import MANIFEST, OciRegistry, host, tokens

from local.aws_models import service_model

TAG = f"{COMMIT}-{RECIPE}"
OTHER_COMMIT = "f" * 40
FIX = "is built anew when the pipeline that builds it is started again; see docs/operations.md"
NO_FURTHER = {"FURTHER_IMAGES": "{}", "FURTHER_DIGESTS": "", "FURTHER_BUILDER_IDS": "{}", "SCAN_RULES": ""}


class Verified:
    """A registry, and a machine that verifies what is in it."""

    def __init__(self, machine: Machine, registry: OciRegistry, url: str) -> None:
        self.machine, self.registry, self.host = machine, registry, host(url)
        machine.answer("aws ecr get-authorization-token", tokens(url))
        self.variables = {
            "IMAGE_REPOSITORY_URI": f"{self.host}/shop",
            "PLATFORM": "linux/arm64",
            "BUILDER_ID": BUILDER,
            "SOURCE_URL": SOURCE,
            "COMMIT_ID": COMMIT,
            "OBJECT_VERSION": "",
            **NO_FURTHER,
        }

    def tags(self, digest: str, *tags: str) -> None:
        """The tags of an image, as ECR lists them."""
        found = {"imageDetails": [{"imageDigest": digest, "imageTags": list(tags)}]}
        self.machine.answer(f"aws ecr describe-images imageDigest={digest}", found)

    def run(
        self,
        made: Attested,
        *,
        tags: tuple[str, ...] = (TAG, f"tree-{TREE}", "v1.2.3"),
        described: Json | None = None,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        """Verify an image."""
        digest = made.put(self.registry)
        self.tags(digest, *tags)
        own = {"commit": COMMIT, "source": SOURCE, "tag": TAG, "tree": TREE, **(described or {})}
        self.machine.file("image.json", image(repository=f"{self.host}/shop", digest=digest, **own))
        return self.machine.run("verify_image", **{**self.variables, "IMAGE_DIGEST": digest, **more})


@pytest.fixture
def verified(tmp_path: Path) -> Iterator[Verified]:
    registry = OciRegistry()
    with serving(registry) as url:
        yield Verified(Machine(tmp_path), registry, url)


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """The job has ended with these words, and nothing of what it read stands there raw."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    for each in words:
        assert each in result.stderr
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize("form", ["https://slsa.dev/provenance/v1", V02], ids=["v1", "v0.2"])
def test_an_image_of_the_expected_builder_repository_and_commit_passes(verified: Verified, form: str) -> None:
    result = verified.run(Attested(form=form))
    assert result.returncode == 0, result.stderr
    assert f"built by {BUILDER} of {SOURCE} at {COMMIT}, {TAG}" in result.stdout
    assert "Everything that is delivered is what it has to be." in result.stdout
    asked = [str(request) for request in verified.registry.requests]
    assert all(each.startswith("GET /v2/shop/") for each in asked), "nothing is changed"
    assert not any(hexadecimal("an SBOM") in each for each in asked), "what is not needed is not read"


def test_an_image_of_another_stack_is_verified_without_knowing_its_commit(verified: Verified) -> None:
    """In prod the image names its commit itself; its tag there and what was recorded have to agree."""
    result = verified.run(Attested(), described={"tag": ""}, COMMIT_ID="")
    assert result.returncode == 0, result.stderr


def test_an_image_that_was_promoted_twice_has_no_tag_of_its_build(verified: Verified) -> None:
    result = verified.run(Attested(), tags=("sha256-0123456789ab", "promoted"), described={"tag": ""}, COMMIT_ID="")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("version", "tag"), [("abc.DEF_1", "s3-abc.DEF_1"), ("a/b", f"s3-{hexadecimal('a/b')}")], ids=["as it is", "hashed"]
)
def test_uploaded_code_is_known_by_its_version(verified: Verified, version: str, tag: str) -> None:
    source = "s3://shop-uploads/shop.zip"
    labels = {"org.opencontainers.image.revision": version, "org.opencontainers.image.source": source}
    tag = f"{tag}-{RECIPE}"
    result = verified.run(
        Attested(labels={**LABELS, **labels}),
        tags=(tag,),
        described={"tag": tag, "commit": version, "source": source},
        COMMIT_ID="",
        OBJECT_VERSION=version,
        SOURCE_URL=source,
    )
    assert result.returncode == 0, result.stderr


LABEL = "org.opencontainers.image"
OTHER_BUILDER = "arn:aws:codebuild:eu-west-1:123456789012:project/mallory"


def labelled(**changes: str) -> Attested:
    """An image whose labels and provenance agree on something else."""
    names = {"revision": f"{LABEL}.revision", "source": f"{LABEL}.source", "recipe": "ecs-delivery.recipe"}
    return Attested(labels={**LABELS, **{names[key]: value for key, value in changes.items()}})


FORGED: dict[str, tuple[Attested, str]] = {
    "other repository": (
        labelled(source="https://github.com/mallory/shop"),
        f"it was built of https://github.com/mallory/shop; expected is {SOURCE}",
    ),
    "no repository": (labelled(source=""), f"it was built of an unnamed source; expected is {SOURCE}"),
    "other commit": (labelled(revision=OTHER_COMMIT), f"it was built of {OTHER_COMMIT}; expected is {COMMIT}"),
    "no commit": (labelled(revision=""), f"it was built of no commit; expected is {COMMIT}"),
    "other builder": (
        Attested(builder=OTHER_BUILDER),
        f"it was built by {OTHER_BUILDER}; expected is {BUILDER}",
    ),
    "earlier version": (
        Attested(builder=""),
        f"it names no builder, as those of earlier versions do; expected is {BUILDER}",
    ),
    "other recipe": (
        labelled(recipe="00000000"),
        f"its tag is {TAG}; by its provenance it is {COMMIT}-00000000",
    ),
    "no recipe": (labelled(recipe="1"), "its recipe is 1; expected are 8 hexadecimal digits"),
    "edited labels": (
        Attested(own={**LABELS, f"{LABEL}.version": "9.9.9"}),
        f"its label {LABEL}.version is 9.9.9, its provenance says 2026.01.31-0123456",
    ),
    "no labels": (Attested(own={}), f"its label ecs-delivery.recipe is nothing, its provenance says {RECIPE}"),
    "control characters": (
        labelled(source="https://github.com/\x1b[31mmallory\u202e/shop"),
        r"it was built of https://github.com/\x1b[31mmallory\u202e/shop; expected",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_image_is_refused_with_what_is_wrong(verified: Verified, name: str) -> None:
    made, words = FORGED[name]
    result = verified.run(made)
    refused(result, "the provenance of what is delivered is not as expected:", words, FIX)
    assert "verification.provenance in the stack file" in result.stderr


def moved(*path: object, value: object) -> Callable[[Json], None]:
    """Put a value at a place of a document."""

    def forge(document: Json) -> None:
        here: object = document
        for key in path[:-1]:
            here = here[key]  # type: ignore[index] # JSON
        here[path[-1]] = value  # type: ignore[index] # JSON

    return forge


def without(key: str) -> Callable[[Json], None]:
    """Take a key away."""
    return lambda document: document.pop(key)


def twice(key: str) -> Callable[[Json], None]:
    """Add the last entry of a list once more."""
    return lambda document: document[key].append(document[key][-1])


def second_image(document: Json) -> None:
    """Offer another image for the same platform, which would be run as well as the first."""
    document["manifests"].append({**document["manifests"][0], "digest": f"sha256:{'b' * 64}"})


def unplaced(document: Json) -> None:
    """Offer another image, of no platform."""
    document["manifests"].insert(0, {"mediaType": MANIFEST, "digest": f"sha256:{'b' * 64}"})


def in_two_cases(document: Json) -> None:
    """Hide other images from whoever tells `manifests` from `Manifests`, which those that run containers do not."""
    document["Manifests"] = []


OTHER_SUBJECT = [{"name": "_", "digest": {"sha256": "c" * 64}}]
BROKEN: dict[str, tuple[Attested, str]] = {
    "no attestation": (
        Attested(forge_index=lambda index: index["manifests"].pop()),
        "has no attestations of its image for linux/arm64",
    ),
    "attestation of another image": (
        Attested(forge_index=moved("manifests", 1, "annotations", "vnd.docker.reference.digest", value="sha256:0")),
        "has no attestations of its image for linux/arm64",
    ),
    "two attestations": (Attested(forge_index=twice("manifests")), "has 2 attestations of its image for linux/arm64"),
    "subject is another image": (
        Attested(forge_statement=moved("subject", value=OTHER_SUBJECT)),
        f"is about {'c' * 64}, the image for linux/arm64 is sha256:",
    ),
    "one subject of two": (
        Attested(forge_statement=lambda statement: statement["subject"].extend(OTHER_SUBJECT)),
        "it belongs to another image",
    ),
    "no subject": (Attested(forge_statement=without("subject")), "is about nothing, the image for linux/arm64 is"),
    "subject is no list": (Attested(forge_statement=moved("subject", value="x")), "is about nothing"),
    "another statement": (Attested(forge_statement=moved("_type", value="x")), "is no statement of the type"),
    "another predicate": (
        Attested(forge_statement=moved("predicateType", value="https://spdx.dev/Document")),
        "is no statement of the type https://slsa.dev/provenance/v1",
    ),
    "no predicate": (Attested(forge_statement=moved("predicate", value=[])), "was written with less than mode=max"),
    "no provenance": (
        Attested(forge_attestation=lambda attestation: attestation["layers"].pop()),
        "holds no statements of provenance",
    ),
    "two provenances": (Attested(forge_attestation=twice("layers")), "holds 2 statements of provenance"),
    "no layers": (Attested(forge_attestation=moved("layers", value=[])), "holds no statements of provenance"),
    "layers are no list": (
        Attested(forge_attestation=moved("layers", value="x")),
        "the attestation is no JSON object with lists of descriptors",
    ),
    "garbage": (Attested(content=b"\x00\xff{"), "is not JSON that can be trusted"),
    "deep": (Attested(content=b"[" * 200_000), "is not JSON that can be trusted"),
    "a list": (Attested(content=b"[]"), "is no JSON object with lists of descriptors"),
    "too large": (Attested(content=b" " * (16 * 1024 * 1024 + 1)), "has more than 16,777,216 bytes"),
    "large configuration": (
        Attested(forge_config=moved("history", value="x" * 1024 * 1024)),
        "has more than 1,048,576 bytes",
    ),
    "two images of a platform": (
        Attested(forge_index=second_image),
        "must hold one image for linux/arm64 and say the platform of each other one, it has: linux/arm64",
    ),
    "an image of no platform": (Attested(forge_index=unplaced), "it has: None/None, linux/arm64, unknown/unknown"),
    "another platform": (
        Attested(forge_index=moved("manifests", 0, "platform", "architecture", value="amd64")),
        "it has: linux/amd64, unknown/unknown",
    ),
    "two keys in one": (
        Attested(forge_index=in_two_cases),
        "is not JSON that can be trusted: a key stands there twice",
    ),
    "index and image in one": (
        Attested(forge_index=moved("layers", value=[])),
        "it is no image index, which would hold an attestation",
    ),
    "image and index in one": (Attested(forge_image=moved("manifests", value=[])), "which is no image."),
    "image without configuration": (Attested(forge_image=without("config")), "which is no image."),
    "digest of nothing": (
        Attested(forge_attestation=moved("layers", 1, "digest", value="../../secret")),
        "the provenance is not a digest",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_attestation_that_proves_nothing_is_refused(verified: Verified, name: str) -> None:
    made, words = BROKEN[name]
    refused(verified.run(made), words)


def test_an_image_without_an_index_has_no_provenance(verified: Verified) -> None:
    digest = verified.registry.manifest("shop", MANIFEST, config=verified.registry.blob("shop", b"{}"), layers=[])
    verified.machine.file("image.json", image(repository=f"{verified.host}/shop", digest=digest))
    result = verified.machine.run("verify_image", **{**verified.variables, "IMAGE_DIGEST": digest})
    refused(result, "has no provenance: it is no image index", "verification.provenance.enabled: false in the stack")


@pytest.mark.parametrize("part", ["index", "statement"])
def test_what_the_registry_answers_is_held_against_its_digest(verified: Verified, part: str) -> None:
    """An attestation that was edited has another digest: who keeps it under the old one is found out."""
    digest = Attested().put(verified.registry)
    if part == "index":
        content, media_type = verified.registry.manifests["shop", digest]
        verified.registry.manifests["shop", digest] = (content + b" ", media_type)
    else:
        (key,) = (key for key, blob in verified.registry.blobs.items() if b"in-toto" in blob)
        edited = verified.registry.blobs[key].replace(BUILDER.encode(), OTHER_BUILDER.encode())
        verified.registry.blobs[key] = edited
    verified.tags(digest, TAG)
    verified.machine.file("image.json", image(repository=f"{verified.host}/shop", digest=digest))
    result = verified.machine.run("verify_image", **{**verified.variables, "IMAGE_DIGEST": digest})
    refused(result, "answered with something else than sha256:")


def test_a_blob_that_is_not_there_ends_the_job(verified: Verified) -> None:
    digest = Attested().put(verified.registry)
    for key in [key for key, blob in verified.registry.blobs.items() if b"in-toto" in blob]:
        del verified.registry.blobs[key]
    verified.machine.file("image.json", image(repository=f"{verified.host}/shop", digest=digest))
    result = verified.machine.run("verify_image", **{**verified.variables, "IMAGE_DIGEST": digest})
    refused(result, "could not be read from", "404")


LATER_RECIPE = "0a1b2c3d"
LATER_TAG = f"{OTHER_COMMIT}-{LATER_RECIPE}"
OTHER_TREE = f"{'6' * 64}-76543210"
AFTERWARDS = {
    "org.opencontainers.image.revision": OTHER_COMMIT,
    "org.opencontainers.image.version": "2026.02.01-fffffff",
    "ecs-delivery.recipe": LATER_RECIPE,
    "ecs-delivery.tree": TREE,
}


def for_another_commit(labels: Json | None = None, **changes: str) -> Attested:
    """An image of COMMIT that is delivered for OTHER_COMMIT, as a build puts that on its index."""
    said = {**AFTERWARDS, **{f"ecs-delivery.{key}": value for key, value in changes.items()}}
    return Attested(labels=labels or dict(LABELS), forge_index=moved("annotations", value=said))


def of_the_later_run(verified: Verified, made: Attested, **more: str) -> subprocess.CompletedProcess[str]:
    """Verify an image in the run of OTHER_COMMIT, whose source tree is TREE."""
    described = {"commit": OTHER_COMMIT, "tag": LATER_TAG}
    return verified.run(made, tags=(LATER_TAG,), described=described, **{"COMMIT_ID": OTHER_COMMIT, **more})


def test_an_image_of_the_same_tree_passes_for_another_commit(verified: Verified) -> None:
    result = of_the_later_run(verified, for_another_commit())
    assert result.returncode == 0, result.stderr
    assert f"built by {BUILDER} of {SOURCE} at {OTHER_COMMIT}, {LATER_TAG}" in result.stdout
    assert f"It was built of {COMMIT}, whose source tree and recipe are the same: {TREE}" in result.stdout


def test_in_prod_an_image_of_the_same_tree_is_what_its_index_says(verified: Verified) -> None:
    """Prod sees no code. Who may write the index is decided by its repository, which takes images of promoters."""
    result = verified.run(
        for_another_commit(), tags=(LATER_TAG,), described={"commit": OTHER_COMMIT, "tag": ""}, COMMIT_ID=""
    )
    assert result.returncode == 0, result.stderr


TAKEN_FOR_ANOTHER: dict[str, tuple[Attested, str]] = {
    "of another tree": (
        for_another_commit({**LABELS, "ecs-delivery.tree": OTHER_TREE}, tree=OTHER_TREE),
        f"it was built of the source tree {OTHER_TREE}; expected is {TREE}",
    ),
    "by another recipe": (
        for_another_commit({**LABELS, "ecs-delivery.tree": f"{TREE[:-8]}00000000"}, tree=f"{TREE[:-8]}00000000"),
        f"it was built of the source tree {TREE[:-8]}00000000; expected is {TREE}",
    ),
    "of no tree": (
        for_another_commit({key: value for key, value in LABELS.items() if key != "ecs-delivery.tree"}),
        "its source tree is missing; expected are 64 and 8 hexadecimal digits",
    ),
    "of no tree at all": (
        Attested(
            labels={key: value for key, value in LABELS.items() if key != "ecs-delivery.tree"},
            forge_index=moved(
                "annotations", value={key: value for key, value in AFTERWARDS.items() if key != "ecs-delivery.tree"}
            ),
        ),
        "its source tree is missing; expected are 64 and 8 hexadecimal digits",
    ),
    "index of another tree": (
        for_another_commit(tree=OTHER_TREE),
        f"its index says that it is of the source tree {OTHER_TREE}, its provenance says {TREE}",
    ),
    "of no commit": (
        for_another_commit({**LABELS, "org.opencontainers.image.revision": ""}),
        f"expected is {OTHER_COMMIT}",
    ),
    "of another repository": (
        for_another_commit({**LABELS, "org.opencontainers.image.source": "https://github.com/mallory/shop"}),
        f"it was built of https://github.com/mallory/shop; expected is {SOURCE}",
    ),
    "no recipe": (for_another_commit(recipe="x"), "its recipe is x; expected are 8 hexadecimal digits"),
}


@pytest.mark.parametrize("name", TAKEN_FOR_ANOTHER)
def test_an_image_of_another_commit_passes_for_its_tree_alone(verified: Verified, name: str) -> None:
    made, words = TAKEN_FOR_ANOTHER[name]
    refused(of_the_later_run(verified, made), words)


@pytest.mark.parametrize("name", ["of no tree", "of no tree at all", "index of another tree", "of no commit"])
def test_in_prod_index_and_provenance_say_the_same_tree(verified: Verified, name: str) -> None:
    made, _ = TAKEN_FOR_ANOTHER[name]
    told = {"commit": OTHER_COMMIT, "tag": "", "tree": ""}
    refused(verified.run(made, tags=(LATER_TAG,), described=told, COMMIT_ID=""), "is not as expected")


def test_an_image_of_another_builder_does_not_pass_for_its_tree(verified: Verified) -> None:
    made = Attested(builder=OTHER_BUILDER, forge_index=moved("annotations", value=AFTERWARDS))
    refused(of_the_later_run(verified, made), f"it was built by {OTHER_BUILDER}; expected is {BUILDER}")


def test_annotations_of_other_tools_make_no_other_commit_of_an_image(verified: Verified) -> None:
    """https://docs.docker.com/build/metadata/annotations/ has tools that write a revision, none writes our recipe."""
    said = {"org.opencontainers.image.revision": OTHER_COMMIT}
    result = verified.run(Attested(forge_index=moved("annotations", value=said)))
    assert result.returncode == 0, result.stderr
    refused(
        of_the_later_run(verified, Attested(forge_index=moved("annotations", value=said))),
        f"it was built of {COMMIT}; expected is {OTHER_COMMIT}",
    )


def test_the_tag_of_a_tree_is_on_the_image_of_this_tree(verified: Verified) -> None:
    refused(
        verified.run(Attested(), tags=(TAG, f"tree-{OTHER_TREE}")),
        f"its tag is tree-{OTHER_TREE}; by its provenance its source tree is {TREE}",
    )


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ((f"{OTHER_COMMIT}-{RECIPE}",), f"its tag is {OTHER_COMMIT}-{RECIPE}; by its provenance it is {TAG}"),
        ((TAG, f"{COMMIT}-00000000"), f"its tag is {TAG}, {COMMIT}-00000000; by its provenance it is {TAG}"),
        (("v1.2.3",), f"its tag is missing; by its provenance it is {TAG}"),
    ],
    ids=["other", "two", "none"],
)
def test_the_tag_of_the_build_says_the_same(verified: Verified, tags: tuple[str, ...], words: str) -> None:
    refused(verified.run(Attested(), tags=tags), words)


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"commit": OTHER_COMMIT}, f"image.json names the commit {OTHER_COMMIT}, the provenance {COMMIT}"),
        ({"source": ""}, f"image.json names the source -, the provenance {SOURCE}"),
        ({"tag": f"{COMMIT}-00000000"}, f"image.json names the tag {COMMIT}-00000000, the provenance {TAG}"),
    ],
    ids=["commit", "source", "tag"],
)
def test_what_the_run_says_of_the_image_says_the_same(verified: Verified, described: Json, words: str) -> None:
    """A release is made of the commit that stands there."""
    refused(verified.run(Attested(), described=described), words)


def with_nginx(verified: Verified, nginx: Attested, **more: str) -> subprocess.CompletedProcess[str]:
    """Verify the application's image and a further one."""
    nginx.repository = "shop-nginx"
    digest = nginx.put(verified.registry)
    verified.tags(digest, f"app-{'1' * 64}")
    verified.variables |= {
        "COMMIT_ID": "",
        "FURTHER_IMAGES": json.dumps({"nginx": f"{verified.host}/shop-nginx"}),
        "FURTHER_DIGESTS": f"nginx={digest}",
        "FURTHER_BUILDER_IDS": json.dumps({"nginx": OTHER_BUILDER}),
    }
    verified.variables |= more
    return verified.run(Attested(), described={"tag": ""})


def test_an_image_that_is_delivered_with_it_has_its_own_builder_and_the_same_commit(verified: Verified) -> None:
    result = with_nginx(verified, Attested(builder=OTHER_BUILDER))
    assert result.returncode == 0, result.stderr
    assert "/shop-nginx@sha256:" in result.stdout
    assert len(verified.machine.called("aws ecr get-authorization-token")) == 1


def test_all_problems_of_all_images_are_said_at_once(verified: Verified) -> None:
    other = labelled(revision=OTHER_COMMIT)
    result = with_nginx(verified, other, SOURCE_URL="https://github.com/example/other")
    refused(
        result,
        "/shop-nginx@sha256:",
        f"it was built of {OTHER_COMMIT}; expected is {COMMIT}",
        f"it was built by {BUILDER}; expected is {OTHER_BUILDER}",
    )
    assert result.stderr.count(f"it was built of {SOURCE}; expected is https://github.com/example/other") == 2


def test_a_further_image_needs_a_builder(verified: Verified) -> None:
    result = with_nginx(verified, Attested(), FURTHER_BUILDER_IDS="{}")
    assert result.returncode == 2
    assert "FURTHER_BUILDER_IDS must name the builder of nginx." in result.stderr


# What scans have found

NOT_SCANNED = "An error occurred (ScanNotFoundException) when calling the DescribeImageScanFindings operation: none"
CRITICAL: Json = {
    "name": "CVE-2026-1234",
    "severity": "CRITICAL",
    "uri": "https://security-tracker.debian.org/tracker/CVE-2026-1234",
    "attributes": [{"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3.0.1-1"}],
}
OF_INSPECTOR: Json = {
    "severity": "HIGH",
    "status": "ACTIVE",
    "title": "CVE-2026-77 - jinja2",
    "type": "PACKAGE_VULNERABILITY",
    "packageVulnerabilityDetails": {
        "vulnerabilityId": "CVE-2026-77",
        "sourceUrl": "https://nvd.nist.gov/vuln/detail/CVE-2026-77",
        "vulnerablePackages": [{"name": "jinja2", "version": "3.1.2", "fixedInVersion": "3.1.3"}],
    },
}


def rules(maximum: Json | None = None, **allow: Json) -> str:
    return json.dumps({"maximum": {"CRITICAL": 0, "HIGH": 0} if maximum is None else maximum, "allow": allow})


def scan(*findings: Json, status: str = "COMPLETE", enhanced: bool = False, **more: object) -> Json:
    """What ECR answers, as its service model has it."""
    key = "enhancedFindings" if enhanced else "findings"
    answer: Json = {"imageScanStatus": {"status": status, **more}, "imageScanFindings": {key: list(findings)}}
    shape = service_model("ecr").operation_model("DescribeImageScanFindings").output_shape
    assert status in service_model("ecr").shape_for("ScanStatus").enum
    assert_known(answer, shape)
    return answer


def assert_known(value: object, shape: Any) -> None:  # noqa: ANN401 - botocore ships no types
    """Each key of an answer is one that AWS has."""
    if shape.type_name == "structure":
        assert isinstance(value, dict)
        assert value.keys() <= shape.members.keys()
        for key, each in value.items():
            assert_known(each, shape.members[key])
    elif shape.type_name == "list":
        assert isinstance(value, list)
        for each in value:
            assert_known(each, shape.member)


def scanned(verified: Verified, answer: Json, told: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Verify an image whose scan ends with this answer."""
    verified.machine.answer("aws ecr describe-image-scan-findings", answer)
    verified.variables |= {"SCAN_RULES": told or rules(), "SCAN_MINUTES": "1", **more}
    return verified.run(Attested())


def test_the_image_of_the_platform_is_what_is_scanned(verified: Verified) -> None:
    result = scanned(verified, scan())
    assert result.returncode == 0, result.stderr
    index = next(key for key in verified.registry.manifests if b"manifests" in verified.registry.manifests[key][0])[1]
    (call,) = verified.machine.called("aws ecr describe-image-scan-findings")
    (asked,) = call.after("--image-id")
    assert asked != f"imageDigest={index}"
    assert b"config" in verified.registry.manifests["shop", asked.removeprefix("imageDigest=")][0]
    assert "counts nothing." in result.stdout


def test_an_image_that_is_no_index_is_scanned_itself(verified: Verified) -> None:
    digest = verified.registry.manifest("shop", MANIFEST, config=verified.registry.blob("shop", b"{}"), layers=[])
    verified.machine.answer("aws ecr describe-image-scan-findings", scan())
    verified.machine.file("image.json", image(repository=f"{verified.host}/shop", digest=digest))
    told = {**verified.variables, "BUILDER_ID": "", "SCAN_RULES": rules(), "SCAN_MINUTES": "1", "IMAGE_DIGEST": digest}
    result = verified.machine.run("verify_image", **told)
    assert result.returncode == 0, result.stderr
    (call,) = verified.machine.called("aws ecr describe-image-scan-findings")
    assert call.after("--image-id") == [f"imageDigest={digest}"]


def test_a_critical_finding_without_a_fix_is_named(verified: Verified) -> None:
    result = scanned(verified, scan(CRITICAL))
    refused(
        result,
        "the scan of what is delivered has found more than passes:",
        "1 findings are CRITICAL, 0 pass",
        "CRITICAL CVE-2026-1234: openssl 3.0.1-1, https://security-tracker.debian.org/tracker/CVE-2026-1234",
        "verification.scan.allow in the stack file",
    )


def test_a_finding_of_inspector_says_what_fixes_it(verified: Verified) -> None:
    result = scanned(verified, scan(OF_INSPECTOR, status="ACTIVE", enhanced=True))
    refused(result, "HIGH CVE-2026-77: jinja2 3.1.2, fixed in 3.1.3, https://nvd.nist.gov/vuln/detail/CVE-2026-77")


def test_the_worst_come_first_and_not_more_than_anybody_reads(verified: Verified) -> None:
    many = [{**CRITICAL, "name": f"CVE-2026-{number:04}", "severity": "HIGH"} for number in range(60)]
    result = scanned(verified, scan(*many, CRITICAL))
    refused(result, "1 findings are CRITICAL, 0 pass", "60 findings are HIGH, 0 pass", "and 11 more")
    lines = [line for line in result.stderr.splitlines() if "CVE-" in line]
    assert len(lines) == 50
    assert "CRITICAL CVE-2026-1234" in lines[0]


def test_as_many_as_the_stack_file_says_pass(verified: Verified) -> None:
    low = {**CRITICAL, "severity": "LOW"}
    result = scanned(verified, scan(CRITICAL, low, low), rules({"CRITICAL": 1, "HIGH": 0}))
    assert result.returncode == 0, result.stderr
    assert "counts 1 CRITICAL, 2 LOW." in result.stdout


def test_a_severity_that_is_not_known_counts_as_undefined(verified: Verified) -> None:
    odd = {**OF_INSPECTOR, "severity": "UNTRIAGED", "packageVulnerabilityDetails": {}}
    refused(
        scanned(verified, scan(odd, enhanced=True), rules({"UNDEFINED": 0})),
        "1 findings are UNDEFINED, 0 pass",
        "UNDEFINED CVE-2026-77 - jinja2: no package named, -",
    )


def test_an_allowed_finding_passes_until_its_day_is_over(verified: Verified) -> None:
    allowed = {"CVE-2026-1234": {"until": "9999-12-31", "reason": "no shell is started"}}
    result = scanned(verified, scan(CRITICAL), rules(**allowed))
    assert result.returncode == 0, result.stderr
    assert "CVE-2026-1234 passes until 9999-12-31: no shell is started" in result.stdout


def test_what_was_allowed_once_counts_again(verified: Verified) -> None:
    allowed = {"CVE-2026-1234": {"until": "2020-12-31", "reason": "no shell is started"}}
    result = scanned(verified, scan(CRITICAL), rules(**allowed))
    refused(result, "1 findings are CRITICAL, 0 pass")
    assert "CVE-2026-1234 was allowed until 2020-12-31: it counts again." in result.stdout


def test_a_scan_that_is_under_way_is_waited_for(verified: Verified) -> None:
    findings = "aws ecr describe-image-scan-findings"
    verified.machine.pace = 0
    verified.machine.answer(findings, code=254, errors=NOT_SCANNED, times=1)
    verified.machine.answer(findings, {"imageScanStatus": {"status": "PENDING"}}, times=2)
    verified.machine.answer(findings, {"imageScanStatus": {"status": "ACTIVE"}}, times=1)
    result = scanned(verified, scan(status="ACTIVE"))
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stdout.splitlines() if "scan is" in line or "no scan" in line] == [
        "    there is no scan yet",
        "    the scan is PENDING",
        "    the scan is ACTIVE",
    ]


@pytest.mark.parametrize("status", ["IN_PROGRESS", ""])
def test_a_scan_that_does_not_come_fails(verified: Verified, status: str) -> None:
    verified.machine.pace = 0
    findings = "aws ecr describe-image-scan-findings"
    if status:
        verified.machine.answer(findings, {"imageScanStatus": {"status": status}})
    else:
        verified.machine.answer(findings, code=254, errors=NOT_SCANNED)
    result = verified.run(Attested(), SCAN_RULES=rules(), SCAN_MINUTES="1")
    words = f"is not scanned yet: {status}" if status else "was never scanned"
    refused(result, words, "timeoutMinutes are over", "put-image-scanning-configuration")
    assert len(verified.machine.called(findings)) == 7


WAITED_FOR = {"IN_PROGRESS", "PENDING", "COMPLETE", "ACTIVE"}


@pytest.mark.parametrize("status", sorted(set(service_model("ecr").shape_for("ScanStatus").enum) - WAITED_FOR))
def test_a_scan_that_ends_otherwise_fails_with_its_reason(verified: Verified, status: str) -> None:
    result = scanned(verified, scan(status=status, description="The operating system is not\x1b supported"))
    refused(result, f"was not scanned: {status}, The operating system is not\\x1b supported", "does not pass")


def test_severities_are_those_of_amazon_ecr() -> None:
    assert set(module("scan_findings").SEVERITIES) == set(service_model("ecr").shape_for("FindingSeverity").enum)


def test_what_is_wrong_with_build_and_scan_is_said_at_once(verified: Verified) -> None:
    verified.machine.answer("aws ecr describe-image-scan-findings", scan(CRITICAL))
    result = verified.run(labelled(revision=OTHER_COMMIT), SCAN_RULES=rules(), SCAN_MINUTES="1")
    refused(result, f"it was built of {OTHER_COMMIT}", "1 findings are CRITICAL, 0 pass")

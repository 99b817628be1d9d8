"""Images are signed in the build and verified before they go further, by the delivered jobs and a real key."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivered_stack import DeliveredStack, artifact, less
from mocked import REGION
from rehearsing import hurried

from components.jobs.buildspec import FOLDER
from local.rehearsal import images, tools
from local.rehearsal.account import make_signing_profile
from local.rehearsal.application import Source
from local.rehearsal.arguments import EXAMPLE
from local.rehearsal.aws_services import ACCOUNT
from local.rehearsal.base_images import builds_of, needed, provide
from local.rehearsal.codebuild import Result, run_build
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.images import Blob, Image
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.pipeline import Status
from local.rehearsal.rehearsal import Options, Rehearsal

pytestmark = pytest.mark.xdist_group("rehearsal")

PROFILES = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/"
PROFILE, ANOTHER = f"{PROFILES}shop_dev", f"{PROFILES}another_team"
NUMBERS = itertools.count(1)
PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"


class Door:
    """The jobs of a stack about signatures, and an image in its repository."""

    def __init__(self, sandbox: JobSandbox, stack: DeliveredStack, action: str, folder: Path) -> None:
        self.sandbox, self.stack, self.action, self.folder = sandbox, stack, action, folder
        self.uri = stack.variables(action)["IMAGE_REPOSITORY_URI"]
        self.name = self.uri.partition("/")[2]
        self.registry, self.signer = sandbox.registry(region=REGION), sandbox.aws.client("signer", region=REGION)
        sandbox.repository(self.name, region=REGION)
        for profile in (PROFILE, ANOTHER):
            make_signing_profile(sandbox.aws, profile)
        self.image = self.pushed()

    def pushed(self) -> Image:
        """An image of its own."""
        made = images.image(images.layer({"page": images.Entry(f"{self.action} {next(NUMBERS)}".encode())}))
        self.registry.push(self.name, made)
        return made

    def run(self, *, without: str = "") -> Result:
        """Run the job for the image; `without` is a permission that its role shall not have."""
        digest, number = self.image.digest, next(NUMBERS)
        description = {"repository": self.uri, "digest": digest, "uri": f"{self.uri}@{digest}"}
        inputs = {"Image": artifact(self.folder / f"image-{number}", image_json=description)}
        deployed = self.stack.deployed
        known = dict.fromkeys(deployed.action(self.action).references, digest)
        policies = less(deployed.policies(self.action), without)
        role = f"{self.action}-{hashlib.sha256(json.dumps(policies).encode()).hexdigest()[:8]}"
        place = self.sandbox.place(self.sandbox.aws.as_role(role, policies, region=REGION), region=REGION)
        build = hurried(self.sandbox.aws, deployed.build(self.action, inputs, known))
        return run_build(build, place, self.folder / f"build-{number}")

    def payload(self, subject: Image | None = None) -> bytes:
        """What is signed of an image."""
        descriptor = (subject or self.image).manifest.descriptor()
        return json.dumps({"targetArtifact": descriptor}).encode()

    def signed(self, payload: bytes, profile: str = PROFILE) -> dict[str, Any]:
        """Have AWS Signer sign, as somebody who may."""
        given: dict[str, Any] = self.signer.sign_payload(
            profileName=profile.rpartition("/")[2], payload=payload, payloadFormat=PAYLOAD
        )
        return given

    def attach(self, envelope: bytes) -> None:
        """Put a signature beside the image."""
        empty, content = Blob("application/vnd.oci.empty.v1+json", b"{}"), Blob("application/jose+json", envelope)
        document = {
            "schemaVersion": 2,
            "mediaType": images.MANIFEST,
            "artifactType": "application/vnd.cncf.notary.signature",
            "config": empty.descriptor(),
            "layers": [content.descriptor()],
            "subject": self.image.manifest.descriptor(),
            "annotations": {"io.cncf.notary.x509chain.thumbprint#S256": json.dumps([f"{next(NUMBERS):064}"])},
        }
        self.registry.push(self.name, Image(Blob(images.MANIFEST, json.dumps(document).encode()), (empty, content)))

    @property
    def signatures(self) -> int:
        """How many the image has."""
        _, _, body = self.registry._ask("GET", f"{self.name}/referrers/{self.image.digest}")
        return len(json.loads(body)["manifests"])


@pytest.fixture
def signing(sandbox: JobSandbox, need: Callable[..., None], tmp_path: Path) -> Door:
    need("notation", "openssl")
    section = {"signature": {"signingProfile": PROFILE}}
    return Door(sandbox, DeliveredStack("dev", {"verification": section}), "SignImage", tmp_path)


@pytest.fixture
def door(sandbox: JobSandbox, need: Callable[..., None], tmp_path: Path) -> Door:
    """Of the stack whose images come from ECR."""
    need("notation", "openssl")
    built = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    section = {**built["ecs-delivery:verification"], "signature": {"signingProfile": PROFILE}}
    return Door(sandbox, DeliveredStack("prod", {"verification": section}), "VerifySignature", tmp_path)


def test_an_image_is_signed_once_by_its_digest(signing: Door) -> None:
    first, again = signing.run(), signing.run()
    assert first.succeeded, first.log
    assert f"{signing.uri}@{signing.image.digest} is signed with {PROFILE}" in first.log
    assert again.succeeded, again.log
    assert f"{signing.uri}@{signing.image.digest} is signed already." in again.log
    assert signing.signatures == 1


@pytest.mark.parametrize("permission", ["signer:SignPayload", "ecr:PutImage"])
def test_who_may_not_sign_or_push_signs_nothing(signing: Door, permission: str) -> None:
    result = signing.run(without=permission)
    assert not result.succeeded
    assert "could not be signed" in result.log
    assert signing.signatures == 0


def test_a_signed_image_passes(door: Door) -> None:
    door.attach(door.signed(door.payload())["signature"])
    result = door.run()
    assert result.succeeded, result.log
    assert f"Everything that is delivered is signed with {PROFILE}" in result.log


def test_an_image_with_a_valid_signature_among_others_passes(door: Door) -> None:
    """As one that managed signing of Amazon ECR has signed, too, by whom it was pushed."""
    door.attach(door.signed(door.payload(), ANOTHER)["signature"])
    door.attach(door.signed(door.payload())["signature"])
    result = door.run()
    assert result.succeeded, result.log


def nothing(_door: Door) -> None:
    """An image that is not signed."""


def another_profile(door: Door) -> None:
    """An image that AWS Signer has signed, with a profile that this stack does not trust."""
    door.attach(door.signed(door.payload(), ANOTHER)["signature"])


def another_digest(door: Door) -> None:
    """An image beside which the valid signature of another image is."""
    door.attach(door.signed(door.payload(door.pushed()))["signature"])


def revoked_signature(door: Door) -> None:
    """An image whose signature was revoked since."""
    given = door.signed(door.payload())
    door.attach(given["signature"])
    door.signer.revoke_signature(jobId=given["jobId"], reason="the build machine was not ours alone")


def another_root(door: Door) -> None:
    """An image that somebody else has signed, and says that the profile has."""
    from local.rehearsal.signer import Signer  # noqa: PLC0415 - it brings the stand-in for AWS into this process

    folder = door.folder / "authority"
    folder.mkdir()
    subject = ("-subj", "/CN=somebody else", "-addext", "keyUsage=critical,keyCertSign")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key")
    command = ["openssl", "req", "-x509", *key, "-days", "2", *subject, "-out", "ca.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    somebody = Signer(folder)
    somebody._certificate()
    number = "11111111-2222-3333-4444-555555555555"
    attributes = {
        "io.cncf.notary.authenticSigningTime": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "io.cncf.notary.signingScheme": "notary.x509.signingAuthority",
        "io.cncf.notary.verificationPlugin": "com.amazonaws.signer.notation.plugin",
        "com.amazonaws.signer.signingJob": f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-jobs/{number}",
        "com.amazonaws.signer.signingProfileVersion": f"{PROFILE}/abcdefghij",
    }
    door.attach(somebody.envelope(door.payload(), attributes))


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (nothing, "no signature is associated with"),
        (another_profile, "The signature is of the signing profile"),
        (another_root, "the signature's certificate chain does not contain any trusted certificate"),
        (another_digest, "content descriptor mismatch"),
        (revoked_signature, "Revoked: arn:aws:signer:"),
    ],
)
def test_a_forged_image_is_refused_with_the_reason_and_what_to_do(
    door: Door, forge: Callable[[Door], None], said: str
) -> None:
    forge(door)
    result = door.run()
    assert not result.succeeded
    assert said in result.log, result.log
    assert f"without a valid signature of {PROFILE}, for the reason that Notation gives above:" in result.log
    assert f"  - {door.uri}@{door.image.digest}\n" in result.log
    assert "is signed when that pipeline is started again" in result.log


def test_who_may_not_ask_for_revocations_lets_nothing_pass(door: Door) -> None:
    door.attach(door.signed(door.payload())["signature"])
    result = door.run(without="signer:GetRevocationStatus")
    assert not result.succeeded
    assert "GetRevocationStatus" in result.log, result.log


@pytest.mark.parametrize(
    ("profile", "form", "said"),
    [
        ("nobody", PAYLOAD, "profile with name nobody does not exist"),
        ("shop_dev", "application/json", "does not sign application/json"),
    ],
)
def test_the_stand_in_for_aws_signer_signs_what_aws_would(door: Door, profile: str, form: str, said: str) -> None:
    with pytest.raises(Exception, match=said):
        door.signer.sign_payload(profileName=profile, payload=b"{}", payloadFormat=form)


def test_the_stand_in_for_aws_signer_signs_for_no_other_account(door: Door) -> None:
    with pytest.raises(Exception, match="210987654321"):
        door.signer.sign_payload(
            profileName="shop_dev", profileOwner="210987654321", payload=b"{}", payloadFormat=PAYLOAD
        )


def test_what_a_job_builds_is_what_was_built_here_of_the_same_sources(
    need: Callable[..., None], tmp_path: Path
) -> None:
    """The machine's `go` gives the job a command that was built before, and refuses it for other sources."""
    need("notation")
    environment = {
        "PATH": "/usr/bin:/bin",
        "REHEARSAL_NOTATION": str(tools.notation().bin),
        "REHEARSAL_SOURCES": str(FOLDER / "notation"),
    }
    go = str(ROOT / "local" / "rehearsal" / "go.sh")
    build = [go, "build", "-C", str(FOLDER / "notation"), "-o", str(tmp_path / "made")]
    package = "github.com/notaryproject/notation/cmd/notation"
    subprocess.run([*build, package], env=environment, check=True)
    assert (tmp_path / "made").read_bytes() == (tools.notation().bin / "notation").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    refused = subprocess.run([go, "build", "-C", str(other), "-o", "x", package], env=environment, check=False)
    assert refused.returncode == 1


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "dev": {"ecs-delivery:tests": {"enabled": False}},
    "prod": {"ecs-delivery:release": {"enabled": False}},
}


@pytest.mark.engine
def test_what_dev_signs_is_verified_before_its_promotion_and_in_prod(need: Callable[..., None], tmp_path: Path) -> None:
    need("namespaces", "docker", "builder", "ministack", "aws", "haproxy", "notation")
    graphs = {}
    for stack, changes in CHANGES.items():
        content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
        content["config"] |= changes
        section = content["config"].setdefault("ecs-delivery:verification", {})
        section["signature"] = {"signingProfile": f"arn:aws:signer:eu-west-1:{ACCOUNT}:/signing-profiles/shop_dev"}
        file = tmp_path / f"{stack}.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        graphs[stack] = deployed_graph(stack, file)
    source = Source.of(EXAMPLE, tmp_path / "application", branch="main")
    provided = provide(needed(source.folder, builds_of(*map(Deployed.of, graphs.values()))), network=False)
    with Rehearsal(Options(graphs=graphs, images=provided, decide=lambda *_: True), lambda *_: None) as rehearsal:
        dev = rehearsal.push("dev", source)
        rehearsal.wait()
        prod = rehearsal.stacks["prod"].runner.executions

    runs = [run for execution in (dev, *prod) for run in execution.actions]
    failed = [run for run in runs if run.error]
    assert not failed, "\n".join(str(run.log) for run in failed)
    assert [execution.status for execution in (dev, *prod)] == [Status.SUCCEEDED] * 2
    about = [(run.action.stage, run.action.name) for run in runs if "Sign" in run.action.name]
    assert about == [("Build", "SignImage"), ("Promote", "VerifySignature"), ("Build", "VerifySignature")]

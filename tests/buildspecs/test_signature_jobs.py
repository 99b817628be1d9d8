"""The jobs that sign and verify: what they build, trust and call; Notation itself runs in tests/rehearsal."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import zipfile
from pathlib import Path

import pytest
from fake_tools import DIGEST, OTHER_DIGEST, REPOSITORY, Machine, image, module

from components.jobs.buildspec import FOLDER
from components.jobs.bundle import pack

PROFILE = "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop_dev"
VARIABLES = {
    "IMAGE_REPOSITORY_URI": REPOSITORY,
    "IMAGE_DIGEST": DIGEST,
    "FURTHER_IMAGES": "{}",
    "FURTHER_DIGESTS": "",
    "SIGNING_PROFILE": PROFILE,
}
PLUGIN = "com.amazonaws.signer.notation.plugin"
NOTATION = FOLDER / "notation"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    notation = made.bin / "notation"
    notation.write_text((made.bin / "go").read_text().replace(" go ", " notation ").replace("of go", "of notation"))
    notation.chmod(0o755)
    made.answer("go build", files={"{-o}": f'#!/bin/sh\nexec {made.bin}/notation "$@"\n'})
    token = base64.b64encode(b"AWS:open sesame").decode()
    made.answer(
        "aws ecr get-authorization-token",
        {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": "https://" + REPOSITORY.split("/")[0]}]},
    )
    made.file("image.json", image())
    made.variables = {**VARIABLES, "TMPDIR": str(tmp_path)}
    return made


def test_an_unsigned_image_is_signed_with_the_profile_by_its_digest(machine: Machine) -> None:
    machine.answer("notation verify", "Error: no signature is associated", code=1)
    machine.answer("notation sign", f"Successfully signed {REPOSITORY}@{DIGEST}")
    result = machine.run("sign_image")
    assert result.returncode == 0, result.stderr
    (call,) = machine.called("notation sign")
    assert call.words[1:] == [
        *("sign", "--force-referrers-tag=false", "--plugin", PLUGIN, "--id", PROFILE),
        f"{REPOSITORY}@{DIGEST}",
    ]
    assert f"{REPOSITORY}@{DIGEST} is signed with {PROFILE}" in result.stdout
    assert f"Successfully signed {REPOSITORY}@{DIGEST}" in result.stdout


def test_a_signed_image_is_not_signed_again(machine: Machine) -> None:
    machine.answer("notation verify", "Successfully verified signature")
    result = machine.run("sign_image")
    assert result.returncode == 0
    assert not machine.called("notation sign")
    assert f"{REPOSITORY}@{DIGEST} is signed already." in result.stdout


def test_what_aws_signer_refuses_ends_the_job_with_its_words(machine: Machine) -> None:
    machine.answer("notation verify", code=1)
    machine.answer("notation sign", "Error: Failed to call AWSSigner.", code=1)
    result = machine.run("sign_image")
    assert result.returncode == 1
    assert f"FAILED: {REPOSITORY}@{DIGEST} could not be signed: Notation ended with code 1." in result.stderr
    assert "Error: Failed to call AWSSigner." in result.stderr
    assert f"Look whether the signing profile {PROFILE} is active and of the platform Notation-OCI-SHA384-ECDSA" in (
        result.stderr
    )


def test_each_image_is_verified_and_all_that_are_refused_are_named(machine: Machine) -> None:
    further = {
        "FURTHER_IMAGES": json.dumps({"nginx": f"{REPOSITORY}-nginx"}),
        "FURTHER_DIGESTS": f"nginx={OTHER_DIGEST}",
    }
    machine.answer(f"notation verify {REPOSITORY}@{DIGEST}", "Error: signature verification failed", code=1)
    machine.answer(f"notation verify {REPOSITORY}-nginx@{OTHER_DIGEST}", "Successfully verified signature")
    result = machine.run("verify_signature", **further)
    assert result.returncode == 1
    assert f"FAILED: without a valid signature of {PROFILE}" in result.stderr
    assert f"  - {REPOSITORY}@{DIGEST}\n" in result.stderr
    assert OTHER_DIGEST not in result.stderr
    assert len(machine.called("notation verify")) == 2


def test_a_signed_image_passes(machine: Machine) -> None:
    machine.answer("notation verify", "Successfully verified signature")
    result = machine.run("verify_signature")
    assert result.returncode == 0, result.stderr
    assert f"Everything that is delivered is signed with {PROFILE}" in result.stdout


def test_notation_gets_the_password_of_the_registry_and_nobody_sees_it(machine: Machine) -> None:
    machine.answer("notation verify", "open sesame")
    result = machine.run("verify_signature")
    (call,) = machine.called("notation verify")
    assert (call.env["NOTATION_USERNAME"], call.env["NOTATION_PASSWORD"]) == ("AWS", "open sesame")
    assert "open sesame" not in result.stdout + " ".join(call.words)


def configuration(machine: Machine) -> Path:
    """Notation's configuration of the last run."""
    call = machine.called("notation verify")[-1]
    return Path(call.env["NOTATION_CONFIG"])


def test_one_profile_is_trusted_for_these_repositories_by_the_root_certificate_of_aws_signer(machine: Machine) -> None:
    machine.answer("notation verify")
    machine.run("verify_signature")
    config = configuration(machine)
    policy = config / "trustpolicy.json"
    assert json.loads(policy.read_text()) == {
        "version": "1.0",
        "trustPolicies": [
            {
                "name": "delivered",
                "registryScopes": [REPOSITORY],
                "signatureVerification": {"level": "strict"},
                "trustStores": ["signingAuthority:aws-signer"],
                "trustedIdentities": [PROFILE],
            }
        ],
    }
    assert stat.S_IMODE(policy.stat().st_mode) == 0o600
    (trusted,) = (config / "truststore" / "x509" / "signingAuthority" / "aws-signer").iterdir()
    assert trusted.read_bytes() == (NOTATION / "aws-signer-root.pem").read_bytes()


def test_where_aws_has_other_certificates_its_signatures_have_too(machine: Machine, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("of a rehearsal")
    machine.answer("notation verify")
    machine.run("verify_signature", AWS_CA_BUNDLE=str(bundle))
    store = configuration(machine) / "truststore" / "x509" / "signingAuthority" / "aws-signer"
    assert (store / "aws-ca-bundle.pem").read_text() == "of a rehearsal"


def test_the_root_certificate_is_the_one_that_signatures_of_aws_signer_end_with() -> None:
    """As `notation inspect` shows it in aws-samples/container-patterns, of 2023."""
    text = (NOTATION / "aws-signer-root.pem").read_text(encoding="utf-8")
    found = re.findall(r"-----BEGIN CERTIFICATE-----\n(.*?)-----END CERTIFICATE-----", text, re.DOTALL)
    assert [hashlib.sha256(base64.b64decode(each)).hexdigest() for each in found] == [
        "90a87d0543c3f094dbff9589b6649affe2f3d6e0f308799be2258461c686473f"
    ]


def test_notation_is_built_of_the_locked_sources_and_nothing_else(machine: Machine) -> None:
    machine.answer("notation verify")
    machine.run("verify_signature")
    (call,) = machine.called("go build")
    assert call.words[-1] == "github.com/notaryproject/notation/cmd/notation"
    wanted = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}
    assert {name: call.env[name] for name in wanted} == wanted
    assert contents(configuration(machine).parent / "sources") == contents(NOTATION)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_sources_come_with_the_bundle_of_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "jobs.pyz"
    bundle.write_bytes(pack())
    notation = module("notation")
    monkeypatch.setattr(notation, "_ROOT", bundle)
    assert notation._sources() == contents(NOTATION)
    with zipfile.ZipFile(bundle) as archive:
        assert "notation/go.sum" in archive.namelist()


def test_a_build_that_fails_says_so(machine: Machine) -> None:
    machine._rules[:] = [rule for rule in machine._rules if rule["words"] != ["go", "build"]]
    machine.answer("go build", code=1, errors="verifying module: checksum mismatch")
    result = machine.run("verify_signature")
    assert result.returncode == 1
    assert "verifying module: checksum mismatch" in result.stderr


@pytest.mark.parametrize(
    "profile",
    [f"{PROFILE}/abcdefghij", "shop_dev", "arn:aws:signer:eu-west-1:123456789012:/signing-jobs/shop_dev"],
)
def test_what_is_no_signing_profile_is_refused(machine: Machine, profile: str) -> None:
    result = machine.run("verify_signature", SIGNING_PROFILE=profile)
    assert result.returncode == 2
    assert "SIGNING_PROFILE must be arn:aws:signer:<region>:<account>:/signing-profiles/<name>" in result.stderr
    assert not machine.called("aws")


def test_a_registry_that_is_not_amazon_ecr_gets_no_password(machine: Machine) -> None:
    other = "registry.example.com/shop"
    machine.file("image.json", image(repository=other))
    result = machine.run("verify_signature", IMAGE_REPOSITORY_URI=other)
    assert result.returncode == 1
    assert "registry.example.com is no registry of Amazon ECR" in result.stderr
    assert not machine.called("go build")

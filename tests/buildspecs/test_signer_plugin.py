"""The plugin by which Notation asks AWS Signer, called as Notation does; Notation itself runs in tests/rehearsal."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fake_tools import Machine, module

PROFILE = "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/shop_dev"
JOB = "arn:aws:signer:eu-west-1:123456789012:/signing-jobs/11111111-2222-3333-4444-555555555555"
IDENTITY, REVOCATION = "SIGNATURE_VERIFIER.TRUSTED_IDENTITY", "SIGNATURE_VERIFIER.REVOCATION_CHECK"
PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"
TO_SIGN = {
    "contractVersion": "1.0",
    "keyId": PROFILE,
    "payloadType": PAYLOAD,
    "signatureEnvelopeType": "application/jose+json",
    "payload": base64.b64encode(b"{}").decode(),
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that signs itself, so long that its lengths take two bytes and more."""
    folder = tmp_path_factory.mktemp("chain")
    subject = ("-subj", f"/CN={'x' * 60}", "-addext", "keyUsage=critical,keyCertSign")
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem")
    command = ["openssl", "req", "-x509", *key, "-days", "2", *subject, "-out", "certificate.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for options in (
        ["x509", "-outform", "DER", "-out", "certificate.der"],
        ["asn1parse", "-strparse", "4", "-noout", "-out", "tbs"],
    ):
        subprocess.run(["openssl", *options, "-in", "certificate.pem"], cwd=folder, check=True, capture_output=True)
    return folder


def signature(*, scheme: str = "notary.x509.signingAuthority", **attributes: str) -> dict[str, Any]:
    own = {
        "com.amazonaws.signer.signingProfileVersion": f"{PROFILE}/abcdefghij",
        "com.amazonaws.signer.signingJob": JOB,
        **attributes,
    }
    return {
        "criticalAttributes": {
            "signingScheme": scheme,
            "authenticSigningTime": "2026-11-30T12:00:00Z",
            "extendedAttributes": {name: value for name, value in own.items() if value},
        },
        "certificateChain": [],
    }


def to_verify(*asked: str, trusted: str = PROFILE, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    policy = {"trustedIdentities": [trusted], "signatureVerification": list(asked or (IDENTITY, REVOCATION))}
    return {"contractVersion": "1.0", "signature": signature(), "trustPolicy": policy, **more}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    return made


def ask(machine: Machine, command: str, request: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """What it answers."""
    machine.publish()
    output = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    monkeypatch.setattr("sys.stdout", output)
    module("signer_plugin").answer(command)
    found: dict[str, Any] = json.loads(output.getvalue())
    return found


def refused(machine: Machine, command: str, request: Any, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ANN401 - JSON
    """The message it refuses with."""
    errors = io.StringIO()
    monkeypatch.setattr("sys.stderr", errors)
    with pytest.raises(SystemExit) as end:
        ask(machine, command, request, monkeypatch)
    assert end.value.code == 1
    found: dict[str, str] = json.loads(errors.getvalue())
    assert found["errorCode"] == "VALIDATION_ERROR"
    return found["errorMessage"]


def test_it_says_what_it_can(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(machine, "get-plugin-metadata", {}, monkeypatch)
    assert found["name"] == "com.amazonaws.signer.notation.plugin"
    assert found["capabilities"] == ["SIGNATURE_GENERATOR.ENVELOPE", IDENTITY, REVOCATION]


def test_aws_signer_signs_the_payload_with_the_profile_of_its_account(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = machine.folder / "payload"
    machine.answer("aws signer sign-payload", {"signature": "c2lnbmVk", "jobId": "1"}, keeps={"--payload": str(kept)})
    found = ask(machine, "generate-envelope", TO_SIGN, monkeypatch)
    assert found == {
        "signatureEnvelope": "c2lnbmVk",
        "signatureEnvelopeType": "application/jose+json",
        "annotations": {},
    }
    assert kept.read_text() == "{}"
    (call,) = machine.called("aws signer")
    for option, value in {
        "--region": "eu-west-1",
        "--profile-owner": "123456789012",
        "--profile-name": "shop_dev",
        "--payload-format": PAYLOAD,
    }.items():
        assert call.after(option) == [value]


def test_a_signature_of_the_trusted_profile_that_is_not_revoked_is_valid(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, chain: Path
) -> None:
    machine.answer("aws signer get-revocation-status", {"revokedEntities": []})
    request = to_verify()
    certificate = base64.b64encode((chain / "certificate.der").read_bytes()).decode()
    request["signature"]["certificateChain"] = [certificate, certificate]
    found = ask(machine, "verify-signature", request, monkeypatch)
    assert {name: each["success"] for name, each in found["verificationResults"].items()} == {
        IDENTITY: True,
        REVOCATION: True,
    }
    assert found["processedAttributes"] == [
        "com.amazonaws.signer.signingProfileVersion",
        "com.amazonaws.signer.signingJob",
    ]
    (call,) = machine.called("aws signer")
    own = hashlib.sha384((chain / "tbs").read_bytes()).hexdigest()
    start = call.words.index("--certificate-hashes")
    assert call.words[start + 1 : start + 3] == [own + own, own + own]
    assert call.after("--profile-version-arn") == [f"{PROFILE}/abcdefghij"]
    assert call.after("--job-arn") == [JOB]
    assert call.after("--signature-timestamp") == ["2026-11-30T12:00:00Z"]


@pytest.mark.parametrize("trusted", [f"{PROFILE}x", PROFILE[:-1], PROFILE.replace("shop_dev", "other"), "*"])
def test_a_signature_of_another_profile_is_not_trusted(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    found = ask(machine, "verify-signature", to_verify(IDENTITY, trusted=trusted), monkeypatch)
    assert found["verificationResults"] == {
        IDENTITY: {
            "success": False,
            "reason": f"The signature is of the signing profile {PROFILE}/abcdefghij; trusted: {trusted}.",
        }
    }
    assert not machine.called("aws")


def test_what_is_revoked_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.answer("aws signer get-revocation-status", {"revokedEntities": [JOB]})
    found = ask(machine, "verify-signature", to_verify(REVOCATION), monkeypatch)
    assert found["verificationResults"] == {REVOCATION: {"success": False, "reason": f"Revoked: {JOB}."}}


@pytest.mark.parametrize(
    ("command", "request_", "said"),
    [
        ("describe-key", {}, "this plugin has no command describe-key."),
        ("generate-envelope", {**TO_SIGN, "signatureEnvelopeType": "application/cose"}, "not as application/cose"),
        ("verify-signature", to_verify(signature=signature(scheme="notary.x509")), "is not one of AWS Signer"),
        (
            "verify-signature",
            to_verify(signature=signature(**{"com.amazonaws.signer.signingJob": ""})),
            "is not one of AWS Signer",
        ),
        ("verify-signature", to_verify("SIGNATURE_VERIFIER.MOON"), "does not verify SIGNATURE_VERIFIER.MOON"),
    ],
)
def test_what_it_does_not_answer_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, command: str, request_: dict[str, Any], said: str
) -> None:
    assert said in refused(machine, command, request_, monkeypatch)


def test_what_aws_refuses_is_told_to_notation(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.answer("aws signer get-revocation-status", code=254, errors="An error occurred (AccessDeniedException)")
    assert "An error occurred (AccessDeniedException)" in refused(
        machine, "verify-signature", to_verify(REVOCATION), monkeypatch
    )


@pytest.mark.parametrize(("der", "content"), [(b"\x30\x03abc", b"abc"), (b"\x30\x81\x03abc", b"abc")])
def test_an_element_of_a_certificate_has_a_length_of_one_byte_or_of_several(der: bytes, content: bytes) -> None:
    start, end = module("signer_plugin")._content(der, 0)
    assert der[start:end] == content

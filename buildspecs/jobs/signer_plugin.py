"""AWS Signer as a plugin of Notation, which runs it with a request on standard input and reads its answer.

Notation verifies a signature, its certificates and its expiry. Of AWS Signer's it asks a plugin of this name besides:
which signing profile it is of, and whether anything of it is revoked.
https://github.com/notaryproject/specifications/blob/main/specs/plugin-extensibility.md

AWS has one in Go (https://github.com/aws/aws-signer-notation-plugin), which would have to be fetched as well. This one
asks the same of the AWS CLI, and trusts no more: a profile by its whole ARN.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import operator
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs import job

NAME = "com.amazonaws.signer.notation.plugin"
VERSION = "1.0.350"
"""The version of AWS's plugin that does the same: a signature can demand one."""
CONTRACT = "1.0"
PLATFORM = "Notation-OCI-SHA384-ECDSA"
ENVELOPE = "application/jose+json"
SCHEME = "notary.x509.signingAuthority"
IDENTITY, REVOCATION = "SIGNATURE_VERIFIER.TRUSTED_IDENTITY", "SIGNATURE_VERIFIER.REVOCATION_CHECK"
PROFILE_VERSION, SIGNING_JOB = "com.amazonaws.signer.signingProfileVersion", "com.amazonaws.signer.signingJob"

Answer = dict[str, Any]


class RefusedError(Exception):
    """A request that this plugin does not answer."""


def metadata(_request: Mapping[str, Any]) -> Answer:
    """What this plugin is."""
    return {
        "name": NAME,
        "description": "AWS Signer, by the AWS CLI",
        "version": VERSION,
        "url": "https://docs.aws.amazon.com/signer/latest/developerguide/container-workflow.html",
        "supportedContractVersions": [CONTRACT],
        "capabilities": ["SIGNATURE_GENERATOR.ENVELOPE", IDENTITY, REVOCATION],
    }


def envelope(request: Mapping[str, Any]) -> Answer:
    """Have AWS Signer sign: https://docs.aws.amazon.com/signer/latest/api/API_SignPayload.html."""
    if request["signatureEnvelopeType"] != ENVELOPE:
        raise RefusedError(f"AWS Signer gives signatures as {ENVELOPE}, not as {request['signatureEnvelopeType']}.")
    *_, region, account, profile = request["keyId"].split(":")
    with tempfile.TemporaryDirectory() as folder:
        payload = Path(folder, "payload")
        payload.write_bytes(base64.b64decode(request["payload"]))
        given = job.aws(
            "Sign",
            *("signer", "sign-payload", "--region", region, "--profile-owner", account),
            *("--profile-name", profile.rpartition("/")[2], "--payload", f"fileb://{payload}"),
            *("--payload-format", request["payloadType"]),
        )
    return {
        "signatureEnvelope": given["signature"],
        "signatureEnvelopeType": ENVELOPE,
        "annotations": given.get("metadata") or {},
    }


def verdicts(request: Mapping[str, Any]) -> Answer:
    """Say whether a signature is of a trusted profile, and whether it, its profile or a certificate is revoked."""
    signature, policy = request["signature"], request["trustPolicy"]
    attributes = signature["criticalAttributes"]
    own = attributes.get("extendedAttributes") or {}
    if attributes.get("signingScheme") != SCHEME or not {PROFILE_VERSION, SIGNING_JOB} <= own.keys():
        raise RefusedError(
            "the signature is not one of AWS Signer: it lacks the profile, the job or the scheme of one."
        )
    questions: dict[str, Callable[[], tuple[bool, str]]] = {
        IDENTITY: lambda: of_trusted(str(own[PROFILE_VERSION]), policy["trustedIdentities"]),
        REVOCATION: lambda: still_valid(attributes, signature["certificateChain"]),
    }
    asked = policy["signatureVerification"]
    if not set(asked) <= questions.keys():
        raise RefusedError(f"this plugin does not verify {', '.join(sorted(set(asked) - questions.keys()))}.")
    found = {question: questions[question]() for question in asked}
    return {
        "verificationResults": {name: {"success": good, "reason": why} for name, (good, why) in found.items()},
        "processedAttributes": [PROFILE_VERSION, SIGNING_JOB],
    }


def of_trusted(version: str, identities: list[str]) -> tuple[bool, str]:
    """Whether a signature of this version of a profile is of one of these profiles; the version stands behind it."""
    profile = version.rpartition("/")[0]
    return (
        profile in identities,
        f"The signature is of the signing profile {version}; trusted: {', '.join(identities)}.",
    )


def still_valid(attributes: Mapping[str, Any], chain: list[str]) -> tuple[bool, str]:
    """Whether nothing is revoked: https://docs.aws.amazon.com/signer/latest/api/API_GetRevocationStatus.html."""
    own = attributes["extendedAttributes"]
    found = job.aws(
        "Ask whether it is revoked",
        *("signer", "get-revocation-status", "--region", str(own[PROFILE_VERSION]).split(":")[3]),
        *("--platform-id", PLATFORM, "--signature-timestamp", attributes["authenticSigningTime"]),
        *("--profile-version-arn", str(own[PROFILE_VERSION]), "--job-arn", str(own[SIGNING_JOB])),
        *("--certificate-hashes", *hashes([base64.b64decode(each) for each in chain])),
    )
    revoked = found.get("revokedEntities") or []
    return not revoked, f"Revoked: {', '.join(revoked)}." if revoked else "Nothing is revoked."


def hashes(chain: list[bytes]) -> list[str]:
    """What AWS Signer knows certificates by: the hash of what is signed of each, and of the one that signs it.

    The last one of the chain signs itself. Page as `still_valid`, certificateHashes.
    """
    own = [hashlib.sha384(_signed_part(certificate)).hexdigest() for certificate in chain]
    return list(map(operator.add, own, [*own[1:], *own[-1:]]))


def _signed_part(certificate: bytes) -> bytes:
    """The `tbsCertificate` of an X.509 certificate: https://www.rfc-editor.org/rfc/rfc5280#section-4.1."""
    start, _ = _content(certificate, 0)
    return certificate[start : _content(certificate, start)[1]]


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of an element in DER begins and ends."""
    length, start = der[at + 1], at + 2
    if length & 0x80:  # the number of bytes that hold the length
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start], "big")
    return start, start + length


COMMANDS: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
    "get-plugin-metadata": metadata,
    "generate-envelope": envelope,
    "verify-signature": verdicts,
}


def _answered(command: str, request: Mapping[str, Any]) -> Answer:
    if command not in COMMANDS:
        raise RefusedError(f"this plugin has no command {command}.")
    return COMMANDS[command](request)


def answer(command: str) -> None:
    """Answer one request of Notation; what goes wrong is an object, too, on standard error."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            given = _answered(command, json.load(sys.stdin))
    except (RefusedError, SystemExit) as error:
        text = str(error) if isinstance(error, RefusedError) else said.getvalue()
        json.dump({"errorCode": "VALIDATION_ERROR", "errorMessage": text.strip()}, sys.stderr)
        raise SystemExit(1) from None
    json.dump(given, sys.stdout)

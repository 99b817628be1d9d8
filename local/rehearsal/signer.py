"""AWS Signer as far as images are signed with it and their signatures verified.

ministack has the signing profiles, checks signatures of requests and evaluates IAM policies. This adds what it lacks:
SignPayload, GetRevocationStatus, RevokeSignature and RevokeSigningProfile
(https://docs.aws.amazon.com/signer/latest/api/API_Operations.html). SignPayload gives a real signature, by a key whose
certificate ends with the authority of the machine and not with Amazon's, as jobs find it in `AWS_CA_BUNDLE`.

The envelope is that of https://github.com/notaryproject/specifications/blob/main/specs/signature-envelope-jws.md, with
the attributes that AWS Signer gives it (https://github.com/aws-samples/container-patterns, `notation inspect` in
ecs-fargate-container-image-signing-and-verification).

Signing for another account, which its profile can allow there, is refused: no stack here is to do it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ministack.core import iam_actions, responses  # type: ignore[import-untyped]  # ships no types
from ministack.services import signer  # type: ignore[import-untyped]  # ships no types

PLATFORM = "Notation-OCI-SHA384-ECDSA"
PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"
_SIGN, _REVOCATIONS = "/signing-jobs/with-payload", "/revocations"
_NOTARY, _AWS = "io.cncf.notary", "com.amazonaws.signer"
_COORDINATE = 48
"""Bytes of each of the two numbers in a signature with P-384."""
_LEAF = """\
basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=codeSigning
"""

Response = tuple[int, dict[str, str], bytes]


class Signer:
    """What ministack's AWS Signer lacks."""

    def __init__(self, authority: Path) -> None:
        """Describe it.

        Args:
            authority: The folder with ``ca.pem`` and ``ca.key``; the certificate that signs is made there.
        """
        self._authority = authority
        self._revoked: dict[str, float] = {}
        self._handle, self._resource = signer.handle_request, iam_actions.extract_resource_arn

    def install(self) -> None:
        """Answer in ministack's place, after it has looked at who asks."""
        signer.handle_request = self._answer
        iam_actions.extract_resource_arn = self._resource_of

    def _resource_of(self, service: str, method: str, path: str, *request: Any) -> str:  # noqa: ANN401 - as ministack's
        """What a request is allowed on: signing on the profile of the account that it names, asking on the job.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssigner.html
        """
        if service != "signer" or path not in (_SIGN, _REVOCATIONS):
            resource: str = self._resource(service, method, path, *request)
            return resource
        _headers, body, query, region, account = request
        if path == _REVOCATIONS:
            job = query.get("jobArn", "*")
            return str(job[0] if isinstance(job, list) else job)
        asked = json.loads(body)
        owner = asked.get("profileOwner") or account
        return f"arn:aws:signer:{region}:{owner}:/signing-profiles/{asked.get('profileName')}"

    async def _answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> Response:
        """Answer a request whose permission has been looked at."""
        asked = json.loads(body or b"{}")
        match path.strip("/").split("/"):
            case ["signing-jobs", "with-payload"] if method == "POST":
                return self._sign(asked)
            case ["revocations"] if method == "GET":
                return self._status(query)
            case ["signing-jobs", job, "revoke"] if method == "PUT":
                return self._revoke(_arn(f"/signing-jobs/{job}"), 0)
            case ["signing-profiles", name, "revoke"] if method == "PUT":
                version = _arn(f"/signing-profiles/{name}/{asked['profileVersion']}")
                return self._revoke(version, float(asked["effectiveTime"]))
        answer: Response = await self._handle(method, path, headers, body, query)
        return answer

    def _sign(self, asked: Mapping[str, str]) -> Response:
        """SignPayload: https://docs.aws.amazon.com/signer/latest/api/API_SignPayload.html."""
        name, account = asked["profileName"], responses.get_account_id()
        if asked.get("profileOwner", account) != account:
            return _refusal(403, "AccessDeniedException", f"{asked['profileOwner']} does not let {account} use {name}")
        profile = signer._profiles.get(name)  # noqa: SLF001 - it has no other way
        if profile is None or profile["status"] != "Active":
            return _refusal(404, "ResourceNotFoundException", f"profile with name {name} does not exist")
        if profile["platformId"] != PLATFORM or asked["payloadFormat"] != PAYLOAD:
            what = f"{profile['platformId']} does not sign {asked['payloadFormat']}"
            return _refusal(400, "ValidationException", what)
        self._certificate()  # it is valid from when it is made, which is not to be after the signature
        number, now = str(uuid.uuid4()), int(time.time())
        attributes = {
            f"{_NOTARY}.authenticSigningTime": _instant(now),
            f"{_NOTARY}.expiry": _instant(
                signer._signature_expires_at(now, profile["signatureValidityPeriod"])  # noqa: SLF001 - as above
            ),
            f"{_NOTARY}.signingScheme": "notary.x509.signingAuthority",
            f"{_NOTARY}.verificationPlugin": f"{_AWS}.notation.plugin",
            f"{_AWS}.signingJob": _arn(f"/signing-jobs/{number}"),
            f"{_AWS}.signingProfileVersion": profile["profileVersionArn"],
        }
        envelope = self.envelope(base64.b64decode(asked["payload"]), attributes)
        given = {"jobId": number, "jobOwner": account, "metadata": {}, "signature": base64.b64encode(envelope).decode()}
        return _answer(200, given)

    def envelope(self, payload: bytes, attributes: Mapping[str, str]) -> bytes:
        """Sign a payload with these signed attributes."""
        protected = {"alg": "ES384", "cty": PAYLOAD, "crit": sorted(attributes), **attributes}
        words = {"payload": _encoded(payload), "protected": _encoded(json.dumps(protected).encode())}
        key, chain = self._certificate()
        signed = f"{words['protected']}.{words['payload']}".encode()
        der = _openssl(self._authority, "dgst", "-sha384", "-sign", key, given=signed)
        header = {"x5c": [base64.b64encode(each).decode() for each in chain]}
        return json.dumps({**words, "header": header, "signature": _encoded(_numbers(der))}).encode()

    def _certificate(self) -> tuple[str, list[bytes]]:
        """The key that signs, and the chain of its certificate; made when it is first wanted."""
        folder, key = self._authority, "signer.key"
        if not (folder / key).exists():
            (folder / "signer.ext").write_text(_LEAF)
            request = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes", "-keyout", key)
            subject = "/C=US/ST=WA/L=Seattle/O=AWS/OU=AWS Cryptography/CN=AWS Signer"
            _openssl(folder, "req", *request, "-subj", subject, "-out", "signer.csr")
            authority = ("-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", str(uuid.uuid4().int >> 64), "-days", "2")
            made = ("-extfile", "signer.ext", "-out", "signer.pem")
            _openssl(folder, "x509", "-req", "-in", "signer.csr", "-sha384", *authority, *made)
        return key, [_openssl(folder, "x509", "-in", name, "-outform", "DER") for name in ("signer.pem", "ca.pem")]

    def _status(self, query: Mapping[str, Any]) -> Response:
        """GetRevocationStatus: https://docs.aws.amazon.com/signer/latest/api/API_GetRevocationStatus.html."""
        given = {name: value if isinstance(value, list) else [value] for name, value in query.items()}
        missing = {
            "signatureTimestamp",
            "platformId",
            "profileVersionArn",
            "jobArn",
            "certificateHashes",
        } - given.keys()
        if missing or given["platformId"] != [PLATFORM] or given["certificateHashes"] != self._hashes():
            what = f"missing {sorted(missing)}, another platform than {PLATFORM}, or other certificates"
            return _refusal(400, "ValidationException", what)
        signed = datetime.fromisoformat(given["signatureTimestamp"][0]).timestamp()
        entities = (*given["jobArn"], *given["profileVersionArn"])
        revoked = [entity for entity in entities if self._revoked.get(entity, signed + 1) <= signed]
        return _answer(200, {"revokedEntities": revoked})

    def _hashes(self) -> list[str]:
        """What certificates are known by: see certificateHashes at :meth:`_status`."""
        self._certificate()
        parts = [
            _openssl(self._authority, "asn1parse", "-in", name, "-strparse", "4", "-noout", "-out", "/dev/stdout")
            for name in ("signer.pem", "ca.pem")
        ]
        leaf, root = (hashlib.sha384(part).hexdigest() for part in parts)
        return [leaf + root, root + root]

    def _revoke(self, entity: str, since: float) -> Response:
        self._revoked[entity] = since
        return _answer(200, {})


def _arn(resource: str) -> str:
    return f"arn:aws:signer:{responses.get_region()}:{responses.get_account_id()}:{resource}"


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _encoded(content: bytes) -> str:
    """The content as JSON Web Signatures have it: https://www.rfc-editor.org/rfc/rfc7515#section-2."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _numbers(der: bytes) -> bytes:
    """The two numbers of an ECDSA signature side by side: https://www.rfc-editor.org/rfc/rfc7518#section-3.4."""
    numbers, rest = [], der[2:]
    while rest:
        length = rest[1]
        numbers.append(int.from_bytes(rest[2 : 2 + length], "big").to_bytes(_COORDINATE, "big"))
        rest = rest[2 + length :]
    return b"".join(numbers)


def _openssl(folder: Path, *words: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], cwd=folder, input=given, capture_output=True, check=True).stdout


def _answer(status: int, content: Mapping[str, Any], **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, json.dumps(content).encode()


def _refusal(status: int, code: str, message: str) -> Response:
    return _answer(status, {"message": message, "code": code}, x_amzn_errortype=code)

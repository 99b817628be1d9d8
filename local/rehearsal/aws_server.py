"""The stand-in for AWS, as a process: ministack, and around it what Amazon ECR does beyond that.

ministack answers the AWS API, checks signatures and IAM policies, and is an image registry too. Its registry is open to
everybody and believes everything, so this puts the rest in front of it:

- A registry token belongs to who asked for it. The registry wants one, and asks the caller's IAM policies for the
  permission that Amazon ECR wants for the request: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html,
  https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html.
- A manifest is refused while something that it names is missing, and a tag that may not move does not.
- A layer comes by a redirect to a signed address in object storage, which refuses a request that brings credentials.
- A layer of another repository is mounted only where the account setting BLOB_MOUNTING is on and both repositories are
  encrypted alike; else the client is to send it ("Blob mounting in Amazon ECR").
- A pull through a cache rule wants the permissions of a first pull, each time ("IAM permissions required to sync an
  upstream registry"). Nothing is fetched: the repositories hold what was put into them.
- What refers to an image is listed (OCI distribution specification, "Listing Referrers").
- What the scan of an image has found is told by `local.rehearsal.image_scans`.
- `describe-images` of an image that is not there is an `ImageNotFoundException`, `get-download-url-for-layer` gives a
  signed address.

What AWS Signer does for images is in `local.rehearsal.signer`.

Under the names of Git providers and of AWS's connections `local.rehearsal.git_hosting` answers, for a connection when
the caller's IAM policies allow to use it.

Requests to the AWS API count as encrypted, as those of every AWS SDK are; here plain HTTP on loopback stands for TLS.

`local.rehearsal.aws_services` starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import fnmatch
import hashlib
import json
import re
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

import botocore.session  # type: ignore[import-untyped]  # ships no types
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app as ministack  # type: ignore[import-untyped]  # ships no types
from ministack.core import iam_actions, iam_evaluator, responses  # type: ignore[import-untyped]  # ships no types
from ministack.core.iam_actions import identity_denial_message  # type: ignore[import-untyped]  # ships no types
from ministack.services import ecr, s3, secretsmanager  # type: ignore[import-untyped]  # ships no types

from local.rehearsal import git_hosting, image_scans
from local.rehearsal.registry_names import LAYER_HOST, REGISTRY_HOST, USED_PATH
from local.rehearsal.signer import Signer

_LAYER_HOST = re.compile(r"prod-([a-z0-9-]+)-starport-layer-bucket\.s3\.\1\.amazonaws\.com")
_TARGET = "AmazonEC2ContainerRegistry_V20150921."
_REGISTRY_PATH = re.compile(
    r"/v2/(?P<name>.+)/(?P<kind>blobs/uploads|blobs|manifests|referrers|tags/list)/?(?P<what>.*)"
)
_ACCOUNT = re.compile(r"\d{12}")
_OWN = ("CreatePullThroughCacheRule", "PutAccountSetting")
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/([a-z0-9-]+)/")
_INDEX = "application/vnd.oci.image.index.v1+json"
_OF_KEYS = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
_KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_PERMISSIONS = {
    ("GET", "manifests"): "BatchGetImage",
    ("HEAD", "manifests"): "BatchGetImage",
    ("PUT", "manifests"): "PutImage",
    ("GET", "referrers"): "BatchGetImage",
    ("GET", "tags/list"): "ListImages",
    ("HEAD", "blobs"): "BatchCheckLayerAvailability",
    ("GET", "blobs"): "GetDownloadUrlForLayer",
    ("POST", "blobs/uploads"): "InitiateLayerUpload",
    ("PATCH", "blobs/uploads"): "UploadLayerPart",
    ("PUT", "blobs/uploads"): "CompleteLayerUpload",
}


@dataclass(frozen=True, slots=True)
class _Request:
    """An HTTP request with all of its body."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def host(self) -> str:
        """The name it was sent to, without a port."""
        return self.headers.get("host", "").partition(":")[0]


@dataclass(frozen=True, slots=True)
class _Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who a registry token was given to.

    Attributes:
        key: the access key.
        account: the account it acts in.
        region: the region it asked in.
    """

    key: str
    account: str
    region: str


class _Where(NamedTuple):
    """A repository."""

    account: str
    region: str
    name: str


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """The registry's answer to a request it refuses."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = _Answer(status, {"Content-Type": "application/json", **named}, body)


_Ask = Callable[[str, str], Awaitable[_Answer]]


def _account(address: str) -> str:
    """The account in an address of its registry."""
    found = REGISTRY_HOST.search(address)
    if found is None:
        raise LookupError(f"ministack gave {address}, which is no address of a registry")
    return found[1]


_context_of_s3 = iam_actions.s3_service_context


def _with_key(action: str, query: Any, path: str = "", headers: Any = None) -> dict[str, Any]:  # noqa: ANN401 - as ministack's
    """What a policy may ask of a request to S3: ministack's keys, and the key an upload is to be encrypted with.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    """
    context = dict(_context_of_s3(action, query, path, headers))
    key = (headers or {}).get(_KMS_KEY)
    return {**context, f"s3:{_KMS_KEY}": key} if key and action == "s3:PutObject" else context


iam_actions.s3_service_context = _with_key

_condition_key = iam_evaluator._resolve_condition_key  # noqa: SLF001 - it has no other way
_SESSION = re.compile(r"arn:(\S+?):sts::(\d{12}):assumed-role/([^/]+)/.*")


def _with_role_arn(key: str, request: Any) -> Any:  # noqa: ANN401 - as ministack's
    """What a condition asks for; whoever has assumed a role has that role's ARN, and not the session's.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
    """
    value = _condition_key(key, request)
    return _SESSION.sub(r"arn:\1:iam::\2:role/\3", value) if key.lower() == "aws:principalarn" else value


iam_evaluator._resolve_condition_key = _with_role_arn  # noqa: SLF001 - as above

_USED: set[tuple[str, str, str]] = set()
"""Who was allowed what on which resource."""
_evaluate = iam_evaluator.evaluate


def _noting(request: Any, policies: Any, *limits: Any) -> Any:  # noqa: ANN401 - as ministack's
    """Evaluate policies, and remember what they allow; of an object, with what else Amazon S3 asks for."""
    result = _evaluate(request, policies, *limits)
    for need in _besides(request) if result.decision == "Allow" else ():
        result = _evaluate(need, policies, *limits) if result.decision == "Allow" else result
    if result.decision == "Allow":
        _USED.add((request.principal_arn, request.action, request.resource_arn))
    return result


def _besides(request: Any) -> Iterator[Any]:  # noqa: ANN401 - ministack ships no types
    """What a request for an object needs beside its own permission.

    Who may not list a bucket is not told that an object is missing:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html. An encrypted object wants the use of its key:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html.
    """
    bucket, _, key = request.resource_arn.rpartition(":")[2].partition("/")
    if request.action not in _OF_KEYS:
        return
    held = s3._buckets.get(bucket)  # noqa: SLF001 - it has no other way
    # ministack writes one slash in an ARN where the key has several.
    if request.action == "s3:GetObject" and held and key not in {re.sub("/+", "/", name) for name in held["objects"]}:
        yield replace(request, action="s3:ListBucket", resource_arn=f"arn:aws:s3:::{bucket}", service_context={})
    elif encrypted := _KEY_ARN.search(str(s3._bucket_encryption.get(bucket))):  # noqa: SLF001 - as above
        yield replace(request, action=_OF_KEYS[request.action], resource_arn=encrypted[0], service_context={})


iam_evaluator.evaluate = _noting
_access_denied = iam_actions.access_denied_response


def _naming_the_resource(
    service: str,
    action: str,
    principal: str,
    request: str,
    *,
    message: str = "",
    error_code: str = "",
    **more: Any,  # noqa: ANN401 - as ministack's
) -> Any:  # noqa: ANN401 - as ministack's
    """The answer to a request that policies do not allow, with the resource that ministack leaves out.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    if not message and not error_code and not more.get("resource_policy_arn"):
        message = identity_denial_message(action, principal, more["resource_arn"], more["explicit_deny"])
    return _access_denied(service, action, principal, request, message=message, error_code=error_code, **more)


iam_actions.access_denied_response = _naming_the_resource


class EcrFrontend:
    """ministack with the behavior of Amazon ECR (ASGI)."""

    def __init__(self, repositories: Path | None = None) -> None:
        self._callers: dict[str, _Caller] = {}
        self._signatures: dict[str, tuple[_Where, str]] = {}
        self._movable_tags: dict[_Where, list[str]] = {}
        self._repositories = repositories
        self._settings: dict[tuple[str, str, str], str] = {}
        self._caches: dict[tuple[str, str], str] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own types
        """Answer one connection."""
        if scope["type"] != "http":
            await ministack(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] == USED_PATH:
            await _send(send, _Answer(200, {}, json.dumps(sorted(_USED)).encode()), with_body=True)
            return
        target = headers.get("x-amz-target", "")
        host = headers.get("host", "").partition(":")[0]
        path = str(scope["path"])
        git = self._repositories and (host in git_hosting.PROVIDERS or git_hosting.CONNECTIONS.fullmatch(host))
        ours = git or target.startswith(_TARGET) or path in ("/v2", "/v2/") or _REGISTRY_PATH.fullmatch(path)
        if not ours and not _LAYER_HOST.fullmatch(host):
            await ministack({**scope, "scheme": "https"}, receive, send)
            return
        body = bytearray()
        while True:
            part = await receive()
            if part["type"] == "http.disconnect":
                return
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        request = _Request(scope["method"], path, query, headers, bytes(body))
        if git:
            answer = await self._git(request, scope["query_string"].decode("latin-1"))
        elif target:
            answer = await self._api(scope, request, target.removeprefix(_TARGET))
        else:
            try:
                answer = await (
                    self._layer(scope, request) if _LAYER_HOST.fullmatch(host) else self._registry(scope, request)
                )
            except _Refused as refused:
                answer = refused.answer
        await _send(send, answer, with_body=request.method != "HEAD")

    async def _git(self, request: _Request, query: str) -> _Answer:
        """A repository, to everybody or through a connection."""
        assert self._repositories  # noqa: S101 - for the type: whoever calls this has looked
        host, path = request.host, request.path
        problem = None
        if host not in git_hosting.PROVIDERS:
            problem = _git_problem(git_hosting.asked(host, path, request.headers.get("authorization", "")), host, path)
        reply = problem or await git_hosting.serve(
            self._repositories, host, request.method, path, query, request.headers, request.body
        )
        return _Answer(reply.status, reply.headers, reply.body)

    async def _api(self, scope: dict[str, Any], request: _Request, action: str) -> _Answer:
        """Amazon ECR's API."""
        credential = _CREDENTIAL.search(request.headers.get("authorization", ""))
        key, region = (credential[1], credential[2]) if credential else ("", "")
        if action in _OWN and _ACCOUNT.fullmatch(key):
            return self._set(key, region, json.loads(request.body))
        answer = await _ministack(scope, request)
        if answer.status != HTTPStatus.OK:
            return answer
        asked, given = json.loads(request.body or b"{}"), json.loads(answer.body)
        if action == "CreateRepository":
            made = given["repository"]
            if asked.get("imageTagMutability", "").startswith("IMMUTABLE_WITH"):
                filters = [entry["filter"] for entry in asked.get("imageTagMutabilityExclusionFilters", [])]
                self._movable_tags[_Where(made["registryId"], region, made["repositoryName"])] = filters
        elif action == "GetAuthorizationToken":
            token = secrets.token_urlsafe(48)
            entry = given["authorizationData"][0]
            self._callers[token] = _Caller(key, _account(entry["proxyEndpoint"]), region)
            entry["authorizationToken"] = base64.b64encode(f"AWS:{token}".encode()).decode()
        elif action == "GetDownloadUrlForLayer":
            account = _account(given["downloadUrl"])
            given["downloadUrl"] = self._signed(_Where(account, region, asked["repositoryName"]), asked["layerDigest"])
        elif action == "DescribeImages":
            found = given["imageDetails"]
            for wanted in asked.get("imageIds", []):
                if not any(_is(entry, wanted) for entry in found):
                    return _image_not_found(wanted, asked["repositoryName"])
        return _Answer(answer.status, answer.headers, json.dumps(given).encode())

    def _set(self, account: str, region: str, asked: dict[str, str]) -> _Answer:
        """What an account's root sets, and ministack does not know: an account setting or a pull-through cache rule."""
        if "ecrRepositoryPrefix" in asked:
            self._caches[account, region] = f"{asked['ecrRepositoryPrefix']}/"
        else:
            self._settings[account, region, asked["name"]] = asked["value"]
        return _Answer(200, {"content-type": "application/x-amz-json-1.1"}, json.dumps(asked).encode())

    def _signed(self, where: _Where, digest: str) -> str:
        """An address in object storage that anybody may read for this one layer."""
        signature = secrets.token_hex(32)
        self._signatures[signature] = (where, digest)
        query = urlencode({"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Signature": signature})
        return f"https://{LAYER_HOST.format(region=where.region)}/{where.name}/{digest}?{query}"

    async def _layer(self, scope: dict[str, Any], request: _Request) -> _Answer:
        """Object storage: a layer by its signed address."""
        if "authorization" in request.headers:
            return _Answer(400, {"content-type": "application/xml"}, _xml("InvalidArgument", "Only one auth mechanism"))
        where, digest = self._signatures.get(request.query.get("X-Amz-Signature", ""), (None, ""))
        if where is None or request.path != f"/{where.name}/{digest}":
            return _Answer(403, {"content-type": "application/xml"}, _xml("AccessDenied", "Access Denied"))
        return await self._ask(scope, where, _Request(request.method, f"/v2/{where.name}/blobs/{digest}"))

    async def _registry(self, scope: dict[str, Any], request: _Request) -> _Answer:
        """The registry: who asks, whether that is allowed, and what ministack has."""
        caller = self._caller(request)
        named = REGISTRY_HOST.fullmatch(request.host)
        parts = _REGISTRY_PATH.fullmatch(request.path)
        if not parts:
            return _Answer(200, {"content-type": "application/json"}, b"{}")
        kind, what = parts["kind"], parts["what"]
        where = _Where(*((named[1], named[2]) if named else (caller.account, caller.region)), parts["name"])
        permission = _PERMISSIONS.get((request.method, kind))
        if permission is None:
            raise _Refused(405, "UNSUPPORTED", f"{request.method} is not supported here")
        self._check_all(caller, permission, where)

        async def ask(method: str, path: str) -> _Answer:
            return await self._ask(scope, where, _Request(method, f"/v2/{where.name}/{path}"))

        if kind == "referrers":
            return await self._referrers(ask, where, what)
        if kind == "blobs" and request.method == "GET":
            there = await ask("HEAD", f"blobs/{what}")
            if there.status != HTTPStatus.OK:
                return there
            return _Answer(307, {"location": self._signed(where, what)})
        if kind == "manifests" and request.method == "PUT":
            await self._check_manifest(ask, where, what, request)
        if "mount" in request.query and not self._mounts(caller, request.query.get("from", ""), where):
            request = replace(request, query={})
        answer = await self._ask(scope, where, request)
        if "location" in answer.headers:
            place = f"{scope['scheme']}://{request.headers['host']}{answer.headers['location']}"
            return replace(answer, headers={**answer.headers, "location": place})
        return answer

    def _check_all(self, caller: _Caller, permission: str, where: _Where) -> None:
        """Refuse what the caller's policies do not allow."""
        _check(caller, permission, where)
        if permission == "BatchGetImage" and self._is_cached(where):
            _check(caller, "BatchImportUpstreamImage", where)
            _check(caller, "CreateRepository", where)

    def _is_cached(self, where: _Where) -> bool:
        """Whether a repository is one of a pull-through cache.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
        """
        prefix = self._caches.get((where.account, where.region))
        return prefix is not None and where.name.startswith(prefix)

    def _mounts(self, caller: _Caller, name: str, target: _Where) -> bool:
        """Whether layers of another repository are mounted into this one, which the caller must be allowed to read.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
        """
        origin = target._replace(name=name)
        if self._settings.get((target.account, target.region, "BLOB_MOUNTING")) != "ENABLED":
            return False
        if self._is_cached(origin) or _encryption(origin) != _encryption(target):
            return False
        _check(caller, "GetDownloadUrlForLayer", origin)
        return True

    def _caller(self, request: _Request) -> _Caller:
        kind, _, encoded = request.headers.get("authorization", "").partition(" ")
        challenge = f'Basic realm="https://{request.host}/",service="ecr.amazonaws.com"'
        if kind.lower() != "basic":
            raise _Refused(401, "UNAUTHORIZED", "Not Authorized", WWW_Authenticate=challenge)
        try:
            user, _, token = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            user, token = "", ""
        caller = self._callers.get(token) if user == "AWS" else None
        if caller is None:
            message = "Your authorization token is not one of this registry. Reauthenticate and try again."
            raise _Refused(401, "UNAUTHORIZED", message, WWW_Authenticate=challenge)
        return caller

    async def _referrers(self, ask: _Ask, where: _Where, digest: str) -> _Answer:
        """What has this digest as its subject."""
        with responses.request_scope(where.account, where.region):
            images = json.loads(ecr._list_images({"repositoryName": where.name})[2])["imageIds"]  # noqa: SLF001 - see below
        # The registry's protocol cannot list what has no tag, hence ministack's own function.
        found = []
        for candidate in {image["imageDigest"] for image in images}:
            answer = await ask("GET", f"manifests/{candidate}")
            document = json.loads(answer.body)
            if document.get("subject", {}).get("digest") == digest:
                kind = document.get("artifactType") or document.get("config", {}).get("mediaType", "")
                entry = {"mediaType": answer.headers["content-type"], "digest": candidate, "size": len(answer.body)}
                found.append({**entry, "artifactType": kind, "annotations": document.get("annotations", {})})
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": found}
        return _Answer(200, {"content-type": _INDEX}, json.dumps(index).encode())

    async def _check_manifest(self, ask: _Ask, where: _Where, reference: str, request: _Request) -> None:
        """Refuse a manifest whose parts are not here, and to move a tag that may not move."""
        try:
            document = json.loads(request.body)
        except ValueError:
            raise _Refused(400, "MANIFEST_INVALID", "the manifest is not JSON") from None
        for child in document.get("manifests", []):
            if (await ask("HEAD", f"manifests/{child['digest']}")).status != HTTPStatus.OK:
                message = f"Images with digests '[{child['digest']}]' required for pushing image do not exist"
                raise _Refused(400, "MANIFEST_BLOB_UNKNOWN", message)
        for blob in [*filter(None, [document.get("config")]), *document.get("layers", [])]:
            if (await ask("HEAD", f"blobs/{blob['digest']}")).status != HTTPStatus.OK:
                message = f"Layers with digests '[{blob['digest']}]' required for pushing image do not exist"
                raise _Refused(400, "MANIFEST_BLOB_UNKNOWN", message)
        movable = self._movable_tags.get(where)
        if movable is None or reference.startswith("sha256:"):
            return
        there = await ask("HEAD", f"manifests/{reference}")
        digest = f"sha256:{hashlib.sha256(request.body).hexdigest()}"
        moves = there.status == HTTPStatus.OK and there.headers["docker-content-digest"] != digest
        if moves and not any(fnmatch.fnmatchcase(reference, pattern) for pattern in movable):
            message = f"The image tag '{reference}' already exists in the '{where.name}' repository"
            raise _Refused(400, "TAG_INVALID", f"{message} and cannot be overwritten because the tag is immutable.")

    async def _ask(self, scope: dict[str, Any], where: _Where, request: _Request) -> _Answer:
        """Ask ministack's registry in this account and region."""
        host = f"{where.account}.dkr.ecr.{where.region}.amazonaws.com"
        headers = {"host": host, "content-length": str(len(request.body))}
        if "content-type" in request.headers:
            headers["content-type"] = request.headers["content-type"]
        return await _ministack(scope, replace(request, headers=headers))


def _check(caller: _Caller, permission: str, where: _Where) -> None:
    """Refuse what the caller's policies do not allow."""
    action = f"ecr:{permission}"
    resource = f"arn:aws:ecr:{where.region}:{where.account}:repository/{where.name}"
    with responses.request_scope(caller.account, where.region):
        principal = iam_evaluator.resolve_principal(caller.key, caller.account)
        if isinstance(principal, iam_evaluator.AuthError):
            raise _Refused(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
        if principal.policies is None and caller.account == where.account:  # the account's root
            return
        decision = _decision(principal, action, resource, where.region)
    # Nobody gives another account's caller a repository policy here: what is foreign is refused.
    if decision != "Allow" or caller.account != where.account:
        message = identity_denial_message(action, principal.arn, resource, decision == "Deny")
        raise _Refused(403, "DENIED", message)


def _git_problem(asked: git_hosting.Asked | None, host: str, path: str) -> git_hosting.Reply | None:
    """Why a request to a connection's address is refused; `None` when it is not."""
    if asked is None:
        return git_hosting.refusal(401, "credentials wanted")
    with responses.request_scope(asked.account, asked.region):
        credential = iam_evaluator.resolve_credential(asked.key, asked.account, asked.token or None)
        if isinstance(credential, iam_evaluator.CredentialResolutionError):
            return git_hosting.refusal(403, credential.message)
        if not asked.is_signed_with(credential.secret_access_key, host, git_hosting.signed_path(path)):
            return git_hosting.refusal(403, "The signature is not of these credentials and this address")
        principal = iam_evaluator.resolve_principal(asked.key, asked.account)
        action = f"{asked.service}:UseConnection"
        keys = {"fullrepositoryid": asked.repository, "provideraction": "GitPull"}
        context = {f"{asked.service}:{key}": value for key, value in keys.items()}
        decision = _decision(principal, action, asked.connection_arn, asked.region, context)
    if decision != "Allow":
        message = identity_denial_message(action, principal.arn, asked.connection_arn, decision == "Deny")
        return git_hosting.refusal(403, message)
    return None


def _decision(
    principal: Any,  # noqa: ANN401 - ministack ships no types
    action: str,
    resource: str,
    region: str,
    context: dict[str, str] | None = None,
) -> str:
    """What the policies of a principal say of a request: `Allow`, `Deny` or `ImplicitDeny`."""
    request = iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource,
        region=region,
        principal_keys=principal.keys,
        service_context=context or {},
    )
    allowed = iam_evaluator.evaluate(request, principal.policies or [], *principal.limits)
    if action.startswith("ecr:"):
        policy, owner = ecr.repository_policy_for_arn(resource) or ("", principal.account)
        allowed = iam_evaluator.combine_resource_policy(allowed, request, policy, owner, limits=principal.limits)
    return str(allowed.decision)


def _encryption(where: _Where) -> dict[str, str] | None:
    """How a repository is encrypted; nothing where there is none."""
    with responses.request_scope(where.account, where.region):
        status, _, body = ecr._describe_repositories({"repositoryNames": [where.name]})  # noqa: SLF001 - as above
    return dict(json.loads(body)["repositories"][0]["encryptionConfiguration"]) if status == HTTPStatus.OK else None


def _is(image: dict[str, Any], wanted: dict[str, str]) -> bool:
    """Whether an image is the one that was asked for."""
    if "imageDigest" in wanted:
        return bool(image["imageDigest"] == wanted["imageDigest"])
    return wanted.get("imageTag") in image.get("imageTags", [])


def _image_not_found(wanted: dict[str, str], name: str) -> _Answer:
    """Amazon ECR's words."""
    shown = ", ".join(f"{key}:'{wanted.get(key, 'null')}'" for key in ("imageDigest", "imageTag"))
    message = f"The image with imageId {{{shown}}} does not exist within the repository with name '{name}'"
    body = json.dumps({"__type": "ImageNotFoundException", "message": message}).encode()
    return _Answer(400, {"content-type": "application/x-amz-json-1.1"}, body)


def _xml(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


async def _ministack(scope: dict[str, Any], request: _Request) -> _Answer:
    """Ask ministack, in this process."""
    named = [(name.encode(), value.encode("latin-1")) for name, value in request.headers.items()]
    query = urlencode(request.query).encode()
    asked = {**scope, "method": request.method, "path": request.path, "raw_path": quote(request.path).encode()}
    status, headers, body = 500, {}, bytearray()
    parts = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()  # nothing comes after the body
        return parts.pop()

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = int(message["status"])
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await ministack({**asked, "query_string": query, "headers": named}, receive, send)
    return _Answer(status, headers, bytes(body))


async def _send(send: Any, answer: _Answer, *, with_body: bool) -> None:  # noqa: ANN401 - ASGI's own type
    headers = {name.lower(): value for name, value in answer.headers.items()}
    if with_body:
        headers["content-length"] = str(len(answer.body))
    headers.setdefault("docker-distribution-api-version", "registry/2.0")
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})


def _keep_arns() -> None:
    """Let a secret have the ARN that its description says: roles may read that one, and the suffix is not made up."""
    store = secretsmanager._store_new_secret  # noqa: SLF001 - it has no other way

    def stored(name: str, **settings: Any) -> tuple[str, str]:  # noqa: ANN401 - ministack's
        arn, version = store(name, **settings)
        if settings["description"].startswith("arn:"):
            arn = secretsmanager._secrets[name]["ARN"] = settings["description"]  # noqa: SLF001 - as above
        return arn, version

    secretsmanager._store_new_secret = stored  # noqa: SLF001 - as above


def main() -> None:
    """Serve until told to end, or until whoever started this is gone and standard input with it."""
    parser = argparse.ArgumentParser(prog="python -m local.rehearsal.aws_server", description=__doc__)
    parser.add_argument("--bind", action="append", required=True, help="HOST:PORT or fd://NUMBER, plain HTTP")
    parser.add_argument("--secure-bind", help="HOST:PORT for HTTPS")
    parser.add_argument("--certificate", help="PEM file with the certificate and its key, for HTTPS")
    parser.add_argument("--repositories", type=Path, help="folder with OWNER/NAME.git of each repository")
    parser.add_argument("--authority", type=Path, help="folder with ca.pem and ca.key, for AWS Signer to sign")
    options = parser.parse_args()
    _keep_arns()
    if options.authority:
        Signer(options.authority).install()
    image_scans.answer()
    # ministack would read each service's model with its first answer, each time by a session that reads all over again.
    session = botocore.session.Session()
    botocore.session.get_session = lambda: session
    for service in ("iam", "sts", "s3", "ecr", "logs", "secretsmanager"):
        responses._service_model(service)  # noqa: SLF001 - as above
    config = Config()
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    if options.secure_bind:
        config.bind, config.insecure_bind = [options.secure_bind], options.bind
        config.certfile = config.keyfile = options.certificate
    else:
        config.bind = options.bind
    asyncio.run(_serve(config, EcrFrontend(options.repositories)))


async def _serve(config: Config, front: EcrFrontend) -> None:
    ended = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, ended.set)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)

    async def until() -> None:
        await ended.wait()

    await serve(front, config, shutdown_trigger=until)


if __name__ == "__main__":
    main()

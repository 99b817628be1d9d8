"""Git providers' repositories, by Git over HTTPS: as everybody reads them, and as AWS's connections do.

`github.com`, `gitlab.com` and `bitbucket.org` serve the repositories that are marked as public, and Git LFS of them;
all three the same ones, since a delivery has its code with one provider. A connection's own address serves all that
the connection reaches, to whoever may use it:

- The address is ``https://codeconnections.<region>.amazonaws.com/git-http/<account>/<region>/<id>/<owner>/<name>.git``,
  and the permission ``UseConnection`` on the connection
  (https://docs.aws.amazon.com/eks/latest/userguide/argocd-configure-repositories.html, "CodeConnections").
- Reading is the provider action ``GitPull``, of one repository
  (https://docs.aws.amazon.com/dtconsole/latest/userguide/security-iam.html#permissions-reference-connections-use).
- User and password are what ``aws codecommit credential-helper`` makes of the caller's credentials. No page of AWS says
  so; builds use it (uktrade/lite-hmrc, ``.copilot/phases/pre_build.sh``).
- Git LFS is not served there, since nothing says that it is.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

PROVIDERS = ("github.com", "gitlab.com", "bitbucket.org")
CONNECTIONS = re.compile(r"(codeconnections|codestar-connections)\.([a-z0-9-]+)\.amazonaws\.com")
PUBLIC = "git-daemon-export-ok"
"""The file by which Git's own server knows a repository that everybody may read."""
_NAME = r"[\w.-]+(?:/[\w.-]+)*/[\w.-]+?"
_REPOSITORY = rf"/(?P<repository>{_NAME})(?:\.git)?/(?P<what>info/.*|git-upload-pack|git-receive-pack)"
_IN_PUBLIC = re.compile(_REPOSITORY)
_THROUGH = re.compile(
    rf"(?P<address>/git-http/(?P<account>\d{{12}})/(?P<region>[a-z0-9-]+)/(?P<id>[0-9a-f-]+)){_REPOSITORY}"
)
_PASSWORD = re.compile(r"(\d{8}T\d{6})Z([0-9a-f]{64})")


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Asked(NamedTuple):
    """What a request to a connection's address asks for, and as whom.

    Attributes:
        service: ``codeconnections``, or its old name.
        account: The connection's account.
        region: The connection's region.
        connection_arn: The connection's ARN.
        repository: The repository as the provider names it, for example ``owner/name``.
        key: The caller's access key.
        token: The caller's session token.
        signed: When the password was made, and the signature in it.
    """

    service: str
    account: str
    region: str
    connection_arn: str
    repository: str
    key: str
    token: str
    signed: tuple[str, str]

    def is_signed_with(self, secret: str, host: str, path: str) -> bool:
        """Whether the password is this caller's, for this address.

        As https://github.com/aws/aws-cli/blob/develop/awscli/customizations/codecommit.py makes it.
        """
        # A quarter of what the stand-in for AWS imports, which is waited for; a clone through a connection is rare.
        from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
        from botocore.credentials import Credentials  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

        time, signature = self.signed
        signer = SigV4Auth(Credentials(self.key, secret, self.token or None), "codecommit", self.region)
        request = AWSRequest("GIT", f"https://{host}{path}")
        request.context["timestamp"] = time
        canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
        return bool(signer.signature(signer.string_to_sign(request, canonical), request) == signature)


def address(connection_arn: str, repository: str) -> str:
    """Where a connection serves a repository."""
    _, _, service, region, account, connection = connection_arn.split(":")
    identity = connection.partition("/")[2]
    return f"https://{service}.{region}.amazonaws.com/git-http/{account}/{region}/{identity}/{repository}.git"


def hosts(regions: Iterable[str]) -> list[str]:
    """The names under which all this is reached."""
    services = ("codeconnections", "codestar-connections")
    return [*PROVIDERS, *(f"{service}.{region}.amazonaws.com" for region in regions for service in services)]


def asked(host: str, path: str, authorization: str) -> Asked | None:
    """What a request to a connection's address asks for; ``None`` without credentials, or for another address."""
    service, place = CONNECTIONS.fullmatch(host), _THROUGH.fullmatch(path)
    kind, _, encoded = authorization.partition(" ")
    if service is None or place is None or kind.lower() != "basic" or place["region"] != service[2]:
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    signed = _PASSWORD.fullmatch(password)
    if signed is None:
        return None
    key, _, token = user.partition("%")
    arn = f"arn:aws:{service[1]}:{place['region']}:{place['account']}:connection/{place['id']}"
    return Asked(
        service[1], place["account"], place["region"], arn, place["repository"], key, token, (signed[1], signed[2])
    )


def signed_path(path: str) -> str:
    """The part of a request's path that Git asks its helper for credentials of: the repository's address."""
    place = _THROUGH.fullmatch(path)
    return path[: place.start("what") - 1] if place else path


def refusal(status: int, message: str) -> Reply:
    """An answer that Git shows."""
    headers = {"content-type": "text/plain"}
    return Reply(
        status, headers | ({"www-authenticate": 'Basic realm="git"'} if status == 401 else {}), message.encode()
    )


async def serve(
    root: Path, host: str, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> Reply:
    """Answer a request whose permission has been looked at, if it needs one.

    Args:
        root: The folder with ``<repository>.git`` of each repository.
        host: The name that was asked.
        method: HTTP's method.
        path: The request's path.
        query: What stands behind the question mark.
        headers: The request's headers, their names in lower case.
        body: The request's body.
    """
    public = host in PROVIDERS
    place = (_IN_PUBLIC if public else _THROUGH).fullmatch(path)
    if place is None:
        return refusal(404, "Not Found")
    folder = root / f"{place['repository']}.git"
    if public and not (folder / PUBLIC).exists():
        return refusal(401, "Repository not found.")  # nobody tells what is private from what is not there
    if place["what"].startswith("info/lfs"):
        if not public:
            return refusal(404, "Not Found")
        return _large_files(folder, host, place["repository"], place["what"], body)
    return await _git(root, f"/{place['repository']}.git/{place['what']}", method, query, headers, body)


def _large_files(folder: Path, host: str, repository: str, what: str, body: bytes) -> Reply:
    """Git LFS: https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md."""
    if what == "info/lfs/objects/batch":
        wanted = json.loads(body)["objects"]
        address = f"https://{host}/{repository}.git/info/lfs/objects"
        found = [{**entry, "actions": {"download": {"href": f"{address}/{entry['oid']}"}}} for entry in wanted]
        answer = {"transfer": "basic", "objects": found}
        return Reply(200, {"content-type": "application/vnd.git-lfs+json"}, json.dumps(answer).encode())
    name = what.rpartition("/")[2]
    file = folder / "lfs" / "objects" / name[:2] / name[2:4] / name
    if not re.fullmatch(r"[0-9a-f]{64}", name) or not file.is_file():
        return refusal(404, "Not Found")
    return Reply(200, {"content-type": "application/octet-stream"}, file.read_bytes())


async def _git(root: Path, path: str, method: str, query: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Have Git itself answer, which refuses a push (https://git-scm.com/docs/git-http-backend)."""
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(root),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        },
    )
    output, _ = await process.communicate(body)
    head, _, content = output.partition(b"\r\n\r\n")
    given = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
    named = {name.lower(): value for name, value in given.items()}
    return Reply(int(named.pop("status", "200").split()[0]), named, content)

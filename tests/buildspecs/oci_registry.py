"""A registry on loopback, for the jobs that read and write images over its HTTP API."""

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

from fake_tools import Reply, Request, WebServer

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TOKEN = base64.b64encode(b"AWS:pass-word").decode()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def host(url: str) -> str:
    return url.removeprefix("http://")


def tokens(url: str) -> dict[str, object]:
    return {"authorizationData": [{"authorizationToken": TOKEN, "proxyEndpoint": url}]}


class OciRegistry(WebServer):
    """A registry that keeps to the OCI distribution specification as far as a copy needs it, strictly."""

    def __init__(self, *, mounts: bool = True) -> None:
        super().__init__()
        self.mounts = mounts
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.uploads: dict[str, bytes] = {}
        self.broken_uploads = 0
        self.spoilt = False

    def blob(self, repository: str, content: bytes) -> dict[str, object]:
        """Keep a blob; its descriptor."""
        self.blobs[repository, digest_of(content)] = content
        return {"digest": digest_of(content), "size": len(content), "mediaType": "application/octet-stream"}

    def manifest(self, repository: str, media_type: str, **content: object) -> str:
        """Keep a manifest, with unusual white space that must survive; its digest."""
        text = json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}, indent=3).encode()
        self.manifests[repository, digest_of(text)] = (text, media_type)
        return digest_of(text)

    def reply(self, request: Request) -> Reply:
        assert request.headers["authorization"] == f"Basic {TOKEN}"
        parts = urlsplit(request.path)
        _, version, repository, kind, name = parts.path.split("/", 4)
        assert version == "v2"
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if kind == "manifests":
            return self._manifests(request, repository, name)
        if kind == "referrers":
            found = [
                {"digest": key[1]}
                for key, value in self.manifests.items()
                if self._refers(key[0], repository, value[0], name)
            ]
            return Reply(200, json.dumps({"manifests": found}).encode())
        return self._blobs(request, repository, name, query)

    @staticmethod
    def _refers(holder: str, repository: str, content: bytes, digest: str) -> bool:
        return holder == repository and json.loads(content).get("subject", {}).get("digest") == digest

    def _manifests(self, request: Request, repository: str, name: str) -> Reply:
        if request.method == "PUT":
            document = json.loads(request.body)
            children = [(repository, entry["digest"]) for entry in document.get("manifests", [])]
            parts = [*filter(None, [document.get("config")]), *document.get("layers", [])]
            if any(child not in self.manifests for child in children) or any(
                (repository, part["digest"]) not in self.blobs for part in parts
            ):
                return Reply(400, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}')
            digest = digest_of(request.body)
            assert name == digest or ":" not in name
            self.manifests[repository, name] = (request.body, request.headers["content-type"])
            return Reply(201)
        if (repository, name) not in self.manifests:
            return Reply(404)
        content, media_type = self.manifests[repository, name]
        return Reply(200, content + (b" " if self.spoilt else b""), {"Content-Type": media_type})

    def _blobs(self, request: Request, repository: str, name: str, query: dict[str, str]) -> Reply:
        if request.method in ("HEAD", "GET"):
            content = self.blobs.get((repository, name))
            return Reply(404) if content is None else Reply(200, content)
        if request.method == "POST":
            return self._begin(repository, query)
        if request.method == "PATCH":
            return self._take(repository, name, request.body)
        assert request.method == "PUT"
        assert query["state"] == "b"
        content = self.uploads.pop(name)
        if digest_of(content) != query["digest"]:
            return Reply(400, b'{"errors": [{"code": "DIGEST_INVALID"}]}')
        self.blobs[repository, query["digest"]] = content
        return Reply(201)

    def _begin(self, repository: str, query: dict[str, str]) -> Reply:
        if self.mounts and (query.get("from", ""), query.get("mount", "")) in self.blobs:
            self.blobs[repository, query["mount"]] = self.blobs[query["from"], query["mount"]]
            return Reply(201)
        return Reply(202, headers={"Location": f"/v2/{repository}/blobs/uploads/u{len(self.uploads)}?state=a"})

    def _take(self, repository: str, name: str, body: bytes) -> Reply:
        if self.broken_uploads:
            self.broken_uploads -= 1
            return Reply(500, b"broken")
        self.uploads[name] = body
        return Reply(202, headers={"Location": f"/v2/{repository}/blobs/{name}?state=b"})

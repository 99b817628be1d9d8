"""Container images made by hand: what the rehearsal needs before it can build any.

Layers, configuration and manifest are made as the OCI image specification has them, and put into the registry over the
registry's own protocol.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from local.rehearsal import tools
from local.rehearsal.aws_services import AwsServices

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""This machine's, as images name it."""
_SCANNER = Path(__file__).with_name("scanner.sh")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SERVER = """#!/bin/sh
# The ports are fixed: a command of the task definition's is meant for another program.
trap 'exit 0' TERM
{servers}# Another container of the task may have the ports already: this one stays beside it.
sleep 2147483647 &
wait
"""
_ANSWER = """#!/bin/sh
end=$(printf '\\r')
while read -r line && [ "$line" ] && [ "$line" != "$end" ]; do :; done
printf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 34\\r\\nConnection: close\\r\\n\\r\\n'
echo 'Waiting for the first deployment.'
"""


@dataclass(frozen=True)
class Blob:
    """Content under its digest."""

    media_type: str
    content: bytes

    @functools.cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def descriptor(self, **more: object) -> dict[str, Any]:
        """How a manifest refers to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content), **more}


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, and the digest of what it holds when it is unpacked."""

    blob: Blob
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image or an index with everything that belongs to it.

    Attributes:
        manifest: its manifest.
        blobs: layers and configuration.
        parts: the images of an index.
    """

    manifest: Blob
    blobs: tuple[Blob, ...] = ()
    parts: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        """Its manifest's digest."""
        return self.manifest.digest


@dataclass(frozen=True, slots=True)
class Entry:
    """A file for a layer: content, or what it links to."""

    content: bytes = b""
    mode: int = 0o644
    link: str = ""


def layer(files: Mapping[str, Entry], *, level: int = 6) -> Layer:
    """A layer with these files and the folders they are in."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for name, file in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            if file.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
            entry.mode, entry.size = file.mode, len(file.content)
            archive.addfile(entry, io.BytesIO(file.content))
    plain = packed.getvalue()
    squeezed = gzip.compress(plain, level, mtime=0)
    return Layer(Blob(LAYER, squeezed), f"sha256:{hashlib.sha256(plain).hexdigest()}")


def image(
    *layers: Layer, architecture: str = ARCHITECTURE, labels: Mapping[str, str] | None = None, **config: object
) -> Image:
    """An image of these layers; `config` as in the image specification, such as `Entrypoint`."""
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], "Labels": dict(labels or {}), **config},
        "rootfs": {"type": "layers", "diff_ids": [part.diff_id for part in layers]},
    }
    configuration = Blob(CONFIG, json.dumps(document).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": configuration.descriptor(),
        "layers": [part.blob.descriptor() for part in layers],
    }
    blobs = (configuration, *(part.blob for part in layers))
    return Image(Blob(MANIFEST, json.dumps(manifest).encode()), blobs)


def index(*parts: tuple[Image, Mapping[str, Any]]) -> Image:
    """An index of images, each with what its descriptor says beyond digest and size."""
    entries = [part.manifest.descriptor(**more) for part, more in parts]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return Image(Blob(INDEX, json.dumps(document).encode()), (), tuple(part for part, _ in parts))


def artifact(subject: Image, kind: str, content: bytes) -> Image:
    """What refers to an image, such as a signature."""
    empty, payload = Blob("application/vnd.oci.empty.v1+json", b"{}"), Blob(kind, content)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": empty.descriptor(),
        "layers": [payload.descriptor()],
        "subject": subject.manifest.descriptor(),
    }
    return Image(Blob(MANIFEST, json.dumps(document).encode()), (empty, payload))


@dataclass(slots=True)
class RegistryClient:
    """The root user of an account, at the registry of a region.

    Attributes:
        services: AWS.
        account: the account.
        region: the region.
    """

    services: AwsServices
    account: str
    region: str
    _token: str = field(default="", init=False)

    @property
    def host(self) -> str:
        """Its name."""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com"

    @property
    def token(self) -> str:
        """What opens it, as its API gives it."""
        if not self._token:
            answer = self.services.client("ecr", account=self.account, region=self.region).get_authorization_token()
            self._token = answer["authorizationData"][0]["authorizationToken"]
        return self._token

    def push(self, name: str, what: Image, *tags: str) -> str:
        """Put an image with all its parts into a repository; returns its digest."""
        for part in what.parts:
            self.push(name, part)
        for blob in what.blobs:
            if self._ask("HEAD", f"{name}/blobs/{blob.digest}")[0] == 404:
                _, headers, _ = self._ask("POST", f"{name}/blobs/uploads/", b"")
                place = headers["location"].partition("/v2/")[2]
                self._ask("PUT", f"{place}?digest={blob.digest}", blob.content, "application/octet-stream")
        for reference in tags or (what.digest,):
            self._ask("PUT", f"{name}/manifests/{reference}", what.manifest.content, what.manifest.media_type)
        return what.digest

    def manifest(self, name: str, reference: str) -> bytes | None:
        """A manifest's exact bytes; None when there is none."""
        status, _, body = self._ask("GET", f"{name}/manifests/{reference}")
        return body if status == 200 else None

    def json(self, name: str, reference: str) -> Any:  # noqa: ANN401 - JSON
        """A manifest, read."""
        return json.loads(self.manifest(name, reference) or b"null")

    def has_blob(self, name: str, digest: str) -> bool:
        """Whether a repository holds a layer or a configuration."""
        return self._ask("HEAD", f"{name}/blobs/{digest}")[0] == 200

    def blob(self, name: str, digest: str) -> bytes:
        """A layer's or a configuration's bytes, by the address the registry gives for it."""
        address = self.services.client("ecr", account=self.account, region=self.region).get_download_url_for_layer(
            repositoryName=name, layerDigest=digest
        )["downloadUrl"]
        host, slash, path = address.removeprefix("https://").partition("/")
        return _asked(self.services.port, "GET", f"{slash}{path}", {"Host": host})[2]

    def referrers(self, name: str, digest: str) -> list[str]:
        """The digests of what refers to an image."""
        return [entry["digest"] for entry in json.loads(self._ask("GET", f"{name}/referrers/{digest}")[2])["manifests"]]

    def _ask(
        self, method: str, path: str, body: bytes | None = None, media_type: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {"Host": self.host, "Authorization": f"Basic {self.token}"}
        if media_type:
            headers["Content-Type"] = media_type
        status, given, content = _asked(self.services.port, method, f"/v2/{path}", headers, body)
        if status >= 400 and status != 404:
            raise RuntimeError(f"{method} {path}: {status} {content.decode(errors='replace')}")
        return status, given, content


def _asked(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Ask over the plain endpoint, which is reached from everywhere; the name in Host says which registry is meant."""
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()


def archive(image: Image, name: str) -> bytes:
    """An archive in the layout of the OCI image specification, which an engine loads under this name."""
    descriptor = image.manifest.descriptor(annotations={"io.containerd.image.name": name})
    files = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}).encode(),
    }
    blobs = (image.manifest, *image.blobs)
    files |= {f"blobs/sha256/{blob.digest.partition(':')[2]}": blob.content for blob in blobs}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@functools.cache
def busybox() -> Layer:
    """A small Linux: the machine's static busybox under the names of all its commands."""
    path = tools.command("busybox")
    names = subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {f"bin/{name}": Entry(link="busybox") for name in names if name != "busybox"}
    return layer(
        {
            **links,
            "bin/busybox": Entry(Path(path).read_bytes(), 0o755),
            "etc/passwd": Entry(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
            "etc/group": Entry(b"root:x:0:\nnogroup:x:65534:\n"),
            "root/.profile": Entry(),
            "tmp/.keep": Entry(),
        },
        level=1,  # it is made anew in each process
    )


def buildkit(certificates: bytes) -> Image:
    """BuildKit's image, trusting these certificates; its large layer is made once and kept in the cache."""
    built = tools.builder()
    runc = tools.command("runc")
    kept = built.bin.parent / f"layer-{Path(runc).stat().st_mtime_ns}.tar.gz"
    unpacked = kept.with_name(f"{kept.name}.diff-id")  # it takes half a second to find out; written before the layer
    if kept.is_file() and unpacked.is_file():
        large = Layer(Blob(LAYER, kept.read_bytes()), unpacked.read_text(encoding="ascii"))
    else:
        files = {f"usr/bin/{name}": Entry((built.bin / name).read_bytes(), 0o755) for name in ("buildkitd", "buildctl")}
        files["usr/bin/runc"] = Entry(Path(runc).read_bytes(), 0o755)
        for library in _libraries(runc):
            files[str(library).lstrip("/")] = Entry(library.read_bytes(), 0o755)
        large = layer(files, level=1)
        for file, content in ((unpacked, large.diff_id.encode()), (kept, large.blob.content)):
            unfinished = file.with_name(f"{file.name}.{os.getpid()}")
            unfinished.write_bytes(content)
            unfinished.rename(file)
    own = layer({"etc/ssl/certs/ca-certificates.crt": Entry(certificates)})
    return image(busybox(), large, own, Entrypoint=["buildkitd"])


def dockerfile_frontend() -> Image:
    """What `# syntax=docker/dockerfile:1` names: the frontend of BuildKit's own version."""
    program = (tools.frontend().bin / "dockerfile-frontend").read_bytes()
    return image(
        layer({"bin/dockerfile-frontend": Entry(program, 0o755)}, level=1), Entrypoint=["/bin/dockerfile-frontend"]
    )


def scanner() -> Image:
    """A stand-in for the SBOM generator."""
    return image(busybox(), layer({"scan": Entry(_SCANNER.read_bytes(), 0o755)}), Entrypoint=["/scan"])


def holder() -> Image:
    """What does nothing until it is ended; a first process that takes no signal would be ended by the stop timeout."""
    return image(busybox(), Entrypoint=["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 2147483647 & wait"])


def waiting(port: int, *others: int) -> Image:
    """What a service runs before its first deployment: it answers every request alike, whatever its command."""
    servers = "".join(f"nc -ll -p {each} -e /bin/answer &\n" for each in (port, *others))
    server = _SERVER.format(servers=servers)
    own = {"bin/serve": Entry(server.encode(), 0o755), "bin/answer": Entry(_ANSWER.encode(), 0o755)}
    return image(busybox(), layer(own), Entrypoint=["/bin/serve"])


def _libraries(program: str) -> Sequence[Path]:
    """The shared libraries of a program, its loader among them."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", said)]

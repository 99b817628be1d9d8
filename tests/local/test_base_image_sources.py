"""Where base images are from: files, a Docker engine, a registry on loopback, stand-ins; and what is said without."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from summary import program

from local.errors import Refusal
from local.loopback import serving_http
from local.rehearsal import images
from local.rehearsal.base_images import (
    PLATFORM,
    Content,
    ImageName,
    ImageStore,
    Mention,
    Provided,
    Registries,
    load_given,
    needed_by_tasks,
    provide,
)
from local.rehearsal.base_images.store import WrongDigest
from local.rehearsal.images import Entry, Image

OTHER = "arm64" if PLATFORM.endswith("amd64") else "amd64"


def an_image(text: str, architecture: str = images.ARCHITECTURE) -> Image:
    return images.image(images.layer({"file": Entry(text.encode())}), architecture=architecture)


def for_both(text: str) -> Image:
    """An index for this machine's platform and for another one."""
    parts = {name: an_image(f"{text} {name}", name) for name in (OTHER, images.ARCHITECTURE)}
    return images.index(*((part, {"platform": {"os": "linux", "architecture": name}}) for name, part in parts.items()))


def mention(name: str, where: str = "Dockerfile:1") -> Mention:
    parsed = ImageName.parse(name)
    assert parsed is not None
    return Mention(parsed, where)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


# Files.


def layout(folder: Path, image: Image, **annotations: str) -> Path:
    """An OCI image layout with one image."""
    store = ImageStore(folder)
    content = store.put(image)
    entry = {"mediaType": content.media_type, "digest": content.digest, "annotations": annotations}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def packed(folder: Path, target: Path, mode: str = "w") -> Path:
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]  # a mode that is no literal
        archive.add(folder, ".")
    return target


def old_form(target: Path, image: Image, *tags: str) -> Path:
    """What Docker before 25 saves: layers that are not compressed, one of them a link to another."""
    (layer,) = [blob for blob in image.blobs if blob.media_type == images.LAYER]
    plain = gzip.decompress(layer.content)
    config = json.loads(image.blobs[0].content)
    config["rootfs"]["diff_ids"] *= 2
    files = {
        "abc.json": json.dumps(config).encode(),
        "one/layer.tar": plain,
        "manifest.json": json.dumps(
            [{"Config": "abc.json", "RepoTags": list(tags) or None, "Layers": ["one/layer.tar", "two/layer.tar"]}]
        ).encode(),
    }
    with tarfile.open(target, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("two/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../one/layer.tar"
        archive.addfile(link)
    return target


@pytest.mark.parametrize("mode", ["folder", "w", "w:gz"])
@pytest.mark.parametrize("index", [False, True])
def test_a_layout_is_taken_with_its_digest(store: ImageStore, tmp_path: Path, mode: str, index: bool) -> None:
    image = for_both("a") if index else an_image("a")
    notes = {"io.containerd.image.name": "docker.io/team/a:1", "org.opencontainers.image.ref.name": "1"}
    path = layout(tmp_path / "layout", image, **notes)
    if mode != "folder":
        path = packed(path, tmp_path / "file", mode)
    assert load_given([str(path)], store) == {"team/a:1": Content(image.digest, image.manifest.media_type)}
    assert store.is_complete(Content(image.digest, image.manifest.media_type), PLATFORM)


def test_the_old_form_is_taken(store: ImageStore, tmp_path: Path) -> None:
    (content,) = load_given([str(old_form(tmp_path / "a.tar", an_image("a"), "a:1"))], store).values()
    assert store.is_complete(content, PLATFORM)
    layers = store.json(content.digest)["layers"]
    assert [layer["mediaType"] for layer in layers] == ["application/vnd.oci.image.layer.v1.tar"] * 2
    with tarfile.open(store.path(layers[1]["digest"])) as archive:
        assert archive.getnames() == ["file"]


def test_names_are_given_where_files_have_none(store: ImageStore, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    layout(folder / "a", an_image("a"), **{"org.opencontainers.image.ref.name": "ghcr.io/team/a:1"})
    old_form(folder / "b.tar", an_image("b"), "b:1", "b:latest")
    assert set(load_given([str(folder)], store)) == {"ghcr.io/team/a:1", "b:1", "b:latest"}
    unnamed = layout(tmp_path / "c", an_image("c"), **{"org.opencontainers.image.ref.name": "1"})
    with pytest.raises(Refusal, match=r"does not say which image it is; write --image NAME="):
        load_given([str(unnamed)], store)
    assert set(load_given([f"c={unnamed}"], store)) == {"c:latest"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("missing.tar", "there is no missing.tar"),
        ("Name=text", "'Name' is no name of an image; NAME=FILE is wanted"),
        ("text", "text holds no image: file could not be opened successfully"),
        ("damaged", "damaged holds no image: sha256:0000"),
        ("empty", "empty holds no image: its index names no image that is in it"),
        ("a:1=two.tar", "two.tar holds 2 images; leave the name away"),
    ],
)
def test_what_cannot_be_taken_is_said(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("no archive")
    layout(Path("damaged"), an_image("a"))
    Path("damaged/blobs/sha256", "0" * 64).write_text("another")
    layout(Path("empty"), an_image("a"))
    for blob in Path("empty/blobs/sha256").iterdir():
        blob.unlink()
    two = layout(Path("two"), an_image("a"), **{"org.opencontainers.image.ref.name": "a:1"})
    index = json.loads((two / "index.json").read_text())
    second = ImageStore(two).put(an_image("b"))
    notes = {"org.opencontainers.image.ref.name": "b:1"}
    index["manifests"].append({"mediaType": second.media_type, "digest": second.digest, "annotations": notes})
    (two / "index.json").write_text(json.dumps(index))
    packed(two, Path("two.tar"))
    with pytest.raises(Refusal) as refused:
        load_given([given], store)
    assert said in str(refused.value)


def test_a_pinned_image_may_be_given_under_any_name(store: ImageStore, tmp_path: Path) -> None:
    image = for_both("a")
    path = layout(tmp_path / "a", image)
    wanted = mention(f"python:3.13@{image.digest}")
    (given,) = provide([wanted], given=[f"python:3.13={path}"], network=False, engine=False, store=store).images
    assert (given.origin, given.content.digest) == ("given by you", image.digest)
    with pytest.raises(Refusal, match=rf"python@sha256:{'1' * 64} \(Dockerfile:1\): docker.io: not asked"):
        provide(
            [mention(f"python@sha256:{'1' * 64}")],
            given=[f"python:3.13={path}"],
            network=False,
            engine=False,
            store=store,
        )


def test_an_image_for_another_processor_is_refused(store: ImageStore, tmp_path: Path) -> None:
    path = layout(tmp_path / "a", an_image("a", OTHER))
    with pytest.raises(Refusal, match=f"what you give is not for {PLATFORM}, or lacks layers"):
        provide([mention("a")], given=[f"a={path}"], network=False, store=store)


# A Docker engine; a real one is in tests/rehearsal/test_base_images.py.


def docker(folder: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "docker").write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{program}\n')
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_an_image_of_the_engine_is_saved_once(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = old_form(tmp_path / "a.tar", an_image("a"), "a:1")
    docker(tmp_path, f'[ $2 = inspect ] && echo "sha256:1 {PLATFORM}" || cp {file} "$3"', monkeypatch)
    for _ in range(2):
        (provided,) = provide([mention("a:1")], network=False, store=store).images
        assert str(provided) == "a:1: from this machine's Docker engine"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[:2] for call in calls] == [["image", "inspect"], ["save", "--output"], ["image", "inspect"]]


@pytest.mark.parametrize(
    "program", ["exit 1", f"echo sha256:1 linux/{OTHER}", f'[ $2 = inspect ] && echo "sha256:2 {PLATFORM}" || exit 1']
)
def test_an_engine_that_has_not_the_image_is_passed_over(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    docker(tmp_path, program, monkeypatch)
    with pytest.raises(Refusal, match="A base image cannot be had"):
        provide([mention("a:1")], network=False, store=store)


def test_an_engine_with_another_manifest_around_the_image_is_passed_over(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saves layers and configuration; a digest names the manifest that the registry has."""
    file = old_form(tmp_path / "a.tar", an_image("a"), "a:1")
    docker(tmp_path, f'[ $2 = inspect ] && echo "sha256:3 {PLATFORM}" || cp {file} "$3"', monkeypatch)
    with pytest.raises(Refusal, match="A base image cannot be had"):
        provide([mention(f"a@sha256:{'1' * 64}")], network=False, store=store)


# A registry.


class Registry(BaseHTTPRequestHandler):
    """A registry with images, which wants a token of everybody and sends layers from another place."""

    images: ClassVar[dict[str, Image]] = {}
    calls: ClassVar[list[str]] = []
    answers: ClassVar[dict[str, int]] = {}
    token = "opens"  # noqa: S105 - of this registry
    elsewhere = address = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        self.calls.append(path.path)
        if path.path in self.answers:
            self.reply(self.answers[path.path], b"")
        elif path.path == "/token":
            (scope,) = parse_qs(path.query)["scope"]
            self.reply(200, json.dumps({"token": f"{self.token} {scope}"}).encode())
        elif path.path == "/v2/" or not self.headers.get("Authorization", "").startswith(f"Bearer {self.token}"):
            challenge = 'Bearer realm="/token",service="registry",scope="repository:team/a:pull"'
            self.reply(401, b"", **{"WWW-Authenticate": challenge})
        else:
            self.content(path.path.removeprefix("/v2/team/a/"))

    def content(self, path: str) -> None:
        kind, _, reference = path.partition("/")
        if kind == "blobs":
            self.reply(307, b"", Location=f"{self.elsewhere}/{reference}")
        elif reference in self.images:
            manifest = self.images[reference].manifest
            self.reply(200, manifest.content, **{"Content-Type": manifest.media_type})
        else:
            self.reply(404, b"")

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def registry(*served: tuple[str, Image], damaged: bool = False) -> Iterator[type[Registry]]:
    """Serve `team/a` on loopback."""
    blobs: dict[str, bytes] = {}
    known: dict[str, Image] = {}
    for tag, image in served:
        known |= {tag: image, image.digest: image} | {part.digest: part for part in image.parts}
        blobs |= {blob.digest: blob.content for each in (image, *image.parts) for blob in each.blobs}

    class Storage(BaseHTTPRequestHandler):
        """Where layers lie: it takes nobody's token."""

        def do_GET(self) -> None:
            body = blobs[self.path[1:]] + (b"?" if damaged else b"")
            self.send_response(400 if "Authorization" in self.headers else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving_http(Storage) as storage:
        shared: dict[str, Any] = {"images": known, "calls": [], "answers": {}, "elsewhere": storage}
        handler = type("Answering", (Registry,), shared)
        with serving_http(handler) as address:
            yield type("OneRegistry", (handler,), {"address": address})


def from_registry(handler: type[Registry], store: ImageStore, name: str = "registry.example.com/team/a:1") -> Provided:
    addresses = {"registry.example.com": handler.address}
    (image,) = provide([mention(name)], engine=False, store=store, registries=Registries(addresses)).images
    return image


@pytest.mark.parametrize("index", [False, True])
def test_an_image_is_fetched_for_this_machine_with_the_digest_it_has(store: ImageStore, index: bool) -> None:
    image = for_both("a") if index else an_image("a")
    with registry(("1", image)) as handler:
        fetched = from_registry(handler, store)
        assert str(fetched) == "registry.example.com/team/a:1: from registry.example.com"
        assert fetched.content.digest == image.digest
        assert store.is_complete(fetched.content, PLATFORM)
        assert not store.is_complete(fetched.content, f"linux/{OTHER}"), "nobody here needs it"
        calls = len(handler.calls)
        from_registry(handler, store)
        again = handler.calls[calls:]
    assert again == ["/v2/", "/v2/team/a/manifests/1", "/token", "/v2/team/a/manifests/1"], "layers are fetched once"


def test_without_a_registry_what_was_fetched_is_taken(store: ImageStore) -> None:
    with registry(("1", an_image("a"))) as handler:
        fetched = from_registry(handler, store)
        handler.answers["/v2/team/a/manifests/1"] = 429
        limited = from_registry(handler, store)
    gone = from_registry(handler, store)
    assert limited.content == gone.content == fetched.content
    assert limited.origin == gone.origin == "from registry.example.com, by an earlier run"


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as refused:
        act()
    return str(refused.value).splitlines()[1].partition("): ")[2]


def test_a_registry_that_has_not_the_image_is_believed(store: ImageStore) -> None:
    """No stand-in hides it, although there would be one."""
    with registry(("1", an_image("a"))) as handler:
        registries = Registries({"docker.io": handler.address, "registry.example.com": handler.address})
        handler.answers["/v2/library/python/manifests/no"] = 404
        for name, said in {
            "python:no": "the registry has no python:no for everybody (404)",
            "registry.example.com/team/a:2": "the registry has no registry.example.com/team/a:2 for everybody (404)",
        }.items():

            def act(name: str = name) -> object:
                return provide([mention(name)], engine=False, store=store, registries=registries)

            assert refusal(act) == said


def test_content_that_is_not_what_its_digest_says_is_refused(store: ImageStore) -> None:
    with registry(("1", an_image("a")), damaged=True) as handler:
        assert " was to come, and sha256:" in refusal(lambda: from_registry(handler, store))
    assert store.recall("registry registry.example.com/team/a 1", PLATFORM) is None


def test_an_image_for_other_processors_only_is_said(store: ImageStore) -> None:
    with registry(("1", an_image("a", OTHER))) as handler:
        said = refusal(lambda: from_registry(handler, store))
    assert said == f"registry.example.com/team/a:1 is not for {PLATFORM}"


def test_a_registry_that_does_not_answer_is_given_up_soon(store: ImageStore) -> None:
    """It takes the connection and says nothing; a second image of it is not asked for again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        registries = Registries({"docker.io": address})
        started = time.monotonic()
        with pytest.raises(Refusal, match="2 base images cannot be had") as refused:
            provide([mention("httpd"), mention("redis")], engine=False, store=store, registries=registries)
        assert time.monotonic() - started < 4
    lines = str(refused.value).splitlines()
    assert lines[1].startswith("  httpd:latest (Dockerfile:1): docker.io: ")
    assert lines[2].startswith("  redis:latest (Dockerfile:1): docker.io: ")
    assert "docker save --output FILE NAME" in lines[3]


def test_a_name_that_is_looked_up_for_long_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No timeout reaches the machine's resolver."""
    ended = threading.Event()

    def look_up(*_: object) -> str:
        ended.wait(20)
        return ""

    monkeypatch.setattr(Registries, "_tried", look_up)
    started = time.monotonic()
    assert Registries().problem("registry.example.com") == "no answer within 2 s"
    assert time.monotonic() - started < 10
    ended.set()


# Stand-ins.


def test_without_anything_else_there_are_stand_ins_and_all_that_is_missing_is_said_at_once(store: ImageStore) -> None:
    wanted = ["alpine:3.20", "httpd:2", "ghcr.io/team/a:1", f"busybox@sha256:{'1' * 64}"]
    with pytest.raises(Refusal) as refused:
        provide([mention(name) for name in wanted], network=False, engine=False, store=store)
    assert str(refused.value).splitlines() == [
        "3 base images cannot be had:",
        "  httpd:2 (Dockerfile:1): docker.io: not asked; no stand-in for it",
        "  ghcr.io/team/a:1 (Dockerfile:1): ghcr.io: not asked; no stand-in for it",
        f"  busybox@sha256:{'1' * 64} (Dockerfile:1): docker.io: not asked; no stand-in for it",
        "Save them where they are to be had (docker save --output FILE NAME), and give them by --image FILE,",
        "--image NAME=FILE or --image FOLDER of such files; or let them be fetched, by --network.",
    ]
    (alpine,) = provide([mention("alpine:3.20")], network=False, engine=False, store=store).images
    assert str(alpine) == "alpine:3.20: stand-in: busybox of this machine, without apk"
    started = time.monotonic()
    (again,) = provide(
        [mention("public.ecr.aws/docker/library/alpine")], network=False, engine=False, store=store
    ).images
    assert again.content == alpine.content
    assert time.monotonic() - started < 1, "it is made once"


# The store.


def test_the_store_keeps_nothing_that_is_damaged(store: ImageStore) -> None:
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(WrongDigest):
        store.write([b"x"], wrong)
    assert wrong not in store
    assert sorted(path.name for path in store.folder.iterdir()) == ["blobs", "brought"]
    digest = store.write([b"a", b"b"])
    assert digest == f"sha256:{hashlib.sha256(b'ab').hexdigest()}"
    assert store.read(digest) == b"ab"


def test_what_was_deleted_is_not_recalled(store: ImageStore) -> None:
    content = store.put(an_image("a"))
    store.remember("a", content)
    assert store.recall("a", PLATFORM) == content
    store.path(store.json(content.digest)["layers"][0]["digest"]).unlink()
    assert store.recall("a", PLATFORM) is None


def test_of_an_index_the_whole_or_this_machines_part_is_given(store: ImageStore) -> None:
    index = for_both("a")
    content = store.put(index)
    assert store.image(content, PLATFORM) == index
    other = next(part for part in index.parts if part.digest != store.of_platform(content, PLATFORM).digest)  # type: ignore[union-attr]
    store.path(other.digest).unlink()
    assert store.image(content, PLATFORM) in index.parts


def test_images_of_further_containers_are_brought_too() -> None:
    """But for those that are delivered, which the pipeline builds."""
    graphs = {name: [item.as_dict() for item in program(name)] for name in ("dev", "behind-nginx", "existing-hosting")}
    assert [(str(found.name), found.where) for found in needed_by_tasks(graphs)] == [
        (
            "public.ecr.aws/aws-observability/aws-for-fluent-bit:3.0",
            "the container log-router of behind-nginx",
        ),
    ]

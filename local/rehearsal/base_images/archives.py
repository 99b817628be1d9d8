"""Images out of files: what ``docker save`` writes, old and new, and OCI image layouts; and out of a Docker engine.

Sources: https://github.com/moby/docker-image-spec (the old form, ``manifest.json``), and
https://github.com/opencontainers/image-spec/blob/main/image-layout.md (``index.json``, which Docker writes, too, since
version 25).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from local.errors import Refusal
from local.rehearsal.base_images.names import ImageName
from local.rehearsal.base_images.store import Content, ImageStore, WrongDigest, pieces_of
from local.rehearsal.images import CONFIG, INDEX, MANIFEST, Blob

_PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PACKED_LAYER = f"{_PLAIN_LAYER}+gzip"
_BLOB = re.compile(r"(?:\./)?blobs/sha256/([0-9a-f]{64})")
_PATIENCE_SECONDS = 5
"""How long a Docker engine may think about an image; one that does not answer is none."""

Found = dict[str, Content]
"""Images by the names that a file gives them; one without a name is under the empty one."""


def load(path: Path, store: ImageStore) -> Found:
    """Bring what is in a file or in an OCI image layout's folder into the store.

    Raises:
        Refusal: It is neither, or damaged.
    """
    try:
        if path.is_dir():
            return _layout_folder(path, store)
        with tarfile.open(path) as archive:
            return _archive(archive, store)
    except (OSError, tarfile.TarError, ValueError, KeyError, WrongDigest) as error:
        raise Refusal(
            f"{path} holds no image: {error or type(error).__name__}. "
            "A file of `docker save` is wanted, or an OCI image layout."
        ) from None


def load_given(given: Iterable[str], store: ImageStore) -> Found:
    """Bring the images that a user gives.

    Args:
        given: ``NAME=FILE``, ``FILE``, or a folder of files; a file may be an OCI image layout's folder.
        store: Where to.

    Raises:
        Refusal: A file cannot be read, or it is not clear what image it is for.
    """
    found: Found = {}
    for text in given:
        name, assigned, place = text.partition("=")
        path = Path(place if assigned else text).expanduser()
        if assigned and ImageName.parse(name) is None:
            raise Refusal(f"--image {text}: {name!r} is no name of an image; NAME=FILE is wanted")
        if not path.exists():
            raise Refusal(f"--image {text}: there is no {path}")
        files = [path]
        if path.is_dir() and not (path / "index.json").is_file():
            files = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        for file in files:
            images = load(file, store)
            if assigned:
                if len(set(images.values())) != 1:
                    raise Refusal(f"--image {text}: {file} holds {len(images)} images; leave the name away")
                images = {name: next(iter(images.values()))}
            elif "" in images:
                raise Refusal(f"--image {text}: {file} does not say which image it is; write --image NAME={file}")
            found |= {str(parsed): content for known, content in images.items() if (parsed := ImageName.parse(known))}
    return found


def from_engine(name: ImageName, platform: str, store: ImageStore) -> Content | None:
    """Bring an image out of this machine's Docker engine; ``None`` if there is no engine, or it lacks the image."""
    docker = shutil.which("docker")
    if docker is None:
        return None
    inspect = [docker, "image", "inspect", "--format", "{{.Id}} {{.Os}}/{{.Architecture}}", str(name)]
    try:
        asked = subprocess.run(inspect, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    image, _, there = asked.stdout.strip().partition(" ")
    if asked.returncode or there != platform:
        return None
    key = f"engine {image}"
    known = store.recall(key, platform)
    if known is None:
        with tempfile.TemporaryDirectory(dir=store.folder) as folder:
            file = Path(folder) / "image.tar"
            saved = subprocess.run([docker, "save", "--output", str(file), str(name)], capture_output=True, check=False)
            if saved.returncode:
                return None
            known = next(iter(load(file, store).values()))
        store.remember(key, known, name=str(name))
    # An engine may have put another manifest around the same layers: a digest is a promise about the manifest.
    return known if name.digest in {"", known.digest} else None


def _layout_folder(folder: Path, store: ImageStore) -> Found:
    for file in (folder / "blobs" / "sha256").iterdir():
        if f"sha256:{file.name}" not in store:
            with file.open("rb") as opened:
                store.write(pieces_of(opened), f"sha256:{file.name}")
    return _in_index(json.loads((folder / "index.json").read_text(encoding="utf-8")), store)


def _archive(archive: tarfile.TarFile, store: ImageStore) -> Found:
    names = {name.removeprefix("./"): name for name in archive.getnames()}

    def opened(name: str) -> IO[bytes]:
        file = archive.extractfile(names[name])
        if file is None:
            raise KeyError(name)
        return file

    if "index.json" in names and "oci-layout" in names:
        for member in archive.getmembers():
            blob = _BLOB.fullmatch(member.name)
            if blob and member.isfile() and f"sha256:{blob[1]}" not in store:
                store.write(pieces_of(opened(member.name.removeprefix("./"))), f"sha256:{blob[1]}")
        found = _in_index(json.load(opened("index.json")), store)
        if "" not in found or "manifest.json" not in names:
            return found
    return _old_form(json.load(opened("manifest.json")), opened, store)


def _in_index(index: Mapping[str, Any], store: ImageStore) -> Found:
    found: Found = {}
    for entry in index["manifests"]:
        if entry["digest"] not in store:
            continue
        notes = entry.get("annotations", {})
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name", "")
        # The second may hold nothing but a tag.
        named = name if re.search(r"[/:]", name) else ""
        found[named] = Content(entry["digest"], entry.get("mediaType", MANIFEST))
    if not found:
        raise ValueError("its index names no image that is in it")
    if len(found) == 1 and "" in found and len(index["manifests"]) > 1:
        # One image for several platforms, of which the layout's own index is the index.
        blob = Blob(INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, **index}).encode())
        found[""] = Content(store.write([blob.content]), INDEX)
    return found


def _old_form(listed: list[dict[str, Any]], opened: Callable[[str], IO[bytes]], store: ImageStore) -> Found:
    found: Found = {}
    for image in listed:
        layers = []
        for name in image["Layers"]:
            digest = store.write(pieces_of(opened(name)))
            with store.path(digest).open("rb") as file:
                kind = _PACKED_LAYER if file.read(2) == b"\x1f\x8b" else _PLAIN_LAYER
            layers.append({"mediaType": kind, "digest": digest, "size": store.path(digest).stat().st_size})
        config = Blob(CONFIG, opened(image["Config"]).read())
        store.write([config.content])
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": layers}
        content = Content(store.write([json.dumps(manifest).encode()]), MANIFEST)
        found |= dict.fromkeys(image.get("RepoTags") or [""], content)
    return found

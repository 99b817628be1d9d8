"""A folder of an image, out of the image's layers: what lies elsewhere passes by and is stored nowhere.

The layers are read twice: first what they hold, from which follows what the folder holds in the end; then, of the
layers that hold some of that, the content. Nothing that a layer says is used before its digest is verified.
https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, TypeVar, Union, cast

from jobs import job, registry, registry_api, zstandard

T = TypeVar("T")
# https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md, and what it is compatible with:
# https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md
COMPRESSION = {
    "application/vnd.oci.image.layer.v1.tar": "",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
}
"""Media type of a layer that can be read -> its compression.

Docker's type with zstd is in no specification, but BuildKit writes it: https://github.com/containers/image/pull/2906.
"""
Wanted = dict[int, list[tuple[Path, int]]]
"""Number of a layer's member -> where its content goes, and with which mode."""
WHITEOUT, OPAQUE, AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
MOST_LINKS = 40  # as Linux has it: https://man7.org/linux/man-pages/man7/path_resolution.7.html
CHUNK = 1024 * 1024


class Layer(NamedTuple):
    """A layer as the manifest describes it."""

    digest: str
    size: int
    compression: str


class Member(NamedTuple):
    """What a layer says of a path."""

    names: list[str]
    type: bytes
    target: str
    mode: int


class File(NamedTuple):
    """A regular file: the layer that names it, and where the content is: which member of which layer."""

    layer: int
    content: tuple[int, int]
    mode: int


class Link(NamedTuple):
    """A symbolic link."""

    layer: int
    target: str


class Special(NamedTuple):
    """A device or a pipe."""

    layer: int


class Folder:
    """A folder, with the last layer that names it."""

    def __init__(self, layer: int) -> None:
        self.layer = layer
        self.entries: dict[str, Node] = {}

    def everything(self) -> list[tuple[Folder, list[str], Node]]:
        """What is below: the folder that it is in, its path from here, itself; each folder before what it holds."""
        found: list[tuple[Folder, list[str], Node]] = []
        folders: list[tuple[Folder, list[str]]] = [(self, [])]
        while folders:
            folder, path = folders.pop()
            for name, node in folder.entries.items():
                found.append((folder, [*path, name], node))
                if isinstance(node, Folder):
                    folders.append((node, [*path, name]))
        return found

    def hide(self, name: str, layer: int) -> None:
        """Take away what layers below this one have put there; what this one puts there itself stays."""
        node = self.entries.get(name)
        if isinstance(node, Folder):
            node.hide_all(layer)
        if node and node.layer != layer and not (isinstance(node, Folder) and node.entries):
            del self.entries[name]

    def hide_all(self, layer: int) -> None:
        """Hide everything in it."""
        for folder, path, node in reversed(self.everything()):
            if node.layer != layer and not (isinstance(node, Folder) and node.entries):
                del folder.entries[path[-1]]


Node = Union[Folder, File, Link, Special]  # noqa: UP007 - it is evaluated, which Python 3.9 cannot do with `|`


class Tree:
    """What an image holds, without the content."""

    def __init__(self) -> None:
        self.root = Folder(-1)

    def find(self, names: Iterable[str]) -> Node | None:
        """What is at this place, where no link is followed."""
        node: Node | None = self.root
        for name in names:
            node = node.entries.get(name) if isinstance(node, Folder) else None
        return node

    def real(self, path: str, start: Sequence[str] = (), *, layer: int | None = None) -> list[str]:
        """The place that a path leads to, with all links followed within the image; `start` is where it is relative to.

        What is missing on the way is taken as it stands. With `layer`, the links of that layer are followed alone.
        """
        names = [] if path.startswith("/") else list(start)
        here = self.find(names)
        rest, links = path.split("/")[::-1], 0
        while rest:
            name = rest.pop()
            if name in ("", "."):
                continue
            node = here.entries.get(name) if isinstance(here, Folder) else None
            if isinstance(node, Link) and layer in (None, node.layer):
                links += 1
                if links > MOST_LINKS:
                    job.fail(f"{path} of the image leads over more than {MOST_LINKS} symbolic links, or in a circle.")
                names = [] if node.target.startswith("/") else names
                rest += node.target.split("/")[::-1]
                here = self.find(names)
            elif name == "..":
                del names[-1:]
                here = self.find(names)
            else:
                names.append(name)
                here = node
        return names

    def folder(self, names: Iterable[str], layer: int) -> Folder:
        """The folder at this place, made where it is missing."""
        here = self.root
        for name in names:
            inside = here.entries.get(name)
            if not isinstance(inside, Folder):
                inside = here.entries[name] = Folder(layer)
            here = inside
        return here

    def apply(self, layer: int, digest: str, members: Iterable[Member]) -> None:
        """Lay a layer over what is there, in the order of its members."""
        for number, member in enumerate(members):
            if not member.names:  # the image's root
                continue
            *above, name = member.names
            # A layer is unpacked by itself, and laid over what is below: there, a folder of it takes a link's place.
            parent = self.folder(self.real("/".join(above), layer=layer), layer)
            if name == OPAQUE:
                parent.hide_all(layer)
            elif name.startswith(WHITEOUT):
                if not name.startswith(AUFS):  # what the storage driver aufs kept for itself
                    parent.hide(name[len(WHITEOUT) :], layer)
            else:
                parent.entries[name] = self._node(layer, digest, number, member, parent.entries.get(name))

    def _node(self, layer: int, digest: str, number: int, member: Member, there: Node | None) -> Node:
        """What is at a path from this layer on."""
        if member.type == tarfile.DIRTYPE:
            folder = there if isinstance(there, Folder) else Folder(layer)
            folder.layer = layer
            return folder
        if member.type == tarfile.LNKTYPE:
            return self._linked(layer, digest, member)
        if member.type == tarfile.SYMTYPE:
            return Link(layer, member.target)
        return File(layer, (layer, number), member.mode) if member.type in tarfile.REGULAR_TYPES else Special(layer)

    def _linked(self, layer: int, digest: str, member: Member) -> Node:
        """What a hard link names, in this layer or in one below; in the folder or elsewhere in the image."""
        *above, name = names_in(digest, member.target) or [""]
        target = self.find([*self.real("/".join(above)), name])
        if target is None or isinstance(target, Folder):
            job.fail(
                f"the layer {digest} links {'/'.join(member.names)} to {member.target}, which is no file of the image: "
                "build the image again."
            )
        return target._replace(layer=layer)


def names_in(digest: str, path: str) -> list[str]:
    """The names on the way to a place in the image; ends the job when it is none."""
    names = path.split("/")
    if ".." in names or "\0" in path:
        job.fail(f"the layer {digest} holds {path!r}, which is no path within the image: nothing of it is published.")
    return [name for name in names if name not in ("", ".")]


class Header(tarfile.TarInfo):
    """A member's header; one that is broken ends the archive with an error, and not as if it were whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        """Read a header."""
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(f"a header is broken: {error}") from None
            raise  # the end


class Blob(io.RawIOBase):
    """A layer as it comes from the registry, counted and hashed on the way."""

    def __init__(self, source: http.client.HTTPResponse) -> None:
        super().__init__()
        self._source, self._sha256, self.size = source, hashlib.sha256(), 0

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as in the base class
        """Read what comes next."""
        try:
            content = self._source.read(len(buffer))
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(str(error) or repr(error)) from error
        buffer[: len(content)] = content
        self._sha256.update(content)
        self.size += len(content)
        return len(content)

    def verify(self, layer: Layer) -> None:
        """Read on to the end; ends the job when it is another layer, and raises when it has been cut off."""
        while self.read(CHUNK):
            pass
        if self.size < layer.size:
            raise OSError(f"{layer.digest[:19]} ended after {self.size} of {layer.size} bytes")
        if f"sha256:{self._sha256.hexdigest()}" != layer.digest:
            job.fail(f"the registry answered with something else than the layer {layer.digest}.")


def read(source: registry_api.Registry, layer: Layer, take: Callable[[tarfile.TarFile], T]) -> T:
    """What `take` makes of a layer's archive, returned when the layer is verified."""

    def once() -> T:
        broken, taken = "", list[T]()
        with source.blob(layer.digest) as answer:
            blob = Blob(answer)
            plain: Any = io.BufferedReader(blob, CHUNK)
            if layer.compression == "gzip":
                plain = gzip.GzipFile(fileobj=plain)
            elif layer.compression == "zstd":
                plain = io.BufferedReader(zstandard.Reader(plain), CHUNK)
            try:
                # As a stream: of what is passed over nothing is kept, and nothing is sought.
                with tarfile.open(fileobj=plain, mode="r|", tarinfo=Header, encoding="utf-8") as archive:
                    taken.append(take(archive))
            except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, zstandard.BadContentError) as error:
                broken = str(error)
            blob.verify(layer)
        if broken:
            job.fail(f"the layer {layer.digest} is no archive that can be read: {broken}. Build the image again.")
        return taken[0]

    return registry_api.patiently(f"the layer {layer.digest} could not be read", once)


def passing(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one by one; tarfile keeps their headers otherwise, for which many files need much memory."""
    for entry in archive:
        archive.members = []  # type: ignore[attr-defined] # typeshed lacks it; Python 3.13 has `stream` for this
        yield entry


def members_of(digest: str, archive: tarfile.TarFile) -> list[Member]:
    """What the layer says of which paths."""
    found = list[Member]()
    for entry in passing(archive):
        if "\0" in entry.linkname:
            names_in(digest, entry.linkname)
        found.append(Member(names_in(digest, entry.name), entry.type, entry.linkname, entry.mode))
    return found


def layers_of(manifest: dict[str, Any]) -> list[Layer]:
    """The layers of an image; ends the job when one of them cannot be read, with what helps."""
    found = list[Layer]()
    for entry in manifest.get("layers", []):
        digest, kind = registry.checked_digest(str(entry["digest"]), "a layer of the image"), str(entry["mediaType"])
        if kind not in COMPRESSION or entry.get("urls"):
            job.fail(f"the layer {digest} {_unreadable(kind)}")
        found.append(Layer(digest, int(entry["size"]), COMPRESSION[kind]))
    return found


def _unreadable(kind: str) -> str:
    """Why a layer of this media type is not read, and what helps."""
    if kind.endswith("+encrypted"):
        return f"is encrypted ({kind}), and no job has its key: build the image without encryption."
    if kind in COMPRESSION or "foreign" in kind or "nondistributable" in kind:
        return (
            f"may be stored outside of the registry ({kind}), and no job fetches anything from there: build the image "
            "on a base image whose layers are in the registry."
        )
    return f"has the media type {kind}, which no job can read. It can be one of: {', '.join(COMPRESSION)}."


def tree_of(source: registry_api.Registry, layers: list[Layer]) -> Tree:
    """What the image of these layers holds."""
    tree = Tree()
    for number, layer in enumerate(layers):
        job.say(f"    layer {number + 1} of {len(layers)}: {layer.digest[:19]} {layer.size / 1e6:.1f} MB")
        tree.apply(number, layer.digest, read(source, layer, partial(members_of, layer.digest)))
    return tree


def copy(source: registry_api.Registry, manifest: dict[str, Any], path: str, target: Path) -> None:
    """Copy what is in a folder of the image to a new folder; links on the way to it and in it are followed."""
    layers = layers_of(manifest)
    tree = tree_of(source, layers)
    place = tree.real(path)
    folder = tree.find(place)
    if not isinstance(folder, Folder):
        lacks = "the image has no folder" if folder is None else "the image has something else than a folder at"
        job.fail(f"{lacks} {path}: see deploy.staticFiles.upload.path in the stack file.")
    links: dict[Path, str] = {}
    wanted: dict[int, Wanted] = {}
    try:
        target.mkdir()
        for _, names, node in folder.everything():
            goal = target.joinpath(*names)
            if isinstance(node, Folder):
                goal.mkdir()
            elif isinstance(node, File):
                layer, member = node.content
                wanted.setdefault(layer, {}).setdefault(member, []).append((goal, node.mode))
            elif isinstance(node, Link):
                links[goal] = inside(tree, place, names)
            else:
                job.fail(
                    f"/{'/'.join([*place, *names])} of the image is a device or a pipe, which cannot be published."
                )
        for layer, files in sorted(wanted.items()):
            job.say(f"    {sum(map(len, files.values()))} files out of {layers[layer].digest[:19]}")
            read(source, layers[layer], partial(store, files))
        for goal, leads_to in links.items():  # at last, so that no file is written to where a link leads
            goal.symlink_to(leads_to)
    except OSError as error:
        job.fail(f"what {path} of the image holds could not be stored: {error}")


def inside(tree: Tree, place: list[str], names: list[str]) -> str:
    """The target of a link of the folder, from there; ends the job when it leads out of the folder."""
    found = tree.real("/".join(names), place)
    if found[: len(place)] != place:
        job.fail(
            f"{'/'.join(names)} is a link that leads out of the folder, to /{'/'.join(found)} of the image: only what "
            "is in the folder is published."
        )
    return os.path.relpath(PurePosixPath("/", *found), PurePosixPath("/", *place, *names[:-1]))


def store(files: Wanted, archive: tarfile.TarFile) -> None:
    """Store the content of these members."""
    for number, entry in enumerate(passing(archive)):
        if number not in files:
            continue
        content = cast("IO[bytes]", archive.extractfile(entry))
        first = files[number][0][0]
        try:
            with first.open("wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
            for goal, mode in files[number]:
                if goal != first:
                    shutil.copyfile(first, goal)
                goal.chmod(safe(mode))
        except (ConnectionError, gzip.BadGzipFile, zstandard.BadContentError):
            raise
        except OSError as error:
            job.fail(f"{first} could not be stored: {error}")


def safe(mode: int) -> int:
    """The mode of a file without what a stranger's archive must not decide, as tarfile's filter `data` has it.

    https://docs.python.org/3/library/tarfile.html#tarfile.data_filter, which Python 3.9 has from 3.9.17 on.
    """
    executable = 0o755 if mode & 0o100 else 0o644
    return (mode & executable) | 0o600

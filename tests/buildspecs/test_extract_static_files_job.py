"""The job that copies a folder out of an image: it really runs, against a registry on loopback and made layers."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from compressing import zstd
from fake_tools import DIGEST, Machine, Reply, Request, WebServer, image, module, serving
from oci_registry import INDEX, MANIFEST, TOKEN, OciRegistry, digest_of, host, tokens

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
MEGABYTE = 1024 * 1024


@dataclass
class Entry:
    """A member of a layer."""

    name: str
    content: bytes = b""
    type: bytes = tarfile.REGTYPE
    target: str = ""
    mode: int = 0o644
    pax: dict[str, str] = field(default_factory=dict)


def folder(name: str) -> Entry:
    return Entry(name, type=tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str) -> Entry:
    return Entry(name, type=tarfile.SYMTYPE, target=target, mode=0o777)


def hard(name: str, target: str) -> Entry:
    return Entry(name, type=tarfile.LNKTYPE, target=target)


def tar(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A layer without compression."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for entry in entries:
            header = tarfile.TarInfo(entry.name)
            header.type, header.linkname, header.mode, header.size = entry.type, entry.target, entry.mode, 0
            header.pax_headers = entry.pax
            if entry.type == tarfile.REGTYPE:
                header.size = len(entry.content)
            archive.addfile(header, io.BytesIO(entry.content))
    return packed.getvalue()


Layers = list[list[Entry]]


class Images(OciRegistry):
    """A registry with images of made layers."""

    def image(self, layers: Layers) -> str:
        """Keep an image; its digest."""
        return self.packed(*(gzip.compress(tar(*layer), mtime=0) for layer in layers))

    def packed(self, *layers: bytes, kind: str = GZIP, **changes: object) -> str:
        """Keep an image of these bytes; its digest."""
        described = [{**self.blob("shop", layer), "mediaType": kind, **changes} for layer in layers]
        return self.manifest("shop", MANIFEST, config=self.blob("shop", b"{}"), layers=described)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def extract(machine: Machine, registry: Images, digest: str, path: str = "/app/public") -> CompletedProcess[str]:
    """Run the job."""
    with serving(registry) as url:
        repository = f"{host(url)}/shop"
        machine.file("image.json", image(repository=repository, digest=digest))
        machine.answer("aws ecr get-authorization-token", tokens(url))
        return machine.run(
            "extract_static_files",
            IMAGE_REPOSITORY_URI=repository,
            IMAGE_DIGEST=digest,
            STATIC_FILES_PATH=path,
            PLATFORM="linux/arm64",
        )


def refusal(result: CompletedProcess[str]) -> str:
    """What a job that has failed says."""
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.partition("\nFAILED: ")[2]


def copied(machine: Machine) -> dict[str, str]:
    """The files of the artifact, and the links with what they name."""
    root = machine.folder / "static-files"
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_of_an_index_the_image_of_the_platform_is_read_and_no_docker_is_called(machine: Machine) -> None:
    registry = Images()
    children = []
    for name in ("amd64", "arm64", "unknown"):
        child = registry.image([[Entry("app/public/index.html", f"for {name}".encode())]])
        os_name = "unknown" if name == "unknown" else "linux"
        children.append({"digest": child, "platform": {"os": os_name, "architecture": name}})
    index = registry.manifest("shop", INDEX, manifests=children)

    result = extract(machine, registry, index, "/app/public/")

    assert result.returncode == 0, result.stderr
    assert copied(machine) == {"index.html": "for arm64"}
    assert "1 files copied from /app/public/" in result.stdout
    assert [str(call) for call in machine.calls] == ["aws ecr get-authorization-token --output json"]
    assert {request.method for request in registry.requests} == {"GET"}
    assert TOKEN not in result.stdout + result.stderr


def test_an_index_without_the_platform_is_refused(machine: Machine) -> None:
    registry = Images()
    child = registry.image([])
    index = registry.manifest(
        "shop", INDEX, manifests=[{"digest": child, "platform": {"os": "linux", "architecture": "s390x"}}]
    )

    assert "is for linux/s390x, the tasks run on linux/arm64." in refusal(extract(machine, registry, index))


P = "app/public"
BASE = [folder("app"), folder(P), Entry(f"{P}/a", b"old"), folder(f"{P}/d"), Entry(f"{P}/d/b", b"b")]
OLD = {"a": "old", "d/b": "b"}
LAID: dict[str, tuple[Layers, str, dict[str, str]]] = {
    "one layer": ([BASE], "/app/public", OLD),
    "a file of a later layer": ([BASE, [Entry(f"{P}/a", b"new")]], "/app/public", {**OLD, "a": "new"}),
    "a file that is taken away": ([BASE, [Entry(f"{P}/.wh.a")]], "/app/public", {"d/b": "b"}),
    "a folder that is taken away": ([BASE, [Entry(f"{P}/.wh.d")]], "/app/public", {"a": "old"}),
    "nothing that is taken away": ([BASE, [Entry(f"{P}/.wh.x"), Entry("x/.wh.y")]], "/app/public", OLD),
    "a file that comes back": (
        [BASE, [Entry(f"{P}/.wh.a")], [Entry(f"{P}/a", b"3")]],
        "/app/public",
        {**OLD, "a": "3"},
    ),
    "all that is taken away": (
        [BASE, [Entry(f"{P}/.wh..wh..opq"), Entry(f"{P}/new", b"n")]],
        "/app/public",
        {"new": "n"},
    ),
    "all that is taken away, said behind what is new": (
        [BASE, [Entry(f"{P}/d/new", b"n"), Entry(f"{P}/.wh..wh..opq")]],
        "/app/public",
        {"d/new": "n"},
    ),
    "a folder above that is taken away": (
        [BASE, [folder("app"), Entry("app/.wh..wh..opq"), Entry(f"{P}/x", b"x")]],
        "/app/public",
        {"x": "x"},
    ),
    "what a layer takes away and has itself": (
        [BASE, [Entry(f"{P}/a", b"own"), Entry(f"{P}/.wh.a"), Entry(f"{P}/d/own", b"own"), Entry(f"{P}/.wh.d")]],
        "/app/public",
        {"a": "own", "d/own": "own"},
    ),
    "what the driver aufs keeps": ([[*BASE, Entry(f"{P}/.wh..wh.plnk", b"x")]], "/app/public", OLD),
    "a file in place of a folder": ([BASE, [Entry(f"{P}/d", b"file")]], "/app/public", {"a": "old", "d": "file"}),
    "a folder in place of a file": (
        [BASE, [folder(f"{P}/a"), Entry(f"{P}/a/x", b"x")]],
        "/app/public",
        {"a/x": "x", "d/b": "b"},
    ),
    "a folder that a layer does not name, in place of a file": (
        [BASE, [Entry(f"{P}/a/x", b"x")]],
        "/app/public",
        {"a/x": "x", "d/b": "b"},
    ),
    "a folder that is named again": ([BASE, [folder(P), folder(f"{P}/d")]], "/app/public", OLD),
    "a hard link to a file elsewhere, of a layer below": (
        [[Entry("srv/x", b"x")], [hard(f"{P}/a", "srv/x"), hard(f"{P}/b", f"/{P}/a")], [Entry("srv/x", b"later")]],
        "/app/public",
        {"a": "x", "b": "x"},
    ),
    "a hard link whose file is taken away": (
        [[Entry("srv/x", b"x")], [hard(f"{P}/a", "./srv/x")], [Entry("srv/.wh.x"), Entry(f"{P}/.wh.no")]],
        "/app/public",
        {"a": "x"},
    ),
    "a hard link of a later layer is not taken away with what was there": (
        [[Entry("srv/x", b"x")], [hard(f"{P}/a", "srv/x"), Entry(f"{P}/.wh..wh..opq")]],
        "/app/public",
        {"a": "x"},
    ),
    "a hard link to a link": (
        [[Entry(f"{P}/x", b"x"), link(f"{P}/l", "x"), hard(f"{P}/h", f"{P}/l")]],
        "/app/public",
        {"x": "x", "l": "-> x", "h": "-> x"},
    ),
    "a hard link over a folder that is a link": (
        [[Entry("usr/lib/x", b"x"), link("lib", "usr/lib"), hard(f"{P}/a", "lib/x")]],
        "/app/public",
        {"a": "x"},
    ),
    "the folder itself is a link": ([[*BASE, link("www", P)]], "/www", OLD),
    "the folder itself is an absolute link": ([[*BASE, link("srv/www", f"/{P}")]], "/srv/www/", OLD),
    "a link on the way": ([[*BASE, link("srv/current", "../app")]], "/srv/current/public", OLD),
    "links to links": ([[*BASE, link("x", "y/."), link("y", "z"), link("z", "./app")]], "/x/public", OLD),
    "a link above the root": ([[*BASE, link("srv/up", "../../../app")]], "/srv/up/public", OLD),
    "a path with two dots": ([BASE], "/app/public/../public", OLD),
    "a layer that writes through a link of its own": (
        [[folder("usr/lib"), Entry("usr/lib/a", b"a"), link("lib", "usr/lib"), Entry("lib/b", b"b")]],
        "/usr/lib",
        {"a": "a", "b": "b"},
    ),
    "a layer that writes where a layer below has a link": (
        [[Entry("usr/lib/a", b"a"), link("lib", "usr/lib")], [Entry("lib/b", b"b")]],
        "/lib",
        {"b": "b"},
    ),
    "a folder in place of a link": (
        [
            [Entry("usr/lib/a", b"a"), link("lib", "usr/lib")],
            [folder("lib"), Entry("lib/.wh..wh..opq"), Entry("lib/b", b"b")],
        ],
        "/usr/lib",
        {"a": "a"},
    ),
    "links within the folder": (
        [
            [
                *BASE,
                link(f"{P}/relative", "d/b"),
                link(f"{P}/absolute", f"/{P}/a"),
                link(f"{P}/d/up", "../a"),
                link(f"{P}/folder", "d"),
                link(f"{P}/out-and-in", "../public/a"),
                link(f"{P}/over", "/srv/other/a"),
                link("srv/other", f"/{P}"),
                link(f"{P}/nowhere", "missing"),
            ]
        ],
        "/app/public",
        {
            **OLD,
            "relative": "-> d/b",
            "absolute": "-> a",
            "d/up": "-> ../a",
            "folder": "-> d",
            "out-and-in": "-> a",
            "over": "-> a",
            "nowhere": "-> missing",
        },
    ),
    "names written otherwise": (
        [[Entry("./"), Entry("./app/public/a", b"a"), Entry("/app//public/b", b"b"), Entry("app/./public/c", b"c")]],
        "//app/./public",
        {"a": "a", "b": "b", "c": "c"},
    ),
    "names that are long or unusual": (
        [[Entry(f"{P}/{'x' * 200}", b"x"), Entry(f"{P}/ü \n'$HOME'", b"y"), Entry(f"{P}/..z", b"z")]],
        "/app/public",
        {"x" * 200: "x", "ü \n'$HOME'": "y", "..z": "z"},
    ),
    "the whole image": ([[Entry("a", b"a"), Entry("b/c", b"c")]], "/", {"a": "a", "b/c": "c"}),
    "devices elsewhere": (
        [[*BASE, Entry("dev/null", type=tarfile.CHRTYPE), Entry("x", type=tarfile.FIFOTYPE)]],
        P,
        OLD,
    ),
    "layers that hold nothing": ([[], BASE, []], "/app/public", OLD),
}
"""Layers, the folder in them, and what is copied."""


@pytest.mark.parametrize("case", LAID)
def test_the_folder_is_what_a_container_would_have(machine: Machine, case: str) -> None:
    """https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md."""
    layers, path, wanted = LAID[case]
    registry = Images()

    result = extract(machine, registry, registry.image(layers), f"/{path.removeprefix('/')}")

    assert result.returncode == 0, result.stderr
    assert copied(machine) == wanted


@pytest.mark.parametrize("kind", ["oci.image.layer.v1.tar", "docker.image.rootfs.diff.tar"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("ending", ["", "gzip", "gzip in parts", "zstd", "zstd in parts"])
def test_layers_are_read_in_each_form_that_can_be_unpacked(machine: Machine, kind: str, form: int, ending: str) -> None:
    registry, plain = Images(), tar(*BASE, form=form)
    parts = [plain[:700], plain[700:]] if ending.endswith("in parts") else [plain]
    name = ending.partition(" ")[0]
    content = b"".join(map(zstd if name == "zstd" else gzip.compress, parts)) if ending else plain
    joint = "." if kind.startswith("docker") else "+"
    kind = f"application/vnd.{kind}{joint}{name}" if ending else f"application/vnd.{kind}"

    result = extract(machine, registry, registry.packed(content, kind=kind))

    assert result.returncode == 0, result.stderr
    assert copied(machine) == OLD


def test_what_lies_elsewhere_passes_by_and_a_layer_without_files_of_the_folder_is_fetched_once(
    machine: Machine,
) -> None:
    registry, noise = Images(), os.urandom(3 * MEGABYTE)
    big = registry.image([[Entry("opt/big", noise)], [Entry(f"{P}/a", b"a"), Entry("opt/other", noise)], BASE[3:]])

    result = extract(machine, registry, big)

    assert result.returncode == 0, result.stderr
    assert {path.name for path in machine.folder.rglob("*")} == {"image.json", "static-files", "a", "d", "b"}
    fetched = [request.path for request in registry.requests if "/blobs/" in request.path]
    second, third = fetched[1:3]
    assert fetched[3:] == [second, third]
    assert "layer 1 of 3: " in result.stdout
    assert "3.1 MB" in result.stdout
    assert f"1 files out of {second.rpartition('/')[2][:19]}" in result.stdout


@pytest.mark.parametrize("mode", [0o644, 0o600, 0, 0o444, 0o666, 0o777, 0o4755, 0o2755, 0o6777, 0o655, 0o100644])
def test_modes_are_what_tarfiles_filter_for_data_leaves_of_them(machine: Machine, mode: int) -> None:
    registry = Images()
    digest = registry.image([[Entry(f"{P}/a", b"a", mode=mode), hard(f"{P}/b", f"{P}/a")]])

    assert extract(machine, registry, digest).returncode == 0

    entry = tarfile.TarInfo("a")
    entry.mode = mode
    wanted = tarfile.data_filter(entry, "/tmp").mode  # noqa: S108 - nothing is written there
    for name in "ab":
        assert (machine.folder / "static-files" / name).stat().st_mode & 0o7777 == wanted
    assert module("image_folder").safe(mode) == wanted


def test_files_that_are_one_in_the_image_are_not_one_in_the_artifact(machine: Machine) -> None:
    registry = Images()
    extract(machine, registry, registry.image([[Entry(f"{P}/a", b"a"), hard(f"{P}/b", f"{P}/a")]]))
    assert (machine.folder / "static-files" / "a").stat().st_nlink == 1


LACKS = "see deploy.staticFiles.upload.path in the stack file."
REFUSED: dict[str, tuple[Layers, str]] = {
    "no such folder": ([[folder("app")]], f"the image has no folder /app/public: {LACKS}"),
    "a file": ([[Entry(P, b"x")]], f"the image has something else than a folder at /app/public: {LACKS}"),
    "a link that leads nowhere": ([[link(P, "/no")]], "the image has no folder /app/public: "),
    "a circle of links": ([[link(P, "x"), link("app/x", "public")]], "leads over more than 40 symbolic links, or in a"),
    "an empty folder": ([[folder(P), folder(f"{P}/d")]], f"holds no files: {LACKS}"),
    "a folder that a layer empties and has itself": (
        [BASE, [folder("app"), folder(P), Entry("app/.wh.public")]],
        f"holds no files: {LACKS}",
    ),
    "links alone": ([[folder(P), link(f"{P}/x", "y")]], f"holds no files: {LACKS}"),
    "two dots": ([[*BASE, Entry(f"{P}/../../../x")]], "holds 'app/public/../../../x', which is no path within the"),
    "two dots elsewhere": ([[*BASE, Entry("..")]], "holds '..', which is no path within the image"),
    "a zero in a name": ([[*BASE, Entry("x", pax={"path": "a\0b"})]], r"holds 'a\x00b', which is no path within"),
    "a zero in a link": ([[*BASE, Entry("x", type=tarfile.SYMTYPE, pax={"linkpath": "a\0"})]], r"holds 'a\x00', which"),
    "a link out": ([[*BASE, link(f"{P}/x", "../secret")]], "x is a link that leads out of the folder, to /app/secret"),
    "an absolute link out": (
        [[*BASE, link(f"{P}/x", "/etc/passwd")]],
        "leads out of the folder, to /etc/passwd of the",
    ),
    "a link to a folder with a like name": (
        [[*BASE, link(f"{P}/x", "../public2/a")]],
        "to /app/public2/a of the image",
    ),
    "a link out over another": (
        [[*BASE, link(f"{P}/x", "y/z"), link(f"{P}/y", "/app"), link("app/z", f"/{P}/a")], [Entry("app/z")]],
        "x is a link that leads out of the folder, to /app/z of",
    ),
    "a circle within the folder": ([[*BASE, link(f"{P}/x", "x")]], "or in a circle"),
    "a hard link to nothing": ([[*BASE, hard(f"{P}/x", "no")]], "links app/public/x to no, which is no file of the"),
    "a hard link to a folder": ([[*BASE, hard(f"{P}/x", "app")]], "links app/public/x to app, which is no file"),
    "a hard link to the root": ([[*BASE, hard(f"{P}/x", "/")]], "links app/public/x to /, which is no file"),
    "a hard link out": ([[*BASE, hard(f"{P}/x", "../../etc/shadow")]], "holds '../../etc/shadow', which is no path"),
    "a device": ([[*BASE, Entry(f"{P}/x", type=tarfile.CHRTYPE)]], "/app/public/x of the image is a device or a pipe"),
    "a pipe": ([[*BASE, Entry(f"{P}/x", type=tarfile.FIFOTYPE)]], "/app/public/x of the image is a device or a pipe"),
    "a name that is too long": ([[Entry(f"{P}/{'x' * 300}")]], "could not be stored: [Errno 36] File name too long"),
    "a folder's name that is too long": ([[folder(f"{P}/{'x' * 300}")]], "/app/public of the image holds could not be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_published_is_refused_with_a_sentence(machine: Machine, case: str) -> None:
    layers, message = REFUSED[case]
    registry = Images()

    said = refusal(extract(machine, registry, registry.image(layers)))

    assert message in said
    outside = {path.name for path in machine.folder.iterdir()} - {"image.json", "static-files"}
    assert outside == set()
    assert not any(path.is_symlink() for path in machine.folder.rglob("*")) or case == "links alone"


def test_a_file_of_the_artifact_where_the_folder_goes_is_refused(machine: Machine, tmp_path: Path) -> None:
    registry = Images()
    (machine.folder / "static-files").symlink_to(tmp_path)

    said = refusal(extract(machine, registry, registry.image([BASE])))

    assert "could not be stored: [Errno 17] File exists: 'static-files'" in said
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (f"{GZIP}+encrypted", {}, "is encrypted (application/vnd.oci.image.layer.v1.tar+gzip+encrypted), and no job"),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", {}, "may be stored outside of the registry"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", {}, "may be stored outside of the registry"),
        (GZIP, {"urls": ["https://evil.example.com/layer"]}, "may be stored outside of the registry"),
        ("text/html", {}, "has the media type text/html, which no job can read. It can be one of: application/vnd.oci"),
        (GZIP, {"digest": "sha512:1"}, "a layer of the image is not a digest"),
    ],
)
def test_a_layer_that_cannot_be_unpacked_is_named_with_what_helps(
    machine: Machine, kind: str, changes: dict[str, object], message: str
) -> None:
    registry = Images()

    assert message in refusal(extract(machine, registry, registry.packed(b"x", kind=kind, **changes)))
    assert [request for request in registry.requests if "/blobs/" in request.path] == []


PLAIN = GZIP.removesuffix("+gzip")
ZSTD = f"{PLAIN}+zstd"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (GZIP, b"no archive" * MEGABYTE),
        (GZIP, gzip.compress(tar(*BASE))[:-20]),
        (GZIP, gzip.compress(tar(*BASE))[:40] + b"\xff" * 200),
        (ZSTD, b"no archive" * MEGABYTE),
        (ZSTD, zstd(tar(*BASE))[:-3]),
        (ZSTD, zstd(tar(Entry(f"{P}/a", os.urandom(MEGABYTE))))[:-3]),
        (PLAIN, b""),
        (PLAIN, b"x" * 2000),
        (PLAIN, tar(*BASE)[:-10200] + b"half a header"),
        (PLAIN, tar(Entry("a", b"x" * 2000))[:1024]),
        (PLAIN, tar(*BASE)[:1024] + b"\x01" * 512 + tar(*BASE)[1024:]),
    ],
    ids=[
        "no gzip",
        "half a gzip",
        "a spoilt gzip",
        "no zstd",
        "half a zstd",
        "half a large zstd",
        "nothing",
        "no tar",
        "half a header",
        "half a file",
        "a spoilt tar",
    ],
)
def test_a_layer_that_is_broken_is_not_taken_for_a_whole_one(machine: Machine, kind: str, content: bytes) -> None:
    registry = Images()

    said = refusal(extract(machine, registry, registry.packed(content, kind=kind)))

    assert f"the layer {digest_of(content)} is no archive that can be read: " in said
    assert not (machine.folder / "static-files").exists()


class Spoiling(Images):
    """A registry whose layers do not arrive as they are."""

    def __init__(self, spoil: Callable[[bytes], Reply], times: int) -> None:
        super().__init__()
        self.spoil, self.times, self.after = spoil, times, 0

    def reply(self, request: Request) -> Reply:
        """Spoil the first layers that are asked for."""
        reply = super().reply(request)
        if "/blobs/" not in request.path:
            return reply
        self.after -= 1
        if self.after >= 0 or not self.times:
            return reply
        self.times -= 1
        return self.spoil(reply.body)


def cut(content: bytes) -> Reply:
    return Reply(200, content[:-30], {"Content-Length": str(len(content))})


def in_pieces(content: bytes) -> Reply:
    half = content[: len(content) // 2]
    return Reply(200, b"%x\r\n%b\r\nno size" % (len(half), half), {"Transfer-Encoding": "chunked"})


def unavailable(content: bytes) -> Reply:
    return Reply(503, content[:0] + b"Slow down")


SPOILS = {"cut off": cut, "cut off between pieces": in_pieces, "not there now": unavailable}


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("after", [0, 1], ids=["while its names are read", "while its content is read"])
def test_a_layer_that_is_cut_off_is_fetched_again(machine: Machine, spoil: str, after: int) -> None:
    registry = Spoiling(SPOILS[spoil], times=2)
    registry.after = after
    noise = Entry(f"{P}/z", os.urandom(6 * MEGABYTE).hex().encode())

    result = extract(machine, registry, registry.image([[*BASE, noise]]))

    assert result.returncode == 0, result.stderr
    assert copied(machine) == {**OLD, "z": noise.content.decode()}
    assert result.stdout.count("; trying again") == 2


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_layer_that_never_arrives_whole_ends_the_job(machine: Machine, spoil: str) -> None:
    registry = Spoiling(SPOILS[spoil], times=3)

    said = refusal(extract(machine, registry, registry.image([BASE])))

    assert "could not be read: " in said
    assert not (machine.folder / "static-files").exists()


@pytest.mark.parametrize("after", [0, 1], ids=["while its names are read", "while its content is read"])
def test_another_layer_than_the_manifest_names_is_refused(machine: Machine, after: int) -> None:
    registry = Spoiling(lambda _: Reply(200, gzip.compress(tar(Entry(f"{P}/a", os.urandom(MEGABYTE))))), times=1)
    registry.after = after

    said = refusal(extract(machine, registry, registry.image([BASE])))

    assert said.startswith("the registry answered with something else than the layer sha256:")


class Storage(WebServer):
    """Where a registry stores its layers: it is given no token, and takes none."""

    def __init__(self, blobs: dict[str, bytes]) -> None:
        super().__init__()
        self.blobs = blobs

    def reply(self, request: Request) -> Reply:
        """Answer with a layer."""
        return Reply(400 if "authorization" in request.headers else 200, self.blobs[request.path[1:]])


def test_the_place_that_stores_a_layer_gets_no_token(machine: Machine) -> None:
    """Amazon ECR answers with the address of a bucket.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms
    """
    registry = Images()
    digest = registry.image([BASE])
    storage = Storage({name: content for (_, name), content in registry.blobs.items()})
    with serving(storage) as elsewhere:

        class Redirecting(Images):
            def reply(self, request: Request) -> Reply:
                _, _, name = request.path.rpartition("/")
                moved = Reply(307, b"", {"Location": f"{elsewhere}/{name}"})
                return moved if "/blobs/" in request.path else super().reply(request)

        redirecting = Redirecting()
        redirecting.manifests = registry.manifests
        result = extract(machine, redirecting, digest)

    assert result.returncode == 0, result.stderr
    assert copied(machine) == OLD
    assert len(storage.requests) == 2


def test_no_token_is_asked_for_a_host_that_is_no_registry_of_amazons(machine: Machine) -> None:
    machine.file("image.json", image(repository="evil.example.com/shop"))

    result = machine.run(
        "extract_static_files",
        IMAGE_REPOSITORY_URI="evil.example.com/shop",
        IMAGE_DIGEST=DIGEST,
        STATIC_FILES_PATH="/x",
        PLATFORM="linux/arm64",
    )

    assert "evil.example.com is no registry of Amazon ECR" in refusal(result)
    assert machine.calls == []


def test_a_path_that_is_not_absolute_is_refused(machine: Machine) -> None:
    result = machine.run("extract_static_files", STATIC_FILES_PATH="public", PLATFORM="linux/arm64")

    assert result.returncode == 2
    assert "must be an absolute path inside the image, got 'public'" in result.stderr


def test_without_the_permission_for_a_token_the_job_ends_with_amazons_words(machine: Machine) -> None:
    machine.file("image.json", image())
    machine.answer("aws ecr get-authorization-token", code=254, errors="An error occurred (AccessDeniedException)")

    result = machine.run(
        "extract_static_files",
        IMAGE_REPOSITORY_URI=str(image()["repository"]),
        IMAGE_DIGEST=DIGEST,
        STATIC_FILES_PATH="/x",
        PLATFORM="linux/arm64",
    )

    assert "  | An error occurred (AccessDeniedException)" in refusal(result)


def test_a_network_that_fails_is_not_taken_for_a_full_disk() -> None:
    """Both are an `OSError` while content is stored, and only one of them is worth another try."""

    class Slow:
        def read(self, _: int) -> bytes:
            raise TimeoutError("slow")

    with pytest.raises(ConnectionError, match="slow"):
        module("image_folder").Blob(Slow()).read(1)

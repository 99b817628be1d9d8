"""Packages of Debian for stand-ins: unpacked from what is fetched, once; here from a package made by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from local import apt
from local.errors import Refusal
from local.rehearsal.base_images import ImageName, debian, stand_ins
from local.rehearsal.base_images.debian import Packages

HELLO = Packages(("hello",), "1 MB")
CONTROL = "Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: hello\n"


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What has been asked for; every answer is a package with a library, a program, a document and a set-uid file."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is Debian's: there are no such packages here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked: list[tuple[str, ...]] = []

    def fetch(folder: Path, names: Sequence[str]) -> list[Path]:
        asked.append(tuple(names))
        root = folder / "hello"
        for name, mode in {"lib/a.so": 0o644, "usr/bin/hello": 0o4755, "usr/share/doc/hello/README": 0o644}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
            (root / name).chmod(mode)
        (root / "DEBIAN").mkdir()
        (root / "DEBIAN" / "control").write_text(CONTROL)
        made = folder / "hello.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, made], check=True, capture_output=True)
        return [made]

    monkeypatch.setattr(debian, "_fetch", fetch)
    return asked


def test_they_are_fetched_once_with_the_shell_that_every_image_has(fetched: list[tuple[str, ...]]) -> None:
    assert not HELLO.fetched
    HELLO.fetch()
    HELLO.fetch()
    assert HELLO.fetched
    assert fetched == [("hello", "coreutils", "dash", "findutils", "grep", "sed")]


def test_their_files_lie_where_debian_has_them_and_documents_are_left_out(fetched: list[tuple[str, ...]]) -> None:
    """A library of /lib is in /usr/lib, as on a machine whose /lib leads there; modes stay."""
    layer = HELLO.layer
    plain = gzip.decompress(layer.blob.content)
    assert layer.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(plain)) as opened:
        found = {entry.name.removeprefix("./"): entry for entry in opened}
    assert found["lib"].linkname == "usr/lib"
    assert found["usr/lib/a.so"].isfile()
    assert found["usr/bin/hello"].mode == 0o4755
    assert not [name for name in found if "share/doc" in name]
    assert len(fetched) == 1


def test_a_damaged_package_leaves_nothing(fetched: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(folder: Path, _names: Sequence[str]) -> list[Path]:
        (folder / "hello.deb").write_bytes(b"no package")
        return [folder / "hello.deb"]

    monkeypatch.setattr(debian, "_fetch", damaged)
    with pytest.raises(Refusal, match=r"hello\.deb cannot be unpacked"):
        HELLO.fetch()
    assert not HELLO.fetched
    assert fetched == []


def test_where_there_is_no_debian_there_is_no_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = tmp_path / "os-release"
    other.write_text("ID=fedora\nVERSION_CODENAME=none\n")
    monkeypatch.setattr(apt, "_RELEASE", other)
    name = ImageName.parse("nginx:1.27")
    assert name is not None
    assert stand_ins.stand_in(name) is None
    assert "nginx" in debian.missing()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("public.ecr.aws/nginx/nginx:1.27", "nginx of Debian"),
        ("public.ecr.aws/docker/library/ruby:3.1-slim", "Ruby with Rails of Debian"),
        ("eclipse-temurin:17-jre", "Java 17 of Debian"),
        ("maven:3.9-eclipse-temurin-17", "Java 17 of Debian"),
        ("public.ecr.aws/aws-observability/aws-for-fluent-bit:3.0", "a program that writes what it would send on"),
    ],
)
def test_images_of_ordinary_applications_have_stand_ins(need: object, name: str, what: str) -> None:
    assert callable(need)
    need("base-images", "builder")
    parsed = ImageName.parse(name)
    assert parsed is not None
    made_of = stand_ins.stand_in(parsed)
    assert made_of is not None
    assert made_of.what.startswith(what)

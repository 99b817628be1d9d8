"""Files of Debian's packages for stand-ins: fetched from the machine's own package sources, unpacked, not installed.

Nothing that a package does at its installation is done: a stand-in says itself what it needs of that, such as users.
Packages are what the machine's release has today, since Debian's archive keeps no older versions.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local import apt
from local.errors import Refusal
from local.go_tool import cache_directory, make_once, say
from local.rehearsal.images import LAYER, Blob, Layer

_SHELL = ("coreutils", "dash", "findutils", "grep", "sed")
"""What every image of Debian has beside the packages that it is for."""
_MERGED = ("bin", "lib", "sbin")
"""Folders of the root that are those of /usr: https://wiki.debian.org/UsrMerge."""
_LEFT_OUT = ("doc", "doc-base", "icons", "info", "lintian", "locale", "man", "pixmaps")
"""Below /usr/share: nothing that a program reads. Official images leave most of it out, too."""


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages with everything that they depend on.

    Attributes:
        names: The packages.
        size: How much is fetched, for whoever waits.
    """

    names: tuple[str, ...]
    size: str

    @property
    def key(self) -> str:
        """What tells them apart: the packages and the release they are of."""
        return f"{apt.release()} {' '.join(self.names)}"

    @property
    def fetched(self) -> bool:
        """Whether they are in the user's cache."""
        return self._file.is_file()

    @property
    def can_be_had(self) -> bool:
        """Whether they have been fetched, or can be."""
        return self.fetched or bool(apt.release() and shutil.which("apt-get"))

    @property
    def layer(self) -> Layer:
        """A layer with their files."""
        self.fetch()
        packed = self._file.read_bytes()
        return Layer(Blob(LAYER, packed), f"sha256:{hashlib.sha256(gzip.decompress(packed)).hexdigest()}")

    def fetch(self) -> None:
        """Fetch them into the user's cache, once.

        Raises:
            Refusal: They cannot be had.
        """
        make_once(self._file.parent, f"Packages of Debian ({self.names[0]})", self._make)

    @property
    def _file(self) -> Path:
        made_of = json.dumps([self.key, _SHELL, _LEFT_OUT])
        digest = hashlib.sha256(made_of.encode()).hexdigest()[:12]
        return cache_directory() / f"debian-{self.names[0]}-{digest}" / "layer.tar.gz"

    def _make(self, folder: Path) -> None:
        say(f"Fetching {', '.join(self.names)} of Debian, once ({self.size}). They are not installed.")
        with tempfile.TemporaryDirectory(dir=folder.parent) as fetched:
            packages = _fetch(Path(fetched), (*self.names, *_SHELL))
            root = Path(fetched) / "root"
            for name in _MERGED:
                (root / "usr" / name).mkdir(parents=True)
                (root / name).symlink_to(f"usr/{name}")
            if Path("/lib64").exists():
                (root / "usr" / "lib64").mkdir()
                (root / "lib64").symlink_to("usr/lib64")
            for package in packages:
                _unpack(package, root)
            for name in _LEFT_OUT:
                shutil.rmtree(root / "usr" / "share" / name, ignore_errors=True)
            _run(
                "tar",
                "--create",
                "--sort=name",
                "--mtime=@0",
                "--file",
                str(folder / "layer.tar"),
                "-C",
                str(root),
                ".",
            )
        _run("gzip", "-1", "--no-name", str(folder / "layer.tar"))


NGINX = Packages(("nginx",), "10 MB")
RUBY = Packages(("ruby", "bundler", "rails", "puma", "ruby-pg"), "65 MB")
"""With Rails: there is no network for its gems where there is none for the image."""
JRE = Packages(("openjdk-17-jre-headless",), "70 MB")
JDK = Packages(("openjdk-17-jdk-headless", "maven"), "155 MB")
POSTGRESQL = Packages(("postgresql",), "95 MB")
REDIS = Packages(("redis-server",), "10 MB")
ALL = (NGINX, RUBY, JRE, JDK, POSTGRESQL, REDIS)
"""What stand-ins are made of, and the databases that the applications of `examples/` have in the tests."""


def missing() -> str:
    """Say which of all have not been fetched; empty when they are here."""
    absent = [packages.names[0] for packages in ALL if not packages.fetched]
    return f"{', '.join(absent)} of Debian not fetched" if absent else ""


def _fetch(folder: Path, names: Sequence[str]) -> list[Path]:
    """Fetch packages with all that they depend on, as for a machine that has none: lists and cache are of their own."""
    get = apt.command(folder, {"Dir::State::status": os.devnull})
    _run(*get, "update")
    _run(*get, "install", "--yes", "--download-only", "--no-install-recommends", *names)
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def _unpack(package: Path, root: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as packed:
        unpacked = subprocess.run(
            ["tar", "--extract", "--keep-directory-symlink", "--directory", str(root)],
            stdin=packed.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
    if packed.returncode or unpacked.returncode:
        raise Refusal(f"{package.name} cannot be unpacked: {unpacked.stderr.strip()}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refusal(f"{' '.join(command[:1])} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")

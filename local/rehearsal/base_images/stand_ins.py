"""Stand-ins for base images, made of what this machine has, for where there is no network.

Some are made of packages of the machine's release of Debian, which are fetched once.

They run what is copied into them. They have no package manager: what a Dockerfile installs cannot be had without a
network anyway, and the command that tries says so.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import ssl
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local import apt
from local.rehearsal import images, tools
from local.rehearsal.base_images import debian, log_router
from local.rehearsal.base_images.names import DOCKER_HUB, ImageName
from local.rehearsal.base_images.store import Content, ImageStore
from local.rehearsal.images import Entry, Image

PLATFORM = f"linux/{images.ARCHITECTURE}"
"""What this machine runs, as images name it."""
_REFUSING = """#!/bin/sh
echo "${0##*/}: this is a stand-in for a base image, without packages: give the rehearsal the real one by --image." >&2
exit 1
"""
_PIP = b"""#!/usr/local/bin/python3
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""
_PACKAGE_MANAGERS = ("apk", "apt", "apt-get", "dnf", "microdnf", "yum")
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_DISTROLESS = ("distroless/static", "distroless/base", "distroless/cc")
_OF_PUBLIC_ECR = ("public.ecr.aws/nginx/nginx", "public.ecr.aws/aws-observability/aws-for-fluent-bit")
_SYSTEM = (
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libz.so.1",
)
_LEFT_OUT = {
    "__pycache__",
    "ensurepip",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
}


_NGINX_CONF = b"""\
user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /var/run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
"""
_NGINX_SITE = b"""\
server {
    listen 80;
    root /usr/share/nginx/html;
}
"""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What stands for an image.

    Attributes:
        what: What it is, in words.
        key: What it is made of: another key, another image.
        make: Makes it.
    """

    what: str
    key: str
    make: Callable[[], Image]


def stand_in(name: ImageName) -> StandIn | None:
    """Return what stands for an image here; ``None`` if nothing does, or a digest says exactly which one is wanted."""
    if name.digest:
        return None
    official = name.official
    if official.host == "gcr.io" and official.repository.startswith(_DISTROLESS):
        return _system(name)
    if name.address in _OF_PUBLIC_ECR:
        return _nginx() if name.repository.startswith("nginx/") else _log_router()
    if official.host != DOCKER_HUB:
        return None
    if official.repository == "docker/dockerfile":
        return _frontend()
    makers: dict[str, Callable[[], StandIn | None]] = {
        "library/python": _python,
        "library/node": _node,
        "library/busybox": _busybox,
        "library/alpine": _busybox,
        "library/debian": lambda: _system(name),
        "library/ubuntu": lambda: _system(name),
        "library/nginx": _nginx,
        "library/ruby": _ruby,
        "library/eclipse-temurin": lambda: _java(debian.JRE if "jre" in name.tag else debian.JDK),
        "library/maven": lambda: _java(debian.JDK),
    }
    maker = makers.get(official.repository)
    return maker() if maker else None


def kept(name: ImageName, made_of: StandIn, store: ImageStore) -> Content:
    """Return the stand-in for an image, which is made once."""
    key = f"stand-in {made_of.key}"
    known = store.recall(key, PLATFORM)
    if known is None:
        known = store.put(made_of.make())
        store.remember(key, known, name=str(name))
    return known


def libraries(programs: Sequence[str]) -> dict[str, Entry]:
    """Return the shared libraries of programs where their loader finds them in an image, and the loader."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    found = sorted({path for path in re.findall(r"(/\S+) \(0x", said) if Path(path).is_file()})
    home = next((str(Path(path).parent) for path in found if Path(path).name.startswith("libc.so.")), "/lib")
    # The loader has its place in each program; the rest goes to where the C library's own lie, which needs no cache.
    places = {path: path if Path(path).name.startswith("ld-") else f"{home}/{Path(path).name}" for path in found}
    return {place.lstrip("/"): Entry(_binary(Path(path)), 0o755) for path, place in places.items()}


def _binary(file: Path) -> bytes:
    """A program or library, without what only a debugger needs, where the machine can take that away."""
    strip = shutil.which("strip")
    if strip is None:
        return file.read_bytes()
    with tempfile.NamedTemporaryFile() as made:
        done = subprocess.run([strip, "--strip-debug", "-o", made.name, str(file)], capture_output=True, check=False)
        return Path(made.name).read_bytes() if done.returncode == 0 else file.read_bytes()


def _image(own: Mapping[str, Entry], command: str, *environment: str, user: str = "") -> Image:
    """A small Linux with these files."""
    refusing = dict.fromkeys((f"sbin/{name}" for name in _PACKAGE_MANAGERS), Entry(_REFUSING.encode(), 0o755))
    extra = images.layer({"usr/bin/env": Entry(link="../../bin/env"), **refusing, **own}, level=1)
    made: Image = images.image(
        images.busybox(),
        extra,
        Env=[f"PATH={images.PATH}", *environment],
        Cmd=shlex.split(command),
        User=user,
    )
    return made


def _busybox() -> StandIn:
    path = tools.command("busybox")
    what = "busybox of this machine, without apk"
    return StandIn(what, _fingerprint("busybox", path), lambda: _image({}, "sh"))


def _system(name: ImageName) -> StandIn:
    """For programs that are built in another stage: they find the C library, and a user of their own."""
    user = "65532" if "nonroot" in name.tag else ""
    program = str(Path(sys.executable).resolve())
    what = "busybox and the C library of this machine, without apt-get"
    return StandIn(what, _fingerprint(f"system {user}", program), lambda: _system_image(program, user))


def _system_image(program: str, user: str) -> Image:
    files = _of_the_system(program)
    for account, text in (
        ("passwd", "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/home/nonroot:/bin/sh\n"),
        ("group", "root:x:0:\nnonroot:x:65532:\n"),
    ):
        files[f"etc/{account}"] = Entry(text.encode())
    return _image({**files, **_certificates()}, "sh", user=user)


def _of_the_system(program: str) -> dict[str, Entry]:
    """The C library and what every Debian has beside it: a program's own, and those of what is installed later."""
    files = libraries([program])
    home = next((Path(f"/{place}").parent for place in files if "/libc.so" in place), Path("/lib"))
    files |= libraries([str(home / library) for library in _SYSTEM if (home / library).is_file()])
    for library in (file for file in map(home.joinpath, _SYSTEM) if file.is_file()):
        files[str(library).lstrip("/")] = Entry(_binary(library), 0o755)
    return files


def _certificates() -> dict[str, Entry]:
    """The authorities that this machine trusts, among them that of a network which looks into what RUN lines fetch."""
    file = Path(_CERTIFICATES)
    return {_CERTIFICATES.lstrip("/"): Entry(file.read_bytes())} if file.is_file() else {}


def _frontend() -> StandIn:
    what = f"the Dockerfile frontend of BuildKit {tools.BUILDKIT}"
    return StandIn(what, f"frontend {tools.BUILDKIT}", images.dockerfile_frontend)


def _python() -> StandIn:
    version = platform.python_version()
    what = f"Python {version} of this machine on busybox, without apt-get and apk"
    program = str(Path(sys.executable).resolve())
    return StandIn(what, _fingerprint(f"python {version}", program), lambda: _python_image(program))


def _log_router() -> StandIn:
    """Fluent Bit, which runs as root in AWS's image, too."""
    program = str(Path(sys.executable).resolve())
    script = Path(log_router.__file__)
    own = {"srv/log_router.py": Entry(script.read_bytes())}
    return StandIn(
        "a program that writes what it would send on to its own log",
        _fingerprint("log router", program, str(script)),
        lambda: _python_image(program, own, "python3 /srv/log_router.py"),
    )


def _python_image(program: str, more: Mapping[str, Entry] | None = None, command: str = "python3") -> Image:
    short = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sysconfig.get_path("stdlib"))
    home = f"usr/local/lib/{short}"
    files: dict[str, Entry] = {
        f"usr/local/bin/{short}": Entry(_binary(Path(program)), 0o755),
        "usr/local/bin/python3": Entry(link=short),
        "usr/local/bin/python": Entry(link=short),
        f"{home}/site-packages/README.txt": Entry(b"Nothing is installed.\n"),
    }
    own = [file for file in _files(library) if not file.name.startswith("_tkinter")]
    for file in own:
        content = _binary(file) if file.suffix == ".so" else file.read_bytes()
        files[f"{home}/{file.relative_to(library)}"] = Entry(content, 0o644)
    pip = library / "site-packages" / "pip"
    for file in _files(pip) if pip.is_dir() else ():
        files[f"{home}/site-packages/pip/{file.relative_to(pip)}"] = Entry(file.read_bytes(), 0o644)
    if pip.is_dir():
        files |= dict.fromkeys((f"usr/local/bin/{name}" for name in ("pip", "pip3")), Entry(_PIP, 0o755))
    files |= libraries([program, *(str(file) for file in own if file.suffix == ".so")]) | _of_the_system(program)
    environment = f"PYTHON_VERSION={platform.python_version()}", f"SSL_CERT_FILE={_CERTIFICATES}"
    return _image({**files, **_certificates(), **(more or {})}, command, *environment)


def _node() -> StandIn | None:
    program = shutil.which("node")
    if program is None:
        return None
    asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = asked.stdout.strip().removeprefix("v")
    what = f"Node.js {version} of this machine on busybox, without apt-get and apk"
    path = str(Path(program).resolve())
    return StandIn(what, _fingerprint(f"node {version}", path), lambda: _node_image(path, version))


def _node_image(program: str, version: str) -> Image:
    files = {
        "usr/local/bin/node": Entry(_binary(Path(program)), 0o755),
        "usr/local/bin/nodejs": Entry(link="node"),
        "etc/passwd": Entry(b"root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n"),
        "etc/group": Entry(b"root:x:0:\nnode:x:1000:\n"),
        "home/node/.profile": Entry(),
        **libraries([program]),
    }
    modules = Path(program).parent.parent / "lib" / "node_modules" / "npm"
    for file in _files(modules) if modules.is_dir() else ():
        mode = 0o755 if os.access(file, os.X_OK) else 0o644
        files[f"usr/local/lib/node_modules/npm/{file.relative_to(modules)}"] = Entry(file.read_bytes(), mode)
    if modules.is_dir():
        for name in ("npm", "npx"):
            files[f"usr/local/bin/{name}"] = Entry(link=f"../lib/node_modules/npm/bin/{name}-cli.js")
    environment = f"NODE_VERSION={version}", f"NODE_EXTRA_CA_CERTS={_CERTIFICATES}"
    return _image({**files, **_certificates()}, "node", *environment)


def _nginx() -> StandIn | None:
    """As https://github.com/nginx/docker-nginx has it: where it writes, where its sites and its pages are."""
    own = {
        "etc/nginx/nginx.conf": Entry(_NGINX_CONF),
        "etc/nginx/conf.d/default.conf": Entry(_NGINX_SITE),
        "var/log/nginx/access.log": Entry(link="/dev/stdout"),
        "var/log/nginx/error.log": Entry(link="/dev/stderr"),
        "var/lib/nginx": Entry(link="../cache/nginx"),
        "var/cache/nginx/.keep": Entry(),
    }
    command = ("nginx", "-g", "daemon off;")
    return _of_debian("nginx", debian.NGINX, own, user="nginx", command=command, stop_signal="SIGQUIT")


def _ruby() -> StandIn | None:
    return _of_debian("Ruby with Rails", debian.RUBY, {}, user="ruby", command=("irb",))


def _java(packages: debian.Packages) -> StandIn | None:
    home = f"/usr/lib/jvm/java-17-openjdk-{images.ARCHITECTURE}"
    own = {"etc/ssl/certs/java/cacerts": Entry(_key_store())}
    if packages is debian.JDK:
        own["usr/bin/mvn"] = Entry(link="../share/maven/bin/mvn")
    environment = {"JAVA_HOME": home, "PATH": f"{home}/bin:{images.PATH}"}
    return _of_debian("Java 17", packages, own, user="java", command=("java", "-version"), environment=environment)


def _key_store() -> bytes:
    """The authorities that this machine trusts, for Java, which reads none of the system's files.

    The form is JKS: https://github.com/openjdk/jdk/blob/master/src/java.base/share/classes/sun/security/provider/JavaKeyStore.java.
    """

    def text(of: str) -> bytes:
        return struct.pack(">H", len(of)) + of.encode()

    file = Path(_CERTIFICATES)
    pem = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL)
    store = struct.pack(">III", 0xFEEDFEED, 2, len(found))
    for number, certificate in enumerate(map(ssl.PEM_cert_to_DER_cert, found)):
        store += struct.pack(">I", 2) + text(str(number)) + bytes(8) + text("X.509")
        store += struct.pack(">I", len(certificate)) + certificate
    proof = "changeit".encode("utf-16-be") + b"Mighty Aphrodite" + store
    return store + hashlib.sha1(proof, usedforsecurity=False).digest()


def _of_debian(
    what: str,
    packages: debian.Packages,
    own: Mapping[str, Entry],
    *,
    user: str,
    command: Sequence[str],
    stop_signal: str = "SIGTERM",
    environment: Mapping[str, str] | None = None,
) -> StandIn | None:
    """An image of packages, with a user of its own that has the number 101, as nginx's has in its image."""
    if not packages.can_be_had:
        return None
    refusing = dict.fromkeys((f"usr/sbin/{name}" for name in _PACKAGE_MANAGERS), Entry(_REFUSING.encode(), 0o755))
    accounts = {
        "etc/passwd": Entry(f"root:x:0:0:root:/root:/bin/sh\n{user}:x:101:101::/nonexistent:/bin/false\n".encode()),
        "etc/group": Entry(f"root:x:0:\n{user}:x:101:\n".encode()),
        "root/.keep": Entry(),
        "run/.keep": Entry(),
        "tmp/.keep": Entry(),
        "var/run": Entry(link="../run"),
    }
    variables = {"PATH": images.PATH, **(environment or {})}

    def make() -> Image:
        extra = images.layer({**refusing, **accounts, **_certificates(), **own}, level=1)
        listed = [f"{name}={value}" for name, value in variables.items()]
        return images.image(packages.layer, extra, Env=listed, Cmd=list(command), StopSignal=stop_signal)

    return StandIn(f"{what} of Debian {apt.release()}, without apt-get", _fingerprint(packages.key), make)


def _files(folder: Path) -> list[Path]:
    """The files of a library, without what only its developers need."""
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")]
        found += [Path(here, name) for name in files if Path(here, name).is_file() and not name.endswith(".pyc")]
    return found


@functools.cache
def _fingerprint(what: str, *programs: str) -> str:
    """A key that changes with the programs, with busybox, and with how images are made of them."""
    paths = [Path(tools.command("busybox")), *map(Path, programs), Path(__file__), Path(str(images.__file__))]
    there = [path.stat() for path in (*paths, Path(_CERTIFICATES)) if path.is_file()]
    facts = [what, *map(str, paths), *((found.st_size, found.st_mtime_ns) for found in there)]
    return f"{what} {hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"

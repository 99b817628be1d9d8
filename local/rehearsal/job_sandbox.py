"""A machine of its own for jobs that build, run and copy images: a Docker engine, and Amazon ECR under its real names.

The machine is a network, mount and process namespace on this one. When its first process ends, everything in it ends,
and nothing of it is left outside: no process, no network interface, no mount.

Inside, `123456789012.dkr.ecr.eu-central-1.amazonaws.com` and its like are this machine's loopback, where
`local.rehearsal.aws_server` answers HTTPS with a certificate that everything here trusts and nothing elsewhere knows.
So jobs run with the very names they have on AWS. From outside, `JobSandbox.aws` is the same AWS over plain HTTP. The
same goes for `github.com`, `gitlab.com`, `bitbucket.org` and for the addresses of AWS's connections, which serve the
repositories of `JobSandbox.publish`.

Where this differs from CodeBuild:

- All builds share one Docker engine, which keeps the images that earlier builds have pulled. Each build has a BuildKit
  of its own, as on a new machine, and its own registry logins.
- Containers get no address but the bridge's: there is no network beyond.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from local.loopback import listening_in
from local.rehearsal import git_hosting, images, tools
from local.rehearsal.aws_cli import WarmAwsCli
from local.rehearsal.aws_services import ACCOUNT, REGION, AwsServices
from local.rehearsal.base_images import PLATFORM, Content, Provided, Provision
from local.rehearsal.codebuild import BuildHost, CloneReference, put_python
from local.rehearsal.egress import NAME_SERVER
from local.rehearsal.engine_api import EngineApi, EngineRefusal
from local.rehearsal.images import RegistryClient
from local.rehearsal.registry_names import LAYER_HOST, REGISTRY_HOST, SIGNER_HOSTS
from local.rehearsal.resources import Graph, place_of
from local.rehearsal.starting import await_ready, end_inside
from local.rehearsal.temporary import temporary_folder

OTHER_ACCOUNT = "210987654321"
"""Where images are promoted to when the target is not the own account."""
BRIDGE = "172.30.0.1"
"""The machine's address on the network of its containers."""
MIRROR = "docker-hub"
"""The prefix of the pull-through cache for Docker Hub, whose repositories are filled here as if by earlier pulls."""
DOCKER_HUB = "127.0.0.2"
"""Where Docker Hub's names lead on the machine; nothing answers there but within `serving_images`."""
DOCKER_HUB_HOSTS = ("docker.io", "registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com")
_ACCOUNTS = (ACCOUNT, OTHER_ACCOUNT)
_REGIONS = (REGION, "eu-west-1", "us-east-1")
_START = """
ip link set lo up
ip route add local 198.19.0.0/16 dev lo
mount --bind "$1/hosts" /etc/hosts
mkdir -p /run/containerd
mount -t tmpfs containerd /run/containerd
touch "$1/ready"
exec cat
"""
"""What the machine's first process does: its standard input is closed when whoever started it is gone.

A Docker engine that finds a containerd at its usual address has its containers run by that one, which is outside.
"""
_DOCKER = Path(__file__).with_name("docker.sh")
_GO = Path(__file__).with_name("go.sh")


def machine_for(graphs: Iterable[Graph]) -> JobSandbox:
    """Return the machine for a rehearsal of deployed stacks, which starts its Docker engine when it wants to."""
    return JobSandbox(map(place_of, graphs), engine=False)


class JobSandbox:
    """The machine, for as long as the `with` block lasts.

    Attributes:
        folder: where its files are.
        aws: AWS, seen from outside.
        enter: the command that runs another one on the machine.
        holder: the process that is the machine's first one.
        repositories: the folder with ``NAME.git`` of each repository that a Git provider has.
        registry_log: the file with a line for each manifest and blob that public registries were asked for.
    """

    folder: Path
    aws: AwsServices
    enter: tuple[str, ...]
    holder: int
    repositories: Path
    registry_log: Path

    def __init__(self, places: Iterable[tuple[str, str]] = (), *, engine: bool = True) -> None:
        """Describe it; `with` starts it.

        Args:
            places: More regions, each with an account, whose names lead to the machine.
            engine: Whether that starts the Docker engine and the AWS CLI, too; else see `start_engine`.
        """
        regions, accounts = zip(*places, strict=True) if (places := list(places)) else ((), ())
        self._regions, self._accounts = {*_REGIONS, *regions}, {*_ACCOUNTS, *accounts}
        self._machines = itertools.count(1)
        self._ends = contextlib.ExitStack()
        self._with_engine = engine
        self._naming, self._begun = threading.Lock(), threading.Event()
        self._running: Future[None] | None = None
        self._clients: dict[tuple[str, str], RegistryClient] = {}
        self._mirrored: dict[tuple[str, str, str], dict[str, str]] = {}

    def __enter__(self) -> Self:
        """Start it.

        AWS, the Docker engine and the AWS CLI are awaited where they are first needed.
        """
        with contextlib.ExitStack() as ends:
            made = ends.enter_context(temporary_folder("sandbox-"))  # short: sockets are in it
            self.folder, self.repositories = made.path, made.path / "git"
            registries = itertools.product(sorted(self._accounts), sorted(self._regions))
            hosts = [f"{account}.dkr.ecr.{region}.amazonaws.com" for account, region in registries]
            hosts += [LAYER_HOST.format(region=region) for region in sorted(self._regions)]
            hosts += [host.format(region=region) for host in SIGNER_HOSTS for region in sorted(self._regions)]
            hosts += git_hosting.hosts(sorted(self._regions))
            names = {"127.0.0.1": ["localhost", *hosts], DOCKER_HUB: DOCKER_HUB_HOSTS}
            lines = [f"{address} {' '.join(known)}\n" for address, known in names.items()]
            (self.folder / "hosts").write_text("".join(lines))
            _make_authority(self.folder)
            certificate = self.certificate("server", hosts)
            self.repositories.mkdir()
            self.registry_log = made.path / "registries.log"
            self.registry_log.touch()
            self.holder = ends.enter_context(self._machine(made.held_by))
            self.enter = (tools.command("nsenter"), "--target", str(self.holder), "--net", "--mount", "--pid", "--")
            self._starting = ends.enter_context(ThreadPoolExecutor(thread_name_prefix="start"))
            with_it = (*self.enter, tools.command("setpriv"), "--pdeathsig", "KILL")  # the process here is nsenter
            self._cli = WarmAwsCli(self.folder / "cli", prefix=with_it)
            self.aws = ends.enter_context(
                AwsServices(
                    prefix=self.enter, certificate=certificate, repositories=self.repositories, authority=self.folder
                )
            )
            commands = self.folder / "bin"
            commands.mkdir()
            (commands / "docker").symlink_to(_DOCKER)
            (commands / "go").symlink_to(_GO)
            put_python(commands)  # a job has Python's standard library and nothing of ours
            if self._with_engine:
                self._start_engine(ends)
            self._ends = ends.pop_all()
        return self

    def start_engine(self) -> None:
        """Start the Docker engine and the AWS CLI, once; they take much of what another start needs meanwhile."""
        self._start_engine(self._ends)

    def _start_engine(self, ends: contextlib.ExitStack) -> None:
        ends.enter_context(self._engine())
        self._begun.set()
        self._ready = self._starting.submit(ends.enter_context(self._cli).await_ready)

    def await_ready(self) -> None:
        """Wait until builds can run: until the Docker engine and the AWS CLI answer.

        Raises:
            RuntimeError: One of them did not start.
        """
        self.await_engine()
        self._ready.result()

    def await_engine(self) -> None:
        """Wait until the Docker engine is started, and answers.

        Raises:
            RuntimeError: It did not start, or everything ends before it is started.
        """
        self._begun.wait()
        if self._running is None:
            raise RuntimeError("The machine ends before its Docker engine was started.")
        self._running.result()

    def give_up(self) -> None:
        """Let nobody wait any longer for an engine that is not started; one that is goes on."""
        self._begun.set()

    def __exit__(self, *_: object) -> None:
        """End all of it."""
        self.give_up()
        self._ends.close()

    @property
    def certificates(self) -> Path:
        """What the machine's programs trust."""
        return self.folder / "ca.pem"

    def certificate(self, name: str, hosts: Sequence[str]) -> Path:
        """Make a certificate for these hosts that the machine trusts; returns the file with certificate and key."""
        names, folder = ",".join(f"DNS:{host}" for host in hosts), self.folder
        (folder / f"{name}.names").write_text(f"subjectAltName={names}\n")
        request = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
        _openssl(folder, "req", *_KEY, "-subj", "/CN=rehearsal", *request)
        number = f"0x{secrets.token_hex(8)}"  # of its own: several may be made at a time
        authority = ("-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", number, "-days", "2")
        signed = ("-extfile", f"{name}.names", "-out", f"{name}.crt")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *authority, *signed)
        made = folder / f"{name}.pem"
        made.write_bytes((folder / f"{name}.crt").read_bytes() + (folder / f"{name}.key").read_bytes())
        made.chmod(0o600)
        return made

    def name(self, host: str, address: str) -> None:
        """Give a name to an address of the machine, for its programs and for the containers that jobs start on it."""
        for file, line in (("hosts", f"{address} {host}"), ("container-hosts", f"{host}:{address}")):
            with self._naming:
                path = self.folder / file
                known = path.read_text().splitlines() if path.exists() else []
                kept = [entry for entry in known if host not in re.split("[ :]", entry)]
                path.write_text("".join(f"{entry}\n" for entry in [*kept, line]))  # in its place: it is mounted

    @property
    def names(self) -> tuple[str, ...]:
        """The names that containers know, as ``name:address``; on AWS they would ask DNS for them."""
        file = self.folder / "container-hosts"
        with self._naming:
            return tuple(file.read_text().splitlines()) if file.exists() else ()

    @property
    def docker_socket(self) -> Path:
        """Where the Docker engine answers, for whoever may read the sandbox's folder."""
        return self.folder / "docker.sock"

    def registry(self, account: str = ACCOUNT, region: str = REGION) -> RegistryClient:
        """The registry of an account, as its root user."""
        key = (account, region)
        return self._clients.setdefault(key, RegistryClient(self.aws, account, region))

    def repository(self, name: str, *, account: str = ACCOUNT, region: str = REGION, **settings: object) -> str:
        """Make a repository, if there is none of this name; returns its address."""
        ecr = self.aws.client("ecr", account=account, region=region)
        with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName=name, **settings)
        return str(ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryUri"])

    def publish(self, code: Path, repository: str, *, public: bool = False) -> None:
        """Put a Git repository where Git providers and connections serve it, with what it has of Git LFS.

        Args:
            code: The repository's working tree.
            repository: Its name there, for example ``owner/name``.
            public: Whether everybody may read it.
        """
        target = self.repositories / f"{repository}.git"
        shutil.rmtree(target, ignore_errors=True)
        clone = ["git", "clone", "--quiet", "--mirror", "--no-local", str(code), str(target)]
        subprocess.run(clone, env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}, check=True)
        if (code / ".git" / "lfs").is_dir():
            shutil.copytree(code / ".git" / "lfs", target / "lfs")
        if public:
            (target / git_hosting.PUBLIC).touch()

    def clone_reference(self, repository: str, connection_arn: str, branch: str = "main") -> Path:
        """The artifact of a source action that refers to a published repository: to the branch's last commit."""
        bare = str(self.repositories / f"{repository}.git")
        found = subprocess.run(["git", "-C", bare, "rev-parse", branch], capture_output=True, text=True, check=True)
        url = git_hosting.address(connection_arn, repository)
        return CloneReference(repository=repository, url=url, commit=found.stdout.strip(), branch=branch).write(
            self.folder / f"reference-{next(self._machines)}.json"
        )

    def place(self, credentials: Mapping[str, str], *, region: str = REGION, proxy: str = "") -> BuildHost:
        """A new machine for a build, under these credentials.

        Args:
            credentials: The variables of whoever runs it.
            region: The region.
            proxy: By which the containers of this build reach what is not on the machine, see `egress.way_out`.
        """
        self.await_ready()
        machine = f"machine-{next(self._machines)}"
        config = self.folder / machine
        (config / "cli-plugins").mkdir(parents=True)
        (config / "cli-plugins" / "docker-buildx").symlink_to(tools.builder().bin / "buildx")
        if proxy:
            own = {name for line in (self.folder / "hosts").read_text().splitlines() for name in line.split()}
            # Not Git providers: the machine's are for the pipeline, and a container may want what it does not have.
            kept = ",".join(sorted(own - {*git_hosting.PROVIDERS}))
            settings = {"httpProxy": proxy, "httpsProxy": proxy, "noProxy": kept}
            (config / "config.json").write_text(json.dumps({"proxies": {"default": settings}}))
        home = self.folder / f"{machine}-home"
        home.mkdir()
        environment = {
            **credentials,
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(self._cli.bin), images.PATH]),
            "HOME": str(home),
            "DOCKER_HOST": self._docker_host,
            "DOCKER_CONFIG": str(config),
            "REHEARSAL_DOCKER": tools.engine()["docker"],
            "REHEARSAL_HOSTS": str(self.folder / "container-hosts"),
            "REHEARSAL_MACHINE": machine,
            "SSL_CERT_FILE": str(self.certificates),
            "AWS_CA_BUNDLE": str(self.certificates),
            # The AWS CLI puts more before this name, which it cannot before an address.
            "AWS_ENDPOINT_URL_SIGNER": f"https://{SIGNER_HOSTS[0].format(region=region)}",
            "REHEARSAL_NOTATION": str(tools.notation().bin),
            "REHEARSAL_SOURCES": str(tools.notation().module),
            "GIT_SSL_CAINFO": str(self.certificates),
            "GIT_CONFIG_NOSYSTEM": "1",  # whatever this machine's own administrator has configured
        }
        return BuildHost(environment=environment, enter=self.enter, region=region)

    def listen(self) -> socket.socket:
        """A socket of this process that listens on a free port of the machine's loopback."""
        return listening_in(self.enter)

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the Docker client on the machine, signed in to the registries that `registry` has given."""
        self.await_engine()
        command = [*self.enter, tools.engine()["docker"], *words]
        config = self.folder / "docker-config"
        config.mkdir(exist_ok=True)
        auths = {client.host: {"auth": client.token} for client in self._clients.values()}
        (config / "config.json").write_text(json.dumps({"auths": auths}))
        environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": self._docker_host, "DOCKER_CONFIG": str(config)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=check)

    @property
    def _docker_host(self) -> str:
        return f"unix://{self.docker_socket}"

    @contextlib.contextmanager
    def _machine(self, folder: int) -> Iterator[int]:
        """The namespaces, which hold the folder; gives the number of the process that holds them."""
        unshare = [tools.command("unshare"), "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        first = [tools.engine()["docker-init"], "-s", "--", "/bin/sh", "-euc", _START, "start"]
        said = self.folder / "machine.log"
        with (
            said.open("wb") as log,
            subprocess.Popen(
                [*unshare, *first, str(self.folder)],
                env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(folder,),
            ) as process,
        ):
            try:
                await_ready(process, "The machine", (self.folder / "ready").exists, said)
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
                yield int(children.split()[0])
            finally:
                process.communicate()  # closes the standard input of the machine's first process

    @contextlib.contextmanager
    def _engine(self) -> Iterator[None]:
        """The Docker engine; ended in good order, so that it takes its containers and mounts away."""
        settings = {
            "features": {"containerd-snapshotter": True},  # keeps indexes and attestations, as newer engines do
            "hosts": [self._docker_host],
            "data-root": str(self.folder / "data"),
            "exec-root": str(self.folder / "run"),
            "pidfile": str(self.folder / "docker.pid"),
            "cgroup-parent": f"/{self.folder.name}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],  # systemd's takes another parent, and is outside
            "bip": f"{BRIDGE}/24",
            "iptables": False,  # nothing to route to; and the machine may have no iptables
            "ip6tables": False,
            "dns": [NAME_SERVER],  # it answers builds, where the user lets them out
        }
        file = self.folder / "daemon.json"
        file.write_text(json.dumps(settings))
        commands = tools.engine()
        folders = dict.fromkeys(str(Path(command).parent) for command in commands.values())
        path = ":".join([*folders, os.environ["PATH"], "/usr/sbin:/sbin"])
        with (self.folder / "dockerd.log").open("wb") as log:
            process = subprocess.Popen(
                [*self.enter, commands["dockerd"], "--config-file", str(file)],
                env={"PATH": path, "HOME": str(self.folder), "SSL_CERT_FILE": str(self.certificates)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._running = self._starting.submit(self._await_engine, process)
        try:
            yield
        finally:
            self._end_engine(process)

    def _await_engine(self, process: subprocess.Popen[bytes]) -> None:
        engine = EngineApi(self.docker_socket)

        def answers() -> bool:
            try:
                return bool(engine.ask("GET", "/version", timeout=5))
            except (OSError, EngineRefusal):
                return False

        await_ready(process, "The Docker engine", answers, self.folder / "dockerd.log")

    def _end_engine(self, process: subprocess.Popen[bytes]) -> None:
        # An engine that is still about to start is awaited; one that did not start is gone.
        with contextlib.suppress(RuntimeError):
            running = self.docker("ps", "--all", "--quiet", check=False).stdout.split()
            if running:
                self.docker("rm", "--force", "--volumes", *running, check=False)
        end_inside(process)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def docker_hub(self, region: str = REGION, account: str = ACCOUNT, prefix: str = MIRROR) -> dict[str, str]:
        """Fill the cache of Docker Hub in this region; gives the variables that name its images for a build.

        The images are stand-ins with digests of their own, so that the pinned ones cannot be used.
        """
        if (region, account, prefix) not in self._mirrored:
            client, names = self.registry(account, region), {}
            for variable, name, tag, image in (
                ("BUILDKIT_IMAGE", "moby/buildkit", f"v{tools.BUILDKIT}", self._buildkit()),
                ("SBOM_GENERATOR_IMAGE", "docker/buildkit-syft-scanner", "stand-in", images.scanner()),
                ("", "docker/dockerfile", "1", images.dockerfile_frontend()),
            ):
                self.repository(f"{prefix}/{name}", account=account, region=region)
                names[variable] = f"{name}:{tag}@{client.push(f'{prefix}/{name}', image, tag)}"
            secret = f"arn:aws:secretsmanager:{region}:{account}:secret:ecr-pullthroughcache/docker-hub-AbCdEf"
            self.aws.client("ecr", account=account, region=region).create_pull_through_cache_rule(
                ecrRepositoryPrefix=prefix, upstreamRegistryUrl="registry-1.docker.io", credentialArn=secret
            )
            self._mirrored[region, account, prefix] = {variable: name for variable, name in names.items() if variable}
        return self._mirrored[region, account, prefix]

    def _buildkit(self) -> images.Image:
        return images.buildkit(self.certificates.read_bytes())

    @contextlib.contextmanager
    def serving_images(self, provision: Provision, *, caches: Collection[str] = ()) -> Iterator[dict[str, str]]:
        """Serve base images under the names of their registries, and what each build fetches of Docker Hub anyway.

        Gives the variables that name the latter for a build.

        Args:
            provision: The images.
            caches: The addresses of pull-through caches for Docker Hub that have them, too, as if by earlier pulls:
                registry and prefix.
        """
        images_by_name = {f"{image.name.address}:{image.name.reference}": image.content for image in provision.images}
        variables = {}
        for variable, name, made in self._of_every_build():
            content = provision.store.put(made)
            images_by_name[f"docker.io/{name}"] = content
            variables[variable] = f"{name}@{content.digest}"
        hosts = set()
        for image in provision.images:
            ecr = REGISTRY_HOST.fullmatch(image.name.host)
            if ecr and ecr[1] in self._accounts and ecr[2] in self._regions:
                self._put(provision, image, image.name.repository, ecr[1], ecr[2])
            elif image.name.host != "docker.io":
                hosts.add(image.name.host)
            else:
                for cache in caches:
                    host, _, prefix = cache.partition("/")
                    account, region = host.split(".")[0], host.split(".")[3]
                    self.docker_hub(region, account, prefix)
                    self._put(provision, image, f"{prefix}/{image.name.repository}", account, region)
        with self._registries(hosts, images_by_name, provision.store.folder):
            yield variables

    def _of_every_build(self) -> tuple[tuple[str, str, images.Image], ...]:
        """The variable of the job that names it, name with tag, and the image."""
        return (
            ("BUILDKIT_IMAGE", f"moby/buildkit:v{tools.BUILDKIT}", self._buildkit()),
            ("SBOM_GENERATOR_IMAGE", "docker/buildkit-syft-scanner:stand-in", images.scanner()),
        )

    def _put(self, provision: Provision, image: Provided, repository: str, account: str, region: str) -> None:
        """Put an image into a repository of Amazon ECR, which is made if need be."""
        self.repository(repository, account=account, region=region)
        whole = provision.store.image(image.content, PLATFORM)
        self.registry(account, region).push(repository, whole, *filter(None, [image.name.tag]))

    @contextlib.contextmanager
    def _registries(
        self, hosts: AbstractSet[str], images_by_name: Mapping[str, Content], store: Path
    ) -> Iterator[None]:
        """The registries of these names and Docker Hub's, reading from a folder of images."""
        number = next(self._machines)
        names, file = self.folder / "hosts", self.folder / f"images-{number}.json"
        file.write_text(json.dumps({name: (each.digest, each.media_type) for name, each in images_by_name.items()}))
        plain = sorted({host.partition(":")[0] for host in hosts})
        own = [f"{DOCKER_HUB} {host}\n" for host in plain]
        ports = {int(host.partition(":")[2] or 443) for host in hosts} | {443}
        certificate = self.certificate(f"registries-{number}", [*DOCKER_HUB_HOSTS, *plain])
        command = [sys.executable, "-m", "local.rehearsal.base_images.server", "--address", DOCKER_HUB]
        command += [word for port in sorted(ports) for word in ("--port", str(port))]
        command += ["--certificate", str(certificate), "--store", str(store), "--images", str(file)]
        command += ["--log", str(self.registry_log)]
        said = self.folder / f"registries-{number}.log"
        with (
            said.open("wb") as log,
            subprocess.Popen(
                [*self.enter, *command],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                if process.stdout is None or process.stdout.readline() != "ready\n":
                    process.communicate()
                    raise RuntimeError(f"The registries did not start. They said:\n{said.read_text()}")
                # The file is mounted: it is written, and not replaced.
                with self._naming:
                    names.write_text("".join([names.read_text(), *own]))
                yield
            finally:
                with self._naming:
                    kept = [line for line in names.read_text().splitlines(keepends=True) if line not in own]
                    names.write_text("".join(kept))
                process.communicate()  # closes its standard input, at which it ends


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _make_authority(folder: Path) -> None:
    """Make an authority of our own, which signs certificates for two days: `ca.pem`, and its key.

    AWS Signer belongs to it, too, whose signatures are verified by what a certificate may be used for.
    """
    subject = ("-subj", "/CN=ecs-delivery rehearsal", "-addext", "keyUsage=critical,keyCertSign")
    _openssl(folder, "req", "-x509", *_KEY, "-days", "2", *subject, "-keyout", "ca.key", "-out", "ca.pem")


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run([tools.command("openssl"), *words], cwd=folder, capture_output=True, check=True)

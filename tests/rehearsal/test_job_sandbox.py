"""The machine that image jobs are executed on, AWS on it, and the tools for it: each as exact as the tests rely on."""

from __future__ import annotations

import base64
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.__main__ import main
from local.errors import MissingTool, Refusal
from local.rehearsal import aws_cli, images, tools
from local.rehearsal.aws_services import ACCOUNT, REGION, AwsServices
from local.rehearsal.images import Entry, RegistryClient
from local.rehearsal.job_sandbox import BRIDGE, JobSandbox

ROOT = Path(__file__).parents[2]
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
TINY = images.image(images.layer({"hello": Entry(b"hello")}))


def allowing(*actions: str, resource: str = "*") -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": [resource]}],
    }


def called(
    command: Path, words: list[str], environment: Mapping[str, str], stdin: bytes = b""
) -> tuple[int, bytes, bytes]:
    done = subprocess.run([command, *words], env=dict(environment), input=stdin, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def asked(aws: AwsServices, path: str, *, host: str = HOST, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """What is answered; redirects are not followed."""
    with closing(HTTPConnection("127.0.0.1", aws.port)) as connection:
        connection.request("GET", path, headers={"Host": host, **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


@pytest.fixture
def registry(aws: AwsServices) -> RegistryClient:
    return RegistryClient(aws, ACCOUNT, REGION)


@pytest.fixture
def repository(aws: AwsServices, tmp_path: Path) -> str:
    """The name of a repository of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", tmp_path.name.lower()).strip("-")
    aws.client("ecr").create_repository(repositoryName=name)
    return name


def token(aws: AwsServices, *policies: Mapping[str, Any]) -> str:
    """What opens the registry to a role with these policies, as a header's value."""
    role = aws.as_role("someone", [allowing("ecr:GetAuthorizationToken"), *policies])
    said = called(aws_cli.command(), ["ecr", "get-login-password"], role)[1].strip()
    return f"Basic {base64.b64encode(b'AWS:' + said).decode()}"


# The tools.


def test_buildkit_is_the_one_the_buildspec_pins() -> None:
    pinned = yaml.safe_load((ROOT / "buildspecs/build-image.yml").read_text())["env"]["variables"]["BUILDKIT_IMAGE"]
    assert pinned.startswith(f"moby/buildkit:v{tools.BUILDKIT}@")


def test_a_missing_tool_is_named_with_its_cure_and_its_test_is_skipped(
    need: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tools, "_problem_of_own_engine", lambda: "dockerd not on PATH")
    folder = tmp_path / "ecs-delivery" / "docker-engine" / "bin"
    line = f"docker: dockerd not on PATH, and none is in {folder} (bring it: {tools.HOW})"
    with pytest.raises(pytest.skip.Exception, match=re.escape(line)):
        need("docker")
    with pytest.raises(
        LookupError, match="'dokcer' is no tool of the rehearsal; there are aws, base-images, builder, "
    ):
        tools.missing(["dokcer"])


@pytest.mark.parametrize(
    ("said", "problem"), [("9.2.0", "npm is 9.2.0, which is too old"), ("10.8.2", ""), ("11.0.0", "")]
)
def test_an_npm_that_cannot_read_the_lock_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, problem: str
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools._npm.__wrapped__() == problem


def test_the_version_of_npm_is_read_where_its_package_says_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As npm and Debian lay it: asking npm would take a quarter of a second of each start."""
    package = tmp_path / "lib" / "node_modules" / "npm"
    (package / "bin").mkdir(parents=True)
    (package / "bin" / "npm-cli.js").write_text("#!/bin/sh\necho 11.0.0\n")
    (package / "bin" / "npm-cli.js").chmod(0o755)
    (tmp_path / "npm").symlink_to(package / "bin" / "npm-cli.js")
    (tmp_path / "node").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, problem in (("npm", "npm is 9.2.0, which is too old"), ("another", "")):
        (package / "package.json").write_text(f'{{"name": "{name}", "version": "9.2.0"}}')
        assert tools._npm.__wrapped__() == problem


def test_without_root_only_what_needs_none_is_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = []
    monkeypatch.setattr(aws_cli, "bring", lambda: brought.append("aws"))
    monkeypatch.setattr(tools, "_install_packages", lambda _: pytest.fail("packages are installed"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingTool, match=r"^Jobs of the pipeline run in .* need root: repeat the command as root\.$"):
        tools.bring()
    assert brought == ["aws"]


def test_a_machine_without_namespaces_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(
        MissingTool, match=r"^Jobs .* need Linux, and this is macOS: repeat the command as root of .*\.$"
    ):
        tools.check_machine()


def engine_of(folder: Path, version: str) -> Path:
    """A machine's own Docker engine, as Docker's packages lay it, which says that it is of this version."""
    folder.mkdir()
    for name in ("docker", "containerd", "containerd-shim-runc-v2", "libexec/docker-init", "libexec/docker-proxy"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to("/bin/true")
    (folder / "dockerd").write_text(f"#!/bin/sh\necho 'Docker version {version}, build 1234567'\n")
    (folder / "dockerd").chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("26.1.5+dfsg1", ""),
        ("29.1.3", ""),
        ("20.10.24+dfsg1", "{dockerd} is 20.10.24+dfsg1, and 26 or newer is wanted"),
        ("unknown-version", "{dockerd} is unknown-version, and 26 or newer is wanted"),
    ],
)
def test_the_machines_own_engine_is_run_if_it_is_new_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, problem: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    own = engine_of(tmp_path / "own", version)
    monkeypatch.setattr(tools, "_ENGINE_PLACES", str(own / "libexec"))
    monkeypatch.setenv("PATH", str(own))
    brought = tmp_path / "ecs-delivery" / "docker-engine" / "bin"
    assert tools._problem_of_own_engine() == problem.format(dockerd=own / "dockerd")
    assert tools.engine()["dockerd"] == str((brought if problem else own) / "dockerd")
    assert tools.engine()["docker-init"] == str((brought if problem else own / "libexec") / "docker-init")

    (own / "containerd").unlink()
    monkeypatch.setattr(tools, "_find", lambda name, _places="": shutil.which(name, path=f"{own}:{own}/libexec"))
    assert tools._problem_of_own_engine() == "containerd not on PATH"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "ID=fedora\n")
    with pytest.raises(
        MissingTool, match=r"^There is no Docker engine that can be used \(containerd not on PATH\), and "
    ):
        tools._release_with_engine()


def test_the_machines_own_engine_runs_in_the_sandboxs_namespaces(
    need: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need("namespaces", "docker", "builder", "ministack", "aws")
    own = tmp_path / "own"
    own.mkdir()
    for name, command in tools.engine().items():
        (own / name).symlink_to(Path(command).resolve())
    monkeypatch.setenv("PATH", str(own), prepend=os.pathsep)
    monkeypatch.setattr(tools, "_brought_engine", lambda: tmp_path / "none")
    assert tools.missing(["docker"]) == []
    with JobSandbox() as sandbox:
        found = sandbox.docker("info", "--format", "{{.ServerVersion}} {{.DockerRootDir}} {{.Driver}}").stdout.split()
        running = processes_of(str(sandbox.folder))
    version = subprocess.run([own / "dockerd", "--version"], capture_output=True, text=True, check=True).stdout
    assert found == [version.split()[2].rstrip(","), str(sandbox.folder / "data"), "overlayfs"]
    assert any(words.startswith(f"{own / 'dockerd'} --config-file") for words in running)
    assert any(words.startswith("containerd ") for words in running)


def test_without_go_the_builder_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingTool, match=r"no Go to build it with\.\nInstall it, then repeat the command:\n  Go  "):
        tools.builder().build()


@pytest.mark.parametrize(
    ("words", "problem", "code"),
    [((), "", 0), ((), "no network", 1), (("--if-possible",), "", 0), (("--if-possible",), "no network", 0)],
)
def test_the_command_brings_the_tools_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    problem: str,
    code: int,
) -> None:
    brought = []

    def bring() -> None:
        brought.append(True)
        if problem:
            raise Refusal(problem)

    monkeypatch.setattr(tools, "missing", lambda _: ["docker: none"])
    monkeypatch.setattr(tools, "bring", bring)
    monkeypatch.setattr(tools, "versions", lambda: "runc\t1.1.5\n")
    assert main(["tools", *words]) == code
    said = capsys.readouterr()
    assert brought
    assert said.err.startswith(f"{problem}\n" if problem else "")
    assert said.out.startswith("" if problem or words else "Everything is there: aws, base-images, builder, ")
    assert problem or words or said.out.endswith(" has these versions:\nrunc\t1.1.5\n")


BOOKWORM = """\
http://mirror/debian bookworm /a.gpg
http://mirror/debian bookworm /a.gpg
http://mirror/debian bookworm-updates /a.gpg
http://elsewhere stable $(SIGNED_BY)
http://mirror/security bookworm-security $(SIGNED_BY)
"""
TRIXIE = """\
deb [signed-by=/a.gpg] http://mirror/debian trixie main
deb http://mirror/security trixie-security main
"""


@pytest.mark.parametrize("own", [BOOKWORM, BOOKWORM.replace("bookworm", "trixie"), "http://elsewhere stable /a.gpg\n"])
def test_the_engines_release_comes_from_the_machines_own_sources(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str
) -> None:
    (tmp_path / "apt-get").write_text(f"#!/bin/sh\nwhile read -r line; do echo \"$line\"; done <<'END'\n{own}END\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if "debian" in own:
        assert tools._sources("trixie") == TRIXIE
    else:
        with pytest.raises(MissingTool, match="none of them is Debian"):
            tools._sources("trixie")


def test_what_cannot_be_had_is_said_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another system the packages were installed and BuildKit was built, and then there was no engine."""

    def refuse() -> str:
        raise MissingTool("this machine is no Debian")

    def unwanted(*_: object) -> None:
        pytest.fail("something is brought")

    monkeypatch.setattr(tools, "_engine", lambda: "none")
    monkeypatch.setattr(tools, "_release_with_engine", refuse)
    monkeypatch.setattr(tools, "_install_packages", unwanted)
    monkeypatch.setattr(tools, "builder", unwanted)
    with pytest.raises(MissingTool, match="no Debian"):
        tools.bring()


def test_nothing_is_brought_where_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "missing", lambda _: [])
    monkeypatch.setattr(tools, "bring", lambda: pytest.fail("it is brought again"))
    assert main(["tools", "--if-possible"]) == 0


def test_what_is_not_locked_is_said_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's archive keeps no older versions: a log has to say which one a run had."""
    for name in ("dpkg-query", "node"):
        (tmp_path / name).write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    packages = " ".join(sorted(set(tools._PACKAGES.values())))
    assert tools.versions() == f"dpkg-query --show {packages}\nnode --version\n"


def test_what_a_failing_command_said_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refusal, match=r"Reading failed\. `sh -c` said:\n  no network"):
        tools._run("Reading", ["sh", "-c", "echo no network; exit 3"], dict(os.environ))
    assert capsys.readouterr().err == "  Reading\n"


# AWS.


def test_the_registry_wants_a_token_of_its_own(aws: AwsServices, repository: str) -> None:
    path = f"/v2/{repository}/manifests/v1"
    status, headers, _ = asked(aws, path)
    assert (status, headers["www-authenticate"]) == (401, f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"')
    assert asked(aws, path, Authorization=f"Basic {base64.b64encode(b'AWS:guessed').decode()}")[0] == 401
    assert asked(aws, "/v2/", Authorization=token(aws))[0] == 200


def test_the_registry_asks_the_policies_of_who_has_the_token(
    aws: AwsServices, registry: RegistryClient, repository: str
) -> None:
    registry.push(repository, TINY, "v1")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    reader = token(aws, allowing("ecr:BatchGetImage", resource=arn))
    assert asked(aws, f"/v2/{repository}/manifests/v1", Authorization=reader)[2] == TINY.manifest.content
    assert asked(aws, f"/v2/{repository}-x/manifests/v1", Authorization=reader)[0] == 403, (
        "another repository is not meant"
    )


def test_a_layer_comes_from_a_signed_address_that_wants_no_credentials(
    aws: AwsServices, registry: RegistryClient, repository: str
) -> None:
    registry.push(repository, TINY, "v1")
    blob, authorization = TINY.blobs[0], f"Basic {registry.token}"
    status, headers, _ = asked(aws, f"/v2/{repository}/blobs/{blob.digest}", Authorization=authorization)
    host, _, path = headers["location"].removeprefix("https://").partition("/")
    path = f"/{path}"
    assert (status, host) == (307, f"prod-{REGION}-starport-layer-bucket.s3.{REGION}.amazonaws.com")
    assert asked(aws, path, host=host)[2] == blob.content
    assert asked(aws, path.partition("?")[0], host=host)[0] == 403
    assert asked(aws, path.replace(blob.digest, TINY.blobs[1].digest), host=host)[0] == 403
    assert asked(aws, path, host=host, Authorization=authorization)[0] == 400


def test_a_manifest_is_refused_while_a_part_of_it_is_missing(registry: RegistryClient, repository: str) -> None:
    for incomplete in (images.Image(TINY.manifest), images.Image(images.index((TINY, {})).manifest)):
        with pytest.raises(RuntimeError, match="required for pushing image do not exist"):
            registry.push(repository, incomplete, "v1")
    assert registry.manifest(repository, "v1") is None


def test_only_tags_that_may_move_do(aws: AwsServices, registry: RegistryClient, repository: str) -> None:
    name = f"{repository}-fixed"
    aws.client("ecr").create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "cache*"}],
    )
    other = images.image(images.layer({"hello": Entry(b"other")}))
    for tag in ("v1", "cache-1"):
        registry.push(name, TINY, tag)
    registry.push(name, TINY, "v1")
    registry.push(name, other, "cache-1")
    with pytest.raises(RuntimeError, match=r"tag 'v1' already exists .* because the tag is immutable"):
        registry.push(name, other, "v1")


# The AWS CLI.


@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [
        ("ecr describe-images --repository-name warm-cli --image-ids imageTag=no", b"", 254),
        ("s3 cp - s3://warm-cli/key", b"\x00\xff text \n" * 9999, 0),
        ("s3 cp s3://warm-cli/there -", b"", 0),
        ("sts get-caller-identity --query Account --output text", b"", 0),
        ("nonsense", b"", 252),
        ("--version", b"", 0),
    ],
    ids=["an error", "input", "output", "text", "no command", "version"],
)
def test_the_warm_cli_does_what_the_plain_one_does(
    aws: AwsServices, warm_aws_cli: Path, words: str, stdin: bytes, code: int
) -> None:
    if "warm-cli" not in [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]:
        place = {"LocationConstraint": REGION}
        aws.client("s3").create_bucket(Bucket="warm-cli", CreateBucketConfiguration=place)
        aws.client("s3").put_object(Bucket="warm-cli", Key="there", Body=b"\x00\xff" * 99999)
        aws.client("ecr").create_repository(repositoryName="warm-cli")
    environment = {**aws.as_role("caller", [allowing("ecr:*", "s3:*")]), "HOME": "/", "PATH": "/usr/bin:/bin"}
    commands = (aws_cli.command(), warm_aws_cli / "aws")
    plain, warm = (called(command, words.split(), environment, stdin) for command in commands)
    assert warm == plain
    assert plain[0] == code


def test_the_warm_cli_works_in_the_callers_folder_and_ends_with_its_caller(
    aws: AwsServices, warm_aws_cli: Path, tmp_path: Path
) -> None:
    aws.client("s3").create_bucket(Bucket="warm-cli-folder", CreateBucketConfiguration={"LocationConstraint": REGION})
    environment = {**aws.as_role("caller", [allowing("s3:*")]), "HOME": "/", "PATH": "/usr/bin:/bin"}
    (tmp_path / "file").write_text("content")
    subprocess.run(
        [warm_aws_cli / "aws", "s3", "cp", "file", "s3://warm-cli-folder/"], cwd=tmp_path, env=environment, check=True
    )
    assert aws.client("s3").get_object(Bucket="warm-cli-folder", Key="file")["Body"].read() == b"content"
    command = [str(warm_aws_cli / "aws"), "s3", "cp", "-", "s3://warm-cli-folder/x"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
        assert caller.stdout
        time.sleep(0.5)  # it reads its input, of which there is no end
        caller.send_signal(signal.SIGKILL)
        assert select.select([caller.stdout], [], [], 10)[0], "the call has outlived its caller"
        assert caller.stdout.read() == b""


def test_the_warm_cli_keeps_no_sessions_in_a_home(aws: AwsServices, warm_aws_cli: Path, tmp_path: Path) -> None:
    """Their database was open in the server, so that each call waited a minute for a lock that it could not get."""
    environment = {**aws.as_role("caller", []), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [warm_aws_cli / "aws", "s3", "ls"], env=environment, capture_output=True, text=True, check=False
    )
    assert "AccessDenied" in done.stderr
    assert list(tmp_path.iterdir()) == []
    home = warm_aws_cli.parents[2]  # of the server
    assert {path.name for path in home.iterdir()} == {"config", "plugins", "server.log", "socket", "v2"}


# The machine.


def test_inside_amazon_ecr_has_its_real_name_and_a_certificate(sandbox: JobSandbox) -> None:
    program = f"import urllib.request as u; print(u.urlopen('https://{HOST}/v2/').status)"
    place = sandbox.place(sandbox.aws.environment())
    untrusting = {key: value for key, value in place.environment.items() if key != "SSL_CERT_FILE"}
    for environment, said in ((place.environment, "HTTP Error 401"), (untrusting, "CERTIFICATE_VERIFY_FAILED")):
        command = [*place.enter, "python3", "-c", program]
        done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
        assert said in done.stderr, "reached and not signed in, where it is trusted"


def test_the_outside_does_not_see_it(sandbox: JobSandbox) -> None:
    inside = subprocess.run([*sandbox.enter, "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    outside = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=True).stdout
    assert "docker0" in inside
    assert BRIDGE not in outside
    assert HOST not in Path("/etc/hosts").read_text()


def test_the_containerd_of_a_machine_with_docker_and_systemd_is_left_alone(need: Callable[..., None]) -> None:
    """Where one stands at its usual address, a Docker engine starts none of its own."""
    need("namespaces", "docker", "builder", "ministack", "aws")
    program = """
from local.rehearsal.job_sandbox import JobSandbox
with JobSandbox() as sandbox:
    print(sandbox.docker("info", "--format", "{{.CgroupDriver}}").stdout.strip(), sandbox.folder)
    with open(sandbox.folder / "run" / "containerd" / "containerd.pid") as file:
        print(file.read())
"""
    machine = """
mount -t tmpfs run /run
mkdir -p /run/containerd /run/systemd/system
touch /run/containerd/containerd.sock
exec "$@"
"""
    command = ["unshare", "--mount", "sh", "-euc", machine, "machine", sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, pid = done.stdout.splitlines()
    assert first.startswith("cgroupfs ")
    assert pid.isdigit()


@pytest.mark.parametrize("ends", ["in good order", "at once", "killed"])
def test_nothing_is_left_of_a_machine_that_has_ended(need: Callable[..., None], ends: str) -> None:
    """Killed: as when somebody ends the tests with SIGKILL. What is in the namespaces then ends by itself.

    At once: while the Docker engine and the AWS CLI are still about to start.
    """
    need("namespaces", "docker", "builder", "ministack", "aws")
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from local.rehearsal import images
from local.rehearsal.job_sandbox import JobSandbox
with JobSandbox() as sandbox:
    if {ends!r} != "at once":
        uri = sandbox.repository("busybox")
        sandbox.registry().push("busybox", images.image(images.busybox()), "1")
        sandbox.docker("run", "--detach", f"{{uri}}:1", "sleep", "999")
    print(sandbox.folder, flush=True)
    if {ends!r} == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if ends == "killed" else 0), done.stderr
    folder = done.stdout.strip()
    deadline = time.monotonic() + 20
    while (left := left_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def left_of(folder: str) -> list[str]:
    """The processes, mounts, control groups and files of a machine."""
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder in line]
    # Other machines end meanwhile, and with them what is being looked through, which `os.walk` takes as it comes.
    groups = [path for path, _, _ in os.walk("/sys/fs/cgroup") if Path(path).name == Path(folder).name]
    return [*processes_of(folder), *mounts, *groups, *map(str, Path(folder).parent.glob(Path(folder).name))]


def processes_of(folder: str) -> list[str]:
    """The command lines that name this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in words:
            found.append(words)
    return found

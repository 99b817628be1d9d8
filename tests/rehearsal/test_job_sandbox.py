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
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from local.__main__ import main
from local.errors import MissingTool, Refusal
from local.rehearsal import aws_cli, images, tools
from local.rehearsal.aws_services import ACCOUNT, REGION, AwsServices
from local.rehearsal.images import Entry, RegistryClient
from local.rehearsal.job_sandbox import BRIDGE, OTHER_ACCOUNT, JobSandbox

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


def asked(aws: AwsServices, path: str, token: str = "", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """What the registry answers; redirects are not followed."""
    headers = {"Host": HOST}
    if token:
        headers["Authorization"] = f"Basic {token}"
    opener = urllib.request.build_opener(_NoRedirect())
    try:
        request = urllib.request.Request(f"{aws.endpoint}{path}", headers=headers, method=method)  # noqa: S310 - loopback
        with opener.open(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


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
    """What opens the registry to a role with these policies."""
    role = aws.as_role("someone", [allowing("ecr:GetAuthorizationToken"), *policies])
    said = called(aws_cli.command(), ["ecr", "get-login-password"], role)[1].strip()
    return base64.b64encode(b"AWS:" + said).decode()


# The tools.


def test_buildkit_is_the_one_the_buildspec_pins() -> None:
    pinned = yaml.safe_load((ROOT / "buildspecs/build-image.yml").read_text())["env"]["variables"]["BUILDKIT_IMAGE"]
    assert pinned.startswith(f"moby/buildkit:v{tools.BUILDKIT}@")


def test_a_missing_tool_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (line,) = tools.missing(["docker"])
    commands = "dockerd, docker, containerd, containerd-shim-runc-v2, ctr"
    assert line == f"docker: {tmp_path}/ecs-delivery/docker-engine/bin lacks {commands} (bring it: {tools.HOW})"
    with pytest.raises(LookupError, match="'dokcer' is no tool of the rehearsal; there are aws, builder, "):
        tools.missing(["dokcer"])


def test_a_test_without_its_tool_is_skipped_by_name(
    need: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=f"docker: .*bring it: {tools.HOW}"):
        need("docker")


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


def test_without_root_only_what_needs_none_is_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = []
    monkeypatch.setattr(aws_cli, "bring", lambda: brought.append("aws"))
    monkeypatch.setattr(tools, "_install_packages", lambda: pytest.fail("packages are installed"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingTool, match=r"need root\. To run them too, repeat\nthe command as root"):
        tools.bring()
    assert brought == ["aws"]


def test_without_go_the_builder_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingTool) as refused:
        tools.builder().build()
    assert str(refused.value).splitlines() == [
        "There is no buildkit-and-buildx on this machine, and no Go to build it with.",
        "Install it, then repeat the command:",
        "  Go       sudo apt-get install golang-go   (it must be 1.21 or newer; if it is not: https://go.dev/dl)",
    ]


@pytest.mark.parametrize(("problem", "code"), [("", 0), ("no network", 1)])
def test_the_command_brings_the_tools_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: str, code: int
) -> None:
    def bring() -> None:
        if problem:
            raise Refusal(problem)

    monkeypatch.setattr(tools, "bring", bring)
    monkeypatch.setattr(tools, "versions", lambda: {"runc": "1.1.5"})
    assert main(["tools"]) == code
    said = capsys.readouterr()
    assert said.err == (f"{problem}\n" if problem else "")
    assert said.out.startswith("" if problem else "Everything is there: aws, builder, ")
    assert problem or "\n  runc            1.1.5\n" in said.out


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder for the machine's package sources, in either form."""
    monkeypatch.setattr(tools, "_DEBIAN_SOURCES", tmp_path / "debian.sources")
    monkeypatch.setattr(tools, "_SOURCES_LIST", tmp_path / "sources.list")
    return tmp_path


@pytest.mark.parametrize("own", ["bookworm", "trixie"])
def test_the_engines_release_comes_from_the_machines_own_sources(debian: Path, own: str) -> None:
    (debian / "debian.sources").write_text(
        f"Types: deb\nURIs: http://mirror/debian\nSuites: {own} {own}-updates\nComponents: main\n\n"
        f"Types: deb\nURIs: http://mirror/security\nSuites: {own}-security\nComponents: main\n"
    )
    assert tools._sources("trixie") == (
        "release.sources",
        (
            "Types: deb\nURIs: http://mirror/debian\nSuites: trixie\nComponents: main\n\n"
            "Types: deb\nURIs: http://mirror/security\nSuites: trixie-security\nComponents: main\n"
        ),
    )


def test_a_machine_may_keep_its_sources_as_older_installations_do(debian: Path) -> None:
    (debian / "sources.list").write_text(
        "#deb cdrom:[Debian GNU/Linux 12]/ bookworm main\n"
        "deb http://mirror/debian bookworm main contrib\n"
        "deb-src http://mirror/debian bookworm main\n"
        "deb [signed-by=/a.gpg arch=amd64] http://mirror/security bookworm-security main\n"
        "deb http://mirror/debian bookworm-backports main\n"
        "deb http://elsewhere stable main\n"
    )
    assert tools._sources("trixie") == (
        "release.list",
        (
            "deb http://mirror/debian trixie main contrib\n"
            "deb [signed-by=/a.gpg arch=amd64] http://mirror/security trixie-security main\n"
        ),
    )


@pytest.mark.parametrize("text", [None, "deb http://elsewhere stable main\n"])
def test_a_machine_without_sources_of_debian_is_told_where_they_should_be(debian: Path, text: str | None) -> None:
    if text:
        (debian / "sources.list").write_text(text)
    with pytest.raises(MissingTool, match=r"debian\.sources or .*sources\.list names packages of Debian"):
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


@pytest.mark.parametrize("problem", ["no network", ""])
def test_make_test_brings_what_it_can_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: str
) -> None:
    brought = []

    def bring() -> None:
        brought.append(True)
        if problem:
            raise Refusal(problem)

    monkeypatch.setattr(tools, "missing", lambda _: ["docker: none"])
    monkeypatch.setattr(tools, "bring", bring)
    assert main(["tools", "--if-possible"]) == 0
    assert problem in capsys.readouterr().err
    assert brought


def test_nothing_is_brought_where_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "missing", lambda _: [])
    monkeypatch.setattr(tools, "bring", lambda: pytest.fail("it is brought again"))
    assert main(["tools", "--if-possible"]) == 0


def test_what_is_not_locked_is_said_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's archive keeps no older versions: a log has to say which one a run had."""
    query = tmp_path / "dpkg-query"
    query.write_text('#!/bin/sh\n[ "$3" != chromium ] && echo "1:2.3-$3" && echo more\n')
    query.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    versions = tools.versions()
    assert versions["runc"] == "1:2.3-runc"
    assert versions["chromium"] == versions["docker engine"] == "missing"
    assert set(tools._PACKAGES.values()) < set(versions), "every package that is brought"


def test_what_a_failing_command_said_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refusal, match=r"Reading failed\. `sh -c` said:\n  no network"):
        tools._run("Reading", ["sh", "-c", "echo no network; exit 3"], dict(os.environ))
    assert capsys.readouterr().err == "  Reading\n"


# AWS.


def test_a_role_may_do_what_its_policies_say_and_no_more(aws: AwsServices, repository: str) -> None:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    role = aws.as_role("reader", [allowing("ecr:DescribeImages", resource=arn)])
    words = ["ecr", "describe-images", "--repository-name"]
    assert called(aws_cli.command(), [*words, repository], role)[0] == 0
    code, _, said = called(aws_cli.command(), [*words, "another"], role)
    assert code == 254
    assert b"(AccessDeniedException)" in said
    aws.as_role("reader", [])
    assert called(aws_cli.command(), [*words, repository], role)[0] == 254, (
        "the role of a name has the policies given last"
    )


def test_an_account_may_be_entered_by_who_its_role_trusts_and_nobody_else(aws: AwsServices) -> None:
    def trust(name: str) -> dict[str, Any]:
        condition = {"ArnEquals": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT}:role/path/{name}"]}}
        principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition}
        return {"Version": "2012-10-17", "Statement": [statement]}

    promoter = aws.as_role("promoter", [allowing("sts:AssumeRole")])
    for name, code in (("promoter", 0), ("somebody", 254)):
        arn = aws.make_role("target", [], account=OTHER_ACCOUNT, trust=trust(name))
        words = ["sts", "assume-role", "--role-arn", arn, "--role-session-name", "promotion"]
        assert called(aws_cli.command(), words, promoter)[0] == code


def test_an_image_that_is_not_there_is_an_error(aws: AwsServices, repository: str) -> None:
    with pytest.raises(ClientError, match=r"\(ImageNotFoundException\).* imageTag:'v1'} does not exist within"):
        aws.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])


def test_the_registry_wants_a_token_of_its_own(aws: AwsServices, repository: str) -> None:
    path = f"/v2/{repository}/manifests/v1"
    status, headers, _ = asked(aws, path)
    assert (status, headers["www-authenticate"]) == (401, f'Basic realm="https://{HOST}/",service="ecr.amazonaws.com"')
    assert asked(aws, path, base64.b64encode(b"AWS:guessed").decode())[0] == 401
    assert asked(aws, "/v2/", token(aws))[0] == 200


def test_the_registry_asks_the_policies_of_who_has_the_token(
    aws: AwsServices, registry: RegistryClient, repository: str
) -> None:
    registry.push(repository, TINY, "v1")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    reader = token(aws, allowing("ecr:BatchGetImage", resource=arn))
    assert asked(aws, f"/v2/{repository}/manifests/v1", reader)[2] == TINY.manifest.content
    status, _, body = asked(aws, f"/v2/{repository}/blobs/{TINY.blobs[0].digest}", reader)
    assert status == 403
    assert f"not authorized to perform: ecr:GetDownloadUrlForLayer on resource: {arn}" in body.decode()
    assert asked(aws, f"/v2/{repository}-x/manifests/v1", reader)[0] == 403, "another repository is not meant"


def test_a_layer_comes_from_a_signed_address_that_wants_no_credentials(
    aws: AwsServices, registry: RegistryClient, repository: str
) -> None:
    registry.push(repository, TINY, "v1")
    blob = TINY.blobs[0]
    status, headers, _ = asked(aws, f"/v2/{repository}/blobs/{blob.digest}", registry.token)
    host, _, path = headers["location"].removeprefix("https://").partition("/")
    path = f"/{path}"
    assert (status, host) == (307, f"prod-{REGION}-starport-layer-bucket.s3.{REGION}.amazonaws.com")

    def fetched(path: str, **more: str) -> bytes | int:
        request = urllib.request.Request(f"{aws.endpoint}{path}", headers={"Host": host, **more})  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return error.code

    assert fetched(path) == blob.content
    assert fetched(path.partition("?")[0]) == 403
    assert fetched(path.replace(blob.digest, TINY.blobs[1].digest)) == 403
    assert fetched(path, Authorization=f"Basic {registry.token}") == 400


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


def test_what_refers_to_an_image_is_listed(registry: RegistryClient, repository: str) -> None:
    registry.push(repository, TINY, "v1")
    signature = images.artifact(TINY, "application/vnd.example.signature", b"signed")
    assert registry.referrers(repository, TINY.digest) == []
    registry.push(repository, signature)
    assert registry.referrers(repository, TINY.digest) == [signature.digest]


# The AWS CLI.


@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [
        (["ecr", "describe-repositories", "--repository-names", "warm-cli"], b"", 0),
        (["ecr", "describe-images", "--repository-name", "warm-cli", "--image-ids", "imageTag=no"], b"", 254),
        (["ecr", "describe-images", "--repository-name", "x y"], b"", 254),
        (["s3", "cp", "-", "s3://warm-cli/key"], b"\x00\xff text \n" * 9999, 0),
        (["s3", "cp", "s3://warm-cli/there", "-"], b"", 0),
        (["sts", "get-caller-identity", "--query", "Account", "--output", "text"], b"", 0),
        (["nonsense"], b"", 252),
        (["--version"], b"", 0),
    ],
    ids=lambda value: (
        " ".join(value[:2]) if isinstance(value, list) else str(len(value) if isinstance(value, bytes) else value)
    ),
)
def test_the_warm_cli_does_what_the_plain_one_does(
    aws: AwsServices, warm_aws_cli: Path, words: list[str], stdin: bytes, code: int
) -> None:
    if "warm-cli" not in [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]:
        place = {"LocationConstraint": REGION}
        aws.client("s3").create_bucket(Bucket="warm-cli", CreateBucketConfiguration=place)
        aws.client("s3").put_object(Bucket="warm-cli", Key="there", Body=b"\x00\xff" * 99999)
        aws.client("ecr").create_repository(repositoryName="warm-cli")
    environment = {**aws.as_role("caller", [allowing("ecr:*", "s3:*")]), "HOME": "/", "PATH": "/usr/bin:/bin"}
    plain, warm = (called(command, words, environment, stdin) for command in (aws_cli.command(), warm_aws_cli / "aws"))
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


# The machine.


def test_inside_amazon_ecr_has_its_real_name_and_a_certificate(sandbox: JobSandbox) -> None:
    program = f"import urllib.request as u; print(u.urlopen('https://{HOST}/v2/').status)"
    place = sandbox.place(sandbox.aws.environment())
    done = subprocess.run(
        [*place.enter, "python3", "-c", program],
        env=dict(place.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "HTTP Error 401" in done.stderr, "reached, trusted, and not signed in"
    del (untrusting := dict(place.environment))["SSL_CERT_FILE"]
    done = subprocess.run(
        [*place.enter, "python3", "-c", program], env=untrusting, capture_output=True, text=True, check=False
    )
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_the_outside_does_not_see_it(sandbox: JobSandbox) -> None:
    inside = subprocess.run([*sandbox.enter, "ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    outside = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=True).stdout
    assert "docker0" in inside
    assert BRIDGE not in outside
    assert HOST not in Path("/etc/hosts").read_text()


@pytest.mark.parametrize("ends", ["in good order", "killed"])
def test_nothing_is_left_of_a_machine_that_has_ended(need: Callable[..., None], ends: str) -> None:
    """Killed: as when somebody ends the tests with SIGKILL. What is in the namespaces then ends by itself."""
    need("namespaces", "docker", "builder", "ministack", "aws")
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from local.rehearsal import images
from local.rehearsal.job_sandbox import JobSandbox
with JobSandbox() as sandbox:
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
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert folder not in Path("/proc/self/mountinfo").read_text()
    groups = list(Path("/sys/fs/cgroup").glob(f"**/{Path(folder).name}"))
    if ends == "in good order":
        assert not Path(folder).exists()
        assert groups == []
    else:  # empty folders, which the kernel has no way to take away with their processes
        shutil.rmtree(folder)
        for group in groups:
            for inner in sorted([group, *group.rglob("*/")], reverse=True):
                inner.rmdir()


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

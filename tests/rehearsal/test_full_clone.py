"""The code as a build gets it: an archive without links, submodules and large files, or a clone that has them.

The repository is with a Git provider of this machine, and the clone comes through a connection that asks IAM
(`local.rehearsal.git_hosting`).
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from delivered_stack import DeliveredStack
from mocked import REGION, REPOSITORY
from rehearsing import Need
from test_images import APP, Jobs, config_of, failure, image_json, of_commit, prepared_registry

from local.rehearsal.codebuild import Result
from local.rehearsal.job_sandbox import JobSandbox

CONNECTION = "arn:aws:codeconnections:eu-west-1:123456789012:connection/8ce5a0c6-5f5d-4b5e-9a4e-0d4f3c2b1a09"
GITHUB = {"repository": "example/shop", "connectionArn": CONNECTION}
CLONED = {**GITHUB, "fullClone": True, "submodules": ["example/shop-fonts"]}
SUBMODULE = "160000"
MODEL = b"weights " * 1000
OID = hashlib.sha256(MODEL).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(MODEL)}\n"
BUILT = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS runtime\nCOPY . /app/\nWORKDIR /app\n"
WHOLE = (
    f"{BUILT}RUN test -L app.conf && test -x run.sh && test ! -x plain.sh && test $(cat vendor/lib/file) = lib \\\n"
    "  && test $(cat fonts/file) = fonts && test $(wc -c < model.bin) = 8000\n"
    "RUN --mount=type=bind,source=.git,target=/git test -s /git/HEAD\n"
)
NUMBERS = itertools.count()


@dataclass(frozen=True)
class Repository:
    """A repository on this machine."""

    folder: Path

    def git(self, *words: str) -> str:
        """Run git in it, without Git LFS."""
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], submodules: Mapping[str, tuple[str, str]] | None = None) -> str:
        """Commit files, and submodules by path -> address and commit; returns the commit."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch", "main")
        for name, content in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(content)
        self.git("add", "--all")
        for path, (address, commit) in (submodules or {}).items():
            for key, value in (("path", path), ("url", address)):
                self.git("config", "--file", ".gitmodules", f"submodule.{path}.{key}", value)
            (self.folder / path).mkdir(parents=True)
            self.git("update-index", "--add", "--cacheinfo", f"{SUBMODULE},{commit},{path}")
            self.git("add", ".gitmodules")
        self.git("commit", "--quiet", "--message", "as it is")
        return self.git("rev-parse", "HEAD")


class Shop:
    """The application's repository, with everything that an archive loses; published on GitHub."""

    def __init__(self, sandbox: JobSandbox, folder: Path, *, public: bool, dockerfile: str = WHOLE) -> None:
        lib = Repository(folder / "lib").commit({"file": "lib\n"})
        fonts = Repository(folder / "fonts").commit({"file": "fonts\n"})
        sandbox.publish(folder / "lib", "example/lib", public=True)
        sandbox.publish(folder / "fonts", "example/shop-fonts")
        shop = Repository(folder / "shop")
        files = {"docker/Dockerfile": dockerfile, "VERSION": "1.2.3\n", "config/shared.conf": "port = 1\n"}
        files |= {"run.sh": "#!/bin/sh\n", "plain.sh": "#!/bin/sh\n", "grüße.txt": "hello\n"}
        files |= {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "model.bin": POINTER}
        shop.commit(files)
        (shop.folder / "run.sh").chmod(0o755)
        (shop.folder / "app.conf").symlink_to("config/shared.conf")
        (shop.folder / "dangling").symlink_to("../.venv/nowhere")
        submodules = {
            "vendor/lib": ("https://github.com/example/lib.git", lib),
            "fonts": ("git@github.com:example/shop-fonts.git", fonts),
        }
        self.commit = shop.commit({}, submodules)
        stored = shop.folder / ".git" / "lfs" / "objects" / OID[:2] / OID[2:4] / OID
        stored.parent.mkdir(parents=True)
        stored.write_bytes(MODEL)
        sandbox.publish(shop.folder, "example/shop", public=public)
        self.folder = shop.folder


class Built:
    """Builds the application of one stack."""

    def __init__(
        self, sandbox: JobSandbox, code: Mapping[str, object], folder: Path, *, provider: str = "github"
    ) -> None:
        ecr = {"repository": "platform/node", "tag": "22"}
        self.stack = DeliveredStack("everything-on", {"source": {"github": None, provider: code, "ecr": ecr}})
        self.jobs, self.sandbox = Jobs(sandbox, self.stack, folder), sandbox

    def run(self, code: Path, commit: str, base: str, *, without: str = "", **settings: str) -> Result:
        """Run the job that builds the image."""
        return self.jobs.run("BuildImage", {"Source": code}, of_commit(commit, base), without=without, **settings)

    def clone(self, shop: Shop, base: str, *, without: str = "", **settings: str) -> Result:
        """The same, with the reference to the published repository."""
        reference = self.sandbox.clone_reference("example/shop", CONNECTION)
        return self.run(reference, shop.commit, base, without=without, **settings)


@pytest.fixture(scope="module")
def base(sandbox: JobSandbox) -> str:
    return prepared_registry(sandbox)


@pytest.fixture
def cloning(sandbox: JobSandbox, tmp_path: Path) -> Built:
    return Built(sandbox, CLONED, tmp_path / "builds")


@pytest.fixture
def archived(sandbox: JobSandbox, tmp_path: Path) -> Built:
    return Built(sandbox, GITHUB, tmp_path / "builds")


# The archive


def test_an_archive_that_lacks_something_is_not_built(archived: Built, base: str, tmp_path: Path) -> None:
    """Until now the image was built green, with empty folders and pointers in it."""
    shop = Shop(archived.sandbox, tmp_path / "code", public=True)
    said = failure(archived.run(shop.folder, shop.commit, base))
    assert said.startswith(
        "submodules are empty: vendor/lib, fonts. Set fullClone: true, in the section source of the stack"
    )

    shop.folder.joinpath(".dockerignore").write_text("vendor\nfonts\n")
    commit = Repository(shop.folder).commit({})
    said = failure(archived.run(shop.folder, commit, base))
    assert said.startswith("Git LFS files are pointers without their content: model.bin. Set fullClone: true, in ")


def test_an_archive_has_text_for_links_and_no_executable(archived: Built, base: str, tmp_path: Path) -> None:
    """The job cannot tell, but says what it may be: aws/aws-cdk#14520."""
    dockerfile = f"{BUILT}RUN test ! -L app.conf && test $(cat app.conf) = config/shared.conf && test ! -x run.sh\n"
    shop = Shop(archived.sandbox, tmp_path / "code", public=True, dockerfile=dockerfile)
    shop.folder.joinpath(".dockerignore").write_text("vendor\nfonts\n*.bin\n")
    commit = Repository(shop.folder).commit({})

    result = archived.run(shop.folder, commit, base)
    assert result.succeeded, result.log
    assert "NOTE: an archive has text for symbolic links; these look like it: app.conf. Set " in result.log


# The clone


def test_a_clone_has_links_modes_history_submodules_and_large_files(
    cloning: Built, base: str, tmp_path: Path, need: Need
) -> None:
    need("git-lfs")
    shop = Shop(cloning.sandbox, tmp_path / "code", public=True)
    result = cloning.clone(shop, base)
    assert result.succeeded, result.log
    registry, digest = cloning.sandbox.registry(region=REGION), image_json(result)["digest"]
    labels = config_of(registry, APP, digest)["config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == shop.commit
    assert image_json(result)["commit"] == shop.commit
    assert "NOTE" not in result.log
    (about,) = [one for one in registry.json(APP, digest)["manifests"] if one["platform"]["os"] == "unknown"]
    attested = [registry.blob(APP, layer["digest"]) for layer in registry.json(APP, about["digest"])["layers"]]
    assert b"slsa.dev/provenance" in b"".join(attested)
    assert CONNECTION[-36:].encode() not in b"".join(attested), "it is nobody's business through what it was cloned"


@pytest.mark.parametrize("permission", ["codeconnections:UseConnection", "codestar-connections:UseConnection"])
def test_a_clone_wants_the_permission_of_the_builds_own_role(
    cloning: Built, base: str, tmp_path: Path, permission: str
) -> None:
    """By the service in the connection's address; the role of a stack names both, since connections have either."""
    arn = CONNECTION.replace("codeconnections", permission.partition(":")[0])
    shop = Shop(cloning.sandbox, tmp_path / "code", public=True)
    reference = cloning.sandbox.clone_reference("example/shop", arn)
    result = cloning.run(reference, shop.commit, base, without=permission)

    (phase,) = result.phases
    assert (phase.name, phase.status) == ("DOWNLOAD_SOURCE", "FAILED")
    assert phase.message.startswith("CLIENT_ERROR: authorization failed for primary source and source version ")
    assert f"is not authorized to perform: {permission} on resource: {arn}" in phase.message


@pytest.mark.parametrize(
    ("repository", "arn"),
    [
        pytest.param("example/other", CONNECTION, id="another repository"),
        pytest.param("example/shop", CONNECTION.replace("8ce5a0c6", "00000000"), id="another connection"),
    ],
)
def test_a_clone_is_of_one_repository_through_one_connection(
    cloning: Built, base: str, tmp_path: Path, repository: str, arn: str
) -> None:
    shop = Shop(cloning.sandbox, tmp_path / "code", public=True)
    cloning.sandbox.publish(shop.folder, "example/other")
    result = cloning.run(cloning.sandbox.clone_reference(repository, arn), shop.commit, base)
    assert [phase.status for phase in result.phases] == ["FAILED"]
    assert "authorization failed" in result.phases[0].message


GITLAB = {
    "repository": "example/shops/shop",
    "connectionArn": CONNECTION,
    "fullClone": True,
    "submodules": ["example/shops/fonts"],
}


@pytest.mark.parametrize(
    ("code", "host"),
    [
        pytest.param(GITLAB, "gitlab.com", id="GitLab.com"),
        pytest.param({**GITLAB, "url": "https://git.example.com"}, "git.example.com", id="a server of one's own"),
    ],
)
def test_a_project_within_groups_of_gitlab_is_built_of_a_clone(
    sandbox: JobSandbox, base: str, tmp_path: Path, code: dict[str, object], host: str
) -> None:
    """The private submodule comes through the connection, by the address that the provider's users write."""
    fonts = Repository(tmp_path / "fonts").commit({"file": "fonts\n"})
    sandbox.publish(tmp_path / "fonts", "example/shops/fonts")
    shop = Repository(tmp_path / "shop")
    shop.commit({"docker/Dockerfile": f"{BUILT}RUN test $(cat fonts/file) = fonts\n", "VERSION": "1.2.3\n"})
    commit = shop.commit({}, {"fonts": (f"git@{host}:example/shops/fonts.git", fonts)})
    sandbox.publish(shop.folder, "example/shops/shop")
    reference = sandbox.clone_reference("example/shops/shop", CONNECTION)
    built = Built(sandbox, code, tmp_path / "builds", provider="gitlab")
    result = built.run(reference, commit, base)

    assert result.succeeded, result.log
    labels = config_of(sandbox.registry(region=REGION), APP, image_json(result)["digest"])["config"]["Labels"]
    assert labels["org.opencontainers.image.source"] == f"https://{host}/example/shops/shop"
    refused = built.run(reference, commit, base, without="codeconnections:UseConnection")
    assert "authorization failed" in refused.phases[0].message


def test_a_private_submodule_is_cloned_only_where_the_stack_file_names_it(
    sandbox: JobSandbox, base: str, tmp_path: Path
) -> None:
    """What is not named is asked of GitHub, as nobody."""
    shop = Shop(sandbox, tmp_path / "code", public=True)
    result = Built(sandbox, {**GITHUB, "fullClone": True}, tmp_path / "builds").clone(shop, base)
    said = failure(result)
    assert "Clone submodules (of private repositories: see submodules, in the section source)" in said
    assert "fonts" in said


def test_large_files_of_a_private_repository_fail_by_name(
    cloning: Built, base: str, tmp_path: Path, need: Need
) -> None:
    """Nothing says that a connection serves Git LFS, so the stand-in does not, and GitHub asks who wants them."""
    need("git-lfs")
    shop = Shop(cloning.sandbox, tmp_path / "code", public=False)
    said = failure(cloning.clone(shop, base))
    assert said.startswith(
        "Git LFS files are pointers without their content: model.bin. Git LFS files can be fetched from public "
    )


def test_an_image_built_of_an_archive_is_built_anew_of_a_clone(
    sandbox: JobSandbox, base: str, tmp_path: Path, need: Need
) -> None:
    """Who finds links lost turns fullClone on and runs the same commit again."""
    need("git-lfs")
    shop = Shop(sandbox, tmp_path / "code", public=True, dockerfile=f"{BUILT}RUN test -f app.conf\n")
    shop.folder.joinpath(".dockerignore").write_text("vendor\nfonts\n*.bin\n.git\n")
    shop.commit = Repository(shop.folder).commit({})
    sandbox.publish(shop.folder, "example/shop", public=True)
    first = Built(sandbox, GITHUB, tmp_path / "first").run(shop.folder, shop.commit, base)
    second = Built(sandbox, CLONED, tmp_path / "second").clone(shop, base)
    assert (first.succeeded, second.succeeded) == (True, True), second.log
    assert image_json(first)["digest"] != image_json(second)["digest"]


def test_git_in_the_build_context_is_the_applications_choice(
    cloning: Built, base: str, tmp_path: Path, need: Need
) -> None:
    """With it, `COPY . .` differs with every commit; .dockerignore leaves it out."""
    need("git-lfs")
    shop = Shop(cloning.sandbox, tmp_path / "code", public=True, dockerfile=f"{BUILT}RUN test ! -e .git\n")
    shop.folder.joinpath(".dockerignore").write_text(".git\n")
    shop.commit = Repository(shop.folder).commit({})
    cloning.sandbox.publish(shop.folder, "example/shop", public=True)
    result = cloning.clone(shop, base)
    assert result.succeeded, result.log


def test_static_files_of_a_clone_are_published_with_their_links_and_submodules(
    sandbox: JobSandbox, tmp_path: Path
) -> None:
    lib = Repository(tmp_path / "lib").commit({"logo.svg": "<svg/>"})
    sandbox.publish(tmp_path / "lib", "example/lib", public=True)
    shop = Repository(tmp_path / "shop")
    shop.commit({"public/index.html": "hello"})
    (shop.folder / "public" / "home.html").symlink_to("index.html")
    shop.commit({}, {"public/lib": ("https://github.com/example/lib", lib)})
    sandbox.publish(shop.folder, "example/shop")
    bucket = f"static-{next(NUMBERS)}-of-a-clone"
    static = {"enabled": True, "bucket": bucket, "prefix": "", "upload": {"from": "source", "path": "public"}}
    stack = DeliveredStack(
        "everything-on", {"source": {"github": CLONED, "ecr": None}, "deploy": {"staticFiles": static}}
    )
    s3 = sandbox.aws.client("s3", region=REGION)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    reference = sandbox.clone_reference("example/shop", CONNECTION)
    result = Jobs(sandbox, stack, tmp_path / "builds").run("PublishStaticFiles", {"Source": reference}, {})

    assert result.succeeded, result.log
    found = {entry["Key"]: entry["Size"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert found["home.html"] == len("hello")
    assert found["lib/logo.svg"] == len("<svg/>")


# The stand-in for GitHub and for a connection


@pytest.fixture
def asking(sandbox: JobSandbox, tmp_path: Path) -> Callable[..., str]:
    """Runs git on the machine as a role that may use the connection for one repository; gives what it says."""
    shop = Repository(tmp_path / "shop")
    shop.commit({"file": "here"})
    sandbox.publish(shop.folder, "example/shop")
    sandbox.publish(shop.folder, "example/other")
    sandbox.publish(shop.folder, "example/open", public=True)
    statement = {
        "Effect": "Allow",
        "Action": ["codeconnections:UseConnection"],
        "Resource": [CONNECTION],
        "Condition": {"StringEquals": {"codeconnections:FullRepositoryId": "example/shop"}},
    }
    role = sandbox.aws.as_role("reader", [{"Version": "2012-10-17", "Statement": [statement]}], region=REGION)

    def ask(*words: str, **environment: str) -> str:
        place = sandbox.place({**role, **environment}, region=REGION)
        helper = ("-c", "credential.helper=!aws codecommit credential-helper $@", "-c", "credential.UseHttpPath=true")
        done = subprocess.run(
            [*place.enter, "git", "-C", str(shop.folder), *helper, *words],
            env={**place.environment, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    return ask


THROUGH = f"https://codeconnections.eu-west-1.amazonaws.com/git-http/123456789012/eu-west-1/{CONNECTION[-36:]}"


def test_a_connection_serves_what_the_role_may_read_and_nothing_else(asking: Callable[..., str]) -> None:
    assert asking("ls-remote", f"{THROUGH}/example/shop.git", "main").endswith("refs/heads/main\n")
    assert "is not authorized to perform" in asking("ls-remote", f"{THROUGH}/example/other.git")
    assert "403" in asking("ls-remote", f"{THROUGH}/example/other.git")


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": "another"}, id="another secret"),
        pytest.param({"AWS_SESSION_TOKEN": "another"}, id="another session"),
        pytest.param({"AWS_ACCESS_KEY_ID": "ASIAANOTHER"}, id="another key"),
        pytest.param({"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}, id="signed for another region"),
    ],
)
def test_credentials_that_are_not_the_roles_are_refused(asking: Callable[..., str], forged: dict[str, str]) -> None:
    assert "403" in asking("ls-remote", f"{THROUGH}/example/shop.git", **forged)


def test_nobody_reads_through_a_connection_without_credentials(asking: Callable[..., str]) -> None:
    said = asking("-c", "credential.helper=", "ls-remote", f"{THROUGH}/example/shop.git")
    assert "could not read Username" in said


def test_nobody_pushes(asking: Callable[..., str]) -> None:
    for address in (f"{THROUGH}/example/shop.git", "https://github.com/example/open.git"):
        assert "403" in asking("push", address, "main:other")


def test_github_shows_everybody_what_is_public(asking: Callable[..., str]) -> None:
    assert asking("ls-remote", "https://github.com/example/open", "main").endswith("refs/heads/main\n")
    for hidden in ("example/shop", "example/nowhere"):
        assert "could not read Username" in asking("ls-remote", f"https://github.com/{hidden}.git")


# What the job takes for the build context


RULES = """\
# comment
docs
!docs/keep.md
**/*.log
!important.log
/root-only
deep/**/x
*.bin
a?c
[xy].txt
  spaced
trailing/
!trailing/back
"""
FILES = """\
docs/page.md docs/keep.md docs/deep/keep.md
a.log deep/a.log important.log deep/important.log
root-only sub/root-only
deep/x deep/1/2/x deep/1/2/y
model.bin assets/model.bin
abc a/c adc/file
x.txt z.txt sub/x.txt
spaced
trailing/gone trailing/back
other/file.txt
"""


def test_dockerignore_is_read_as_buildkit_reads_it(
    sandbox: JobSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job judges what it would not send, so it must agree with who sends it."""
    context, files = tmp_path / "context", FILES.split()
    for name in files:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    (context / ".dockerignore").write_text(RULES)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    sent = set(exported(sandbox, tmp_path, context))

    monkeypatch.syspath_prepend(str(REPOSITORY / "buildspecs"))
    monkeypatch.chdir(tmp_path)
    excluded = importlib.import_module("jobs.dockerignore").excluded("Dockerfile", "context")
    assert sent - {".dockerignore"} == {name for name in files if not excluded(name)}
    assert 5 < len(sent) < len(files)


def exported(sandbox: JobSandbox, folder: Path, context: Path) -> Iterator[str]:
    """The files of the image that BuildKit makes of a context."""
    place = sandbox.place(sandbox.aws.environment(region=REGION))
    hub: dict[str, Any] = sandbox.docker_hub(REGION)
    assert json.dumps(hub)
    target = folder / "image.tar"
    image = f"image={sandbox.registry(region=REGION).host}/docker-hub/{hub['BUILDKIT_IMAGE']}"
    docker = [*sandbox.enter, str(sandbox.folder / "bin" / "docker")]
    config = Path(place.environment["DOCKER_CONFIG"])
    client = sandbox.registry(region=REGION)
    (config / "config.json").write_text(json.dumps({"auths": {client.host: {"auth": client.token}}}))
    environment = dict(place.environment)
    create = ["buildx", "create", "--name", "ignoring", "--driver", "docker-container", "--driver-opt", image]
    build = ["buildx", "build", "--builder", "ignoring", "--file", str(folder / "Dockerfile")]
    for words in (create, [*build, "--output", f"type=tar,dest={target}", str(context)]):
        done = subprocess.run([*docker, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with tarfile.open(target) as opened:
        yield from (entry.name for entry in opened if entry.isfile())

"""An image by its source tree: the digest of a tree, and the build that finds an image of it instead of building."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attested import BUILDER, COMMIT, LABELS, SOURCE, Attested, Json
from fake_tools import NOT_THERE, Machine, module, serving
from oci_registry import MANIFEST, OciRegistry, host, tokens

LATER = "f" * 40


def digest(folder: Path) -> str:
    return str(module("source_tree").digest_of(folder))


def tree(folder: Path) -> Path:
    """A tree with everything that a commit may hold, and names whose order is a trap."""
    for name in ("a/one", "a.b", "a-b", "a0", "deep/er/two", "no ascii é", "run.sh"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}\r\n")
        (folder / name).chmod(0o644)
    for each in (folder, *folder.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("a/one")
    (folder / "linked-folder").symlink_to("deep")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "large").write_bytes(bytes(3 * 1024 * 1024 + 1))
    (folder / "large").chmod(0o644)
    return folder


def git(folder: Path, *words: str) -> str:
    """Git, as nobody has configured it."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_digest_of_a_tree_is_the_one_that_git_gives_it(tmp_path: Path) -> None:
    folder = tree(tmp_path)
    found = digest(folder)
    git(folder, "init", "--object-format=sha256")
    git(folder, "add", "--force", "--all")
    assert git(folder, "write-tree") == found
    assert digest(folder) == found, "the clone's own history does not count"


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "a.b").write_text("other"),
    "line ends": lambda folder: (folder / "a.b").write_text("a.b\n"),
    "name": lambda folder: (folder / "a.b").rename(folder / "a.c"),
    "place": lambda folder: (folder / "a.b").rename(folder / "a/a.b"),
    "executable": lambda folder: (folder / "a.b").chmod(0o755),
    "not executable": lambda folder: (folder / "run.sh").chmod(0o644),
    "unreadable for others": lambda folder: (folder / "a.b").chmod(0o600),
    "folder for nobody else": lambda folder: (folder / "deep").chmod(0o700),
    "empty folder": lambda folder: (folder / "empty").mkdir(),
    "one file more": lambda folder: (folder / "z").touch(),
    "one file less": lambda folder: (folder / "a.b").unlink(),
    "ignored by git": lambda folder: (folder / ".gitignore").write_text("*\n"),
    "history further down": lambda folder: (folder / "deep/.git").write_text("gitdir: elsewhere\n"),
    "link to elsewhere": lambda folder: relinked(folder / "link", "a.b"),
    "text instead of a link": lambda folder: text_instead(folder / "link"),
}


def relinked(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


def text_instead(link: Path) -> None:
    """As an archive of a commit has it."""
    target = link.readlink()
    link.unlink()
    link.write_text(str(target))


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_a_build_sees_changes_the_digest(tmp_path: Path, name: str) -> None:
    before = digest(tree(tmp_path))
    CHANGES[name](tmp_path)
    assert digest(tmp_path) != before


def test_when_and_where_a_tree_was_written_changes_nothing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    os.utime(two / "a.b", (0, 0))
    assert digest(one) == digest(two)


def test_no_link_is_followed_and_nothing_is_opened_that_is_no_file(tmp_path: Path) -> None:
    """A link to a folder above would never end, one out of the source would make the machine part of it."""
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "passwords").symlink_to("/proc/self/environ")
    before = digest(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert digest(tmp_path) != before


def test_folders_in_folders_without_end_end_the_job_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not more than this test may use itself: shutil would not get rid of a thousand."""
    here = tmp_path
    for _ in range(60):
        here /= "d"
        here.mkdir()
    tree_of, depth = module("source_tree").digest_of, len(inspect.stack())
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 50)
    try:
        with pytest.raises(SystemExit) as ended:
            tree_of(tmp_path)
    finally:
        sys.setrecursionlimit(before)
    assert ended.value.code == 1
    assert "FAILED: the source cannot be read as a whole: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("clone", "context", "ignored", "counts"),
    [
        (False, ".", "", False),
        (True, ".", "", True),
        (True, "app", "", False),
        (True, ".", ".git\n", False),
        (True, ".", ".git/*\n", False),
        (True, ".", ".git\n!.git/HEAD\n", True),
        (True, ".", ".git/refs\n", True),
    ],
)
def test_the_commit_counts_where_a_build_sees_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clone: bool, context: str, ignored: str, counts: bool
) -> None:
    """Who copies `.git` into the image has another one with each commit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / ".dockerignore").write_text(ignored)
    if clone:
        for name in (".git/HEAD", ".git/refs/heads/main"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(COMMIT)
    excluded = module("dockerignore").excluded("Dockerfile", context)
    assert module("build_image").history_in(context, excluded, COMMIT) == (COMMIT if counts else "")


def test_a_link_to_the_history_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worktree has a file there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert module("build_image").history_in(".", lambda _: False, COMMIT) == COMMIT


class Building:
    """A machine with a source, and a registry that may hold an image of its tree."""

    def __init__(self, folder: Path, registry: OciRegistry, url: str) -> None:
        self.registry = registry
        (folder / "earlier").mkdir()
        self.machine, earlier = Machine(folder), Machine(folder / "earlier")
        for machine in (earlier, self.machine):
            machine.file("Dockerfile", "FROM scratch\n")
        machine.answer("aws ecr get-authorization-token", tokens(url))
        self.variables = {
            "IMAGE_REPOSITORY_URI": f"{host(url)}/shop",
            "DOCKERFILE": "Dockerfile",
            "BUILD_CONTEXT": ".",
            "PLATFORM": "linux/arm64",
            "COMPRESSION": "gzip",
            "CACHE": "true",
            "VERSION_FROM": "commit",
            "SOURCE_URL": SOURCE,
            "BUILDER_ID": BUILDER,
            "COMMIT_ID": LATER,
            "COMMIT_DATE": "2026-02-01T12:00:00Z",
            "BRANCH": "main",
            "BUILDKIT_IMAGE": "moby/buildkit:v9",
            "SBOM_GENERATOR_IMAGE": "docker/generator:v9",
        }
        # What the tree is called: a run whose commit was built says it.
        earlier.answer("aws ecr describe-images", {"imageDetails": [{"imageDigest": f"sha256:{'0' * 64}"}]})
        assert earlier.run("build_image", **self.variables).returncode == 0
        self.identity = str(earlier.json("image.json")["tree"])

    def holds(self, made: Attested | str) -> str:
        """Put the tag of the tree on an image; its digest."""
        found = made if isinstance(made, str) else made.put(self.registry)
        tag = f"imageTag=tree-{self.identity}"
        self.machine.answer(f"aws ecr describe-images {tag}", {"imageDetails": [{"imageDigest": found}]})
        return found

    def run(self, **more: str) -> subprocess.CompletedProcess[str]:
        """Build."""
        self.machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE)
        return self.machine.run("build_image", **{**self.variables, **more})

    def stored(self) -> dict[str, tuple[bytes, str]]:
        """What the registry has under tags, and its media type."""
        return {name: kept for (_, name), kept in self.registry.manifests.items() if ":" not in name}

    def of_the_tree(self, **changes: str) -> Attested:
        """An image that was built of this tree for COMMIT."""
        return Attested(labels={**LABELS, "ecs-delivery.tree": self.identity, **changes})


@pytest.fixture
def building(tmp_path: Path) -> Iterator[Building]:
    registry = OciRegistry()
    with serving(registry) as url:
        yield Building(tmp_path, registry, url)


def test_a_squash_merge_of_what_was_built_is_not_built_again(building: Building) -> None:
    first = building.holds(building.of_the_tree())

    result = building.run()

    assert result.returncode == 0, result.stderr
    assert building.machine.called("docker") == []
    recorded = building.machine.json("image.json")
    assert (
        f"Nothing is built: {first} was built of {COMMIT} by the same recipe, whose source tree is that of {LATER}, "
        f"and is delivered as {recorded['tag']}." in result.stdout
    )
    assert (recorded["commit"], recorded["version"]) == (LATER, "2026.02.01-fffffff")
    assert recorded["tag"].startswith(f"{LATER}-")
    assert recorded["tree"] == building.identity
    stored, media_type = building.stored()[recorded["tag"]]
    assert media_type == "application/vnd.oci.image.index.v1+json"
    assert recorded["digest"] == f"sha256:{hashlib.sha256(stored).hexdigest()}"
    before, after = json.loads(building.registry.manifests["shop", first][0]), json.loads(stored)
    assert after.pop("annotations") == {
        "org.opencontainers.image.revision": LATER,
        "org.opencontainers.image.version": "2026.02.01-fffffff",
        "org.opencontainers.image.created": "2026-02-01T12:00:00+00:00",
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.ref.name": "main",
        "ecs-delivery.recipe": recorded["tag"][-8:],
        "ecs-delivery.tree": building.identity,
    }
    assert after == before, "the image, its layers and its provenance are the same"


@pytest.mark.parametrize(
    "change",
    [
        {"PLATFORM": "linux/amd64"},
        {"COMPRESSION": "zstd"},
        {"BUILD_TARGET": "final"},
        {"BUILD_ARGS": '{"DEBUG": "1"}'},
        {"BUILDER_ID": f"{BUILDER}-of-another-pipeline"},
        {"SOURCE_URL": "https://github.com/mallory/shop"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_recipe_of_the_same_tree_is_built(building: Building, change: dict[str, str]) -> None:
    """So is what another pipeline builds: a pull request's, were there one, has a builder and tags of its own."""
    building.holds(building.of_the_tree())
    building.machine.answer("docker buildx build", "no builder here\n", code=1)
    building.machine.answer("docker")
    building.machine.answer("aws ecr get-login-password", "pass-word\n")

    result = building.run(**change)

    assert len(building.machine.called("docker buildx build")) == 1, result.stdout + result.stderr
    assert building.stored() == {}


def test_another_tree_is_built(building: Building) -> None:
    building.holds(building.of_the_tree())
    building.machine.file("src/changed", "")
    building.machine.answer("docker buildx build", "no builder here\n", code=1)
    building.machine.answer("docker")
    building.machine.answer("aws ecr get-login-password", "pass-word\n")

    building.run()

    assert len(building.machine.called("docker buildx build")) == 1


OTHER_BUILDER = "arn:aws:codebuild:eu-west-1:123456789012:project/mallory"
UNDER_THE_TAG: dict[str, tuple[Callable[[Building], Attested], str]] = {
    "image of another builder": (
        lambda building: Attested(builder=OTHER_BUILDER, labels=building.of_the_tree().labels),
        f"it was built by {OTHER_BUILDER}; expected is {BUILDER}",
    ),
    "image of another tree": (
        lambda building: building.of_the_tree(**{"ecs-delivery.tree": f"{'6' * 64}-{building.identity[-8:]}"}),
        "expected is ",
    ),
    "image by another recipe": (
        lambda building: building.of_the_tree(**{"ecs-delivery.tree": f"{building.identity[:-8]}00000000"}),
        "it was built of the source tree ",
    ),
    "image of another repository": (
        lambda building: building.of_the_tree(**{"org.opencontainers.image.source": "https://github.com/mallory/shop"}),
        f"it was built of https://github.com/mallory/shop; expected is {SOURCE}",
    ),
    "image with labels of its own": (
        lambda building: Attested(labels=building.of_the_tree().labels, own={**LABELS, "ecs-delivery.tree": "x"}),
        "its label ecs-delivery.tree is x, its provenance says",
    ),
    "image that was taken for another tree before": (
        lambda building: Attested(
            labels={**LABELS, "ecs-delivery.tree": f"{'6' * 64}-{building.identity[-8:]}"},
            forge_index=lambda index: index.update(annotations=annotated(building)),
        ),
        "its index says that it is of the source tree",
    ),
}


def annotated(building: Building) -> Json:
    """What an index says of a commit that its image was not built of."""
    return {
        "org.opencontainers.image.revision": LATER,
        "ecs-delivery.recipe": "00000000",
        "ecs-delivery.tree": building.identity,
    }


@pytest.mark.parametrize("name", UNDER_THE_TAG)
def test_a_tag_of_the_tree_on_something_else_ends_the_build(building: Building, name: str) -> None:
    """Nothing of it is delivered, and nobody overlooks that somebody may push who should not."""
    made, words = UNDER_THE_TAG[name]
    there = building.holds(made(building))

    result = building.run()

    assert result.returncode == 1, result.stdout
    assert f"tree-{building.identity} is {there}, which is not what this project builds of this source" in result.stderr
    assert words in result.stderr
    assert building.machine.called("docker") == []
    assert building.stored() == {}
    assert not (building.machine.folder / "image.json").exists()


def test_a_tag_of_the_tree_on_an_image_without_provenance_ends_the_build(building: Building) -> None:
    config = building.registry.blob("shop", b"{}")
    building.holds(building.registry.manifest("shop", MANIFEST, config=config, layers=[]))

    result = building.run()

    assert result.returncode == 1
    assert "has no provenance: it is no image index" in result.stderr
    assert not (building.machine.folder / "image.json").exists()


def test_an_image_of_the_tree_that_another_run_pushed_meanwhile_is_taken(building: Building) -> None:
    """Its tag is written once: the registry refuses the second, as two runs of PARALLEL mode may find."""
    building.machine.answer("aws ecr describe-images", code=254, errors=NOT_THERE, times=2)
    first = building.holds(building.of_the_tree())
    building.machine.answer("docker buildx build", "ERROR: the tag is immutable\n", code=1)
    building.machine.answer("docker")
    building.machine.answer("aws ecr get-login-password", "pass-word\n")

    result = building.run()

    assert result.returncode == 0, result.stderr
    assert f"Nothing is built: {first} was built of {COMMIT}" in result.stdout
    assert building.machine.json("image.json")["commit"] == LATER

"""Which images a Dockerfile needs, by BuildKit's rules, and what their names mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from dockerfiles import ARGUMENTS, CASES, UNUSED, Case

from local.errors import Refusal
from local.rehearsal.base_images import DockerBuild, ImageName, fetched_images, needed

DIGEST = f"sha256:{'a' * 64}"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def found(text: str, target: str = "", **arguments: str) -> list[str]:
    mentions = fetched_images(text, target=target, arguments=arguments, platform="linux/arm64")
    return [str(mention.name) for mention in mentions]


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.13-slim", "docker.io/library/python:3.13-slim"),
        ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
        ("docker.io/python:3", "docker.io/library/python:3"),
        ("index.docker.io/library/python:3", "docker.io/library/python:3"),
        ("ghcr.io/astral-sh/uv:0.9", "ghcr.io/astral-sh/uv:0.9"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("mcr.microsoft.com/dotnet/sdk:9.0", "mcr.microsoft.com/dotnet/sdk:9.0"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"python:3.13@{DIGEST}", f"docker.io/library/python:3.13@{DIGEST}"),
    ],
)
def test_a_short_name_stands_for_a_full_one(text: str, full: str) -> None:
    name = ImageName.parse(text)
    assert name is not None
    known = f"{name.host}/{name.repository}"
    assert f"{known}{f':{name.tag}' if name.tag else ''}{f'@{name.digest}' if name.digest else ''}" == full
    assert ImageName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["", "Python", "${BASE}", "python:", "a b", "python@sha256:123", "/x", "x/"])
def test_what_is_no_name_of_an_image(text: str) -> None:
    assert ImageName.parse(text) is None


@pytest.mark.parametrize(
    ("text", "official"),
    [
        (f"{ECR}/docker-hub/library/python:3", "python:3"),
        ("public.ecr.aws/docker/library/python:3", "python:3"),
        (f"{ECR}/team/python:3", f"{ECR}/team/python:3"),
        ("quay.io/mirror/library/python:3", "quay.io/mirror/library/python:3"),
    ],
)
def test_a_mirror_has_docker_hubs_own_images(text: str, official: str) -> None:
    name = ImageName.parse(text)
    assert name is not None
    assert str(name.official) == official


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_images_of_a_dockerfile(case: Case) -> None:
    assert found(case.text, case.target) == case.images


def test_a_target_and_arguments_decide() -> None:
    assert found(UNUSED, target="tests") == ["node:22", "python:3"]
    assert found(UNUSED, target="nothing-of-that-name") == ["node:22", "python:3", "alpine:3"]
    given = {"REGISTRY": "registry.example.com", "VERSION": "3.14", "BUILDKIT_SYNTAX": "docker/dockerfile:2"}
    assert found(ARGUMENTS, **given) == ["docker/dockerfile:2", "python:3.14-slim"]
    assert found(ARGUMENTS, target="assets", **given)[1:] == ["registry.example.com/library/node:22"]
    assert found("ARG A=python\nFROM ${A:+$A:3}${B+x}${B-:4}", B="") == []
    assert found("ARG A\nFROM ${A:+$A:3}", A="python") == ["python:3"]


def test_several_builds_name_each_image_once_with_all_places(tmp_path: Path) -> None:
    (tmp_path / "smoke").mkdir()
    (tmp_path / "Dockerfile").write_text("\nFROM python:3\n")
    (tmp_path / "smoke" / "Dockerfile").write_text("FROM python:3\nCOPY --from=busybox / /\n")
    builds = [DockerBuild(dockerfile=name) for name in ("Dockerfile", "smoke/Dockerfile")]
    assert [(str(mention.name), mention.where) for mention in needed(tmp_path, builds)] == [
        ("python:3", "Dockerfile:2, smoke/Dockerfile:1"),
        ("busybox:latest", "smoke/Dockerfile:2"),
    ]


def test_a_dockerfile_that_is_not_there_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3\n")
    builds = [DockerBuild(dockerfile=name) for name in ("Dockerfile", "smoke/Dockerfile", "docker/Dockerfile")]
    with pytest.raises(Refusal, match=r"has no smoke/Dockerfile and no docker/Dockerfile, .* edit build.dockerfile"):
        needed(tmp_path, builds)
    (tmp_path / ".gitmodules").write_text("")
    assert [str(mention.name) for mention in needed(tmp_path, builds)] == ["python:3"], "a submodule may have it"

"""Which images a Dockerfile needs, by BuildKit's rules, and what their names mean."""

from __future__ import annotations

from pathlib import Path

import pytest

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


PLAIN = """
FROM golang:1.23-alpine AS build
COPY . .
RUN go build -o /app .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /app /app
"""
SYNTAX = """# syntax=docker/dockerfile:1.7-labs
# escape=`
# check=skip=JSONArgsRecommended
FROM mcr.microsoft.com/dotnet/sdk:9.0 `
  AS build
"""
ARGUMENTS = """
ARG VERSION=3.13 FLAVOUR="slim"
ARG IMAGE=python:${VERSION}-${FLAVOUR}
ARG REGISTRY
FROM ${REGISTRY:-docker.io}/library/node:22 AS assets
FROM --platform=$BUILDPLATFORM $IMAGE
ARG VERSION=of-a-stage
"""
PLATFORM = 'ARG ARM="arm64"\nFROM base-${TARGETARCH} AS final\nFROM debian AS base-arm64\n'
BY_PLATFORM = """
FROM debian AS base-amd64
FROM alpine AS base-arm64
FROM base-${TARGETARCH}
"""
UNUSED = """
FROM node:22 AS dev
RUN npm ci
FROM python:3 AS tests
COPY --from=dev /x /x
FROM alpine:3 AS final
"""
COPIED = """
FROM scratch
COPY --chmod=755 --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/
copy --from=nginx:1 /etc/nginx \\
  # a comment in between

  /etc/nginx
RUN --mount=type=bind,from=busybox:1,source=/bin,target=/b --mount=type=cache,target=/c /b/true
COPY --from=0 /x /x
"""
NUMBERED = "FROM alpine:3\nFROM scratch\nCOPY --from=0 /x /x\nCOPY --from=scratch /x /x\n"
HEREDOC = """
FROM alpine
RUN <<EOF
FROM nginx
COPY --from=redis / /
EOF
COPY <<-"ONE" <<TWO /files/
FROM nginx
\tONE
FROM redis
TWO
RUN echo $((1<<4)) && cat <<< FROM
COPY --from=busybox / /
"""
CONTINUED = "FROM alpine\nRUN echo a \\\\\nFROM nginx\nRUN echo \\\n FROM \\  \n redis\n"
SAME_NAME = "FROM alpine AS alpine\nFROM alpine AS second\nCOPY --from=ALPINE / /\n"
COMMENTED = "# FROM nginx\n# syntax=docker/dockerfile:1\n\nFROM alpine\n#syntax=docker/dockerfile:1\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(PLAIN, ["golang:1.23-alpine", "gcr.io/distroless/static-debian12:nonroot"], id="stages"),
        pytest.param(SYNTAX, ["docker/dockerfile:1.7-labs", "mcr.microsoft.com/dotnet/sdk:9.0"], id="directives"),
        pytest.param(ARGUMENTS, ["python:3.13-slim"], id="arguments, and a stage that nobody needs"),
        pytest.param(BY_PLATFORM, ["alpine:latest"], id="a stage by the platform"),
        pytest.param(UNUSED, ["alpine:3"], id="only what the last stage needs"),
        pytest.param(COPIED, ["ghcr.io/astral-sh/uv:0.9", "nginx:1", "busybox:1"], id="copied and mounted"),
        pytest.param(NUMBERED, ["alpine:3"], id="by number; scratch is nothing"),
        pytest.param(HEREDOC, ["alpine:latest", "busybox:latest"], id="heredocs"),
        pytest.param(CONTINUED, ["nginx:latest"], id="an escaped escape does not continue"),
        pytest.param(SAME_NAME, ["alpine:latest"], id="a stage that is called like its base"),
        pytest.param(COMMENTED, ["alpine:latest"], id="directives stand at the beginning"),
        pytest.param("// syntax=example/frontend\nFROM alpine", ["example/frontend:latest", "alpine:latest"], id="//"),
        pytest.param("FROM ${UNKNOWN}\nFROM ${BASE:?is wanted}\n", [], id="what only a build knows"),
        pytest.param("FROM alpine AS\nFROM\nRUN x\nNONSENSE\n", [], id="what no builder takes"),
        pytest.param("", [], id="nothing"),
        pytest.param("RUN \\\n", [], id="the end of the file in the middle"),
        pytest.param(PLATFORM, ["base-arm64:latest"], id="a stage that comes later is none"),
    ],
)
def test_the_images_of_a_dockerfile(text: str, expected: list[str]) -> None:
    last = "final" if text == PLATFORM else ""
    assert found(text, last) == expected


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
    builds = [DockerBuild(dockerfile=name) for name in ("Dockerfile", "smoke/Dockerfile", "missing/Dockerfile")]
    assert [(str(mention.name), mention.where) for mention in needed(tmp_path, builds)] == [
        ("python:3", "Dockerfile:2, smoke/Dockerfile:1"),
        ("busybox:latest", "smoke/Dockerfile:2"),
    ]

"""Dockerfiles, and the images that BuildKit fetches for each when it builds for linux/arm64.

`tests/local/test_base_image_names.py` holds the program to them, `tests/rehearsal/test_base_images.py` BuildKit.
"""

from __future__ import annotations

from typing import NamedTuple

_PLAIN = """
FROM golang:1.23-alpine AS build
COPY . .
RUN go build -o /app .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /app /app
"""
_SYNTAX = """# syntax=docker/dockerfile:1.7-labs
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
_PLATFORM = 'ARG ARM="arm64"\nFROM base-${TARGETARCH} AS final\nFROM debian AS base-arm64\n'
_BY_PLATFORM = """
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
_COPIED = """
FROM scratch
COPY --chmod=755 --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/
copy --from=nginx:1 /etc/nginx \\
  # a comment in between

  /etc/nginx
RUN --mount=type=bind,from=busybox:1,source=/bin,target=/b --mount=type=cache,target=/c /b/true
"""
_NUMBERED = "FROM alpine:3\nFROM scratch\nCOPY --from=0 /x /x\nCOPY --from=scratch /x /x\n"
_HEREDOC = """
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
_CONTINUED = "FROM alpine\nRUN echo a \\\\\nFROM nginx\nRUN echo \\\n FROM \\  \n redis\n"
_SAME_NAME = "FROM alpine AS alpine\nFROM busybox AS Tools\nFROM alpine\nCOPY --from=TOOLS / /\n"
_COMMENTED = "# FROM nginx\n# syntax=docker/dockerfile:1\n\nFROM alpine\n#syntax=docker/dockerfile:1\n"


class Case(NamedTuple):
    """A Dockerfile.

    Attributes:
        text: What is in it.
        images: The images of its build.
        target: The stage that is built.
    """

    text: str
    images: list[str]
    target: str = ""


CASES = {
    "stages": Case(_PLAIN, ["golang:1.23-alpine", "gcr.io/distroless/static-debian12:nonroot"]),
    "directives": Case(_SYNTAX, ["docker/dockerfile:1.7-labs", "mcr.microsoft.com/dotnet/sdk:9.0"]),
    "arguments, and a stage that nobody needs": Case(ARGUMENTS, ["python:3.13-slim"]),
    "a stage by the platform": Case(_BY_PLATFORM, ["alpine:latest"]),
    "only what the last stage needs": Case(UNUSED, ["alpine:3"]),
    "copied and mounted": Case(_COPIED, ["ghcr.io/astral-sh/uv:0.9", "nginx:1", "busybox:1"]),
    "by number; scratch is nothing": Case(_NUMBERED, ["alpine:3"]),
    "heredocs": Case(_HEREDOC, ["alpine:latest", "busybox:latest"]),
    "an escaped escape does not continue": Case(_CONTINUED, ["nginx:latest"]),
    "a stage that is called like its base, in any case": Case(_SAME_NAME, ["alpine:latest", "busybox:latest"]),
    "directives stand at the beginning": Case(_COMMENTED, ["alpine:latest"]),
    "//": Case("// syntax=example/frontend\nFROM alpine", ["example/frontend:latest", "alpine:latest"]),
    "what only a build knows": Case("FROM ${UNKNOWN}\nFROM ${BASE:?is wanted}\n", []),
    "what no builder takes": Case("FROM alpine AS\nFROM\nRUN x\nNONSENSE\n", []),
    "nothing": Case("", []),
    "the end of the file in the middle": Case("RUN \\\n", []),
    "a stage that comes later is none": Case(_PLATFORM, ["base-arm64:latest"], "final"),
}

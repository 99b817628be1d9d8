"""The format of buildspecs, as AWS documents it, and the program's buildspecs in it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from components.jobs.buildspec import FOLDER, load_buildspec
from local.rehearsal.codebuild import BuildspecProblem
from local.rehearsal.codebuild.document import SCHEMA, read_document

NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))

EVERYTHING = r"""
version: 0.2
run-as: builder
env:
  shell: bash
  variables: {PORT: "8080"}
  parameter-store: {LOGIN: /shop/login}
  secrets-manager: {TOKEN: "shop/token:key:AWSCURRENT:", WHOLE: shop/token}
  exported-variables: [TAG]
  git-credential-helper: yes
proxy: {upload-artifacts: no, logs: "yes"}
batch:
  fast-fail: false
  build-list: [{identifier: one}]
  build-matrix: {static: {}}
  build-graph: [{identifier: two, depend-on: [one]}]
  build-fanout: {parallelism: 5}
phases:
  install:
    run-as: root
    on-failure: ABORT
    runtime-versions: {nodejs: 22, python: 3.x, ruby: "$RUBY"}
  pre_build: {on-failure: RETRY, commands: [echo]}
  build: {on-failure: RETRY-100, commands: [echo], finally: [echo]}
  post_build: {on-failure: "RETRY-3-.*connection timed out.*", commands: ["echo a: b"]}
reports:
  pages: {files: ["**/*"], file-format: JunitXml, base-directory: out, discard-paths: yes}
  arn:aws:codebuild:eu-west-1:123456789012:report-group/tests: {files: [a.xml]}
artifacts:
  files: ["**/*"]
  name: shop-$(date +%F)
  discard-paths: no
  base-directory: dist*
  exclude-paths: ["**/.*"]
  enable-symlinks: yes
  s3-prefix: builds
  secondary-artifacts: {one: {files: [a], name: a, discard-paths: yes, base-directory: x}}
cache: {key: "npm-$(sum)", fallback-keys: [npm-], action: restore, paths: [/root/.npm/**/*]}
"""

MALFORMED = {
    "no version": ("version", "the file: lacks version"),
    "an unknown version": ("version: 0.3", "version: must be 0.2, got 0.3"),
    "no phases": ("phases", "the file: lacks phases"),
    "empty phases": ("phases: {}", "phases: {} "),
    "an unknown phase": ("phases: {bild: {commands: [a]}}", "phases: 'bild' is not known here; allowed: install,"),
    "an unknown key": ("stages: {}", "the file: 'stages' is not known here; allowed: version, "),
    "an unknown key of env": ("env: {vars: {A: b}}", "env: 'vars' is not known here; allowed: shell, "),
    "another shell": ("env: {shell: zsh}", "env.shell: must be bash or /bin/sh or "),
    "a number for a variable": ("env: {variables: {PORT: 80}}", "env.variables.PORT: must be a text, YAML reads"),
    "a boolean for a variable": ("env: {variables: {SURE: yes}}", "env.variables.SURE: must be a text, YAML reads"),
    "a variable's name that YAML reads as a boolean": (
        "env: {variables: {ON: 'a'}}",
        "env.variables: must be a text, YAML reads it as True; quote it",
    ),
    "a reserved variable": (
        "env: {variables: {CODEBUILD_X: a}}",
        "env.variables: must be a variable's name of letters, digits and _, and not begin with CODEBUILD_",
    ),
    "a variable's name with a dash": ("env: {parameter-store: {A-B: c}}", "env.parameter-store: must be a var"),
    "a secret that is no text": ("env: {secrets-manager: {A: [b]}}", "env.secrets-manager.A: must be a text"),
    "exports that are no list": ("env: {exported-variables: A}", "env.exported-variables: must be a list, got"),
    "a command that YAML reads as a mapping": (
        "phases: {build: {commands: [echo a: b]}}",
        "phases.build.commands.1: must be a text, YAML reads it as {'echo a': 'b'}; quote it, YAML takes a colon",
    ),
    "a command that YAML reads as a boolean": (
        "phases: {build: {commands: [a, true]}}",
        "phases.build.commands.2: must be a text, YAML reads it as True; quote it",
    ),
    "commands that are no list": ("phases: {build: {commands: make}}", "phases.build.commands: must be a list"),
    "a phase without commands": ("phases: {build: {finally: [a]}}", "phases.build: lacks commands"),
    "an unknown key of a phase": (
        "phases: {build: {commands: [a], finaly: [a]}}",
        "phases.build: 'finaly' is not known here",
    ),
    "runtimes outside of install": (
        "phases: {build: {runtime-versions: {nodejs: 22}, commands: [a]}}",
        "phases.build: 'runtime-versions' is not known here",
    ),
    "no runtime": ("phases: {install: {runtime-versions: {}}}", "phases.install.runtime-versions: {} "),
    "another on-failure": (
        "phases: {build: {on-failure: STOP, commands: [a]}}",
        "phases.build.on-failure: must be ABORT, CONTINUE, RETRY, ",
    ),
    "too many retries": (
        "phases: {build: {on-failure: RETRY-101, commands: [a]}}",
        "phases.build.on-failure: must be ABORT",
    ),
    "another file format": (
        "reports: {pages: {files: [a], file-format: JUNIT}}",
        "reports.pages.file-format: must be one of CUCUMBERJSON, JUNITXML, ",
    ),
    "a report without files": ("reports: {pages: {file-format: JUNITXML}}", "reports.pages: lacks files"),
    "six reports": (f"reports: {{{', '.join(f'r{n}: {{files: [a]}}' for n in range(6))}}}", "reports: "),
    "artifacts without files": ("artifacts: {base-directory: out}", "artifacts: lacks files"),
    "artifacts of nothing": ("artifacts: {files: []}", "artifacts.files: [] "),
    "secondary artifacts without files": (
        "artifacts: {files: [a], secondary-artifacts: {One: {name: a}}}",
        "artifacts.secondary-artifacts.One: lacks files",
    ),
    "secondary artifacts at the top": ("secondary-artifacts: {}", "the file: 'secondary-artifacts' is not known"),
    "neither yes nor no": ("artifacts: {files: [a], discard-paths: all}", "artifacts.discard-paths: must be True"),
    "a cache without paths": ("cache: {key: a}", "cache: lacks paths"),
    "another action of a cache": ("cache: {paths: [a], action: keep}", "cache.action: must be restore or save"),
}


def spec(change: str) -> str:
    """A small buildspec with one part set, or taken out when only its name is given."""
    document: dict[str, Any] = {"version": 0.2, "phases": {"build": {"commands": ["echo"]}}}
    if ":" in change:
        document |= yaml.safe_load(change)
    else:
        del document[change]
    return yaml.safe_dump(document)


@pytest.mark.parametrize("name", NAMES)
def test_each_buildspec_of_the_repository_fits_the_format(name: str) -> None:
    document = read_document((FOLDER / f"{name}.yml").read_text(encoding="utf-8"), name)

    assert document["env"]["shell"] == "bash"


@pytest.mark.parametrize("name", NAMES)
def test_each_buildspec_fits_the_format_as_the_program_completes_it(name: str) -> None:
    document = read_document(load_buildspec(name).text, name)

    assert "JOBS_DIR" in document["env"]["variables"]


def test_every_documented_key_is_known() -> None:
    document = read_document(EVERYTHING)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    used = set(re.findall(r"[a-z_][a-z0-9_]*(?:-[a-z0-9]+)*(?=:)", EVERYTHING))

    assert set(document) == set(schema["properties"])
    assert _keys(schema) <= used


def _keys(schema: object) -> set[str]:
    """Every key that the schema names."""
    if isinstance(schema, list):
        return {key for item in schema for key in _keys(item)}
    if not isinstance(schema, dict):
        return set()
    named = set(schema.get("properties", {}))
    return named | {key for item in schema.values() for key in _keys(item)}


@pytest.mark.parametrize(("change", "said"), list(MALFORMED.values()), ids=list(MALFORMED))
def test_a_malformed_buildspec_is_refused_at_the_right_place(change: str, said: str) -> None:
    with pytest.raises(BuildspecProblem) as caught:
        read_document(spec(change), "job")

    problems = str(caught.value).splitlines()
    assert len(problems) == 1
    assert problems[0].startswith(f"job: YAML_FILE_ERROR: {said}")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(BuildspecProblem) as caught:
        read_document("version: 0.1\nphases: {bild: {}, build: {commands: [1]}}", "job")

    assert [line.split(": ")[2] for line in str(caught.value).splitlines()] == [
        "phases",
        "phases.build.commands.1",
        "version",
    ]


@pytest.mark.parametrize("text", ["", "[]", "just text"])
def test_a_text_that_is_no_buildspec_at_all_is_refused(text: str) -> None:
    with pytest.raises(BuildspecProblem, match="the file: must be a mapping"):
        read_document(text)


def test_the_schema_is_a_schema_and_says_where_it_comes_from() -> None:
    schema = json.loads(Path(SCHEMA).read_text(encoding="utf-8"))

    Draft202012Validator.check_schema(schema)
    assert "Build specification reference for CodeBuild" in schema["$comment"]
    assert all(
        "$comment" in part or "$comment" in schema["$defs"].get(part.get("$ref", "").rpartition("/")[2], {})
        for name, part in schema["properties"].items()
        if name != "env"  # each part of it has its own
    )

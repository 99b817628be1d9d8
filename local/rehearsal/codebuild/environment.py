"""The variables a build starts with.

Sources: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html, ``env`` (precedence, literal
values, references to Parameter Store and Secrets Manager, what cannot be exported), and
https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html (what CodeBuild sets itself).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.errors import Refusal
from local.rehearsal.codebuild.model import Build, Place, Secrets, Variable

_KINDS = (("variables", "PLAINTEXT"), ("parameter-store", "PARAMETER_STORE"), ("secrets-manager", "SECRETS_MANAGER"))
_ARN_FIELDS = 7
"""An ARN of Secrets Manager has so many, divided by the colons that divide a reference's parts, too."""


class Unresolved(Exception):  # noqa: N818 - what CodeBuild says, for the phase to fail with
    """A variable's value is not where it is said to be."""


def declared(build: Build, document: Mapping[str, Any]) -> dict[str, Variable]:
    """Each variable by name: what the pipeline's action sets before the project's before the buildspec's."""
    env = document.get("env", {})
    written = [
        Variable(name=name, value=value, type=kind) for key, kind in _KINDS for name, value in env.get(key, {}).items()
    ]
    return {item.name: item for item in (*written, *build.project_variables, *build.overrides)}


def resolved(variables: Mapping[str, Variable], secrets: Secrets | None) -> tuple[dict[str, str], dict[str, str]]:
    """All values, and those of them that must not be shown.

    Raises:
        Unresolved: a parameter, a secret or a key of it cannot be had.
        Refusal: there is nobody to ask.
    """
    plain = {name: item.value for name, item in variables.items() if item.type == "PLAINTEXT"}
    parameters = {name: item.value for name, item in variables.items() if item.type == "PARAMETER_STORE"}
    references = {name: item.value for name, item in variables.items() if item.type == "SECRETS_MANAGER"}
    if not parameters and not references:
        return plain, {}
    if secrets is None:
        kept = ", ".join(sorted((*parameters, *references)))
        raise Refusal(f"the values of {kept} are kept in AWS: give run_build somebody to ask for them (secrets=...)")
    hidden: dict[str, str] = {}
    if parameters:
        values = secrets.parameters(sorted(set(parameters.values())))
        missing = sorted(set(parameters.values()) - set(values))
        if missing:
            raise Unresolved(f"Parameter Store: no parameter {', '.join(missing)}")
        hidden |= {name: values[parameter] for name, parameter in parameters.items()}
    hidden |= {name: _secret(reference, secrets) for name, reference in references.items()}
    return plain | hidden, hidden


def _secret(reference: str, secrets: Secrets) -> str:
    """The value of ``secret-id:json-key:version-stage:version-id``, all but the first optional, the id maybe an ARN."""
    parts = reference.split(":")
    taken = _ARN_FIELDS if parts[0] == "arn" else 1
    identifier = ":".join(parts[:taken])
    key, stage, version, *more = [*parts[taken:], "", "", ""]
    if any(more):
        raise Unresolved(f"Secrets Manager: {reference} has too many parts: <id>:<json-key>:<stage>:<version>")
    if stage and version:
        raise Unresolved(f"Secrets Manager: {reference} names a version's stage and its id; one of them is allowed")
    try:
        text = secrets.secret(identifier, stage, version)
    except LookupError as error:
        raise Unresolved(f"Secrets Manager: {error.args[0] if error.args else identifier}") from None
    if not key:
        return text
    try:
        return str(json.loads(text)[key])
    except (ValueError, KeyError, TypeError):
        raise Unresolved(f"Secrets Manager: the secret {identifier} has no JSON key {key}") from None


def given_by_codebuild(build: Build, place: Place, sources: Mapping[str, Path]) -> dict[str, str]:
    """What CodeBuild itself sets.

    Args:
        build: The build.
        place: Where it runs.
        sources: Input artifact -> folder, the primary source first.
    """
    identifier = str(uuid.uuid4())
    arn = f"arn:aws:codebuild:{place.region}:{place.account}"
    primary, *extra = sources
    return {
        "AWS_DEFAULT_REGION": place.region,
        "AWS_REGION": place.region,
        "CI": "true",
        "CODEBUILD_BUILD_ARN": f"{arn}:build/{build.project}:{identifier}",
        "CODEBUILD_BUILD_ID": f"{build.project}:{identifier}",
        "CODEBUILD_BUILD_IMAGE": build.image,
        "CODEBUILD_BUILD_NUMBER": "1",
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_CI": "true",
        "CODEBUILD_INITIATOR": f"codepipeline/{build.pipeline}" if build.pipeline else "rehearsal",
        "CODEBUILD_LOG_PATH": identifier,
        "CODEBUILD_PROJECT_ARN": f"{arn}:project/{build.project}",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": build.source_version,
        "CODEBUILD_SOURCE_VERSION": f"arn:aws:s3:::{build.pipeline or build.project}/{primary}.zip",
        "CODEBUILD_SRC_DIR": str(sources[primary]),
        **{f"CODEBUILD_SRC_DIR_{name}": str(sources[name]) for name in extra},
        "CODEBUILD_START_TIME": str(int(time.time() * 1000)),
    }


def exported(names: list[str], state: Mapping[str, str], hidden: Mapping[str, str]) -> dict[str, str]:
    """The variables for the pipeline; secrets and the names that begin with AWS_ are never among them."""
    return {name: state[name] for name in names if name in state and name not in hidden and not name.startswith("AWS_")}

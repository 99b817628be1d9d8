"""Secrets of a build: read from Secrets Manager, and kept out of the log whatever prints them.

A secret is given by its name or ARN, with `:<json key>` behind it where it is JSON.
"""

from __future__ import annotations

import json

from jobs import job

SHORTEST_LINE = 6
"""A shorter line of a value of several lines is a word like others, and would make the log unreadable."""
_ARN_PARTS = 7


def value(reference: str) -> str:
    """The secret's value; ends the job when there is none."""
    parts = reference.split(":")
    names = _ARN_PARTS if parts[0] == "arn" else 1
    name, key = ":".join(parts[:names]), ":".join(parts[names:])
    region = ["--region", parts[3]] if names > 1 else []
    text = _text(name, region)
    if not key:
        return text
    found = _json(text, name).get(key)
    if not isinstance(found, str) or not found:
        job.fail(f"the secret {name} has no text under the key {key!r}.")
    return _masked(found)


def sign_in(host: str, reference: str) -> None:
    """Sign in to a registry that is not Amazon ECR's; the password never appears on a command line or in the log."""
    login = _json(value(reference), reference)
    name, password = login.get("username"), login.get("password")
    if not isinstance(name, str) or not isinstance(password, str) or not name or not password:
        job.fail(
            f"the secret {reference} must be JSON with username and password, for {host}: see build.registryLogins."
        )
    _masked(password)
    job.run(f"Sign in to {host}", "docker", "login", "--username", name, "--password-stdin", host, stdin=password)


def _text(name: str, region: list[str]) -> str:
    found = job.aws(f"Read the secret {name}", "secretsmanager", "get-secret-value", "--secret-id", name, *region)
    if not found.get("SecretString"):
        job.fail(f"the secret {name} holds bytes or nothing; a build needs a text.")
    return _masked(str(found["SecretString"]))


def _json(text: str, name: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        job.fail(f"the secret {name} is not a JSON object.")
    return value


def _masked(value: str) -> str:
    """The value, which is printed nowhere from here on; of several lines none is."""
    job.secret(value)
    for line in value.splitlines():
        if len(line.strip()) >= SHORTEST_LINE:
            job.secret(line.strip())
    return value

"""The secrets that jobs read themselves, in the Secrets Manager of a rehearsal."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

from local.rehearsal.account import Account
from local.rehearsal.codebuild import secret_and_key
from local.rehearsal.deployed import Project
from local.rehearsal.hosting.secrets import READ_BY_JOBS, REGISTRY_LOGINS, Secrets

_NOBODY = json.dumps({"username": "nobody", "password": "not-asked-here"})


def keep_build_secrets(projects: Iterable[Project], account: Account, secrets: Secrets) -> None:
    """Keep what jobs read, and logins for the registries that builds sign in to, where nobody is asked here."""
    variables = [(variable.name, variable.value) for project in projects for variable in project.variables]
    for login in (
        login for name, value in variables if name == REGISTRY_LOGINS for login in json.loads(value).values()
    ):
        account.keep_secret(login, _NOBODY)
    keys: dict[str, dict[str, str]] = defaultdict(dict)
    for reference in (each for name, value in variables if name in READ_BY_JOBS for each in json.loads(value).values()):
        secret, key = secret_and_key(reference)
        if key:
            keys[secret][key] = secrets.value(reference)
        else:
            account.keep_secret(secret, secrets.value(reference))
    for secret, values in keys.items():
        account.keep_secret(secret, json.dumps(values))

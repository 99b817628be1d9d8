"""The secrets of builds, in the Secrets Manager of a rehearsal."""

from __future__ import annotations

import json
from collections import defaultdict

from local.rehearsal.account import Account
from local.rehearsal.codebuild import secret_and_key
from local.rehearsal.deployed import Project
from local.rehearsal.hosting.secrets import BUILD_MOUNTS, REGISTRY_LOGINS, Secrets

_NOBODY = json.dumps({"username": "nobody", "password": "not-asked-here"})


def keep_build_secrets(project: Project, account: Account, secrets: Secrets) -> None:
    """Keep what a project's builds mount, and logins for the registries they sign in to, where nobody is asked here."""
    variables = {variable.name: variable.value for variable in project.variables}
    for login in json.loads(variables.get(REGISTRY_LOGINS, "{}")).values():
        account.keep_secret(login, _NOBODY)
    keys: dict[str, dict[str, str]] = defaultdict(dict)
    for reference in json.loads(variables.get(BUILD_MOUNTS, "{}")).values():
        secret, key = secret_and_key(reference)
        if key:
            keys[secret][key] = secrets.value(reference)
        else:
            account.keep_secret(secret, secrets.value(reference))
    for secret, values in keys.items():
        account.keep_secret(secret, json.dumps(values))

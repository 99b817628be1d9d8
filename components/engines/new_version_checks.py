"""What decides whether users get a new version that test traffic reaches: HTTP checks that a job makes."""

from __future__ import annotations

import json

import pulumi

from components.engines.engine import Deployment
from components.foundation.iam import Statement
from components.foundation.secret import SecretReference, read_all


def checks_of(deployment: Deployment) -> tuple[dict[str, pulumi.Input[str]], tuple[Statement, ...]]:
    """What the job is told of the checks, and the permission to read the headers it sends; nothing where nobody checks.

    Raises:
        ValueError: When there are checks, and no address of a test listener.
    """
    target, checked = deployment.target, deployment.rollout.test_traffic
    if checked is None:
        return {}, ()
    if target.test_url is None:
        raise ValueError(f"{deployment.name}: checks of test traffic need the address of the test listener")
    variables: dict[str, pulumi.Input[str]] = {"TEST_URL": target.test_url, "HTTP_CHECKS": checked.checks}
    if not checked.headers:
        return variables, ()
    variables["TEST_HEADERS"] = json.dumps(dict(checked.headers), sort_keys=True)
    secrets = (SecretReference.parsed(secret) for _, secret in checked.headers)
    return variables, (read_all("ReadTestHeaders", secrets, target.account),)

"""The permissions that the AWS CDK gives the roles of the same actions, projects and tasks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from local.npm import npm_packages

_APP = Path(__file__).parent / "cdk" / "roles.js"
_PACKAGES = Path(__file__).parents[2] / "bench" / "cdk"


def synthesized(output: Path) -> dict[str, dict[str, Any]]:
    """Return the resources of the app's template by their logical ids.

    Args:
        output: Where CDK writes; a folder of its own.
    """
    folder = npm_packages("aws-cdk", _PACKAGES, size="about 15 seconds and 250 MB")
    app = shutil.copy(_APP, output)
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(output / "cdk.out"),
        "CDK_VALIDATION": "false",
        "NODE_PATH": str(folder / "node_modules"),
    }
    subprocess.run(["node", app], cwd=output, env=environment, check=True, capture_output=True)
    template = json.loads((output / "cdk.out" / "roles.template.json").read_text(encoding="utf-8"))
    resources: dict[str, dict[str, Any]] = template["Resources"]
    return resources


def granted(resources: dict[str, dict[str, Any]], role: str) -> set[str]:
    """Return the actions, as CDK writes them, of the roles whose logical ids begin with a text."""
    found: set[str] = set()
    for resource in resources.values():
        if resource["Type"] == "AWS::IAM::Policy" and any(
            name["Ref"].startswith(role) for name in resource["Properties"]["Roles"]
        ):
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                found |= {actions} if isinstance(actions, str) else set(actions)
    return found


def managed(resources: dict[str, dict[str, Any]], role: str) -> list[str]:
    """Return the names of the AWS managed policies of the roles whose logical ids begin with a text."""
    properties = (
        resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role" and name.startswith(role)
    )
    arns = (json.dumps(arn) for each in properties for arn in each.get("ManagedPolicyArns", []))
    return [arn.rstrip('"]} ').rpartition("/")[2] for arn in arns]

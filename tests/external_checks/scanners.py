"""Scanners of security that others make, over every graph: what each finds, and which of it has a reason to stay."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from aws_requests import Described
from cloudformation import template
from mocked import Graph
from terraform_plan import plan

from local.npm import npm_packages
from local.python_tool import python_with

_FOLDER = Path(__file__).parent
_CDK = _FOLDER.parents[1] / "bench" / "cdk"


@dataclass(frozen=True, order=True)
class Found:
    """A finding.

    Attributes:
        scanner: Which scanner.
        check: Its name of the rule.
        where: Graph and resource, ``prod:aws_lb.shop``, with what exactly behind a space.
    """

    scanner: str
    check: str
    where: str

    def __str__(self) -> str:
        return f"{self.scanner} {self.check} {self.where}"


@dataclass(frozen=True)
class Reason:
    """Why findings stay: a row of ``scanner_reasons.tsv``."""

    scanner: str
    check: str
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.scanner} {self.check} {self.where}"

    def explains(self, found: Found) -> bool:
        """Whether it is about a finding."""
        same = (self.scanner, self.check) == (found.scanner, found.check)
        return same and fnmatchcase(found.where, self.where)


def reasons() -> list[Reason]:
    """Every row of the file."""
    lines = (_FOLDER / "scanner_reasons.tsv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [Reason(**row) for row in rows]


def checkov(graphs: Mapping[str, Graph], folder: Path) -> list[Found]:
    """What checkov finds in the plans that would make the graphs.

    Args:
        graphs: The graphs by name.
        folder: Where the plans are written; empty.
    """
    for name, graph in graphs.items():
        (folder / f"{name}.json").write_text(json.dumps(plan(graph)), encoding="utf-8")
    options = ["--framework", "terraform_plan", "--skip-download", "--quiet", "--compact", "--output", "json"]
    command = [str(_checkov_python()), "-m", "checkov.main", "--directory", str(folder), *options]
    # It ends with 1 when it finds something.
    done = subprocess.run(command, cwd=folder, env=_quiet(), capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"checkov: {done.stdout[-2000:]}{done.stderr[-2000:]}") from None
    read = report["summary"]["resource_count"] if "results" in report else 0
    assert read, f"checkov has read nothing: {done.stdout[-2000:]}"
    assert report["summary"]["parsing_errors"] == 0, report["results"]["parsing_errors"]
    return sorted(
        Found("checkov", each["check_id"], f"{Path(each['file_path']).stem}:{each['resource']}")
        for each in report["results"]["failed_checks"]
    )


def nag(graphs: Mapping[str, Iterable[Described]], folder: Path) -> list[Found]:
    """What cdk-nag's AwsSolutions finds in the CloudFormation templates that would make the graphs.

    Args:
        graphs: The graphs by name.
        folder: Where the templates are written; empty.
    """
    templates = folder / "templates"
    templates.mkdir()
    for name, graph in graphs.items():
        (templates / f"{name}.json").write_text(json.dumps(template(graph)), encoding="utf-8")
    packages = npm_packages("aws-cdk", _CDK, size="about 15 seconds and 250 MB")
    script = shutil.copy(_FOLDER / "nag" / "nag.js", folder)
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(folder / "cdk.out"),
        "CDK_VALIDATION": "false",
        "NODE_PATH": str(packages / "node_modules"),
    }
    command = ["node", str(script), str(templates)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return sorted(Found("cdk-nag", **json.loads(line)) for line in done.stdout.splitlines())


def cloudsplaining(graphs: Mapping[str, Graph]) -> list[Found]:
    """What cloudsplaining, which comes with checkov, has against the policies of every role of the graphs."""
    policies = {
        f"{name}:{policy.name}": json.loads(policy.inputs["policy"])
        for name, graph in graphs.items()
        for policy in graph.of("aws:iam/rolePolicy:RolePolicy")
    }
    command = [str(_checkov_python()), str(_FOLDER / "checkov" / "judge_policies.py")]
    given = json.dumps(policies)
    done = subprocess.run(command, input=given, env=_quiet(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return sorted(Found("cloudsplaining", check, where) for check, where in json.loads(done.stdout))


def _checkov_python() -> Path:
    return python_with("checkov", _FOLDER / "checkov" / "requirements.txt", wait="about 100 seconds and 300 MB")


def _quiet() -> dict[str, str]:
    """The environment without this project's Python, and without a key for checkov's own service."""
    own = {"PYTHONPATH", "PYTHONHOME", "BC_API_KEY"}
    return {**{key: value for key, value in os.environ.items() if key not in own}, "LOG_LEVEL": "ERROR"}

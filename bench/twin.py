"""The AWS CDK app in `cdk/`: installed once into the user's cache directory, never into the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchError, Command
from local.errors import Refusal
from local.npm import npm_packages

_SOURCE = Path(__file__).parent / "cdk"
_OLDEST_NODE = 20


@dataclass(frozen=True, slots=True)
class Twin:
    """The installed app.

    Attributes:
        folder: Where it is installed.
        output: Where it writes its templates.
        versions: Of Node.js and of the CDK.
    """

    folder: Path
    output: Path
    versions: str

    def synth(self, *, validation: bool) -> Command:
        """The command that writes the templates.

        Args:
            validation: CDK's own check of every template, which is its default and most of its time.
        """
        environment: Mapping[str, str] = {**os.environ, "CDK_OUTDIR": str(self.output)}
        environment = {key: value for key, value in environment.items() if key != "CDK_VALIDATION"}
        return Command(
            words=("node", "app.js"),
            folder=self.folder,
            environment=environment if validation else {**environment, "CDK_VALIDATION": "false"},
            program=("node", "app.js"),
        )

    def types(self) -> list[str]:
        """The type of each resource that the last synth wrote."""
        templates = [json.loads(file.read_text(encoding="utf-8")) for file in self.output.glob("*.template.json")]
        return [resource["Type"] for template in templates for resource in template["Resources"].values()]


def install_twin(output: Path) -> Twin:
    """Install the app, unless it is, and return it.

    Args:
        output: Where it is to write its templates.

    Raises:
        BenchError: Node.js or npm is missing or too old, or npm failed.
    """
    node = _node_version()
    try:
        folder = npm_packages("aws-cdk", _SOURCE, size="about 15 seconds and 250 MB")
    except Refusal as problem:
        raise BenchError(str(problem)) from None
    shutil.copy(_SOURCE / "app.js", folder)
    library = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]["aws-cdk-lib"]
    return Twin(folder=folder, output=output, versions=f"Node.js {node}, aws-cdk-lib {library}")


def _node_version() -> str:
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        raise BenchError(f"{' and '.join(missing)} not found; install Node.js {_OLDEST_NODE} or newer with npm")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip("v\n")
    if int(version.partition(".")[0]) < _OLDEST_NODE:
        raise BenchError(f"Node.js is {version}; the AWS CDK needs {_OLDEST_NODE} or newer")
    return version

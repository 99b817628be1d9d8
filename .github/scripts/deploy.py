"""Deploys a stack as it was planned: `deploy.py plan STACK FOLDER`, and later `deploy.py apply STACK FOLDER`.

Between the two somebody reads the plan. `apply` plans again and refuses, before anything is done, unless that is the
plan that was read: the same resources, operations, old states and new inputs. So neither a change of the state
meanwhile nor what the program looks up changes what was agreed to. Pulumi's own update plans (`--save-plan`, an
experiment) are not used: they stop half-way, where they meet the deviation, and refuse resources among a component's
outputs, as a new network has them: https://www.pulumi.com/docs/iac/concepts/update-plans/,
https://github.com/pulumi/pulumi/issues/16681.

Run by the environment of the program, on the commit that is deployed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

UNCHANGED = {"same", "read", "refresh"}
REPORTED = {0, 3}
"""How the report ends: 3 is a warning, that somebody may do more, or that what holds state goes."""
RANDOM = re.compile(r"(?<=-)[0-9a-f]{7}(?![0-9a-f])")
"""What Pulumi appends to the name of a new resource, at random and anew for each plan.

https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming
"""

Json = dict[str, Any]


def preview(stack: str) -> Json:
    """Return what `pulumi preview` says; ends with its exit code when it fails."""
    command = ["pulumi", "preview", "--stack", stack, "--json", "--show-sames", "--non-interactive"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(done.returncode)
    found: Json = json.loads(done.stdout)
    return found


def planned(found: Json) -> dict[str, str]:
    """Return the plan: what is done to which resource, with a digest of how.

    No value stands in it, because whoever may read the repository may read what a run has left.
    """
    return {
        f"{step['op']} {step['urn']}": hashlib.sha256(_how(step).encode()).hexdigest()
        for step in found["steps"]
        if step["op"] not in UNCHANGED
    }


def _how(step: Json) -> str:
    new = json.dumps((step.get("newState") or {}).get("inputs"), sort_keys=True)
    old = {key: (step.get("oldState") or {}).get(key) for key in ("id", "inputs", "outputs")}
    reasons = [step.get("detailedDiff"), *(sorted(step.get(key) or []) for key in ("diffReasons", "replaceReasons"))]
    return json.dumps([old, RANDOM.sub("#######", new), reasons], sort_keys=True)


def differences(read: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return what is not as it was read, a line each."""
    return [
        *(f"not any more: {step}" for step in sorted(read.keys() - now.keys())),
        *(f"more than before: {step}" for step in sorted(now.keys() - read.keys())),
        *(f"otherwise than before: {step}" for step in sorted(read.keys() & now.keys()) if read[step] != now[step]),
    ]


def plan(stack: str, folder: Path) -> int:
    """Plan, show the report on the run's page, and leave the plan in the folder."""
    folder.mkdir(exist_ok=True)
    found = preview(stack)
    source = Path(f"{stack}-preview.json")
    source.write_text(json.dumps(found), encoding="utf-8")
    steps = planned(found)
    (folder / "plan.json").write_text(json.dumps(steps, indent=2), encoding="utf-8")
    summary = os.environ["GITHUB_STEP_SUMMARY"]
    report = [sys.executable, "-m", "local", "report", f"{stack}={source}", "--markdown", f"{stack}-report.md"]
    code = subprocess.run(report, check=False).returncode
    if code not in REPORTED:
        return code
    with Path(summary).open("a", encoding="utf-8") as page, Path(f"{stack}-report.md").open(encoding="utf-8") as text:
        page.write(f"## Plan of {stack}\n\n{text.read()}\n")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"changes={'true' if steps else 'false'}\n")
    print(f"{len(steps)} steps are planned for {stack}.")
    return 0


def apply(stack: str, folder: Path) -> int:
    """Deploy, if the plan is still the one in the folder."""
    read = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    found = differences(read, planned(preview(stack)))
    if found:
        listed = "\n".join(f"  {line}" for line in found)
        told = f"{stack} has changed since its plan was read, and nothing was deployed"
        print(f"::error::{told}. Run the newest run of this workflow again, from its plan on.\n{listed}")
        return 1
    command = ["pulumi", "up", "--stack", stack, "--yes", "--skip-preview", "--non-interactive"]
    return subprocess.run(command, check=False).returncode


def main(arguments: list[str]) -> int:
    """Run what the arguments say; returns the exit code."""
    action, stack, folder = arguments
    return {"plan": plan, "apply": apply}[action](stack, Path(folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

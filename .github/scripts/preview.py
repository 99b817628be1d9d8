"""Previews a stack: `preview.py local|aws STACK FOLDER` leaves preview.json there, or what went wrong.

`local` compares the program with the one that it is to be merged into, by the local provider, and needs no account.
`aws` compares it with the state of the stack. Both run the branch's own code, in the environment of the program. What
the preview means says the report that `comment.py` makes of the file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

BASE = Path(".local/base")
"""Where the program is that the branch is to be merged into: the first parent of the merge that GitHub checks out.

https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request
"""
FILE = "preview.json"


def run(*command: str, cwd: Path | None = None) -> int:
    """Run a command, saying so, and return its exit code."""
    print(f"$ {' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=cwd, check=False).returncode


def deploy_what_is_there(stack: str) -> None:
    """Deploy the stack on this machine as it is without the branch."""
    shutil.rmtree(BASE, ignore_errors=True)
    run("git", "worktree", "prune")
    code = run("git", "worktree", "add", "--detach", str(BASE), "HEAD^1")
    code = code or run(sys.executable, "-m", "local", "up", "--stack", stack, cwd=BASE)
    state = Path(".local/engine") / stack
    shutil.rmtree(state, ignore_errors=True)
    if code:
        print(f"{stack} could not be deployed as it is without the branch: the report is that of a new stack.")
        return
    state.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(BASE / state, state)


def main(arguments: list[str]) -> int:
    """Preview; returns the exit code of the preview."""
    where, stack, folder = arguments
    file = Path(folder, FILE)
    file.parent.mkdir(exist_ok=True)
    command = ["pulumi", "preview", "--stack", stack, "--json", "--show-sames", "--non-interactive"]
    if where == "local":
        deploy_what_is_there(stack)
        command = [sys.executable, "-m", "local", "preview", "--stack", stack, "--json", "--states"]
    print(f"$ {' '.join(command)}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    print(done.stderr, file=sys.stderr)
    # Where the program was refused there is no JSON: then its last words are what the comment says.
    file.write_text(done.stdout or done.stderr, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

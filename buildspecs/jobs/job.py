"""What every delivery job shares: its variables, the commands it runs, and a clear end when something is wrong.

Runs in CodeBuild's images: Python 3.9 or later, standard library only.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from jobs.oncall import EITHER, JOBS, SENTENCES, Entry, Stands

FAILED = 1
MISUSED = 2
TAIL = 20
T = TypeVar("T")
U = TypeVar("U")
AWS_CLI = "2.31.24"
"""The oldest AWS CLI that knows all that the jobs ask for: the canary and linear deployments of ECS.

https://github.com/aws/aws-cli/blob/v2/CHANGELOG.rst
"""
# What the AWS CLI says of an operation, a parameter and an option that it does not know.
_UNKNOWN = re.compile(r"invalid choice|unknown parameter in|unknown options:", re.IGNORECASE)
MOST_BYTES = 1024 * 1024
"""The largest file of an artifact that is read into memory; ECS takes a task definition of 64 KiB.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
"""
MOST_CHARACTERS = 1000
"""The longest text that goes from an artifact to a log, a variable or a release."""
last_lines: deque[str] = deque(maxlen=TAIL)
"""What the last command of `stream` printed at its end."""
_secrets: list[str] = []
_stands: list[Stands] = []
"""How things stand since the job has said so; before that, its row of :data:`jobs.oncall.JOBS` does."""


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    output: str
    errors: str


def start(description: str | None, *tools: str) -> None:
    """Answer `--help`, refuse any other argument, and print the versions of Python and these tools.

    A job's inputs are environment variables. A tool is named by the command that prints its version.
    """
    _stands.clear()
    form = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=description, formatter_class=form).parse_args()
    say(", ".join([f"Python {sys.version.split()[0]}", *map(version, tools)]))


def version(command: str) -> str:
    """Return the tool's name and version."""
    *tool, _ = words = command.split()
    # Starting the AWS CLI takes a second; AWS installs it under its version: /usr/local/aws-cli/v2/2.31.0/dist/aws.
    path = os.path.realpath(shutil.which("aws") or "") if tool == ["aws"] else ""
    found = re.search(r"/v2/(\d[\d.]+)/", path)
    found = found or re.search(r"(\d[\w.+-]+)", run(f"Read the version of {tool[-1]}", *words, again=True).output)
    return " ".join([*tool, found[1] if found else "of an unknown version"])


def masked(text: str) -> str:
    """The text with every known secret replaced."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return text


def secret(value: str) -> str:
    """Keep this value out of everything that is printed from here on; returns it."""
    if value:
        _secrets.append(value)
    return value


def is_plain(character: str) -> bool:
    """Whether a character is shown as itself: no control character, none that turns the order of a line or is unseen.

    https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing, categories Cc, Cf, Cs, Zl and Zp.
    """
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def cleaned(text: str, but: str = "") -> str:
    """The text with each character that is not plain written as its escape, except those in `but`."""
    return "".join(
        each if is_plain(each) or each in but else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def one_line(text: str) -> str:
    """The text as it may go to a variable, a label or a release: cleaned, and cut where it is too long."""
    line = cleaned(text)
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 3]}..."


def say(text: str) -> None:
    """Print a line of the job's log."""
    line = cleaned(masked(text), but="\n\t")
    print(f"{line}\n", end="", flush=True)  # in one piece, whatever is said beside it


def stands(entry: Entry, users: str) -> None:
    """Say how things stand from here on, for a failure that comes later."""
    _stands[:] = [_row()._replace(entry=entry, users=users, variable="")]


def _row() -> Stands:
    """How things stand with this job."""
    name = Path(sys.argv[0]).stem.replace("_", "-")
    return JOBS.get(name, Stands(Entry.RUNS_NOW, EITHER, "those of its section"))


def fail(message: str, code: int = FAILED, entry: Entry | None = None) -> NoReturn:
    """End the job with this message, what users have now, and the entry of docs/oncall.md that says what to do."""
    text = "\n".join([message, *_what_to_do(message, entry)])
    print(cleaned(masked(f"\nFAILED: {text}"), but="\n\t"), file=sys.stderr, flush=True)
    raise SystemExit(code)


def _what_to_do(message: str, entry: Entry | None) -> list[str]:
    """What users have now, unless the message says so itself, the entry's address, and what can be changed."""
    known = _stands[0] if _stands else _row()
    users = known.sentence(optional(known.variable)) if known.variable else known.sentence("")
    told = [] if any(each in message for each in SENTENCES) else [users]
    return [*told, f"What to do: {(entry or known.entry).address}; its settings: {known.settings}"]


def optional(name: str) -> str:
    """The variable's value, or an empty string when it is not set."""
    return os.environ.get(name, "").strip()


def require(name: str) -> str:
    """The variable's value; ends the job when it is empty."""
    value = optional(name)
    if not value:
        fail(f"the environment variable {name} is not set; --help says what this job needs.", MISUSED)
    return value


def run(
    why: str,
    *command: str,
    stdin: str | None = None,
    check: bool = True,
    env: dict[str, str] | None = None,
    again: bool = False,
) -> Result:
    """Run a command, saying why; a failing one ends the job with its last lines unless `check` is off.

    The command is a list of arguments, never a line for a shell; what it prints is returned and not shown. `env` adds
    to the environment. `again` is for asking the same question again and again: only the first time is worth a line.
    """
    if not again:
        say(f"==> {why}\n    $ {shlex.join(command)}")
    surroundings = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=surroundings)
    except FileNotFoundError:
        missing(command[0])
    if check and done.returncode:
        ended(why, command, done.returncode, done.stderr or done.stdout)
    return Result(done.returncode, done.stdout, done.stderr)


def stream(why: str, *command: str, check: bool = True, env: dict[str, str] | None = None) -> int:
    """As `run`, but what the command prints goes to the log as it comes; returns the exit code."""
    say(f"==> {why}\n    $ {shlex.join(command)}")
    last_lines.clear()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError:
        missing(command[0])
    with process:
        for line in process.stdout or ():
            last_lines.append(line)
            print(masked(line.rstrip("\n")), flush=True)  # as the tool writes it
        code = process.wait()
    if check and code:
        ended(why, command, code, "".join(last_lines))
    return code


def missing(tool: str) -> NoReturn:
    """End the job for want of a command."""
    fail(f"`{tool}` is not installed here, or not on PATH.")


def ended(why: str, command: tuple[str, ...], code: int, printed: str) -> NoReturn:
    """End the job because a command failed."""
    lines = [line for line in printed.splitlines() if line.strip()][-TAIL:]
    last = "\n".join(f"  | {line}" for line in lines) or "  | (it printed nothing)"
    old = _too_old(printed) if command[0] == "aws" and _UNKNOWN.search(printed) else ""
    fail(f"{why}: `{shlex.join(command[:3])}` ended with code {code}.\nIts last lines:\n{last}{old}")


def _too_old(printed: str) -> str:
    """Say which AWS CLI it is that does not know what it is asked for, and what helps."""
    doubt = ", or the parameter is misspelt" if "unknown parameter" in printed.lower() else ""
    return (
        f"\nThis AWS CLI, {version('aws --version')}, does not know what it is asked for: it is too old{doubt}. The "
        f"jobs need {AWS_CLI} or later, and what AWS has added since needs a newer one. It comes with CodeBuild's "
        "image: retry when AWS has renewed that, or name a newer one in components/jobs/build_project.py."
    )


def aws(why: str, *arguments: str, absent: str = "", env: dict[str, str] | None = None, again: bool = False) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Call the AWS CLI and return its JSON; None when it answers with the error code named by `absent`."""
    command = ("aws", *arguments, "--output", "json")
    result = run(why, *command, check=False, env=env, again=again)
    if result.code:
        if absent and f"({absent})" in result.errors:
            return None
        ended(why, command, result.code, result.errors)
    return json.loads(result.output) if result.output.strip() else {}


def at_once(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """What both give, at once: to start the AWS CLI takes as long as its answer. If both fail, the first counts."""
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        beside = other.submit(second)
        return first(), beside.result()


def content(path: str, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file of the input artifact; ends the job when it is none, leads out of it, or is too large.

    A link may lead to another file of the artifact, as in a clone, and nowhere else: what /proc says of this machine
    has the job's credentials in it.
    """
    root = Path.cwd().resolve()
    try:
        file = Path(path).resolve()
    except (OSError, RuntimeError):  # links that lead to each other
        fail(f"{path} of the input artifact is a link that leads nowhere.")
    if root not in file.parents:
        fail(f"{path} leads out of the input artifact, to {file}: it is not read.")
    if not file.is_file():
        fail(f"{path} is no file." if file.exists() else f"{path} is not in the input artifact (looked in {root}).")
    with file.open("rb") as opened:
        found = opened.read(most + 1)
    if len(found) > most:
        fail(f"{path} has more than {most:,} bytes, which is the most that is read of it.")
    return found


def text(path: str, most: int = MOST_BYTES) -> str:
    """The text of a file as `content`, which must be UTF-8."""
    try:
        return content(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(f"{path} is not UTF-8: {error.reason} at byte {error.start}.")


def parsed(path: str) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """The value of a file of JSON as `content`."""
    try:
        return json.loads(text(path))
    except (ValueError, RecursionError) as error:
        fail(f"{path} is not JSON: {error}")


def read_json(path: str, *keys: str) -> dict[str, Any]:
    """An artifact's JSON object, which must hold these keys."""
    value = parsed(path)
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing or not isinstance(value, dict):
        fail(f"{path} lacks {', '.join(missing) or 'a JSON object'}.")
    return value


def write_json(path: str, value: object) -> None:
    """Write an artifact, readable by people too; in the place of a file of the input artifact that has its name."""
    file = Path(path)
    if file.is_dir() and not file.is_symlink():
        fail(f"{path} is a folder of the input artifact, and a file that this job writes: rename the folder.")
    file.unlink(missing_ok=True)  # a link would lead to what it names
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    say(f"wrote {path}")


def export(**values: str) -> None:
    """Hand variables to the pipeline: the buildspec's next command reads them from `exports.env`."""
    lines = [f"export {name}={shlex.quote(one_line(value))}" for name, value in values.items()]
    say("\n".join(lines))
    folder = optional("JOBS_DIR")
    if folder:
        Path(folder, "exports.env").write_text("\n".join(lines) + "\n", encoding="utf-8")

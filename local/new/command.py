"""`python -m local new`: asks, checks every answer, writes the stack files."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from components.settings import Settings, SettingsError, load_settings, load_stack_file
from components.settings.names import REGION
from components.settings.reader.shapes import Shape
from local.errors import Refusal
from local.new import dockerfile
from local.new.arguments import QUESTIONS
from local.new.stack_files import Answers, files, gaps

ROOT = Path(__file__).parents[2]
EXAMPLE = ("name: shop\n", "example/shop")
"""What stands in the stack files that a clone comes with: they may be overwritten."""
_KEYS = {
    "repository": "source.github.repository",
    "branch": "source.github.branch",
    "port": "application.port",
    "health_path": "application.healthCheckPath",
    "certificate": "hosting.loadBalancer.certificateArn",
    "name": "application.name",
}
"""The key of the stack file that an answer becomes."""
_NAME = 24


def run(options: argparse.Namespace, *, folder: Path = ROOT, ask: Callable[[str], str] | None = None) -> int:
    """Write the stack files.

    Args:
        options: The command line.
        folder: Where they are written.
        ask: Asks a question in a terminal; ``None`` where nobody can answer.

    Returns:
        0.

    Raises:
        Refusal: An answer is missing or wrong, or a stack file is there.
    """
    found = _found(options.app)
    answers = _answers(options, found, ask)
    written = files(answers)
    _spare(folder, written, force=options.force)
    _check(written, answers)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    _tell(answers, written)
    return 0


def asker() -> Callable[[str], str] | None:
    """Return how a person is asked, where there is one."""
    return input if sys.stdin.isatty() and sys.stderr.isatty() else None


def _found(app: Path | None) -> dict[str, str]:
    """Return the answers that a checkout of the application gives."""
    if app is None:
        return {}
    if not app.is_dir():
        raise Refusal(f"--app: must be a folder with a checkout of the application, got {app} - name one that is there")
    found = {
        "branch": _git(app, "symbolic-ref", "--short", "HEAD"),
        "repository": _git(app, "remote", "get-url", "origin"),
    }
    file = app / "Dockerfile"
    if file.is_file():
        said = dockerfile.read(file.read_text(encoding="utf-8", errors="replace"))
        # Of several ports nobody can tell which one users are sent to.
        found["port"] = str(said.ports[0]) if len(said.ports) == 1 else ""
        found["health_path"] = said.health_path
    return {name: value for name, value in found.items() if value and not _problem(name, value)}


def _git(app: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(app), *arguments], check=False, capture_output=True, text=True)
    return done.stdout.strip()


def _answers(options: argparse.Namespace, found: dict[str, str], ask: Callable[[str], str] | None) -> Answers:
    """Take flags, then what was found, then ask.

    Raises:
        Refusal: With everything that is missing or wrong.
    """
    given = {name: getattr(options, name) for name in QUESTIONS}
    if ask is not None:
        for name, question in QUESTIONS.items():
            given[name] = given[name] if given[name] is not None else _asked(ask, name, question, found.get(name, ""))
    given = {name: value if value is not None else found.get(name) for name, value in given.items()}
    problems = [
        f"{_flag(name)}: is missing. {QUESTIONS[name]} - add {_flag(name)} VALUE"
        for name, value in given.items()
        if value is None
    ]
    problems += filter(None, (_problem(name, value) for name, value in given.items() if value is not None))
    repository = _repository(given["repository"] or "")
    name = options.name or _name(repository)
    environments = tuple(options.environments.split(","))
    region = options.region or _region_of(given["certificate"] or "") or "eu-west-1"
    if given["repository"] and not _problem("repository", given["repository"]):
        problems += filter(None, [_problem("name", name)])
    if not re.fullmatch(REGION, region):
        problems.append(f"--region: must be an AWS region such as eu-west-1, got {json.dumps(region)} - correct it")
    elif _region_of(given["certificate"] or "") not in {"", region}:
        problems.append(f"--region: must be the certificate's region, got {region} - leave it out")
    if len(set(environments)) < len(environments) or not all(
        re.fullmatch(r"[a-z0-9]{1,12}", each) for each in environments
    ):
        problems.append(
            "--environments: must be different names of 1 to 12 lower-case letters and digits, with commas between "
            f"them, got {json.dumps(options.environments)} - write it like dev,staging,prod"
        )
    if problems:
        raise Refusal("\n".join(problems))
    certificate = given["certificate"]
    return Answers(
        name=name,
        repository=repository,
        branch=str(given["branch"]),
        port=int(str(given["port"])),
        health_path=str(given["health_path"]),
        certificate=None if certificate == "none" else certificate,
        region=region,
        environments=environments,
        several=options.several,
    )


def _asked(ask: Callable[[str], str], name: str, question: str, found: str) -> str:
    """Ask until the answer is right."""
    default = found or {"branch": "main", "health_path": "/", "certificate": "none"}.get(name, "")
    while True:
        answer = ask(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
        problem = _problem(name, answer)
        if not problem:
            return answer
        print(problem, file=sys.stderr)


def _problem(name: str, answer: str) -> str:
    """Say what is wrong with an answer; nothing where it is right."""
    shape = _shape(_KEYS[name])
    value = _repository(answer) if name == "repository" else answer
    if name == "certificate" and answer == "none":
        return ""
    if shape.kind == "number":
        lowest, highest = map(int, re.findall(r"\d+", shape.words))
        right = value.isdecimal() and lowest <= int(value) <= highest
    else:
        right = shape.allows(value)
    or_none = ", or none for plain HTTP" if name == "certificate" else ""
    return "" if right else f"{_flag(name)}: must be {shape.words}{or_none}, got {json.dumps(answer)} - correct it"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shape(key: str) -> Shape:
    """Return what a key of the stack file may hold."""
    shape: Shape | None = Shape(kind="section", words="", section=Settings)
    for part in key.split("."):
        shape = shape.below(part) if shape else None
    assert shape is not None, key  # noqa: S101 - a key of this program's own
    return shape


def _repository(given: str) -> str:
    """Return ``owner/name`` of what may be an address on GitHub."""
    return (
        re.sub(r"^(https?://github\.com/|(ssh://)?git@github\.com[:/])", "", given.strip())
        .removesuffix("/")
        .removesuffix(".git")
    )


def _name(repository: str) -> str:
    """Return a name for everything out of the repository's, of whole words where it is too long."""
    words = re.findall(r"[a-z0-9]+", repository.rpartition("/")[2].lower())
    while len("-".join(words)) > _NAME and len(words) > 1:
        words.pop()
    return "-".join(words)[:_NAME]


def _region_of(certificate: str) -> str:
    parts = certificate.split(":")
    return parts[3] if len(parts) > 3 else ""


def _spare(folder: Path, written: dict[str, str], *, force: bool) -> None:
    """Refuse to overwrite what a person has written."""
    there = [name for name in written if (folder / name).is_file() and not _is_example(folder / name)]
    if there and not force:
        raise Refusal(
            f"{', '.join(there)}: is there already, and nothing was written - add --force to overwrite it, or "
            "--several to name the stacks of a second application after it"
        )


def _is_example(file: Path) -> bool:
    text = file.read_text(encoding="utf-8", errors="replace")
    return all(words in text for words in EXAMPLE)


def _check(written: dict[str, str], answers: Answers) -> None:
    """Have the program and the stack files themselves judge what is to be written.

    Raises:
        Refusal: They do not accept it.
    """
    problems: list[str] = []
    stacks: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in written.items():
            file, stack = Path(folder) / name, name.split(".")[1]
            file.write_text(text, encoding="utf-8")
            try:
                stacks[stack] = load_stack_file(file)
                load_settings(stacks[stack], stack=stack, file=file, has_commands=False)
            except SettingsError as error:
                problems += error.lines
    problems += gaps(stacks)
    if problems:
        raise Refusal(
            "\n".join(["These answers make no stack file:", *problems, f"Nothing of {answers.name} was written."])
        )


def _tell(answers: Answers, written: dict[str, str]) -> None:
    print("\n".join(_lines(answers, written)))


def _lines(answers: Answers, written: dict[str, str]) -> Iterator[str]:
    about = f"{answers.repository}, branch {answers.branch}, port {answers.port}, health check {answers.health_path}"
    yield f"Wrote {' and '.join(written)} for {answers.name} ({about})."
    yield "Off until you want them, a line each in the files: Lighthouse, smoke test, release."
    if answers.certificate is None:
        yield "Users would be answered over plain HTTP: write certificateArn and domainName before they come."
    yield f"Next: make preview STACK={answers.stack(answers.environments[0])}"
    order = " && ".join(f"pulumi up --stack {answers.stack(each)}" for each in reversed(answers.environments))
    yield f"In your account, the last environment first, because it makes the repository that is promoted into: {order}"

"""The buildspecs, checked and made self-contained.

A file in `buildspecs/` names inputs and commands; the work is in `buildspecs/scripts/`, which a command runs as
`python3 "$SCRIPTS_DIR/<file>"` (or `bash`). With a CodePipeline source a build sees the application's repository, not
this one, so the loader writes the scripts into the buildspec itself: a commit to the application cannot change what a
privileged build does. Docstrings, lines of comment and most of the indentation stay behind: they are a third of the
scripts, CodeBuild prints them into every log, and its limit counts them.

Inputs are environment variables, all declared. Plain ones stand under `env.variables` with their default. A secret is
under `env.secrets-manager` with an *empty* reference, because the reference differs by stack: the loader lists its name
in `Buildspec.secrets` and leaves it out of the text (an empty reference would fail the build), and the program sets on
the CodeBuild project an environment variable of that name, of type SECRETS_MANAGER and with the value
`<secret name or ARN>[:<json key>]`. CodeBuild reads it by the project's role and masks it in the log.

Source of the rules: AWS CodeBuild user guide, "Build specification reference".
"""

import ast
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "buildspecs"
SCRIPTS_DIR = "/tmp/ecs-delivery"  # noqa: S108 - a build's machine is its own, and Lambda compute can write nowhere else
LIMIT = 25_600
"""Longest inline buildspec in characters. AWS does not document it; CodeBuild answers "Max buildspec length is 25600"
(aws/aws-cdk issue 30326, PR 14974)."""

PHASES = ("install", "pre_build", "build", "post_build")
_TOP = ("version", "env", "phases", "reports", "artifacts")
_ENV = ("shell", "variables", "secrets-manager", "exported-variables")
_PHASE = ("runtime-versions", "commands", "finally")
_REPORT = ("files", "file-format", "base-directory")
_ARTIFACTS = ("files", "base-directory")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_USED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_SCRIPT = re.compile(r'(?:python3|bash) "\$SCRIPTS_DIR/([^"]+)"')
# CodeBuild sets the variables with these beginnings, the shell the named ones.
_GIVEN = re.compile(r"(CODEBUILD|AWS)_[A-Z0-9_]+|HOME|PATH|PWD|SCRIPTS_DIR")
# The functions in scripts/ whose first argument is the name of a variable.
_READERS = ("require", "optional", "prefixed")
_END = "END_OF_SCRIPT"
_SHORTER = re.compile(r"^((?: {4})+)|  # noqa: .*")
"""What of a line of Python may be shorter: its indentation, and a word to the linter."""
_NESTED = re.compile(r"^ {2,6}", re.MULTILINE)
"""The indentation of the YAML itself, which is at most three levels deep; a script's own comes behind it."""


class BuildspecError(Exception):
    """A buildspec is not what CodeBuild or this program accepts; says file, place and what is allowed."""


@dataclass(frozen=True, slots=True)
class Buildspec:
    """A checked buildspec.

    Attributes:
        name: The file's name without `.yml`.
        text: The self-contained YAML for the CodeBuild project.
        variables: The declared inputs and their defaults; what a project or an action sets must be among them.
        secrets: The inputs that the project must set with type SECRETS_MANAGER.
        exported: The variables that later actions may read as `#{Namespace.NAME}`.
        artifact_files: The file patterns of the output artifact, relative to its base directory.
        reports: The report groups; CodeBuild names each `<project>-<report>`.
    """

    name: str
    text: str
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    exported: tuple[str, ...]
    artifact_files: tuple[str, ...]
    reports: tuple[str, ...]


@lru_cache
def load_buildspec(name: str) -> Buildspec:
    """The buildspec of this name (the file's name without `.yml`).

    Raises:
        BuildspecError: It does not exist, breaks a rule, or is too long for an inline buildspec.
    """
    return read_buildspec(FOLDER / f"{name}.yml")


def read_buildspec(path: Path) -> Buildspec:
    """Read, check and complete one file; the scripts are in the folder `scripts` beside it.

    Raises:
        BuildspecError: It does not exist, breaks a rule, or is too long for an inline buildspec.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BuildspecError(_missing(path)) from None
    try:
        document = yaml.load(source, Loader=yaml.CSafeLoader)  # the same as safe_load, ten times as fast
    except yaml.YAMLError as error:
        raise BuildspecError(f"{path.name}: not YAML: {error}") from None
    return _Reader(path).buildspec(source, document)


def _missing(path: Path) -> str:
    known = sorted(other.stem for other in path.parent.glob("*.yml"))
    near = difflib.get_close_matches(path.stem, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{path.name}: there is no such buildspec.{hint} There are: {', '.join(known) or 'none'}."


class _Reader:
    """Reads one file, whose name starts every message."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._scripts = path.parent / "scripts"

    def buildspec(self, source: str, document: object) -> Buildspec:
        top = self._mapping(document, "the file", _TOP)
        if top.get("version") != 0.2:
            raise self._error("version", f"must be 0.2, got {top.get('version')!r}")
        env = self._mapping(top.get("env"), "env", _ENV)
        if env.get("shell") != "bash":
            raise self._error("env.shell", f"must be bash (CodeBuild's default is sh), got {env.get('shell')!r}")
        variables = self._variables(env)
        secrets = self._secrets(env)
        exported = tuple(self._strings(env.get("exported-variables", []), "env.exported-variables"))
        phases = self._phases(top.get("phases"))
        scripts = self._needed_scripts(phases)
        self._check_use({*variables, *secrets}, phases, scripts)
        self._check_exports(exported, phases, scripts)
        text = self._text(source, top, phases, scripts)
        if len(text) > LIMIT:
            message = f"{len(text)} characters with its scripts, CodeBuild takes {LIMIT}: shorten them or split the job"
            raise self._error("the file", message)
        return Buildspec(
            name=self._path.stem,
            text=text,
            variables=MappingProxyType(variables),
            secrets=secrets,
            exported=exported,
            artifact_files=self._artifact_files(top),
            reports=self._reports(top),
        )

    def _error(self, place: str, problem: str) -> BuildspecError:
        return BuildspecError(f"{self._path.name}: {place}: {problem}")

    def _mapping(self, value: object, place: str, allowed: tuple[str, ...] = ()) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._error(place, f"must be a mapping, got {value!r}")
        for key in value:
            if allowed and key not in allowed:
                raise self._error(place, f"{key!r} is not known here; allowed: {', '.join(allowed)}")
        return value

    def _strings(self, value: object, place: str) -> list[str]:
        if not isinstance(value, list):
            raise self._error(place, f"must be a list, got {value!r}")
        for number, entry in enumerate(value, 1):
            if not isinstance(entry, str):
                raise self._error(f"{place}, entry {number}", f"must be a text; YAML reads it as {entry!r}: quote it")
        return value

    def _variables(self, env: dict[str, Any]) -> dict[str, str]:
        variables = self._mapping(env.get("variables", {}), "env.variables")
        for name, value in variables.items():
            self._check_name(name, "env.variables")
            if not isinstance(value, str):
                raise self._error(f"env.variables.{name}", f"must be a text; YAML reads it as {value!r}: quote it")
        return variables

    def _secrets(self, env: dict[str, Any]) -> tuple[str, ...]:
        secrets = self._mapping(env.get("secrets-manager", {}), "env.secrets-manager")
        for name, reference in secrets.items():
            self._check_name(name, "env.secrets-manager")
            if reference != "":
                raise self._error(
                    f"env.secrets-manager.{name}", 'must be "": the reference differs by stack, the project sets it'
                )
        return tuple(secrets)

    def _check_name(self, name: object, place: str) -> None:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or _GIVEN.fullmatch(name):
            raise self._error(
                place, f"{name!r} is no name for a variable of ours: capitals, digits and _, not CODEBUILD_ or AWS_"
            )

    def _phases(self, value: object) -> dict[str, dict[str, Any]]:
        phases = self._mapping(value, "phases", PHASES)
        for name, phase in phases.items():
            place = f"phases.{name}"
            for key, entry in self._mapping(phase, place, _PHASE).items():
                if key != "runtime-versions":
                    for number, command in enumerate(self._strings(entry, f"{place}.{key}"), 1):
                        if "\n" in command:
                            message = "has several lines: what is longer than a line belongs into scripts/"
                            raise self._error(f"{place}.{key}, entry {number}", message)
                elif name != "install":
                    raise self._error(place, "runtime-versions belong into the phase install")
        if not phases:
            raise self._error("phases", f"there are none; allowed: {', '.join(PHASES)}")
        return phases

    @staticmethod
    def _commands(phases: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
        """Each command with its place."""
        for name, phase in phases.items():
            for key in ("commands", "finally"):
                for number, command in enumerate(phase.get(key, []), 1):
                    yield f"phases.{name}.{key}, entry {number}", command

    def _needed_scripts(self, phases: dict[str, dict[str, Any]]) -> dict[str, str]:
        """The text of each script the commands run, and of the local modules these import, by file name."""
        scripts: dict[str, str] = {}
        for place, command in self._commands(phases):
            for name in _SCRIPT.findall(command):
                if not (self._scripts / name).is_file():
                    there = ", ".join(sorted(file.name for file in self._scripts.glob("*.*")))
                    raise self._error(place, f"there is no script {name}; scripts/ holds {there or 'nothing'}")
                self._add(name, scripts)
        return scripts

    def _add(self, name: str, scripts: dict[str, str]) -> None:
        if name in scripts:
            return
        text = (self._scripts / name).read_text(encoding="utf-8")
        if _END in text:
            raise self._error(f"scripts/{name}", f"holds {_END}, which marks a script's end in the buildspec")
        scripts[name] = _without_prose(text) if name.endswith(".py") else text
        if not scripts[name].endswith("\n"):
            scripts[name] += "\n"
        for module in _imports(text) if name.endswith(".py") else ():
            if (self._scripts / f"{module}.py").is_file():
                self._add(f"{module}.py", scripts)

    def _check_use(self, declared: set[str], phases: dict[str, dict[str, Any]], scripts: dict[str, str]) -> None:
        """Every variable that is read is declared, and the other way round."""
        read = {name: place for place, command in self._commands(phases) for name in _USED.findall(command)}
        for script, text in scripts.items():
            names = _read_by_python(text) if script.endswith(".py") else _USED.findall(text)
            read.update(dict.fromkeys(names, f"scripts/{script}"))
        for name, place in read.items():
            if name not in declared and not _GIVEN.fullmatch(name):
                raise self._error(place, f"reads {name}, which env.variables does not declare")
        for name in sorted(declared - set(read)):
            raise self._error("env", f"{name} is declared, but no command or script reads it")

    def _check_exports(
        self, exported: tuple[str, ...], phases: dict[str, dict[str, Any]], scripts: dict[str, str]
    ) -> None:
        """Every exported variable is set by a script, and a command takes over what the script has set."""
        known = {name for script, text in scripts.items() if script.endswith(".py") for name in _set_by_python(text)}
        taken_over = any("exports.env" in command for _, command in self._commands(phases))
        for name in exported:
            if name not in known or not taken_over:
                message = f'{name} must be set by job.export({name}=...), and . "$SCRIPTS_DIR/exports.env" must follow'
                raise self._error("env.exported-variables", message)
        for name in sorted(known - set(exported)):
            raise self._error("env.exported-variables", f"lacks {name}, which a script sets for the pipeline")

    def _artifact_files(self, top: dict[str, Any]) -> tuple[str, ...]:
        if "artifacts" not in top:
            return ()
        artifacts = self._mapping(top["artifacts"], "artifacts", _ARTIFACTS)
        return tuple(self._strings(artifacts.get("files"), "artifacts.files"))

    def _reports(self, top: dict[str, Any]) -> tuple[str, ...]:
        reports = self._mapping(top.get("reports", {}), "reports")
        for name, report in reports.items():
            self._mapping(report, f"reports.{name}", _REPORT)
            self._strings(report.get("files"), f"reports.{name}.files")
        return tuple(reports)

    def _text(
        self, source: str, top: dict[str, Any], phases: dict[str, dict[str, Any]], scripts: dict[str, str]
    ) -> str:
        """The buildspec with the scripts in its first phase, secrets' placeholders taken out."""
        env = {key: value for key, value in top["env"].items() if key != "secrets-manager"}
        completed = {**top, "env": env, "phases": dict(phases)}
        if scripts:
            env["variables"] = {"SCRIPTS_DIR": SCRIPTS_DIR, **env.get("variables", {})}
            first = min(phases, key=PHASES.index)
            writing = ['mkdir -p "$SCRIPTS_DIR"', *(_written(name, text) for name, text in scripts.items())]
            completed["phases"][first] = {**phases[first], "commands": [*writing, *phases[first].get("commands", [])]}
        comment = "".join(line for line in source.splitlines(keepends=True)[:1] if line.startswith("#"))
        written = yaml.dump(completed, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=LIMIT)
        return comment + _NESTED.sub(lambda found: found[0][: len(found[0]) // 2], written)


@lru_cache
def _without_prose(text: str) -> str:
    """The Python script without its docstrings and comments, each level indented by one blank.

    A docstring that is all there is in a body stays. The lines of a text stay as they are, even where they start with
    ``#`` or a blank.
    """
    prose: set[int] = set()
    texts: set[int] = set()
    for node in _nodes(text):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and len(node.body) > 1:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                prose.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            texts.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    lines = text.splitlines(keepends=True)
    prose.update(
        number for number, line in enumerate(lines, 1) if line.lstrip().startswith("#") and number not in texts
    )
    return "".join(
        line if number in texts else _SHORTER.sub(lambda found: " " * (len(found[1] or "") // 4), line)
        for number, line in enumerate(lines, 1)
        if number not in prose
    )


def _written(name: str, text: str) -> str:
    """The command that writes a script; the quoted delimiter keeps the shell from reading anything into it."""
    return f"cat > \"$SCRIPTS_DIR/{name}\" <<'{_END}'\n{text}{_END}\n"


@lru_cache
def _nodes(text: str) -> tuple[ast.AST, ...]:
    """Everything in a Python script; most scripts are looked at several times."""
    return tuple(ast.walk(ast.parse(text)))


def _imports(text: str) -> list[str]:
    """The modules a Python script imports, by top-level name."""
    names: list[str] = []
    for node in _nodes(text):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(str(node.module))
    return names


def _calls(text: str, *names: str) -> Iterator[ast.Call]:
    """The calls of `job.<name>`, or plain `<name>` within job itself."""
    for node in _nodes(text):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in names:
                yield node


def _read_by_python(text: str) -> list[str]:
    """The variables read by `job.require("NAME")`, `job.optional("NAME")` or a helper that takes a name."""
    first = [call.args[0] for call in _calls(text, *_READERS) if call.args]
    return [str(argument.value) for argument in first if isinstance(argument, ast.Constant)]


def _set_by_python(text: str) -> list[str]:
    """The variables set by `job.export(NAME=...)`."""
    return [str(keyword.arg) for call in _calls(text, "export") for keyword in call.keywords]


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as they are."""


def _text_node(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text_node)

"""The buildspecs, checked and completed.

A file in ``buildspecs/`` names inputs, commands and outputs; the work is in the package ``buildspecs/jobs``, which a
command runs as ``python3 "$JOBS_DIR/jobs.pyz" JOB``. What the job is for says the first line of its module's docstring;
the loader writes it above the text that CodeBuild gets. With a CodePipeline source a build sees the application's
repository, not this one, so the loader puts commands in front that fetch the bundle of the jobs (see
`components.jobs.bundle`) and compare its hash with the one that stands in the project: neither a commit nor a build can
change what a job does.

Inputs are environment variables, all declared. Plain ones stand under `env.variables` with their default. A secret is
under `env.secrets-manager` with an *empty* reference, because the reference differs by stack: the loader lists its name
in `Buildspec.secrets` and leaves it out of the text (an empty reference would fail the build), and the program sets on
the CodeBuild project an environment variable of that name, of type SECRETS_MANAGER and with the value
`<secret name or ARN>[:<json key>]`. CodeBuild reads it by the project's role and masks it in the log.

`env.git-credential-helper: "yes"` stands in the file of a job that can read the code as a clone. The loader keeps it
only where the job does, since AWS names it for that case alone
(https://docs.aws.amazon.com/codepipeline/latest/userguide/tutorials-github-gitclone.html).

Several jobs may run in one build, one after the other: what one exports the next finds among its variables, and what it
writes in the same folder. Their files are put together then. The artifact of each is a secondary one, by the name that
it has in the pipeline (https://docs.aws.amazon.com/codebuild/latest/userguide/sample-pipeline-multi-input-output.html).

Source of the rules: AWS CodeBuild user guide, "Build specification reference".
"""

import ast
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "buildspecs"
JOBS_DIR = "/tmp/ecs-delivery"  # noqa: S108 - a build's machine is its own, and Lambda compute can write nowhere else
STEADY = {"LC_ALL": "C.UTF-8", "PYENV_VERSION": "system"}
"""Variables of every buildspec, so that no file of the application and no choice of the image decides what runs a job.

In CodeBuild's EC2 images ``python3`` is pyenv's shim, which starts what ``.python-version`` in the working folder
names. ``PYENV_VERSION`` takes precedence, and ``system`` is the distribution's own Python, 3.9 or newer:
https://github.com/pyenv/pyenv#understanding-python-version-selection. The locale would be C.UTF-8, en_US or none,
depending on the image: https://github.com/aws/aws-codebuild-docker-images.
"""
BUNDLE_VARIABLES = ("JOBS_BUNDLE", "JOBS_SHA256")
"""What every project sets: the ``s3://`` address of the bundle, and its hash in hexadecimal digits."""
_FETCH = (
    'mkdir -p "$JOBS_DIR"',
    'aws s3 cp --only-show-errors "$JOBS_BUNDLE" "$JOBS_DIR/jobs.pyz"',
    'echo "$JOBS_SHA256  $JOBS_DIR/jobs.pyz" | sha256sum --check --quiet',
)

PHASES = ("install", "pre_build", "build", "post_build")
_TOP = ("version", "env", "phases", "reports", "artifacts")
_HELPER = "git-credential-helper"
_CREDENTIALS = f"  {_HELPER}: yes\n"
_ENV = ("shell", _HELPER, "variables", "secrets-manager", "exported-variables")
_PHASE = ("runtime-versions", "commands", "finally")
_REPORT = ("files", "file-format", "base-directory")
_ARTIFACTS = ("files", "base-directory")
_SECONDARY = "secondary-artifacts"
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_USED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_JOB = re.compile(r'python3 "\$JOBS_DIR/jobs\.pyz" ([a-z][a-z-]*)')
# CodeBuild sets the variables with these beginnings, the shell the named ones.
_GIVEN = re.compile(r"(CODEBUILD|AWS)_[A-Z0-9_]+|HOME|LC_ALL|PATH|PWD|PYENV_VERSION|JOBS_(BUNDLE|DIR|SHA256)")
# The functions of jobs whose first argument is the name of a variable.
_READERS = ("require", "optional", "prefixed")


class BuildspecError(Exception):
    """A buildspec is not what CodeBuild or this program accepts; says file, place and what is allowed."""


@dataclass(frozen=True, slots=True)
class Buildspec:
    """A checked buildspec.

    Attributes:
        name: The file's name without `.yml`; of several, their names.
        purpose: What its jobs are for, a sentence or two of each in one line; empty when it runs none.
        text: The completed YAML for the CodeBuild project.
        variables: The declared inputs and their defaults; what a project or an action sets must be among them.
        secrets: The inputs that the project must set with type SECRETS_MANAGER.
        exported: The variables that later actions may read as `#{Namespace.NAME}`.
        artifact_files: The file patterns of the output artifact, relative to its base directory; of all of them where
            there are several.
        artifacts: The same for each output artifact by its name; empty unless there are several.
        reports: The report groups; CodeBuild names each `<project>-<report>`.
        modules: The text of each module in `jobs` that its commands run, by the module's name.
    """

    name: str
    purpose: str
    text: str
    variables: Mapping[str, str]
    secrets: tuple[str, ...]
    exported: tuple[str, ...]
    artifact_files: tuple[str, ...]
    artifacts: Mapping[str, tuple[str, ...]]
    reports: tuple[str, ...]
    modules: Mapping[str, str]


@lru_cache
def load_buildspec(*names: str, artifacts: tuple[str, ...] = (), clones: bool = False) -> Buildspec:
    """Return the buildspec of this name, or of several whose jobs run in one build.

    Args:
        names: The files' names without `.yml`, in the order in which their jobs run.
        artifacts: The artifact that each of several jobs writes.
        clones: Whether its primary source is a reference to a repository, which CodeBuild clones.

    Raises:
        BuildspecError: It does not exist, breaks a rule, or cannot take a clone; or several contradict each other.
    """
    return read_buildspec(*(FOLDER / f"{name}.yml" for name in names), artifacts=artifacts, clones=clones)


def of_the_application(path: str, *, variables: Mapping[str, str]) -> Buildspec:
    """Return a buildspec that the application's repository holds.

    Args:
        path: Where, from the root of the repository; CodeBuild takes the path in place of the text.
        variables: What it is told, with defaults.
    """
    return Buildspec(
        name=path,
        purpose="",
        text=path,
        variables=variables,
        secrets=(),
        exported=(),
        artifact_files=(),
        artifacts={},
        reports=(),
        modules={},
    )


def is_of_the_application(text: str) -> bool:
    """Return whether a CodeBuild project's buildspec is the path of a file, and not its text."""
    return re.fullmatch(r"[^\s:]+", text) is not None


def jobs_of(text: str) -> tuple[str, ...]:
    """Return the names of the buildspecs that a CodeBuild project's text was made of.

    Raises:
        BuildspecError: It is of none here.
    """
    archived, names = text.replace(_CREDENTIALS, "", 1), jobs_in(text.splitlines())
    known = {path.stem for path in FOLDER.glob("*.yml")}
    if names and known.issuperset(names):
        artifacts = yaml.safe_load(text).get("artifacts", {}).get(_SECONDARY, {})
        if load_buildspec(*names, artifacts=tuple(artifacts)).text == archived:
            return names
    raise BuildspecError(f"no buildspec here is {text[:60]!r}")


def jobs_in(commands: Iterable[str]) -> tuple[str, ...]:
    """Return the jobs that commands run, by their names.

    Args:
        commands: Lines of a buildspec.
    """
    return tuple(name for command in commands for name in _JOB.findall(command))


def read_buildspec(*paths: Path, artifacts: tuple[str, ...] = (), clones: bool = False) -> Buildspec:
    """Read, check and complete one file, or several of one folder; the jobs are in the folder `jobs` beside them.

    Args:
        paths: The files, in the order in which their jobs run in one build.
        artifacts: The artifact that the job of each writes, where there are several.
        clones: Whether its primary source is a reference to a repository, which CodeBuild clones.

    Raises:
        BuildspecError: It does not exist, breaks a rule, or cannot take a clone; or several contradict each other.
    """
    readers = [_Reader(path, clones=clones and path is paths[0]) for path in paths]
    documents = [reader.document() for reader in readers]
    if len(paths) == 1:
        return readers[0].buildspec(documents[0])
    parts = [reader.buildspec(document) for reader, document in zip(readers, documents, strict=True)]
    together = _Reader(paths[0].with_name(f"{' and '.join(part.name for part in parts)}.yml"), clones=clones)
    return together.buildspec(together.in_a_row(documents, parts, artifacts))


def _missing(path: Path) -> str:
    known = sorted(other.stem for other in path.parent.glob("*.yml"))
    near = difflib.get_close_matches(path.stem, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{path.name}: there is no such buildspec.{hint} There are: {', '.join(known) or 'none'}."


class _Reader:
    """Reads one file, whose name starts every message."""

    def __init__(self, path: Path, *, clones: bool) -> None:
        self._path = path
        self._clones = clones
        self._jobs = path.parent / "jobs"

    def buildspec(self, document: object) -> Buildspec:
        top = self._mapping(document, "the file", _TOP)
        if top.get("version") != 0.2:
            raise self._error("version", f"must be 0.2, got {top.get('version')!r}")
        env = self._mapping(top.get("env"), "env", _ENV)
        if env.get("shell") != "bash":
            raise self._error("env.shell", f"must be bash (CodeBuild's default is sh), got {env.get('shell')!r}")
        helper = env.get(_HELPER)
        if helper != "yes" and (self._clones or helper is not None):
            raise self._error(f"env.{_HELPER}", f'must be "yes" in a job that takes a clone, got {helper!r}')
        variables = self._variables(env)
        secrets = self._secrets(env)
        exported = tuple(self._strings(env.get("exported-variables", []), "env.exported-variables"))
        phases = self._phases(top.get("phases"))
        modules = self._modules(phases)
        purpose = self._purpose(phases, modules)
        self._check_use({*variables, *secrets}, phases, modules)
        self._check_exports(exported, phases, modules)
        artifacts = self._artifacts(top)
        return Buildspec(
            name=self._path.stem,
            purpose=purpose,
            text=self._text(top, phases, purpose),
            variables=MappingProxyType(variables),
            secrets=secrets,
            exported=exported,
            artifact_files=tuple(file for files in artifacts.values() for file in files),
            artifacts=MappingProxyType({name: files for name, files in artifacts.items() if name}),
            reports=self._reports(top),
            modules=MappingProxyType(modules),
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
                            message = "has several lines: what is longer than a line belongs into a job"
                            raise self._error(f"{place}.{key}, entry {number}", message)
                elif name != "install":
                    raise self._error(place, "runtime-versions belong into the phase install")
        if not phases:
            raise self._error("phases", f"there are none; allowed: {', '.join(PHASES)}")
        return phases

    def document(self) -> object:
        """The file's content."""
        try:
            source = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise BuildspecError(_missing(self._path)) from None
        try:
            return yaml.load(source, Loader=yaml.CSafeLoader)  # the same as safe_load, ten times as fast
        except yaml.YAMLError as error:
            raise self._error("not YAML", str(error)) from None

    def in_a_row(self, documents: Sequence[Any], parts: Sequence[Buildspec], artifacts: Sequence[str]) -> object:
        """The document of a build that runs the jobs of several, which are checked already, one after the other."""
        variables, exported, commands = dict[str, str](), set[str](), list[str]()
        for document, part in zip(documents, parts, strict=True):
            if list(document["phases"]) != ["build"] or part.secrets or part.reports:
                raise self._error(part.name, "only phases.build, plain variables and artifacts can be put together")
            for name, default in part.variables.items():
                if variables.setdefault(name, default) != default:
                    raise self._error(f"env.variables.{name}", f"is {variables[name]!r} and {default!r}")
            exported.update(part.exported)
            commands += document["phases"]["build"]["commands"]
        env = {**documents[0]["env"], "variables": variables, "exported-variables": sorted(exported)}
        written = [document["artifacts"] for document in documents if "artifacts" in document]
        return {
            "version": 0.2,
            "env": env,
            "phases": {"build": {"commands": commands}},
            "artifacts": {_SECONDARY: dict(zip(artifacts, written, strict=True))},
        }

    @staticmethod
    def _commands(phases: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
        """Each command with its place."""
        for name, phase in phases.items():
            for key in ("commands", "finally"):
                for number, command in enumerate(phase.get(key, []), 1):
                    yield f"phases.{name}.{key}, entry {number}", command

    def _modules(self, phases: dict[str, dict[str, Any]]) -> dict[str, str]:
        """The text of each job's module that the commands run, and of the modules these import, by name."""
        modules: dict[str, str] = {}
        for place, command in self._commands(phases):
            for name in _JOB.findall(command):
                module = name.replace("-", "_")
                if self._read(module) is None:
                    there = ", ".join(sorted(file.stem for file in self._jobs.glob("[!_]*.py")))
                    raise self._error(place, f"there is no module {module}; jobs/ holds {there or 'nothing'}")
                modules |= with_imports(module, self._read)
        return modules

    def _purpose(self, phases: dict[str, dict[str, Any]], modules: dict[str, str]) -> str:
        """The first line of the docstring of each job that the commands run."""
        lines: list[str] = []
        for name in jobs_in(command for _, command in self._commands(phases)):
            module = name.replace("-", "_")
            docstring = ast.get_docstring(_module(modules[module]))
            if not docstring:
                raise self._error(f"jobs/{module}.py", "has no docstring, whose first line says what the job is for")
            lines.append(docstring.partition("\n")[0])
        return " ".join(lines)

    def _read(self, module: str) -> str | None:
        path = self._jobs / f"{module}.py"
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def _check_use(self, declared: set[str], phases: dict[str, dict[str, Any]], modules: dict[str, str]) -> None:
        """Every variable that is read is declared, and the other way round."""
        read = {name: place for place, command in self._commands(phases) for name in _USED.findall(command)}
        for module, text in modules.items():
            read.update(dict.fromkeys(_read_by_python(text), f"jobs/{module}.py"))
        for name, place in read.items():
            if name not in declared and not _GIVEN.fullmatch(name):
                raise self._error(place, f"reads {name}, which env.variables does not declare")
        for name in sorted(declared - set(read)):
            raise self._error("env", f"{name} is declared, but no command or job reads it")

    def _check_exports(
        self, exported: tuple[str, ...], phases: dict[str, dict[str, Any]], modules: dict[str, str]
    ) -> None:
        """Every exported variable is set by a job, and a command takes over what the job has set."""
        known = {name for text in modules.values() for name in _set_by_python(text)}
        taken_over = any("exports.env" in command for _, command in self._commands(phases))
        for name in exported:
            if name not in known or not taken_over:
                message = f'{name} must be set by job.export({name}=...), and . "$JOBS_DIR/exports.env" must follow'
                raise self._error("env.exported-variables", message)
        for name in sorted(known - set(exported)):
            raise self._error("env.exported-variables", f"lacks {name}, which a job sets for the pipeline")

    def _artifacts(self, top: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        """The files of each output artifact by its name, which is empty where there is one."""
        if "artifacts" not in top:
            return {}
        several = isinstance(top["artifacts"], dict) and _SECONDARY in top["artifacts"]
        artifacts = self._mapping(top["artifacts"], "artifacts", (_SECONDARY,) if several else _ARTIFACTS)
        if not several:
            return {"": tuple(self._strings(artifacts.get("files"), "artifacts.files"))}
        place, found = f"artifacts.{_SECONDARY}", dict[str, tuple[str, ...]]()
        for name, artifact in self._mapping(artifacts[_SECONDARY], place).items():
            files = self._mapping(artifact, f"{place}.{name}", _ARTIFACTS).get("files")
            found[name] = tuple(self._strings(files, f"{place}.{name}.files"))
        return found

    def _reports(self, top: dict[str, Any]) -> tuple[str, ...]:
        reports = self._mapping(top.get("reports", {}), "reports")
        for name, report in reports.items():
            self._mapping(report, f"reports.{name}", _REPORT)
            self._strings(report.get("files"), f"reports.{name}.files")
        return tuple(reports)

    def _text(self, top: dict[str, Any], phases: dict[str, dict[str, Any]], purpose: str) -> str:
        """The buildspec, its first phase fetching the bundle, without what is not for AWS or not for this source."""
        env = {key: value for key, value in top["env"].items() if key not in {"secrets-manager", _HELPER}}
        completed = {**top, "env": env, "phases": dict(phases)}
        if purpose:
            of_bundle = dict.fromkeys(BUNDLE_VARIABLES, "")
            env["variables"] = {"JOBS_DIR": JOBS_DIR, **STEADY, **of_bundle, **env.get("variables", {})}
            first = min(phases, key=PHASES.index)
            completed["phases"][first] = {**phases[first], "commands": [*_FETCH, *phases[first].get("commands", [])]}
        comment = f"# {purpose}\n" if purpose else ""
        text = comment + yaml.dump(completed, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=1000)
        # As AWS writes it, without the quotes that a text gets here.
        return text.replace("\nenv:\n", f"\nenv:\n{_CREDENTIALS}", 1) if self._clones else text


@lru_cache
def _module(text: str) -> ast.Module:
    """A module, parsed once: most are looked at several times."""
    return ast.parse(text)


@lru_cache
def _nodes(text: str) -> tuple[ast.ImportFrom | ast.Call, ...]:
    """Imports and calls in a module."""
    return tuple(node for node in ast.walk(_module(text)) if isinstance(node, ast.ImportFrom | ast.Call))


def with_imports(module: str, read: Callable[[str], str | None]) -> dict[str, str]:
    """Return the text of a module of ``jobs`` and of all that it imports from there, by name.

    Args:
        module: The module's name.
        read: Returns the text of a module; ``None`` when there is none of this name.
    """
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        text = None if name in found else read(name)
        if text is not None:
            found[name] = text
            waiting += _imports(text)
    return found


@lru_cache
def _imports(text: str) -> tuple[str, ...]:
    """The modules of the package that a module imports, by name."""
    names: list[str] = []
    for node in _nodes(text):
        if isinstance(node, ast.ImportFrom) and node.module == "jobs":
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("jobs."):
            names.append(str(node.module).partition(".")[2])
    return tuple(names)


def _calls(text: str, *names: str) -> Iterator[ast.Call]:
    """The calls of `job.<name>`, or plain `<name>` within job itself."""
    for node in _nodes(text):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in names:
                yield node


@lru_cache
def _read_by_python(text: str) -> tuple[str, ...]:
    """The variables read by `job.require("NAME")`, `job.optional("NAME")` or a helper that takes a name."""
    first = [call.args[0] for call in _calls(text, *_READERS) if call.args]
    return tuple(str(argument.value) for argument in first if isinstance(argument, ast.Constant))


@lru_cache
def _set_by_python(text: str) -> tuple[str, ...]:
    """The variables set by `job.export(NAME=...)`."""
    return tuple(str(keyword.arg) for call in _calls(text, "export") for keyword in call.keywords)

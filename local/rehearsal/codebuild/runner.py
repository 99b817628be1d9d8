"""One build from its source to its artifacts.

Sources: https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html#view-build-details-phases, and
https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html (``env``: precedence, literal values, what
cannot be exported; ``phases``, ``artifacts``, ``reports``). A report without files fails UPLOAD_ARTIFACTS
(prowler-cloud/prowler#1182).
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local.errors import Refusal
from local.rehearsal.codebuild import artifacts, source_action
from local.rehearsal.codebuild.document import BuildspecProblem, read_document
from local.rehearsal.codebuild.model import Build, BuildHost, Phase, Report, Result, Scene, Secrets, Variable
from local.rehearsal.codebuild.shell import Shell, TimedOut

PHASES = ("install", "pre_build", "build", "post_build")
JOBS_DIR = "JOBS_DIR"
"""Where this program's buildspecs put their scripts: on AWS below /tmp, since the machine is the build's own."""

_ARN_FIELDS = 7
"""An ARN of Secrets Manager has so many, divided by the colons that divide a reference's parts, too."""
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_HIDDEN = "***"
_NO_TIME = "Build has timed out. "
_CREDENTIALS = "[credential]\n  helper = !aws codecommit credential-helper $@\n  UseHttpPath = true\n"
"""What ``git-credential-helper: yes`` stands for; AWS does not say how its own helper is called. With these lines
builds clone through connections: https://github.com/uktrade/lite-hmrc/blob/main/.copilot/phases/pre_build.sh."""


def run_build(
    build: Build,
    place: BuildHost,
    folder: Path,
    *,
    secrets: Secrets | None = None,
    listen: Callable[[str], None] = lambda _line: None,
) -> Result:
    """Run a build, phase by phase.

    Args:
        build: What is to be built.
        place: The machine it runs on.
        folder: For everything the build makes; new or empty.
        secrets: Who is asked for variables that are kept in Secrets Manager.
        listen: Hears each line of the log as it comes, secrets masked.

    Raises:
        BuildspecProblem: The buildspec asks for what is not emulated here.
        Refusal: The folder is not empty, an input is missing, or there are secrets and nobody to ask.
    """
    # A file of the application's is read when it is there.
    document = {} if build.is_of_the_application else read_document(build.buildspec, build.project)
    if len(build.inputs) != 1:
        raise Refusal(f"{build.project}: one input artifact is emulated here")
    if folder.exists() and any(folder.iterdir()):
        raise Refusal(f"{folder} is not empty: give each build a folder of its own")
    return _Running(build, document, place, folder, listen).result(secrets)


class _Failed(Exception):  # noqa: N818 - an outcome
    """Why a phase failed."""


class _Log:
    """What a build prints, without what must not be seen."""

    def __init__(self, listen: Callable[[str], None]) -> None:
        self._lines: list[str] = []
        self._hidden: list[str] = []
        self._listen = listen

    def hide(self, values: Mapping[str, str]) -> None:
        """Keep these values out, and each of their lines."""
        lines = {line for value in values.values() for line in (value, *value.splitlines()) if line.strip()}
        self._hidden = sorted(lines, key=len, reverse=True)

    def masked(self, text: str) -> str:
        """Return the text without them."""
        for value in self._hidden:
            text = text.replace(value, _HIDDEN)
        return _ACCESS_KEY.sub(_HIDDEN, text)

    def say(self, line: str) -> None:
        """Add a line."""
        self._lines.append(self.masked(line))
        self._listen(self._lines[-1])

    def note(self, line: str) -> None:
        """Add a line of CodeBuild's own."""
        self.say(f"[Container] {line}")

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self._lines)


class _Running:
    """A build that is under way."""

    def __init__(
        self, build: Build, document: Mapping[str, Any], place: BuildHost, folder: Path, listen: Callable[[str], None]
    ) -> None:
        self._build = build
        self._document = document
        self._env = document.get("env", {})
        self._place = place
        self._folder = folder
        self._source = folder / "src"
        self._log = _Log(listen)
        self._phases: list[Phase] = []
        self._deadline = time.monotonic() + build.timeout_minutes * 60
        self._hidden: dict[str, str] = {}
        self._variables: dict[str, str] = {}
        self._artifacts: dict[str, Path] = {}
        self._reports: dict[str, Report] = {}

    def result(self, secrets: Secrets | None) -> Result:
        """Run it."""
        exported: dict[str, str] = {}
        scene = None
        if self._in_phase("DOWNLOAD_SOURCE", lambda: self._prepare(secrets)):
            with Shell(
                self._place,
                self._variables,
                folder=self._source,
                scratch=self._folder / "shell",
                say=self._log.say,
                deadline=self._deadline,
            ) as shell:
                in_time = self._run_phases(shell)
                scene = Scene(enter=self._place.enter, environment=shell.variables, folder=shell.folder)
                exported = {
                    name: shell.variables[name]
                    for name in self._env.get("exported-variables", [])
                    if name in shell.variables and name not in self._hidden and not name.startswith("AWS_")
                }
            if in_time:
                self._in_phase("UPLOAD_ARTIFACTS", self._upload)
        return Result(
            succeeded=all(phase.status == "SUCCEEDED" for phase in self._phases),
            phases=tuple(self._phases),
            exported=exported,
            artifacts=self._artifacts,
            reports=self._reports,
            log=self._log.text,
            scene=scene,
        )

    def _in_phase(self, name: str, work: Callable[[], None]) -> bool:
        """Do a phase's work, and keep how it went."""
        self._log.note(f"Entering phase {name}")
        status, message = "SUCCEEDED", ""
        try:
            work()
        except _Failed as failure:
            status, message = "FAILED", self._log.masked(str(failure))
        except TimedOut:
            status, message = "TIMED_OUT", _NO_TIME
        self._phases.append(Phase(name=name, status=status, message=message))
        self._log.note(f"Phase complete: {name} State: {status}{f' Message: {message}' if message else ''}")
        return status == "SUCCEEDED"

    def _prepare(self, secrets: Secrets | None) -> None:
        """Unpack the source and work out the variables."""
        home = self._folder / "home"
        home.mkdir(parents=True)
        surroundings = {"HOME": str(home), **self._place.environment}
        ((name, given),) = self._build.inputs.items()
        if name in self._build.code and given.suffix == ".json":
            self._clone(source_action.CloneReference.read(given), surroundings)
        elif name in self._build.code and given.is_dir():
            packed = source_action.archive(given, self._folder / f"{name}.zip")
            artifacts.unpack(packed, self._source)
            packed.unlink()
        else:
            self._unpack(given)
        if self._build.is_of_the_application:
            self._read_own_buildspec()
        if self._env.get("git-credential-helper"):
            Path(surroundings["HOME"], ".gitconfig").write_text(_CREDENTIALS, encoding="utf-8")
        written = [Variable(name=key, value=value) for key, value in self._env.get("variables", {}).items()]
        # What the pipeline's action sets goes before the project's, and that before the buildspec's.
        declared = {item.name: item for item in (*written, *self._build.project_variables, *self._build.overrides)}
        self._hidden = dict(_secrets(declared, secrets))
        self._log.hide(self._hidden)
        self._variables = {
            **surroundings,
            **{key: item.value for key, item in declared.items()},
            **self._hidden,
            **dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), self._place.region),
            # https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
            "CODEBUILD_BUILD_ID": f"{self._build.project}:{uuid.uuid4()}",
            **({JOBS_DIR: str(self._folder / "jobs")} if JOBS_DIR in declared else {}),
        }

    def _unpack(self, given: Path) -> None:
        try:
            artifacts.unpack(given, self._source)
        except artifacts.LeadsOut as problem:
            raise _Failed(f"CLIENT_ERROR: {problem}") from None

    def _read_own_buildspec(self) -> None:
        """Read the buildspec in the source, whose words for a missing one are CodeBuild's."""
        file = self._source / self._build.buildspec
        try:
            self._document = read_document(file.read_text(encoding="utf-8"), self._build.buildspec)
        except OSError:
            raise _Failed(f"YAML_FILE_ERROR: stat {file}: no such file or directory") from None
        except BuildspecProblem as problem:
            raise _Failed(str(problem)) from None
        self._env = self._document.get("env", {})

    def _clone(self, reference: source_action.CloneReference, surroundings: Mapping[str, str]) -> None:
        """Clone as the build's role, whose permission it is.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html#codebuild-role-connections
        The words of a refusal: https://github.com/awslabs/aws-deployment-framework/issues/616.
        """
        config = Path(surroundings["HOME"], "clone.gitconfig")
        config.write_text(_CREDENTIALS, encoding="utf-8")
        of_git = {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        for words in (
            ("clone", "--quiet", "--no-checkout", reference.url, str(self._source)),
            ("-C", str(self._source), "checkout", "--quiet", "--detach", reference.commit),
        ):
            done = subprocess.run(
                [*self._place.enter, "git", *words],
                env={**surroundings, **of_git},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                said = done.stderr.strip()
                what = "authorization failed" if " 403" in said else "cloning failed"
                raise _Failed(f"CLIENT_ERROR: {what} for primary source and source version {reference.commit}: {said}")

    def _run_phases(self, shell: Shell) -> bool:
        """Run the phases until one fails; False when the time was over. After BUILD, POST_BUILD runs in any case.

        https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html#view-build-details-phases
        """
        failed = ""
        for name in PHASES:
            phase = self._document["phases"].get(name, {})
            if not phase or (failed and (failed, name) != ("build", "post_build")):
                continue
            if not self._in_phase(name.upper(), lambda phase=phase: self._run_commands(phase, shell)):  # type: ignore[misc]
                failed = name
                if self._phases[-1].status == "TIMED_OUT":
                    return False
        return True

    def _run_commands(self, phase: Mapping[str, Any], shell: Shell) -> None:
        for name, version in phase.get("runtime-versions", {}).items():
            self._log.note(f"Selecting '{name}' runtime version '{version}': what is on PATH is used here")
        for command in phase.get("commands", []):
            self._log.note(f"Running command {command}")
            code = shell.run(command)
            if code:
                why = f"exit status {code}" if code > 0 else f"signal {-code}"
                raise _Failed(f"Error while executing command: {command}. Reason: {why}")

    def _upload(self) -> None:
        """Reports and artifacts, each attempted whatever becomes of the others.

        Of several output artifacts each is a secondary one by its name in the pipeline, of a single one the primary is:
        https://docs.aws.amazon.com/codebuild/latest/userguide/sample-pipeline-multi-input-output.html
        """
        problems = []
        for name, rules in self._document.get("reports", {}).items():
            try:
                self._reports[name] = artifacts.read_junit(self._chosen(rules, "report").items())
            except (artifacts.NoMatch, artifacts.UnreadableReport) as problem:
                problems.append(f"report {name}: {problem}")
        primary = self._document.get("artifacts") or {}
        for name in self._build.outputs:
            several = len(self._build.outputs) > 1
            rules = (primary.get("secondary-artifacts") or {}).get(name) if several else primary
            if not rules or "files" not in rules:
                where = f"no secondary artifact {name}" if several else "no artifacts"
                problems.append(f"the buildspec has {where}, the action expects {name}")
                continue
            try:
                files = self._chosen(rules, "artifact")
                self._artifacts[name] = artifacts.pack(files, self._folder / "artifacts" / f"{name}.zip")
            except artifacts.NoMatch as problem:
                problems.append(str(problem))
        if problems:
            raise _Failed("; ".join(problems))

    def _chosen(self, rules: Mapping[str, Any], what: str) -> dict[str, Path]:
        return artifacts.chosen(self._source, rules, self._log.note, what)


def secret_and_key(reference: str) -> tuple[str, str]:
    """Return the name or ARN of a secret, and the key in its JSON, which may be empty, of ``secret:key``."""
    parts = reference.split(":")
    taken = _ARN_FIELDS if parts[0] == "arn" else 1
    return ":".join(parts[:taken]), ":".join(parts[taken:])


def _secrets(variables: Mapping[str, Variable], secrets: Secrets | None) -> Iterator[tuple[str, str]]:
    """The values that must not be shown: of ``secret-id:json-key``, the key optional and the id maybe an ARN."""
    for name, item in variables.items():
        if item.type != "SECRETS_MANAGER":
            continue
        if secrets is None:
            raise Refusal(f"the value of {name} is kept in AWS: give run_build somebody to ask for it (secrets=...)")
        identifier, key = secret_and_key(item.value)
        try:
            text = secrets(identifier)
        except LookupError as error:
            raise _Failed(f"Secrets Manager: {error.args[0]}") from None
        try:
            yield name, str(json.loads(text)[key]) if key else text
        except (ValueError, KeyError, TypeError):
            raise _Failed(f"Secrets Manager: the secret {identifier} has no JSON key {key}") from None

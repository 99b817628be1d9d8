"""One build from its source to its artifacts.

Sources: https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html#view-build-details-phases, and
https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html (``phases``, ``on-failure``, ``finally``,
``artifacts``, ``reports``). Where these leave something open, this is what it does: an ``on-failure: CONTINUE`` goes on
to the next phase and the build stays failed; a ``RETRY`` runs the phase's commands anew, its regular expression is
sought in the message and in the last lines of the failed command; a report without files fails UPLOAD_ARTIFACTS
(prowler-cloud/prowler#1182).
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from local.errors import Refusal
from local.rehearsal.codebuild import artifacts, environment, reports, source_action
from local.rehearsal.codebuild.document import read_document
from local.rehearsal.codebuild.model import Build, BuildspecProblem, Phase, Place, Report, Result, Secrets
from local.rehearsal.codebuild.shell import SHELLS, Shell, TimedOut

PHASES = ("install", "pre_build", "build", "post_build")
JOBS_DIR = "JOBS_DIR"
"""Where this program's buildspecs put their scripts: on AWS below /tmp, since the machine is the build's own."""

_RETRY = re.compile(r"RETRY(?:-(?P<count>[0-9]+)(?=-|$))?(?:-(?P<message>.+))?", re.DOTALL)
_RETRIES = 3
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_HIDDEN = "***"
_NO_TIME = "Build has timed out. "
_CREDENTIALS = "[credential]\n  helper = !aws codecommit credential-helper $@\n  UseHttpPath = true\n"
"""What ``git-credential-helper: yes`` stands for; AWS does not say how its own helper is called. With these lines
builds clone through connections: https://github.com/uktrade/lite-hmrc/blob/main/.copilot/phases/pre_build.sh."""


def run_build(
    build: Build,
    place: Place,
    folder: Path,
    *,
    secrets: Secrets | None = None,
    show: Callable[[str], None] | None = None,
) -> Result:
    """Run a build, phase by phase.

    Args:
        build: What is to be built.
        place: The machine it runs on.
        folder: For everything the build makes; new or empty.
        secrets: Who is asked for variables that are kept in Parameter Store or Secrets Manager.
        show: Gets each line of the log as it comes.

    Raises:
        BuildspecProblem: the buildspec is malformed, or asks for what cannot be done here.
        Refusal: the folder is not empty, an input is missing, or there are secrets and nobody to ask.
    """
    document = read_document(build.buildspec, build.project)
    _refuse_what_is_not_done_here(build.project, document)
    if folder.exists() and any(folder.iterdir()):
        raise Refusal(f"{folder} is not empty: give each build a folder of its own")
    for name, source in build.inputs.items():
        if not source.exists():
            raise Refusal(f"input artifact {name}: {source} does not exist; give a folder or a zip")
    return _Running(build, document, place, folder, _Log(show)).result(secrets)


def _refuse_what_is_not_done_here(name: str, document: Mapping[str, Any]) -> None:
    wanted = {"run-as": document, **{f"phases.{key}.run-as": phase for key, phase in document["phases"].items()}}
    for place, where in wanted.items():
        if "run-as" in where:
            raise BuildspecProblem(f"{name}: {place}: commands run as the user who runs this program; leave it out")
    shell = document.get("env", {}).get("shell", "/bin/sh")
    if shell not in SHELLS:
        raise BuildspecProblem(f"{name}: env.shell: {shell} is for Windows; here are {', '.join(SHELLS)}")


class _Log:
    """What a build prints, without what must not be seen."""

    def __init__(self, show: Callable[[str], None] | None) -> None:
        self._show = show
        self._lines: list[str] = []
        self._hidden: list[str] = []

    def hide(self, values: Mapping[str, str]) -> None:
        """Keep these values out, and each of their lines."""
        lines = {line for value in values.values() for line in (value, *value.splitlines()) if line.strip()}
        self._hidden = sorted(lines, key=len, reverse=True)

    def masked(self, text: str) -> str:
        """The text without them."""
        for value in self._hidden:
            text = text.replace(value, _HIDDEN)
        return _ACCESS_KEY.sub(_HIDDEN, text)

    def say(self, line: str) -> None:
        """Add a line."""
        self._lines.append(self.masked(line))
        if self._show:
            self._show(self._lines[-1])

    def note(self, line: str) -> None:
        """Add a line of CodeBuild's own."""
        self.say(f"[Container] {line}")

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self._lines)


class _Running:
    """A build that is under way."""

    def __init__(self, build: Build, document: Mapping[str, Any], place: Place, folder: Path, log: _Log) -> None:
        self._build = build
        self._document = document
        self._place = place
        self._folder = folder
        self._log = log
        self._phases: list[Phase] = []
        self._deadline = time.monotonic() + build.timeout_minutes * 60
        self._sources: dict[str, Path] = {}
        self._hidden: dict[str, str] = {}
        self._variables: dict[str, str] = {}
        self._artifacts: dict[str, Path] = {}
        self._reports: dict[str, Report] = {}

    def result(self, secrets: Secrets | None) -> Result:
        """Run it."""
        exported: dict[str, str] = {}
        if self._in_phase("DOWNLOAD_SOURCE", lambda: self._prepare(secrets)):
            with Shell(
                self._document.get("env", {}).get("shell", "/bin/sh"),
                self._place,
                self._variables,
                folder=next(iter(self._sources.values())),
                scratch=self._folder / "shell",
                say=self._log.say,
                deadline=self._deadline,
            ) as shell:
                in_time = self._run_phases(shell)
                self._variables = shell.variables
                names = self._document.get("env", {}).get("exported-variables", [])
                exported = environment.exported(names, self._variables, self._hidden)
            if in_time:
                self._in_phase("UPLOAD_ARTIFACTS", self._upload)
        return Result(
            succeeded=all(phase.status == "SUCCEEDED" for phase in self._phases),
            phases=tuple(self._phases),
            exported=exported,
            artifacts=self._artifacts,
            reports=self._reports,
            log=self._log.text,
        )

    def _in_phase(self, name: str, work: Callable[[], str]) -> bool:
        """Do a phase's work, which returns why it failed, and keep how it went."""
        self._log.note(f"Entering phase {name}")
        started = time.monotonic()
        try:
            message = self._log.masked(work())
            status = "FAILED" if message else "SUCCEEDED"
        except TimedOut:
            status, message = "TIMED_OUT", _NO_TIME
        self._phases.append(
            Phase(name=name, status=status, seconds=round(time.monotonic() - started, 3), message=message)
        )
        self._log.note(f"Phase complete: {name} State: {status}{f' Message: {message}' if message else ''}")
        return status == "SUCCEEDED"

    def _prepare(self, secrets: Secrets | None) -> str:
        """Unpack the sources and work out the variables."""
        build, folder = self._build, self._folder
        home = folder / "home"
        home.mkdir(parents=True)
        surroundings = {"HOME": str(home), **self._place.environment}
        for number, (name, source) in enumerate(build.inputs.items()):
            self._sources[name] = folder / "src" if number == 0 else folder / "extra" / name
            problem = self._hand_over(name, source, self._sources[name], surroundings)
            if problem:
                return problem
        if self._document.get("env", {}).get("git-credential-helper") in {True, "yes"}:
            Path(surroundings["HOME"], ".gitconfig").write_text(_CREDENTIALS, encoding="utf-8")
        declared = environment.declared(build, self._document)
        try:
            values, self._hidden = environment.resolved(declared, secrets)
        except environment.Unresolved as problem:
            return str(problem)
        self._log.hide(self._hidden)
        self._variables = {
            **surroundings,
            **values,
            **environment.given_by_codebuild(self._build, self._place, self._sources),
            **({JOBS_DIR: str(folder / "jobs")} if JOBS_DIR in declared else {}),
        }
        for part in ("cache", "proxy", "batch"):
            if part in self._document:
                self._log.note(f"{part} is not used here")
        return ""

    def _hand_over(self, name: str, given: Path, into: Path, surroundings: Mapping[str, str]) -> str:
        """Put an input artifact into its folder; returns why that failed."""
        if name not in self._build.code:
            artifacts.unpack(given, into)
        elif given.suffix == ".json":
            return self._clone(source_action.CloneReference.read(given), into, surroundings)
        elif given.is_dir():
            left_out = source_action.uncommitted(given)
            if left_out:
                more = f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""
                self._log.note(f"{name} is the last commit, without changes of {', '.join(left_out[:5])}{more}")
            packed = source_action.archive(given, self._folder / f"{name}.zip")
            artifacts.unpack(packed, into)
            packed.unlink()
        else:
            artifacts.unpack(given, into)
        return ""

    def _clone(self, reference: source_action.CloneReference, into: Path, surroundings: Mapping[str, str]) -> str:
        """Clone as the build's role, whose permission it is; returns why that failed.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html#codebuild-role-connections
        The words of a refusal: https://github.com/awslabs/aws-deployment-framework/issues/616.
        """
        config = Path(surroundings["HOME"], "clone.gitconfig")
        config.write_text(_CREDENTIALS, encoding="utf-8")
        of_git = {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        for words in (
            ("clone", "--quiet", "--no-checkout", reference.url, str(into)),
            ("-C", str(into), "checkout", "--quiet", "--detach", reference.commit),
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
                return f"CLIENT_ERROR: {what} for primary source and source version {reference.commit}: {said}"
        self._build = replace(self._build, source_version=self._build.source_version or reference.commit)
        return ""

    def _run_phases(self, shell: Shell) -> bool:
        """The four phases; False when the time was over."""
        runs = True
        for name in PHASES:
            phase = self._document["phases"].get(name)
            if phase is None or not runs:
                continue
            if self._in_phase(name.upper(), lambda phase=phase: self._run_phase(phase, shell)):  # type: ignore[misc]
                continue
            if self._phases[-1].status == "TIMED_OUT":
                return False
            shell.set("CODEBUILD_BUILD_SUCCEEDING", "0")
            after = phase.get("on-failure", "")
            runs = after == "CONTINUE" or (after != "ABORT" and name == "build")
        return True

    def _run_phase(self, phase: Mapping[str, Any], shell: Shell) -> str:
        for name, version in phase.get("runtime-versions", {}).items():
            self._log.note(f"Selecting '{name}' runtime version '{version}': what is on PATH is used here")
        retry = _RETRY.fullmatch(phase.get("on-failure", ""))
        left = int(retry["count"] or _RETRIES) if retry else 0
        while True:
            message, output = self._run_commands(phase, shell)
            if not message or not retry or left == 0 or not re.search(retry["message"] or "", f"{message}\n{output}"):
                return message
            self._log.note(f"Retrying after: {message}")
            left -= 1

    def _run_commands(self, phase: Mapping[str, Any], shell: Shell) -> tuple[str, str]:
        """Run a phase's commands, then those of its ``finally``; why the first of either failed, with its output."""
        message = output = ""
        for commands in (phase.get("commands", []), phase.get("finally", [])):
            for command in commands:
                first, _, more = command.strip().partition("\n")
                self._log.note(f"Running command {first}{' ...' if more else ''}")
                code, printed = shell.run(command)
                if code:
                    why = f"exit status {code}" if code > 0 else f"signal {-code}"
                    problem = f"Error while executing command: {first}. Reason: {why}"
                    message, output = message or problem, output or printed
                    shell.set("CODEBUILD_BUILD_SUCCEEDING", "0")
                    break
        return message, output

    def _upload(self) -> str:
        """Reports and artifacts, each attempted whatever becomes of the others."""
        problems = [*self._read_reports(), *self._pack_artifacts()]
        return "; ".join(problems)

    def _read_reports(self) -> list[str]:
        problems = []
        for name, rules in self._document.get("reports", {}).items():
            kind = rules.get("file-format", reports.DEFAULT_FORMAT).upper()
            try:
                found = self._chosen(rules, "report")
                if kind == reports.DEFAULT_FORMAT:
                    self._reports[name] = reports.read_junit(found.items())
                else:
                    self._log.note(f"Report {name}: {len(found)} files of {kind}, which is not read here")
            except (artifacts.NoMatch, reports.UnreadableReport) as problem:
                problems.append(f"report {name}: {problem}")
        return problems

    def _pack_artifacts(self) -> list[str]:
        outputs, rules = self._build.outputs, self._document.get("artifacts")
        if not outputs:
            return []
        if rules is None:
            return [f"the buildspec has no artifacts, the action expects {', '.join(outputs)}"]
        wanted = {outputs[0]: rules} if len(outputs) == 1 else rules.get("secondary-artifacts", {})
        problems = [
            f"the action has several output artifacts, and secondary-artifacts lack {name}"
            for name in outputs
            if name not in wanted
        ]
        problems += [f"secondary-artifacts name {name}, which is no output" for name in wanted if name not in outputs]
        for name, rule in wanted.items():
            try:
                files = self._chosen(rule, "artifact")
            except artifacts.NoMatch as problem:
                problems.append(str(problem))
                continue
            keep_links = rule.get("enable-symlinks") in {True, "yes"}
            self._artifacts[name] = artifacts.pack(
                files, self._folder / "artifacts" / f"{name}.zip", keep_links=keep_links
            )
        return problems

    def _chosen(self, rules: Mapping[str, Any], what: str) -> dict[str, Path]:
        root = next(iter(self._sources.values()))
        return artifacts.chosen(root, rules, self._variables, self._log.note, what)

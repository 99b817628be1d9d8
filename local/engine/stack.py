"""One stack on this machine: the unchanged program and stack file, the real engine, the stand-in providers."""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import re
import runpy
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pulumi import RunError, automation
from semver import VersionInfo

from local.engine.lean import lean_run
from local.engine.messages import tidy, told
from local.engine.outcome import Outcome, State, Step
from local.engine.pulumi_cli import PulumiCli, find_pulumi
from local.engine.stand_ins import StandIns, StandInsHere
from local.engine.values import readable
from local.engine.vault import new_key, serving_vault
from local.errors import Refusal

ROOT = Path(__file__).parents[2]
"""The repository: where the program and its stack files are."""

_OWN_SECRETS = re.compile(r"^(encryptionsalt|encryptedkey|secretsprovider):.*\n?", re.MULTILINE)
_DROPPED = (automation.DiffKind.DELETE, automation.DiffKind.DELETE_REPLACE)
_STACK_TYPE = "pulumi:pulumi:Stack"
_FOREIGN = ("AWS_", "PULUMI_", "VAULT_")
"""Environment variables that would reach the user's own accounts and logins."""
_NOTHING = automation.UpdateSummary("", datetime.fromtimestamp(0, UTC), "", {}, {}, "")


class EngineFailure(Exception):  # noqa: N818 - the outcome of a run, like a failed test
    """The program, a provider or the engine refused or failed.

    Attributes:
        messages: what it said, each once.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("\n".join(messages) or "the engine failed without saying why")
        self.messages = tuple(messages)


class LocalStack:
    """A stack whose state lives in a folder of this machine.

    Args:
        name: the stack.
        project_dir: folder of the program, with its Pulumi.yaml.
        stack_file: its configuration, by default `Pulumi.<name>.yaml` in the project's folder. Never written to.
        state_dir: where its state is kept, by default `.local/engine/<name>` in the project's folder.
        pulumi: the CLI, by default found or built.
        stand_ins: the providers, by default in this process.

    Raises:
        Refusal: the stack file holds encrypted values, which cannot be opened here.
        MissingTool: there is no Pulumi CLI and no way to build it.
    """

    def __init__(
        self,
        name: str,
        *,
        project_dir: Path = ROOT,
        stack_file: Path | None = None,
        state_dir: Path | None = None,
        pulumi: PulumiCli | None = None,
        stand_ins: StandIns | None = None,
    ) -> None:
        self.name = name
        self.project_dir = project_dir.resolve()
        self.stack_file = (stack_file or self.project_dir / f"Pulumi.{name}.yaml").resolve()
        self.state_dir = (state_dir or self.project_dir / ".local" / "engine" / name).resolve()
        self.pulumi = pulumi or find_pulumi()
        self._stand_ins = stand_ins or StandInsHere()
        self._config = self.state_dir / "stack-file" / f"Pulumi.{name}.yaml"
        self._deployed = self.state_dir / "deployed.yaml"
        self._command = _Command(self.pulumi)

    @property
    def exists(self) -> bool:
        """Whether the stack has been previewed or deployed here and not been destroyed since."""
        return self._config.is_file()

    def preview(self, *, diff: bool = False, check: Callable[[], None] | None = None) -> Outcome:
        """Plan what `up` would do.

        Args:
            diff: tell of every value that changes, in the outcome's `text`.
            check: looks at the stack file while the engine starts; where it raises, the program is not run.

        Raises:
            EngineFailure: the program or a provider refused.
            Refusal: the check refused.
        """
        return self._run("preview", diff=diff, check=check)

    def up(self, *, diff: bool = False) -> Outcome:
        """Deploy; arguments and errors as for `preview`."""
        outcome = self._run("up", diff=diff)
        self._deployed.write_bytes(self.stack_file.read_bytes())
        return outcome

    def deployed(self) -> Mapping[str, object] | None:
        """What the stack file said when it was deployed the last time; nothing where that is not known.

        The state has the resources alone, and what a plan is made from is no longer what was deployed.
        """
        from components.settings import SettingsError, load_stack_file  # noqa: PLC0415 - not before the engine starts

        try:
            return load_stack_file(self._deployed)
        except SettingsError:
            return None

    def destroy(self, *, diff: bool = False) -> Outcome:
        """Delete everything, then the state itself; arguments and errors as for `preview`.

        What is protected is refused before anything is deleted, as by the CLI, which plans first.
        """
        protected = sorted(found["urn"].rpartition("::")[2] for found in self._resources() if found.get("protect"))
        if protected:
            told = f"{len(protected)} resources are protected, and nothing was deleted: {', '.join(protected)}."
            way_out = "To remove them set retention.protect to false in its file, deploy that, and destroy it then."
            raise EngineFailure([f"{told} {way_out}"])
        outcome = self._run("destroy", diff=diff)
        shutil.rmtree(self.state_dir)
        return outcome

    def graph(self) -> list[dict[str, Any]]:
        """Every resource of the deployed stack, with parent, dependencies, inputs and outputs.

        Returns:
            one JSON-able dictionary per resource, in the order they were made; empty if nothing is deployed.
        """
        return [
            {
                "urn": resource["urn"],
                "type": resource["type"],
                "name": resource["urn"].rpartition("::")[2],
                "custom": resource["custom"],
                "parent": resource.get("parent"),
                "dependencies": resource.get("dependencies", []),
                "protect": resource.get("protect", False),
                "inputs": readable(resource.get("inputs", {})),
                "outputs": readable(resource.get("outputs", {})),
            }
            for resource in self._resources()
        ]

    def outputs(self) -> dict[str, Any]:
        """The deployed stack's outputs; empty if nothing is deployed."""
        stack = next((resource for resource in self._resources() if resource["type"] == _STACK_TYPE), {})
        outputs: dict[str, Any] = readable(stack.get("outputs", {}))
        return outputs

    def _resources(self) -> list[dict[str, Any]]:
        """The resources of the state, as it is kept; values that are secret are sealed in it."""
        files = list((self.state_dir / "state" / ".pulumi" / "stacks").glob(f"*/{self.name}.json"))
        checkpoint = json.loads(files[0].read_text(encoding="utf-8"))["checkpoint"] if files else {}
        resources: list[dict[str, Any]] = (checkpoint.get("latest") or {}).get("resources") or []
        return resources

    def _run(self, operation: str, *, diff: bool, check: Callable[[], None] | None = None) -> Outcome:
        """Run one operation of the engine with the program in this process."""
        with self._surroundings(), lean_run(), contextlib.ExitStack() as ends:
            self._prepare()
            program = _Program(self.project_dir / "__main__.py", check)
            ends.callback(program.preparing.join)
            ports = ends.enter_context(self._stand_ins.serving(self._resources()))
            record = _Record()
            vault = ends.enter_context(serving_vault())
            stack = _Stack(self.name, self._workspace(program, ports, vault))
            run: Callable[..., automation.PreviewResult | automation.UpResult] = getattr(stack, operation)
            try:
                with _interrupts_left_to_the_engine():
                    result = run(
                        config_file=str(self._config),
                        color="never",
                        suppress_progress=True,
                        diff=diff,
                        on_event=record.take,
                    )
            except automation.CommandError as error:
                if program.refusal:
                    raise program.refusal from None
                if program.problem:
                    raise EngineFailure([program.problem]) from error
                raise EngineFailure(record.errors or [_said(error)]) from error
            seen = self._stand_ins.seen(self._resources())
            if seen.races:
                raise EngineFailure(seen.races)
        return record.outcome(result.stdout, seen.deployments)

    def _prepare(self) -> None:
        """Bring state and configuration into the state folder."""
        self._keep_no_log()
        settings = self.stack_file.read_text(encoding="utf-8")
        if re.search(r"^\s+secure:\s", settings, re.MULTILINE):
            raise Refusal(
                f"{self.stack_file.name}: holds an encrypted value (`secure:`), which cannot be opened without its key "
                "- keep secrets in Secrets Manager and write their ARNs here"
            )
        # The settings of the last run hold what opens the state's secrets, whatever the stack file was called.
        kept = _OWN_SECRETS.finditer(self._config.read_text(encoding="utf-8")) if self.exists else ()
        lines = "".join(line[0] for line in kept) or self._initialise()
        self._config.parent.mkdir(parents=True, exist_ok=True)
        # How the user's real stack keeps its secrets is no business of this one; everything else is taken over as is.
        unfinished = self.state_dir / "stack-file.new"
        unfinished.write_text(f"{_OWN_SECRETS.sub('', settings).rstrip()}\n{lines}", encoding="utf-8")
        unfinished.replace(self._config)

    def _keep_no_log(self) -> None:
        """Have the CLI write none of its own debugging logs, which take it a tenth of its time: it has no switch.

        It goes on without when it cannot make their folder, where now a file is:
        https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/cmd/pulumi/pulumi.go, "automatic logging unavailable".
        """
        logs = self.state_dir / "home" / "logs"
        if logs.is_dir():
            shutil.rmtree(logs)
        logs.parent.mkdir(parents=True, exist_ok=True)
        logs.touch()

    def _initialise(self) -> str:
        """Create the stack in an empty state folder, and return the lines of a stack file that open its secrets.

        As `pulumi stack init` does, which takes as long as a plan. Nothing is deployed before those lines are kept, so
        what is in the folder is the rest of an interrupted start.
        """
        shutil.rmtree(self.state_dir / "state", ignore_errors=True)
        project = yaml.safe_load((self.project_dir / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
        kept = self.state_dir / "state" / ".pulumi"
        (kept / "stacks" / project).mkdir(parents=True)
        (kept / "meta.yaml").write_text("version: 1\n", encoding="utf-8")
        state = {"version": 3, "checkpoint": {"stack": f"organization/{project}/{self.name}"}}
        (kept / "stacks" / project / f"{self.name}.json").write_text(json.dumps(state), encoding="utf-8")
        return new_key()

    def _workspace(self, program: _Program, ports: str, vault: Mapping[str, str]) -> _Workspace:
        return _Workspace(
            work_dir=str(self.project_dir),
            program=program,
            pulumi_command=self._command,
            env_vars={
                **vault,
                "GOGC": "400",  # the CLI collects less garbage: a sixth less work, for more memory
                "PULUMI_HOME": str(self.state_dir / "home"),
                "PULUMI_BACKEND_URL": (self.state_dir / "state").as_uri(),
                "PULUMI_CONFIG_PASSPHRASE": "",  # opens what an earlier version of this program has deployed
                "PULUMI_CREDENTIAL_STORE": "plaintext",
                "PULUMI_DEBUG_PROVIDERS": ports,
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
                "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
                # The state is written once, at the end: after each step it would cost more than the step.
                "PULUMI_SKIP_CHECKPOINTS": "true",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
        )

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        """The surroundings the program would have under `pulumi`, without the user's accounts and logins."""
        environment = dict(os.environ)
        path = list(sys.path)
        for key in environment:
            if key.startswith(_FOREIGN):
                del os.environ[key]
        sys.path.insert(0, str(self.project_dir))
        try:
            with contextlib.chdir(self.project_dir):
                yield
        finally:
            sys.path[:] = path
            os.environ.clear()
            os.environ.update(environment)


class _Program:
    """The program's file, run as Pulumi would run it, except that what stops it is kept to be told once.

    Left to itself, the engine tells it four times. While the engine starts, what the program imports is imported, and
    the stack file looked at: both take as long as the engine.

    Args:
        file: the program.
        check: raises a Refusal where the program need not run.

    Attributes:
        preparing: the thread that does so.
        refusal: why the program was not run.
        problem: what stopped it.
    """

    def __init__(self, file: Path, check: Callable[[], None] | None) -> None:
        self._file, self._check = file, check
        self.refusal: Refusal | None = None
        self.problem = ""
        self.preparing = threading.Thread(target=self._prepare)
        self.preparing.start()

    def _prepare(self) -> None:
        try:
            if self._check:
                self._check()
        except Refusal as refusal:
            self.refusal = refusal
            return
        # What is wrong with a module, or with the file, shows when the program is run.
        with contextlib.suppress(Exception):
            for name in _imports(self._file.read_text(encoding="utf-8")):
                importlib.import_module(name)

    def __call__(self) -> None:
        """Run the program; what stops it ends up in `problem`."""
        self.preparing.join()
        if self.refusal:
            raise RunError("the stack file is refused; why is told below")
        try:
            runpy.run_path(str(self._file), run_name="__main__")
        except RunError as error:
            self.problem = str(error)
            raise RunError("the program refused its settings; they are told below") from None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            frames = error.__traceback__
            while frames and frames.tb_frame.f_code.co_filename != str(self._file):
                frames = frames.tb_next
            self.problem = "".join(traceback.format_exception(type(error), error, frames)).rstrip()
            raise RunError("the program crashed; its traceback is below") from None


def _imports(program: str) -> Iterator[str]:
    """The modules that a program imports at its beginning."""
    for statement in ast.parse(program).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module


class _Command(automation.PulumiCommand):
    """A CLI whose version is known."""

    def __init__(self, pulumi: PulumiCli) -> None:
        # Not the original constructor: it starts the CLI to ask for the version that is known already.
        self.command = str(pulumi.path)
        self.version = VersionInfo.parse(pulumi.version)


class _Workspace(automation.LocalWorkspace):
    """A workspace that does not start the CLI to learn what is known."""

    def stack_outputs(self, stack_name: str) -> automation.OutputMap:
        """Leave the outputs to the engine's events, which have told them already."""
        del stack_name
        return {}


class _Stack(automation.Stack):
    """A stack that does not start the CLI to be selected, nor to read back its history."""

    def __init__(self, name: str, workspace: automation.Workspace) -> None:
        # Not the original constructor: it starts the CLI to select the stack, which every command names anyway.
        self.name = name
        self.workspace = workspace

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:
        """Say nothing: the engine's events have told everything."""
        del show_secrets
        return _NOTHING


class _Record:
    """What the engine's events tell about a run."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._steps: dict[tuple[str, str], Step] = {}
        self._messages: list[str] = []
        self._outputs: Mapping[str, Any] = {}

    def take(self, event: automation.EngineEvent) -> None:
        """Take in one event."""
        if event.resource_pre_event:
            self._take_step(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            metadata = event.res_outputs_event.metadata
            if metadata.type == _STACK_TYPE and metadata.new:
                self._outputs = readable(metadata.new.outputs)
        elif event.diagnostic_event and not event.diagnostic_event.ephemeral:
            self._take_message(event.diagnostic_event.severity, event.diagnostic_event.message)

    @property
    def errors(self) -> list[str]:
        """The errors, without what says nothing new."""
        return told(self._errors)

    def outcome(self, text: str, deployments: Iterable[str]) -> Outcome:
        """Everything told so far, what was printed meanwhile, and what ECS deploys by itself."""
        messages, deployed = tuple(dict.fromkeys(self._messages)), tuple(dict.fromkeys(deployments))
        return Outcome(tuple(self._steps.values()), self._outputs, messages, deployed, text)

    def _take_step(self, step: automation.StepEventMetadata) -> None:
        if step.type == _STACK_TYPE or step.type.startswith("pulumi:providers:"):
            return
        state = step.new or step.old
        self._steps[step.op, step.urn] = Step(
            op=str(getattr(step.op, "value", step.op)),
            urn=step.urn,
            type=step.type,
            name=step.urn.rpartition("::")[2],
            parent=state.parent if state else "",
            changed=tuple(step.detailed_diff or step.diffs or ()),
            dropped=tuple(path for path, diff in (step.detailed_diff or {}).items() if diff.diff_kind in _DROPPED),
            replaced_by=tuple(step.keys or ()),
            old=_state(step.old),
            new=_state(step.new),
        )

    def _take_message(self, severity: str, message: str) -> None:
        text = tidy(message)
        if severity == "error" and text not in self._errors:
            self._errors.append(text)
        elif severity in {"warning", "info"}:
            self._messages.append(text)


def _state(told: automation.StepEventStateMetadata | None) -> State | None:
    if told is None:
        return None
    return State(
        inputs=readable(told.inputs or {}),
        outputs=readable(told.outputs or {}),
        protected=bool(told.protect),
        retained=bool(told.retain_on_delete),
        id=told.id or "",
    )


@contextlib.contextmanager
def _interrupts_left_to_the_engine() -> Iterator[None]:
    """Let Ctrl-C reach the engine alone, which then stops in good order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _said(error: automation.CommandError) -> str:
    """The CLI's own words about why it failed."""
    text = str(error)
    return text.partition("stderr: ")[2].strip().removeprefix("error: ") or text

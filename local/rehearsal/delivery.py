"""One rehearsal, from an application to its report."""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import shlex
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from local.errors import MissingTool, Refusal
from local.npm import npm_cache
from local.rehearsal import tools
from local.rehearsal.account import check_places
from local.rehearsal.application import Source
from local.rehearsal.arguments import running_definitions
from local.rehearsal.base_images import PLATFORM, Provision, builds_of, needed, needed_by_tasks, provide
from local.rehearsal.breaking import break_app
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT
from local.rehearsal.hosting import Secrets, Visit
from local.rehearsal.interactive import open_shell
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.rehearsal import Options, Rehearsal, Stack
from local.rehearsal.report.collect import Rehearsed, collect
from local.rehearsal.report.model import BaseImage, Emulated, Phase, Sample, Traffic
from local.rehearsal.report.model import Rehearsal as Made
from local.rehearsal.report.outcome import outcome
from local.rehearsal.report.terminal import View, view
from local.rehearsal.resources import Graph, Repository, repositories_elsewhere, values_of
from local.rehearsal.results import ResultStore, is_deployment
from local.rehearsal.selection import place, up_to, wishes

_LIGHTHOUSE = ("chromium", "lighthouse")
_LIGHTHOUSE_PACKAGES = ROOT / "buildspecs" / "lighthouse"
_AGAIN = "To run the job again: python3 $JOBS_DIR/jobs.pyz JOB, as at the end of the log."
UNPROVEN = (
    "That AWS has room: quotas, capacity, the account's own policies and network are not emulated.",
    "That the connection to the Git provider is confirmed, and that a push or an upload reaches CodePipeline.",
    "That jobs find in AWS's build images what they find on this machine.",
    "Encryption keys and their policies, DNS, certificates, security groups and subnets.",
    "Times: waits are shortened, machines are others, and images are built for this machine's processor.",
)
"""What a rehearsal does not prove."""
EMULATED = tuple(
    Emulated(name=name, meaning=meaning)
    for name, meaning in {
        "AWS's APIs": "ministack on loopback; the roles' own policies decide, encryption keys do nothing",
        "CodePipeline, CodeBuild": "run here by AWS's rules; jobs find this machine's tools, not those of AWS's images",
        "ECR": "a registry under ECR's names, with its permissions and its immutable tags",
        "ECS, CodeDeploy, ELB": "containers behind HAProxy; waits take a hundredth of their time",
        "SNS": "messages go nowhere; the function that writes them is the program's own, under its role",
        "Git provider": "repository, and GitHub's releases, on loopback; nothing is published",
        "Processor": f"images are built for {PLATFORM}, whatever the stack files say",
    }.items()
)
"""What is emulated, and what that means."""


def look(options: argparse.Namespace, graphs: Mapping[str, Graph]) -> int:
    """Show the pipelines of stacks, and run nothing.

    Args:
        options: The command line, see `local.rehearsal.arguments`.
        graphs: What the stacks have deployed.

    Returns:
        0.
    """
    plan = {name: Deployed.of(graph) for name, graph in graphs.items()}
    if options.list:
        _print_list(plan)
    else:
        print(f"The pipelines: {_draw(plan, options)}")
    return 0


def deliver(
    options: argparse.Namespace,
    command: Sequence[str],
    graphs: Mapping[str, Graph],
    folder: Path,
    *,
    started: float,
    sandbox: JobSandbox | None,
) -> int:
    """Run the pipelines, and write down what came of it.

    Args:
        options: The command line, see `local.rehearsal.arguments`.
        command: The command line as it was given.
        graphs: What the stacks have deployed.
        folder: Where its files may be.
        started: When the rehearsal began.
        sandbox: The machine, if there was everything that it needs; else that is brought first.

    Returns:
        0 when everything was delivered, 1 when it was not.

    Raises:
        Refusal: Something has to be put right first.
    """
    check_places(graphs)
    plan, until = up_to({name: Deployed.of(graph) for name, graph in graphs.items()}, options.until or options.only)
    if options.begin:
        place(plan, options.begin)
    graphs = {name: graphs[name] for name in plan}
    first = next(iter(plan))
    branch = _branch(plan[first])
    secrets = _secrets(graphs, plan, until, options.secrets)
    running = _running(options, graphs)
    signs = any(deployed.signing_profiles for deployed in plan.values())
    wanted = (*tools.REHEARSAL, *(("notation",) if signs else ()))
    if sandbox is None or tools.missing(wanted):
        tools.check_machine()
        tools.bring(wanted)
    environment = _environment(plan.values())
    with contextlib.ExitStack() as ends:
        source = Source.of(options.app, folder / "application", branch=branch)
        _keep_out(options.secrets, options.app, source)
        if options.fault:
            source = source.changed(break_app(source.folder, options.fault))
        results = ResultStore(options.app, source.commit)
        wish = wishes(
            plan,
            results,
            fresh=options.fresh,
            retry=options.retry,
            begin=options.begin,
            only=options.only,
            keeps_services=options.keep,
        )
        mentions = [*needed(source.folder, builds_of(*plan.values())), *needed_by_tasks(graphs)]
        images = provide(
            list({each.name: each for each in mentions}.values()), given=options.image, network=options.network
        )
        shown = ends.enter_context(_view(plan, options))
        elsewhere = repositories_elsewhere(list(graphs.values()))
        shown.begin(f"{', then '.join(plan)}: {source.origin}", _facts(images, elsewhere))
        settings = Options(
            graphs=graphs,
            images=images,
            decide=lambda *asked: _decide(shown, *asked, approve=options.approve),
            network=options.network,
            environment=environment,
            results=results,
            wish=wish,
            until=until,
            secrets=secrets,
            running=running,
        )
        rehearsal = ends.enter_context(Rehearsal(settings, shown.changed, sandbox))
        visitors = {
            name: ends.enter_context(stack.hosting.visitor())
            for name, stack in rehearsal.stacks.items()
            if stack.hosting.balancer
        }
        rehearsal.push(first, source, variables=dict(options.variable))
        rehearsal.wait()
        # Now that everything has ended: with them come Jinja and Pydantic, which the start need not wait for.
        from local.rehearsal.report.saved import summary  # noqa: PLC0415 - as above
        from local.rehearsal.report.write import write  # noqa: PLC0415 - as above

        made = collect(
            options.app.resolve().name,
            [_rehearsed(stack, folder) for stack in rehearsal.stacks.values()],
            started=started,
            ended=time.time(),
            command=shlex.join(command),
            emulated=EMULATED,
            base_images=[BaseImage(reference=str(image.name), origin=image.origin) for image in images.images],
            traffic=[_traffic(rehearsal.stacks[name], list(visitor.visits)) for name, visitor in visitors.items()],
            permissions=rehearsal.permissions(),
            unproven=UNPROVEN,
            messages=rehearsal.messages(),
        )
        written = write(made, options.report)
        came = outcome(made)
        shown.end([*_told(made), came.headline, f"Report: {written}"])
        if options.json:
            print(json.dumps(summary(made), indent=2))
        if options.shell:
            _open_shell(rehearsal, folder)
        if options.keep:
            _keep(rehearsal)
    for problem in results.problems:
        print(problem, file=sys.stderr)
    results.tidy_up()
    return 0 if came.succeeded else 1


def _environment(pipelines: Collection[Deployed]) -> dict[str, str]:
    """What machines need for what the pipelines do."""
    projects = [project for deployed in pipelines for project in deployed.projects.values()]
    if not any("LIGHTHOUSE_LOCK" in [variable.name for variable in project.variables] for project in projects):
        return {}
    lines = tools.missing(_LIGHTHOUSE)
    if lines:
        raise MissingTool("\n".join(["Lighthouse is on, which needs:", *(f"  {line}" for line in lines)]))
    return {
        "npm_config_cache": str(npm_cache("lighthouse", _LIGHTHOUSE_PACKAGES)),
        "npm_config_prefer_offline": "true",
    }


def _branch(deployed: Deployed) -> str:
    """The branch that a pipeline's source action takes; empty for uploaded code, of which it knows no branch."""
    for action in deployed.actions:
        if action.provider == "S3":
            return ""
        if action.provider == "CodeStarSourceConnection":
            return action.configuration["BranchName"]
    raise Refusal(
        f"{deployed.pipeline} begins with an image, and not with code: rehearse it after the stack that promotes the "
        "image, as `make rehearse` does with dev and prod"
    )


def _secrets(
    graphs: Mapping[str, Graph], plan: Mapping[str, Deployed], until: Mapping[str, str], file: Path | None
) -> Secrets:
    """The secrets of what is deployed; none are needed by a stack that deploys nothing in this rehearsal."""
    deploying = {
        name: graphs[name]
        for name, deployed in plan.items()
        for _, groups in deployed.up_to(until.get(name, ""))
        if any(is_deployment(deployed, action) for group in groups for action in group)
    }
    return Secrets.of(deploying, file)


def _running(options: argparse.Namespace, graphs: Mapping[str, Graph]) -> dict[str, dict[str, Any]]:
    """What services run before, for stacks that name one which exists."""
    running = running_definitions(options)
    for name in running:
        if any(values_of(graphs.get(name, ()), "aws:ecs/service:Service")):
            raise Refusal(
                f"--running-task-definition of {name} has no effect: its service is made, not hosting.existing"
            )
    return running


def _keep_out(file: Path | None, application: Path, source: Source) -> None:
    """Refuse a file of secrets that would be delivered with the application."""
    if file and file.resolve().is_relative_to(application.resolve()):
        within = file.resolve().relative_to(application.resolve())
        if (source.folder / within).exists():
            raise Refusal(
                f"{file} would be delivered with the application: list it in .gitignore, or keep it elsewhere"
            )


def _view(plan: Mapping[str, Deployed], options: argparse.Namespace) -> View:
    return view(plan, stream=sys.stderr if options.json else sys.stdout, verbose=options.verbose)


def _facts(images: Provision, elsewhere: Sequence[Repository]) -> list[str]:
    width = max(len(part.name) for part in EMULATED)
    lines = [f"{part.name:<{width}}  {part.meaning}" for part in EMULATED]
    stand_ins = [image for image in images.images if image.stands_in]
    if stand_ins:
        named = "; ".join(f"{image.name}: {image.origin}" for image in stand_ins)
        lines.append(f"{'Base images':<{width}}  stand-ins, where there is no internet: {named}")
    if elsewhere:
        named = ", ".join(repository.name for repository in elsewhere)
        lines.append(f"{'Other stacks':<{width}}  {named}: made here, empty, and nothing starts when an image arrives")
    return lines


def _decide(shown: View, action: str, about: str, seconds: float, *, approve: bool) -> bool | None:
    """Ask a person, where there is one."""
    if approve:
        return True
    if not sys.stdin.isatty():
        raise Refusal("Nobody can be asked for an approval without a terminal; --approve says yes.")
    with shown.paused():
        print(f"{action} waits for an approval. {about}".strip(), "Approve? [y/N] ", sep="\n", end="", file=sys.stderr)
        if not select.select([sys.stdin], [], [], seconds)[0]:
            return None
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _rehearsed(stack: Stack, folder: Path) -> Rehearsed:
    def artifact(key: str) -> Path | None:
        return stack.runner.store.as_pipeline.get(key, folder / "artifacts" / stack.name / key)

    return Rehearsed(
        stack=stack.name,
        deployed=stack.deployed,
        executions=stack.runner.executions,
        reused=[run.identity for execution in stack.runner.executions for run in execution.actions if run.reused],
        artifact=artifact,
        service_url=stack.hosting.names[0] if stack.hosting.names else "",
    )


def _told(made: Made) -> list[str]:
    """What people would have been told, in lines."""
    return [line for each in made.messages for line in (*(f"| {part}" for part in each.text.splitlines()), "")]


def _traffic(stack: Stack, visits: Sequence[Visit]) -> Traffic:
    """What the client saw, and when deployments went on."""
    from components.engines.engine import DEPLOY_ACTION  # noqa: PLC0415 - Pulumi's SDK comes with it, and takes long

    samples = (Sample(at=visit.time, status=visit.status, version=visit.version, error=visit.error) for visit in visits)
    deploying = (
        run for execution in stack.runner.executions for run in execution.actions if run.action.name == DEPLOY_ACTION
    )
    phases = (Phase(name=run.action.name, started=run.started, ended=run.ended) for run in deploying)
    return Traffic(stack=stack.name, samples=tuple(samples), phases=tuple(phases))


def _print_list(plan: Mapping[str, Deployed]) -> None:
    for name, deployed in plan.items():
        print(f"{name}: {deployed.pipeline}, {deployed.execution_mode.lower()}")
        for stage, groups in deployed.stages.items():
            print(f"  {stage}")
            for group in groups:
                for action in group:
                    print(f"    {action.run_order}  {action.name:<24}{action.provider}")


def _draw(plan: Mapping[str, Deployed], options: argparse.Namespace) -> Path:
    """Draw the pipelines, without a run."""
    pipelines = [Rehearsed(stack=name, deployed=deployed, executions=()) for name, deployed in plan.items()]
    now = time.time()
    from local.rehearsal.report.page import page  # noqa: PLC0415 - only here, see above

    file = options.report / "pipelines.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(collect(options.app.resolve().name, pipelines, started=now, ended=now)), encoding="utf-8")
    return Path(file)


def _open_shell(rehearsal: Rehearsal, folder: Path) -> None:
    """Let a person work in the build that has failed, or say that none has."""
    for name, stack in rehearsal.stacks.items():
        for execution in stack.runner.executions:
            for run in execution.actions:
                scene = rehearsal.scene(run)
                if scene:
                    where = f"{name} / {run.action.stage} / {run.action.name}"
                    role = stack.deployed.project(run.action.name).role
                    title = f"{where}, as {role}. {_AGAIN} `exit` ends the rehearsal."
                    open_shell(scene, title, folder)
                    return
    print("No build has failed: there is nothing to open a shell in.", file=sys.stderr)


def _keep(rehearsal: Rehearsal) -> None:
    """Leave everything running until somebody has seen enough."""
    for name, stack in rehearsal.stacks.items():
        where = f"answers at {stack.hosting.url}" if stack.hosting.url else "runs, and has no load balancer"
        print(f"{name} {where}")
    print("Ctrl-C ends it.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()

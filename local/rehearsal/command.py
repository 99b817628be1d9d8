"""`python -m local rehearse`: the delivery of an application from a push to its release, on this machine."""

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

from components.engines.engine import DEPLOY_ACTION
from local.errors import MissingTool, Refusal
from local.npm import npm_cache
from local.rehearsal import tools
from local.rehearsal.application import Source
from local.rehearsal.arguments import stack_files
from local.rehearsal.base_images import PLATFORM, Provision, needed, provide
from local.rehearsal.breaking import break_app
from local.rehearsal.deployed import Deployed
from local.rehearsal.graphs import ROOT, deployed_graph
from local.rehearsal.hosting import Visit
from local.rehearsal.rehearsal import Options, Rehearsal, Stack, image_builds
from local.rehearsal.report.collect import Rehearsed, collect
from local.rehearsal.report.model import BaseImage, Emulated, Phase, Sample, Traffic
from local.rehearsal.report.outcome import outcome
from local.rehearsal.report.saved import summary
from local.rehearsal.report.terminal import View, view
from local.rehearsal.report.write import write
from local.rehearsal.temporary import everything_temporary_in, temporary_folder

_TOOLS = ("aws", "builder", "docker", "haproxy", "ministack", "namespaces")
_LIGHTHOUSE = ("chromium", "lighthouse")
_LIGHTHOUSE_PACKAGES = ROOT / "buildspecs" / "lighthouse"
UNPROVEN = (
    "That AWS has room: quotas, capacity, the account's own policies and network are not emulated.",
    "That the connection to GitHub is confirmed, and that a push reaches CodePipeline.",
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
        "GitHub": "repository and releases on loopback; nothing is published",
        "Processor": f"images are built for {PLATFORM}, whatever the stack files say",
    }.items()
)
"""What is emulated, and what that means."""


def rehearse(options: argparse.Namespace, command: Sequence[str]) -> int:
    """Rehearse a delivery.

    Args:
        options: The command line, see `local.rehearsal.arguments`.
        command: The command line as it was given.

    Returns:
        0 when everything was delivered, 1 when it was not.

    Raises:
        Refusal: Something has to be put right first.
    """
    started = time.time()
    graphs = {name: deployed_graph(name, file) for name, file in stack_files(options).items()}
    plan = {name: Deployed.of(graph) for name, graph in graphs.items()}
    if options.list:
        _print_list(plan)
        return 0
    first = next(iter(plan))
    branch = _branch(plan[first])
    plan[first].up_to(options.until)
    _check_tools()
    environment = _environment(plan.values())
    with contextlib.ExitStack() as ends:
        folder = ends.enter_context(temporary_folder("rehearsal-")).path
        ends.enter_context(everything_temporary_in(folder))
        source = Source.of(options.app, folder / "application", branch=branch)
        if options.fault:
            source = source.changed(break_app(source.folder, options.fault))
        images = provide(
            needed(source.folder, image_builds(plan.values())), given=options.image, network=options.network
        )
        shown = ends.enter_context(_view(plan, options))
        shown.begin(f"{', then '.join(plan)}: {source.origin}", _facts(images))
        settings = Options(
            graphs=graphs,
            images=images,
            decide=lambda *asked: _decide(shown, *asked, approve=options.approve),
            network=options.network,
            environment=environment,
        )
        rehearsal = ends.enter_context(Rehearsal(settings, shown.changed))
        visitors = {name: ends.enter_context(stack.hosting.visitor()) for name, stack in rehearsal.stacks.items()}
        rehearsal.push(first, source, variables=dict(options.variable), until=options.until)
        rehearsal.wait()
        made = collect(
            options.app.resolve().name,
            [_rehearsed(stack, folder) for stack in rehearsal.stacks.values()],
            started=started,
            ended=time.time(),
            command=shlex.join(command),
            emulated=EMULATED,
            base_images=[BaseImage(reference=str(image.name), origin=image.origin) for image in images.images],
            traffic=[_traffic(rehearsal.stacks[name], list(visitor.visits)) for name, visitor in visitors.items()],
            unproven=UNPROVEN,
        )
        written = write(made, options.report)
        came = outcome(made)
        shown.end([came.headline, f"Report: {written}"])
        if options.json:
            print(json.dumps(summary(made), indent=2))
        if options.keep:
            _keep(rehearsal)
    return 0 if came.succeeded else 1


def _check_tools() -> None:
    """Bring what is missing, if that can be."""
    if not tools.missing(_TOOLS):
        return
    tools.bring()
    left = tools.missing(_TOOLS)
    if left:
        raise MissingTool("\n".join(["A rehearsal needs:", *(f"  {line}" for line in left)]))


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
    """The branch that a pipeline's source action takes."""
    for action in deployed.actions:
        if action.provider == "CodeStarSourceConnection":
            return action.configuration["BranchName"]
    raise Refusal(
        f"{deployed.pipeline} begins with an image, and not with code: rehearse it after the stack that promotes the "
        "image, as `make rehearse` does with dev and prod"
    )


def _view(plan: Mapping[str, Deployed], options: argparse.Namespace) -> View:
    return view(plan, stream=sys.stderr if options.json else sys.stdout, verbose=options.verbose)


def _facts(images: Provision) -> list[str]:
    width = max(len(part.name) for part in EMULATED)
    lines = [f"{part.name:<{width}}  {part.meaning}" for part in EMULATED]
    stand_ins = [image for image in images.images if image.stands_in]
    if stand_ins:
        named = "; ".join(f"{image.name}: {image.origin}" for image in stand_ins)
        lines.append(f"{'Base images':<{width}}  stand-ins, where there is no internet: {named}")
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
        artifact=artifact,
        service_url=stack.hosting.names[0] if stack.hosting.names else "",
    )


def _traffic(stack: Stack, visits: Sequence[Visit]) -> Traffic:
    """What the client saw, and when deployments went on."""
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


def _keep(rehearsal: Rehearsal) -> None:
    """Leave everything running until somebody has seen enough."""
    for name, stack in rehearsal.stacks.items():
        print(f"{name} answers at {stack.hosting.url}")
    print("Ctrl-C ends it.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()

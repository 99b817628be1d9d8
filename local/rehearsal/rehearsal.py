"""The whole delivery on this machine: deployed stacks, and all that runs between a push and its release."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from local.rehearsal.account import Account
from local.rehearsal.actions.approval import Approval, Decide
from local.rehearsal.actions.code_build import CodeBuild
from local.rehearsal.actions.code_deploy import CodeDeployToEcs
from local.rehearsal.actions.connection import Connection
from local.rehearsal.actions.ecr import EcrSource
from local.rehearsal.actions.ecs import EcsAction
from local.rehearsal.application import Source
from local.rehearsal.base_images import PLATFORM, DockerBuild, Provision
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.codebuild import BuildHost, secret_and_key
from local.rehearsal.deployed import Deployed, Project
from local.rehearsal.egress import names_lead_out, way_out
from local.rehearsal.emulated import serving
from local.rehearsal.github import Commit, GitHub
from local.rehearsal.hosting import Hosting, Pace, Secrets, hosting_from_graph
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.pipeline import ActionProvider, ActionRun, ArtifactStore, Execution, PipelineRunner
from local.rehearsal.pipeline.store import Access
from local.rehearsal.pipeline.triggers import Arrivals, Push, Rule, push_event, reason_not_to_start, rules_of
from local.rehearsal.resources import Graph

_LOOK_SECONDS = 0.2
"""How often ECR is looked at for what has arrived."""
_EMULATED = ("ECS", "CLOUDWATCH_LOGS", "CODEDEPLOY", "CODEPIPELINE")
"""The services that are this project's own emulators, as the variables of the AWS CLI name them."""
_PATIENCE = 30.0
"""Seconds that an action has to end when everything around it has ended."""

Watch = Callable[[str, Execution, ActionRun | None], None]
"""Called with the stack's name when a run of its pipeline, or an action of it, has changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """One stack that is rehearsed.

    Attributes:
        name: Its name.
        deployed: Its pipeline.
        hosting: What it deploys to.
        runner: Runs it.
        rules: The rules that start it.
    """

    name: str
    deployed: Deployed
    hosting: Hosting
    runner: PipelineRunner
    rules: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What somebody wants of a rehearsal.

    Attributes:
        graphs: The deployed graph of each stack by its name, in the order in which a change travels.
        images: The base images that the application's builds fetch.
        decide: Asks a person about an approval.
        pace: How fast time passes.
        network: Whether the RUN lines of image builds reach the machine's network.
        environment: More environment variables of the machines that builds run on.
        secrets: What the application's containers read.
    """

    graphs: Mapping[str, Graph]
    images: Provision
    decide: Decide
    pace: Pace = field(default_factory=Pace)
    network: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)


def image_builds(pipelines: Iterable[Deployed]) -> list[DockerBuild]:
    """Return what the jobs of pipelines build images of."""
    projects = (project for deployed in pipelines for project in deployed.projects.values())
    return [build for build in map(_image_build, projects) if build]


def _image_build(project: Project) -> DockerBuild | None:
    """What a project builds an image of, as it and its buildspec say; ``None`` when it builds none."""
    given = {**project.defaults, **{variable.name: variable.value for variable in project.variables}}
    if "BUILD_ARGS" not in given:
        return None
    arguments = json.loads(given["BUILD_ARGS"])
    return DockerBuild(dockerfile=given["DOCKERFILE"], target=given["BUILD_TARGET"], arguments=arguments)


def docker_hub_caches(pipelines: Iterable[Deployed]) -> set[str]:
    """Return the pull-through caches that pipelines fetch Docker Hub's images through, as registry and prefix."""
    projects = (project for deployed in pipelines for project in deployed.projects.values())
    variables = (variable for project in projects for variable in project.variables)
    return {variable.value for variable in variables if variable.name == "DOCKER_HUB_CACHE_URI" and variable.value}


class Rehearsal:
    """Stacks whose pipelines can be run, for as long as the ``with`` block lasts.

    Attributes:
        sandbox: The machine that everything runs on.
        account: The AWS account.
        github: GitHub's API.
        stacks: The stacks by name.
    """

    def __init__(self, options: Options, watch: Watch) -> None:
        self._options, self._watch = options, watch
        self._ends = contextlib.ExitStack()
        self._over = threading.Event()
        self.stacks: dict[str, Stack] = {}

    def __enter__(self) -> Self:
        """Start everything, and make what the graphs declare."""
        with contextlib.ExitStack() as ends:
            self.sandbox = ends.enter_context(JobSandbox())
            self.account = Account(self.sandbox.aws, list(self._options.graphs.values()))
            self.github = ends.enter_context(GitHub(described=False, listener=self.sandbox.listen()))
            self._token = secrets.token_hex(20)
            self._images = ends.enter_context(
                self.sandbox.serving_images(
                    self._options.images, caches=docker_hub_caches(map(Deployed.of, self._options.graphs.values()))
                )
            )
            self._proxy = ends.enter_context(way_out(self.sandbox.enter)) if self._options.network else ""
            if self._options.network:
                ends.enter_context(names_lead_out(self.sandbox.holder))
            for name, graph in self._options.graphs.items():
                self.stacks[name] = self._stack(name, graph, ends)
            ends.enter_context(self._hearing_of_images())
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything that was started."""
        self._over.set()
        runs = [(stack.runner, execution) for stack in self.stacks.values() for execution in stack.runner.executions]
        for runner, execution in runs:
            runner.stop(execution)
        self._ends.close()
        for runner, execution in runs:
            runner.wait(execution, _PATIENCE)

    def push(
        self, stack: str, source: Source, *, variables: Mapping[str, str] | None = None, until: str = ""
    ) -> Execution:
        """Push a commit, which starts a stack's pipeline; if its filters keep that off, start it as a person does.

        Args:
            stack: The stack's name.
            source: The commit.
            variables: Pipeline variables that differ from their defaults, by name.
            until: The stage or the action after which the run ends; by default the last.

        Raises:
            Refusal: There is no such variable, stage or action.
        """
        found = self.stacks[stack]
        for action in found.deployed.actions:
            if action.provider == "CodeStarSourceConnection":
                source.publish(self.sandbox, action.configuration["FullRepositoryId"])
        history = [Commit(sha, message) for sha, message in source.history]
        for repository in self.github.repositories.values():
            repository.commits[:] = history
        pushed = Push(branch=source.branch, paths=source.changed_paths)
        reason = reason_not_to_start(found.deployed.triggers, pushed)
        trigger = f"By hand, since the push does not start it: {reason}" if reason else f"Push to {source.branch}"
        return found.runner.start(trigger, variables=variables, until=until)

    def wait(self) -> None:
        """Wait until no pipeline runs any more, those among them that images have started meanwhile."""
        while True:
            self._start_for_new_images()  # or wait until somebody who is about it has
            running = [
                (stack.runner, execution)
                for stack in self.stacks.values()
                for execution in stack.runner.executions
                if execution.ended is None
            ]
            if not running:
                return
            for runner, execution in running:
                runner.wait(execution, _LOOK_SECONDS)

    # What a stack is made of.

    def _stack(self, name: str, graph: Graph, ends: contextlib.ExitStack) -> Stack:
        deployed = Deployed.of(graph)
        self._keep_secrets(deployed)
        recorded = CodePipeline(deployed.pipeline, account=self.account.identity, region=self.account.region)
        hosting = ends.enter_context(
            hosting_from_graph(
                graph,
                self.sandbox,
                self.sandbox.folder / "hosting" / name,
                pace=self._options.pace,
                secrets=self._options.secrets,
            )
        )
        served = [hosting.ecs, hosting.logs, recorded, *((hosting.code_deploy,) if hosting.code_deploy else ())]
        address = ends.enter_context(
            serving(*served, policies_of=self.account.policies_of, listener=self.sandbox.listen())
        )
        services = {f"AWS_ENDPOINT_URL_{service}": address for service in _EMULATED}
        machines = _Machines(self.sandbox, {**self._options.environment, **services}, self._proxy)
        providers: dict[str, ActionProvider] = {
            "CodeStarSourceConnection": Connection(repositories=self.sandbox.repositories),
            "ECR": EcrSource(account=self.account),
            "CodeBuild": CodeBuild(account=self.account, machines=machines, differs=self._differs),
            "ECS": EcsAction(ecs=hosting.ecs, time_factor=self._options.pace.waits),
            "Manual": Approval(decide=self._options.decide),
        }
        if hosting.code_deploy:
            providers["CodeDeployToECS"] = CodeDeployToEcs(ecs=hosting.ecs, code_deploy=hosting.code_deploy)

        def watch(execution: Execution, run: ActionRun | None) -> None:
            if run is not None:
                recorded.remember(run)
            self._watch(name, execution, run)

        runner = PipelineRunner(deployed, providers, self._store(deployed), self.sandbox.folder / "runs" / name, watch)
        return Stack(name=name, deployed=deployed, hosting=hosting, runner=runner, rules=tuple(rules_of(graph)))

    def _store(self, deployed: Deployed) -> ArtifactStore:
        access = Access(
            bucket=deployed.artifact_bucket,
            pipeline=deployed.pipeline,
            role=deployed.role,
            client=self.account.client_as(deployed.role, "s3"),
            key=deployed.artifact_key,
        )
        return ArtifactStore(account=self.account.identity, region=self.account.region, as_pipeline=access)

    def _differs(self, project: Project) -> Mapping[str, str]:
        """What differs from AWS: which images build it, for which processor, and where GitHub is."""
        here = {**self._images, "GITHUB_API_URL": self.github.url, "PLATFORM": PLATFORM}
        return {name: value for name, value in here.items() if name in project.defaults}

    def _keep_secrets(self, deployed: Deployed) -> None:
        """Keep the token of this GitHub under each secret that the projects name."""
        for project in deployed.projects.values():
            for variable in project.variables:
                if variable.type == "SECRETS_MANAGER":
                    secret, key = secret_and_key(variable.value)
                    self.account.keep_secret(secret, json.dumps({key: self._token}) if key else self._token)
                    self._let_in(project)

    def _let_in(self, project: Project) -> None:
        """Have GitHub know the repository that a project releases, and the token."""
        repository = {item.name: item.value for item in project.variables}.get("GITHUB_REPOSITORY")
        if repository:
            self.github.repository(repository)
            self.github.token(self._token, **{repository: "write"})

    # Images that arrive.

    @contextlib.contextmanager
    def _hearing_of_images(self) -> Iterator[None]:
        repositories = {name for stack in self.stacks.values() for rule in stack.rules for name in rule.repositories}
        self._arrivals = Arrivals(self.account.client("ecr"), repositories)
        self._hearing = threading.Lock()

        def hear() -> None:
            while not self._over.wait(_LOOK_SECONDS):
                self._start_for_new_images()

        thread = threading.Thread(target=hear, name="EventBridge")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _start_for_new_images(self) -> None:
        """Start the pipelines whose rules match an image that has arrived."""
        with self._hearing:
            for repository, tag, digest in self._arrivals.new():
                event = push_event(self.account.identity, self.account.region, repository, tag, digest)
                for stack in self.stacks.values():
                    for rule in stack.rules:
                        if self._matches(rule, event):
                            self._start(stack, rule, event, f"Image {repository}:{tag}")

    def _matches(self, rule: Rule, event: Mapping[str, Any]) -> bool:
        """Whether EventBridge matches an event with the rule's pattern."""
        events = self.account.client("events")
        return bool(events.test_event_pattern(EventPattern=rule.pattern, Event=json.dumps(event))["Result"])

    def _start(self, stack: Stack, rule: Rule, event: Mapping[str, Any], trigger: str) -> None:
        account = self.account
        policies = stack.deployed.policies_of(rule.role)
        request = rule.request(event, policies, account=account.identity, region=account.region)
        revisions = {item["actionName"]: item["revisionValue"] for item in request["sourceRevisions"]}
        stack.runner.start(trigger, revisions)


class _Machines:
    """The sandbox's machines, which also know where this rehearsal's own services are.

    Those that build images reach the network through the proxy, if there is one.
    """

    def __init__(self, sandbox: JobSandbox, environment: Mapping[str, str], proxy: str) -> None:
        self._sandbox, self._environment, self._proxy = sandbox, environment, proxy

    def place(self, project: Project, credentials: Mapping[str, str], *, region: str) -> BuildHost:
        """Return a new machine."""
        proxy = self._proxy if _image_build(project) else ""
        return self._sandbox.place({**credentials, **self._environment}, region=region, proxy=proxy)

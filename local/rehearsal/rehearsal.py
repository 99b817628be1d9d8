"""The whole delivery on this machine: deployed stacks, and all that runs between a push and its release."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from local.rehearsal.account import Account, make_repositories_elsewhere, make_signing_profile
from local.rehearsal.actions.approval import Approval, Decide
from local.rehearsal.actions.code_build import CodeBuild
from local.rehearsal.actions.code_deploy import CodeDeployToEcs
from local.rehearsal.actions.connection import Connection
from local.rehearsal.actions.ecr import EcrSource
from local.rehearsal.actions.ecs import EcsAction
from local.rehearsal.actions.s3 import S3Source
from local.rehearsal.application import Source
from local.rehearsal.base_images import PLATFORM, Provision, build_of
from local.rehearsal.build_secrets import keep_build_secrets
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.codebuild import BuildHost, Scene, secret_and_key
from local.rehearsal.deployed import Action, Deployed, Project
from local.rehearsal.egress import names_lead_out, way_out
from local.rehearsal.emulated import Policies, granted, serving
from local.rehearsal.github import Commit, GitHub
from local.rehearsal.hosting import Hosting, Pace, Secrets, hosting_from_graph
from local.rehearsal.hosting.namespaces import Namespaces
from local.rehearsal.job_sandbox import JobSandbox, machine_for
from local.rehearsal.notifications import Notifications
from local.rehearsal.pipeline import ActionProvider, ActionRun, ArtifactStore, Execution, PipelineRunner
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed
from local.rehearsal.pipeline.store import Access
from local.rehearsal.pipeline.triggers import (
    Arrivals,
    Push,
    Rule,
    push_event,
    reason_not_to_start,
    revisions_of,
    rules_of,
    upload_event,
)
from local.rehearsal.report.model import Message, Permission
from local.rehearsal.resources import Graph, values_of
from local.rehearsal.results import Dependencies, Pushes, ResultStore, Reuse, Wish
from local.rehearsal.usage import permissions

_LOOK_SECONDS = 0.2
"""How often ECR is looked at for what has arrived."""
_EMULATED = ("ECS", "CLOUDWATCH_LOGS", "CODEDEPLOY", "CODEPIPELINE")
"""The services that are this project's own emulators, as the variables of the AWS CLI name them."""
_BEFORE_DEPLOYMENT = ("Source", "Build")
"""The stages whose actions reach the service by Amazon ECS's API, or not at all."""
_PATIENCE = 30.0
"""Seconds that an action has to end when everything around it has ended."""

T = TypeVar("T")
Watch = Callable[[str, Execution, ActionRun | None], None]
"""Called with the stack's name when a run of its pipeline, or an action of it, has changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """One stack that is rehearsed.

    Attributes:
        name: Its name.
        deployed: Its pipeline.
        account: Where it is.
        hosting: What it deploys to.
        runner: Runs it.
        rules: The rules that start it.
        notifications: Who is told of its runs.
        endpoints: The variables by which the AWS CLI and SDKs find the services that are emulated for it.
    """

    name: str
    deployed: Deployed
    account: Account
    hosting: Hosting
    runner: PipelineRunner
    rules: tuple[Rule, ...]
    notifications: Notifications
    endpoints: Mapping[str, str]


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
        results: Where results of actions are kept; by default nowhere.
        wish: Which of them are wanted, by stack.
        until: The stage or action after which runs end, by stack; by default the last.
        secrets: What the application's containers read.
        running: What services that exist run before, by stack; by default something made up.
    """

    graphs: Mapping[str, Graph]
    images: Provision
    decide: Decide
    pace: Pace = field(default_factory=Pace)
    network: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    results: ResultStore | None = None
    wish: Mapping[str, Wish] = field(default_factory=dict)
    until: Mapping[str, str] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)
    running: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def docker_hub_caches(pipelines: Iterable[Deployed]) -> set[str]:
    """Return the pull-through caches that pipelines fetch Docker Hub's images through, as registry and prefix."""
    projects = (project for deployed in pipelines for project in deployed.projects.values())
    variables = (variable for project in projects for variable in project.variables)
    return {variable.value for variable in variables if variable.name == "DOCKER_HUB_CACHE_URI" and variable.value}


class Rehearsal:
    """Stacks whose pipelines can be run, for as long as the ``with`` block lasts.

    Attributes:
        sandbox: The machine that everything runs on.
        github: GitHub's API.
        stacks: The stacks by name.
    """

    def __init__(self, options: Options, watch: Watch, sandbox: JobSandbox | None = None) -> None:
        """Describe it; `with` starts it.

        Args:
            options: What is wanted of it.
            watch: Is told what changes.
            sandbox: The machine, see `machine_for`, if it is there already; it ends with the rehearsal.
        """
        self._options, self._watch, self._given = options, watch, sandbox
        self._ends = contextlib.ExitStack()
        self._over = threading.Event()
        self._scenes: dict[str, Scene] = {}
        self._fault: Exception | None = None
        self.stacks: dict[str, Stack] = {}

    def __enter__(self) -> Self:
        """Start everything, and make what the graphs declare; what the first actions do not need, beside them."""
        with contextlib.ExitStack() as ends:
            self.sandbox = self._given or machine_for(self._options.graphs.values()).__enter__()
            ends.push(self.sandbox)
            apart = ends.enter_context(contextlib.ExitStack())
            beside = ends.enter_context(ThreadPoolExecutor(thread_name_prefix="start"))
            accounts = beside.map(lambda graph: Account(self.sandbox.aws, graph), self._options.graphs.values())
            self._namespaces = ends.enter_context(Namespaces(lambda: self.sandbox.holder))
            hostings = [self._hosting(name, graph, ends) for name, graph in self._options.graphs.items()]
            self.github = ends.enter_context(GitHub(described=False, listener=self.sandbox.listen()))
            self._token = secrets.token_hex(20)
            self._proxy = ends.enter_context(way_out(self.sandbox.enter)) if self._options.network else ""
            if self._options.network:
                ends.enter_context(names_lead_out(self.sandbox.holder))
            self._writer = ends.enter_context(ThreadPoolExecutor(1, "results"))
            if self._options.results:
                self._options.results.begin()
            graphs = self._options.graphs.items()
            for (name, graph), account, hosting in zip(graphs, accounts, hostings, strict=True):
                self.stacks[name] = self._stack(name, graph, account, hosting, ends)
            make_repositories_elsewhere(self.sandbox.aws, list(self._options.graphs.values()))
            images = self.sandbox.serving_images(
                self._options.images, caches=docker_hub_caches(map(Deployed.of, self._options.graphs.values()))
            )
            self.sandbox.start_engine()  # only now: a source action needs none, and there are few processors
            self._images = beside.submit(apart.enter_context, images)
            self._machine = beside.submit(self.sandbox.await_ready)
            self._steady = beside.submit(self._await_services)
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
        """Push or upload a commit, which starts a stack's pipeline; if nothing comes of it, start it as a person does.

        Args:
            stack: The stack's name.
            source: The commit.
            variables: Pipeline variables that differ from their defaults, by name.
            until: The stage or the action after which the run ends; by default that of the options, or the last.

        Raises:
            Refusal: There is no such variable, stage or action.
        """
        found = self.stacks[stack]
        until = until or self._options.until.get(stack, "")
        for action in found.deployed.actions:
            if action.provider == "S3":
                return self._upload(found, action, source, variables, until)
            if action.provider == "CodeStarSourceConnection":
                source.publish(self.sandbox, action.configuration["FullRepositoryId"])
        history = [Commit(sha, message) for sha, message in source.history]
        for repository in self.github.repositories.values():
            repository.commits[:] = history
        pushed = Push(branch=source.branch, paths=source.changed_paths)
        reason = reason_not_to_start(found.deployed.triggers, pushed)
        trigger = f"By hand, since the push does not start it: {reason}" if reason else f"Push to {source.branch}"
        return found.runner.start(trigger, variables=variables, until=until)

    def _upload(
        self, stack: Stack, action: Action, source: Source, variables: Mapping[str, str] | None, until: str
    ) -> Execution:
        """Upload an archive of a commit, as a CI elsewhere does; the bucket tells EventBridge if its owner says so."""
        bucket, key = action.configuration["S3Bucket"], action.configuration["S3ObjectKey"]
        account, name = stack.account, f"s3://{bucket}/{key}"
        content = source.archive(self.sandbox.folder / "uploads" / f"{stack.name}.zip").read_bytes()
        s3 = account.client("s3")
        put = s3.put_object(Bucket=bucket, Key=key, Body=content)
        uploaded = {"key": key, "size": len(content), "etag": put["ETag"].strip('"'), "version-id": put["VersionId"]}
        event = upload_event(account.identity, account.region, bucket, uploaded)
        if "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket):
            for rule in stack.rules:
                if self._matches(stack, rule, event):
                    return self._start(stack, rule, event, f"Upload of {name}", variables, until)
        return stack.runner.start(
            f"By hand, since no rule matches the upload of {name}", variables=variables, until=until
        )

    def wait(self) -> None:
        """Wait until no pipeline runs any more, those among them that images have started meanwhile.

        Raises:
            RuntimeError: Something that everything else needs did not start, or went wrong meanwhile.
            Exception: What the watcher raised, such as that nobody reads the output any more.
        """
        while True:
            self._check()
            running = self._running()
            if not running:
                # Only now: what has just ended may have pushed an image as its last deed.
                self._start_for_new_images()  # or wait until somebody who is about it has
                running = self._running()
            if not running:
                self._check()
                return
            for runner, execution in running:
                runner.wait(execution, _LOOK_SECONDS)

    def _running(self) -> list[tuple[PipelineRunner, Execution]]:
        return [
            (stack.runner, execution)
            for stack in self.stacks.values()
            for execution in stack.runner.executions
            if execution.ended is None or not stack.runner.wait(execution, 0)  # until everybody has been told
        ]

    def permissions(self) -> list[Permission]:
        """Return the permissions of the roles that were at work, and which were used."""
        used, granted = self.sandbox.aws.used(), dict[str, Policies]()
        for stack in self.stacks.values():
            granted |= stack.account.roles
            for role, policies in [*stack.account.roles.items(), *stack.deployed.roles.items()]:
                used.setdefault(role, set()).update(policies.used)
        return list(permissions(granted, used))

    def messages(self) -> list[Message]:
        """Return what people would have been told, stack by stack, when that of each run's end is among it."""
        for stack in self.stacks.values():
            for execution in stack.runner.executions:
                stack.runner.wait(execution, _PATIENCE)
        return [message for stack in self.stacks.values() for message in stack.notifications.messages]

    def scene(self, run: ActionRun) -> Scene | None:
        """Return where the commands of a failed build have ended; ``None`` when there were none."""
        return self._scenes.get(run.identity)

    # What starts beside the first actions.

    def _await_services(self) -> None:
        """Wait until the services of all stacks have their first tasks."""
        self.sandbox.await_engine()
        for stack in self.stacks.values():
            stack.hosting.await_first()

    def _started(self, what: Future[T]) -> T:
        """Return what an action needs of the start when it is there; `wait` tells if it does not come."""
        try:
            return what.result()
        except Exception:  # noqa: BLE001 - it is told by the one who waits for the runs, and ends them all
            raise ActionFailed("The rehearsal has not started as a whole.") from None

    def _check(self) -> None:
        for what in (self._images, self._machine, self._steady):
            if what.done():
                what.result()
        for stack in self.stacks.values():
            self._fault = self._fault or stack.runner.fault
        if self._fault:
            raise self._fault

    # What a stack is made of.

    def _hosting(self, name: str, graph: Graph, ends: contextlib.ExitStack) -> Hosting:
        folder = self.sandbox.folder / "hosting" / name
        hosting = hosting_from_graph(
            graph,
            self.sandbox,
            folder,
            pace=self._options.pace,
            secrets=self._options.secrets,
            wait=False,
            running=self._options.running.get(name),
            namespaces=self._namespaces,
        )
        return ends.enter_context(hosting)

    def _stack(self, name: str, graph: Graph, account: Account, hosting: Hosting, ends: contextlib.ExitStack) -> Stack:
        deployed = Deployed.of(graph)
        self._keep_secrets(deployed, account)
        recorded = CodePipeline(deployed.pipeline, account=account.identity, region=account.region)
        served = [hosting.ecs, hosting.logs, recorded, *((hosting.code_deploy,) if hosting.code_deploy else ())]
        address = ends.enter_context(serving(*served, caller_of=account.caller_of, listener=self.sandbox.listen()))
        services = {f"AWS_ENDPOINT_URL_{service}": address for service in _EMULATED}
        environment = {**self._options.environment, **services}
        machines = _Machines(self.sandbox, environment, self._proxy, lambda: self._started(self._machine))
        providers: dict[str, ActionProvider] = {
            "CodeStarSourceConnection": Connection(repositories=self.sandbox.repositories),
            "ECR": EcrSource(account=account),
            "S3": S3Source(account=account),
            "CodeBuild": CodeBuild(account=account, machines=machines, differs=self._differs, scenes=self._scenes),
            "ECS": EcsAction(
                ecs=hosting.ecs,
                time_factor=self._options.pace.waits,
                least_seconds=self._options.pace.least_patience,
            ),
            "Manual": Approval(decide=self._options.decide),
        }
        if hosting.code_deploy:
            providers["CodeDeployToECS"] = CodeDeployToEcs(ecs=hosting.ecs, code_deploy=hosting.code_deploy)

        providers = {each: OnceSteady(runs, lambda: self._started(self._steady)) for each, runs in providers.items()}
        if self._options.results:
            reuse = self._reuse(name, graph, deployed, account, self._options.results)
            providers = {each: reuse.around(provider) for each, provider in providers.items()}

        self._keep_status_token(graph, deployed, account)
        notifications = Notifications(name, graph, account, served, self.github.url_here)

        def watch(execution: Execution, run: ActionRun | None) -> None:
            recorded.remember(run, execution)
            if run is not None and run.ended is not None and run.action.project and run.external_id:
                hosting.logs.keep(f"/aws/codebuild/{run.action.project}", run.external_id.partition(":")[2], run.log)
            notifications.hear(deployed.pipeline, execution, run)
            self._watch(name, execution, run)

        runner = PipelineRunner(
            deployed, providers, self._store(deployed, account), self.sandbox.folder / "runs" / name, watch
        )
        recorded.runner = runner
        return Stack(
            name=name,
            deployed=deployed,
            account=account,
            hosting=hosting,
            runner=runner,
            rules=tuple(rules_of(graph)),
            notifications=notifications,
            endpoints=services,
        )

    def _reuse(self, name: str, graph: Graph, deployed: Deployed, account: Account, results: ResultStore) -> Reuse:
        options = self._options
        base_images = {str(image.name): image.content.digest for image in options.images.images}
        return Reuse(
            name,
            deployed,
            Dependencies(
                graph,
                deployed,
                base_images,
                options.secrets.fingerprint,
                network=options.network,
                environment=options.environment,
                running=options.running.get(name),
            ),
            results,
            Pushes(self.sandbox, results.images),
            lambda store, artifact, file: store.as_role("root", account.client("s3")).put(artifact, file),
            options.wish.get(name, Wish()),
            self._writer,
        )

    @staticmethod
    def _store(deployed: Deployed, account: Account) -> ArtifactStore:
        access = Access(
            bucket=deployed.artifact_bucket,
            pipeline=deployed.pipeline,
            role=deployed.role,
            client=account.client_as(deployed.role, "s3"),
            key=deployed.artifact_key,
        )
        return ArtifactStore(account=account.identity, region=account.region, as_pipeline=access)

    def _differs(self, project: Project) -> Mapping[str, str]:
        """What differs from AWS: which images build it, for which processor, and where GitHub is."""
        here = {**self._started(self._images), "GITHUB_API_URL": self.github.url, "PLATFORM": PLATFORM}
        return {name: value for name, value in here.items() if name in project.defaults}

    def _keep_secrets(self, deployed: Deployed, account: Account) -> None:
        """Keep the token of this GitHub under each secret that the projects name."""
        for project in deployed.projects.values():
            for variable in project.variables:
                if variable.type == "SECRETS_MANAGER":
                    secret, key = secret_and_key(variable.value)
                    account.keep_secret(secret, json.dumps({key: self._token}) if key else self._token)
                    self._let_in(project)
        keep_build_secrets(deployed.projects.values(), account, self._options.secrets)
        for profile in deployed.signing_profiles:
            make_signing_profile(self.sandbox.aws, profile)

    def _keep_status_token(self, graph: Graph, deployed: Deployed, account: Account) -> None:
        """Keep the token of the function that shows runs on GitHub, which does nothing else unless a job has it too."""
        variables = [variable for project in deployed.projects.values() for variable in project.variables]
        taken = {secret_and_key(each.value)[0] for each in variables if each.type == "SECRETS_MANAGER"}
        for called in values_of(graph, "aws:lambda/function:Function"):
            given = called["environment"]["variables"]
            if repository := given.get("GITHUB_REPOSITORY"):
                secret, key, access = given["TOKEN_SECRET"], given.get("TOKEN_KEY"), "statuses deployments"
                token, access = (self._token, f"write {access}") if secret in taken else (secrets.token_hex(20), access)
                account.keep_secret(secret, json.dumps({key: token}) if key else token)
                self.github.repository(repository)
                self.github.token(token, **{repository: access})

    def _let_in(self, project: Project) -> None:
        """Have GitHub know the repository that a project releases, and the token."""
        repository = {item.name: item.value for item in project.variables}.get("GITHUB_REPOSITORY")
        if repository:
            self.github.repository(repository)
            self.github.token(self._token, **{repository: "write"})

    # Images that arrive.

    @contextlib.contextmanager
    def _hearing_of_images(self) -> Iterator[None]:
        self._arrivals = {
            name: Arrivals(stack.account.client("ecr"), (known for rule in stack.rules for known in rule.repositories))
            for name, stack in self.stacks.items()
        }
        self._hearing = threading.Lock()

        def hear() -> None:
            try:
                while not self._over.wait(_LOOK_SECONDS):
                    self._start_for_new_images()
            except Exception as error:  # noqa: BLE001 - it is told by the one who waits for the runs
                self._fault = error

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
            for name, stack in self.stacks.items():
                for repository, tag, digest in self._arrivals[name].new():
                    event = push_event(stack.account.identity, stack.account.region, repository, tag, digest)
                    for rule in stack.rules:
                        if self._matches(stack, rule, event):
                            until = self._options.until.get(name, "")
                            self._start(stack, rule, event, f"Image {repository}:{tag}", None, until)

    @staticmethod
    def _matches(stack: Stack, rule: Rule, event: Mapping[str, Any]) -> bool:
        """Whether EventBridge matches an event with the rule's pattern."""
        events = stack.account.client("events")
        return bool(events.test_event_pattern(EventPattern=rule.pattern, Event=json.dumps(event))["Result"])

    @staticmethod
    def _start(
        stack: Stack,
        rule: Rule,
        event: Mapping[str, Any],
        trigger: str,
        variables: Mapping[str, str] | None,
        until: str,
    ) -> Execution:
        account = stack.account
        policies = stack.deployed.policies_of(rule.role)
        request = rule.request(event, policies, account=account.identity, region=account.region)
        revisions = revisions_of(request, stack.deployed)
        return stack.runner.start(trigger, revisions, variables=variables, until=until)


@dataclass(frozen=True, slots=True)
class OnceSteady:
    """A provider whose actions begin when the service is steady, unless they have nothing to do with it."""

    provider: ActionProvider
    await_steady: Callable[[], None]

    def run(self, context: ActionContext) -> Completed:
        """Carry out an action."""
        if _looks_at_the_service(context.deployed, context.action):
            self.await_steady()
        return self.provider.run(context)


def _looks_at_the_service(deployed: Deployed, action: Action) -> bool:
    """Whether an action may see what state the service is in: by what it is for, or by what its project's role may."""
    if action.stage not in _BEFORE_DEPLOYMENT:
        return True
    project = deployed.projects.get(action.project)
    policies = deployed.policies_of(project.role) if project else ()
    return any(name.startswith("ecs:") for name, _ in granted(policies))


class _Machines:
    """The sandbox's machines, which also know where this rehearsal's own services are.

    Those that build images reach the network through the proxy, if there is one.
    """

    def __init__(
        self, sandbox: JobSandbox, environment: Mapping[str, str], proxy: str, await_ready: Callable[[], None]
    ) -> None:
        self._sandbox, self._environment, self._proxy = sandbox, environment, proxy
        self._await_ready = await_ready

    def place(self, project: Project, credentials: Mapping[str, str], *, region: str) -> BuildHost:
        """Return a new machine."""
        self._await_ready()
        proxy = self._proxy if build_of(project) else ""
        return self._sandbox.place({**credentials, **self._environment}, region=region, proxy=proxy)

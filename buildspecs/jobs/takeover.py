"""Taking over a service that exists: what it runs is the base, and what the stack file states is put into it.

Nothing is registered or changed here. What does not fit is reported at once, all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from jobs import ecs_service, job, task_definition

PLACEHOLDER = "<IMAGE1_NAME>"
"""What AWS's tutorial writes for the image: it is replaced, as whatever else the named container has.

https://docs.aws.amazon.com/codepipeline/latest/userguide/tutorials-ecs-ecr-codedeploy.html
"""
ENGINES = {"ECS": "ecs", "CODE_DEPLOY": "codeDeploy"}
FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")
ARCHITECTURES = {"linux/arm64": ("ARM64", "arm64"), "linux/amd64": ("X86_64", "x86_64")}
ON_FARGATE = "X86_64"
"""The processor of a task on Fargate whose definition names none.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html#runtime-platform
"""
STATED_KEYS = {
    "cpu": "application.cpu",
    "memory": "application.memory",
    "command": "application.command",
    "user": "application.user",
    "readonlyRootFilesystem": "application.readOnlyRootFilesystem",
    "executionRoleArn": "hosting.existing.executionRole",
    "taskRoleArn": "hosting.existing.taskRole",
}
"""The key of the stack file that states a property of the task definition."""
ROLES = ("executionRoleArn", "taskRoleArn")
LOGIN = "repositoryCredentials"
"""The secret with the login of a registry that is not Amazon ECR."""


class Wanted(NamedTuple):
    """What the program says of the service.

    Attributes:
        stack: The stack whose file says it.
        cluster: The cluster's name.
        service: The service's name.
        container: The container whose image is delivered.
        port: The port of the application.
        controller: The deployment controller that the engine needs: ECS or CODE_DEPLOY.
        platform: What the image is built for.
        file: The task definition file of the application's repository; empty for what the service runs.
        agreed: Whether the stack file agrees to changes of what runs.
        image_only: Whether the deployment ships the image and nothing else.
        repository: Where the pipeline pushes the image to.
    """

    stack: str
    cluster: str
    service: str
    container: str
    port: str
    controller: str
    platform: str
    file: str
    agreed: bool
    image_only: bool
    repository: str

    def config(self, verb: str, key: str) -> str:
        """Return the command that sets or removes a key of the stack file, up to its value."""
        return f"pulumi config {verb} --stack {self.stack} --path 'ecs-delivery:{key}'"

    @property
    def then(self) -> str:
        """What follows an edit of the stack file."""
        return f"Then run `pulumi up --stack {self.stack}` and retry this action."


class Running(NamedTuple):
    """What the service runs.

    Attributes:
        service: The service, as ECS describes it.
        task_set: The task set that serves, where CodeDeploy deploys; else the service again. It says all of where it
            runs, and the service may say what is no longer so.
        arn: The revision.
        definition: The task definition, as ECS registers it.
    """

    service: dict[str, Any]
    task_set: dict[str, Any]
    arn: str
    definition: dict[str, Any]

    @property
    def family(self) -> str:
        """The family of the revision."""
        return self.arn.rpartition("/")[2].rpartition(":")[0]

    def containers(self, name: str) -> list[dict[str, Any]]:
        """The container of this name; none where it has another one."""
        return [part for part in self.definition["containerDefinitions"] if part.get("name") == name]

    def is_delivered(self, container: str, repository: str, family: str) -> bool:
        """Return whether the pipeline has registered what runs: the family is its own, and the image its repository's.

        Either may be so before the first run: a family may have the stack's name, and a repository other writers.
        """
        images = [str(part.get("image")) for part in self.containers(container)]
        return self.family == family and any(image.startswith((f"{repository}@", f"{repository}:")) for image in images)

    @property
    def launch_type(self) -> str:
        """EC2, FARGATE, EXTERNAL or MANAGED_INSTANCES; empty for capacity providers that somebody has made."""
        providers = [entry["capacityProvider"] for entry in self.task_set.get("capacityProviderStrategy") or ()]
        if providers:
            return "FARGATE" if all(name in FARGATE_PROVIDERS for name in providers) else ""
        return str(self.task_set.get("launchType") or "")

    @property
    def balancers(self) -> list[tuple[str, str]]:
        """The containers and ports that load balancers send traffic to."""
        found = self.task_set.get("loadBalancers") or ()
        return [(str(entry.get("containerName")), str(entry.get("containerPort"))) for entry in found]

    def appspec(self) -> dict[str, Any]:
        """Return what a deployment of CodeDeploy is told of the task set that serves, so that the next one is like it.

        https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
        """
        properties: dict[str, Any] = {}
        if strategy := self.task_set.get("capacityProviderStrategy"):
            properties["CapacityProviderStrategy"] = [
                {key[0].upper() + key[1:]: value for key, value in entry.items()} for entry in strategy
            ]
        if self.task_set.get("platformVersion"):
            properties["PlatformVersion"] = self.task_set.get("platformVersion")
        network = (self.task_set.get("networkConfiguration") or {}).get("awsvpcConfiguration")
        if network:
            own = {key[0].upper() + key[1:]: value for key, value in network.items()}
            properties["NetworkConfiguration"] = {"AwsvpcConfiguration": own}
        return properties


def look(wanted: Wanted) -> Running:
    """Return what the service runs; ends the job when there is no such service."""
    command = ("ecs", "describe-services", "--cluster", wanted.cluster, "--services", wanted.service)
    services = job.aws("Look up the service", *command)["services"]
    if not services or services[0].get("status", "ACTIVE") != "ACTIVE":
        job.fail(f"the cluster {wanted.cluster} has no active service {wanted.service}.")
    service = dict(services[0])
    task_set = ecs_service.serving(service)
    if _controller(service) not in ENGINES:
        _refuse([*_service_problems(wanted, service)])
    if not task_set.get("taskDefinition"):  # what CodeDeploy deploys has it in its task sets alone
        _refuse(
            [*_service_problems(wanted, service), f"{wanted.service} has no primary task set: it serves nobody yet"]
        )
    arn = str(task_set["taskDefinition"])
    look_up = ("ecs", "describe-task-definition", "--task-definition", arn, "--include", "TAGS")
    described = job.aws("Look up what it runs, with its tags", *look_up)
    return Running(service, task_set, arn, task_definition.as_registered(described))


def definition(wanted: Wanted, running: Running, stated: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be registered, still with the base's image; ends the job with all that does not fit.

    Args:
        wanted: What the program says of the service.
        running: What it runs.
        stated: What the stack file states, and the roles that may be passed, as a task definition.
        file: The task definition of the commit, as it is registered; empty when what runs is the base.
    """
    base = file if wanted.file else running.definition
    names = [part.get("name") for part in base.get("containerDefinitions", []) if isinstance(part, dict)]
    problems = [*_service_problems(wanted, running.service)]
    if wanted.container not in names:
        problems.append(
            f"{_base(wanted, running)} has no container {wanted.container!r}; it has {', '.join(map(repr, names))}: "
            f"{wanted.config('set', 'application.containerName')} {names[0] if names else 'NAME'}"
        )
        _refuse(problems)
    roles = {key: stated[key] for key in ROLES if stated.get(key)}
    given = {key: value for key, value in stated.items() if key not in (*ROLES, "family", "tags")}
    # A role of the base is kept; where it has none, the one that is named is put in.
    given.update({key: value for key, value in roles.items() if not base.get(key)})
    made = task_definition.with_stated(base, given, wanted.container)
    problems += _login_problems(wanted, running, made)
    problems += [*_definition_problems(wanted, running, made), *_role_problems(wanted, made, roles)]
    if problems:
        _refuse(problems)
    _agree(wanted, running, made, given, family=str(stated["family"]))
    made["family"] = stated["family"]
    return made


def _refuse(problems: list[str]) -> None:
    """End the job with all of them."""
    lines = "\n".join(f"  - {problem}" for problem in problems)
    job.fail(f"the service cannot be taken over as it is, and nothing was registered:\n{lines}")


def _base(wanted: Wanted, running: Running) -> str:
    """Say which task definition is the base."""
    return wanted.file or f"the running revision {running.arn.rpartition('/')[2]}"


def _controller(service: dict[str, Any]) -> str:
    """Return who deploys the service."""
    return str(service.get("deploymentController", {}).get("type", "ECS"))


def _service_problems(wanted: Wanted, service: dict[str, Any]) -> Iterator[str]:
    controller = _controller(service)
    if controller != wanted.controller:
        engine = ENGINES.get(controller)
        fix = (
            f"{wanted.config('set', 'deploy.engine')} {engine}"
            if engine
            else "this program deploys services of the controllers ECS and CODE_DEPLOY"
        )
        has = f"{wanted.service} has the deployment controller {controller}"
        yield f"{has}, the engine needs {wanted.controller}: {fix}"


def _definition_problems(wanted: Wanted, running: Running, made: dict[str, Any]) -> Iterator[str]:
    """Yield what ECS would refuse, or start and see fail, of the definition that is to be registered."""
    launch, compatible = running.launch_type, made.get("requiresCompatibilities") or []
    base = _base(wanted, running)
    if launch and compatible and launch not in compatible:
        yield (
            f"{wanted.service} runs on {launch}, {base} is for {' and '.join(compatible)}: "
            f"add {launch} to its requiresCompatibilities"
        )
    platform = made.get("runtimePlatform") or {}
    system = platform.get("operatingSystemFamily", "LINUX")
    if system != "LINUX":
        yield f"{base} runs on {system}, and this pipeline builds images for LINUX alone"
    processor = platform.get("cpuArchitecture") or (ON_FARGATE if launch == "FARGATE" else "")
    built, _ = ARCHITECTURES[wanted.platform]
    if processor and processor != built:
        key = next((key for name, key in ARCHITECTURES.values() if name == processor), processor)
        yield (
            f"the image is built for {built}, {base} runs on {processor}"
            f"{'' if platform.get('cpuArchitecture') else ', as Fargate does when nothing is said'}: "
            f"{wanted.config('set', 'application.architecture')} {key}"
        )
    elif not processor:
        job.say(f"{base} names no processor: whether the instances are {built}, as the image is, is not checked")
    yield from _port_problems(wanted, running, made)
    for part in made["containerDefinitions"]:
        image = str(part.get("image") or "")
        if part.get("name") != wanted.container and (not image or image.startswith("<")):
            said = f"the placeholder {image}" if image else "no image"
            built = f"only the image of {wanted.container!r} is built"
            yield f"{base} has {said} for the container {part.get('name')!r}, and {built}"


def _port_problems(wanted: Wanted, running: Running, made: dict[str, Any]) -> Iterator[str]:
    mapped = {
        (str(part.get("name")), str(mapping.get("containerPort")))
        for part in made["containerDefinitions"]
        for mapping in part.get("portMappings", [])
    }
    for name, port in running.balancers:
        if (name, port) not in mapped:
            yield (
                f"the load balancer of {wanted.service} sends traffic to port {port} of the container {name!r}, which "
                f"{_base(wanted, running)} does not map"
            )
    ports = [port for name, port in running.balancers if name == wanted.container]
    if ports and wanted.port not in ports:
        yield (
            f"the load balancer of {wanted.service} sends traffic to port {' and '.join(ports)} of "
            f"{wanted.container!r}, not to {wanted.port}: "
            f"{wanted.config('set', 'application.port')} {ports[0]}"
        )
    elif running.balancers and not ports:
        others = " and ".join(f"port {port} of {name!r}" for name, port in running.balancers)
        job.say(f"users reach {others}; the image that is delivered is that of {wanted.container!r}")


def _role_problems(wanted: Wanted, made: dict[str, Any], roles: dict[str, Any]) -> Iterator[str]:
    """Yield roles of the definition that the pipeline may not pass, because the stack file does not name them."""
    for key in ROLES:
        arn = str(made.get(key) or "")
        named = str(roles.get(key) or "")
        # A task definition may name a role by its name alone.
        if arn and arn != named and not (":" not in arn and named.rpartition("/")[2] == arn):
            yield (
                f"the task definition has the {'execution' if key == 'executionRoleArn' else 'task'} role {arn}, "
                f"which the pipeline may pass only when the stack file names it"
                f"{f' in place of {named}' if named else ''}: "
                f"{wanted.config('set', STATED_KEYS[key])} {arn}"
            )


def _login_problems(wanted: Wanted, running: Running, made: dict[str, Any]) -> list[str]:
    """Take the login of another registry from the container, whose image is one of Amazon ECR's from now on.

    ECS would log in to ECR with it, and no task would start. The Amazon ECS action keeps what runs, the login too:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html
    """
    own = next(part for part in made["containerDefinitions"] if part.get("name") == wanted.container)
    if own.pop(LOGIN, None):
        job.say(f"{wanted.container!r} loses its {LOGIN}: Amazon ECR, where its image comes from, needs none")
    if not wanted.image_only or not any(part.get(LOGIN) for part in running.containers(wanted.container)):
        return []
    pulls = f"{wanted.service} pulls the image of {wanted.container!r} with {LOGIN}"
    keeps = "which the Amazon ECS action would keep, and with which no image of Amazon ECR can be pulled"
    return [f"{pulls}, {keeps}: {wanted.config('set', 'deploy.engine')} ecs"]


def _agree(wanted: Wanted, running: Running, made: dict[str, Any], given: dict[str, Any], *, family: str) -> None:
    """Show what the deployment changes of what runs, and end the job when nobody has agreed to that."""
    compared = {**made, "family": running.definition.get("family")}
    others = [part for part in running.definition["containerDefinitions"] if part.get("name") != wanted.container]
    own = [{**part, LOGIN: None} for part in running.containers(wanted.container)]
    before = {**running.definition, "containerDefinitions": [*others, *own]}
    changes = task_definition.differences(before, compared, wanted.container)
    origin = wanted.file or "the stack file"
    if not changes:
        job.say(f"{wanted.service} runs {running.arn}: its image of {wanted.container!r} is replaced, all else is kept")
        return
    lines = "\n".join(f"  - {change.shown()}" for change in changes)
    if wanted.image_only:
        job.fail(
            f"the Amazon ECS action ships nothing but the image, and {origin} would change what {wanted.service} runs, "
            f"{running.arn}:\n{lines}\n"
            "Either set deploy.engine to ecs, which ships all of it:\n"
            f"  {wanted.config('set', 'deploy.engine')} ecs\n"
            f"or keep what runs: {_way_back(wanted, given)}\n{wanted.then}"
        )
    if not wanted.agreed and not running.is_delivered(wanted.container, wanted.repository, family):
        job.fail(
            f"{origin} would change what {wanted.service} runs, {running.arn}, besides the image:\n{lines}\n"
            "Nothing was registered. To agree, once:\n"
            f"  {wanted.config('set', 'hosting.existing.takeOver')} true\n"
            f"or keep what runs: {_way_back(wanted, given)}\n{wanted.then}"
        )
    job.say(f"besides the image of {wanted.container!r}, {origin} changes what {wanted.service} runs, {running.arn}:")
    job.say(lines)


def _way_back(wanted: Wanted, given: dict[str, Any]) -> str:
    """Say how the stack file states nothing that differs."""
    if wanted.file:
        return (
            f"write into {wanted.file} what runs, or leave out hosting.existing.taskDefinitionFile:\n"
            f"  {wanted.config('rm', 'hosting.existing.taskDefinitionFile')}"
        )
    keys = [STATED_KEYS[key] for key in given if key in STATED_KEYS]
    for part in given.get("containerDefinitions", []):
        keys += [STATED_KEYS[key] for key in part if key in STATED_KEYS]
        keys += [
            f"application.{key}.{entry['name']}" for key in ("environment", "secrets") for entry in part.get(key, [])
        ]
    return "state less:\n" + "\n".join(f"  {wanted.config('rm', key)}" for key in keys)

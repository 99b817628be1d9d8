"""The calls of Amazon ECS that the pipeline makes, answered out of a state that remembers."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local.ecs_updates import GRACE_REFUSED, load_balancers_refused, refused_with_code_deploy, starts_deployment
from local.rehearsal.ecs.connect import check_connect, check_registries
from local.rehearsal.ecs.definitions import check, check_launch_type, logs_in_elsewhere, registered
from local.rehearsal.ecs.endings import scaled_in
from local.rehearsal.ecs.fleet import Fleet, ScriptedFleet
from local.rehearsal.ecs.lifecycle import Lifecycle
from local.rehearsal.ecs.placement import MUST_FORCE, Placement, Places
from local.rehearsal.ecs.standalone import CONTROLLER, Standalone
from local.rehearsal.ecs.state import ONGOING, Behaviour, Deployment, Revision, Service, Task, TaskSet
from local.rehearsal.emulated import Emulated, Json, Need, Operations, Refused, caller

_PAGE = 20
"""Service deployments in one answer, unless the caller asks for another number, up to 100.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServiceDeployments.html
"""
_MOST = 100
"""Tasks, and at most service deployments, in one answer; also the tasks that one request may describe."""
_MOST_ARNS = 20
"""Service deployments or revisions that one request may describe."""
_BREATH = 1.0
"""Seconds before a task that has ended by itself is replaced, when nothing is deployed."""
_ENDLESS = 1000
"""More steps than a deployment has that ends at all."""
_SHIFTING = ("BLUE_GREEN", "CANARY", "LINEAR")


class Ecs(Emulated):
    """An account's Amazon ECS in one region.

    Source of the permissions:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html.

    Attributes:
        behaviours: What becomes of tasks, by the command or the image of one of their containers; the others are
            healthy.
        logs: What containers have written: log group -> log stream -> lines. A task definition makes its group.
        pace: How many steps a deployment goes each time it is looked at.
        fleet: What runs the tasks; unless one is given, nothing does, and what becomes of them is scripted.

    Args:
        account: The account.
        region: The region.
        pace: See above.
        fleet: See above.
        networks: The VPC of each subnet and of each security group; unless they are given, all are there.
    """

    SERVICE = "ecs"
    INVALID = "InvalidParameterException"

    def __init__(
        self,
        *,
        account: str = "123456789012",
        region: str = "eu-west-1",
        pace: int = 1,
        fleet: Fleet | None = None,
        networks: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(account=account, region=region)
        self.pace = pace
        self._networks = networks
        self.fleet: Fleet = fleet or ScriptedFleet(self.behaviour, self.log)
        self.behaviours: dict[str, Behaviour] = {}
        self.logs: dict[str, dict[str, list[str]]] = {}
        self._clusters: dict[str, Json] = {}
        self._places: dict[str, Places] = {}
        self._services: dict[tuple[str, str], Service] = {}
        self._families: dict[str, list[Json]] = {}
        self._tags: dict[str, list[Json]] = {}
        self._revisions: dict[str, tuple[Service, Revision]] = {}
        self._standalone = Standalone(self._arn, lambda: self.fleet)

    def operations(self) -> Operations:
        """Return what is emulated."""
        return {
            "ContinueServiceDeployment": self._continue_service_deployment,
            "CreateCluster": self._create_cluster,
            "CreateService": self._create_service,
            "DescribeServiceDeployments": self._describe_service_deployments,
            "DescribeServiceRevisions": self._describe_service_revisions,
            "DescribeServices": self._describe_services,
            "DescribeTaskDefinition": self._describe_task_definition,
            "DescribeTasks": self._describe_tasks,
            "ListServiceDeployments": self._list_service_deployments,
            "ListTasks": self._list_tasks,
            "RegisterTaskDefinition": self._register_task_definition,
            "RunTask": self._run_task,
            "StopTask": self._stop_task,
            "StopServiceDeployment": self._stop_service_deployment,
            "UpdateService": self._update_service,
        }

    # What tests do.

    def service(self, name: str, cluster: str) -> Service:
        """A service as it is now."""
        return self._services[cluster, name]

    def standalone(self, cluster: str) -> list[Task]:
        """The tasks of a cluster that belong to no service, the oldest first."""
        return self._standalone.holders[cluster].tasks if cluster in self._standalone.holders else []

    def settle(self, service: Service) -> Deployment:
        """Let the newest deployment of a service come to its end; one that never ends is left where it is."""
        with self.lock:
            newest = service.deployments[0]
            for _ in range(_ENDLESS):
                if newest.status not in ONGOING:
                    break
                next(newest.course, None)
            return newest

    def needs(self, operation: str, parameters: Json) -> list[Need]:
        """The permissions behind a request, by the Service Authorization Reference."""
        action = f"ecs:{operation}"
        place = _last(parameters.get("cluster", "default"))
        at = {"ecs:cluster": self._arn("cluster", place)}
        services = [parameters.get("service", ""), *parameters.get("services", [])]
        arns = parameters.get("serviceDeploymentArns", []) + parameters.get("serviceRevisionArns", [])
        if operation == "RunTask":
            return self._needs_to_run(action, parameters, at)
        match operation:
            case "UpdateService" | "ListServiceDeployments" | "DescribeServices":
                found = [Need(action, self._arn("service", place, _last(name)), at) for name in services if name]
                return [*found, *_needs_to_shift(parameters)]
            case (
                "ContinueServiceDeployment"
                | "DescribeServiceDeployments"
                | "DescribeServiceRevisions"
                | "StopServiceDeployment"
            ):
                arns = arns or [parameters["serviceDeploymentArn"]]
                return [need for arn in arns for need in self._with_service(action, arn)]
            case "DescribeTasks" | "StopTask":
                tasks = [_last(name) for name in parameters.get("tasks") or [parameters["task"]]]
                return [
                    Need(action, self._arn("task", place, task), {**at, **self._tagged(place, task)}) for task in tasks
                ]
            case "RegisterTaskDefinition":
                return self._needs_to_register(action, parameters)
            case _:
                return [Need(action, "*", at if operation == "ListTasks" else {})]

    def _with_service(self, action: str, arn: str) -> list[Need]:
        """Deployments and revisions: both they and their service are asked for."""
        place, name = arn.split("/")[1:3]
        context = {"ecs:cluster": self._arn("cluster", place), "ecs:service": self._arn("service", place, name)}
        return [Need(action, resource, context) for resource in (arn, self._arn("service", place, name))]

    def _needs_to_register(self, action: str, parameters: Json) -> list[Need]:
        revisions = self._arn("task-definition", f"{parameters['family']}:*")
        roles = [parameters[key] for key in ("executionRoleArn", "taskRoleArn") if parameters.get(key)]
        to_tasks = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        # On every resource: what AWS's own policies allow it on, and what its refusals name
        # (https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html).
        needs = [Need(action, "*"), *(Need("iam:PassRole", role, to_tasks) for role in roles)]
        if parameters.get("tags"):
            needs.append(Need("ecs:TagResource", revisions, {"ecs:CreateAction": "RegisterTaskDefinition"}))
        return needs

    def _needs_to_run(self, action: str, parameters: Json, at: Mapping[str, str]) -> list[Need]:
        """The revision, its roles, which are handed to the task, and the tags of what is new."""
        definition = self._definition(parameters["taskDefinition"], "TaskDefinition not found.")
        roles = [definition[key] for key in ("executionRoleArn", "taskRoleArn") if definition.get(key)]
        to_tasks = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        needs = [Need(action, definition["taskDefinitionArn"], at)]
        needs += [Need("iam:PassRole", role, to_tasks) for role in roles]
        if parameters.get("tags"):
            made = self._arn("task", _last(parameters.get("cluster", "default")), "0")
            needs.append(Need("ecs:TagResource", made, {"ecs:CreateAction": "RunTask"}))
        return needs

    def _arn(self, kind: str, *names: str) -> str:
        return self.arn(f"{kind}/{'/'.join(names)}")

    # Task definitions.

    def _register_task_definition(self, parameters: Json) -> Json:
        wanted = copy.deepcopy(parameters)
        tags = wanted.pop("tags", [])
        check(wanted, tags)
        revisions = self._families.setdefault(wanted["family"], [])
        number = len(revisions) + 1
        definition = {
            **registered(wanted),
            "taskDefinitionArn": self._arn("task-definition", f"{wanted['family']}:{number}"),
            "revision": number,
            "registeredAt": time.time(),
            "registeredBy": caller(self.account),
        }
        revisions.append(definition)
        self._tags[definition["taskDefinitionArn"]] = tags
        for container in wanted["containerDefinitions"]:
            self.logs.setdefault(container.get("logConfiguration", {}).get("options", {}).get("awslogs-group", ""), {})
        return {"taskDefinition": definition, "tags": tags}

    def _describe_task_definition(self, parameters: Json) -> Json:
        found = self._definition(parameters["taskDefinition"], "Unable to describe task definition.")
        tags = {"tags": self._tags[found["taskDefinitionArn"]]} if "TAGS" in parameters.get("include", ()) else {}
        return {"taskDefinition": found, **tags}

    def _definition(self, name: str, refusal: str) -> Json:
        family, colon, number = name.rpartition("/")[2].partition(":")
        revisions = self._families.get(family, [])
        if colon and number.isdigit():
            revisions = revisions[int(number) - 1 : int(number)]
        if not revisions:
            raise Refused("ClientException", refusal)
        return revisions[-1]

    # Services.

    def _create_cluster(self, parameters: Json) -> Json:
        name = parameters.get("clusterName", "default")
        subnets, groups = self._networks or (None, {})
        self._places[name] = Places(parameters.get("capacityProviders", ()), subnets, groups)
        self._clusters[name] = {"clusterArn": self._arn("cluster", name), "clusterName": name, "status": "ACTIVE"}
        return {"cluster": self._clusters[name]}

    def _create_service(self, parameters: Json) -> Json:
        cluster, name = self._cluster(parameters), parameters["serviceName"]
        if (cluster, name) in self._services:
            raise Refused("InvalidParameterException", "Creation of service was not idempotent.")
        controller = parameters.get("deploymentController", {}).get("type", "ECS")
        service = Service(
            arn=self._arn("service", cluster, name),
            name=name,
            cluster=self._arn("cluster", cluster),
            definition=self._definition(parameters["taskDefinition"], "TaskDefinition not found."),
            desired=parameters.get("desiredCount", 1),
            configuration=parameters.get("deploymentConfiguration", {}),
            controller=controller,
            placement=self._places[cluster].placement(parameters),
            launch_type=parameters.get("launchType", "EC2"),
            load_balancers=parameters.get("loadBalancers", []),
            grace=parameters.get("healthCheckGracePeriodSeconds", 0),
            connect=parameters.get("serviceConnectConfiguration", {}),
            registries=parameters.get("serviceRegistries", []),
        )
        check_connect(service.connect, service.definition, ({}, service.definition), controller)
        check_registries(service.registries)
        if "healthCheckGracePeriodSeconds" in parameters and not service.load_balancers:
            raise Refused("InvalidParameterException", GRACE_REFUSED)
        _check_load_balancers(service.load_balancers, service.definition, controller)
        check_launch_type(service.definition, service.placement.view)
        _check_configuration(service.load_balancers, service.configuration)
        self._services[cluster, name] = service
        if controller == "ECS":
            self._deploy(service)
        else:
            self._install(service)
        return {"service": service.view()}

    def _install(self, service: Service) -> None:
        """Make the first task set of a service that CodeDeploy deploys, and let its tasks run."""
        first = self.task_set(service, service.definition)
        first.status, first.desired, service.stable = "PRIMARY", service.desired, first.revision
        for _ in range(service.desired):
            task = self.task(service, first.revision, first.identity)
            service.tasks.append(task)
            self.fleet.start(service, task)

    def task_set(
        self,
        service: Service,
        definition: Json,
        external_id: str = "",
        group: str = "",
        placed: Json | None = None,
    ) -> TaskSet:
        """Make a task set without tasks; for CodeDeploy, which makes one for each of its deployments.

        Args:
            service: Its service.
            definition: What it runs.
            external_id: The deployment.
            group: The target group its tasks register with; the service's unless one is given.
            placed: What its AppSpec says of network and capacity providers, as CreateTaskSet takes it.

        Raises:
            Refused: The tasks cannot be put there.
        """
        place, name = service.arn.split("/")[1:]
        arn = self._arn("service-revision", place, name, _number())
        # An AppSpec without a strategy takes the service off its providers, one without a network keeps it:
        # https://github.com/aws/containers-roadmap/issues/1752, and the page of the AppSpec.
        kept = Placement(service.launch_type, (), service.placement.network) if placed is not None else None
        placement = self._places[place].placement(placed or {}, kept or service.placement)
        revision = Revision(arn, definition, group or service.group, placement, service.reached)
        revision.registries = _registry_arns(service)
        made = TaskSet(self._arn("task-set", place, name, _number()), revision, external_id=external_id)
        service.task_sets.append(made)
        return made

    def _cluster(self, parameters: Json) -> str:
        name = _last(parameters.get("cluster", "default"))
        if name not in self._clusters:
            raise Refused("ClusterNotFoundException", "Cluster not found.")
        return name

    def _found(self, parameters: Json) -> Service:
        service = self._services.get((self._cluster(parameters), _last(parameters["service"])))
        if service is None:
            raise Refused("ServiceNotFoundException", "Service not found.")
        return service

    def _describe_services(self, parameters: Json) -> Json:
        cluster = self._cluster(parameters)
        found, missing = [], []
        for name in map(_last, parameters["services"]):
            service = self._services.get((cluster, name))
            if service:
                found.append(service.view())
                for _ in range(self.pace):
                    next(service.course, None)
            else:
                missing.append(self._arn("service", cluster, name))
        return {"services": found, "failures": _missing(missing)}

    def _update_service(self, parameters: Json) -> Json:
        service, forced = self._found(parameters), parameters.get("forceNewDeployment", False)
        if service.status != "ACTIVE":
            raise Refused("ServiceNotActiveException", "Service was not ACTIVE.")
        members = parameters.keys() - {"cluster", "service"} - ({"forceNewDeployment"} if not forced else set())
        controller = parameters.get("deploymentController", {}).get("type", service.controller)
        if service.controller == "CODE_DEPLOY" and controller == "ECS":
            _leave_code_deploy(service)
        elif controller != service.controller:
            raise Refused("InvalidParameterException", "Unable to update the deployment controller.")
        if service.controller == "CODE_DEPLOY" and (said := refused_with_code_deploy(members)):
            raise Refused("InvalidParameterException", said)
        wanted, before = parameters.get("taskDefinition"), service.definition
        placement = self._places[self._cluster(parameters)].placement(parameters, service.placement)
        if placement.strategy != service.placement.strategy and not forced:
            raise Refused("InvalidParameterException", MUST_FORCE)
        definition = self._definition(wanted, "TaskDefinition not found.") if wanted else before
        balancers = parameters.get("loadBalancers", service.load_balancers)
        _check_load_balancers(balancers, definition, controller)
        check_launch_type(definition, placement.view)
        if "healthCheckGracePeriodSeconds" in parameters and not service.load_balancers:
            # Not even together with the first load balancer: cloudformation-coverage-roadmap#1313.
            raise Refused("InvalidParameterException", GRACE_REFUSED)
        configuration = {**service.configuration, **parameters.get("deploymentConfiguration", {})}
        _check_configuration(balancers, configuration)
        connect = parameters.get("serviceConnectConfiguration", service.connect)
        check_connect(connect, definition, (service.connect, before), service.controller)
        registries = parameters.get("serviceRegistries", service.registries)
        check_registries(registries)
        service.connect, service.registries = copy.deepcopy(connect), copy.deepcopy(registries)
        service.configuration, service.definition, service.placement = configuration, definition, placement
        service.load_balancers = copy.deepcopy(balancers)
        service.desired = parameters.get("desiredCount", service.desired)
        same = {"taskDefinition"} if definition is before else set[str]()
        if any(starts_deployment(member) for member in members - same):
            self._deploy(service)
        return {"service": service.view()}

    def _deploy(self, service: Service) -> None:
        """Start a deployment of what the service is asked to run; one that is under way makes room."""
        place, name = service.arn.split("/")[1:]
        last = service.deployments[0] if service.deployments else None
        replaces = last is not None and last.status in ONGOING
        shifts = service.stable is not None and service.configuration.get("strategy") in _SHIFTING
        group = service.other_group if shifts else service.group
        target = Revision(
            self._arn("service-revision", place, name, _number()),
            service.definition,
            group,
            service.placement,
            service.reached,
            service.connect,
            _registry_arns(service),
            further=service.further,
        )
        self.fleet.connect(service, target)
        self._revisions[target.arn] = (service, target)
        made = Deployment(
            arn=self._arn("service-deployment", place, name, secrets.token_urlsafe(15)),
            target=target,
            sources=(service.stable,) if service.stable else (),
            configuration=copy.deepcopy(service.configuration),
            requested=service.desired,
            reconciles=replaces,
        )
        if last is not None and replaces:
            last.course = self._lifecycle(service, last).stop(
                f"Service deployment stopped because deployment {made.identity} was started."
            )
            next(last.course)
        made.course = self._lifecycle(service, made).forward()
        next(made.course)
        service.deployments.insert(0, made)
        if service.stable is None and not service.events:
            service.says("was created.")

    def _lifecycle(self, service: Service, made: Deployment) -> Lifecycle:
        return Lifecycle(service, made, self.fleet, lambda revision: self.task(service, revision, made.identity))

    def behaviour(self, definition: Json) -> Behaviour:
        """Return what becomes of tasks with this definition."""
        if any(logs_in_elsewhere(part) for part in definition["containerDefinitions"]):
            return Behaviour.WRONG_LOGIN
        parts = definition["containerDefinitions"]
        names = [*(" ".join(part.get("command", ())) for part in parts), *(part["image"] for part in parts)]
        return next((self.behaviours[name] for name in names if name in self.behaviours), Behaviour.HEALTHY)

    def task(self, service: Service, revision: Revision, started_by: str) -> Task:
        """Return a new task of a service, which is not among its tasks yet."""
        return Task(self._arn("task", service.arn.split("/")[1], secrets.token_hex(16)), revision, started_by)

    def log(self, task: Task, lines: Sequence[str], name: str = "") -> None:
        """Let a container of a task write to its log, if it has one; without a name the first."""
        parts = task.definition["containerDefinitions"]
        container = next((part for part in parts if part["name"] == name), parts[0])
        options = container.get("logConfiguration", {}).get("options", {})
        if lines and "awslogs-group" in options:
            stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task.identity}"
            self.logs.setdefault(options["awslogs-group"], {}).setdefault(stream, []).extend(lines)

    # What goes on by itself, when tasks do.

    def advance(self) -> None:
        """Bring everything a step further, for a fleet whose tasks go on by themselves."""
        with self.lock:
            for service in [*self._services.values(), *self._standalone.holders.values()]:
                for task in service.tasks:
                    if task.status != "STOPPED":
                        self.fleet.look(service, task)
                next(service.course, None)
                for made in service.deployments:
                    if made.status in ONGOING:
                        next(made.course, None)
                self._keep(service)

    def _keep(self, service: Service) -> None:
        """Have as many tasks as desired of what serves, while ECS itself deploys nothing."""
        primary = [task_set for task_set in service.task_sets if task_set.status == "PRIMARY"]
        revision = primary[0].revision if primary else service.stable
        if revision is None or any(made.status in ONGOING for made in service.deployments):
            return
        started_by = primary[0].identity if primary else service.deployments[0].identity
        alive = service.alive(revision, "PENDING", "RUNNING")
        for task in alive[service.desired :]:
            self.fleet.stop(service, task, scaled_in(started_by))
        ended = [task.stopped or time.time() for task in service.tasks if task.revision is revision and task.failed]
        if time.time() - max(ended, default=0.0) > _BREATH:
            for _ in range(service.desired - len(alive)):
                task = self.task(service, revision, started_by)
                service.tasks.append(task)
                self.fleet.start(service, task)

    # Service deployments.

    def _list_service_deployments(self, parameters: Json) -> Json:
        service = self._found(parameters)
        # AWS documents no order; that of their age keeps the newest one from the first page.
        if parameters.keys() & {"status", "createdAt"}:
            raise Refused("UnsupportedFeatureException", "status and createdAt are not rehearsed here")
        found = [made.brief(service.arn, service.cluster) for made in reversed(service.deployments)]
        return _page("serviceDeployments", found, parameters, _PAGE)

    def _deployment(self, arn: str) -> tuple[Service, Deployment] | None:
        everything = ((service, made) for service in self._services.values() for made in service.deployments)
        return next(((service, made) for service, made in everything if made.arn == arn), None)

    def _describe_service_deployments(self, parameters: Json) -> Json:
        arns = _few("serviceDeploymentArns", parameters)
        found = []
        for service, made in filter(None, map(self._deployment, arns)):
            found.append(made.view(service))
            for _ in range(self.pace):
                next(made.course, None)
        missing = [arn for arn in arns if not self._deployment(arn)]
        return {"serviceDeployments": found, "failures": _missing(missing)}

    def _describe_service_revisions(self, parameters: Json) -> Json:
        arns = _few("serviceRevisionArns", parameters)
        found = [
            {
                "serviceRevisionArn": arn,
                "serviceArn": service.arn,
                "clusterArn": service.cluster,
                "taskDefinition": revision.definition["taskDefinitionArn"],
                "createdAt": revision.created,
                **({"serviceConnectConfiguration": revision.connect} if revision.connect else {}),
                **revision.placement.view,
            }
            for arn in arns
            if arn in self._revisions
            for service, revision in [self._revisions[arn]]
        ]
        return {"serviceRevisions": found, "failures": _missing(arn for arn in arns if arn not in self._revisions)}

    def _continue_service_deployment(self, parameters: Json) -> Json:
        known = self._deployment(parameters["serviceDeploymentArn"])
        if known is None:
            raise Refused("ServiceDeploymentNotFoundException", "Service deployment not found.")
        service, made = known
        hook = made.hook
        if made.status != "IN_PROGRESS" or hook.get("status") != "AWAITING_ACTION":
            raise Refused("InvalidParameterException", "The service deployment is not paused at a lifecycle hook.")
        if parameters["hookId"] != hook["hookId"]:
            raise Refused("InvalidParameterException", f"Hook {parameters['hookId']} not found.")
        if parameters.get("action", "CONTINUE") == "CONTINUE":
            hook["status"] = "SUCCEEDED"
        else:
            hook["status"], made.status = "FAILED", "ROLLBACK_REQUESTED"
            reason = "Service deployment rolled back because of a user request."
            made.course = self._lifecycle(service, made).roll_back(reason)
        return {"serviceDeploymentArn": made.arn}

    def _stop_service_deployment(self, parameters: Json) -> Json:
        known = self._deployment(parameters["serviceDeploymentArn"])
        if known is None:
            raise Refused("ServiceDeploymentNotFoundException", "Service deployment not found.")
        service, made = known
        if made.status not in ONGOING:
            raise Refused("ConflictException", f"Service deployment is in {made.status} state and cannot be stopped.")
        if parameters.get("stopType", "ROLLBACK") != "ROLLBACK":
            raise Refused("UnsupportedFeatureException", "only ROLLBACK is rehearsed here")
        if made.status in ("PENDING", "IN_PROGRESS"):
            made.status = "ROLLBACK_REQUESTED"
            reason = "Service deployment rolled back because of a user request."
            made.course = self._lifecycle(service, made).roll_back(reason)
        return {"serviceDeploymentArn": made.arn}

    # Tasks.

    @property
    def _holders(self) -> dict[tuple[str, str], Service]:
        """Everything that has tasks, by its cluster and its name."""
        return {**self._services, **{(place, ""): found for place, found in self._standalone.holders.items()}}

    def _task(self, cluster: str, name: str) -> tuple[Task, Service] | None:
        held = (service for (place, _), service in self._holders.items() if place == cluster)
        return next(
            ((task, service) for service in held for task in service.tasks if task.arn.endswith(_last(name))), None
        )

    def _tagged(self, cluster: str, name: str) -> dict[str, str]:
        """The tags of a task, as a request about it carries them."""
        found = self._task(cluster, name)
        return {f"aws:ResourceTag/{key}": value for key, value in (found[0].tags if found else {}).items()}

    def _run_task(self, parameters: Json) -> Json:
        cluster = self._cluster(parameters)
        definition = self._definition(parameters["taskDefinition"], "TaskDefinition not found.")
        placement = self._places[cluster].placement(parameters)
        task = self._standalone.run(cluster, parameters, definition, placement)
        return {"tasks": [task.view(self._arn("cluster", cluster))], "failures": []}

    def _stop_task(self, parameters: Json) -> Json:
        cluster = self._cluster(parameters)
        found = self._task(cluster, parameters["task"])
        if found is None:
            raise Refused("InvalidParameterException", "The referenced task was not found.")
        task, service = found
        if service.controller != CONTROLLER:
            raise Refused("UnsupportedFeatureException", "a service's task is not stopped by hand here")
        self._standalone.stop(service, task, parameters.get("reason", "Task stopped by user"))
        return {"task": task.view(service.cluster)}

    def _list_tasks(self, parameters: Json) -> Json:
        cluster = self._cluster(parameters)
        if "startedBy" in parameters:
            raise Refused("UnsupportedFeatureException", "startedBy of ListTasks is not rehearsed here")
        stopped = parameters.get("desiredStatus", "RUNNING") == "STOPPED"
        name, family = _last(parameters.get("serviceName", "")), parameters.get("family")
        found = [
            task.arn
            for (place, service_name), service in self._holders.items()
            for task in reversed(service.tasks)
            if place == cluster
            and (not name or service_name == name)
            and bool(task.stop_code) is stopped
            and family in (None, task.definition["family"])
        ]
        return _page("taskArns", found, parameters, _MOST)

    def _describe_tasks(self, parameters: Json) -> Json:
        cluster, wanted = self._cluster(parameters), parameters["tasks"]
        if len(wanted) > _MOST:
            raise Refused("InvalidParameterException", f"Tasks cannot contain more than {_MOST} elements.")
        found = {arn: known for arn in wanted if (known := self._task(cluster, arn))}
        answer = {
            "tasks": [task.view(service.cluster) for task, service in found.values()],
            "failures": _missing(arn for arn in wanted if arn not in found),
        }
        for task, service in found.values():
            for _ in range(self.pace if service.controller == CONTROLLER else 0):
                self.fleet.look(service, task)
        return answer


def _page(key: str, found: list[Any], parameters: Json, usual: int) -> Json:
    """One page of what was found, and the token of the next, if there is one."""
    token, most = parameters.get("nextToken", "0"), parameters.get("maxResults", usual)
    if not token.isdigit() or not 1 <= most <= _MOST:
        raise Refused("InvalidParameterException", f"nextToken {token!r} or maxResults {most} is not valid.")
    end = int(token) + most
    answer: Json = {key: found[int(token) : end]}
    return {**answer, "nextToken": str(end)} if len(found) > end else answer


def _few(key: str, parameters: Json) -> list[str]:
    arns: list[str] = parameters[key]
    if len(arns) > _MOST_ARNS:
        raise Refused("InvalidParameterException", f"{key} cannot contain more than {_MOST_ARNS} elements.")
    return arns


def _missing(arns: Iterable[str]) -> list[Json]:
    return [{"arn": arn, "reason": "MISSING"} for arn in arns]


def _last(name: str) -> str:
    """The name in an ARN, or the name itself."""
    return name.rpartition("/")[2]


def _registry_arns(service: Service) -> tuple[str, ...]:
    return tuple(str(entry["registryArn"]) for entry in service.registries)


def _number() -> str:
    return str(secrets.randbelow(10**19)).zfill(19)


def _needs_to_shift(parameters: Json) -> list[Need]:
    """The role that ECS moves traffic with is handed to it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AmazonECSInfrastructureRolePolicyForLoadBalancers.html
    """
    advanced = [balancer.get("advancedConfiguration", {}) for balancer in parameters.get("loadBalancers", [])]
    to_ecs = {"iam:PassedToService": "ecs.amazonaws.com"}
    return [Need("iam:PassRole", each["roleArn"], to_ecs) for each in advanced if each.get("roleArn")]


def _check_load_balancers(balancers: Sequence[Json], definition: Json, controller: str) -> None:
    """ECS takes so many target groups, and containers and ports that are in the task definition."""
    if said := load_balancers_refused(balancers, definition["containerDefinitions"], controller):
        raise Refused("InvalidParameterException", said)


def _leave_code_deploy(service: Service) -> None:
    """Let ECS deploy a service from now on: what its primary task set is, it is itself.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/migrate-codedeploy-to-ecs-bluegreen.html

    Raises:
        Refused: CodeDeploy is deploying. What ECS says then was not seen.
    """
    if len(service.task_sets) > 1:
        raise Refused("InvalidParameterException", "A deployment of CodeDeploy is in progress.")
    (primary,) = service.task_sets
    service.exchange_groups(primary.revision.group)
    service.controller, service.task_sets, service.stable = "ECS", [], primary.revision
    service.definition, service.placement = primary.revision.definition, primary.revision.placement


def _check_configuration(balancers: Sequence[Json], configuration: Json) -> None:
    """A deployment configuration fits its strategy, and the load balancer the strategy."""
    strategy = configuration.get("strategy", "ROLLING")
    for key, needed in (("canaryConfiguration", "CANARY"), ("linearConfiguration", "LINEAR")):
        if key in configuration and strategy != needed:
            raise Refused("InvalidParameterException", f"{key} is only valid with the {needed} deployment strategy.")
    hooks = configuration.get("lifecycleHooks", [])
    if (
        any(
            hook.get("targetType") != "PAUSE" or hook["lifecycleStages"] != ["POST_TEST_TRAFFIC_SHIFT"]
            for hook in hooks[:1]
        )
        or len(hooks) > 1
    ):
        raise Refused("UnsupportedFeatureException", "only one PAUSE after the test traffic shift is rehearsed here")
    if strategy not in _SHIFTING:
        return
    if "bakeTimeInMinutes" not in configuration:
        raise Refused("InvalidParameterException", f"bakeTimeInMinutes is required with {strategy}.")
    if not balancers or not all("advancedConfiguration" in balancer for balancer in balancers):
        raise Refused("InvalidParameterException", f"advancedConfiguration is required with {strategy}.")

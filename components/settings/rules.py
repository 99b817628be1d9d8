"""What the sections of a stack file owe each other.

Each rule is a pure function that names the sections it looks at as its parameters and yields what is wrong.
`load_settings` runs every rule whose sections are right on their own, so that one mistake is told once.
A rule may also ask for `stack`, the stack's name, and `region`, `None` where the file does not say it.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from pydantic.alias_generators import to_camel

from components.engines import ENGINES, TrafficSwitch
from components.images.repository import repository_beside
from components.settings.conflicts import CONFLICTS
from components.settings.section import Path as KeyPath
from components.settings.section import Problem, one_of
from components.settings.sections.application import ApplicationSection
from components.settings.sections.build import FLEET_REGIONS, BuildSection
from components.settings.sections.containers import BUILT, BUILT_BESIDE
from components.settings.sections.deploy import DeploySection
from components.settings.sections.hosting import HostingSection
from components.settings.sections.pipeline import PipelineSection
from components.settings.sections.promotion import PromotionSection
from components.settings.sections.release import ReleaseSection
from components.settings.sections.source import SourceSection
from components.settings.sections.statuses import StatusesSection
from components.settings.sections.tests import TestsSection
from components.settings.sections.verification import VerificationSection

MOST_ALARMS: Final = 10
"""Alarms of one deployment: https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html"""

REPOSITORY_CHARACTERS: Final = 256
"""https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

OVERRIDE_CHARACTERS: Final = 8192
"""Of a command that replaces the container's own: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html"""

ALARMS_MADE: Final = 3
"""How many `hosting.alarms` makes: errors, latency, unhealthy hosts."""


def hosting_says_how_it_is_reached(hosting: HostingSection) -> Iterator[Problem]:
    """Yield a load balancer that would serve users without encryption, unasked."""
    balancer = hosting.load_balancer
    if hosting.existing is None and balancer.is_made and not balancer.certificate_arn and not balancer.plain_http:
        yield Problem(
            path=("hosting", "loadBalancer", "certificateArn"),
            message="is missing; users reach the service encrypted, by a certificate in the stack's region, "
            "unless the file says plainHttp: true",
            fix="edit the file: write certificateArn: <certificate of the stack's region>, or "
            "pulumi config set --path 'ecs-delivery:hosting.loadBalancer.plainHttp' true",
        )


def what_the_load_balancer_uses_is_in_its_region(hosting: HostingSection, region: str | None) -> Iterator[Problem]:
    """Yield what AWS takes from the load balancer's own region only.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/https-listener-certificates.html,
    https://docs.aws.amazon.com/waf/latest/developerguide/web-acl-associating-aws-resource.html
    """
    balancer = hosting.load_balancer
    existing = balancer.existing
    for key, arn in (
        (("certificateArn",), balancer.certificate_arn),
        (("webAclArn",), balancer.web_acl_arn),
        (("existing", "listenerArn"), existing.listener_arn if existing else None),
    ):
        yield from _of_another_region(("hosting", "loadBalancer", *key), arn, region)


def _of_another_region(path: KeyPath, arn: str | None, region: str | None) -> Iterator[Problem]:
    """Yield an ARN of another region than the stack's; nothing where one of the two is not known."""
    if arn is not None and region is not None and arn.split(":")[3] != region:
        yield Problem(
            path=path,
            message=f"must be in the stack's region, {region}, got one in {arn.split(':')[3]}",
            fix=f"edit the file: name one in {region}, or pulumi config set aws:region {arn.split(':')[3]}",
        )


def grpc_is_checked_by_a_method(hosting: HostingSection, application: ApplicationSection) -> Iterator[Problem]:
    """Yield a health check of a gRPC service that calls none of its methods; without a path AWS's own is called.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
    """
    path = application.health_check_path
    if hosting.load_balancer.protocol_version == "GRPC" and path != "/" and not re.fullmatch("/[^/]+/[^/]+", path):
        yield Problem(
            path=("application", "healthCheckPath"),
            message=f"must be a method like /package.service/method with protocolVersion GRPC, got {path}",
            fix="pulumi config set --path 'ecs-delivery:application.healthCheckPath' /grpc.health.v1.Health/Check",
        )


def most_tasks_are_not_fewer_than_the_fewest(
    hosting: HostingSection, application: ApplicationSection
) -> Iterator[Problem]:
    """Yield bounds of the number of tasks that exclude each other, or the number to start with."""
    scaling = hosting.service.scaling
    if hosting.existing is not None:
        return
    fewest = scaling.effective_minimum(application.desired_count)
    if scaling.maximum is not None and scaling.maximum < fewest:
        yield Problem(
            path=("hosting", "service", "scaling", "maximum"),
            message=f"must be at least the fewest tasks, {fewest}, got {scaling.maximum}",
            fix=f"pulumi config set --path 'ecs-delivery:hosting.service.scaling.maximum' {2 * fewest}",
        )
    elif not fewest <= application.desired_count <= scaling.effective_maximum(application.desired_count):
        yield Problem(
            path=("application", "desiredCount"),
            message=f"must be between hosting.service.scaling's minimum and maximum, {fewest} and "
            f"{scaling.effective_maximum(application.desired_count)}, got {application.desired_count}",
            fix=f"pulumi config set --path 'ecs-delivery:application.desiredCount' {fewest}",
        )


def a_schedule_fits_the_limits(hosting: HostingSection, application: ApplicationSection) -> Iterator[Problem]:
    """Yield an action that sets one limit beyond the other one, which stays.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
    """
    scaling = hosting.service.scaling
    fewest = scaling.effective_minimum(application.desired_count)
    most = scaling.effective_maximum(application.desired_count)
    for name, action in scaling.schedule.items():
        too_many = action.maximum is None and action.minimum is not None and action.minimum > most
        too_few = action.minimum is None and action.maximum is not None and action.maximum < fewest
        if too_many or too_few:
            key, given = ("minimum", action.minimum) if too_many else ("maximum", action.maximum)
            other, words = ("maximum", f"most {most}") if too_many else ("minimum", f"least {fewest}")
            yield Problem(
                path=("hosting", "service", "scaling", "schedule", name, key),
                message=f"must be at {words} unless the action sets {other}, too, got {given}",
                fix=f"edit the file: write {other}: {given} beside it",
            )


def a_deployment_can_replace_tasks(
    hosting: HostingSection, application: ApplicationSection, deploy: DeploySection
) -> Iterator[Problem]:
    """Yield shares of tasks between which no deployment can replace any, or that have no effect.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
    """
    service = hosting.service
    least, most = service.minimum_healthy_percent, service.maximum_percent
    if hosting.existing is not None or (least, most) == (100, 200):
        return
    if deploy.effective_strategy != "rolling":
        for key, value, usual in (("minimumHealthyPercent", least, 100), ("maximumPercent", most, 200)):
            if value != usual:
                yield Problem(
                    path=("hosting", "service", key),
                    message=f"has an effect only with strategy rolling: {deploy.effective_strategy} makes a second set "
                    "of tasks",
                    fix=f"pulumi config rm --path 'ecs-delivery:hosting.service.{key}'",
                )
        return
    fewest = service.scaling.effective_minimum(application.desired_count)
    for count in sorted({fewest, application.desired_count}):
        if count * most // 100 <= count <= -(-count * least // 100):
            yield Problem(
                path=("hosting", "service", "maximumPercent"),
                message=f"must leave room for one more task, or minimumHealthyPercent for one less: of {count} tasks "
                f"with {least} and {most} percent none can be replaced",
                fix="pulumi config rm --path 'ecs-delivery:hosting.service.maximumPercent', or "
                "pulumi config set --path 'ecs-delivery:hosting.service.minimumHealthyPercent' 0",
            )
            return


def scaling_by_requests_needs_one_target_group(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield scaling by the requests of a target group that every other deployment takes out of use.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PredefinedMetricSpecification.html
    """
    if hosting.service.scaling.requests_per_task is not None and deploy.effective_strategy != "rolling":
        yield Problem(
            path=("hosting", "service", "scaling", "requestsPerTask"),
            message=f"has an effect only with strategy rolling: {deploy.effective_strategy} alternates between two "
            "target groups, and AWS counts the requests of one",
            fix="pulumi config rm --path 'ecs-delivery:hosting.service.scaling.requestsPerTask'",
        )


def traffic_moves_between_target_groups(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield a deployment that moves traffic of a service without load balancer.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html and, for CodeDeploy,
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-bluegreen.html.
    """
    balancer = hosting.load_balancer
    if hosting.existing is not None or balancer.is_made or deploy.effective_strategy == "rolling":
        return
    key_given = "existing" if balancer.existing else "enabled: false"
    why = "the listener has one rule for one target group" if balancer.existing else "there is no traffic to move"
    rolling = [name for name, engine in ENGINES.items() if "rolling" in engine.strategies]
    here = "rolling" in deploy.chosen_engine.strategies
    key, value = ("strategy", "rolling") if here else ("engine", rolling[0])
    given = deploy.effective_strategy if here else deploy.engine
    yield Problem(
        path=("deploy", key),
        message=f"must be {'rolling' if here else one_of(rolling)} with hosting.loadBalancer.{key_given}, because "
        f"{why}: tasks are replaced one after the other, got {given}",
        fix=f"pulumi config set --path 'ecs-delivery:deploy.{key}' {value}",
    )


def service_connect_is_set_by_a_deployment(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield Service Connect with an engine that cannot set it, and endpoints whose traffic would have to be moved.

    ECS does not take it from CodeDeploy at all. It moves the traffic of endpoints itself, which this program does not
    rehearse, and therefore does not offer.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html
    """
    connect = hosting.service_connect
    if connect is None or hosting.existing is not None:
        return
    if not deploy.chosen_engine.connects:
        others = [engine.name for engine in ENGINES.values() if engine.connects]
        yield Problem(
            path=("hosting", "serviceConnect"),
            message=f"has an effect only with engine {one_of(others)}: a deployment sets it together with the task "
            f"definition that names its ports, and {deploy.chosen_engine.moved_by} does not, got {deploy.engine}",
            fix=f"pulumi config set --path 'ecs-delivery:deploy.engine' {others[0]}",
        )
    elif connect.endpoints and deploy.effective_strategy != "rolling":
        yield Problem(
            path=("deploy", "strategy"),
            message="must be rolling with hosting.serviceConnect.endpoints: calls of other services would reach both "
            f"versions, whatever the load balancer does, got {deploy.effective_strategy}",
            fix="pulumi config set --path 'ecs-delivery:deploy.strategy' rolling",
        )


def a_registry_holds_the_tasks_that_serve(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield a DNS name with a strategy that runs two versions side by side: it would hold the tasks of both.

    ECS does not shift the traffic of service discovery:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-implementation.html
    """
    if hosting.service_registry is None or hosting.existing is not None or deploy.effective_strategy == "rolling":
        return
    rolling = [name for name, engine in ENGINES.items() if "rolling" in engine.strategies]
    here = "rolling" in deploy.chosen_engine.strategies
    yield Problem(
        path=("hosting", "serviceRegistry"),
        message="has an effect only with strategy rolling: the name would hold the tasks of both versions while "
        f"traffic moves, got {deploy.effective_strategy}",
        fix="pulumi config set --path 'ecs-delivery:deploy.strategy' rolling"
        if here
        else f"pulumi config set --path 'ecs-delivery:deploy.engine' {rolling[0]}",
    )


def endpoints_lead_to_containers(application: ApplicationSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield endpoints of a container that is not there or listens nowhere, and two of one port: it has one name.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html
    """
    endpoints = hosting.service_connect.endpoints if hosting.service_connect else {}
    reachable = [application.container, *(name for name, part in application.containers.items() if part.port)]
    named: dict[str, str] = {}
    for name, endpoint in endpoints.items():
        container = endpoint.container or application.container
        path = ("hosting", "serviceConnect", "endpoints", name, "container")
        if container not in reachable:
            yield Problem(
                path=path,
                message=f"must be a container with a port, {one_of(reachable)}, got {container}",
                fix=f"pulumi config rm --path 'ecs-delivery:hosting.serviceConnect.endpoints.{name}.container'",
            )
        elif container in named:
            yield Problem(
                path=path,
                message=f"must be another container than that of {named[container]}, because a port has one name, got "
                f"{container}",
                fix=f"pulumi config rm --path 'ecs-delivery:hosting.serviceConnect.endpoints.{name}'",
            )
        else:
            named[container] = name


def the_proxy_has_memory(application: ApplicationSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield containers that may take all the memory of a task, which has a proxy with Service Connect.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-connect-concepts-deploy.html
    """
    kept = sum(part.memory or 0 for part in application.containers.values())
    if hosting.service_connect and kept >= application.memory:
        yield Problem(
            path=("application", "memory"),
            message=f"must be more than the memory of its containers together ({kept}), because with "
            f"hosting.serviceConnect the proxy is in the task, too, got {application.memory}",
            fix="edit the file: raise application.memory, or lower memory of the containers",
        )


def alarms_fit_into_a_deployment(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield more alarms than a deployment group takes, the ones made here counted.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    """
    made = ALARMS_MADE if hosting.alarms_made else 0
    if len(deploy.alarms) + made > MOST_ALARMS:
        yield Problem(
            path=("deploy", "alarms"),
            message=f"must be a list of up to {MOST_ALARMS - made} entries, because {ALARMS_MADE} of the {MOST_ALARMS} "
            f"a deployment takes are made by hosting.alarms, got {len(deploy.alarms)}",
            fix=f"edit the file: leave out {len(deploy.alarms) + made - MOST_ALARMS} of them",
        )


def exec_needs_a_writable_root(application: ApplicationSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield a shell that would never open: the agent behind it writes to the root filesystem.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
    """
    if hosting.existing is None and hosting.service.exec and application.read_only_root_filesystem:
        yield Problem(
            path=("hosting", "service", "exec"),
            message="needs application.readOnlyRootFilesystem: false, because the agent that opens the shell writes "
            "there",
            fix="pulumi config set --path 'ecs-delivery:hosting.service.exec' false",
        )


def commands_fit_into_an_override(application: ApplicationSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield a command too long for one task: ECS counts all of the override's JSON.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
    """
    for key, section in (("before", deploy.before), ("after", deploy.after)):
        if section is None:
            continue
        override = {"containerOverrides": [{"name": application.container, "command": section.command}]}
        if (size := len(json.dumps(override))) > OVERRIDE_CHARACTERS:
            yield Problem(
                path=("deploy", key, "command"),
                message=f"must take at most {OVERRIDE_CHARACTERS} characters as ECS gets it, as JSON with the "
                f"container's name, got {size}",
                fix="edit the file: put the commands into a script of the image, and run that",
            )


OF_A_SERVICE_MADE_HERE: Final = (
    *("entry_point", "working_directory", "stop_timeout_seconds", "init_process", "health_check", "writable_paths"),
    *("ulimits", "depends_on", "ephemeral_storage_gib", "containers", "volumes", "mounts", "logs"),
    *("environment_files", "delivery_variables"),
)
"""Fields of the section `application` that a service which exists does not take: its own definition says these."""


def a_service_that_exists_keeps_its_own(application: ApplicationSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield what would be said of a service that exists, and has no effect on it."""
    if hosting.existing is None:
        return
    for field in OF_A_SERVICE_MADE_HERE:
        if field in application.model_fields_set:
            key = str(ApplicationSection.model_fields[field].alias)
            yield Problem(
                path=("application", key),
                message="has an effect only on a service that is made here: one that exists keeps what its task "
                "definition says",
                fix=f"pulumi config rm --path 'ecs-delivery:application.{key}', and say it in the task definition",
            )


def the_load_balancer_reaches_a_container(
    application: ApplicationSection, hosting: HostingSection
) -> Iterator[Problem]:
    """Yield a container that is not there, or listens nowhere."""
    wanted = hosting.load_balancer.container
    if wanted is None or wanted == application.container:
        return
    reachable = [application.container, *(name for name, part in application.containers.items() if part.port)]
    if wanted not in reachable:
        yield Problem(
            path=("hosting", "loadBalancer", "container"),
            message=f"must be a container with a port, {one_of(reachable)}, got {wanted}",
            fix="pulumi config rm --path 'ecs-delivery:hosting.loadBalancer.container'",
        )


def further_listeners_reach_containers(application: ApplicationSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield further listeners of a container that is not there, or listens nowhere."""
    reachable = [application.container, *(name for name, part in application.containers.items() if part.port)]
    for name, listener in hosting.load_balancer.listeners.items():
        if listener.container is not None and listener.container not in reachable:
            yield Problem(
                path=("hosting", "loadBalancer", "listeners", name, "container"),
                message=f"must be a container with a port, {one_of(reachable)}, got {listener.container}",
                fix=f"pulumi config rm --path 'ecs-delivery:hosting.loadBalancer.listeners.{name}.container'",
            )


def further_listeners_are_not_shifted(hosting: HostingSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield further listeners with a deployment that moves traffic between two target groups.

    CodeDeploy takes one target group of a service, and the one it moves traffic to:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/register-multiple-targetgroups.html. ECS itself would
    move the traffic of several, with a second target group and two rules for each, which this program does not make.
    """
    if not hosting.load_balancer.listeners or hosting.existing is not None or deploy.effective_strategy == "rolling":
        return
    rolling = [name for name, engine in ENGINES.items() if "rolling" in engine.strategies]
    here = "rolling" in deploy.chosen_engine.strategies
    yield Problem(
        path=("hosting", "loadBalancer", "listeners"),
        message=f"has an effect only with strategy rolling: {deploy.effective_strategy} moves the traffic of one "
        "target group, and not of several at the same time",
        fix="pulumi config set --path 'ecs-delivery:deploy.strategy' rolling"
        if here
        else f"pulumi config set --path 'ecs-delivery:deploy.engine' {rolling[0]}",
    )


def delivery_variables_can_change(application: ApplicationSection, deploy: DeploySection) -> Iterator[Problem]:
    """Yield variables that differ from run to run with an engine that ships the image alone."""
    if application.delivery_variables and deploy.chosen_engine.ships_image_only:
        others = [engine.name for engine in ENGINES.values() if not engine.ships_image_only]
        yield Problem(
            path=("application", "deliveryVariables"),
            message=f"has an effect only with engine {one_of(others)}: {deploy.engine} ships the image alone",
            fix="pulumi config rm --path 'ecs-delivery:application.deliveryVariables'",
        )


def images_can_be_fetched(application: ApplicationSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield images of other registries for tasks that reach AWS by VPC endpoints only."""
    if hosting.existing is not None or not hosting.network.needs_endpoints:
        return
    for name, container in application.containers.items():
        ours = container.image == BUILT or container.built is not None
        if not ours and ".dkr.ecr." not in container.image:
            yield Problem(
                path=("application", "containers", name, "image"),
                message=f"must be in Amazon ECR of the stack's region, because private tasks without a NAT gateway "
                f"reach nothing else, got {container.image}",
                fix="pulumi config set --path 'ecs-delivery:hosting.network.natGateways' single",
            )


def smoke_test_needs_code(build: BuildSection, source: SourceSection) -> Iterator[Problem]:
    """Yield a smoke test with nothing to build it from."""
    if build.smoke_test.enabled and source.code is None:
        yield Problem(
            path=("build", "smokeTest", "enabled"),
            message="needs code to build the image from (source.github, gitlab, bitbucket or s3); this pipeline starts "
            "from an image",
            fix="pulumi config set --path 'ecs-delivery:build.smokeTest.enabled' false",
        )


def further_images_are_built_and_used(
    application: ApplicationSection, build: BuildSection, source: SourceSection, stack: str
) -> Iterator[Problem]:
    """Yield images that are named and not built, built and not named, or have a repository with too long a name."""
    if source.code is None:
        return
    for name, container in application.containers.items():
        if container.built is not None and container.built not in build.images:
            yield Problem(
                path=("application", "containers", name, "image"),
                message="must name an image of build.images, which has "
                f"{', '.join(build.images) or 'none'}, got {container.image}",
                fix="pulumi config set --path "
                f"'ecs-delivery:build.images.{container.built}.dockerfile' {container.built}/Dockerfile",
            )
    for name in build.images:
        if name not in application.further_images:
            yield Problem(
                path=("build", "images", name),
                message=f"has an effect only when a container of the task has image: {BUILT_BESIDE}{name}",
                fix=f"pulumi config rm --path 'ecs-delivery:build.images.{name}', or write it like containers: "
                f"{{{name}: {{image: {BUILT_BESIDE}{name}}}}}",
            )
    own = build.repository_for(application.prefix_in(stack))
    longest = max(build.beside, key=len, default="")
    if longest and len(repository_beside(own, longest)) > REPOSITORY_CHARACTERS:
        yield Problem(
            path=("build", "repository"),
            message=f"must have up to {REPOSITORY_CHARACTERS - len(longest) - 1} characters, because the "
            f"stack has a repository of this name with -{longest} behind it, too, got {len(own)}",
            fix="pulumi config rm --path 'ecs-delivery:build.repository'",
        )


def further_images_arrive_first(application: ApplicationSection, source: SourceSection) -> Iterator[Problem]:
    """Yield images that arrive together with the application's by something that keeps no order.

    A promotion copies the application's image last, and its arrival starts the pipeline. Replication copies each image
    for itself (https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html), and a pull through the cache
    fetches the one that is pulled.
    """
    if source.code is None and source.ecr and source.ecr.arrives_by != "push" and application.further_images:
        yield Problem(
            path=("source", "ecr", "arrivesBy"),
            message=f"must be push with image: {BUILT_BESIDE}{application.further_images[0]}: what arrives otherwise "
            f"comes in any order, and the application's image has to be the last, got {source.ecr.arrives_by}",
            fix="pulumi config set --path 'ecs-delivery:source.ecr.arrivesBy' push",
        )


def build_without_code_builds_nothing(build: BuildSection, source: SourceSection) -> Iterator[Problem]:
    """Yield keys of a build that does not take place, because the pipeline delivers an image as it is."""
    if source.code is not None:
        return
    for field, key in (
        ("dockerfile", "dockerfile"),
        ("context", "context"),
        ("target", "target"),
        ("args", "args"),
        ("images", "images"),
        ("secrets", "secrets"),
        ("base_repositories", "baseRepositories"),
        ("registry_logins", "registryLogins"),
        ("checks", "checks"),
        ("network", "network"),
        ("fleet", "fleet"),
        ("repository", "repository"),
        ("version", "version"),
    ):
        if getattr(build, field) != BuildSection.model_fields[field].default:
            yield Problem(
                path=("build", key),
                message="has an effect only with code (source.github, gitlab, bitbucket or s3): this pipeline delivers "
                "the image of source.ecr as it is",
                fix=f"pulumi config rm --path 'ecs-delivery:build.{key}'",
            )


def a_fleet_is_of_the_region(build: BuildSection, region: str | None) -> Iterator[Problem]:
    """Yield reserved capacity where CodeBuild has none, and a fleet of another region: projects use their own's.

    https://docs.aws.amazon.com/codebuild/latest/userguide/fleets.html
    """
    fleet = build.fleet
    if fleet is None or region is None:
        return
    if elsewhere := [*_of_another_region(("build", "fleet", "arn"), fleet.arn, region)]:
        yield from elsewhere
    elif region not in FLEET_REGIONS:
        yield Problem(
            path=("build", "fleet"),
            message=f"has to be left out in {region}: CodeBuild has reserved capacity in {', '.join(FLEET_REGIONS)}",
            fix="pulumi config rm --path 'ecs-delivery:build.fleet'",
        )


def upload_from_source_needs_code(deploy: DeploySection, source: SourceSection) -> Iterator[Problem]:
    """Yield static files of a repository that is not there."""
    upload = deploy.static_files.upload
    if deploy.static_files.enabled and upload and upload.origin == "source" and source.code is None:
        yield Problem(
            path=("deploy", "staticFiles", "upload", "from"),
            message="must be image, because without code there is no repository to take files from, got source",
            fix="edit the file: write upload: {from: image, path: <folder in the image>}",
        )


def release_needs_a_repository(release: ReleaseSection, source: SourceSection) -> Iterator[Problem]:
    """Yield a GitHub release of a pipeline that knows no GitHub repository, or no commit."""
    if not release.enabled or release.github is None:
        return
    if source.s3:
        yield Problem(
            path=("release", "enabled"),
            message="must be false with source.s3: a GitHub release is made of a commit, and an uploaded archive names "
            "none, got true",
            fix="pulumi config set --path 'ecs-delivery:release.enabled' false",
        )
    elif not release.github.repository and source.github is None:
        yield Problem(
            path=("release", "github", "repository"),
            message="is missing; without source.github the release must say which GitHub repository it belongs to",
            fix="edit the file: write repository: <owner/name>",
        )


def a_status_needs_a_commit_on_github(statuses: StatusesSection, source: SourceSection) -> Iterator[Problem]:
    """Yield what GitHub is to show for a pipeline that knows no GitHub repository, or no commit."""
    if not statuses.enabled:
        return
    if source.s3:
        yield Problem(
            path=("statuses", "enabled"),
            message="must be false with source.s3: GitHub shows what becomes of a commit, and an uploaded archive "
            "names none, got true",
            fix="pulumi config set --path 'ecs-delivery:statuses.enabled' false",
        )
    elif not statuses.repository and source.github is None:
        yield Problem(
            path=("statuses", "repository"),
            message="is missing; without source.github it must say which GitHub repository has the commits",
            fix="edit the file: write repository: <owner/name>",
        )


def tests_need_an_address(tests: TestsSection, build: BuildSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield tests that would not know where to find the service, or could not get there."""
    if not tests.enabled:
        return
    if hosting.existing is None:
        yield from _tests_reach_what_is_made(tests, build, hosting)
        return
    if hosting.existing.service_url:
        return
    if not hosting.existing.load_balancer:
        yield Problem(
            path=("hosting", "existing", "serviceUrl"),
            message="is missing; tests need the address of the service, or the load balancer in front of it",
            fix="edit the file: write serviceUrl: <address of the service>",
        )
    elif not hosting.existing.plain_http:
        yield Problem(
            path=("hosting", "existing", "serviceUrl"),
            message="is missing; tests need the address of the service: a load balancer's own name has no certificate",
            fix="edit the file: write serviceUrl: <address of the service>",
        )


def tests_test_something(tests: TestsSection, build: BuildSection) -> Iterator[Problem]:
    """Yield tests of which none is left."""
    if tests.enabled and not (tests.lighthouse.enabled or tests.http or build.smoke_test.enabled):
        yield Problem(
            path=("tests", "lighthouse", "enabled"),
            message="must be true, or nothing is left to test: there are no HTTP checks and no smoke test, got false",
            fix="pulumi config set --path 'ecs-delivery:tests.lighthouse.enabled' true",
        )


def _tests_reach_what_is_made(tests: TestsSection, build: BuildSection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield a service that tests cannot reach: they check its certificate, and run outside its network.

    The smoke test alone runs within: it is a task beside the service's.
    """
    balancer = hosting.load_balancer
    if not balancer.enabled:
        yield Problem(
            path=("tests", "enabled"),
            message="must be false without a load balancer: tests ask for pages, and nobody reaches this service, "
            "got true",
            fix="pulumi config set --path 'ecs-delivery:tests.enabled' false",
        )
    elif balancer.protocol_version != "HTTP1":
        yield Problem(
            path=("tests", "enabled"),
            message=f"must be false with hosting.loadBalancer.protocolVersion {balancer.protocol_version}: tests ask "
            "over HTTP/1.1, which the load balancer answers with 464, got true",
            fix="pulumi config set --path 'ecs-delivery:tests.enabled' false",
        )
    elif balancer.existing and balancer.existing.host is None:
        yield Problem(
            path=("hosting", "loadBalancer", "existing", "hosts"),
            message="must begin with the name that users call, without * and ?, because tests need the address of "
            "the service",
            fix="edit the file: write hosts: [<host>]",
        )
    elif balancer.internal and (tests.lighthouse.enabled or tests.http):
        yield Problem(
            path=("hosting", "loadBalancer", "internal"),
            message="must be false with Lighthouse and HTTP checks, which run outside the network, got true",
            fix="edit the file: leave the smoke test alone in tests, or set tests.enabled to false",
        )
    elif build.smoke_test.enabled and hosting.network.needs_endpoints and not balancer.internal:
        yield Problem(
            path=("build", "smokeTest", "enabled"),
            message="must be false where the tasks have no way out: the smoke test runs beside them, and cannot reach "
            "the public address of the load balancer, got true",
            fix="pulumi config set --path 'ecs-delivery:hosting.network.natGateways' single",
        )
    elif balancer.certificate_arn and not balancer.domain_name:
        yield Problem(
            path=("hosting", "loadBalancer", "domainName"),
            message="is missing; tests need the name the certificate is for",
            fix="edit the file: write domainName: <name that the certificate is for>",
        )


def test_traffic_reaches_a_listener(deploy: DeploySection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield checks of test traffic where there is no listener for tests that a job outside of the network can ask."""
    balancer = hosting.load_balancer
    if deploy.test_traffic is None:
        return
    wanted = ""
    if hosting.existing is not None or not balancer.is_made:
        wanted = "a load balancer that is made here"
    elif balancer.internal:
        wanted = "a load balancer that is not internal: the job runs outside the network"
    elif balancer.protocol_version != "HTTP1":
        wanted = "protocolVersion HTTP1: the job asks over HTTP/1.1"
    elif balancer.certificate_arn and not balancer.domain_name:
        wanted = "hosting.loadBalancer.domainName, the name that the certificate is for"
    if wanted:
        yield Problem(
            path=("deploy", "testTraffic"),
            message=f"needs {wanted}",
            fix="pulumi config rm --path 'ecs-delivery:deploy.testTraffic'",
        )


def shifting_needs_listeners(deploy: DeploySection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield what an engine misses that turns listeners to the new tasks.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-groups-create-load-balancer-for-ecs.html
    """
    if deploy.chosen_engine.traffic_switch is not TrafficSwitch.LISTENERS or hosting.existing is None:
        return
    if hosting.existing.deployment_group is not None:
        return
    if hosting.existing.listeners is None:
        yield Problem(
            path=("hosting", "existing", "listeners"),
            message=f"is missing; {deploy.chosen_engine.moved_by} shifts traffic at a listener of the load balancer",
            fix="edit the file: write listeners: {production: <port>, test: <port>}, or name the group that the "
            "service has: deploymentGroup: {application: <application>, name: <group>}",
        )
    if not hosting.existing.target_groups:
        yield Problem(
            path=("hosting", "existing", "targetGroups"),
            message=f"is missing; {deploy.chosen_engine.moved_by} shifts traffic between two target groups",
            fix="edit the file: write targetGroups: [<one>, <the other>], or name the group that the "
            "service has: deploymentGroup: {application: <application>, name: <group>}",
        )


def a_deployment_group_keeps_what_it_says(deploy: DeploySection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield a deployment group with an engine that uses none, and keys that such a group has itself."""
    if hosting.existing is None or hosting.existing.deployment_group is None:
        return
    if deploy.chosen_engine.traffic_switch is not TrafficSwitch.LISTENERS:
        users = [engine.name for engine in ENGINES.values() if engine.traffic_switch is TrafficSwitch.LISTENERS]
        yield Problem(
            path=("hosting", "existing", "deploymentGroup"),
            message=f"has an effect only with engine {one_of(users)}, got {deploy.engine}",
            fix="pulumi config rm --path 'ecs-delivery:hosting.existing.deploymentGroup'",
        )
        return
    for field in ("strategy", "step", "termination_wait_minutes", "alarms"):
        if field in deploy.model_fields_set:
            key = to_camel(field)
            yield Problem(
                path=("deploy", key),
                message="belongs to hosting.existing.deploymentGroup, which is used as it is",
                fix=f"pulumi config rm --path 'ecs-delivery:deploy.{key}'",
            )


def taking_over_has_an_effect(deploy: DeploySection, hosting: HostingSection) -> Iterator[Problem]:
    """Yield consent to changes that the engine cannot ship."""
    if hosting.existing and hosting.existing.take_over and deploy.chosen_engine.ships_image_only:
        others = [engine.name for engine in ENGINES.values() if not engine.ships_image_only]
        yield Problem(
            path=("hosting", "existing", "takeOver"),
            message=f"has an effect only with engine {one_of(others)}: {deploy.engine} ships the image alone",
            fix="pulumi config rm --path 'ecs-delivery:hosting.existing.takeOver'",
        )


def a_task_definition_file_needs_code(hosting: HostingSection, source: SourceSection) -> Iterator[Problem]:
    """Yield a file of a repository that is not there."""
    if hosting.existing and hosting.existing.task_definition_file and source.code is None:
        yield Problem(
            path=("hosting", "existing", "taskDefinitionFile"),
            message="needs code (source.github, gitlab, bitbucket or s3): this pipeline starts from an image, which "
            "has no such file",
            fix="pulumi config rm --path 'ecs-delivery:hosting.existing.taskDefinitionFile'",
        )


def parallel_runs_stay_apart(
    pipeline: PipelineSection, deploy: DeploySection, promotion: PromotionSection
) -> Iterator[Problem]:
    """Yield parallel runs that would meet: an engine runs one deployment at a time, promotions could overtake.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    """
    if pipeline.execution_mode != "parallel":
        return
    reason = ""
    commands = [key for key in ("before", "after") if getattr(deploy, key) is not None]
    if deploy.chosen_engine.one_at_a_time:
        reason = f"engine {deploy.engine} runs one deployment at a time"
    elif commands:
        reason = f"the commands of two versions could run at the same time (deploy.{commands[0]})"
    elif promotion.enabled:
        reason = "an older run could promote its image after a newer one"
    if reason:
        yield Problem(
            path=("pipeline", "executionMode"),
            message=f"must be superseded or queued, because {reason}, got parallel",
            fix="pulumi config set --path 'ecs-delivery:pipeline.executionMode' queued",
        )


def name_and_stack_fit_aws(application: ApplicationSection, stack: str) -> Iterator[Problem]:
    """Yield a stack whose name does not suit everything that is named after application and stack.

    The shortest of them is a connection, 32 characters; a repository takes no capitals, a build project no dots.
    https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_CreateConnection.html
    """
    longest = 31 - len(application.name)
    environment = application.environment_of(stack)
    if len(environment) > longest or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", environment):
        yield Problem(
            path=("application", "name"),
            message=f'does not go with the stack\'s name "{stack}": everything is named after both, so beside '
            f"{application.name} a stack's name must be 1 to {longest} lower-case letters, digits and single hyphens",
            fix=f"pulumi stack rename --stack {stack} <new name>",
        )


def source_is_not_the_result(
    application: ApplicationSection, build: BuildSection, source: SourceSection, stack: str
) -> Iterator[Problem]:
    """Yield a base image in the very repository the pipeline pushes to: each run would start the next."""
    own = build.repository_for(application.prefix_in(stack))
    pushed = (own, *(repository_beside(own, name) for name in (*application.further_images, *build.beside)))
    if source.code and source.ecr and source.ecr.repository in pushed:
        yield Problem(
            path=("source", "ecr", "repository"),
            message="must differ from the repository this stack pushes to, or a run starts the next; got "
            f'"{source.ecr.repository}"',
            fix=f"pulumi config set --path 'ecs-delivery:build.repository' {application.prefix_in(stack)}-images",
        )


def a_release_starts_no_run(release: ReleaseSection, source: SourceSection) -> Iterator[Problem]:
    """Yield a release whose tag, put on the image that was delivered, would start the next run.

    ECR tells of each tag that an image gets as of a push: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
    """
    pattern = source.ecr.tag_pattern if source.ecr and source.code is None else None
    if not release.enabled or pattern is None or (source.ecr and source.ecr.arrives_by != "push"):
        return
    start, prefix = pattern.partition("*")[0], release.tag_prefix
    if start.startswith(prefix) or prefix.startswith(start):
        yield Problem(
            path=("source", "ecr", "tagPattern"),
            message=f'matches tags that the release gives to the image, which begin with "{prefix}", so each run '
            f"would start the next; got {pattern}",
            fix="edit the file: write tagPattern: <pattern of other tags>",
        )


def promotion_leads_elsewhere(
    promotion: PromotionSection, application: ApplicationSection, build: BuildSection, source: SourceSection, stack: str
) -> Iterator[Problem]:
    """Yield a promotion into the repository the image is in already."""
    if source.code or source.ecr is None:
        own = build.repository_for(application.prefix_in(stack))
    else:
        own = source.ecr.repository
    here = promotion.account_id is None and promotion.region is None
    if promotion.enabled and here and promotion.repository == own:
        yield Problem(
            path=("promotion", "repository"),
            message=f'must be another repository than this stack\'s own, got "{own}" for both',
            fix="edit the file: write repository: <another repository>",
        )


def somebody_builds_what_is_delivered(verification: VerificationSection, source: SourceSection) -> Iterator[Problem]:
    """Yield images from ECR of which nobody says who builds them, and what is said of images that are built here."""
    section = verification.provenance
    given = {"source": section.source, "pipeline": section.pipeline}
    at = "pulumi config {} --path 'ecs-delivery:verification.provenance.{}'"
    if source.code is not None:
        for key in (key for key, value in given.items() if value is not None):
            yield Problem(
                path=("verification", "provenance", key),
                message="has an effect only on images from ECR (source.ecr without code): this pipeline builds its "
                f"images itself, of {source.code.source_url}",
                fix=at.format("rm", key),
            )
        return
    forms = {"source": "<address of the repository>", "pipeline": "<name of the pipeline>"}
    for key in (key for key, value in given.items() if section.enabled and value is None):
        what = "repository its code is in" if key == "source" else "pipeline that builds it"
        yield Problem(
            path=("verification", "provenance", key),
            message=f"is missing; an image from ECR is deployed when its provenance names the {what}, unless the file "
            "says enabled: false, as for images that another program builds",
            fix=f"edit the file: write {key}: {forms[key]}, or {at.format('set', 'enabled')} false",
        )


RULES: Final[tuple[Callable[..., Iterator[Problem]], ...]] = (
    hosting_says_how_it_is_reached,
    what_the_load_balancer_uses_is_in_its_region,
    grpc_is_checked_by_a_method,
    most_tasks_are_not_fewer_than_the_fewest,
    a_schedule_fits_the_limits,
    a_deployment_can_replace_tasks,
    scaling_by_requests_needs_one_target_group,
    traffic_moves_between_target_groups,
    service_connect_is_set_by_a_deployment,
    a_registry_holds_the_tasks_that_serve,
    endpoints_lead_to_containers,
    the_proxy_has_memory,
    alarms_fit_into_a_deployment,
    exec_needs_a_writable_root,
    commands_fit_into_an_override,
    a_service_that_exists_keeps_its_own,
    the_load_balancer_reaches_a_container,
    further_listeners_reach_containers,
    further_listeners_are_not_shifted,
    images_can_be_fetched,
    delivery_variables_can_change,
    smoke_test_needs_code,
    further_images_are_built_and_used,
    further_images_arrive_first,
    build_without_code_builds_nothing,
    a_fleet_is_of_the_region,
    upload_from_source_needs_code,
    release_needs_a_repository,
    a_status_needs_a_commit_on_github,
    tests_need_an_address,
    tests_test_something,
    test_traffic_reaches_a_listener,
    shifting_needs_listeners,
    a_deployment_group_keeps_what_it_says,
    taking_over_has_an_effect,
    a_task_definition_file_needs_code,
    parallel_runs_stay_apart,
    name_and_stack_fit_aws,
    source_is_not_the_result,
    a_release_starts_no_run,
    promotion_leads_elsewhere,
    somebody_builds_what_is_delivered,
    *(conflict.rule for conflict in CONFLICTS),
)

"""What the sections of a stack file owe each other.

Each rule is a pure function that names the sections it looks at as its parameters and yields what is wrong.
`load_settings` runs every rule whose sections are right on their own, so that one mistake is told once.
A rule may also ask for `stack`, the stack's name.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from components.settings.application import Application
from components.settings.base import Problem
from components.settings.build import Build
from components.settings.deploy import Deploy
from components.settings.hosting import Hosting
from components.settings.pipeline import Pipeline
from components.settings.promotion import Promotion
from components.settings.release import Release
from components.settings.source import Source
from components.settings.tests import Tests


def hosting_is_named(hosting: Hosting | None) -> Iterator[Problem]:
    """Yield a stack that does not say where its application runs."""
    if hosting is None:
        yield Problem(
            path=("hosting",),
            wrong="is missing: the cluster and the service the application runs in",
            fix="edit the file: write it like ecs-delivery:hosting: {existing: {cluster: shop, service: shop, "
            "executionRole: shop-execution, loadBalancer: shop, listeners: {production: 443, test: 8443}, "
            "targetGroups: [shop-blue, shop-green]}}",
        )


def smoke_test_needs_code(build: Build, source: Source) -> Iterator[Problem]:
    """Yield a smoke test with nothing to build it from."""
    if build.smoke_test.enabled and source.github is None:
        yield Problem(
            path=("build", "smokeTest", "enabled"),
            wrong="needs source.github: the smoke-test image is built from code, this pipeline starts from an image",
            fix="pulumi config set --path 'ecs-delivery:build.smokeTest.enabled' false",
        )


def build_without_code_builds_nothing(build: Build, source: Source) -> Iterator[Problem]:
    """Yield keys of a build that does not take place, because the pipeline delivers an image as it is."""
    if source.github is not None:
        return
    for field, key in (
        ("dockerfile", "dockerfile"),
        ("context", "context"),
        ("target", "target"),
        ("args", "args"),
        ("repository", "repository"),
        ("version", "version"),
    ):
        if getattr(build, field) != Build.model_fields[field].default:
            yield Problem(
                path=("build", key),
                wrong="has an effect only with source.github: this pipeline delivers the image of source.ecr as it is",
                fix=f"pulumi config rm --path 'ecs-delivery:build.{key}'",
            )


def upload_from_source_needs_code(deploy: Deploy, source: Source) -> Iterator[Problem]:
    """Yield static files of a repository that is not there."""
    upload = deploy.static_files.upload
    if deploy.static_files.enabled and upload and upload.origin == "source" and source.github is None:
        yield Problem(
            path=("deploy", "staticFiles", "upload", "from"),
            wrong="must be image, because without source.github there is no repository to take files from, got source",
            fix="edit the file: write it like upload: {from: image, path: /app/public}",
        )


def release_needs_a_repository(release: Release, source: Source) -> Iterator[Problem]:
    """Yield a GitHub release of a pipeline that knows no GitHub repository."""
    if release.enabled and release.github and not release.github.repository and source.github is None:
        yield Problem(
            path=("release", "github", "repository"),
            wrong="is missing; without source.github the release must say which GitHub repository it belongs to",
            fix="pulumi config set --path 'ecs-delivery:release.github.repository' example/shop",
        )


def tests_need_an_address(tests: Tests, hosting: Hosting | None) -> Iterator[Problem]:
    """Yield tests that would not know where to find the service."""
    if not tests.enabled or hosting is None or hosting.existing.service_url:
        return
    if not hosting.existing.load_balancer:
        yield Problem(
            path=("hosting", "existing", "serviceUrl"),
            wrong="is missing; tests need the address of the service, or the load balancer in front of it",
            fix="pulumi config set --path 'ecs-delivery:hosting.existing.serviceUrl' https://shop.example.com",
        )
    elif not hosting.existing.plain_http:
        yield Problem(
            path=("hosting", "existing", "serviceUrl"),
            wrong="is missing; tests need the address of the service: a load balancer's own name has no certificate",
            fix="pulumi config set --path 'ecs-delivery:hosting.existing.serviceUrl' https://shop.example.com",
        )


def code_deploy_needs_listeners(deploy: Deploy, hosting: Hosting | None) -> Iterator[Problem]:
    """Yield what CodeDeploy misses to shift traffic.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-groups-create-load-balancer-for-ecs.html
    """
    if deploy.engine != "codeDeploy" or hosting is None:
        return
    if hosting.existing.listeners is None:
        yield Problem(
            path=("hosting", "existing", "listeners"),
            wrong="is missing; CodeDeploy shifts traffic at a listener of the load balancer",
            fix="edit the file: write it like listeners: {production: 443, test: 8443}",
        )
    if not hosting.existing.target_groups:
        yield Problem(
            path=("hosting", "existing", "targetGroups"),
            wrong="is missing; CodeDeploy shifts traffic between two target groups",
            fix="edit the file: write it like targetGroups: [shop-blue, shop-green]",
        )


def parallel_runs_stay_apart(pipeline: Pipeline, deploy: Deploy, promotion: Promotion) -> Iterator[Problem]:
    """Yield parallel runs that would meet: CodeDeploy runs one deployment a group, promotions could overtake.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    """
    if pipeline.execution_mode != "parallel":
        return
    reason = ""
    if deploy.engine == "codeDeploy":
        reason = "engine codeDeploy runs one deployment at a time"
    elif promotion.enabled:
        reason = "an older run could promote its image after a newer one"
    if reason:
        yield Problem(
            path=("pipeline", "executionMode"),
            wrong=f"must be superseded or queued, because {reason}, got parallel",
            fix="pulumi config set --path 'ecs-delivery:pipeline.executionMode' queued",
        )


def name_and_stack_fit_aws(application: Application, stack: str) -> Iterator[Problem]:
    """Yield a stack whose name does not suit everything that is named after application and stack.

    The shortest of them is a connection, 32 characters; a repository takes no capitals, a build project no dots.
    https://docs.aws.amazon.com/codeconnections/latest/APIReference/API_CreateConnection.html
    """
    longest = 31 - len(application.name)
    if len(stack) > longest or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", stack):
        yield Problem(
            path=("application", "name"),
            wrong=f'does not go with the stack\'s name "{stack}": everything is named after both, so beside '
            f"{application.name} a stack's name must be 1 to {longest} lower-case letters, digits and single hyphens",
            fix="pulumi stack rename dev",
        )


def source_is_not_the_result(application: Application, build: Build, source: Source, stack: str) -> Iterator[Problem]:
    """Yield a base image in the very repository the pipeline pushes to: each run would start the next."""
    own = build.repository_for(application.name, stack)
    if source.github and source.ecr and source.ecr.repository == own:
        yield Problem(
            path=("source", "ecr", "repository"),
            wrong=f'must differ from the repository this stack pushes to, or a run starts the next; got "{own}"',
            fix=f"pulumi config set --path 'ecs-delivery:build.repository' {application.name}-{stack}-images",
        )


def promotion_leads_elsewhere(
    promotion: Promotion, application: Application, build: Build, source: Source, stack: str
) -> Iterator[Problem]:
    """Yield a promotion into the repository the image is in already."""
    if source.github or source.ecr is None:
        own = build.repository_for(application.name, stack)
    else:
        own = source.ecr.repository
    here = promotion.account_id is None and promotion.region is None
    if promotion.enabled and here and promotion.repository == own:
        yield Problem(
            path=("promotion", "repository"),
            wrong=f'must be another repository than this stack\'s own, got "{own}" for both',
            fix=f"pulumi config set --path 'ecs-delivery:promotion.repository' {application.name}-prod",
        )


RULES: Final[tuple[Callable[..., Iterator[Problem]], ...]] = (
    hosting_is_named,
    smoke_test_needs_code,
    build_without_code_builds_nothing,
    upload_from_source_needs_code,
    release_needs_a_repository,
    tests_need_an_address,
    code_deploy_needs_listeners,
    parallel_runs_stay_apart,
    name_and_stack_fit_aws,
    source_is_not_the_result,
    promotion_leads_elsewhere,
)

"""Build: the app image, the optional smoke-test image, and the deployment artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pulumi

from components.engines import Engine
from components.foundation.iam import Statement
from components.foundation.secret import SecretReference, read_all
from components.hosting.task_definition_template import KEY
from components.images.builder import APP_JOB, BUILDER_ID, Builder, job_of
from components.images.repository import (
    Pusher,
    Repository,
    named_repository,
    pull_all,
    pull_images,
    pull_through_cache,
    push_images,
    registry_login,
)
from components.jobs.build_project import PLATFORMS, BuildNetwork, BuildProject, Machine, image_builder, size_beside
from components.jobs.fleet import reserved_capacity
from components.pipeline.model import FURTHER_IMAGES, Action, Artifact, Category, scheduled, variable
from components.pipeline.variables import (
    BUILD_IMAGE,
    BUILD_SMOKE_TEST_IMAGE,
    DELIVERED_IMAGE,
    FURTHER_DIGESTS,
    PREPARE_DEPLOYMENT,
    SOURCE_IMAGE,
    build_of,
    built_digests,
)
from components.settings import BuildSection
from components.settings.sections.build import CheckSection, ImageSection
from components.stages.signature import (
    SignatureJob,
    profile_of_others,
    profile_that_signs,
    sign_images,
    verify_signatures,
)
from components.stages.stage import SharedFacts, Stage, StageContext
from components.stages.verification import ImageVerification, VerificationArgs

_PREPARE_JOB = "prepare-deployment"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildStageArgs:
    """What the stage needs of the stack file.

    Attributes:
        build: The section ``build``.
        engine: Which deployment the artifacts are for.
        source_url: Where the code is; ``None`` when there is only an image to verify.
        revision: What a run knows of its code; empty when there is none.
        release_tag_prefix: What the version's tag will start with; ``None`` when nothing is released.
        verification: What the images have to prove before they are deployed; ``None`` for nothing.
        signs_with: The signing profile that the images are signed with; ``None`` when they are not signed.
        signed_with: The signing profile that images from ECR have to be signed with; ``None`` for none.
    """

    build: BuildSection
    engine: Engine
    source_url: str | None
    revision: Mapping[str, str]
    release_tag_prefix: str | None
    verification: VerificationArgs | None
    signs_with: str | None
    signed_with: str | None


@dataclass(frozen=True, slots=True)
class _BuiltImage:
    """An image that a run builds.

    Attributes:
        job: Name of its build.
        action: Name of its action, and of what the build exports.
        artifact: What is known of the image.
        repository: Where it is pushed to.
        section: What it is built from.
        delivered: Whether it is part of what is deployed, and built with all that the application's image is.
    """

    job: str
    action: str
    artifact: Artifact
    repository: Repository
    section: ImageSection
    delivered: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Preparation:
    """What the build that knows the image is given to prepare the deployment, too; nothing where that is done apart.

    Attributes:
        job: The job that prepares it.
        writes: What this leaves.
        variables: What it is told.
        statements: What it may do beyond what a build of the image may.
    """

    job: str | None = None
    writes: tuple[Artifact, ...] = ()
    variables: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    statements: tuple[Statement, ...] = ()


class BuildStage(Stage[BuildSection, BuildStageArgs]):
    """Turns a commit or a pushed image into what can be deployed."""

    TYPE: ClassVar[str] = "ecs-delivery:stage:Build"
    NAME: ClassVar[str] = "Build"
    SECTION: ClassVar[str] = "build"

    def __init__(
        self, name: str, args: BuildStageArgs, context: StageContext, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, context, opts)
        projects: list[BuildProject] = []
        actions: list[Action] = []
        if args.source_url is None:
            record = self._record()
            actions.append(
                record.action(BUILD_IMAGE, environment={"IMAGE_DIGEST": variable(SOURCE_IMAGE, "ImageDigest")})
            )
            projects.append(record)
        self._fleet = self._reserved_capacity()
        pushers: list[Pusher] = []
        for image in self._images():
            project = self._build(image)
            pushers += [each.pushed_by(project.role_arn) for each in self._pushed_into(image)]
            actions.append(self._built(project, image))
            projects.append(project)
        for check, section in sorted(args.build.checks.items()):
            project = self._check(check, section)
            name = "Check" + "".join(word.capitalize() for word in check.split("-"))
            built = {"IMAGE_URI": variable(BUILD_IMAGE, "IMAGE_URI")} if section.image else {}
            actions.append(project.action(name, category=Category.TEST, environment=built))
            projects.append(project)
        environment = {**DELIVERED_IMAGE, **self._further_digests()}
        if self._prepared_apart:
            prepare = self._prepare()
            actions.append(prepare.action(PREPARE_DEPLOYMENT, environment=environment))
            projects.append(prepare)
        self.grants = tuple(project.start() for project in projects)
        if args.verification is not None:
            verification = ImageVerification(
                f"{name}-verification", args.verification, environment, context, pulumi.ResourceOptions(parent=self)
            )
            actions.append(verification.action)
            self.grants += (verification.start,)
        for job in self._signature_jobs(environment):
            actions.append(job.action)
            self.grants += (job.start,)
            pushers += job.pushers
        self.pushers = tuple(pushers)
        self.actions = scheduled(actions, parallel_jobs=context.parallel_jobs)
        self.register_outputs({"projects": [project.name for project in projects]})

    @classmethod
    def wanted(cls, section: BuildSection, shared: SharedFacts) -> BuildStageArgs:
        """Every pipeline builds."""
        return BuildStageArgs(
            build=section,
            engine=shared.engine,
            source_url=shared.source_url,
            revision=shared.revision,
            release_tag_prefix=shared.release_tag_prefix,
            verification=VerificationArgs.wanted(shared, "deployment"),
            signs_with=profile_that_signs(shared),
            signed_with=profile_of_others(shared),
        )

    def _signature_jobs(self, delivered: Mapping[str, str]) -> Iterator[SignatureJob]:
        """Yield what signs the images that are built here, or verifies that those from ECR are signed."""
        args, child = self._args, pulumi.ResourceOptions(parent=self)
        if args.signs_with is not None:
            yield sign_images(f"{self._name}-signing", args.signs_with, delivered, self._context, child)
        if args.signed_with is not None:
            yield verify_signatures(f"{self._name}-signature", args.signed_with, delivered, self._context, child)

    def _images(self) -> Iterator[_BuiltImage]:
        """Yield what is built of the code: the application's image first, which the others may not wait for."""
        build, registry = self._args.build, self._context.registry
        if self._args.source_url is None:
            return
        yield _BuiltImage(APP_JOB, BUILD_IMAGE, Artifact.IMAGE, registry.app, build.own_image)
        # One artifact for each container that a task may have: there are never more images.
        for (name, repository), artifact in zip(registry.further.items(), FURTHER_IMAGES, strict=False):
            yield _BuiltImage(job_of(name), build_of(name), artifact, repository, build.images[name])
        if registry.smoke_test is not None:
            section = ImageSection(dockerfile=build.smoke_test.dockerfile, context=build.smoke_test.context)
            yield _BuiltImage(
                job_of("smoke-test"),
                BUILD_SMOKE_TEST_IMAGE,
                Artifact.SMOKE_TEST_IMAGE,
                registry.smoke_test,
                section,
                delivered=False,
            )

    def _further_digests(self) -> dict[str, str]:
        """The digests of the images that are delivered with the application's, where there are any."""
        if not self._context.registry.further:
            return {}
        found = variable(BUILD_IMAGE, FURTHER_DIGESTS)  # of the repositories, by the image that has arrived
        return {FURTHER_DIGESTS: built_digests(self._context.registry.further) if self._args.source_url else found}

    @property
    def _looks(self) -> bool:
        """Whether what the service runs is looked at before it is deployed to."""
        return self._args.engine.ships_image_only or self._context.hosting.take_over is not None

    @property
    def _prepared_apart(self) -> bool:
        """Whether an action of its own prepares the deployment: it has other images, or depends on what runs.

        Otherwise the build that knows the image does it, too: a machine less has to start in each run.
        """
        return bool(self._context.registry.further) or self._looks

    @property
    def _app_spec(self) -> pulumi.Input[str]:
        """Network and capacity provider, for CodeDeploy and where nothing else moves the service; else nothing."""
        placement, engine = self._context.hosting.placement, self._args.engine
        if placement is None or (engine.deployed_by_ecs and not engine.ships_image_only):
            return ""
        return placement.app_spec(network=not engine.deployed_by_ecs)

    @property
    def _platform(self) -> str:
        return PLATFORMS[self._context.application.architecture]

    @property
    def _network(self) -> BuildNetwork | None:
        """Where the code is built and checked."""
        network = self._args.build.network
        if network is None:
            return None
        return BuildNetwork(vpc_id=network.vpc_id, subnets=network.subnets, security_groups=network.security_groups)

    def _reserved_capacity(self) -> pulumi.Input[str] | None:
        """The ARN of the fleet that images are built on; ``None`` for machines on demand."""
        build = self._args.build
        if build.fleet is None:
            return None
        return build.fleet.arn or reserved_capacity(
            f"{self._name}-fleet",
            foundation=self._context.foundation,
            machine=image_builder(architecture=self._context.application.architecture, size=build.compute),
            capacity=build.fleet.capacity,
            overflow=build.fleet.overflow,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _machine(self, image: _BuiltImage) -> Machine:
        """What an image is built on."""
        build = self._args.build
        machine = image_builder(
            architecture=self._context.application.architecture,
            size=build.compute if image.delivered else size_beside(build.compute),
        )
        return replace(machine, fleet=self._fleet, keeps_layers=build.cache) if build.fleet else machine

    def _build(self, image: _BuiltImage) -> BuildProject:
        build, section = self._args.build, image.section
        base = self._context.registry.source if image.delivered else None
        variables: dict[str, pulumi.Input[str]] = {
            "IMAGE_REPOSITORY_URI": image.repository.uri,
            "DOCKERFILE": section.dockerfile,
            "BUILD_CONTEXT": section.context,
            "PLATFORM": self._platform,
            "CACHE": json.dumps(build.cache),
            "COMPRESSION": build.compression,
            "VERSION_FROM": build.version.origin,
            "VERSION_PATH": build.version.path,
            "SOURCE_URL": self._args.source_url or "",
            BUILDER_ID: Builder.of(self._context.foundation).id(image.job),
        }
        take_over = self._context.hosting.take_over
        if image.artifact is Artifact.IMAGE and take_over is not None and take_over.file is not None:
            variables["TASK_DEFINITION_FILE"] = take_over.file
        if image.delivered:
            variables |= {
                "BUILD_TARGET": section.target or "",
                "BUILD_ARGS": json.dumps(dict(section.args), sort_keys=True),
            }
        tools = self._context.registry.build_tools
        if tools is not None:
            variables["BUILD_TOOLS_REPOSITORY_URI"] = tools.uri
        pulls: list[Statement] = []
        if build.secrets and image.delivered:
            variables["BUILD_MOUNTS"] = json.dumps(dict(build.secrets), sort_keys=True)
        if build.registry_logins:
            variables["REGISTRY_LOGINS"] = json.dumps(dict(build.registry_logins), sort_keys=True)
        if secrets := [*(build.secrets.values() if image.delivered else ()), *build.registry_logins.values()]:
            account = self._context.foundation.account
            pulls.append(read_all("ReadBuildSecrets", map(SecretReference.parsed, secrets), account))
        if build.base_repositories:
            bases = [named_repository(name, self._context.foundation.account) for name in build.base_repositories]
            variables["BASE_REPOSITORIES"] = pulumi.Output.json_dumps([found.uri for found in bases])
            pulls.append(pull_all("PullBaseImages", bases))
        if base is not None:
            variables["BASE_IMAGE_REPOSITORY_URI"] = base.uri
            pulls.append(base.pull())
        if build.docker_hub_cache is not None:
            cache = pull_through_cache(build.docker_hub_cache, self._context.foundation.account)
            variables["DOCKER_HUB_CACHE_URI"] = cache.uri
            pulls.append(cache.pull())
        preparation = self._preparation(image.artifact)
        return self.project(
            image.job,
            buildspec="build-image",
            then=preparation.job,
            description=f"Builds {section.dockerfile} and pushes the image once, under its commit",
            machine=self._machine(image),
            reads=(Artifact.SOURCE,),
            writes=(image.artifact, *preparation.writes),
            variables={**variables, **preparation.variables},
            statements=[
                push_images(self._pushed_into(image)),
                registry_login(),
                *pulls,
                *preparation.statements,
            ],
            timeout_minutes=build.timeout_minutes,
            network=self._network,
        )

    def _pushed_into(self, image: _BuiltImage) -> tuple[Repository, ...]:
        """The repositories that an image's build puts images into."""
        tools = self._context.registry.build_tools
        return (image.repository, *([tools] if tools else []))

    def _built(self, project: BuildProject, image: _BuiltImage) -> Action:
        environment = dict(self._args.revision)
        if image.delivered and self._context.registry.source is not None:
            environment["BASE_IMAGE_DIGEST"] = variable(SOURCE_IMAGE, "ImageDigest")
        return project.action(image.action, environment=environment)

    def _check(self, name: str, check: CheckSection) -> BuildProject:
        """A build of the application's own, which may pull the image where it is asked to look at it."""
        machine = image_builder(architecture=self._context.application.architecture, size=check.compute)
        return self.own_project(
            f"check-{name}",
            check.buildspec,
            description=f"Runs {check.buildspec} of the application's repository",
            machine=replace(machine, builds_images=check.docker),
            variables={"IMAGE_URI": ""} if check.image else {},
            statements=[self._context.registry.app.pull(), registry_login()] if check.image else [],
            timeout_minutes=check.timeout_minutes,
            network=self._network,
        )

    def _record(self) -> BuildProject:
        repository, preparation = self._context.registry.app, self._preparation(Artifact.IMAGE)
        return self.project(
            "record-image",
            then=preparation.job,
            description="Verifies the pushed image and records its digest; rebuilds nothing",
            machine=self._context.quick,
            reads=(Artifact.SOURCE_IMAGE,),
            writes=(Artifact.IMAGE, *preparation.writes),
            variables={
                "IMAGE_REPOSITORY_URI": repository.uri,
                "PLATFORM": self._platform,
                **self._context.registry.further_images,
                **preparation.variables,
            },
            statements=[pull_images(self._context.registry.every_delivered), *preparation.statements],
        )

    def _prepare(self) -> BuildProject:
        hosting = self._context.hosting
        return self.project(
            _PREPARE_JOB,
            description="Writes task definition, appspec and image definitions for the built image",
            machine=self._context.quick,
            reads=(Artifact.IMAGE,),
            writes=(Artifact.DEPLOYMENT,),
            variables={**self._deployment(), **self._context.registry.further_images},
            statements=[
                pull_images(self._context.registry.every_delivered),
                self._read_template(),
                *([hosting.read_service(), hosting.read_task_definitions()] if self._looks else []),
            ],
        )

    def _preparation(self, built: Artifact) -> _Preparation:
        """What the build that leaves this artifact is given to prepare the deployment."""
        if self._prepared_apart or built is not Artifact.IMAGE:
            return _Preparation()
        return _Preparation(
            job=_PREPARE_JOB,
            writes=(Artifact.DEPLOYMENT,),
            variables=self._deployment(),
            statements=(self._read_template(),),
        )

    def _read_template(self) -> Statement:
        return self._context.artifacts.read("ReadTaskDefinitionTemplate", KEY)

    def _deployment(self) -> dict[str, pulumi.Input[str]]:
        """What the job that prepares the deployment is told."""
        context, hosting, engine = self._context, self._context.hosting, self._args.engine
        own = (context.application.container, context.application.port)
        reached = hosting.reached or own
        environment = context.foundation.tags["Environment"]
        return {
            "TASK_DEFINITION_TEMPLATE": context.task_definition,
            "CONTAINER_NAME": context.application.container,
            "CONTAINER_PORT": str(reached[1]),
            **({"LOAD_BALANCER_CONTAINER": reached[0]} if reached != own else {}),
            "APPSPEC": self._app_spec,
            "IMAGE_ONLY": json.dumps(engine.ships_image_only),
            "CLUSTER": hosting.cluster,
            "SERVICE": hosting.service,
            # A version that cannot be released is better noticed before it is deployed.
            "RELEASED": json.dumps(self._args.release_tag_prefix is not None),
            "TAG_PREFIX": self._args.release_tag_prefix or "",
            **({"DELIVERY_ENVIRONMENT": environment} if context.application.delivery_variables else {}),
            **self._take_over(),
        }

    def _take_over(self) -> dict[str, pulumi.Input[str]]:
        """What the job is told of a service that exists."""
        take_over = self._context.hosting.take_over
        if take_over is None:
            return {"EXISTING": "false"}
        return {
            "EXISTING": "true",
            "STACK": self._context.foundation.stack,
            "TASK_DEFINITION_FILE": take_over.file or "",
            "TAKE_OVER": json.dumps(take_over.agreed),
            "CONTROLLER": self._args.engine.controller,
            "IMAGE_PLATFORM": self._platform,
        }

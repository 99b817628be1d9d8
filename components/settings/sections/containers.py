"""Further containers of a task, and what all of its containers owe each other."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from components.settings.names import ECR_REPOSITORY, IMAGE_NAME, image_name
from components.settings.section import Constraint, Problem
from components.settings.sections.container import ContainerSection
from components.settings.sections.logs import FirelensSection

MOST_CONTAINERS: Final = 10
"""Containers of one task: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html"""

BUILT: Final = "build"
"""Stands for the image that the pipeline delivers."""

BUILT_BESIDE: Final = f"{BUILT}/"
"""Stands, with a name behind it, for an image that is delivered with it."""


def _image(reference: str) -> str:
    """Return the reference if what it names of this pipeline's can be an image's name.

    Raises:
        ValueError: If it cannot.
    """
    if reference.startswith(BUILT_BESIDE) and ":" not in reference:
        image_name(reference.removeprefix(BUILT_BESIDE))
    return reference


_HOST = r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/"
_REFERENCE = ECR_REPOSITORY.strip("^$")
ImageReference = Annotated[
    str,
    StringConstraints(
        pattern=rf"^(build(/{IMAGE_NAME})?|({_HOST})?{_REFERENCE}(:[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}|(:[A-Za-z0-9_][A-Za-z0-9._-]"
        r"{0,127})?@sha256:[0-9a-f]{64}))$",
        max_length=512,
    ),
    AfterValidator(_image),
    Constraint(
        "an image with a tag or a digest behind its name, build for the image that is delivered, or build/NAME for "
        "one of build.images"
    ),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html"""


class FurtherContainerSection(ContainerSection):
    """A container beside the application's own, in the same task."""

    image: ImageReference = Field(
        description="Its image, by digest or by a tag, of any registry; `build` for the one that is delivered, "
        "`build/NAME` for one of `build.images`, or, without code, of the repository `<source.ecr.repository>-NAME`.",
        examples=["public.ecr.aws/nginx/nginx:1.27"],
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port it listens on; containers of a task reach each other at localhost.",
        examples=[80],
    )
    essential: bool = Field(
        default=True,
        description="Whether the task ends with it. False for one that runs once before the others (dependsOn).",
        examples=[False],
    )
    cpu: int | None = Field(
        default=None,
        ge=1,
        le=16384,
        description="CPU units of the task's that are kept for it.",
        examples=[64],
    )
    memory: int | None = Field(
        default=None,
        ge=6,  # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
        le=122880,
        description="Memory in MiB of the task's above which it is killed.",
        examples=[128],
    )
    memory_reservation: int | None = Field(
        default=None,
        ge=6,
        le=122880,
        description="Memory in MiB of the task's that is kept for it.",
        examples=[64],
    )

    firelens: FirelensSection | None = Field(
        default=None,
        description="Makes the container the log router of the task, for containers with driver awsfirelens.",
        examples=[{"type": "fluentbit"}],
    )

    @property
    def built(self) -> str | None:
        """Name of the further image of this pipeline's that it takes; ``None`` for any other image."""
        name = self.image.removeprefix(BUILT_BESIDE)
        return name if name != self.image and ":" not in name else None

    @property
    def reserved_memory(self) -> int:
        """Memory of the task that is kept for it, in MiB."""
        return self.memory_reservation or self.memory or 0

    def problems(self) -> Iterator[Problem]:
        """Yield what a container may not have, and a hard limit below the soft one."""
        yield from super().problems()
        if self.firelens is not None and self.logs.driver == "awsfirelens":
            yield Problem(
                path=("logs", "driver"),
                message="must be awslogs for the log router itself, got awsfirelens",
                fix="edit the file: leave it out",
            )
        if self.memory and self.memory_reservation and self.memory <= self.memory_reservation:
            yield Problem(
                path=("memoryReservation",),
                message=f"must be below memory ({self.memory}), got {self.memory_reservation}",
                fix="edit the file: leave out one of the two",
            )


def container_problems(
    own: str,
    port: int,
    size: tuple[int, int],
    application: ContainerSection,
    further: Mapping[str, FurtherContainerSection],
) -> Iterator[Problem]:
    """Yield what the containers of a task owe each other.

    Args:
        own: Name of the application's own container.
        port: Its port.
        size: CPU units and MiB of memory of the task.
        application: What is said of it.
        further: The others by their names.
    """
    if len(further) >= MOST_CONTAINERS:
        yield Problem(
            path=("containers",),
            message=f"must be up to {MOST_CONTAINERS - 1} beside the application's own, because a task has "
            f"{MOST_CONTAINERS} at most, got {len(further)}",
            fix=f"edit the file: leave out {len(further) - MOST_CONTAINERS + 1} of them",
        )
    if own in further:
        yield Problem(
            path=("containers", own),
            message="is the name of the application's own container",
            fix="edit the file: rename it",
        )
        return
    yield from _port_problems(port, further)
    yield from _size_problems(size, further)
    yield from _dependency_problems(own, application, further)
    yield from _router_problems(own, application, further)


def _port_problems(port: int, further: Mapping[str, FurtherContainerSection]) -> Iterator[Problem]:
    """Yield ports that two containers listen on: they share one network interface."""
    taken = {port: "application.port"}
    for name, container in further.items():
        if container.port is None:
            continue
        if container.port in taken:
            yield Problem(
                path=("containers", name, "port"),
                message=f"must be another port than that of {taken[container.port]}, because the containers of a task "
                f"share one address, got {container.port}",
                fix=f"pulumi config set --path 'ecs-delivery:application.containers.{name}.port' {container.port + 1}",
            )
        else:
            taken[container.port] = f"application.containers.{name}"


def _size_problems(size: tuple[int, int], further: Mapping[str, FurtherContainerSection]) -> Iterator[Problem]:
    """Yield containers that keep more than the task has; something has to be left for the application's own.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
    """
    kept = (
        ("cpu", size[0], sum(part.cpu or 0 for part in further.values())),
        ("memory", size[1], sum(part.reserved_memory for part in further.values())),
    )
    for key, whole, sum_ in kept:
        if sum_ >= whole:
            yield Problem(
                path=("containers",),
                message=f"must keep less {key} together than the task has (application.{key}, {whole}), got {sum_}",
                fix=f"edit the file: raise application.{key}, or lower {key} of the containers",
            )
    for name, container in further.items():
        if container.memory is not None and container.memory > size[1]:
            yield Problem(
                path=("containers", name, "memory"),
                message=f"must be at most the task's, application.memory ({size[1]}), got {container.memory}",
                fix=f"pulumi config rm --path 'ecs-delivery:application.containers.{name}.memory'",
            )


def _router_problems(
    own: str, application: ContainerSection, further: Mapping[str, FurtherContainerSection]
) -> Iterator[Problem]:
    """Yield logs for a router that is not there, and routers that nobody or more than one would need.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_firelens.html
    """
    routers = [name for name, part in further.items() if part.firelens is not None]
    everyone: dict[str, ContainerSection] = {own: application, **further}
    routed = [name for name, part in everyone.items() if part.logs.driver == "awsfirelens"]
    if len(routers) > 1:
        yield Problem(
            path=("containers", routers[1], "firelens"),
            message=f"must stand in one container of the task, got {' and '.join(routers)}",
            fix="edit the file: leave it out",
        )
    for name in routed if not routers else ():
        above = ("containers", name) if name != own else ()
        yield Problem(
            path=(*above, "logs", "driver"),
            message="must be awslogs, because no container of the task has firelens, got awsfirelens",
            fix="edit the file: write containers: {<name>: {image: <image of Fluent Bit>, "
            "firelens: {type: fluentbit}}}",
        )
    for name in routers if not routed else ():
        yield Problem(
            path=("containers", name, "firelens"),
            message="has an effect only when a container has logs: {driver: awsfirelens}",
            fix="edit the file: leave it out, or write it like logs: {driver: awsfirelens, options: {Name: <output>}}",
        )


def _dependency_problems(
    own: str, application: ContainerSection, further: Mapping[str, FurtherContainerSection]
) -> Iterator[Problem]:
    """Yield dependencies that could never be met.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
    """
    everyone: dict[str, ContainerSection] = {own: application, **further}
    for name, container in everyone.items():
        above = ("containers", name) if name != own else ()
        for other, condition in container.depends_on.items():
            path = (*above, "dependsOn", other)
            essential = other == own or (other in further and further[other].essential)
            if other not in everyone:
                yield Problem(
                    path=path,
                    message=f"is no container of this task; it has {', '.join(everyone)}",
                    fix="edit the file: rename it, or leave it out",
                )
            elif condition == "HEALTHY" and everyone[other].health_check is None:
                yield Problem(
                    path=path,
                    message=f"must be START, because {other} has no healthCheck that could say HEALTHY",
                    fix=f"edit the file: give {other} a healthCheck, or wait for START",
                )
            elif condition in ("COMPLETE", "SUCCESS") and essential:
                yield Problem(
                    path=path,
                    message=f"must be START or HEALTHY, because {other} is essential, so the task ends with it, "
                    f"got {condition}",
                    fix=f"edit the file: say essential: false of {other}, or wait for START"
                    if other != own
                    else "edit the file: wait for START",
                )
    order = TopologicalSorter({name: part.depends_on.keys() & everyone for name, part in everyone.items()})
    try:
        order.prepare()
    except CycleError as error:
        names = list(reversed(error.args[1]))
        yield Problem(
            path=("containers",),
            message=f"must not wait for each other in a circle, got {' -> '.join(names)}",
            fix="edit the file: leave out one dependsOn of them",
        )

"""Section `application`: what runs, and how big."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from components.settings.names import UrlPath
from components.settings.section import Constraint, Problem, Section
from components.settings.sections.container import ContainerName, ContainerSection
from components.settings.sections.containers import FurtherContainerSection, container_problems
from components.settings.sections.volumes import VolumeName, VolumeSection, volume_problems

ApplicationName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z](-?[a-z0-9])*$", min_length=2, max_length=24),
    Constraint("2 to 24 lower-case letters, digits and single hyphens, starting with a letter"),
]
"""Short enough for every name made from it; load balancers and target groups have the tightest limit, 32 characters."""

FARGATE_MEMORY: Final = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}
"""Memory (MiB) Fargate offers for each size of CPU (units, 1024 = 1 vCPU).

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
"""

TASK_DEFINITION_BYTES: Final = 60 * 1024
"""ECS takes a task definition of 64 KiB; 4 KiB of it are kept for all that is not environment, secrets and command.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
"""


Cpu = Literal[256, 512, 1024, 2048, 4096, 8192, 16384]
"""The sizes of CPU that Fargate offers from a quarter of a vCPU on."""


def size_problems(cpu: int, memory: int, section: str) -> Iterator[Problem]:
    """Yield a size of a task that Fargate does not offer.

    Args:
        cpu: CPU units.
        memory: MiB.
        section: Where the stack file says so, for example ``application``.
    """
    offered = FARGATE_MEMORY[cpu]
    if memory not in offered:
        nearest = min(offered, key=lambda size: abs(size - memory))
        yield Problem(
            path=("memory",),
            message=f"must be {_sizes(offered)} (MiB) with cpu {cpu}, got {memory}",
            fix=f"pulumi config set --path 'ecs-delivery:{section}.memory' {nearest}",
        )


class TaskSection(Section):
    """A task: its size, its containers, and how many of it run."""

    name: ApplicationName = Field(
        description="Name of the application; names everything made for it.", examples=["shop"]
    )
    container_name: ContainerName | None = Field(
        default=None,
        description="Name of the container in the task definition; the application's name when left out.",
        examples=["web"],
    )
    port: int = Field(default=8080, ge=1, le=65535, description="Port the container listens on.", examples=[8080])
    health_check_path: UrlPath = Field(
        default="/",
        description="Path that answers 2xx or 3xx when the application is well. An edit takes effect with `pulumi up`, "
        "for the version that runs, too: both have to answer it.",
        examples=["/healthz"],
    )
    cpu: Cpu = Field(default=256, description="CPU units of a task; 1024 are one vCPU.", examples=[256])
    memory: int = Field(
        default=512,
        ge=512,
        le=122880,
        description="Memory of a task in MiB; Fargate offers certain sizes for each `cpu`.",
        examples=[512],
    )
    architecture: Literal["arm64", "x86_64"] = Field(
        default="arm64", description="Processor of image, task and build machine.", examples=["arm64"]
    )
    desired_count: int = Field(
        default=2,
        ge=1,
        le=5000,  # tasks of one service, https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
        description="Number of tasks that run side by side.",
        examples=[2],
    )
    ephemeral_storage_gib: int | None = Field(
        default=None,
        ge=21,
        le=200,  # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EphemeralStorage.html
        alias="ephemeralStorageGiB",
        description="Disk of a task in GiB, shared by its containers; 20 when left out. What is above 20 costs.",
        examples=[50],
    )
    containers: dict[ContainerName, FurtherContainerSection] = Field(
        default={},
        description="Further containers of the task, by their names: a proxy, a collector, one that runs first.",
        examples=[{"nginx": {"image": "public.ecr.aws/nginx/nginx:1.27", "port": 80}}],
    )
    delivery_variables: bool = Field(
        default=False,
        description="Whether containers with the delivered image get the variables DELIVERY_VERSION, DELIVERY_COMMIT "
        "and DELIVERY_ENVIRONMENT (the stack's name).",
        examples=[True],
    )
    volumes: dict[VolumeName, VolumeSection] = Field(
        default={},
        description="Volumes that containers share, by their names, each mounted by `mounts` of a container.",
        examples=[{"uploads": {}}],
    )


class ApplicationSection(ContainerSection, TaskSection):
    """What runs: the task, its size, and the application's own container."""

    @property
    def container(self) -> str:
        """Name of the application's own container in the task definition."""
        return self.container_name or self.name

    def environment_of(self, stack: str) -> str:
        """Return the environment of a stack: its name, without the application's in front.

        A clone that serves several applications has a stack ``shop-dev`` beside ``blog-dev``.
        """
        return stack.removeprefix(f"{self.name}-")

    def prefix_in(self, stack: str) -> str:
        """Return what starts the names of what a stack makes, ``shop-dev``."""
        return f"{self.name}-{self.environment_of(stack)}"

    @property
    def every_container(self) -> Mapping[str, ContainerSection]:
        """All containers of the task by their names, the application's own first."""
        return {self.container: self, **self.containers}

    @property
    def further_images(self) -> tuple[str, ...]:
        """Names of the images that are delivered with the application's own, for its further containers."""
        return tuple(sorted({part.built for part in self.containers.values() if part.built is not None}))

    def reached(self, container: str | None) -> tuple[str, int]:
        """Return name and port of the container that the load balancer reaches.

        Args:
            container: Its name in the stack file; ``None`` for the application's own.
        """
        other = self.containers.get(container or "")
        return (str(container), other.port) if other and other.port else (self.container, self.port)

    def problems(self) -> Iterator[Problem]:
        """Yield impossible sizes, secrets in clear, names given twice and a definition too long for ECS."""
        yield from size_problems(self.cpu, self.memory, "application")
        yield from super().problems()
        size = (self.cpu, self.memory)
        yield from container_problems(self.container, self.port, size, self, self.containers)
        yield from volume_problems(self.volumes, self.every_container, self.container)
        yield from self._length_problems()

    def _length_problems(self) -> Iterator[Problem]:
        """Yield a task definition that ECS would not take, because it is too long."""
        said = [self, *self.containers.values()]
        size = len(
            json.dumps([item for one in said for item in (dict(one.environment), dict(one.secrets), one.command)])
        )
        if size > TASK_DEFINITION_BYTES:
            yield Problem(
                path=("environment",),
                message=f"must fit into {TASK_DEFINITION_BYTES} bytes together with secrets and command "
                f"(ECS takes task definitions up to 64 KiB), got {size}",
                fix="edit the file: move long values to Parameter Store and name them in secrets",
            )


def _sizes(offered: tuple[int, ...]) -> str:
    """Say a list of sizes: all of a few, else the ends and the step."""
    if len(offered) <= 4:
        return f"{', '.join(map(str, offered[:-1]))} or {offered[-1]}"
    return f"between {offered[0]} and {offered[-1]} in steps of {offered[1] - offered[0]}"

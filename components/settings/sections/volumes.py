"""Storage that the containers of a task share."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from components.settings.names import ContainerPath, SecurityGroupId
from components.settings.section import Constraint, Problem, Reference, Section
from components.settings.sections.container import TEMPORARY, ContainerSection

TEMPORARY_VOLUME: Final = "tmp"
"""The volume behind ``/tmp`` of the application's own container."""

VolumeName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,254}$"),
    Constraint("the name of a volume: 1 to 255 letters, digits, _ and -"),
]
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Volume.html"""

FileSystemId = Annotated[
    str,
    StringConstraints(pattern=r"^fs-[0-9a-f]{8,40}$"),
    Constraint("the id of an EFS file system such as fs-0a1b2c3d4e5f67890"),
    Reference(),
]
"""https://docs.aws.amazon.com/efs/latest/ug/API_FileSystemDescription.html"""

AccessPointId = Annotated[
    str,
    StringConstraints(pattern=r"^fsap-[0-9a-f]{8,40}$"),
    Constraint("the id of an EFS access point such as fsap-0a1b2c3d4e5f67890"),
    Reference(),
]
"""https://docs.aws.amazon.com/efs/latest/ug/API_AccessPointDescription.html"""


class EfsSection(Section):
    """A file system of Amazon EFS that exists; it is reached encrypted.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_EFSVolumeConfiguration.html
    """

    file_system_id: FileSystemId = Field(
        description="The file system; it has mount targets in the tasks' subnets.", examples=["fs-0a1b2c3d4e5f67890"]
    )
    access_point_id: AccessPointId | None = Field(
        default=None,
        description="Access point, which says directory and user; the task role made here may mount it, by IAM.",
        examples=["fsap-0a1b2c3d4e5f67890"],
    )
    root_directory: ContainerPath | None = Field(
        default=None,
        description="Directory of the file system that is mounted; all of it when left out. Not with an access point.",
        examples=["/shop"],
    )
    read_only: bool = Field(default=False, description="Whether the tasks may only read.", examples=[True])
    security_group_id: SecurityGroupId | None = Field(
        default=None,
        description="Security group of its mount targets, which then gets a rule for the tasks; when left out, the "
        "output `nextSteps` says what to open.",
        examples=["sg-0a1b2c3d4e5f67890"],
    )

    def problems(self) -> Iterator[Problem]:
        """Yield a directory beside an access point, which has its own."""
        if self.access_point_id is not None and self.root_directory is not None:
            yield Problem(
                path=("rootDirectory",),
                message="must be left out with accessPointId: the access point says which directory it is",
                fix="edit the file: leave it out",
            )


class VolumeSection(Section):
    """A volume of the task: empty at its start and gone with it, unless it is one of EFS."""

    efs: EfsSection | None = Field(
        default=None,
        description="A file system of Amazon EFS that exists.",
        examples=[{"fileSystemId": "fs-0a1b2c3d4e5f67890", "accessPointId": "fsap-0a1b2c3d4e5f67890"}],
    )


def volume_problems(
    volumes: Mapping[str, VolumeSection], containers: Mapping[str, ContainerSection], own: str
) -> Iterator[Problem]:
    """Yield volumes that nobody mounts, mounts of none, and two at one path.

    Args:
        volumes: The stack file's volumes.
        containers: All containers by their names.
        own: Name of the application's own container.
    """
    for name in volumes:
        if name == TEMPORARY_VOLUME or "-writable-" in name or name.endswith(f"-{TEMPORARY_VOLUME}"):
            yield Problem(
                path=("volumes", name),
                message="is a name of the volumes that are made for /tmp and writablePaths",
                fix="edit the file: rename it",
            )
        if not any(name in part.mounts for part in containers.values()):
            yield Problem(
                path=("volumes", name),
                message="is mounted by no container",
                fix=f"edit the file: leave it out, or write it like mounts: {{{name}: {{path: <folder>}}}}",
            )
    for container, part in containers.items():
        above = ("containers", container) if container != own else ()
        writable = {TEMPORARY, *part.writable_paths} if part.read_only_root_filesystem else set[str]()
        for name, mount in part.mounts.items():
            if name not in volumes:
                yield Problem(
                    path=(*above, "mounts", name),
                    message=f"is no volume of this task; it has {', '.join(volumes) or 'none'}",
                    fix=f"edit the file: write it like volumes: {{{name}: {{}}}} below application",
                )
            others = [other.path for key, other in part.mounts.items() if key != name]
            if mount.path in writable or mount.path in others:
                yield Problem(
                    path=(*above, "mounts", name, "path"),
                    message=f"must be a path of its own, got {mount.path}, where another volume is",
                    fix="edit the file: choose another path, or leave one of the two out",
                )

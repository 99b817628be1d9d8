"""The base images of an application, for builds in the job sandbox."""

from local.rehearsal.base_images.archives import load_given
from local.rehearsal.base_images.dockerfile import Mention, fetched_images
from local.rehearsal.base_images.names import ImageName
from local.rehearsal.base_images.provide import (
    DockerBuild,
    Provided,
    Provision,
    build_of,
    builds_of,
    needed,
    needed_by_tasks,
    provide,
)
from local.rehearsal.base_images.registry import Registries
from local.rehearsal.base_images.stand_ins import PLATFORM
from local.rehearsal.base_images.store import INDEXES, Content, ImageStore, blobs_of

__all__ = [
    "INDEXES",
    "PLATFORM",
    "Content",
    "DockerBuild",
    "ImageName",
    "ImageStore",
    "Mention",
    "Provided",
    "Provision",
    "Registries",
    "blobs_of",
    "build_of",
    "builds_of",
    "fetched_images",
    "load_given",
    "needed",
    "needed_by_tasks",
    "provide",
]

"""The images that an action pushes: what it leaves in a registry is found there, kept on disk, and put back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from local.rehearsal.base_images import INDEXES, PLATFORM, Content, ImageStore, blobs_of
from local.rehearsal.emulated import Policies
from local.rehearsal.images import Blob, Image, RegistryClient
from local.rehearsal.job_sandbox import JobSandbox
from local.rehearsal.resources import Repository, pushed_to


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """An image that an action has pushed, or has given tags to.

    Attributes:
        repository: Where.
        content: Its manifest.
        tags: The tags that the action has given it.
    """

    repository: Repository
    content: Content
    tags: tuple[str, ...]


_Found = Mapping[Repository, Mapping[Content, frozenset[str]]]


class Pushes:
    """Finds what is pushed to the registries of a sandbox."""

    def __init__(self, sandbox: JobSandbox, store: ImageStore) -> None:
        """Describe it.

        Args:
            sandbox: Where the registries are.
            store: Keeps the images.
        """
        self._sandbox, self.store = sandbox, store

    def look(self, policies: Policies) -> _Found:
        """Return what is in the repositories that somebody with these policies may push to."""
        return {repository: self._images(repository) for repository in pushed_to(policies)}

    def since(self, before: _Found) -> tuple[Pushed, ...]:
        """Return what has come since an earlier look."""
        found = []
        for repository, known in before.items():
            for content, tags in self._images(repository).items():
                new = tags - known.get(content, frozenset())
                if content not in known or new:
                    found.append(Pushed(repository=repository, content=content, tags=tuple(sorted(new))))
        return tuple(found)

    def keep(self, pushed: Iterable[Pushed]) -> None:
        """Keep images with everything that belongs to them.

        Raises:
            LookupError: The registry has not all of one.
        """
        for each in pushed:
            self.store.put(self._image(each.repository, each.content))

    def can_put_back(self, pushed: Iterable[Pushed]) -> bool:
        """Return whether all of these images are still kept."""
        return all(digest in self.store for each in pushed for digest in self.blobs(each.content))

    def put_back(self, pushed: Iterable[Pushed]) -> None:
        """Push images again."""
        for each in pushed:
            image = self.store.image(each.content, PLATFORM)
            self._registry(each.repository).push(each.repository.name, image, *each.tags)

    def blobs(self, content: Content) -> Iterator[str]:
        """The digest of each blob of a kept image; of what is not kept, of the first missing one."""
        yield content.digest
        if content.digest not in self.store:
            return
        document = self.store.json(content.digest)
        if content.media_type in INDEXES:
            for entry in document["manifests"]:
                yield from self.blobs(Content(entry["digest"], entry["mediaType"]))
        else:
            yield from (entry["digest"] for entry in blobs_of(document))

    def _registry(self, repository: Repository) -> RegistryClient:
        return self._sandbox.registry(repository.account, repository.region)

    def _images(self, repository: Repository) -> dict[Content, frozenset[str]]:
        client = self._sandbox.aws.client("ecr", account=repository.account, region=repository.region)
        try:
            details = client.describe_images(repositoryName=repository.name)["imageDetails"]
        except client.exceptions.RepositoryNotFoundException:
            return {}
        return {
            Content(each["imageDigest"], each["imageManifestMediaType"]): frozenset(each.get("imageTags", ()))
            for each in details
        }

    def _image(self, repository: Repository, content: Content) -> Image:
        registry, name = self._registry(repository), repository.name
        held = registry.manifest(name, content.digest)
        if held is None:
            raise LookupError(f"{name} has no {content.digest}")
        manifest, document = Blob(content.media_type, held), json.loads(held)
        if content.media_type in INDEXES:
            parts = [Content(entry["digest"], entry["mediaType"]) for entry in document["manifests"]]
            return Image(manifest, (), tuple(self._image(repository, part) for part in parts))
        blobs = [Blob(entry["mediaType"], self._blob(repository, entry["digest"])) for entry in blobs_of(document)]
        return Image(manifest, tuple(blobs))

    def _blob(self, repository: Repository, digest: str) -> bytes:
        if digest in self.store:
            return self.store.read(digest)
        return self._registry(repository).blob(repository.name, digest)

"""Where each base image of a build comes from: the user, the machine's Docker engine, its registry, or a stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from local.errors import Refusal
from local.rehearsal.base_images import archives, stand_ins
from local.rehearsal.base_images.dockerfile import Mention, fetched_images
from local.rehearsal.base_images.names import ImageName
from local.rehearsal.base_images.registry import NotThere, Registries
from local.rehearsal.base_images.store import Content, ImageStore
from local.rehearsal.resources import Graph, templates_of

if TYPE_CHECKING:
    from local.rehearsal.deployed import Deployed, Project


@dataclass(frozen=True, kw_only=True, slots=True)
class DockerBuild:
    """What is told of a build of an image.

    Attributes:
        dockerfile: The Dockerfile, below the application's folder.
        target: The stage; the last one if empty.
        arguments: The build arguments.
    """

    dockerfile: str
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


def build_of(project: Project) -> DockerBuild | None:
    """Return what a project builds an image of, as it and its buildspec say; ``None`` when it builds none."""
    variables = {**project.defaults, **{variable.name: variable.value for variable in project.variables}}
    if "DOCKERFILE" not in variables:
        return None
    # The pipeline's other source says which image it is, and has it: nothing is to be fetched for it.
    base = {"BASE_IMAGE": "scratch"} if variables.get("BASE_IMAGE_REPOSITORY_URI") else {}
    return DockerBuild(
        dockerfile=variables["DOCKERFILE"],
        target=variables.get("BUILD_TARGET", ""),
        arguments={**json.loads(variables.get("BUILD_ARGS", "{}")), **base},
    )


def builds_of(*pipelines: Deployed) -> list[DockerBuild]:
    """Return the builds of images that deployed pipelines have, in the order in which they run."""
    projects = (
        deployed.projects[action.project] for deployed in pipelines for action in deployed.actions if action.project
    )
    return list(filter(None, map(build_of, projects)))


@dataclass(frozen=True, slots=True)
class Provided:
    """An image that builds can have.

    Attributes:
        name: Its name.
        content: What is served under it.
        origin: Where it is from, in words.
        stands_in: Whether it is another image than the one of that name.
    """

    name: ImageName
    content: Content
    origin: str
    stands_in: bool = False

    def __str__(self) -> str:
        """A line of the report."""
        return f"{self.name}: {'stand-in: ' if self.stands_in else ''}{self.origin}"


@dataclass(frozen=True, slots=True)
class Provision:
    """The images that builds can have, and where they are."""

    images: tuple[Provided, ...]
    store: ImageStore


def needed(code: Path, builds: Iterable[DockerBuild], platform: str = stand_ins.PLATFORM) -> list[Mention]:
    """Return the images that these builds fetch, each once.

    Raises:
        Refusal: A Dockerfile is not there. One in a submodule is the business of the job that builds it.
    """
    found: dict[ImageName, Mention] = {}
    missing = []
    for build in builds:
        file = code / build.dockerfile
        if not file.is_file():
            missing.append(build.dockerfile)
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        for mention in fetched_images(
            text, file=build.dockerfile, target=build.target, arguments=build.arguments, platform=platform
        ):
            known = found.get(mention.name)
            found[mention.name] = replace(known, where=f"{known.where}, {mention.where}") if known else mention
    if missing and not (code / ".gitmodules").is_file():
        lacking = " and no ".join(dict.fromkeys(missing))
        raise Refusal(
            f"The application has no {lacking}, and the pipeline builds an image of it: "
            "add it, or edit build.dockerfile or build.smokeTest in the stack file"
        )
    return list(found.values())


def needed_by_tasks(graphs: Mapping[str, Graph]) -> list[Mention]:
    """Return the images that stacks' tasks run beside the one that is delivered, each once.

    Args:
        graphs: The graph of each stack by its name.
    """
    found: dict[ImageName, Mention] = {}
    for stack, graph in graphs.items():
        for definition in templates_of(graph):
            for container in definition["containerDefinitions"]:
                # The delivered one is a placeholder, which is no name.
                if name := ImageName.parse(str(container.get("image", ""))):
                    found.setdefault(name, Mention(name, f"the container {container['name']} of {stack}"))
    return list(found.values())


def provide(
    mentions: Sequence[Mention],
    *,
    given: Iterable[str] = (),
    engine: bool = True,
    network: bool = True,
    store: ImageStore | None = None,
    registries: Registries | None = None,
) -> Provision:
    """Bring each image to where builds find it.

    Args:
        mentions: The images, and where they are needed.
        given: What the user gives, see :func:`archives.load_given`.
        engine: Whether the machine's own Docker engine is asked.
        network: Whether registries are asked.
        store: Where images are kept; by default in the user's cache.
        registries: The registries; by default those of the internet.

    Raises:
        Refusal: Some cannot be had; it names all of them.
    """
    sources = _Sources(store or ImageStore.of_user(), registries or Registries(), engine=engine, network=network)
    sources.given = archives.load_given(given, sources.store)
    found, missing = [], []
    for mention in mentions:
        image = sources.of(mention.name)
        if isinstance(image, str):
            missing.append(f"  {mention.name} ({mention.where}): {image}")
        else:
            found.append(image)
    if missing:
        raise Refusal("\n".join([_these(len(missing)), *missing, *_WAYS]) + ("." if network else f"{_NETWORK}."))
    return Provision(tuple(found), sources.store)


@dataclass(slots=True)
class _Sources:
    store: ImageStore
    registries: Registries
    engine: bool
    network: bool
    given: archives.Found = field(default_factory=dict)

    def of(self, name: ImageName) -> Provided | str:
        """The image, or why it cannot be had."""
        given = self.given.get(str(name)) or self._given_by_digest(name)
        if given and not self.store.is_complete(given, stand_ins.PLATFORM):
            return f"what you give is not for {stand_ins.PLATFORM}, or lacks layers"
        if given:
            return Provided(name, given, "given by you")
        if self.engine and (own := archives.from_engine(name, stand_ins.PLATFORM, self.store)):
            return Provided(name, own, "from this machine's Docker engine")
        public = name.official
        problem = self.registries.problem(public.host) if self.network else "not asked"
        if not problem:
            # No stand-in from here on: it would hide that the real image is not what the Dockerfile says.
            return self._fetched(name, public)
        return (
            self._fetched_earlier(name, public)
            or self._stand_in(name)
            or f"{public.host}: {problem}; no stand-in for it"
        )

    def _given_by_digest(self, name: ImageName) -> Content | None:
        """The image of a digest, which may be given under any name."""
        there = {content.digest: content for content in self.given.values()}
        return there.get(name.digest)

    def _fetched(self, name: ImageName, public: ImageName) -> Provided | str:
        try:
            content = self.registries.fetch(public, stand_ins.PLATFORM, self.store)
        except NotThere as error:
            return str(error)
        except OSError as error:
            return self._fetched_earlier(name, public) or str(error)
        self.store.remember(_key(public), content)
        return Provided(name, content, f"from {public.host}")

    def _fetched_earlier(self, name: ImageName, public: ImageName) -> Provided | None:
        known = self.store.recall(_key(public), stand_ins.PLATFORM)
        return Provided(name, known, f"from {public.host}, by an earlier run") if known else None

    def _stand_in(self, name: ImageName) -> Provided | None:
        made_of = stand_ins.stand_in(name)
        if made_of is None:
            return None
        return Provided(name, stand_ins.kept(name, made_of, self.store), made_of.what, stands_in=True)


def _key(name: ImageName) -> str:
    return f"registry {name.address} {name.reference}"


def _these(count: int) -> str:
    return f"{count} base images cannot be had:" if count > 1 else "A base image cannot be had:"


_WAYS = (
    "Save them where they are to be had (docker save --output FILE NAME), and give them by --image FILE,",
    "--image NAME=FILE or --image FOLDER of such files",
)
_NETWORK = "; or let them be fetched, by --network"

"""The provenance that BuildKit attaches to an image, read from the registry and compared with what is expected.

It is not signed: it says who built an image of what, and whoever may push into a repository can write it (SLSA's Build
L1, https://slsa.dev/spec/v1.1/levels).
https://github.com/moby/buildkit/blob/v0.29.0/docs/attestations/attestation-storage.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jobs import image_labels, job, registry, registry_api

MOST_BYTES = 16 * 1024 * 1024
"""The largest attestation that is read: one with every step of a build has some 100 KB."""
MEDIA_TYPE = "application/vnd.in-toto+json"
PREDICATES = ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2")
STATEMENTS = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
LABEL = "label:"
"""What stands before a label among the arguments that `mode=max` records."""
PASSES = "Images of others pass with verification.provenance.enabled: false in the stack file."
AGAIN = "Start the pipeline that builds it once more: a recipe of this version builds the same commit again."


class Expected(NamedTuple):
    """What an image has to be."""

    builder: str
    """The ARN of the build project."""
    source: str
    """Where the code is."""
    revision: str
    """The commit, or the version of the object; empty where the provenance itself has to say it."""
    tree: str
    """The label `ecs-delivery.tree`, or how it begins; empty where nobody knows it but the image."""


class Provenance(NamedTuple):
    """What the provenance of an image says, and the labels that the image has."""

    builder: str
    built_with: Mapping[str, str]
    """Labels that the build was told to write."""
    labels: Mapping[str, str]
    afterwards: Mapping[str, str]
    """What its index says of the commit that it delivers, where it was built for another one; else nothing."""

    @property
    def delivered(self) -> Mapping[str, str]:
        """What it is delivered as: its labels, and over them what was put on it afterwards."""
        return {**self.built_with, **self.afterwards}

    @property
    def built_of(self) -> str:
        """The commit, or the version of the object, that it was built of."""
        return self.built_with.get(image_labels.REVISION, "")

    @property
    def revision(self) -> str:
        """The commit, or the version of the object, that it delivers."""
        return self.delivered.get(image_labels.REVISION, "")

    @property
    def tree(self) -> str:
        """The source tree that it was built of, and the recipe."""
        return self.built_with.get(image_labels.TREE, "")

    @property
    def tag(self) -> str:
        """The tag that the build has put on the image."""
        source = self.built_with.get(image_labels.SOURCE, "")
        return f"{image_labels.tag_of(self.revision, source)}-{self.delivered.get(image_labels.RECIPE, '')}"


def read(source: registry_api.Registry, image: registry.Image, platform: str) -> Provenance:
    """Read the provenance of the image for a platform; ends the job when there is none that can be read."""
    index = _document(source.manifest(image.digest)[0], image.uri)
    if "manifests" not in index or {"config", "layers"} & index.keys():
        job.fail(f"{image.uri} has no provenance: it is no image index, which would hold an attestation. {PASSES}")
    digest = image_of(index, image.uri, platform)
    manifest = _document(source.manifest(digest)[0], digest)
    if "manifests" in manifest or "config" not in manifest:
        job.fail(f"{image.uri} leads to {digest}, which is no image.")
    configuration = source.content(_digest(manifest["config"], "the configuration"), job.MOST_BYTES)
    config = _document(configuration, f"the configuration of {digest}", exact=False)
    statement = _statement(source, index, image.uri, digest, platform)
    return Provenance(
        *_said(statement, image.uri), _texts(_at(config, "config", "Labels")), image_labels.put_afterwards(index)
    )


def runnable(source: registry_api.Registry, image: registry.Image, platform: str) -> registry.Image:
    """The image that runs on a platform: that of an index, or the image itself."""
    manifest = _document(source.manifest(image.digest)[0], image.uri)
    return image._replace(digest=image_of(manifest, image.uri, platform)) if "manifests" in manifest else image


def image_of(index: dict[str, Any], uri: str, platform: str) -> str:
    """The digest of the one image of an index that can run on a platform.

    Of several, or one whose platform is not said, what runs containers chooses by rules of its own:
    https://github.com/containerd/containerd/blob/v2.1.0/core/images/image.go
    """
    places = [
        "{}/{}".format(_at(each, "platform", "os"), _at(each, "platform", "architecture"))
        for each in index["manifests"]
    ]
    if places.count(platform) != 1 or any("None" in place.split("/") for place in places):
        job.fail(
            f"{uri} must hold one image for {platform} and say the platform of each other one, it has: "
            f"{', '.join(places)[:300] or 'none'}."
        )
    return _digest(index["manifests"][places.index(platform)], "the image")


def _statement(
    source: registry_api.Registry, index: dict[str, Any], uri: str, digest: str, platform: str
) -> dict[str, Any]:
    """The one statement of the one attestation of an image, which must be about it."""
    attestations = [
        entry
        for entry in index["manifests"]
        if _texts(entry.get("annotations")).get("vnd.docker.reference.type") == "attestation-manifest"
        and _texts(entry.get("annotations")).get("vnd.docker.reference.digest") == digest
    ]
    if len(attestations) != 1:
        job.fail(
            f"{uri} has {len(attestations) or 'no'} attestations of its image for {platform}, {digest}; it must have "
            f"one. {AGAIN} {PASSES}"
        )
    manifest = _document(source.manifest(_digest(attestations[0], "the attestation"))[0], "the attestation")
    layers = [
        layer
        for layer in manifest.get("layers") or []
        if layer.get("mediaType") == MEDIA_TYPE
        and _texts(layer.get("annotations")).get("in-toto.io/predicate-type") in PREDICATES
    ]
    if len(layers) != 1:
        job.fail(
            f"the attestation of {uri} holds {len(layers) or 'no'} statements of provenance, of the types "
            f"{' or '.join(PREDICATES)}; it must hold one. {AGAIN} {PASSES}"
        )
    found = _digest(layers[0], "the provenance")
    statement = _document(source.content(found, MOST_BYTES), f"the provenance {found} of {uri}", exact=False)
    announced = layers[0]["annotations"]["in-toto.io/predicate-type"]
    if statement.get("_type") not in STATEMENTS or statement.get("predicateType") != announced:
        job.fail(f"the provenance {found} of {uri} is no statement of the type {announced}. {AGAIN}")
    subjects = statement.get("subject")
    about = {str(_at(each, "digest", "sha256")) for each in (subjects if isinstance(subjects, list) else ())}
    if about != {digest.removeprefix("sha256:")}:
        job.fail(
            f"the provenance {found} of {uri} is about {', '.join(sorted(about))[:300] or 'nothing'}, the image for "
            f"{platform} is {digest}: it belongs to another image. {AGAIN}"
        )
    return statement


def _said(statement: dict[str, Any], uri: str) -> tuple[str, dict[str, str]]:
    """The builder that a statement names, and the labels that the build was told to write.

    https://github.com/moby/buildkit/blob/v0.29.0/docs/attestations/slsa-definitions.md
    """
    predicate = statement.get("predicate")
    if statement["predicateType"] == PREDICATES[0]:
        builder = _at(predicate, "runDetails", "builder", "id")
        arguments = _at(predicate, "buildDefinition", "externalParameters", "request", "args")
    else:
        builder = _at(predicate, "builder", "id")
        arguments = _at(predicate, "invocation", "parameters", "args")
    labels = {name[len(LABEL) :]: value for name, value in _texts(arguments).items() if name.startswith(LABEL)}
    if not labels:
        job.fail(f"the provenance of {uri} names no label: it was written with less than mode=max. {AGAIN} {PASSES}")
    return (builder if isinstance(builder, str) else ""), labels


def differences(found: Provenance, expected: Expected) -> Iterator[str]:
    """Say what of a provenance is not as expected, and where image and provenance contradict each other."""
    if found.builder != expected.builder:
        who = f"was built by {found.builder}" if found.builder else "names no builder, as those of earlier versions do"
        yield f"it {who}; expected is {expected.builder}"
    source = found.built_with.get(image_labels.SOURCE, "")
    if source != expected.source:
        yield f"it was built of {source or 'an unnamed source'}; expected is {expected.source}"
    if not found.built_of or not found.revision or expected.revision not in ("", found.revision):
        yield f"it was built of {found.revision or 'no commit'}; expected is {expected.revision or 'a commit'}"
    recipe = found.delivered.get(image_labels.RECIPE, "")
    if not image_labels.A_RECIPE.fullmatch(recipe):
        yield f"its recipe is {recipe or 'missing'}; expected are 8 hexadecimal digits"
    yield from _differences_of_trees(found, expected)
    for name in sorted(found.built_with):
        if found.labels.get(name) != found.built_with[name]:
            has = found.labels.get(name, "nothing")
            yield f"its label {name} is {has}, its provenance says {found.built_with[name]}"


def _differences_of_trees(found: Provenance, expected: Expected) -> Iterator[str]:
    """Say what of the source tree is not as expected: of another commit an image passes for its tree alone."""
    if (expected.tree or found.afterwards) and not image_labels.A_TREE.fullmatch(found.tree):
        yield f"its source tree is {found.tree or 'missing'}; expected are 64 and 8 hexadecimal digits"
    elif not found.tree.startswith(expected.tree):
        yield f"it was built of the source tree {found.tree}; expected is {expected.tree}"
    if found.delivered.get(image_labels.TREE, "") != found.tree:
        put = found.delivered.get(image_labels.TREE, "")
        yield f"its index says that it is of the source tree {put}, its provenance says {found.tree or 'none'}"


def _digest(entry: dict[str, Any], what: str) -> str:
    """The digest in a descriptor."""
    return registry.checked_digest(str(_at(entry, "digest")), what)


def _at(value: Any, *keys: str) -> Any:  # noqa: ANN401 - JSON
    """What is at the end of these keys; nothing where one of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _texts(value: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """The texts of a JSON object; none where it is something else."""
    return {key: each for key, each in value.items() if isinstance(each, str)} if isinstance(value, dict) else {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ in more than case: what runs containers reads JSON without regard to it.

    https://pkg.go.dev/encoding/json#Unmarshal
    """
    if len({key.casefold() for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _document(content: bytes, what: str, *, exact: bool = True) -> dict[str, Any]:
    """A JSON object; ends the job when it is none, or has descriptors that can be read in two ways."""
    try:
        # Numbers stay text: none is used, and a long one would take its time.
        value = json.loads(content, object_pairs_hook=_once if exact else None, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        job.fail(f"{what} is not JSON that can be trusted: {str(error)[:200]}.")
    lists = [value.get(key, []) for key in ("manifests", "layers")] if isinstance(value, dict) else [None]
    if not all(isinstance(each, list) and all(isinstance(entry, dict) for entry in each) for each in lists):
        job.fail(f"{what} is no JSON object with lists of descriptors.")
    return dict(value)

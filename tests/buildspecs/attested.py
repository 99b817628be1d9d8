"""Images with the provenance that BuildKit attaches, whole or forged, in a registry on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oci_registry import INDEX, MANIFEST, OciRegistry

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RECIPE = "89abcdef"
TREE = f"{'7' * 64}-76543210"
SOURCE = "https://github.com/example/shop"
BUILDER = "arn:aws:codebuild:eu-west-1:123456789012:project/shop-dev-build-image"
LABELS = {
    "org.opencontainers.image.revision": COMMIT,
    "org.opencontainers.image.source": SOURCE,
    "org.opencontainers.image.version": "2026.01.31-0123456",
    "ecs-delivery.recipe": RECIPE,
    "ecs-delivery.tree": TREE,
}
V1, V02 = "https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"
Json = dict[str, Any]


def unchanged(_: Json) -> None:
    """Forge nothing."""


def predicate(form: str, builder: str, labels: Json) -> Json:
    """What BuildKit 0.29 says of a build with `mode=max`, as far as it is read."""
    request = {"frontend": "dockerfile.v0", "args": {f"label:{name}": value for name, value in labels.items()}}
    if form == V1:
        return {
            "buildDefinition": {"externalParameters": {"request": request}},
            "runDetails": {"builder": {"id": builder}},
        }
    return {"builder": {"id": builder}, "invocation": {"parameters": request}}


@dataclass
class Attested:
    """An image for arm64 with its attestation; each `forge_...` changes a part before its digest is taken.

    Attributes:
        builder: Whom the provenance names.
        labels: The labels that the build was told to write.
        own: The labels that the image has, if they are others.
        form: The type of the predicate.
        repository: Where it is kept.
    """

    builder: str = BUILDER
    labels: Json = field(default_factory=lambda: dict(LABELS))
    own: Json | None = None
    form: str = V1
    repository: str = "shop"
    forge_config: Callable[[Json], None] = unchanged
    forge_image: Callable[[Json], None] = unchanged
    forge_statement: Callable[[Json], None] = unchanged
    forge_attestation: Callable[[Json], None] = unchanged
    forge_index: Callable[[Json], None] = unchanged
    content: bytes | None = None
    """The statement as it is stored, if it is no JSON."""

    def put(self, registry: OciRegistry) -> str:
        """Keep it in a registry; its digest."""
        labels = self.labels if self.own is None else self.own
        config: Json = {"os": "linux", "architecture": "arm64", "config": {"Labels": labels}}
        self.forge_config(config)
        image: Json = {"config": self._blob(registry, config), "layers": [registry.blob(self.repository, b"layer")]}
        self.forge_image(image)
        digest = registry.manifest(self.repository, MANIFEST, **image)
        statement: Json = {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": self.form,
            "subject": [{"name": "pkg:docker/shop@1?platform=linux%2Farm64", "digest": {"sha256": digest[7:]}}],
            "predicate": predicate(self.form, self.builder, self.labels),
        }
        self.forge_statement(statement)
        content = json.dumps(statement).encode() if self.content is None else self.content
        layer = registry.blob(self.repository, content)
        kept = {"mediaType": "application/vnd.in-toto+json", "annotations": {"in-toto.io/predicate-type": self.form}}
        sbom = registry.blob(self.repository, b"an SBOM")
        attestation: Json = {
            "config": self._blob(registry, {"architecture": "unknown", "os": "unknown"}),
            "layers": [
                {**sbom, **kept, "annotations": {"in-toto.io/predicate-type": "https://spdx.dev/Document"}},
                {**layer, **kept},
            ],
        }
        self.forge_attestation(attestation)
        attested = registry.manifest(self.repository, MANIFEST, **attestation)
        index: Json = {
            "manifests": [
                {"mediaType": MANIFEST, "digest": digest, "platform": {"os": "linux", "architecture": "arm64"}},
                {
                    "mediaType": MANIFEST,
                    "digest": attested,
                    "annotations": {
                        "vnd.docker.reference.type": "attestation-manifest",
                        "vnd.docker.reference.digest": digest,
                    },
                    "platform": {"os": "unknown", "architecture": "unknown"},
                },
            ]
        }
        self.forge_index(index)
        return registry.manifest(self.repository, INDEX, **index)

    def _blob(self, registry: OciRegistry, content: Json) -> Json:
        return registry.blob(self.repository, json.dumps(content).encode())


def hexadecimal(text: str) -> str:
    """A digest's digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()

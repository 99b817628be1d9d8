"""Notation, by which images are signed and signatures verified: built of locked sources.

The folder `notation`, beside this package, names every Go module by the hash of its content, and holds the root
certificate that signatures of AWS Signer end with. Go fetches the modules and compares the hashes: no release has to be
trusted that somebody may replace.

https://docs.aws.amazon.com/signer/latest/developerguide/container-workflow.html
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from jobs import job, registry, registry_api, signer_plugin

PACKAGE = "github.com/notaryproject/notation/cmd/notation"
_PLUGIN = """\
#!{python}
import sys
sys.path.insert(0, {jobs!r})
from jobs import signer_plugin
signer_plugin.answer(sys.argv[1])
"""
TRUST_STORE = "aws-signer"
_CERTIFICATE = "aws-signer-root.pem"
_ROOT = Path(__file__).parents[1]
"""The archive of the jobs, or their folder in the repository."""
_PROFILE = re.compile(r"arn:aws:signer:[a-z0-9-]+:\d{12}:/signing-profiles/\w+")


class Notation(NamedTuple):
    """Notation as it is installed in a folder, for one signing profile.

    Attributes:
        folder: Holds the commands and Notation's configuration.
        profile: The ARN of the signing profile of AWS Signer, which signs, and alone is trusted.
        password: What opens the registry.
    """

    folder: Path
    profile: str
    password: str

    def is_signed(self, image: registry.Image) -> bool:
        """Whether the image has a signature of this profile that is neither expired nor revoked."""
        # It says why it refuses a signature only when it is to say more.
        return self._run(f"Verify the signature of {image.uri}", "verify", image, "--verbose") == 0

    def sign(self, image: registry.Image) -> None:
        """Have AWS Signer sign the image's digest, and put the signature beside the image; ends the job if it fails.

        The signature refers to the image (OCI distribution specification, "Listing Referrers"). Notation would give it
        a tag besides, which the next one has to move, and tags do not move here.
        """
        words = ("--force-referrers-tag=false", "--plugin", signer_plugin.NAME, "--id", self.profile)
        code = self._run(f"Sign {image.uri}", "sign", image, *words)
        if code:
            printed = "".join(job.last_lines)
            job.fail(
                f"{image.uri} could not be signed: Notation ended with code {code}.\n{printed}"
                f"Look whether the signing profile {self.profile} is active and of the platform "
                "Notation-OCI-SHA384-ECDSA; verification.signature in the stack file names it."
            )

    def _run(self, why: str, verb: str, image: registry.Image, *words: str) -> int:
        return job.stream(why, str(self.folder / "notation"), verb, *words, image.uri, check=False, env=self._env)

    @property
    def _env(self) -> dict[str, str]:
        folders = {"CONFIG": "config", "LIBEXEC": "libexec", "CACHE": "cache"}
        places = {f"NOTATION_{name}": str(self.folder / folder) for name, folder in folders.items()}
        return {**places, "NOTATION_USERNAME": "AWS", "NOTATION_PASSWORD": self.password}


def install(images: list[registry.Image]) -> Notation:
    """Build Notation, and let it trust the signing profile of SIGNING_PROFILE alone, for these images alone."""
    profile = job.require("SIGNING_PROFILE")
    if not _PROFILE.fullmatch(profile):
        job.fail(
            "SIGNING_PROFILE must be arn:aws:signer:<region>:<account>:/signing-profiles/<name>, without a version, "
            f"got {profile!r}.",
            job.MISUSED,
        )
    key, _ = registry_api.token("images'", images[0].repository.region(), {})
    password = job.secret(base64.b64decode(key).decode().partition(":")[2])
    for image in images:
        registry.trusted(image.repository.host)
    folder = Path(tempfile.mkdtemp(prefix="notation-"))
    _build(folder)
    _plug_in(folder / "libexec")
    _trust(folder / "config", profile, images)
    return Notation(folder, profile, password)


def _build(folder: Path) -> None:
    sources = folder / "sources"
    for name, content in _sources().items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    # Neither another Go than this one, nor other modules than the locked ones.
    settings = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}
    words = ("build", "-C", str(sources), "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
    job.run("Build Notation", "go", *words, "-o", str(folder / "notation"), PACKAGE, env=settings)


def _plug_in(folder: Path) -> None:
    """Put the plugin where Notation looks for it: see "Plugin lifecycle" of the contract in `signer_plugin`."""
    plugin = folder / "plugins" / signer_plugin.NAME / f"notation-{signer_plugin.NAME}"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(_PLUGIN.format(python=sys.executable, jobs=str(_ROOT)), encoding="utf-8")
    plugin.chmod(0o755)


def _sources() -> dict[str, bytes]:
    """The files of the folder `notation`, by their paths in it: of the archive of the jobs, or of the repository."""
    if _ROOT.is_file():
        with zipfile.ZipFile(_ROOT) as archive:
            names = [name for name in archive.namelist() if name.startswith("notation/")]
            return {name.partition("/")[2]: archive.read(name) for name in names}
    found = _ROOT / "notation"
    return {path.relative_to(found).as_posix(): path.read_bytes() for path in found.rglob("*") if path.is_file()}


def _trust(config: Path, profile: str, images: list[registry.Image]) -> None:
    """Configure what is trusted, as https://docs.aws.amazon.com/signer/latest/developerguide/image-verification.html.

    `strict` fails a signature whose integrity, authenticity, expiry or revocation is not as it should be:
    https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md
    """
    store = config / "truststore" / "x509" / "signingAuthority" / TRUST_STORE
    store.mkdir(parents=True)
    (store / _CERTIFICATE).write_bytes(_sources()[_CERTIFICATE])
    # Where AWS has other certificates than Amazon's, as in a rehearsal, its signatures have, too.
    # https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle:
        (store / "aws-ca-bundle.pem").write_bytes(Path(bundle).read_bytes())
    policy = {
        "name": "delivered",
        "registryScopes": sorted({image.repository.uri for image in images}),
        "signatureVerification": {"level": "strict"},
        "trustStores": [f"signingAuthority:{TRUST_STORE}"],
        "trustedIdentities": [profile],
    }
    file = config / "trustpolicy.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"version": "1.0", "trustPolicies": [policy]}), encoding="utf-8")

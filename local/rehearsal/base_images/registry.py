"""Images out of a public registry, over its own protocol, for one platform and without signing in.

Sources: https://github.com/opencontainers/distribution-spec/blob/main/spec.md,
https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlencode, urljoin

from local.rehearsal.base_images.names import DOCKER_HUB, ImageName
from local.rehearsal.base_images.store import INDEXES, Content, ImageStore, WrongDigest, part_for, pieces_of
from local.rehearsal.images import MANIFEST

_MANIFESTS = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json", *INDEXES)
_HUB = "https://registry-1.docker.io"
_REACHED_WITHIN_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class NotThere(Exception):  # noqa: N818 - what the registry answers
    """The registry has no such image, or not for everybody."""


@dataclass(slots=True)
class Registries:
    """The registries on the network.

    Attributes:
        addresses: Where a registry answers, by its name; by default under its name, over HTTPS.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    _reachable: dict[str, str] = field(default_factory=dict, init=False)
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict, init=False)

    def problem(self, host: str) -> str:
        """Return why a registry cannot be reached, within two seconds; empty if it can."""
        if host not in self._reachable:
            said: list[str] = []
            # A thread, because looking up a name cannot be given a time.
            thread = threading.Thread(target=lambda: said.append(self._tried(host)), daemon=True)
            thread.start()
            thread.join(_REACHED_WITHIN_SECONDS)
            self._reachable[host] = said[0] if said else f"no answer within {_REACHED_WITHIN_SECONDS:g} s"
        return self._reachable[host]

    def fetch(self, name: ImageName, platform: str, store: ImageStore) -> Content:
        """Bring an image into the store: the index as it is, and this platform's part of it.

        Raises:
            NotThere: The registry has none, or it is not for everybody.
            OSError: The registry cannot be reached, or no longer.
        """
        content, body = self._manifest(name, name.reference)
        document = json.loads(body)
        if content.media_type in INDEXES:
            entry = part_for(document, platform)
            if entry is None:
                raise NotThere(f"{name} is not for {platform}")
            part = Content(entry["digest"], entry["mediaType"])
            there = part.digest in store
            part_body = store.read(part.digest) if there else self._manifest(name, part.digest)[1]
            self._blobs(name, json.loads(part_body), store)
            store.write([part_body], part.digest)
        else:
            self._blobs(name, document, store)
        store.write([body], content.digest)  # last: what is there is complete
        if not store.is_complete(content, platform):
            raise NotThere(f"{name} is not for {platform}")
        return content

    def _tried(self, host: str) -> str:
        try:
            with self._open(host, "/v2/", timeout=_REACHED_WITHIN_SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            return "" if error.code == 401 else f"it answers {error.code}"
        except (OSError, HTTPException) as error:
            return str(getattr(error, "reason", error))

    def _manifest(self, name: ImageName, reference: str) -> tuple[Content, bytes]:
        with self._ask(name, f"manifests/{reference}", accept=", ".join(_MANIFESTS)) as answer:
            body = answer.read()
            kind = answer.headers.get_content_type()
        digest = f"sha256:{sha256(body).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise NotThere(f"{name}: {reference} was asked for, and {digest} came")
        return Content(digest, kind), body

    def _blobs(self, name: ImageName, manifest: Mapping[str, Any], store: ImageStore) -> None:
        for entry in (manifest["config"], *manifest["layers"]):
            if entry["digest"] in store:
                continue
            try:
                with self._ask(name, f"blobs/{entry['digest']}") as answer:
                    store.write(pieces_of(answer), entry["digest"])
            except (HTTPException, WrongDigest) as error:
                raise OSError(f"{name}: {error}") from error

    def _ask(self, name: ImageName, path: str, accept: str = "*/*") -> HTTPResponse:
        place = f"/v2/{name.repository}/{path}"
        for again in (False, True):
            try:
                return self._open(name.host, place, accept, self._tokens.get((name.host, name.repository), ""))
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == 401 and not again:
                    self._tokens[name.host, name.repository] = self._token(name, error.headers["WWW-Authenticate"])
                elif error.code in {401, 403, 404}:
                    raise NotThere(f"the registry has no {name} for everybody ({error.code})") from None
                else:
                    raise OSError(f"the registry of {name} answers {error.code}") from None
        raise AssertionError("the second answer ends it")

    def _token(self, name: ImageName, challenge: str | None) -> str:
        """What opens a repository to everybody, from where the registry says."""
        asked = dict(_CHALLENGE.findall(challenge or ""))
        if not (challenge or "").lower().startswith("bearer") or "realm" not in asked:
            raise NotThere(f"the registry of {name} wants a password")
        scope = asked.get("scope", f"repository:{name.repository}:pull")
        query = urlencode({"service": asked.get("service", ""), "scope": scope})
        address = f"{urljoin(self._address(name.host), asked['realm'])}?{query}"
        try:
            with urllib.request.urlopen(address, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310 - as the registry says
                given = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            raise NotThere(f"the registry has no {name} for everybody ({error.code})") from None
        return str(given.get("token") or given["access_token"])

    def _open(
        self, host: str, path: str, accept: str = "*/*", token: str = "", timeout: float = _PATIENCE_SECONDS
    ) -> HTTPResponse:
        request = urllib.request.Request(f"{self._address(host)}{path}", headers={"Accept": accept})  # noqa: S310 - HTTPS
        if token:  # not for where a layer's address leads: that one refuses it
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 - HTTPS
        return answer

    def _address(self, host: str) -> str:
        return self.addresses.get(host) or (_HUB if host == DOCKER_HUB else f"https://{host}")

"""What opens the secrets of a local stack's state: a key that the engine asks a Vault server on loopback for.

A passphrase, Pulumi's own way, is hashed a million times in each run of the CLI, a third of what a run takes:
https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/resource/config/crypt.go. Here it would be empty, so that
nothing is lost. How the CLI asks: https://github.com/google/go-cloud/blob/v0.46.0/secrets/hashivault/vault.go.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from local.loopback import serving_http

_PROVIDER = "hashivault://ecs-delivery"


def new_key() -> str:
    """Return the lines of a stack file that name a new key.

    The key is kept as it is: whoever reads the state may read its secrets, as with an empty passphrase.
    """
    key = base64.b64encode(secrets.token_bytes(32))
    return f"secretsprovider: {_PROVIDER}\nencryptedkey: {base64.b64encode(key).decode()}"


class _Vault(BaseHTTPRequestHandler):
    """Decrypts what was never encrypted.

    https://developer.hashicorp.com/vault/api-docs/secret/transit#decrypt-data
    """

    def do_PUT(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"data": {"plaintext": asked["ciphertext"]}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@contextmanager
def serving_vault() -> Iterator[dict[str, str]]:
    """Serve as long as the block lasts; gives the environment variables that lead the CLI here."""
    with serving_http(_Vault) as address:
        yield {"VAULT_SERVER_URL": address, "VAULT_SERVER_TOKEN": "none"}

"""Where GitHub's REST API is."""

from __future__ import annotations

from typing import Final

PUBLIC_API: Final = "https://api.github.com"


def api_of(server_url: str) -> str:
    """Return the address of the API of a GitHub Enterprise Server.

    https://docs.github.com/en/enterprise-server@3.16/rest/using-the-rest-api/getting-started-with-the-rest-api

    Args:
        server_url: The server's own address.
    """
    return f"{server_url.rstrip('/')}/api/v3"

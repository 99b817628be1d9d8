"""Serve the shop until the container is stopped."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path

from shop import products
from shop.server import Server
from shop.site import Site

_LOG = logging.getLogger("shop")


def main() -> None:
    """Serve on PORT, logging from LOG_LEVEL on."""
    level = os.environ.get("LOG_LEVEL", "info").upper()
    logging.basicConfig(level=level, format='{"time":"%(asctime)s","level":"%(levelname)s","message":"%(message)s"}')
    here = Path(__file__).resolve().parent.parent
    site = Site.load(here / "public", version=(here / "VERSION").read_text(encoding="utf-8").strip())
    site = site.with_page("/products.json", products.load(), "application/json")
    port = int(os.environ.get("PORT", "8080"))
    with Server(site, port) as server:
        # As process 1 of a container nothing ends it unless it does so itself. A thread, because `shutdown` waits for
        # the loop that this interrupts.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        _LOG.info("version %s, build %s, on port %s", site.version, site.build, port)
        server.serve_forever(poll_interval=0.1)
    _LOG.info("stopped")


if __name__ == "__main__":
    main()

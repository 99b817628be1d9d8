"""The container's health check: whether the service answers that it works; the exit code says so."""

from __future__ import annotations

import os
import urllib.request

if __name__ == "__main__":
    with urllib.request.urlopen(f"http://127.0.0.1:{os.environ.get('PORT', '8080')}/healthz", timeout=2):
        pass

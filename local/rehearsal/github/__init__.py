"""GitHub on loopback, as far as releases, statuses, deployments and comments on pull requests need it.

It keeps state, and holds every request, and every answer of its own, against GitHub's description of its API.
"""

from __future__ import annotations

from local.rehearsal.github.answers import Answer
from local.rehearsal.github.server import BROKEN, DROP, Commit, GitHub, Release, Repository, Wish, rate_limited

__all__ = ["BROKEN", "DROP", "Answer", "Commit", "GitHub", "Release", "Repository", "Wish", "rate_limited"]

"""Makes the fixtures of `rehearsing` known here; mypy leaves this file out, since it takes one conftest only."""

from rehearsing import aws, sandbox

__all__ = ["aws", "sandbox"]

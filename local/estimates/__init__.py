"""Estimates: seconds from a commit to users, and dollars a month, from a stack's graph and published figures."""

from local.estimates.estimate import RUNS, estimate
from local.estimates.model import NOT_MEASURED, Bar, Estimate, Line, Step, Timeline

__all__ = ["NOT_MEASURED", "RUNS", "Bar", "Estimate", "Line", "Step", "Timeline", "estimate"]

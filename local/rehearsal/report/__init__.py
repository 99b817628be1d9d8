"""Shows a rehearsal: live in the terminal, and afterwards as one HTML page, as JUnit XML and as JSON."""

from local.rehearsal.report.collect import Rehearsed, collect
from local.rehearsal.report.junit import junit
from local.rehearsal.report.model import (
    Artifact,
    BaseImage,
    Emulated,
    Permission,
    Phase,
    Rehearsal,
    Sample,
    Traffic,
)
from local.rehearsal.report.outcome import Outcome, outcome
from local.rehearsal.report.page import page
from local.rehearsal.report.saved import as_json, load, summary
from local.rehearsal.report.write import write

__all__ = [
    "Artifact",
    "BaseImage",
    "Emulated",
    "Outcome",
    "Permission",
    "Phase",
    "Rehearsal",
    "Rehearsed",
    "Sample",
    "Traffic",
    "as_json",
    "collect",
    "junit",
    "load",
    "outcome",
    "page",
    "summary",
    "write",
]

"""Lighthouse's scores out of its job's log, and its reports out of the job's artifact.

The log has each median beside its budget.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from local.rehearsal.report.model import Attempt, Document, Lighthouse, Score

_SCORE = re.compile(
    r"(?:ok|FAIL)\s+(?P<page>\S+(?: \(\w+\))?) (?P<category>[\w-]+): "
    r"(?P<score>no score|[\d.]+), at least (?P<budget>\d+)"
)
"""As `buildspecs/jobs/run_lighthouse.py` prints it."""
_REPORT = "LighthouseReport"
_MANIFEST = "manifest.json"


def lighthouse_of(stack: str, attempt: Attempt, artifact: Callable[[str], Path | None]) -> Lighthouse:
    """Return what an audit has found.

    Args:
        stack: The stack whose service was audited.
        attempt: The action that audited it.
        artifact: Returns an artifact's file by its key; ``None`` when it cannot be had.
    """
    scores = tuple(_score(match) for line in attempt.log if (match := _SCORE.match(line)))
    file = next((artifact(each.key) for each in attempt.artifacts if each.name == _REPORT), None)
    reports, runs = _reports(file) if file else ((), 0)
    return Lighthouse(stack=stack, runs=runs, scores=scores, reports=reports)


def _score(match: re.Match[str]) -> Score:
    score = match["score"]
    return Score(
        page=match["page"],
        category=match["category"],
        score=None if score == "no score" else float(score),
        budget=int(match["budget"]),
    )


def _reports(file: Path) -> tuple[tuple[Document, ...], int]:
    """The report of each page's representative run, and how many runs there were of a page.

    https://github.com/GoogleChrome/lighthouse-ci/blob/main/docs/configuration.md#filesystem
    """
    with zipfile.ZipFile(file) as archive:
        names = {PurePosixPath(name).name: name for name in archive.namelist()}
        if _MANIFEST not in names:
            return (), 0
        entries = json.loads(archive.read(names[_MANIFEST]))
        reports = []
        for entry in entries:
            name = PurePosixPath(entry["htmlPath"]).name
            if entry["isRepresentativeRun"] and name in names:
                html = archive.read(names[name]).decode()
                device = "" if entry["device"] == "mobile" else f" ({entry['device']})"
                reports.append(Document(title=f"{urlsplit(entry['url']).path or '/'}{device}", packed=pack(html)))
    return tuple(reports), max(Counter((entry["url"], entry["device"]) for entry in entries).values(), default=0)


def pack(html: str) -> str:
    """Return a document as base64 of gzip, the same for the same document."""
    return base64.b64encode(gzip.compress(html.encode(), mtime=0)).decode("ascii")

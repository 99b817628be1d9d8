"""Audit the deployed service with Lighthouse and hold the median of several runs against the budgets.

Writes lighthouse-report/: the HTML and JSON reports, manifest.json and junit.xml for CodeBuild's test report.
Variables: SERVICE_URL, LIGHTHOUSE_PATHS (JSON list), LIGHTHOUSE_RUNS, LIGHTHOUSE_BUDGETS (JSON object: category to
lowest score, 0 to 100; categories: performance, accessibility, best-practices, seo), LIGHTHOUSE_PACKAGE and
LIGHTHOUSE_LOCK (s3:// addresses of the package.json and package-lock.json that Lighthouse CI is installed by).
"""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree as ET

from jobs import inputs, job

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
CHROME_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
ALLOWED = "/?&=%:@!$'()*+,;~#"
OUTPUT = Path("lighthouse-report")
TRIES, PAUSE_SECONDS = 6, 5


class Score(NamedTuple):
    """The median of one category on one page against its budget, both 0 to 100; no score when Lighthouse had none."""

    url: str
    category: str
    score: float | None
    lowest: int

    @property
    def passed(self) -> bool:
        """Whether the budget is kept."""
        return self.score is not None and self.score >= self.lowest

    def __str__(self) -> str:
        """The line for the log and the test report."""
        score = "no score" if self.score is None else f"{self.score:g}"
        return f"{'ok  ' if self.passed else 'FAIL'} {self.url} {self.category}: {score}, at least {self.lowest} wanted"


def budgets() -> dict[str, int]:
    """The lowest scores by category."""
    given = inputs.parsed("LIGHTHOUSE_BUDGETS", job.require("LIGHTHOUSE_BUDGETS"), dict)
    for category, lowest in given.items():
        if category not in CATEGORIES or not isinstance(lowest, int) or not 0 <= lowest <= 100:
            allowed = ", ".join(CATEGORIES)
            job.fail(f"LIGHTHOUSE_BUDGETS: {category}: {lowest}; allowed: 0 to 100 for {allowed}.", job.MISUSED)
    if not given:
        job.fail("LIGHTHOUSE_BUDGETS is empty: nothing would be held against anything.", job.MISUSED)
    return {str(category): int(lowest) for category, lowest in given.items()}


def problem_with(url: str) -> str:
    """Why the page cannot be fetched, after a little time for a service that is just starting; empty when it can."""
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            job.say(f"    {url}: {problem}; trying again")
            time.sleep(PAUSE_SECONDS)
        try:
            with urllib.request.urlopen(url, timeout=30):  # noqa: S310 - main() lets http(s) pass alone
                return ""
        except urllib.error.HTTPError as error:
            problem = f"it answers with status {error.code}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"it cannot be reached: {error or type(error).__name__}"
    return problem


def install(folder: str, package: str, lock: str) -> str:
    """Install Lighthouse CI; npm refuses every package that is not the one whose hash the lock has."""
    for address, file in ((package, "package.json"), (lock, "package-lock.json")):
        job.run(f"Fetch {file}", "aws", "s3", "cp", address, f"{folder}/{file}", "--only-show-errors")
    # Not the packages' own scripts: they would run as this job.
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
    job.stream("Install Lighthouse CI", "npm", "ci", "--prefix", folder, *options)
    return f"{folder}/node_modules/.bin/lhci"


def audit(lhci: str, folder: str, urls: list[str], runs: int, categories: list[str]) -> list[dict[str, Any]]:
    """Run Lighthouse and write its reports; returns their manifest, one entry a run."""
    settings = {"chromeFlags": " ".join(CHROME_FLAGS), "onlyCategories": categories}
    upload = {"target": "filesystem", "outputDir": str(OUTPUT)}
    config = {"ci": {"collect": {"url": urls, "numberOfRuns": runs, "settings": settings}, "upload": upload}}
    path = Path(folder, "lighthouserc.json")
    path.write_text(json.dumps(config), encoding="utf-8")
    job.stream(f"Audit {', '.join(urls)}, {runs} times each", lhci, "collect", f"--config={path}")
    job.stream("Write the reports", lhci, "upload", f"--config={path}")
    manifest: list[dict[str, Any]] = json.loads((OUTPUT / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def median(manifest: list[dict[str, Any]], url: str, category: str) -> float | None:
    """The median score (0 to 100) of a page's runs; None when a run has none."""
    scores = [entry["summary"].get(category) for entry in manifest if entry["url"].rstrip("/") == url.rstrip("/")]
    if not scores or None in scores:
        return None
    return float(round(100 * statistics.median(scores), 1))


def write_junit(cases: list[tuple[str, str, str]]) -> None:
    """Write the result as CodeBuild's report groups read it: page, what was looked at, and what is wrong with it."""
    failures = sum(bool(problem) for _, _, problem in cases)
    suite = ET.Element("testsuite", name="lighthouse", tests=str(len(cases)), failures=str(failures))
    for url, name, problem in cases:
        case = ET.SubElement(suite, "testcase", classname=url, name=name, time="0")
        if problem:
            ET.SubElement(case, "failure", message=problem)
    ET.ElementTree(suite).write(OUTPUT / "junit.xml", encoding="utf-8", xml_declaration=True)


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version", "node --version")
    base = job.require("SERVICE_URL").rstrip("/")
    if not base.startswith(("https://", "http://")):
        job.fail(f"SERVICE_URL must be an http(s) address, got {base!r}.", job.MISUSED)
    paths = inputs.parsed("LIGHTHOUSE_PATHS", job.require("LIGHTHOUSE_PATHS"), list)
    runs, lowest = inputs.number("LIGHTHOUSE_RUNS", job.require("LIGHTHOUSE_RUNS")), budgets()
    package, lock = job.require("LIGHTHOUSE_PACKAGE"), job.require("LIGHTHOUSE_LOCK")
    # Written as Chrome writes it, so that a report is found again by its address.
    urls = [f"{base}/{quote(str(path).lstrip('/'), safe=ALLOWED)}" for path in paths]
    OUTPUT.mkdir(exist_ok=True)
    # An unreachable page is no bad score, it is no page.
    for url in urls:
        if problem := problem_with(url):
            write_junit([(url, "reachable", problem)])
            job.fail(f"{url} is not there to be audited: {problem}.")
    with tempfile.TemporaryDirectory() as folder:
        manifest = audit(install(folder, package, lock), folder, urls, runs, list(lowest))
    scores = [Score(url, name, median(manifest, url, name), least) for url in urls for name, least in lowest.items()]
    write_junit([(score.url, score.category, "" if score.passed else str(score)) for score in scores])
    for score in scores:
        job.say(str(score))
    missed = [score for score in scores if not score.passed]
    if missed:
        job.fail("budgets missed:\n" + "\n".join(f"  {score}" for score in missed))

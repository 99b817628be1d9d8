"""Audit the deployed service with Lighthouse and hold the median of several runs against the budgets.

Writes lighthouse-report/: the HTML and JSON reports, manifest.json and junit.xml for CodeBuild's test report.
Variables: SERVICE_URL, LIGHTHOUSE_PATHS (JSON list), LIGHTHOUSE_DEVICES (JSON list: mobile, desktop), LIGHTHOUSE_RUNS,
LIGHTHOUSE_BUDGETS (JSON object: category to lowest score, 0 to 100; categories: performance, accessibility,
best-practices, seo), LIGHTHOUSE_PACKAGE and LIGHTHOUSE_LOCK (s3:// addresses of the package.json and package-lock.json
that Lighthouse CI is installed by), TEST_HEADERS (JSON object: header to the secret that holds its value).
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from jobs import inputs, job, junit, tested

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
CHROME_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DEVICES: dict[str, dict[str, str]] = {"mobile": {}, "desktop": {"preset": "desktop"}}
"""The devices, and what Lighthouse is told for one; it measures as a mobile one by itself.

https://github.com/GoogleChrome/lighthouse/blob/main/docs/emulation.md
"""
HEADERS_SCRIPT = """\
'use strict';
const {origin, headers, cookies} = require('./headers.json');
const begun = new WeakSet();
module.exports = async browser => {
  if (begun.has(browser)) return;
  begun.add(browser);
  browser.on('targetcreated', async target => {
    if (target.type() !== 'page') return;
    const session = await target.createCDPSession();
    session.on('Fetch.requestPaused', ({requestId, request}) => {
      const sent = Object.entries({...request.headers, ...headers}).map(([name, value]) => ({name, value}));
      session.send('Fetch.continueRequest', {requestId, headers: sent}).catch(() => undefined);
    });
    await session.send('Network.setCookies', {cookies});
    await session.send('Fetch.enable', {patterns: [{urlPattern: `${origin}/*`}]});
  });
};
"""
"""Gives the headers to the service alone.

Lighthouse's own ``extraHeaders`` go to every host that a page asks (``core/gather/driver/prepare.js`` sets them by
``Network.setExtraHTTPHeaders``), and stand in its reports. Here a request to the service is held until it has them, and
cookies are put where the page's own are: https://chromedevtools.github.io/devtools-protocol/tot/Fetch/. Lighthouse CI
starts the browser for such a script: https://github.com/GoogleChrome/lighthouse-ci/blob/main/docs/configuration.md
"""
OUTPUT = Path("lighthouse-report")
JUNIT = OUTPUT / "junit.xml"
TRIES, PAUSE_SECONDS = 6, 5


class Score(NamedTuple):
    """The median of one category on one page against its budget, both 0 to 100; no score when Lighthouse had none."""

    page: str
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
        return (
            f"{'ok  ' if self.passed else 'FAIL'} {self.page} {self.category}: {score}, at least {self.lowest} wanted"
        )


class Page(NamedTuple):
    """One page as one device sees it."""

    url: str
    device: str

    def __str__(self) -> str:
        """The address, and the device that is not Lighthouse's own choice."""
        return self.url if self.device == next(iter(DEVICES)) else f"{self.url} ({self.device})"


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


def devices() -> list[str]:
    """The devices that the pages are measured as."""
    given = inputs.parsed("LIGHTHOUSE_DEVICES", job.require("LIGHTHOUSE_DEVICES"), list)
    if not given or any(device not in DEVICES for device in given):
        job.fail(f"LIGHTHOUSE_DEVICES must be a list of {', '.join(DEVICES)}, got {given}.", job.MISUSED)
    return [str(device) for device in given]


def problem_with(url: str, headers: dict[str, str]) -> str:
    """Why the page cannot be fetched, after a little time for a service that is just starting; empty when it can."""
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            job.say(f"    {url}: {problem}; trying again")
            time.sleep(PAUSE_SECONDS)
        try:
            with tested.opened(url, headers, 30) as answer:
                if answer.status < 300:
                    return ""
                moved = "" if answer.url == url else f"leads to {answer.url}, which "
                problem = f"it {moved}answers with status {answer.status}"
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


def browser(folder: str, base: str, headers: dict[str, str]) -> dict[str, Any]:
    """How Lighthouse CI starts Chrome; the files that it reads the headers from are below the folder."""
    if not headers:
        return {"settings": {"chromeFlags": " ".join(CHROME_FLAGS)}}
    cookies = [
        {"name": name, "value": value, "url": base, "secure": base.startswith("https:")}
        for header, text in headers.items()
        if header.lower() == "cookie"
        for name, _, value in (pair.strip().partition("=") for pair in text.split(";"))
    ]
    others = {header: text for header, text in headers.items() if header.lower() != "cookie"}
    given = {"origin": tested.origin(base), "headers": others, "cookies": cookies}
    Path(folder, "headers.json").write_text(json.dumps(given), encoding="utf-8")
    script = Path(folder, "headers.js")
    script.write_text(HEADERS_SCRIPT, encoding="utf-8")
    # It looks for the script from the working folder.
    return {
        "settings": {},
        "puppeteerScript": os.path.relpath(script),
        "puppeteerLaunchOptions": {"args": list(CHROME_FLAGS)},
    }


def audit(
    lhci: str, folder: str, chrome: dict[str, Any], pages: list[Page], runs: int, categories: list[str]
) -> list[dict[str, Any]]:
    """Run Lighthouse as one device, and write its reports; returns their manifest, one entry a run."""
    device, urls = pages[0].device, [page.url for page in pages]
    settings = {**chrome["settings"], **DEVICES[device], "onlyCategories": categories}
    collect = {**chrome, "url": urls, "numberOfRuns": runs, "settings": settings}
    pattern = f"%%HOSTNAME%%-%%PATHNAME%%-%%DATETIME%%-{device}.report.%%EXTENSION%%"
    upload = {"target": "filesystem", "outputDir": str(OUTPUT), "reportFilenamePattern": pattern}
    path = Path(folder, "lighthouserc.json")
    path.write_text(json.dumps({"ci": {"collect": collect, "upload": upload}}), encoding="utf-8")
    job.stream(f"Audit {', '.join(map(str, pages))}, {runs} times each", lhci, "collect", f"--config={path}")
    job.stream("Write the reports", lhci, "upload", f"--config={path}")
    manifest: list[dict[str, Any]] = json.loads((OUTPUT / "manifest.json").read_text(encoding="utf-8"))
    return [{**entry, "device": device} for entry in manifest]


def clean(folder: Path) -> None:
    """Take secrets out of the reports, which show what a page shows."""
    for path in sorted(folder.iterdir()):
        text = path.read_text(encoding="utf-8")
        if job.masked(text) != text:
            job.say(f"    {path.name} has shown a secret, which is taken out")
            path.write_text(job.masked(text), encoding="utf-8")


def report_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Lighthouse's report of a run."""
    return dict(json.loads(Path(entry["jsonPath"]).read_text(encoding="utf-8")))


def redirected(entry: dict[str, Any]) -> str:
    """The address of the page that Chrome has ended at, when it is another one than was asked for."""
    report = report_of(entry)
    final = str(report.get("finalDisplayedUrl") or report["requestedUrl"])
    return "" if final.rstrip("/") == str(report["requestedUrl"]).rstrip("/") else final


def of(page: Page, manifest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of a page."""
    return [
        entry
        for entry in manifest
        if (entry["url"].rstrip("/"), entry["device"]) == (page.url.rstrip("/"), page.device)
    ]


def median(runs: list[dict[str, Any]], category: str) -> float | None:
    """The median score (0 to 100) of a page's runs; None when a run has none."""
    scores = [entry["summary"].get(category) for entry in runs]
    if not scores or None in scores:
        return None
    return float(round(100 * statistics.median(scores), 1))


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version", "node --version")
    base = tested.address(job.require("SERVICE_URL"))
    paths = inputs.parsed("LIGHTHOUSE_PATHS", job.require("LIGHTHOUSE_PATHS"), list)
    runs, lowest = inputs.number("LIGHTHOUSE_RUNS", job.require("LIGHTHOUSE_RUNS")), budgets()
    package, lock = job.require("LIGHTHOUSE_PACKAGE"), job.require("LIGHTHOUSE_LOCK")
    # Written as Chrome writes it, so that a report is found again by its address.
    urls = [tested.page(base, str(path)) for path in paths]
    views = [[Page(url, device) for url in urls] for device in devices()]
    headers = tested.headers()
    OUTPUT.mkdir(exist_ok=True)
    # An unreachable page is no bad score, it is no page.
    for url in urls:
        if problem := problem_with(url, headers):
            junit.write(JUNIT, "lighthouse", [junit.Case(url, "reachable", problem)])
            job.fail(f"{url} is not there to be audited: {problem}.")
    with tempfile.TemporaryDirectory() as folder:
        lhci, chrome = install(folder, package, lock), browser(folder, base, headers)
        try:
            manifest = [entry for view in views for entry in audit(lhci, folder, chrome, view, runs, list(lowest))]
        finally:  # CodeBuild keeps the reports of a job that fails, too
            clean(OUTPUT)
    (OUTPUT / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    pages = [page for view in views for page in view]
    for page in pages:
        for final in sorted({final for entry in of(page, manifest) if (final := redirected(entry))}):
            job.say(f"    {page} leads to {final}: that page is measured")
    scores = [
        Score(str(page), name, median(of(page, manifest), name), least)
        for page in pages
        for name, least in lowest.items()
    ]
    results = [junit.Case(score.page, score.category, "" if score.passed else str(score)) for score in scores]
    junit.write(JUNIT, "lighthouse", results)
    for score in scores:
        job.say(str(score))
    missed = [score for score in scores if not score.passed]
    if missed:
        # Such as a machine that is too slow to measure on, which Lighthouse finds out by a benchmark of its own.
        warnings = {text: None for entry in manifest for text in report_of(entry).get("runWarnings", ())}
        job.fail(
            "budgets missed (tests.lighthouse.budgets in the stack file):\n"
            + "\n".join([*(f"  {score}" for score in missed), *(f"Lighthouse warns: {text}" for text in warnings)])
        )

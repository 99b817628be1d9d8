"""The job that audits the service: executed by its buildspec, under its role, with a real Chromium and real packages.

The pages are served on loopback. What Lighthouse CI needs comes out of S3 and, by npm, with the hashes of the lock.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
from foreign_files import put_foreign_files
from mocked import REGION, Graph
from rehearsing import hurried, with_variables
from summary import program

from components.settings.sections.tests import PLAIN_HTTP_BEST_PRACTICES
from local.loopback import serving_http
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.codebuild import BuildHost, Result, put_python, run_build
from local.rehearsal.deployed import Deployed

ACTION = "RunLighthouse"
GOOD = """<!doctype html><html lang="en"><head><title>Shop</title><meta name="viewport" content="width=device-width">
<meta name="description" content="A shop"><link rel="icon" href="data:,"></head>
<body><main><h1>Shop</h1></main></body></html>"""
# Nobody who cannot see it can use it: no language, no title, a picture and a button without words.
BAD = "<!doctype html><html><body><img src='data:,'><button></button></body></html>"


@cache
def graph() -> Graph:
    return program("everything-on")


@cache
def deployed() -> Deployed:
    return Deployed.of([resource.as_dict() for resource in graph()])


class Site(BaseHTTPRequestHandler):
    """Two pages, one that leads to the first, and one that is not there."""

    def do_GET(self) -> None:
        page = {"/": GOOD, "/bad": BAD}.get(self.path, "")
        moved = self.path == "/moved"
        self.send_response(302 if moved else 200 if page else 404)
        if moved:
            self.send_header("Location", "/")
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())


PASSWORD, SESSION = "c2hvcDpvcGVu", "opensesame"
HEADERS = {"authorization": f"Basic {PASSWORD}", "cookie": f"session={SESSION}"}


class Elsewhere(BaseHTTPRequestHandler):
    """Another host that a page asks, which writes down what it is told."""

    told: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.told.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_OPTIONS = do_GET  # noqa: N815 - http.server's name


class Guarded(BaseHTTPRequestHandler):
    """Pages behind a password, which show it, and ask another host."""

    elsewhere: ClassVar[str] = ""
    refused: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        known = all(value in self.headers.get(name, "") for name, value in HEADERS.items())
        if not known:
            self.refused.append(self.path)
        moved = self.path == "/account" and known
        self.send_response(302 if moved else 200 if known else 401)
        if moved:
            self.send_header("Location", "/welcome")
        script = f"<script src='{self.elsewhere}/tracker.js'></script><button aria-hidden=true>{PASSWORD}</button>"
        page = "" if moved else GOOD.replace("</main>", f"<img src='/logo.png?{SESSION}' alt='Shop'>{script}</main>")
        self.send_header("Set-Cookie", "seen=1")
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())


class Audits(NamedTuple):
    """What has been audited, and where."""

    url: str
    named: str
    guarded_url: str
    passing: Result
    failing: Result
    missing: Result
    guarded: Result


NPM = """#!/bin/sh
# npm ci --prefix FOLDER ...
'{npm}' "$@"
code=$?
[ $code = 0 ] && cp -al "$3" '{kept}'
echo $code > '{kept}.new' && mv '{kept}.new' '{kept}.code'
exit $code
"""
"""npm, whose work is kept: one job installs, which takes as long as its audits."""
NPM_DONE = """#!/bin/sh
# npm ci --prefix FOLDER ...
for _ in $(seq 3000); do [ -e '{kept}.code' ] && break; sleep 0.1; done
for file in package.json package-lock.json; do cmp "$3/$file" '{kept}'/$file || exit 1; done
cp -al '{kept}/node_modules' "$3"
"""
"""npm that has done it already, of the same lock."""


class Auditing:
    """The job on a machine with npm, Chromium and the AWS CLI."""

    def __init__(self, aws: AwsServices, cli: Path, folder: Path, url: str) -> None:
        self._aws, self._folder, self._url = aws, folder, url
        tools = folder / "bin"
        tools.mkdir()
        put_python(tools)
        node = Path(str(shutil.which("node"))).parent
        self._path = f"{cli}:{tools}:{node}:/usr/bin:/bin"
        for name, text in (("passing", NPM), ("failing", NPM_DONE), ("guarded", NPM_DONE)):
            npm = folder / f"npm-{name}" / "npm"
            npm.parent.mkdir()
            npm.write_text(text.format(npm=node / "npm", kept=folder / "kept"))
            npm.chmod(0o755)
        self._source = folder / "deployment"
        self._source.mkdir()
        (self._source / "deployment.json").write_text("{}")
        put_foreign_files(self._source)
        self.store()

    def store(self) -> None:
        """Put the objects where `pulumi up` puts them."""
        s3 = self._aws.client("s3", region=REGION)
        objects = [item.inputs for item in graph().of("BucketObjectv2") if "source" in item.inputs]
        for bucket in {item["bucket"] for item in objects} - {each["Name"] for each in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for item in objects:
            s3.put_object(Bucket=item["bucket"], Key=item["key"], Body=Path(item["source"].path).read_bytes())

    def run(
        self,
        name: str,
        paths: list[str],
        budgets: Mapping[str, int],
        *,
        runs: int = 1,
        url: str | None = None,
        devices: tuple[str, ...] = ("mobile",),
        headers: Mapping[str, str] | None = None,
    ) -> Result:
        """Audit these pages."""
        credentials = self._aws.as_role(f"{deployed().project(ACTION).role}-{name}", deployed().policies(ACTION))
        build = deployed().build(ACTION, {"Deployment": self._source}, {"variables.LIGHTHOUSE_RUNS": str(runs)})
        changed = {
            "SERVICE_URL": url or self._url,
            "LIGHTHOUSE_PATHS": json.dumps(paths),
            "LIGHTHOUSE_BUDGETS": json.dumps(budgets),
            "LIGHTHOUSE_DEVICES": json.dumps(devices),
            "TEST_HEADERS": json.dumps(headers or {}),
        }
        # npm works with the settings and the cache that the user has, and asks for nothing that it has already.
        given = {key: value for key, value in os.environ.items() if key in ("HOME", "NODE_EXTRA_CA_CERTS")}
        given["npm_config_prefer_offline"] = "true"
        path = f"{self._folder / f'npm-{name}'}:{self._path}"
        place = BuildHost(environment={"PATH": path, **given, **credentials}, region=REGION)
        build = hurried(self._aws, with_variables(build, **changed))
        return run_build(build, place, self._folder / name)


@pytest.fixture(scope="module")
def audits(
    need: Callable[..., None], aws: AwsServices, warm_aws_cli: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Audits]:
    """Every audit, made once and all at the same time: they take long and wait a lot."""
    need("chromium", "lighthouse")
    # A name of this machine that is not localhost: browsers trust localhost without encryption, and no other.
    budgets = {"performance": 20, "accessibility": 90, "best-practices": 50}
    aws.client("secretsmanager", region=REGION).create_secret(Name="shop/tests", SecretString=json.dumps(HEADERS))
    with (
        serving_http(Site) as url,
        serving_http(Site, socket.gethostname()) as named,
        serving_http(Elsewhere, socket.gethostname()) as Guarded.elsewhere,
        serving_http(Guarded) as guarded,
        ThreadPoolExecutor() as threads,
    ):
        job = Auditing(aws, warm_aws_cli, tmp_path_factory.mktemp("lighthouse"), url)
        begun = [
            threads.submit(job.run, "passing", ["/moved"], budgets, runs=3, url=named),
            threads.submit(job.run, "failing", ["/bad"], {"accessibility": 90}),
            threads.submit(job.run, "missing", ["/", "/gone"], {"seo": 50}),
            threads.submit(
                job.run,
                "guarded",
                ["/", "/account"],
                {"accessibility": 20},
                url=guarded,
                devices=("mobile", "desktop"),
                headers={name.capitalize(): f"shop/tests:{name}" for name in HEADERS},
            ),
        ]
        yield Audits(url, named, guarded, *(run.result() for run in begun))


def reports(result: Result, folder: Path) -> tuple[list[dict[str, Any]], set[str]]:
    """The manifest of the artifact, and the kinds of its files."""
    with zipfile.ZipFile(result.artifacts["LighthouseReport"]) as artifact:
        artifact.extractall(folder)
    manifest: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())
    return manifest, {"".join(path.suffixes[-2:]) for path in folder.iterdir()}


def test_a_page_that_keeps_its_budgets_passes(audits: Audits) -> None:
    """It leads to another one, whose reports are found all the same."""
    assert audits.passing.succeeded, audits.passing.log
    assert f"ok   {audits.named}/moved performance: " in audits.passing.log
    assert f"ok   {audits.named}/moved accessibility: 100, at least 90 wanted" in audits.passing.log
    report = audits.passing.reports["lighthouse"]
    assert (report.tests, report.failures, report.errors) == (3, 0, 0)


def test_the_median_of_three_runs_counts(audits: Audits, tmp_path: Path) -> None:
    manifest, _ = reports(audits.passing, tmp_path)

    scores = sorted(100 * entry["summary"]["performance"] for entry in manifest)
    assert len(scores) == 3
    assert f"{audits.named}/moved performance: {round(scores[1], 1):g}, at least 20 wanted" in audits.passing.log


def test_the_artifact_holds_what_people_and_programs_read(audits: Audits, tmp_path: Path) -> None:
    manifest, kinds = reports(audits.passing, tmp_path)

    assert kinds == {".report.html", ".report.json", ".json", ".xml"}
    for entry in manifest:
        assert "<title>Lighthouse Report" in (tmp_path / Path(entry["htmlPath"]).name).read_text()
        report = json.loads((tmp_path / Path(entry["jsonPath"]).name).read_text())
        assert report["requestedUrl"] == f"{audits.named}/moved"
        assert set(report["categories"]) == {"performance", "accessibility", "best-practices"}


def test_a_page_that_misses_its_budget_stops_the_delivery_and_says_by_how_much(audits: Audits) -> None:
    assert not audits.failing.succeeded
    assert [phase.name for phase in audits.failing.phases if phase.status == "FAILED"] == ["BUILD"]
    told = "FAILED: budgets missed (tests.lighthouse.budgets in the stack file):"
    budget, missed = audits.failing.log.partition(told)[1:]
    assert budget
    assert f"FAIL {audits.url}/bad accessibility: " in missed
    assert "at least 90 wanted" in missed


def test_a_page_behind_a_password_is_measured_as_each_device(audits: Audits, tmp_path: Path) -> None:
    result, url = audits.guarded, audits.guarded_url

    assert result.succeeded, result.log
    assert Guarded.refused == [], "the headers go with each request, those of pictures and of redirects, too"
    assert f"ok   {url}/account accessibility: " in result.log
    assert f"ok   {url}/account (desktop) accessibility: " in result.log
    assert f"    {url}/account (desktop) leads to {url}/welcome: that page is measured" in result.log
    assert f"    {url}/ leads to" not in result.log
    manifest, _ = reports(result, tmp_path)
    form = {
        entry["device"]: json.loads((tmp_path / Path(entry["jsonPath"]).name).read_text())["configSettings"]
        for entry in manifest
    }
    assert {device: settings["formFactor"] for device, settings in form.items()} == {
        "mobile": "mobile",
        "desktop": "desktop",
    }
    assert all(settings["extraHeaders"] is None for settings in form.values())


def test_no_other_host_is_told_the_headers(audits: Audits) -> None:
    assert audits.guarded.succeeded
    assert Elsewhere.told, "the page has asked the other host"
    told = json.dumps(Elsewhere.told)
    assert PASSWORD not in told
    assert f"session={SESSION}" not in told


def test_no_secret_is_printed_or_uploaded(audits: Audits, tmp_path: Path) -> None:
    """The page shows it, and Lighthouse repeats what a page shows."""
    reports(audits.guarded, tmp_path)
    assert "has shown a secret, which is taken out" in audits.guarded.log
    seen = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert len(seen) == 2 * 2 * 2 + 2
    assert [name for name, text in seen.items() if PASSWORD in text or SESSION in text] == []
    assert PASSWORD not in audits.guarded.log
    assert SESSION not in audits.guarded.log


def test_the_missed_budget_is_in_codebuilds_report_and_the_reports_are_kept(audits: Audits, tmp_path: Path) -> None:
    report = audits.failing.reports["lighthouse"]
    assert (report.tests, report.failures) == (1, 1)
    (failing,) = report.failing
    assert failing.startswith(f"{audits.url}/bad accessibility: FAIL {audits.url}/bad accessibility: ")
    manifest, kinds = reports(audits.failing, tmp_path)
    assert {entry["url"] for entry in manifest} == {f"{audits.url}/bad"}
    assert ".report.html" in kinds


def test_a_page_that_is_not_there_is_said_to_be_missing_and_gets_no_score(audits: Audits) -> None:
    result = audits.missing

    assert not result.succeeded
    assert f"FAILED: {audits.url}/gone is not there to be audited: it answers with status 404." in result.log
    assert "wanted" not in result.log
    report = result.reports["lighthouse"]
    assert report.failing == (f"{audits.url}/gone reachable: it answers with status 404",)
    assert "npm" not in result.log, "nothing is installed for it"


def test_what_is_installed_is_what_the_lock_names(audits: Audits) -> None:
    assert "$ npm ci " in audits.passing.log
    assert "--ignore-scripts" in audits.passing.log
    assert "_lighthouse/package-lock.json" in audits.passing.log


def test_a_page_without_a_fault_gets_no_more_than_this_over_plain_http(audits: Audits) -> None:
    """Stack files whose budget is higher are refused, because no delivery of theirs could pass.

    Of a weight of 29 two audits fail for want of encryption alone, with 5 and 1: 23/29.
    """
    assert f"/moved best-practices: {PLAIN_HTTP_BEST_PRACTICES}, at least 50 wanted" in audits.passing.log

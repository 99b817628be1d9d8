"""The job that audits the service: it really runs, against a page on loopback and a stand-in of npm."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from fake_tools import Machine, Reply, Request, WebServer, module, serving

INTEGRITY = "sha512-right"
LIGHTHOUSE = {
    "LIGHTHOUSE_PATHS": '["/", "/cart"]',
    "LIGHTHOUSE_RUNS": "3",
    "LIGHTHOUSE_BUDGETS": '{"performance": 80, "seo": 90}',
    "LHCI_VERSION": "0.15.1",
    "LHCI_INTEGRITY": INTEGRITY,
}
# `lhci collect` leaves its configuration to look at, `lhci upload` the reports.
LHCI = """#!{python} -S
import json, os, sys
config = json.load(open(sys.argv[2].partition("=")[2]))
if sys.argv[1] == "collect":
    json.dump(config, open({seen!r}, "w"))
elif sys.argv[1] == "upload":
    scores = json.load(open({scores!r}))
    runs = [dict(url=url, summary=summary) for url in config["ci"]["collect"]["url"] for summary in scores]
    json.dump(runs, open(config["ci"]["upload"]["outputDir"] + "/manifest.json", "w"))
"""


class Site(WebServer):
    """A page that is there, or not."""

    status = 200

    def reply(self, request: Request) -> Reply:
        assert request.method == "GET"
        return Reply(self.status, b"<p>shop</p>")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def audit(machine: Machine, scores: object, integrity: str = INTEGRITY, **changes: str) -> tuple[int, str, str]:
    """Run the job with a Lighthouse that finds these scores, a summary a run; exit code, what it said, the address."""
    lock = json.dumps({"packages": {"node_modules/@lhci/cli": {"integrity": integrity}}})
    lhci = LHCI.format(
        python=sys.executable, seen=str(machine.folder / "seen.json"), scores=str(machine.folder / "scores.json")
    )
    machine.file("scores.json", scores)
    files = {"{--prefix}/package-lock.json": lock, "{--prefix}/node_modules/.bin/lhci": lhci}
    machine.answer("npm install", files=files)
    with serving(Site()) as url:
        result = machine.run("run_lighthouse", SERVICE_URL=f"{url}/", **{**LIGHTHOUSE, **changes})
    return result.returncode, result.stdout + result.stderr, url


GOOD = [{"performance": 0.5, "seo": 0.9}, {"performance": 0.81, "seo": 0.9}, {"performance": 0.99, "seo": 1}]


def test_the_median_of_the_runs_is_held_against_the_budgets(machine: Machine) -> None:
    code, said, url = audit(machine, GOOD)

    assert code == 0, said
    assert f"ok   {url}/ performance: 81, at least 80 wanted" in said
    assert f"ok   {url}/cart seo: 90, at least 90 wanted" in said


def test_each_page_is_audited_as_often_as_wanted_by_a_headless_chrome(machine: Machine) -> None:
    _, _, url = audit(machine, GOOD)

    collect = machine.json("seen.json")["ci"]["collect"]
    assert collect["url"] == [f"{url}/", f"{url}/cart"]
    assert collect["numberOfRuns"] == 3
    assert collect["settings"]["onlyCategories"] == ["performance", "seo"]
    assert {"--headless=new", "--no-sandbox"} <= set(collect["settings"]["chromeFlags"].split())


def test_an_address_is_written_as_the_reports_write_it(machine: Machine) -> None:
    code, said, url = audit(machine, GOOD, LIGHTHOUSE_PATHS='["/caf\u00e9 bar?q=1&r=%20"]')

    assert code == 0, said
    assert machine.json("seen.json")["ci"]["collect"]["url"] == [f"{url}/caf%C3%A9%20bar?q=1&r=%20"]


def test_the_pinned_version_is_installed_without_running_foreign_scripts(machine: Machine) -> None:
    audit(machine, GOOD)

    (install,) = machine.called("npm install")
    assert install.words[-1] == "@lhci/cli@0.15.1"
    assert "--ignore-scripts" in install.words


def test_a_missed_budget_fails_the_job_and_is_in_the_test_report(machine: Machine) -> None:
    code, said, url = audit(machine, [{"performance": 0.79, "seo": 1}])

    assert code == 1
    assert f"FAILED: budgets missed:\n  FAIL {url}/ performance: 79, at least 80 wanted\n" in said
    suite = ET.parse(machine.folder / "lighthouse-report" / "junit.xml").getroot()  # noqa: S314 - our own file
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["performance", "performance"]


def test_no_score_is_a_failure_and_no_score_of_zero(machine: Machine) -> None:
    code, said, _ = audit(machine, [{"performance": None, "seo": 1}])

    assert code == 1
    assert "performance: no score, at least 80 wanted" in said


def test_another_package_than_the_reviewed_one_is_not_run(machine: Machine) -> None:
    code, said, _ = audit(machine, GOOD, integrity="sha512-other")

    assert code == 1
    assert "its integrity is sha512-other, not sha512-right" in said
    assert not (machine.folder / "seen.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"LIGHTHOUSE_BUDGETS": '{"speed": 80}'}, "LIGHTHOUSE_BUDGETS: speed: 80; allowed: 0 to 100 for performance"),
        ({"LIGHTHOUSE_BUDGETS": '{"seo": 101}'}, "LIGHTHOUSE_BUDGETS: seo: 101"),
        ({"LIGHTHOUSE_BUDGETS": '{"seo": "90"}'}, "LIGHTHOUSE_BUDGETS: seo: 90"),
        ({"LIGHTHOUSE_BUDGETS": "{}"}, "LIGHTHOUSE_BUDGETS is empty"),
        ({"LIGHTHOUSE_PATHS": "/"}, "LIGHTHOUSE_PATHS is not JSON"),
        ({"LIGHTHOUSE_RUNS": "0"}, "LIGHTHOUSE_RUNS must be a whole number above 0"),
    ],
)
def test_a_wrong_variable_is_refused(machine: Machine, changes: dict[str, str], message: str) -> None:
    code, said, _ = audit(machine, GOOD, **changes)

    assert code == 2
    assert message in said
    assert machine.calls == []


def test_an_address_that_is_none_is_refused(machine: Machine) -> None:
    result = machine.run("run_lighthouse", SERVICE_URL="file:///etc/passwd", **LIGHTHOUSE)

    assert result.returncode == 2
    assert "SERVICE_URL must be an http(s) address, got 'file:///etc/passwd'" in result.stderr


def test_an_unreachable_page_is_said_to_be_unreachable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job, site = module("run_lighthouse"), Site()
    monkeypatch.setattr(job.time, "sleep", lambda _seconds: None)
    site.status = 503
    with serving(site) as url, pytest.raises(SystemExit):
        job.reach(f"{url}/")
    with pytest.raises(SystemExit):
        job.reach(f"{url}/")

    shown = capsys.readouterr().err
    assert f"{url}/ is not there to be audited: it answers with status 503." in shown
    assert f"{url}/ is not there to be audited: it cannot be reached: " in shown
    assert len(site.requests) == job.TRIES, "a service that is just starting gets a little time"

"""The job that audits the service: it really runs, against a page on loopback and a stand-in of npm."""

import json
import socket
import sys
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fake_tools import Machine, Reply, Request, WebServer, module, serving

from components.jobs.buildspec import FOLDER

PACKAGES = FOLDER / "lighthouse"
LIGHTHOUSE = {
    "LIGHTHOUSE_PATHS": '["/", "/cart"]',
    "LIGHTHOUSE_RUNS": "3",
    "LIGHTHOUSE_BUDGETS": '{"performance": 80, "seo": 90}',
    "LIGHTHOUSE_PACKAGE": "s3://artifacts/_lighthouse/package.json",
    "LIGHTHOUSE_LOCK": "s3://artifacts/_lighthouse/package-lock.json",
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


def audit(machine: Machine, scores: object, **changes: str) -> tuple[int, str, str]:
    """Run the job with a Lighthouse that finds these scores, a summary a run; exit code, what it said, the address."""
    lhci = LHCI.format(
        python=sys.executable, seen=str(machine.folder / "seen.json"), scores=str(machine.folder / "scores.json")
    )
    machine.file("scores.json", scores)
    machine.answer("aws s3 cp")
    machine.answer("npm ci", files={"{--prefix}/node_modules/.bin/lhci": lhci})
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


def test_what_the_lock_names_is_installed_without_running_foreign_scripts(machine: Machine) -> None:
    audit(machine, GOOD)

    *fetched, install = machine.calls
    (folder,) = install.after("--prefix")
    assert [call.words[1:5] for call in fetched] == [
        ["s3", "cp", LIGHTHOUSE["LIGHTHOUSE_PACKAGE"], f"{folder}/package.json"],
        ["s3", "cp", LIGHTHOUSE["LIGHTHOUSE_LOCK"], f"{folder}/package-lock.json"],
    ]
    assert install.words[:2] == ["npm", "ci"], "`npm install` would take what is newer than the lock"
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


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("aws s3 cp", "Fetch package.json: `aws s3 cp` ended with code 7"),
        ("npm ci", "Install Lighthouse CI: `npm ci --prefix` ended with code 7"),
    ],
)
def test_nothing_is_run_that_could_not_be_fetched_as_locked(machine: Machine, command: str, message: str) -> None:
    machine.answer(command, code=7, errors="sha512 integrity checksum failed")

    code, said, _ = audit(machine, GOOD)

    assert code == 1
    assert message in said
    assert "  | sha512 integrity checksum failed" in said
    assert not (machine.folder / "seen.json").exists()


def locked() -> tuple[dict[str, Any], dict[str, Any]]:
    """package.json, and what the lock says of each package by its place."""
    package, lock = (json.loads((PACKAGES / name).read_text()) for name in ("package.json", "package-lock.json"))
    return package, lock["packages"]


def test_every_package_is_locked_by_its_content_and_not_by_an_address() -> None:
    package, there = locked()
    assert there.pop("")["dependencies"] == package["dependencies"]
    assert len(there) > 100
    assert [place for place, entry in there.items() if not entry.get("integrity", "").startswith("sha512-")] == []
    assert [place for place, entry in there.items() if "resolved" in entry] == []


def test_no_package_asks_for_the_latest_of_another_unless_we_say_which_one_that_is() -> None:
    """Else `npm ci` would refuse the lock on the day that another one is published, as it did with third-party-web."""
    package, there = locked()
    moving = {
        (place.rpartition("node_modules/")[2], name)
        for place, entry in there.items()
        for name, wanted in entry.get("dependencies", {}).items()
        if wanted == "latest"
    }
    chosen = {(maker, name) for maker, pins in package["overrides"].items() for name in pins}
    assert moving == chosen
    for maker, name in chosen:
        assert package["overrides"][maker][name] == there[f"node_modules/{name}"]["version"]


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The job as a module, which does not wait before it tries again."""
    job = module("run_lighthouse")
    monkeypatch.setattr(job.time, "sleep", lambda _seconds: None)
    return job


def test_an_unreachable_page_is_said_to_be_unreachable(impatient: ModuleType) -> None:
    site = Site()
    site.status = 503
    with serving(site) as url:
        assert impatient.problem_with(f"{url}/") == "it answers with status 503"
    assert impatient.problem_with(f"{url}/").startswith("it cannot be reached: <urlopen error")
    assert len(site.requests) == impatient.TRIES, "a service that is just starting gets a little time"


def test_a_page_that_comes_up_in_time_is_audited(impatient: ModuleType) -> None:
    class Starting(Site):
        def reply(self, request: Request) -> Reply:
            return super().reply(request)._replace(status=503 if len(self.requests) < 3 else 200)

    with serving(Starting()) as url:
        assert impatient.problem_with(f"{url}/") == ""


def test_a_server_that_speaks_no_http_is_no_page(impatient: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=greet, args=(server, impatient.TRIES), daemon=True)
        thread.start()
        port = server.getsockname()[1]
        assert impatient.problem_with(f"http://127.0.0.1:{port}/").startswith("it cannot be reached: ")
        thread.join()


def greet(server: socket.socket, times: int) -> None:
    """Answer as a mail server does."""
    for _ in range(times):
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"220 mail.example.com ESMTP\r\n")


def test_an_unreachable_page_is_in_the_test_report_and_has_no_score(
    impatient: ModuleType, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site()
    site.status = 404
    monkeypatch.chdir(machine.folder)
    monkeypatch.setattr(sys, "argv", ["run_lighthouse.py"])
    with serving(site) as url:
        for name, value in {**LIGHTHOUSE, "SERVICE_URL": url}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            impatient.main()

    assert ended.value.code == 1
    assert f"FAILED: {url}/ is not there to be audited: it answers with status 404." in capsys.readouterr().err
    suite = ET.parse(machine.folder / "lighthouse-report" / "junit.xml").getroot()  # noqa: S314 - our own file
    assert [(case.get("name"), case[0].get("message")) for case in suite] == [
        ("reachable", "it answers with status 404")
    ]
    assert machine.calls == [], "nothing is installed for a page that is not there"

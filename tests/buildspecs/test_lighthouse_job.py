"""The job that audits the service: it really runs, against a page on loopback and a stand-in of npm."""

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest
from fake_tools import Machine, Reply, Request, WebServer, module, serving

from components.jobs.buildspec import FOLDER

PACKAGES = FOLDER / "lighthouse"
LIGHTHOUSE = {
    "LIGHTHOUSE_PATHS": '["/", "/cart"]',
    "LIGHTHOUSE_DEVICES": '["mobile"]',
    "LIGHTHOUSE_RUNS": "3",
    "LIGHTHOUSE_BUDGETS": '{"performance": 80, "seo": 90}',
    "LIGHTHOUSE_PACKAGE": "s3://artifacts/_lighthouse/package.json",
    "LIGHTHOUSE_LOCK": "s3://artifacts/_lighthouse/package-lock.json",
}
# `lhci collect` leaves its configuration to look at, with what Chrome's script is given, `lhci upload` the reports.
LHCI = """#!{python} -S
import json, os, sys
config = json.load(open(sys.argv[2].partition("=")[2]))["ci"]
collect, folder = config["collect"], config["upload"]["outputDir"] + "/"
if sys.argv[1] == "collect":
    given = os.path.join(os.path.dirname(collect.get("puppeteerScript", "-/-")), "headers.json")
    seen = [dict(collect, given=json.load(open(given)) if os.path.exists(given) else None)]
    if os.path.exists({seen!r}):
        seen = json.load(open({seen!r})) + seen
    json.dump(seen, open({seen!r}, "w"))
    print({printed!r})
elif sys.argv[1] == "upload":
    runs = []
    for url in collect["url"]:
        for number, summary in enumerate(json.load(open({scores!r}))):
            name = folder + config["upload"]["reportFilenamePattern"].replace("%%DATETIME%%", str(len(runs)))
            paths = {{kind + "Path": name.replace("%%EXTENSION%%", kind) for kind in ("html", "json")}}
            report = dict(requestedUrl=url, finalDisplayedUrl={final!r} or url, runWarnings={warnings!r})
            json.dump(report, open(paths["jsonPath"], "w"))
            open(paths["htmlPath"], "w").write({html!r})
            runs.append(dict(paths, url=url, summary=summary))
    json.dump(runs, open(folder + "manifest.json", "w"))
    sys.exit({code})
"""


class Site(WebServer):
    """A page that is there, or not."""

    status = 200
    wanted: Mapping[str, str] = MappingProxyType({})

    def reply(self, request: Request) -> Reply:
        assert request.method == "GET"
        if request.path == "/moved":
            return Reply(302, headers={"Location": "/login"})
        if any(request.headers.get(name.lower()) != value for name, value in self.wanted.items()):
            return Reply(401)
        return Reply(self.status, b"<p>shop</p>")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class Audited(NamedTuple):
    """What is audited, and how it ends: Chrome at the address `final`, and `lhci upload` with this code."""

    site: Site | None = None
    final: str = ""
    html: str = ""
    printed: str = ""
    code: int = 0
    warnings: tuple[str, ...] = ()


def audit(
    machine: Machine,
    scores: object,
    audited: Audited = Audited(),  # noqa: B008 - it does not change
    /,
    **changes: str,
) -> tuple[int, str, str]:
    """Run the job with a Lighthouse that finds these scores, a summary a run; exit code, what it said, the address."""
    site, final, html, printed, code, warnings = audited
    files = {name: str(machine.folder / f"{name}.json") for name in ("seen", "scores")}
    lhci = LHCI.format(
        python=sys.executable, **files, final=final, html=html, printed=printed, code=code, warnings=warnings
    )
    machine.file("scores.json", scores)
    machine.answer("aws s3 cp")
    machine.answer("npm ci", files={"{--prefix}/node_modules/.bin/lhci": lhci})
    with serving(site or Site()) as url:
        result = machine.run("run_lighthouse", SERVICE_URL=f"{url}/", **{**LIGHTHOUSE, **changes})
    return result.returncode, result.stdout + result.stderr, url


GOOD = [{"performance": 0.5, "seo": 0.9}, {"performance": 0.81, "seo": 0.9}, {"performance": 0.99, "seo": 1}]


def test_the_median_of_the_runs_is_held_against_the_budgets(machine: Machine) -> None:
    code, said, url = audit(machine, GOOD)

    assert code == 0, said
    assert f"ok   {url}/ performance: 81, at least 80 wanted" in said
    assert f"ok   {url}/cart seo: 90, at least 90 wanted" in said
    assert "leads to" not in said


def test_each_page_is_audited_as_often_as_wanted_by_a_headless_chrome(machine: Machine) -> None:
    _, _, url = audit(machine, GOOD)

    (collect,) = machine.json("seen.json")
    assert collect["url"] == [f"{url}/", f"{url}/cart"]
    assert collect["numberOfRuns"] == 3
    assert collect["settings"]["onlyCategories"] == ["performance", "seo"]
    assert {"--headless=new", "--no-sandbox"} <= set(collect["settings"]["chromeFlags"].split())


def test_an_address_is_written_as_the_reports_write_it(machine: Machine) -> None:
    code, said, url = audit(machine, GOOD, LIGHTHOUSE_PATHS='["/caf\u00e9 bar?q=1&r=%20"]')

    assert code == 0, said
    assert machine.json("seen.json")[0]["url"] == [f"{url}/caf%C3%A9%20bar?q=1&r=%20"]


def test_a_page_is_audited_as_each_device(machine: Machine) -> None:
    code, said, url = audit(machine, [{"performance": 0.9, "seo": 0.5}], LIGHTHOUSE_DEVICES='["mobile", "desktop"]')

    assert code == 1
    mobile, desktop = machine.json("seen.json")
    assert (mobile["settings"].get("preset"), desktop["settings"]["preset"]) == (None, "desktop")
    assert f"ok   {url}/cart performance: 90, at least 80 wanted" in said
    assert f"ok   {url}/cart (desktop) performance: 90, at least 80 wanted" in said
    assert f"FAIL {url}/ (desktop) seo: 50, at least 90 wanted" in said
    manifest = machine.json("lighthouse-report/manifest.json")
    assert [(entry["url"], entry["device"]) for entry in manifest] == [
        (f"{url}{path}", device) for device in ("mobile", "desktop") for path in ("/", "/cart")
    ]
    assert len({entry["jsonPath"] for entry in manifest}) == 4, "no report takes another one's place"


def test_the_medians_of_two_devices_are_their_own() -> None:
    runs = module("run_lighthouse")
    manifest = [
        {"url": "http://shop/", "device": device, "summary": {"seo": score}}
        for device, score in (("mobile", 0.5), ("desktop", 0.9), ("mobile", 0.6), ("desktop", 1))
    ]
    found = [runs.median(runs.of(runs.Page("http://shop", device), manifest), "seo") for device in runs.DEVICES]
    assert found == [55, 95]


def test_a_page_that_leads_to_another_one_is_named(machine: Machine) -> None:
    code, said, url = audit(machine, GOOD, Audited(final="https://shop.example.com/login"), LIGHTHOUSE_PATHS='["/"]')

    assert code == 0, said
    assert f"    {url}/ leads to https://shop.example.com/login: that page is measured\n" in said


def test_a_redirect_to_a_page_that_is_not_there_is_named(impatient: ModuleType) -> None:
    site = Site()
    site.wanted = {"Authorization": "Basic c2hvcDpvcGVu"}
    with serving(site) as url:
        assert impatient.problem_with(f"{url}/moved", {}) == f"it leads to {url}/login, which answers with status 401"
        assert impatient.problem_with(f"{url}/moved", site.wanted) == "", "the headers go along"


def test_headers_follow_no_redirect_to_another_host(impatient: ModuleType) -> None:
    class Leading(WebServer):
        """A page that has moved to another host."""

        def reply(self, request: Request) -> Reply:
            assert request.headers["authorization"] == "Basic c2hvcDpvcGVu"
            return Reply(302, headers={"Location": f"{elsewhere}/login"})

    other = Site()
    with serving(other) as elsewhere, serving(Leading()) as url:
        assert impatient.problem_with(f"{url}/", {"Authorization": "Basic c2hvcDpvcGVu"}) == ""
    assert ["authorization" in request.headers for request in other.requests] == [False]


SECRETS = {"Authorization": "shop/tests:authorization", "Cookie": "shop/cookie"}
PASSWORD, SESSION = "c2hvcDpvcGVu", 'open-"sesame"'


def keeps(machine: Machine) -> Site:
    """Let Secrets Manager hold the headers of a page behind a password; returns the page."""
    values = {"shop/tests": json.dumps({"authorization": f"Basic {PASSWORD}"}), "shop/cookie": f"id={SESSION}; a=b\n"}
    for name, value in values.items():
        machine.answer(f"aws secretsmanager get-secret-value --secret-id {name}", {"SecretString": value})
    site = Site()
    site.wanted = {"Authorization": f"Basic {PASSWORD}", "Cookie": f"id={SESSION}; a=b"}
    return site


def shown(machine: Machine, said: str) -> list[str]:
    """Where a secret is seen: in what was printed, in what is uploaded, on a command line."""
    uploaded = {path.name: path.read_text() for path in (machine.folder / "lighthouse-report").iterdir()}
    places = {"the log": said, "a command": "\n".join(map(str, machine.calls)), **uploaded}
    forms = (PASSWORD, SESSION, json.dumps(SESSION)[1:-1], "open-%22sesame%22")
    return [place for place, text in places.items() if any(form in text for form in forms)]


def test_a_page_behind_a_password_is_measured_with_headers_out_of_secrets(machine: Machine) -> None:
    code, said, url = audit(machine, GOOD, Audited(site=keeps(machine)), TEST_HEADERS=json.dumps(SECRETS))

    assert code == 0, said
    (collect,) = machine.json("seen.json")
    assert "extraHeaders" not in collect["settings"], "they would go to every host, and stand in the reports"
    assert "chromeFlags" not in collect["settings"], "Lighthouse CI starts Chrome itself"
    assert "--no-sandbox" in collect["puppeteerLaunchOptions"]["args"]
    assert collect["given"] == {
        "origin": url,
        "headers": {"Authorization": f"Basic {PASSWORD}"},
        "cookies": [
            {"name": "id", "value": SESSION, "url": url, "secure": False},
            {"name": "a", "value": "b", "url": url, "secure": False},
        ],
    }
    assert not Path(machine.folder, collect["puppeteerScript"]).exists(), "it goes with the job"
    assert shown(machine, said) == []


def test_without_the_secret_the_page_is_refused(machine: Machine) -> None:
    site = keeps(machine)
    code, said, _ = audit(machine, GOOD, Audited(site=site), TEST_HEADERS='{"Cookie": "shop/cookie"}')
    assert code == 1
    assert "is not there to be audited: it answers with status 401" in said


@pytest.mark.parametrize("code", [0, 1])
def test_a_report_that_shows_a_secret_is_cleaned(machine: Machine, code: int) -> None:
    """Also that of an audit that fails: CodeBuild uploads it."""
    html = f"<p>{PASSWORD} {SESSION} {json.dumps(SESSION)} open-%22sesame%22</p>"
    site = keeps(machine)
    ended, said, _ = audit(
        machine,
        GOOD,
        Audited(site=site, html=html, printed=f"sent {html}", code=code),
        TEST_HEADERS=json.dumps(SECRETS),
    )

    assert ended == code
    assert shown(machine, said) == []
    assert "report.html has shown a secret, which is taken out" in said
    assert 'sent <p>*** *** "***" ***</p>' in said


@pytest.mark.parametrize("value", ["", "two\nlines", "caf\u00e9"])
def test_a_secret_that_is_no_header_is_refused(machine: Machine, value: str) -> None:
    machine.answer("aws secretsmanager get-secret-value", {"SecretString": json.dumps({"key": value})})
    code, said, _ = audit(machine, GOOD, TEST_HEADERS='{"Cookie": "shop/cookie:key"}')
    assert code == 1
    assert "the secret shop/cookie" in said
    assert "must be one line of printable ASCII" in said or "has no text under the key 'key'" in said


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


SLOW = "The tested device appears to have a slower CPU than  Lighthouse expects."


def test_what_lighthouse_warns_of_is_said_once_with_a_missed_budget(machine: Machine) -> None:
    """A machine that other work keeps busy measures the page as slow; without that line one looks at the page."""
    slow = Audited(warnings=(SLOW,))
    code, said, url = audit(machine, [{"performance": 0.79, "seo": 1}] * 2, slow)

    assert code == 1
    assert f"FAIL {url}/ performance: 79, at least 80 wanted\n" in said
    assert said.count(f"\nLighthouse warns: {SLOW}") == 1
    assert "warns" not in audit(machine, GOOD, slow)[1]


def test_a_missed_budget_fails_the_job_and_is_in_the_test_report(machine: Machine) -> None:
    code, said, url = audit(machine, [{"performance": 0.79, "seo": 1}])

    assert code == 1
    assert "FAILED: budgets missed (tests.lighthouse.budgets in the stack file):\n" in said
    assert f"\n  FAIL {url}/ performance: 79, at least 80 wanted\n" in said
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
        ({"LIGHTHOUSE_DEVICES": '["watch"]'}, "LIGHTHOUSE_DEVICES must be a list of mobile, desktop, got ['watch']"),
        ({"LIGHTHOUSE_DEVICES": "[]"}, "LIGHTHOUSE_DEVICES must be a list of mobile, desktop, got []"),
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
        assert impatient.problem_with(f"{url}/", {}) == "it answers with status 503"
    assert impatient.problem_with(f"{url}/", {}).startswith("it cannot be reached: <urlopen error")
    assert len(site.requests) == impatient.TRIES, "a service that is just starting gets a little time"


def test_a_page_that_comes_up_in_time_is_audited(impatient: ModuleType) -> None:
    class Starting(Site):
        def reply(self, request: Request) -> Reply:
            return super().reply(request)._replace(status=503 if len(self.requests) < 3 else 200)

    with serving(Starting()) as url:
        assert impatient.problem_with(f"{url}/", {}) == ""


def test_a_server_that_speaks_no_http_is_no_page(impatient: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=greet, args=(server, impatient.TRIES), daemon=True)
        thread.start()
        port = server.getsockname()[1]
        assert impatient.problem_with(f"http://127.0.0.1:{port}/", {}).startswith("it cannot be reached: ")
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

"""The page in a real browser: it asks for nothing, says nothing in the console, and does what its controls say."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hand_made
import pytest
from hand_made import SCENES, Played
from test_report import whole

from local.loopback import serving_http
from local.rehearsal.report.page import page

CHROMIUM = (
    *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)
ITS_OWN = re.compile(r"https?://(accounts|clients2|content-autofill|update)\.(google|googleapis)\.com/")
"""What Chromium looks for by itself, whatever it shows."""
ASKING = """<script>
window.heard = [];
window.addEventListener("message", function (event) { window.heard.push(event.data); });
window.addEventListener("load", function () { (async function () {
  const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  const all = selector => Array.from(document.querySelectorAll(selector));
  const shown = element => element.getClientRects().length > 0;
  let answer;
  try { answer = await (async function () { %s })(); } catch (error) { answer = String(error); }
  parent.postMessage({ answer: answer }, "*");
})(); });
</script></body>"""
AROUND = """<!doctype html><body style="margin: 0"><script>
addEventListener("message", function (event) {
  if ("answer" in event.data) { fetch("/answer", { method: "POST", body: JSON.stringify(event.data.answer) }); }
});
</script><iframe src="/page" width="%d" height="900" style="border: 0"></iframe><img alt="" src="/pending"></body>"""
"""A page of such a width; it is not loaded, and the browser stays, until there is an answer."""
OPEN_REPORT = """
const report = document.querySelector("details.report");
report.open = true;
for (let times = 0; times < 100 && !window.heard.length; times++) {
  await pause(50);
}
const frame = report.querySelector("iframe");
return [frame.srcdoc, frame.title, frame.getAttribute("sandbox"), window.heard];
"""


class Browser:
    """Chromium, whose folder nobody else uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, file: Path | str, *options: str) -> str:
        """Open a page until it is loaded; returns what the browser logs."""
        address = file.as_uri() if isinstance(file, Path) else file
        profile = f"--user-data-dir={self._folder / 'profile'}"
        done = subprocess.run(
            [*CHROMIUM, profile, *(options or ["--dump-dom"]), address],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def console(self, text: str) -> list[str]:
        """What a page, which is a file, has the console say."""
        file = self._folder / "page.html"
        file.write_text(text, encoding="utf-8")
        return re.findall(r"CONSOLE.*", self.open(file, "--dump-dom", "--virtual-time-budget=3000"))

    def ask(self, text: str, script: str, *options: str, width: int = 1280) -> Any:  # noqa: ANN401 - whatever it returns
        """What a script returns that runs in the page, when that is so wide."""
        asked = _Asked(page=text.replace("</body>", ASKING % script), around=AROUND % width)
        with serving_http(asked.handler) as address:
            self.open(address, "--dump-dom", "--window-size=1400,900", *options)
        assert asked.answered.is_set()
        return json.loads(asked.answer)

    def requests(self, text: str) -> set[str]:
        """The addresses elsewhere that a page has the browser ask for when its report is opened."""
        log = self._folder / "net.json"
        self.ask(text, OPEN_REPORT, f"--log-net-log={log}")
        found = re.findall(r'"url":"((?:http|ws)s?:[^"]+)"', log.read_text(encoding="utf-8"))
        its = {urlsplit(each).netloc for each in found if each.endswith("/pending")}
        return {each for each in found if urlsplit(each).netloc not in its and not ITS_OWN.match(each)}


class _Asked:
    """A page that is served once, and the answer of the script in it."""

    def __init__(self, *, page: str, around: str) -> None:
        self.answered = threading.Event()
        self.answer = b""
        pages = {"/": around, "/page": page}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805 - there are two of them
                if handler.path == "/pending":
                    self.answered.wait(60)
                content = pages.get(handler.path, "").encode()
                handler.send_response(200 if content else 204)
                handler.send_header("Content-Type", "text/html; charset=utf-8")
                handler.send_header("Content-Length", str(len(content)))
                handler.end_headers()
                handler.wfile.write(content)

            def do_POST(handler) -> None:  # noqa: N805 - as above
                self.answer = handler.rfile.read(int(handler.headers["Content-Length"]))
                self.answered.set()
                handler.send_response(204)
                handler.end_headers()

        self.handler = Handler


@pytest.fixture(scope="module")
def browser(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A real browser."""
    need("chromium")
    return Browser(tmp_path_factory.mktemp("browser"))


class Pages:
    """The pages of the rehearsals that were made by hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def delivered(self) -> str:
        return page(hand_made.delivered(self._folder))

    @cached_property
    def failed(self) -> str:
        return page(hand_made.failed(self._folder))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return Pages(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize("name", ["delivered", "failed", "rejected"])
def test_the_console_stays_empty(browser: Browser, name: str, tmp_path: Path) -> None:
    assert browser.console(page(SCENES[name](tmp_path))) == []


def test_a_console_that_is_not_empty_is_noticed(browser: Browser, pages: Pages) -> None:
    broken = pages.failed.replace("</body>", "<img alt='' src='http://127.0.0.1:9/a.png'><script>nothing()</script>")
    said = " ".join(browser.console(broken))
    assert "nothing is not defined" in said
    assert "Content Security Policy" in said


def test_nothing_is_asked_for_not_even_by_a_report_that_is_opened(browser: Browser, pages: Pages) -> None:
    """The report itself has a picture from elsewhere; the page's policy holds for it as well."""
    assert browser.requests(pages.delivered) == set()


def test_a_request_is_noticed(browser: Browser, pages: Pages) -> None:
    without_policy = re.sub(r"<meta http-equiv.*?>", "", pages.delivered)
    assert browser.requests(without_policy) == {"http://127.0.0.1:9/pixel.png"}


def test_a_search_leaves_the_lines_that_hold_the_words_in_logs_that_open(browser: Browser, pages: Pages) -> None:
    found = browser.ask(
        pages.delivered,
        """
        const search = document.getElementById("search");
        const look = async words => {
          search.value = words;
          search.dispatchEvent(new Event("input"));
          await pause(300);
          return {
            hits: document.getElementById("hits").textContent,
            open: all("details.action[open] .which strong").map(name => name.textContent),
            lines: all("details.action pre.log span").filter(shown).map(line => line.textContent.trim()),
          };
        };
        return [await look("MAKE <target-7>"), await look("nowhere"), await look("")];
        """,
    )
    assert found[0] == {
        "hits": "2 lines in 2 logs",
        "open": ["BuildImage", "BuildImage"],
        "lines": ["#7 [7/9] RUN make <target-7> && echo done"] * 2,
    }
    assert found[1] == {"hits": "0 lines in 0 logs", "open": [], "lines": []}
    assert (found[2]["hits"], found[2]["open"]) == ("", [])


def test_a_failed_action_is_open_and_a_link_opens_another(browser: Browser, pages: Pages) -> None:
    opened = browser.ask(
        pages.failed,
        """
        const open = () => all("details.action[open] .which strong").map(name => name.textContent);
        const before = open();
        all("svg.pipes a.box")[1].dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
        await pause(300);
        const focused = document.activeElement.closest("details").querySelector("strong").textContent;
        return [before, open(), focused];
        """,
    )
    assert opened == [["DeployService"], ["BuildImage", "DeployService"], "BuildImage"]


def test_a_full_report_is_unpacked_into_a_frame_of_its_own(browser: Browser, pages: Pages) -> None:
    """Its scripts run, and may not touch the page."""
    seen = browser.ask(pages.delivered, OPEN_REPORT)
    assert seen == [hand_made.REPORT, "Lighthouse report of dev/", "allow-scripts allow-popups", ["audited"]]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_sideways(browser: Browser, pages: Pages, width: int) -> None:
    """What is wider scrolls in a box of its own; nor does the last letter of a name leave its box."""
    script = """
        all("details").forEach(details => { details.open = true; });
        await pause(300);
        const texts = all("svg.pipes .box").filter(shown).filter(box =>
          box.querySelector(".name").getBBox().x + box.querySelector(".name").getBBox().width
          > box.querySelector("rect").getBBox().x + box.querySelector("rect").getBBox().width);
        return [innerWidth, document.documentElement.scrollWidth, texts.map(box => box.textContent)];
    """
    for text in (pages.delivered, pages.failed):
        inner, scrolled, sticking_out = browser.ask(text, script, width=width)
        assert inner == width
        assert scrolled <= width
        assert sticking_out == []


def test_a_phone_has_a_list_in_place_of_the_picture(browser: Browser, pages: Pages) -> None:
    script = 'return [all("svg.pipes").filter(shown).length, all(".lane ol ul li").filter(shown).length]'
    assert browser.ask(pages.delivered, script, width=390) == [0, 16]
    assert browser.ask(pages.delivered, script) == [1, 0]


def test_it_can_be_read_where_no_script_runs(browser: Browser, pages: Pages) -> None:
    dead = re.sub(r"<script>.*?</script>", "", pages.failed, flags=re.DOTALL)
    script = 'return [all(".tools").filter(shown).length, all("pre.log.short span").filter(shown).length]'
    assert browser.ask(dead, script) == [0, 13]


def test_it_is_printed_on_a_few_sheets_without_the_logs(browser: Browser, tmp_path: Path) -> None:
    dev = Played("dev", tmp_path)
    execution = dev.play(dev.start("push"), fails={"BuildImage": "no"})
    execution.actions[-1].log += ["a long log"] * 1900
    file, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(page(whole(dev)), encoding="utf-8")
    browser.open(file, "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 4

"""The page in a real browser: it asks for nothing, says nothing in the console, and does what its controls say."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hand_made
import pytest
from hand_made import SCENES, Played
from test_report import whole

from local.rehearsal.report import page

CHROMIUM = (
    *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    *("--enable-logging=stderr", "--virtual-time-budget=8000", "--allow-file-access-from-files"),
)
ITS_OWN = re.compile(r"https?://(accounts|clients2|update)\.(google|googleapis)\.com/")
"""What Chromium looks for by itself, whatever it shows."""
ANSWER = """<script>
window.heard = [];
window.addEventListener("message", function (event) { window.heard.push(event.data); });
window.addEventListener("load", function () { (async function () {
  const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));
  const all = selector => Array.from(document.querySelectorAll(selector));
  const shown = element => element.getClientRects().length > 0;
  const answer = await (async function () { %s })();
  const place = document.createElement("pre");
  place.id = "answer";
  place.textContent = JSON.stringify(answer);
  document.documentElement.replaceChildren(place);
})(); });
</script></body>"""


@dataclass(frozen=True)
class Browser:
    """Chromium, whose folder nobody else uses."""

    folder: Path

    def run(self, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Open a page."""
        profile = f"--user-data-dir={self.folder / 'profile'}"
        done = subprocess.run(
            [*CHROMIUM, profile, *options, file.as_uri()], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done

    def console(self, text: str) -> list[str]:
        """What a page has the console say."""
        file = self.folder / "page.html"
        file.write_text(text, encoding="utf-8")
        return re.findall(r"CONSOLE.*", self.run(file, "--dump-dom").stderr)

    def requests(self, text: str) -> set[str]:
        """The addresses that a page has the browser ask for, without its own."""
        file, log = self.folder / "page.html", self.folder / "net.json"
        file.write_text(text, encoding="utf-8")
        self.run(file, "--dump-dom", f"--log-net-log={log}")
        found = re.findall(r'"url":"([^"]+)"', log.read_text(encoding="utf-8"))
        return {each for each in found if re.match("(http|ws)s?:", each) and not ITS_OWN.match(each)}

    def ask(self, text: str, script: str, *, width: int = 1280) -> Any:  # noqa: ANN401 - whatever the script returns
        """What a script returns that runs in the page, when it is so wide."""
        asking = text.replace("</body>", ANSWER % script)
        file = self.folder / "page.html"
        if width >= 500:
            file.write_text(asking, encoding="utf-8")
            dom = self.run(file, "--dump-dom", f"--window-size={width},900").stdout
        else:  # no window is that narrow, but a frame is
            (self.folder / "narrow.html").write_text(asking, encoding="utf-8")
            file.write_text(
                f"<iframe src='narrow.html' width='{width}' height='900'></iframe><script>setTimeout(function () {{"
                "document.documentElement.innerHTML = frames[0].document.documentElement.innerHTML; }, 6000)</script>"
            )
            dom = self.run(file, "--dump-dom").stdout
        answer = re.search(r'<pre id="answer">(.*?)</pre>', dom, re.DOTALL)
        assert answer, dom[-2000:]
        return json.loads(html.unescape(answer[1]))


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
    opened = pages.delivered.replace("</body>", "<script>document.querySelector('.report').open = true</script></body>")
    assert browser.requests(opened) == set()


def test_a_request_is_noticed(browser: Browser, pages: Pages) -> None:
    asking = re.sub(r"<meta http-equiv.*?>", "", pages.failed).replace(
        "</body>", "<img src='http://127.0.0.1:9/a.png'>"
    )
    assert browser.requests(asking) == {"http://127.0.0.1:9/a.png"}


def test_a_search_leaves_the_lines_that_hold_the_words_in_logs_that_open(browser: Browser, pages: Pages) -> None:
    found = browser.ask(
        pages.delivered,
        """
        const search = document.getElementById("search");
        const look = async words => {
          search.value = words;
          search.dispatchEvent(new Event("input"));
          await pause(400);
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
    seen = browser.ask(
        pages.delivered,
        """
        const report = document.querySelector("details.report");
        report.open = true;
        for (let times = 0; times < 100 && !window.heard.length; times++) {
          await pause(50);
        }
        const frame = report.querySelector("iframe");
        return [frame.srcdoc, frame.title, frame.getAttribute("sandbox"), window.heard];
        """,
    )
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
    browser.run(file, "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 4

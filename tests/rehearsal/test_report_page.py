"""The page in a real browser: it asks for nothing, says nothing in the console, and does what its controls say."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import hand_made
import pytest
from browser import Browser
from hand_made import SCENES, Played
from test_report import whole

from local.rehearsal.report.page import page

OPEN_REPORT = """
const report = document.querySelector("details.report");
report.open = true;
for (let times = 0; times < 100 && !window.heard.length; times++) {
  await pause(50);
}
const frame = report.querySelector("iframe");
return [frame.srcdoc, frame.title, frame.getAttribute("sandbox"), window.heard];
"""


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
    assert browser.requests(pages.delivered, OPEN_REPORT) == set()


def test_a_request_is_noticed(browser: Browser, pages: Pages) -> None:
    without_policy = re.sub(r"<meta http-equiv.*?>", "", pages.delivered)
    assert browser.requests(without_policy, OPEN_REPORT) == {"http://127.0.0.1:9/pixel.png"}


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

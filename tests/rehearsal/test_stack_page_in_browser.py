"""The page of a stack in a real browser: an empty console, no text beside its box, nothing wider than the window."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser import Browser
from summary import program

from local.stack_page.page import page

BESIDE_ITS_BOX = """
await pause(50);
const inside = (text, box) => text.x >= box.x - 1 && text.x + text.width <= box.x + box.width + 1;
const boxes = all("svg .d-box").map(box => ({ svg: box.ownerSVGElement, box: box.getBBox() }));
const out = [];
for (const text of all("svg .d-name, svg .d-about")) {
  const own = text.getBBox();
  const holds = box => own.y >= box.y - 1 && own.y < box.y + box.height && own.x >= box.x && own.x < box.x + box.width;
  const around = boxes.filter(each => each.svg === text.ownerSVGElement && holds(each.box));
  if (!around.some(each => inside(own, each.box))) { out.push(text.textContent); }
}
return { out: out, texts: all("svg .d-name").length, wide: document.documentElement.scrollWidth - window.innerWidth };
"""


@pytest.fixture(scope="module")
def browser(need: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A real browser."""
    need("chromium")
    return Browser(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def text() -> str:
    return page([item.as_dict() for item in program("prod")], "prod")


def without_policy(text: str) -> str:
    """The page as a script may look at it."""
    return text.replace("default-src 'none';", "")


def test_the_console_stays_empty(browser: Browser, text: str) -> None:
    assert browser.console(text) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_every_text_of_the_pictures_is_in_its_box_and_nothing_is_wider_than_the_window(
    browser: Browser, text: str, width: int
) -> None:
    found = browser.ask(without_policy(text), BESIDE_ITS_BOX, width=width)
    assert found["texts"] > 20
    assert found["out"] == []
    assert found["wide"] <= 0


def test_a_text_beside_its_box_is_noticed(browser: Browser, text: str) -> None:
    broken = without_policy(text).replace(">DeployService<", ">A name that no box of this picture has any room for<")
    assert browser.ask(broken, BESIDE_ITS_BOX)["out"] == ["A name that no box of this picture has any room for"]

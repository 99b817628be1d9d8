"""Chromium, to look at pages as people do."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.loopback import serving_http

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

    def requests(self, text: str, script: str) -> set[str]:
        """The addresses elsewhere that a page has the browser ask for while a script runs in it."""
        log = self._folder / "net.json"
        self.ask(text, script, f"--log-net-log={log}")
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

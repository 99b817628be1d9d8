"""The shop's own tests: python3 -m unittest discover tests."""

from __future__ import annotations

import re
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path

from shop.assets import build
from shop.server import Server
from shop.site import Site

ROOT = Path(__file__).resolve().parent.parent


class ShopTest(unittest.TestCase):
    """The service with its static files as the image has them."""

    def setUp(self) -> None:
        """Build the files and serve them on a free port."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        build(ROOT / "public", Path(folder.name))
        server = Server(Site.load(Path(folder.name), "1.2.3"), 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def get(self, path: str) -> tuple[HTTPResponse, str]:
        """Ask for a path."""
        with urllib.request.urlopen(f"{self.url}{path}") as answer:
            return answer, answer.read().decode()

    def test_health(self) -> None:
        """It says that it works."""
        self.assertEqual(self.get("/healthz")[1], "ok\n")

    def test_version(self) -> None:
        """Each answer says which version and build it is of."""
        for path in ("/", "/healthz", "/robots.txt"):
            answer, _ = self.get(path)
            self.assertEqual(answer.headers["X-Version"], "1.2.3")
            self.assertRegex(answer.headers["X-Build"], r"^[0-9a-f]{12}$")

    def test_every_file_of_a_page_is_there_and_may_be_kept(self) -> None:
        """Files have names by content, pages are asked for each time."""
        answer, page = self.get("/")
        self.assertEqual(answer.headers["Cache-Control"], "no-cache")
        files = re.findall(r'"(/assets/[^"]+)"', page)
        self.assertTrue(files)
        for file in files:
            self.assertIn("immutable", self.get(file)[0].headers["Cache-Control"])

    def test_what_is_not_there(self) -> None:
        """Nothing outside of the files is served."""
        for path in ("/nothing", "/../VERSION"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                self.get(path)
            self.assertEqual(refused.exception.code, 404)
            refused.exception.close()


if __name__ == "__main__":
    unittest.main()

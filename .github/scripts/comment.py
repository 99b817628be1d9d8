"""Comments on a pull request what it changes: one comment for all stacks, edited in place, and two labels.

Runs on `workflow_run`, from the default branch and with a token that writes. What the branch has left, the previews
that its runs keep as artifacts, is data: nothing of it is executed, and none of it says which pull request is meant.
The report on it is made here, by the default branch's own code, which escapes what it quotes.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import unicodedata
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

STACKS = ("dev", "prod")
PREVIEW = ".github/workflows/preview.yml"
IN_AWS = {"dev": PREVIEW, "prod": ".github/workflows/preview-prod.yml"}
"""The workflow that previews a stack with the credentials of its account; all are previewed without by the first."""
FILE = "preview.json"
MARKER = "<!-- change report of the stacks -->"
"""How the report begins, `local.report.markdown.MARKER`."""
AUTHOR = "github-actions[bot]"
LABELS = {
    "pipeline/destroys": ("b60205", "What holds state is deleted or replaced"),
    "pipeline/broadens": ("d93f0b", "Somebody may do more than before"),
}
"""Colour and description of each label that the report may ask for."""
MOST_OF_AN_ARCHIVE = 8 * 1024 * 1024
MOST_OF_A_FILE = 32 * 1024 * 1024
ATTEMPTS = 4
LONGEST_SECONDS = 120

Json = dict[str, Any]
Query = Mapping[str, "str | int"]


class Refused(Exception):  # noqa: N818 - GitHub has refused
    """GitHub did not do what it was asked for."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves it to the caller to follow: the token is for one host only."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


class GitHub:
    """GitHub's API for one repository."""

    def __init__(self, url: str, repository: str, token: str) -> None:
        self._start = f"{url}/repos/{repository}"
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "User-Agent": "ecs-delivery",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, method: str, path: str, data: Json | None = None, query: Query | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of an answer; None when what is to be read or removed is not there.

        Raises:
            Refused: GitHub answered with something else than success, for reading also after waiting.
        """
        for attempt in range(1, ATTEMPTS + 1):
            status, headers, content = self._send(method, path, data, query or {})
            if status < 300:
                return json.loads(content or b"null")
            if status == 404 and method in {"GET", "DELETE"}:
                return None
            if method != "GET" or attempt == ATTEMPTS or (status < 500 and status not in {403, 429}):
                break
            wait = headers.get("Retry-After", "")
            time.sleep(min(int(wait) if wait.isdecimal() else attempt, 60))
        raise Refused(f"{method} {path}: GitHub answers {status}: {content[:500].decode(errors='replace')}")

    def every(self, path: str, key: str = "", **query: str | int) -> Iterator[Json]:
        """Give all of a list, page by page; `key` names it in the answer."""
        page = 1
        while answer := self.ask("GET", path, query={"per_page": 100, "page": page, **query}):
            found = answer[key] if key else answer
            yield from found
            if len(found) < 100:
                return
            page += 1

    def archive(self, artifact: Json) -> bytes:
        """Return the archive of an artifact; nothing where it is too large, or gone."""
        if artifact["expired"] or artifact["size_in_bytes"] > MOST_OF_AN_ARCHIVE:
            return b""
        status, headers, _ = self._send("GET", f"actions/artifacts/{artifact['id']}/zip", None, {})
        if status != 302:
            return b""
        # The address is signed for a minute; the host behind it must not see the token.
        request = urllib.request.Request(headers["Location"], headers={"User-Agent": "ecs-delivery"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content: bytes = answer.read(MOST_OF_AN_ARCHIVE + 1)
        except (OSError, HTTPException):
            return b""
        return content if len(content) <= MOST_OF_AN_ARCHIVE else b""

    def _send(self, method: str, path: str, data: Json | None, query: Query) -> tuple[int, Mapping[str, str], bytes]:
        url = f"{self._start}/{path}{'?' if query else ''}{urllib.parse.urlencode(query)}"
        body = None if data is None else json.dumps(data).encode()
        headers = {**self._headers, **({} if body is None else {"Content-Type": "application/json"})}
        request = urllib.request.Request(url, body, headers, method=method)
        try:
            with self._opener.open(request, timeout=60) as answer:
                return answer.status, dict(answer.headers.items()), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers.items()), error.read()
        except (OSError, HTTPException) as error:
            return 599, {}, str(error).encode()


def pull_request(github: GitHub, run: Json) -> Json | None:
    """Return the open pull request whose newest commit the run is of: GitHub says so, and nobody else is asked.

    The event's own list is empty for a fork: https://github.com/actions/runner/issues/3444.
    """
    head = f"{run['head_repository']['owner']['login']}:{run['head_branch']}"
    for pull in github.every("pulls", state="open", head=head):
        source = pull["head"]["repo"] or {}
        if pull["head"]["sha"] == run["head_sha"] and source.get("full_name") == run["head_repository"]["full_name"]:
            return pull
    return None


def newest_runs(github: GitHub, sha: str) -> dict[str, Json]:
    """Return the newest run of each workflow that previews a commit."""
    found = github.every("actions/runs", key="workflow_runs", head_sha=sha, event="pull_request")
    runs: dict[str, Json] = {}
    for run in sorted(found, key=lambda run: int(run["id"])):
        if run["path"] in {PREVIEW, *IN_AWS.values()}:
            runs[run["path"]] = run
    return runs


def previews(github: GitHub, run: Json | None) -> dict[str, bytes]:
    """Return the file of each preview that a run has left, by the artifact's name."""
    every = github.every(f"actions/runs/{run['id']}/artifacts", key="artifacts") if run else iter(())
    wanted = {f"{where}-{stack}" for where in ("local", "aws") for stack in STACKS}
    return {each["name"]: preview(github.archive(each)) for each in every if each["name"] in wanted}


def preview(archive: bytes) -> bytes:
    """Return the one file of an archive that is read; nothing where it is not there, or too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened, opened.open(FILE) as file:
            content = file.read(MOST_OF_A_FILE + 1)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError):
        return b""
    return content if len(content) <= MOST_OF_A_FILE else b""


def without_account(stack: str, run: Json | None) -> str:
    """Say why there is no report from the stack's account."""
    end = (run or {}).get("conclusion")
    link = f"[run]({run['html_url']})" if run else ""
    alone = f"**{stack}**: what the program alone says, before and after"
    if run is None or end in {"skipped", "success"}:
        return f"{alone}; there is no preview in an AWS account."
    if run["status"] == "waiting":
        return f"{alone}; the preview in AWS is waiting for a reviewer of the environment `preview-{stack}`: {link}."
    if run["status"] != "completed":
        return f"{alone}; the preview in AWS runs: {link}."
    return f"{alone}; the preview in AWS ended with {end}: {link}."


def report(files: Mapping[str, bytes]) -> tuple[str, Json]:
    """Return the report of all stacks in Markdown and as data; what cannot be read is said, and is no report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for stack, content in files.items():
            (folder / f"{stack}.json").write_bytes(content)
        written, data = folder / "report.md", folder / "report.data"
        named = [f"{stack}={folder / stack}.json" for stack in files]
        command = [sys.executable, "-m", "local", "report", *named, "--markdown", str(written), "--json", str(data)]
        without_token = {key: value for key, value in os.environ.items() if key != "GH_TOKEN"}
        try:
            subprocess.run(command, env=without_token, check=False, timeout=LONGEST_SECONDS)
            return written.read_text(encoding="utf-8"), json.loads(data.read_text(encoding="utf-8"))
        except (subprocess.TimeoutExpired, FileNotFoundError):
            return f"{MARKER}\n**The previews could not be read**: see the run of this comment.\n", {}


def comment(text: str, notes: list[str], sha: str, runs: Mapping[str, Json]) -> str:
    """Return the comment: the report, with what is to be known of it below its title."""
    links = ", ".join(f"[{Path(path).stem}]({run['html_url']})" for path, run in sorted(runs.items()))
    # Characters that are not seen, or turn the order of a line, are no part of any report.
    shown = "".join(each for each in text if each == "\n" or unicodedata.category(each)[0] != "C")
    marker, title, *rest = shown.split("\n")
    blocks = [f"{marker}\n{title}", *notes, "\n".join(rest).strip("\n"), f"<sub>Of {sha[:12]}: {links}.</sub>"]
    return "\n\n".join(block for block in blocks if block) + "\n"


def write(github: GitHub, pull: int, text: str) -> None:
    """Make the comment, or edit the one that is there; of several, which two runs may have made at once, one stays."""
    ours = [
        each
        for each in github.every(f"issues/{pull}/comments")
        if each["user"]["login"] == AUTHOR and each["body"].startswith(MARKER)
    ]
    if not ours:
        github.ask("POST", f"issues/{pull}/comments", {"body": text})
    elif ours[0]["body"] != text:
        github.ask("PATCH", f"issues/comments/{ours[0]['id']}", {"body": text})
    for each in ours[1:]:
        github.ask("DELETE", f"issues/comments/{each['id']}")


def label(github: GitHub, pull: int, found: Json) -> None:
    """Set the labels that the report asks for, and remove the others of ours, once no preview is missing."""
    there = {each["name"] for each in github.every(f"issues/{pull}/labels")}
    is_whole = bool(found) and not any(stack["failed"] for stack in found["stacks"])
    for name, (colour, description) in LABELS.items():
        wanted = name in found.get("labels", ())
        if wanted and name not in there:
            quoted = urllib.parse.quote(name, safe="")
            if github.ask("GET", f"labels/{quoted}") is None:
                github.ask("POST", "labels", {"name": name, "color": colour, "description": description})
            github.ask("POST", f"issues/{pull}/labels", {"labels": [name]})
        elif name in there and not wanted and is_whole:
            github.ask("DELETE", f"issues/{pull}/labels/{urllib.parse.quote(name, safe='')}")


def main() -> int:
    """Comment on the pull request of the workflow run that has just ended; returns 0 if that worked."""
    run = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))["workflow_run"]
    github = GitHub(os.environ["GITHUB_API_URL"], os.environ["GITHUB_REPOSITORY"], os.environ["GH_TOKEN"])
    try:
        pull = pull_request(github, run)
        if pull is None:
            print(f"No open pull request has {run['head_sha']} as its newest commit: there is nothing to comment on.")
            return 0
        runs = newest_runs(github, run["head_sha"])
        left = {path: previews(github, each) for path, each in runs.items()}
        files, notes = {}, []
        for stack, path in IN_AWS.items():
            files[stack] = left.get(path, {}).get(f"aws-{stack}", b"")
            if not files[stack]:
                files[stack] = left.get(PREVIEW, {}).get(f"local-{stack}", b"")
                notes.append(without_account(stack, runs.get(path)))
        text, found = report(files)
        write(github, int(pull["number"]), comment(text, notes, run["head_sha"], runs))
        label(github, int(pull["number"]), found)
    except Refused as refused:
        print(f"::error::{refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

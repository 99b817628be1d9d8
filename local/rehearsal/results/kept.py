"""The results of actions on disk, in the user's cache; they may be deleted whenever no rehearsal runs.

results/ID/result.json      what came of an action, and what that depends on
results/ID/ARTIFACT         its output artifacts
results/images/             the images that actions have pushed
results/applications/ID.json    which results belong to which commit of an application
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.go_tool import cache_directory
from local.rehearsal.base_images import Content, ImageStore
from local.rehearsal.resources import Repository
from local.rehearsal.results.pushes import Pushed

_MOST_RESULTS, _MOST_COMMITS, _MOST_APPLICATIONS = 200, 10, 50
_FRESH_SECONDS = 3600
"""What has been written within so many seconds may belong to a rehearsal that runs now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of an action that has succeeded.

    Attributes:
        parts: The hash of each thing that it depends on.
        at: When it ended, in seconds of the epoch.
        summary: What came of it, in a line.
        variables: What it left for later actions.
        log: The lines that it has written.
        artifacts: Output artifact -> its file.
        digests: Output artifact -> the hash of its content.
        pushed: The images that it has pushed.
    """

    parts: Mapping[str, str]
    at: float
    summary: str
    variables: Mapping[str, str]
    log: tuple[str, ...]
    artifacts: Mapping[str, Path]
    digests: Mapping[str, str]
    pushed: tuple[Pushed, ...] = ()


@dataclass(slots=True)
class _Notes:
    """What is known of an application: stack -> action -> result, of its last rehearsal and of each commit."""

    commit: str = ""
    last: dict[str, dict[str, str]] = field(default_factory=dict)
    commits: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)


class ResultStore:
    """The results of one commit of an application, as far as they were there at the beginning."""

    def __init__(self, application: Path, commit: str, folder: Path | None = None) -> None:
        """Read what is known.

        Args:
            application: The application's folder.
            commit: The commit that is rehearsed.
            folder: Where results are kept; by default in the user's cache.
        """
        self.commit = commit
        self._folder = folder or cache_directory() / "results"
        self.images = ImageStore(self._folder / "images")
        name = hashlib.sha256(str(application.resolve()).encode()).hexdigest()[:16]
        self._file = self._folder / "applications" / f"{name}.json"
        self._before = self._read()
        self._new: dict[str, dict[str, str]] = {}
        self._there = {path.parent.name for path in self._folder.glob("*/result.json")}
        self._lock = threading.Lock()
        self.problems: list[str] = []
        """What could not be kept, and why."""

    def begin(self) -> None:
        """Note that another rehearsal begins, which has no results yet."""
        with self._lock:
            notes = self._read()
            notes.commit, notes.last = self.commit, {}
            self._write(notes)

    @property
    def continued(self) -> bool:
        """Whether the application's last rehearsal was of the same commit."""
        return self._before.commit == self.commit

    def of_last_rehearsal(self, stack: str, action: str) -> Result | None:
        """Return the result of an action in the application's last rehearsal, if it has succeeded in it."""
        return self.find(self._before.last.get(stack, {}).get(action, ""))

    def of_commit(self, stack: str, action: str) -> Result | None:
        """Return the newest result of an action for this commit."""
        return self.find(self._before.commits.get(self.commit, {}).get(stack, {}).get(action, ""))

    def newest(self, stack: str, action: str) -> Result | None:
        """Return the newest result of an action, whatever the commit."""
        named = (commit.get(stack, {}).get(action, "") for commit in reversed(self._before.commits.values()))
        return next(filter(None, map(self.find, named)), None)

    def find(self, identity: str) -> Result | None:
        """Return the result of this ID, if it was there when the rehearsal began."""
        folder = self._folder / identity
        if not identity or identity not in self._there:
            return None
        try:
            said = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # somebody has tidied up
            return None
        artifacts = {name: folder / name for name in said["digests"]}
        if not all(file.is_file() for file in artifacts.values()):
            return None
        return Result(**{**said, "log": tuple(said["log"]), "pushed": _pushed(said["pushed"]), "artifacts": artifacts})

    def keep(self, identity: str, result: Result, blobs: Iterable[str]) -> None:
        """Keep a result.

        Args:
            identity: Its ID.
            result: The result; the files of its artifacts are copied.
            blobs: The digests of all blobs of the images that it has pushed.
        """
        (self._folder / "unfinished").mkdir(exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=self._folder / "unfinished"))
        try:
            for name, file in result.artifacts.items():
                shutil.copyfile(file, unfinished / name)
            said = {
                **{name: getattr(result, name) for name in ("parts", "at", "summary", "variables", "log", "digests")},
                "pushed": [
                    [*each.repository, each.content.digest, each.content.media_type, *each.tags]
                    for each in result.pushed
                ],
            }
            (unfinished / "result.json").write_text(json.dumps(said), encoding="utf-8")
            (unfinished / "blobs").write_text("\n".join(blobs), encoding="utf-8")
            shutil.rmtree(self._folder / identity, ignore_errors=True)
            with contextlib.suppress(OSError):  # another rehearsal has just kept the same
                unfinished.rename(self._folder / identity)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def note(self, stack: str, action: str, identity: str) -> None:
        """Note the result of an action of this rehearsal."""
        with self._lock:
            self._new.setdefault(stack, {})[action] = identity
            notes = self._read()
            notes.commit, notes.last = self.commit, self._new
            known = notes.commits.pop(self.commit, {})
            for each, actions in self._new.items():
                known.setdefault(each, {}).update(actions)
            notes.commits[self.commit] = known
            for old in list(notes.commits)[:-_MOST_COMMITS]:
                del notes.commits[old]
            self._write(notes)
            with contextlib.suppress(OSError):
                os.utime(self._folder / identity)

    def tidy_up(self) -> None:
        """Delete results that have not been used for long, and the images that belonged to them."""
        now, kept = time.time(), set[str]()
        results = sorted(self._folder.glob("*/result.json"), key=lambda file: _age(file.parent, now))
        for number, file in enumerate(results):
            if number < _MOST_RESULTS or _age(file.parent, now) < _FRESH_SECONDS:
                with contextlib.suppress(OSError):
                    kept.update((file.parent / "blobs").read_text(encoding="utf-8").split())
            else:
                shutil.rmtree(file.parent, ignore_errors=True)
        for blob in self.images.path("sha256:").glob("*"):
            if f"sha256:{blob.name}" not in kept and _age(blob, now) > _FRESH_SECONDS:
                blob.unlink(missing_ok=True)
        for file in sorted(self._folder.glob("applications/*.json"), key=lambda file: _age(file, now))[
            _MOST_APPLICATIONS:
        ]:
            file.unlink(missing_ok=True)
        for unfinished in self._folder.glob("unfinished/*"):
            if _age(unfinished, now) > _FRESH_SECONDS:
                shutil.rmtree(unfinished, ignore_errors=True)

    def _read(self) -> _Notes:
        try:
            return _Notes(**json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return _Notes()

    def _write(self, notes: _Notes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_suffix(f".{os.getpid()}")
        written = {"commit": notes.commit, "last": notes.last, "commits": notes.commits}
        unfinished.write_text(json.dumps(written), encoding="utf-8")
        unfinished.rename(self._file)


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except OSError:
        return 0.0


def _pushed(said: Any) -> tuple[Pushed, ...]:  # noqa: ANN401 - JSON
    return tuple(
        Pushed(repository=Repository(*repository), content=Content(digest, media_type), tags=tuple(tags))
        for *repository, digest, media_type, tags in ((*each[:5], each[5:]) for each in said)
    )

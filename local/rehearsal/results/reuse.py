"""Providers of actions that do not do again what an earlier rehearsal has done.

An action whose dependencies are those of an earlier result is not run: its artifacts, its variables and the images that
it has pushed are put where it had left them. What it left elsewhere, such as a release, nobody in a rehearsal reads.

A service is another matter: it starts anew with each rehearsal. So a deployment is left out only when nobody who comes
after it looks at the service.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.rehearsal.deployed import Action, Deployed
from local.rehearsal.pipeline.action import ActionContext, ActionProvider, Completed
from local.rehearsal.pipeline.store import ArtifactStore
from local.rehearsal.results.dependencies import Dependencies, content_digest, fingerprint
from local.rehearsal.results.kept import Result, ResultStore
from local.rehearsal.results.pushes import Pushes

_CHEAP = frozenset({"CodeStarSourceConnection", "S3"})
"""Source actions of these providers find out what there is to take, which is no effort."""
_PEOPLE = frozenset({"Manual"})
"""A person is asked each time."""

Given = Callable[[Action], Result | None]
"""Returns the result that an action is to have, whatever it depends on now; ``None`` lets it run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Which earlier results somebody wants.

    Attributes:
        fresh: Whether none is wanted.
        given: Those that are taken whatever has changed.
        run: The actions that are to run in any case.
        keeps_services: Whether somebody looks at the services after the rehearsal.
    """

    fresh: bool = False
    given: Given = lambda _action: None
    run: Collection[str] = ()
    keeps_services: bool = False


class Reuse:
    """The earlier results of one stack's actions."""

    def __init__(
        self,
        stack: str,
        deployed: Deployed,
        dependencies: Dependencies,
        store: ResultStore,
        pushes: Pushes,
        put: Callable[[ArtifactStore, str, Path], str],
        wish: Wish,
        writer: Executor,
    ) -> None:
        """Describe it.

        Args:
            stack: The stack's name.
            deployed: Its pipeline.
            dependencies: What results depend on.
            store: Keeps results.
            pushes: Finds and puts back images.
            put: Puts an artifact into a bucket, and returns its key.
            wish: Which results somebody wants.
            writer: Writes results down, while the pipeline goes on.
        """
        self._stack, self._deployed, self._dependencies = stack, deployed, dependencies
        self._store, self._pushes, self._put, self._wish, self._writer = store, pushes, put, wish, writer
        self._digests: dict[str, dict[str, str]] = {}  # of each run: artifact -> the hash of its content

    def around(self, provider: ActionProvider) -> ActionProvider:
        """Return a provider that runs only what has to be run."""
        return _Reusing(self, provider)

    def run(self, provider: ActionProvider, context: ActionContext) -> Completed:
        """Take the result of an action, or run it and keep what comes of it."""
        action = context.action
        digests = self._digests.setdefault(context.run.execution, {})
        parts = self._dependencies.of(action, context.variables, digests, context.revision)
        result = self._result(action, parts)
        if result and not (self._dependencies.is_deployment(action) and self._is_looked_at(context, digests)):
            return self._take(context, result, digests)
        self._say_what_changed(context, parts)
        before, said = self._pushes.look(self._deployed.policies(action.name)), len(context.run.log)
        completed = provider.run(context)
        self._keep(context, completed, parts, before, digests, said)
        return completed

    def _result(self, action: Action, parts: Mapping[str, str] | None) -> Result | None:
        if self._wish.fresh or action.name in self._wish.run or action.provider in _CHEAP:
            return None
        result = self._wish.given(action)
        if result is None and parts and action.provider not in _PEOPLE:
            result = self._store.find(fingerprint(parts))
        return result if result and self._pushes.can_put_back(result.pushed) else None

    def _is_looked_at(self, context: ActionContext, digests: Mapping[str, str]) -> bool:
        """Whether somebody who comes later needs the service as this action leaves it."""
        if self._wish.keeps_services:
            return True
        variables, known = dict(context.variables), dict(digests)
        for action in context.to_come:
            parts = self._dependencies.of(action, variables, known)
            result = self._result(action, parts)
            if result is None:
                if self._dependencies.is_deployment(action) or self._dependencies.looks_at_service(action):
                    return True
                continue
            known |= result.digests
            variables |= {f"{action.namespace}.{name}": value for name, value in result.variables.items()}
        return False

    def _take(self, context: ActionContext, result: Result, digests: dict[str, str]) -> Completed:
        """Put everything where the action had left it."""
        action = context.action
        identity = fingerprint(result.parts)
        self._pushes.put_back(result.pushed)
        artifacts = {name: self._put(context.store, name, file) for name, file in result.artifacts.items()}
        digests |= result.digests
        self._store.note(self._stack, action.name, identity)
        for line in result.log:
            context.say(line)
        context.run.reused = True
        return Completed(summary=result.summary, variables=result.variables, artifacts=artifacts)

    def _say_what_changed(self, context: ActionContext, parts: Mapping[str, str] | None) -> None:
        newest = self._store.newest(self._stack, context.action.name)
        if newest and parts and not self._wish.fresh and context.action.provider not in _CHEAP:
            changed = [name for name in {**newest.parts, **parts} if newest.parts.get(name) != parts.get(name)]
            if changed:
                context.say(f"Changed since the last rehearsal: {', '.join(changed)}")

    def _keep(
        self,
        context: ActionContext,
        completed: Completed,
        parts: Mapping[str, str] | None,
        before: Any,  # noqa: ANN401 - what `Pushes.look` returns
        digests: dict[str, str],
        said: int,
    ) -> None:
        """Note what an action has left, and write it down beside what goes on."""
        folder = context.folder / "kept"
        files = {name: context.store.as_pipeline.get(key, folder / name) for name, key in completed.artifacts.items()}
        own = {name: content_digest(file) for name, file in files.items()}
        digests |= own
        if parts is None or context.action.provider in _CHEAP:
            return
        result = Result(
            parts=parts,
            at=time.time(),
            summary=completed.summary,
            variables=completed.variables,
            log=tuple(context.run.log[said:]),
            artifacts=files,
            digests=own,
            pushed=self._pushes.since(before),
        )
        self._writer.submit(self._write, context.action.name, result)

    def _write(self, action: str, result: Result) -> None:
        identity = fingerprint(result.parts)
        try:
            self._pushes.keep(result.pushed)
            blobs = [digest for each in result.pushed for digest in self._pushes.blobs(each.content)]
            self._store.keep(identity, result, blobs)
        except (LookupError, OSError) as error:
            self._store.problems.append(f"The result of {action} is not kept for the next rehearsal: {error}")
        else:
            self._store.note(self._stack, action, identity)


@dataclass(frozen=True, slots=True)
class _Reusing:
    """A provider whose results are used again."""

    reuse: Reuse
    provider: ActionProvider

    def run(self, context: ActionContext) -> Completed:
        """Carry out one action, if it has to be."""
        return self.reuse.run(self.provider, context)

"""A program's run without what the Pulumi SDK does for nobody here: that takes longer than the program itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pulumi import log
from pulumi.runtime import resource, stack
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.settings import SETTINGS

from local.engine.providers.sdk_types import collection_paused

_wait_for_rpcs = stack.wait_for_rpcs


@contextmanager
def lean_run() -> Iterator[None]:
    """Leave out what costs much and shows nowhere, for which the SDK has no switch.

    Debug messages are each a request to the engine, which shows none of them; stack traces of resources are read by
    nobody; and nothing is collected as garbage, since a program runs once and ends.
    """
    debug, stack_trace = log.debug, resource._get_stack_trace  # noqa: SLF001
    log.debug = lambda *_, **__: None
    resource._get_stack_trace = source_pb2.StackTrace  # noqa: SLF001
    stack.wait_for_rpcs = _wait_for_outputs_at_once
    try:
        with collection_paused():
            yield
    finally:
        log.debug, stack.wait_for_rpcs = debug, _wait_for_rpcs
        resource._get_stack_trace = stack_trace  # noqa: SLF001


async def _wait_for_outputs_at_once(await_all_outstanding_tasks: bool = True) -> None:
    """Wait for requests as the SDK does, then until all outputs are known or one has failed; the SDK has the last word.

    It looks at all outputs again whenever one is known. What is known in another loop it would wait for without end, if
    nothing else were left to wake it: mocks answer in threads, and a test may have made an output when it was imported.
    """
    loop, failed = asyncio.get_running_loop(), False
    pending: list[asyncio.Task[Any]] | None = None
    while pending != [] and not failed:
        await _wait_for_rpcs(await_all_outstanding_tasks=False)
        with SETTINGS.lock:
            SETTINGS.outputs.difference_update([output for output in SETTINGS.outputs if _known(output)])
            pending = [output for output in SETTINGS.outputs if output.get_loop() is loop and not output.done()]
        if pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
            failed = not all(_known(output) for output in done)
    await _wait_for_rpcs(await_all_outstanding_tasks)


def _known(output: asyncio.Task[Any]) -> bool:
    return output.done() and not output.cancelled() and output.exception() is None

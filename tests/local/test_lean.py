"""What a run waits for."""

from __future__ import annotations

import asyncio
from typing import Any

from pulumi.runtime import stack
from pulumi.runtime.settings import SETTINGS

from local.engine.lean import lean_run


def waited_for(*outputs: Any) -> None:  # noqa: ANN401 - futures of any loop
    """Run a program that has these outputs; one that waits without end fails after ten seconds."""

    async def program() -> None:
        SETTINGS.outputs.update(outputs)
        await asyncio.wait_for(stack.wait_for_rpcs(), timeout=10)

    with lean_run():
        asyncio.run(program())


def test_an_output_that_is_known_in_another_loop_holds_nothing_up() -> None:
    """Nobody there would say so; an output of a test's parameters, or of a thread of the mocks, is such a one."""
    elsewhere = asyncio.new_event_loop()
    known = elsewhere.create_future()
    known.set_result("known")
    waited_for(known)
    elsewhere.close()
    assert known not in SETTINGS.outputs

"""The stand-in providers of one run, in this process or in one of their own.

In their own they answer while the program runs on, which takes the other processor and, once, a third of a second to
start. `python -m local.engine.stand_ins` is that process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.metadata
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from local.engine.providers.sdk_types import Sdk
from local.errors import Refusal

ROOT = Path(__file__).parents[2]
Resources = Sequence[Mapping[str, Any]]
"""The resources of a stack's state."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the stand-ins have seen of a run.

    Attributes:
        deployments: which services ECS deploys because of it, beside the pipeline.
        races: what worked here and may fail on AWS, where another order is possible.
    """

    deployments: Sequence[str]
    races: Sequence[str]


class StandIns(Protocol):
    """The providers that the engine attaches to."""

    def serving(self, before: Resources) -> AbstractContextManager[str]:
        """Serve as long as the block lasts; gives their ports as PULUMI_DEBUG_PROVIDERS has them.

        Args:
            before: what is deployed.
        """

    def seen(self, after: Resources) -> Seen:
        """Say what they have seen.

        Args:
            after: what is deployed now.
        """


class StandInsHere:
    """Stand-ins in this process."""

    @contextmanager
    def serving(self, before: Resources) -> Iterator[str]:
        """Serve them in threads."""
        from local.engine.providers.aws import AwsStandIn  # noqa: PLC0415 - nobody needs it where they are apart
        from local.engine.providers.awsx import AwsxStandIn  # noqa: PLC0415 - as above
        from local.engine.providers.server import serving  # noqa: PLC0415 - as above
        from local.engine.providers.world import World  # noqa: PLC0415 - as above

        world = self._world = World.of(before)
        aws, awsx = (importlib.metadata.version(name) for name in ("pulumi-aws", "pulumi-awsx"))
        with (
            serving(lambda: AwsStandIn(_sdk("pulumi_aws"), aws, world)) as aws_port,
            serving(lambda: AwsxStandIn(_sdk("pulumi_awsx"), awsx, aws)) as awsx_port,
        ):
            yield f"aws:{aws_port},awsx:{awsx_port}"

    def seen(self, after: Resources) -> Seen:
        """Look at the account."""
        return Seen(self._world.deployments, self._world.handed_over_in_no_order(_dependencies(after)))


class StandInsApart:
    """Stand-ins in a process of their own, which starts with this object and ends with its block, for one run.

    It ends, too, when this process does. It is in a group of its own, which Ctrl-C does not reach.
    """

    def __init__(self) -> None:
        command = [sys.executable, "-m", "local.engine.stand_ins"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
        )

    def __enter__(self) -> Self:
        """Return them."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, which has nothing to finish."""
        self._process.kill()
        self._process.communicate()

    @contextmanager
    def serving(self, before: Resources) -> Iterator[str]:
        """Have the process serve, until it ends."""
        ports: str = self._answer(before)
        yield ports

    def seen(self, after: Resources) -> Seen:
        """Ask the process."""
        return Seen(**self._answer(after))

    def _answer(self, question: Resources) -> Any:  # noqa: ANN401 - any JSON
        asking, answering = self._process.stdin, self._process.stdout
        if asking and answering:
            with contextlib.suppress(BrokenPipeError):
                asking.write(json.dumps(question).encode() + b"\n")
                asking.flush()
            if answer := answering.readline():
                return json.loads(answer)
        raise Refusal("The process of the stand-in providers has ended; what it said is above.")


_sdk = functools.cache(Sdk)
"""Types that have been read once are known to all runs of this process."""


def _dependencies(resources: Resources) -> dict[str, set[str]]:
    """What each URN depends on, its parent included."""
    return {
        found["urn"]: {
            *found.get("dependencies", ()),
            *itertools.chain(*(urns or () for urns in found.get("propertyDependencies", {}).values())),
            *filter(None, [found.get("parent")]),
        }
        for found in resources
    }


def main() -> None:
    """Answer two questions, of what is deployed before and after a run, and serve meanwhile; a line of JSON each."""
    stand_ins = StandInsHere()
    if before := sys.stdin.readline():
        with stand_ins.serving(json.loads(before)) as ports:
            print(json.dumps(ports), flush=True)
            if after := sys.stdin.readline():
                print(json.dumps(asdict(stand_ins.seen(json.loads(after)))), flush=True)
                sys.stdin.read()


if __name__ == "__main__":
    gc.disable()  # as in `python -m local`
    main()

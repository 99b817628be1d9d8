"""One process that builds so many applications into one stack: `python -m bench.applications 10`.

Needs `tests` on its path, for the mocks. Prints one line of JSON.
"""

# The clock starts before everything that an import could take time for.
import time

STARTED = time.perf_counter()

import json  # noqa: E402 - see above
import sys  # noqa: E402 - see above
from typing import cast  # noqa: E402 - see above

from mocked import REPOSITORY, build  # noqa: E402 - see above

from bench.measure import own_peak  # noqa: E402 - see above
from components.delivery import Delivery, DeliveryArgs  # noqa: E402 - see above
from components.settings import load_settings, load_stack_file  # noqa: E402 - see above


def main(count: int) -> None:
    """Build the dev stack's application so many times, each under a name of its own."""
    stack_file = load_stack_file(REPOSITORY / "Pulumi.dev.yaml")
    application = cast("dict[str, object]", stack_file["ecs-delivery:application"])
    imported = time.perf_counter()

    def program() -> None:
        for number in range(1, count + 1):
            named = {**application, "name": f"shop-{number}"}
            settings = load_settings({**stack_file, "ecs-delivery:application": named}, stack="dev")
            Delivery(settings.application.name, DeliveryArgs(settings=settings, stack="dev"))

    graph = build(program)
    ended = time.perf_counter()
    figures = {
        "seconds": ended - STARTED,
        "processor": time.process_time(),
        "importing": imported - STARTED,
        "resources": len(graph.resources),
        "peak": own_peak(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]))

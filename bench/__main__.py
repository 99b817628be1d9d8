"""Figures, judging nothing: `python -m bench [scale|preview|rehearsal|jobs|images] [--rounds N] [--before COMMIT]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bench.images import images
from bench.jobs import jobs
from bench.machine import machine
from bench.measure import BenchError
from bench.preview import preview
from bench.rehearsal import rehearsal
from bench.scale import scale
from local.errors import Refusal

_BENCHMARKS: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "scale": ("Applications in one process, under mocks", scale),
    "preview": ("Whole commands on the dev stack, stand-in AWS", preview),
    "rehearsal": ("The delivery of examples/app through dev and prod, on this machine", rehearsal),
    "jobs": ("Each job of the pipeline, executed on this machine", jobs),
    "images": ("Images of examples/ with zstd against gzip: size, export with push, pull", images),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark or all.

    Args:
        arguments: The command line without the program's name; by default this process's.

    Returns:
        0 when there are figures, 1 when something could not be measured.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="Print speed and memory figures.")
    parser.add_argument("which", nargs="?", choices=[*_BENCHMARKS, "all"], default="all", help="default: all")
    parser.add_argument("--rounds", type=_positive, default=3, metavar="N", help="measurements of each (default: 3)")
    parser.add_argument("--before", metavar="COMMIT", help="a commit that the rehearsal's stages are compared with")
    options = parser.parse_args(arguments)
    if options.before and options.which not in {"rehearsal", "all"}:
        parser.error(f"--before is for the rehearsal, {options.which} compares no commits")
    title, _ = _BENCHMARKS["rehearsal"]
    benchmarks: dict[str, tuple[str, Callable[[int], str]]]
    benchmarks = {**_BENCHMARKS, "rehearsal": (title, partial(rehearsal, before=options.before))}
    print(machine())
    try:
        for name, (title, run) in benchmarks.items():
            if options.which in {name, "all"}:
                print(f"\n{title} (rounds: {options.rounds}, in turns)\n", flush=True)
                print(run(options.rounds), flush=True)
    except (BenchError, Refusal) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a number from 1 up, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

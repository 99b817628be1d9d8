"""C1 and C2: time and memory of whole commands on the dev stack, beside an AWS CDK app that makes the same.

What is compared takes turns within one run of this benchmark: on a shared machine, figures of two runs tell nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.compared import compared
from bench.figures import Figures, table
from bench.measure import BenchError, Command, Peak, Time, memory_is_known, output, peak, seconds
from bench.twin import Twin, install_twin
from local.engine.pulumi_cli import find_pulumi

ROOT = Path(__file__).parents[1]
_FROM_MAKE = ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "STACK", "STACK_FILE")
"""Variables by which `make bench ARGS=...` would change the commands that are measured."""
_LEFT_OUT = (".git", ".local", ".venv", "__pycache__", ".*_cache", "node_modules")
_SYNTH = "CDK synth"
_BARE_SYNTH = "CDK synth, CDK_VALIDATION=false"
_NOTES = (
    "Seconds: a whole command, from its start to its end: make, Python, the engine, its providers; node for the CDK.",
    "cpu s: processor time of all its processes; others that run meanwhile disturb it less than the seconds.",
    "Memory in MB, min / median / max, in runs of its own. Program: the process that runs __main__.py (or app.js),",
    "its VmHWM in /proc. All processes: the largest sum of their Pss, with 20 ms between samples.",
)


@dataclass(frozen=True, slots=True)
class _Series:
    """All measurements of one command."""

    times: list[Time] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)


def preview(rounds: int) -> str:
    """Measure, and return the figures as text.

    Args:
        rounds: How often each command is measured: its time once and its memory once in each round.

    Raises:
        BenchError: A command failed, or is not installed.
    """
    engine = find_pulumi()
    with tempfile.TemporaryDirectory(prefix="ecs-delivery-bench-") as folder:
        checkout = _copy_of_the_checkout(Path(folder, "checkout"))
        twin: Twin | None = None
        remark = (
            "x CDK, x bare: min to min of the two synths, of seconds and of cpu s; bare is the one without CDK's own\n"
            "check of its templates."
        )
        try:
            twin = install_twin(Path(folder, "cdk.out"))
        except BenchError as error:
            remark = f"No comparison with the AWS CDK: {error}."
        measured = {name: _Series() for name, _ in _commands(checkout, twin)}
        resources = _warm_up(checkout, twin)
        for _ in range(rounds):
            for name, command in _commands(checkout, twin):
                measured[name].times.append(seconds(command))
            for name, command in _commands(checkout, twin) if memory_is_known() else ():
                measured[name].peaks.append(peak(command))
    versions = f"pulumi CLI {engine.version}{f', {twin.versions}' if twin else ''}"
    return "\n".join([versions, resources, "", _report(measured), "", *_NOTES, remark])


def _copy_of_the_checkout(target: Path) -> Path:
    """A copy with a state of its own: what the user has deployed on this machine is left alone."""
    if not (ROOT / ".venv" / ".installed").exists():
        raise BenchError(f"{ROOT / '.venv'} is not installed, so the commands cannot be measured; run `make bench`")
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (target / ".venv").symlink_to(ROOT / ".venv")
    return target


def _commands(checkout: Path, twin: Twin | None) -> Iterator[tuple[str, Command]]:
    """What is measured, in the order in which it must run: from no stack over a deployed one to none."""
    if twin:
        yield _SYNTH, twin.synth(validation=True)
        yield _BARE_SYNTH, twin.synth(validation=False)
    yield "make preview, the first", _make(checkout, "preview")
    yield "make preview", _make(checkout, "preview")
    _edit(checkout)
    yield "make preview, after an edit", _make(checkout, "preview")
    yield "make up", _make(checkout, "up")
    yield "make preview, no changes", _make(checkout, "preview")
    _edit(checkout)
    yield "make preview, an edit of what is deployed", _make(checkout, "preview")
    yield "make destroy", _make(checkout, "destroy")


def _edit(checkout: Path) -> None:
    """Change a value of the stack file, as a person would before a preview."""
    file = checkout / "Pulumi.dev.yaml"
    file.write_text(re.sub(r"(?<=LOG_LEVEL: )\w+", lambda found: f"{found[0]}x", file.read_text(encoding="utf-8")))


def _make(checkout: Path, target: str) -> Command:
    environment = {key: value for key, value in os.environ.items() if key not in _FROM_MAKE}
    return Command(
        words=("make", target, "STACK=dev"), folder=checkout, environment=environment, program=("-m", "local")
    )


def _warm_up(checkout: Path, twin: Twin | None) -> str:
    """Run everything once, so that files are read and code is compiled, and tell what is made."""
    made: list[str] = []
    for name, command in _commands(checkout, twin):
        seconds(command)
        if name == "make up":
            made = _deployed(checkout)
    components = sum(not type_.startswith("aws:") for type_ in made)
    counts = f"Pulumi registers {len(made)} resources, {components} of them components"
    if not twin:
        return f"{counts}."
    return f"{counts}; the CDK writes {len(twin.types())}. {compared(made, twin.types())}"


def _deployed(checkout: Path) -> list[str]:
    """The types of what is deployed, of components, too."""
    types = [resource["type"] for resource in json.loads(output(_make(checkout, "graph")))]
    return [type_ for type_ in types if not type_.startswith("pulumi:")]


def _report(measured: Mapping[str, _Series]) -> str:
    wall = {name: Figures(tuple(time.wall for time in series.times)) for name, series in measured.items()}
    work = {name: Figures(tuple(time.processor for time in series.times)) for name, series in measured.items()}
    references = [name for name in (_SYNTH, _BARE_SYNTH) if name in measured]
    ratios = ["x CDK", "x bare"] if references else []
    head = ["", "s min", "median", "max", *ratios, "cpu s", *ratios, "program MB", "all processes MB"]
    rows: list[Sequence[str]] = []
    for name, series in measured.items():
        of_wall, of_work = (
            [f"{figures[name].to(figures[reference]):.2f}" for reference in references] for figures in (wall, work)
        )
        row = [name, *wall[name].spread(2), *of_wall, f"{work[name].least:.2f}", *of_work]
        rows.append([*row, *_megabytes(series.peaks)])
    return table(head, rows)


def _megabytes(peaks: Sequence[Peak]) -> tuple[str, str]:
    """Smallest, median and largest of the program's process and of the tree."""
    if not peaks:
        return "-", "-"
    program = Figures(tuple(value.program for value in peaks))
    tree = Figures(tuple(value.tree for value in peaks))
    return " / ".join(program.spread(0)), " / ".join(tree.spread(0))

"""A rehearsal as JUnit XML, as CI systems and editors read it.

One suite for each stage of each run, one case for each attempt at an action; then one suite for Lighthouse's budgets
and one for the requests during each deployment. Schema: https://github.com/jenkinsci/xunit-plugin, ``junit-10.xsd``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from local.rehearsal.pipeline.execution import Status
from local.rehearsal.report.model import Attempt, Pipeline, Rehearsal, Run, Score, Stage
from local.rehearsal.report.words import plain

_TAIL = 100
"""So many last lines of a log stand beside a failure."""
_OWN_FAULT = "The rehearsal itself failed:"
"""How the runner begins the reason of an action that failed by a fault of the rehearsal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    name: str
    seconds: float = 0
    kind: str = ""
    """``failure``, ``error`` or ``skipped``; empty when it passed."""
    message: str = ""
    detail: str = ""


def junit(rehearsal: Rehearsal) -> bytes:
    """Return the XML document."""
    root = ET.Element("testsuites", name=f"rehearsal of {rehearsal.application}")
    for pipeline in rehearsal.pipelines:
        for run in pipeline.runs:
            several = f" (run {run.number})" if len(pipeline.runs) > 1 else ""
            for stage in pipeline.stages:
                name, cases = f"{pipeline.stack} / {stage.name}{several}", list(_stage(run, stage))
                _suite(root, name, f"{pipeline.stack}.{stage.name}", _began(run, stage), cases)
        if not pipeline.runs:
            never = [
                _Case(name=action.name, kind="skipped", message=f"{pipeline.name} was never started")
                for stage in pipeline.stages
                for action in stage.actions
            ]
            _suite(root, f"{pipeline.stack} / {pipeline.name}", pipeline.stack, rehearsal.started, never)
        _extras(root, rehearsal, pipeline)
    root.set("tests", str(sum(int(suite.attrib["tests"]) for suite in root)))
    root.set("failures", str(sum(int(suite.attrib["failures"]) for suite in root)))
    root.set("errors", str(sum(int(suite.attrib["errors"]) for suite in root)))
    root.set("time", f"{rehearsal.seconds:.3f}")
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _began(run: Run, stage: Stage) -> float:
    return min((attempt.started for attempt in run.attempts if attempt.stage == stage.name), default=run.started)


def _stage(run: Run, stage: Stage) -> Iterator[_Case]:
    for action in stage.actions:
        attempts = [attempt for attempt in run.attempts if attempt.action == action.name]
        if not attempts:
            yield _Case(
                name=action.name, kind="skipped", message=f"not reached: the run is {run.status} {run.reason}".strip()
            )
        for attempt in attempts:
            yield _attempt(attempt, several=len(attempts) > 1)


def _attempt(attempt: Attempt, *, several: bool) -> _Case:
    name = f"{attempt.action} (attempt {attempt.number})" if several else attempt.action
    if attempt.status == Status.SUCCEEDED:
        return _Case(name=name, seconds=attempt.seconds)
    detail = "\n".join([attempt.error, "", *attempt.log[-_TAIL:]])
    own = attempt.status != Status.FAILED or attempt.error.startswith(_OWN_FAULT)
    message = attempt.reason or f"it is {attempt.status}"
    return _Case(name=name, seconds=attempt.seconds, kind="error" if own else "failure", message=message, detail=detail)


def _extras(root: ET.Element, rehearsal: Rehearsal, pipeline: Pipeline) -> None:
    """What was measured in a stack beside its actions."""
    for audit in rehearsal.lighthouse:
        if audit.stack == pipeline.stack:
            cases = [
                _Case(name=f"{score.page} {score.category}")
                if score.passed
                else _Case(name=f"{score.page} {score.category}", kind="failure", message=_missed(score))
                for score in audit.scores
            ]
            _suite(root, f"{pipeline.stack} / Lighthouse", f"{pipeline.stack}.Lighthouse", rehearsal.started, cases)
    for traffic in rehearsal.traffic:
        if traffic.stack == pipeline.stack:
            failed = [sample for sample in traffic.samples if sample.failed]
            case = _Case(name="no request fails during the deployment")
            if failed:
                case = _Case(
                    name=case.name,
                    kind="failure",
                    message=f"{len(failed)} of {len(traffic.samples)} requests failed",
                    detail="\n".join(
                        f"{sample.at:.3f} {sample.status} {sample.error}".strip() for sample in failed[:_TAIL]
                    ),
                )
            began = min((sample.at for sample in traffic.samples), default=rehearsal.started)
            _suite(root, f"{pipeline.stack} / Requests", f"{pipeline.stack}.Requests", began, [case])


def _missed(score: Score) -> str:
    return f"{'no score' if score.score is None else f'{score.score:g}'}, at least {score.budget} wanted"


def _suite(root: ET.Element, name: str, classname: str, began: float, cases: list[_Case]) -> None:
    count = {kind: str(sum(case.kind == kind for case in cases)) for kind in ("failure", "error", "skipped")}
    suite = ET.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=count["failure"],
        errors=count["error"],
        skipped=count["skipped"],
        time=f"{sum(case.seconds for case in cases):.3f}",
        timestamp=f"{datetime.fromtimestamp(began, UTC):%Y-%m-%dT%H:%M:%S}",
    )
    for case in cases:
        element = ET.SubElement(suite, "testcase", name=case.name, classname=classname, time=f"{case.seconds:.3f}")
        if case.kind == "skipped":
            ET.SubElement(element, "skipped", message=plain(case.message))
        elif case.kind:
            problem = ET.SubElement(element, case.kind, message=plain(case.message), type=case.kind)
            problem.text = "\n".join(plain(line) for line in case.detail.splitlines())

"""What the scan of an image has found, by Amazon ECR (basic) or by Amazon Inspector (enhanced), and whether it passes.

The image of a platform is scanned, and no index: https://github.com/moby/buildkit/issues/3499. No scan is started here:
ECR starts one with each push into a repository that is configured for it, and takes one a day by hand.
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jobs import job, registry

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")
"""Worst first; https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html"""
UNDER_WAY = ("IN_PROGRESS", "PENDING")
DONE = ("COMPLETE", "ACTIVE")
"""ACTIVE: Amazon Inspector has scanned the image, and does so again whenever it learns something new."""
PAUSE_SECONDS = 10
MOST_LINES = 50
UNSEEN = (
    "An image that nobody has looked at does not pass. Scans are switched on with `aws ecr "
    "put-image-scanning-configuration --repository-name NAME --image-scanning-configuration scanOnPush=true`, or in "
    "the registry's scanning configuration; an image that is there already is scanned with `aws ecr "
    "start-image-scan`. See docs/operations.md, or set verification.scan.enabled to false in the stack file."
)


class Finding(NamedTuple):
    """A vulnerability in a package of an image."""

    name: str
    severity: str
    packages: str
    uri: str

    @property
    def line(self) -> str:
        """It, in a line of the log."""
        return job.one_line(f"{self.severity} {self.name}: {self.packages or 'no package named'}, {self.uri or '-'}")


class Rules(NamedTuple):
    """What passes."""

    maximum: Mapping[str, int]
    """The most findings of a severity."""
    allow: Mapping[str, Mapping[str, str]]
    """By its name, until when a finding passes, and for which reason."""


def problems(image: registry.Image, rules: Rules, waits: Iterator[int]) -> list[str]:
    """Say what of a scan does not pass; ends the job when the image was not scanned."""
    counted, today = list[Finding](), time.strftime("%Y-%m-%d", time.gmtime())
    for finding in findings(_scanned(image, waits)):
        allowed = rules.allow.get(finding.name)
        if allowed is None:
            counted.append(finding)
        elif today > allowed["until"]:
            job.say(f"    {finding.name} was allowed until {allowed['until']}: it counts again.")
            counted.append(finding)
        else:
            job.say(f"    {finding.name} passes until {allowed['until']}: {allowed['reason']}")
    counts = Counter(finding.severity for finding in counted)
    said = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
    job.say(f"The scan of {image.uri} counts {said or 'nothing'}.")
    exceeded = {severity for severity, most in rules.maximum.items() if counts[severity] > most}
    wrong = [
        f"{counts[severity]} findings are {severity}, {rules.maximum[severity]} pass"
        for severity in SEVERITIES
        if severity in exceeded
    ]
    worst = [finding for finding in counted if finding.severity in exceeded]
    more = [f"and {len(worst) - MOST_LINES} more"] if len(worst) > MOST_LINES else []
    return [*wrong, *(finding.line for finding in worst[:MOST_LINES]), *more]


def pauses(minutes: int) -> Iterator[int]:
    """The pauses for which scans are waited for, of all images together: ECR scans them side by side."""
    return iter(range(minutes * 60 // PAUSE_SECONDS))


def _scanned(image: registry.Image, waits: Iterator[int]) -> dict[str, Any]:
    """What ECR answers when the scan is done; ends the job when there is none in time."""
    said = ""
    while True:
        answer = job.aws(
            f"Look for the scan of {image.digest[:19]}",
            *("ecr", "describe-image-scan-findings", *image.repository.options()),
            *("--image-id", f"imageDigest={image.digest}"),
            absent="ScanNotFoundException",
            again=bool(said),
        )
        found = answer["imageScanStatus"] if answer else {}
        status = str(found.get("status") or "NONE")
        if status in DONE and "imageScanFindings" in answer:
            return dict(answer)
        if status not in (*UNDER_WAY, *DONE, "NONE"):
            why = job.one_line(str(found.get("description") or "no reason given"))
            job.fail(f"{image.uri} was not scanned: {status}, {why}. {UNSEEN}")
        if status != said:
            job.say(f"    the scan is {status}" if answer else "    there is no scan yet")
        said = status
        if next(waits, None) is None:
            what = f"is not scanned yet: {status}" if answer else "was never scanned"
            job.fail(f"{image.uri} {what}, and verification.scan.timeoutMinutes are over. {UNSEEN}")
        time.sleep(PAUSE_SECONDS)


def findings(answer: dict[str, Any]) -> list[Finding]:
    """The findings of either kind of scan, worst first."""
    scanned = answer["imageScanFindings"]
    found = [_basic(each) for each in scanned.get("findings") or []]
    found += [_enhanced(each) for each in scanned.get("enhancedFindings") or []]
    return sorted(found, key=lambda each: (SEVERITIES.index(each.severity), each.name, each.packages))


def _basic(entry: dict[str, Any]) -> Finding:
    """A finding of Amazon ECR's own scan."""
    attributes = {str(each.get("key")): str(each.get("value")) for each in entry.get("attributes") or []}
    packages = _package(attributes.get("package_name"), attributes.get("package_version"), None)
    return Finding(str(entry.get("name")), _severity(entry), packages, str(entry.get("uri") or ""))


def _enhanced(entry: dict[str, Any]) -> Finding:
    """A finding of Amazon Inspector."""
    details = entry.get("packageVulnerabilityDetails") or {}
    packages = sorted(
        {
            _package(each.get("name"), each.get("version"), each.get("fixedInVersion"))
            for each in details.get("vulnerablePackages") or []
        }
    )
    name = str(details.get("vulnerabilityId") or entry.get("title"))
    return Finding(name, _severity(entry), "; ".join(packages), str(details.get("sourceUrl") or ""))


def _package(name: object, version: object, fixed: object) -> str:
    """A package in words; Amazon ECR's own scan does not say in which version it is fixed."""
    return f"{name or '-'} {version or '-'}{f', fixed in {fixed}' if fixed else ''}"


def _severity(entry: dict[str, Any]) -> str:
    """The severity of a finding; one that is not known counts as undefined."""
    severity = str(entry.get("severity"))
    return severity if severity in SEVERITIES else "UNDEFINED"

"""Ask the deployed service for what it has to answer: status, headers, text and time of each request.

A redirect is an answer, and is not followed. A connection that fails is tried again for a minute, an answer is not.
Writes http-checks.xml for CodeBuild's test report. Variables: SERVICE_URL, HTTP_CHECKS (JSON list of objects with
method, path, status, headers, contains and withinMilliseconds), TEST_HEADERS (JSON object: header to the secret that
holds its value).
"""

from __future__ import annotations

from pathlib import Path

from jobs import http_checks, job, junit, tested

REPORT = Path("http-checks.xml")


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    base, headers = tested.address(job.require("SERVICE_URL")), tested.headers()
    cases = http_checks.run(base, headers, http_checks.read())
    junit.write(REPORT, "http", cases)
    failed = http_checks.failures(cases)
    if failed:
        job.fail("\n".join([f"{base} does not answer as expected:", *failed]))

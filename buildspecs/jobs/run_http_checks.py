"""Ask the deployed service for what it has to answer: status, headers, text and time of each request.

A redirect is an answer, and is not followed. A connection that fails is tried again for a minute, an answer is not.
Writes http-checks.xml for CodeBuild's test report. Variables: SERVICE_URL, HTTP_CHECKS (JSON list of objects with
method, path, status, headers, contains and withinMilliseconds), TEST_HEADERS (JSON object: header to the secret that
holds its value).
"""

from __future__ import annotations

from jobs import http_checks, job, tested


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    base, headers = tested.address(), tested.headers()
    failed = http_checks.run(base, headers)
    if failed:
        job.fail("\n".join([f"{base} does not answer as expected:", *failed]))

"""Run the smoke-test image against the deployed service; its exit code is this job's.

Reads image.json of the smoke-test image. The container gets the environment variable SERVICE_URL.
Variables: IMAGE_REPOSITORY_URI and IMAGE_DIGEST (of the smoke-test image), SERVICE_URL.
"""

from __future__ import annotations

from jobs import delivered, job, registry

NOT_STARTED = 125
"""What `docker run` ends with when it cannot start a container: https://docs.docker.com/engine/containers/run/#exit-status"""


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version", "docker --version")
    url = job.require("SERVICE_URL")
    delivered.read_json("image.json", "uri")
    image = delivered.image()
    registry.login(image.repository)
    command = ("docker", "run", "--rm", "--env", f"SERVICE_URL={url}", image.uri)
    code = job.stream(f"Smoke-test {url}", *command, check=False)
    if code == NOT_STARTED:
        job.ended("the smoke test could not be started", command, code, "".join(job.last_lines))
    if code:
        job.fail(f"the smoke test of {url} ended with code {code}; its log is above.", code)
    job.say(f"The smoke test of {url} passed.")

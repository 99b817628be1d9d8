"""Run a job: `python3 jobs.pyz JOB` in a build, `python3 buildspecs JOB` by hand; `JOB --help` says what it needs."""

import sys

from jobs.runner import run

run(sys.argv)

"""Runs jobs as Python runs their folder, and keeps which of their lines and branches were executed.

`python -S measured.py SITE_PACKAGES` reads requests, one JSON object a line, and answers each with the job's exit code.
Each job is a fork of this process, which has loaded coverage once: that takes longer than most jobs. To the job it is
the same: its own variables, folder and arguments, and on its path the standard library and nothing else. Its pauses are
as long as the test says.
"""

import atexit
import json
import os
import runpy
import sys
import time
from typing import Any

site_packages = sys.argv[1]
sys.path[0] = site_packages

from coverage import Coverage  # noqa: E402 - from where the argument says

del sys.path[0]


def requested() -> dict[str, Any]:
    """Return the next request, each in a process of its own."""
    for line in sys.stdin:
        job = os.fork()
        if not job:
            request: dict[str, Any] = json.loads(line)
            return request
        print(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]), flush=True)  # noqa: T201 - the answer
    os._exit(0)


def save() -> None:
    """Write what was measured, each process into a file of its own."""
    measured.stop()
    sys.path.insert(0, site_packages)
    measured.save()


asked = requested()
for number, name in enumerate((os.devnull, asked["output"], asked["errors"])):
    os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
os.chdir(asked["cwd"])
os.environ.clear()
os.environ.update(asked["env"])
folder = asked["folder"]
sys.argv = [folder, *asked["arguments"]]
sleep = time.sleep
time.sleep = lambda seconds: sleep(asked["pace"] * seconds)
measured = Coverage(asked["data"], data_suffix=True, config_file=False, branch=True, include=[f"{folder}/*"])
atexit.register(save)
measured.start()
runpy.run_path(folder, run_name="__main__")

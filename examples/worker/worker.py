"""Takes jobs from a queue in Redis, one after the other, until it is asked to end."""

import os
import signal
import threading

import redis

JOBS, OWN, DONE = "jobs", f"jobs:{os.uname().nodename}", "jobs:done"


def main() -> None:
    """Work. SIGTERM lets the job that has begun end first: stopTimeoutSeconds says how long that may take."""
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    queue = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    print("waiting for jobs")
    while not ends.is_set():
        # A job is in a list of this worker's own until it is done: it is not lost with the worker.
        job = queue.blmove(JOBS, OWN, timeout=1)
        if job is None:
            continue
        print(f"{job} begins")
        # Sleeping stands for the work.
        threading.Event().wait(float(job.partition(":")[2]))
        queue.lrem(OWN, 1, job)
        queue.rpush(DONE, job)
        print(f"{job} is done")
    print("ended")


if __name__ == "__main__":
    main()

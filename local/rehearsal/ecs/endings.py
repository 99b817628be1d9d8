"""How tasks end that are scripted to, in the words of Amazon ECS.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html and
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html; where these leave the
words open, texts that users of Amazon ECS have published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local.rehearsal.ecs.state import Behaviour, Ending

_EXITED = ("EssentialContainerExited", "Essential container in task exited")
_NOT_FOUND = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {}: not found"
)
_WRONG_LOGIN = (
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {}: unexpected "
    "status from HEAD request: 403 Forbidden"
)
_OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_READ_ONLY = (
    'File "/srv/app.py", line 7, in <module>',
    "OSError: [Errno 30] Read-only file system: '/srv/cache'",
)


_BY_ITSELF: Mapping[Behaviour, Ending] = {
    Behaviour.COMPLETES: Ending(*_EXITED, exit_code=0, log=("It is done.",)),
    Behaviour.CRASH: Ending(*_EXITED, exit_code=1, log=("KeyError: 'DATABASE_URL'",)),
    Behaviour.OUT_OF_MEMORY: Ending(*_EXITED, exit_code=137, container_reason=_OUT_OF_MEMORY),
    Behaviour.READ_ONLY: Ending(*_EXITED, exit_code=1, log=_READ_ONLY),
    Behaviour.WRONG_PROCESSOR: Ending(*_EXITED, exit_code=255, log=("exec /srv/app: exec format error",)),
}


def ending(behaviour: Behaviour, image: str, load_balancers: Sequence[dict[str, Any]]) -> Ending:
    """Return how a task with this image ends."""
    if behaviour in _BY_ITSELF:
        return _BY_ITSELF[behaviour]
    if behaviour in (Behaviour.CANNOT_PULL, Behaviour.WRONG_LOGIN):
        said = (_NOT_FOUND if behaviour is Behaviour.CANNOT_PULL else _WRONG_LOGIN).format(image)
        return Ending("TaskFailedToStart", said, container_reason=said)
    group = load_balancers[0]["targetGroupArn"] if load_balancers else "none"
    port = load_balancers[0]["containerPort"] if load_balancers else 0
    return Ending(
        "ServiceSchedulerInitiated",
        f"Task failed ELB health checks in (target-group {group})",
        exit_code=143,
        log=("GET /healthz 503",),
        event=f"(port {port}) is unhealthy in (target-group {group}) due to (reason Health checks failed with "
        "these codes: [503]).",
    )


def scaled_in(deployment: str) -> Ending:
    """Return how a task ends that is no longer wanted."""
    return Ending("ServiceSchedulerInitiated", f"Scaling activity initiated by deployment ecs-svc/{deployment}")

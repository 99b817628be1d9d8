"""An emulator of Amazon CloudWatch Logs, as far as somebody reads what containers of an emulated ECS and builds wrote.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html: the latest
events first, at most ``limit`` of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from local.rehearsal.ecs import Ecs
from local.rehearsal.emulated import Emulated, Json, Need, Operations, Refused

_MOST = 10_000


class Logs(Emulated):
    """The log groups of the containers, and of builds."""

    SERVICE = "logs"
    INVALID = "InvalidParameterException"

    def __init__(self, ecs: Ecs) -> None:
        super().__init__(account=ecs.account, region=ecs.region)
        self._groups = ecs.logs

    def keep(self, group: str, stream: str, lines: Iterable[str]) -> None:
        """Keep the log of a build."""
        with self.lock:
            self._groups.setdefault(group, {})[stream] = [line for entry in lines for line in entry.splitlines()]

    def operations(self) -> Operations:
        """Return what is emulated."""
        return {"GetLogEvents": self._get_log_events}

    def needs(self, operation: str, parameters: Json) -> list[Need]:
        """Return the permission behind a request: it is about one log stream."""
        group, stream = parameters.get("logGroupName", ""), parameters["logStreamName"]
        return [Need(f"logs:{operation}", self.arn(f"log-group:{group}:log-stream:{stream}"))]

    def _get_log_events(self, parameters: Json) -> Json:
        streams = self._groups.get(parameters.get("logGroupName", ""))
        if streams is None:
            raise Refused("ResourceNotFoundException", "The specified log group does not exist.")
        if parameters["logStreamName"] not in streams:
            raise Refused("ResourceNotFoundException", "The specified log stream does not exist.")
        # An event has a text: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_InputLogEvent.html
        lines = [line for line in streams[parameters["logStreamName"]] if line][-parameters.get("limit", _MOST) :]
        now = int(time.time() * 1000)
        return {
            "events": [{"timestamp": now, "message": line, "ingestionTime": now} for line in lines],
            "nextForwardToken": "f/1",
            "nextBackwardToken": "b/1",
        }

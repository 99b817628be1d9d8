"""CodePipeline's own Amazon ECS action: a rolling deployment of another image, and nothing else.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-ECS.html
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from local.rehearsal.ecs import Ecs
from local.rehearsal.emulated import Refused
from local.rehearsal.pipeline.action import ActionContext, ActionFailed, Completed

_LOOK_SECONDS = 0.1
_READ_ONLY = (
    *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities"),
    *("registeredAt", "registeredBy"),
)
"""What a description has and a registration has not."""
_ENDED = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


@dataclass(frozen=True, kw_only=True, slots=True)
class EcsAction:
    """Amazon ECS.

    Attributes:
        ecs: The emulator.
        time_factor: What AWS's waiting time is multiplied by.
        least_seconds: How long it waits in any case: an application starts no faster here than on AWS.
    """

    ecs: Ecs
    time_factor: float = 1.0
    least_seconds: float = 0.0

    def run(self, context: ActionContext) -> Completed:
        """Register the service's task definition with the images of the artifact, deploy it, wait for the end."""
        cluster, service = context.configuration["ClusterName"], context.configuration["ServiceName"]
        images = self._images(context)
        running = self._call(context, "DescribeServices", cluster=cluster, services=[service])["services"][0]
        looked_up = {"taskDefinition": running["taskDefinition"], "include": ["TAGS"]}
        found = self._call(context, "DescribeTaskDefinition", **looked_up)
        definition = {key: value for key, value in found["taskDefinition"].items() if key not in _READ_ONLY}
        # That page grants it ecs:TagResource on the family, for RegisterTaskDefinition.
        if found.get("tags"):
            definition["tags"] = found["tags"]
        for container in definition["containerDefinitions"]:
            container["image"] = images.pop(container["name"], container["image"])
        if images:
            raise ActionFailed(f"The task definition has no container {', '.join(images)}.")
        registered = self._call(context, "RegisterTaskDefinition", **definition)["taskDefinition"]["taskDefinitionArn"]
        self._call(context, "UpdateService", cluster=cluster, service=service, taskDefinition=registered)
        context.say(f"The service moves to {registered.rpartition('/')[2]}")
        return self._wait(context, cluster, service)

    def _wait(self, context: ActionContext, cluster: str, service: str) -> Completed:
        minutes = float(context.configuration.get("DeploymentTimeout", 60))
        deadline = time.monotonic() + max(minutes * 60 * self.time_factor, self.least_seconds)
        while True:
            known = self.ecs.owner("ListServiceDeployments", cluster=cluster, service=service, maxResults=100)
            newest = max(known["serviceDeployments"], key=lambda made: made["createdAt"])  # they are in no order
            if newest["status"] in _ENDED:
                break
            if time.monotonic() > deadline or context.stop.is_set():
                raise ActionFailed(f"The service did not become stable within {minutes:g} minutes.")
            time.sleep(_LOOK_SECONDS)
        if newest["status"] != "SUCCESSFUL":
            raise ActionFailed(newest.get("statusReason", newest["status"]))
        return Completed(summary=f"{service} is stable")

    def _call(self, context: ActionContext, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        try:
            return self.ecs.call(operation, parameters, context.by)
        except Refused as refused:
            raise ActionFailed(f"{refused.code}: {refused.message}") from None

    @staticmethod
    def _images(context: ActionContext) -> dict[str, str]:
        (artifact,) = context.artifacts
        name = context.configuration.get("FileName", "imagedefinitions.json")
        return {item["name"]: item["imageUri"] for item in json.loads(context.read(artifact, name))}

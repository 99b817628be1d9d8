"""A deployed stack whose runs are made by hand, for what the functions make of them that hear of runs."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from dataclasses import dataclass

from local.rehearsal.account import Account
from local.rehearsal.aws_services import AwsServices
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.deployed import Deployed
from local.rehearsal.ecs import Ecs
from local.rehearsal.logs import Logs
from local.rehearsal.notifications import Notifications
from local.rehearsal.pipeline.execution import ActionRun, Execution, Status
from local.rehearsal.report.model import Message
from local.rehearsal.resources import Graph

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


@dataclass
class HandMadeRuns:
    """A stack whose runs somebody makes by hand."""

    deployed: Deployed
    account: Account
    pipeline: CodePipeline
    logs: Logs
    notifications: Notifications
    numbers: int = 0

    def run(
        self, *, fails: str = "", says: str = "", version: str = "", commit: str = "", until: str = ""
    ) -> Execution:
        """A run of all actions, until one fails with the last words of its job or it is overtaken before a stage."""
        self.numbers += 1
        execution = Execution(number=self.numbers, trigger="Push")
        return self.go_on(execution, fails=fails, says=says, version=version, commit=commit, until=until)

    def go_on(
        self,
        execution: Execution,
        *,
        stages: Collection[str] = (),
        fails: str = "",
        says: str = "",
        version: str = "",
        commit: str = "",
        until: str = "",
    ) -> Execution:
        """Run the actions of these stages, or of all, as the runner of pipelines does."""
        assert fails in {"", *(action.name for action in self.deployed.actions)}
        execution.status, execution.ended = Status.IN_PROGRESS, None
        left = {"Source": {"CommitId": commit}, "BuildImage": {"DEPLOYED_VERSION": version}}
        for action in self.deployed.actions:
            if stages and action.stage not in stages:
                continue
            if action.stage == until:
                execution.end(Status.SUPERSEDED)
                self._hear(execution, None)
                return execution
            if action.stage != execution.stage or action.stage in stages:
                execution.stage = action.stage
                self._hear(execution, None)
            run = ActionRun(execution.identity, action)
            execution.actions.append(run)
            self._hear(execution, run)
            run.external_id = f"{action.project}:{run.identity}" if action.project else ""
            run.variables = {name: value for name, value in left.get(action.name, {}).items() if value}
            failed = action.name == fails
            run.end(Status.FAILED if failed else Status.SUCCEEDED, error="Build terminated." if failed else "")
            self.logs.keep(
                f"/aws/codebuild/{action.project}", run.identity, ["Python 3.13", "", f"FAILED: {says}\n  | more"]
            )
            self._hear(execution, run)
            if failed:
                break
        execution.end(Status.FAILED if fails else Status.SUCCEEDED)
        self._hear(execution, None)
        return execution

    def _hear(self, execution: Execution, run: ActionRun | None) -> None:
        self.pipeline.remember(run, execution)
        self.notifications.hear(self.deployed.pipeline, execution, run)

    @property
    def messages(self) -> list[Message]:
        return self.notifications.messages


def stack(aws: AwsServices, graph: Graph, name: str = "prod", github_url: str = "") -> HandMadeRuns:
    account, deployed = Account(aws, without_data(graph)), Deployed.of(graph)
    pipeline = CodePipeline(deployed.pipeline, account=account.identity, region=account.region)
    logs = Logs(Ecs(account=account.identity, region=account.region))
    notifications = Notifications(name, graph, account, (pipeline, logs), github_url)
    return HandMadeRuns(deployed, account, pipeline, logs, notifications)


def without_data(graph: Graph) -> Graph:
    """What of a graph nobody needs to make here: nothing is stored and nothing is run."""
    kept = ("aws:codepipeline/", "aws:iam/", "aws:lambda/", "aws:sns/")
    return [resource for resource in graph if resource["type"].startswith(kept)]


def edited(graph: Graph, sid: str) -> Graph:
    """The graph without one statement of the roles that have it."""
    changed = copy.deepcopy(list(graph))
    for resource in changed:
        if resource["type"] == ROLE_POLICY and sid in resource["inputs"]["policy"]:
            policy = json.loads(resource["inputs"]["policy"])
            policy["Statement"] = [item for item in policy["Statement"] if item["Sid"] != sid]
            resource["inputs"]["policy"] = resource["outputs"]["policy"] = json.dumps(policy)
    return changed

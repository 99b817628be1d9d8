"""Watch what CodeDeploy deploys until its tasks are healthy, and stop it when they keep failing.

CodePipeline's own action deploys; this job runs beside it. It shows what becomes of the new tasks. When as many of them
have stopped as set off the deployment circuit breaker of Amazon ECS, it has CodeDeploy stop and roll back, and fails
with the reason, instead of an hour later without one. It ends as soon as the new tasks are healthy, hence before users
see them. A deployment that fails by itself fails this job as well, so that a retry runs both again. What this job
cannot do or does not understand never fails a deployment that succeeds. Where CodeDeploy waits for its word, it asks
the new version at the test listener first, and lets users have it or rolls it back. Reads taskdef.json.
Variables: PIPELINE, DEPLOY_ACTION and WATCH_ACTION (names: the pipeline, the action that deploys, this one),
PIPELINE_EXECUTION_ID, CLUSTER, SERVICE (names), LOG_GROUP (of the containers), MINUTES (to watch at most), and where
CodeDeploy waits: TEST_URL (where the new version is reached then), HTTP_CHECKS and TEST_HEADERS (as run-http-checks
takes them).
"""

from __future__ import annotations

import time
from typing import Any, NoReturn

from jobs import http_checks, inputs, job, oncall, stopped_tasks, task_definition, tested

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
FEWEST_FAILURES, MOST_FAILURES = 3, 200
"""Bounds of the circuit breaker's threshold, which is half of the desired tasks.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
"""
SAME_TIME = 15.0
"""Seconds between the start of two actions that CodePipeline starts together."""
PATIENCE = 12
"""Answers in a row that may be missing before there is no point in asking on."""
RUNS, SUCCEEDED, WAITS = "InProgress", "Succeeded", "Ready"


def threshold(wanted: int) -> int:
    """Return how many tasks must have failed before a deployment of so many is stopped."""
    return min(MOST_FAILURES, max(FEWEST_FAILURES, -(-wanted // 2)))


class Watch:
    """One deployment, and what is known of it so far."""

    def __init__(self) -> None:
        self.pipeline, self.execution = job.require("PIPELINE"), job.require("PIPELINE_EXECUTION_ID")
        self.deploying, self.watching = job.require("DEPLOY_ACTION"), job.require("WATCH_ACTION")
        self.cluster, self.service = job.require("CLUSTER"), job.require("SERVICE")
        self.log_group = job.optional("LOG_GROUP")
        self.minutes = inputs.number("MINUTES", job.require("MINUTES"))
        self.definition = job.read_json("taskdef.json", "containerDefinitions")
        task_definition.containers(self.definition)
        self.url = job.optional("TEST_URL")
        # Now: what is wrong with them is no fault of the new version.
        self._checks, self._headers = (http_checks.read(), tested.headers()) if self.url else ([], {})
        self.deployment = ""
        self.failures: dict[str, dict[str, Any]] = {}
        self.events: list[str] = []
        self._seen: set[str] = set()
        self._line = ""
        self._missing = 0
        self._again = False
        self._stop_tried = False

    def ask(self, why: str, *command: str) -> dict[str, Any]:
        """Return an answer, or an empty one; only the first round of questions is shown."""
        answer = stopped_tasks.ask(why, *command, again=self._again)
        self._missing = 0 if answer else self._missing + 1
        return answer

    def show(self, line: str) -> None:
        """Print a line that is not the last one again."""
        if line != self._line:
            self._line = line
            job.say(line)

    def action(self) -> dict[str, Any]:
        """Return this run's latest execution of the deploying action, if it is of the same attempt as this one.

        One that has succeeded counts whenever it was: a retry then runs this job alone.
        """
        where = ("--pipeline-name", self.pipeline, "--filter", f"pipelineExecutionId={self.execution}")
        found = self.ask("Look at this run of the pipeline", "codepipeline", "list-action-executions", *where)
        newest: dict[str, dict[str, Any]] = {}
        for entry in sorted(
            found.get("actionExecutionDetails", []), key=lambda entry: inputs.moment(entry["startTime"])
        ):
            newest[entry["actionName"]] = entry
        deploying, watching = newest.get(self.deploying), newest.get(self.watching)
        if not deploying or not watching:
            return {}
        together = inputs.moment(deploying["startTime"]) > inputs.moment(watching["startTime"]) - SAME_TIME
        return deploying if together or deploying["status"] == SUCCEEDED else {}

    def task_set(self, action: dict[str, Any]) -> dict[str, Any]:
        """Return the task set that CodeDeploy has made in this action, and take note of what happened to its tasks."""
        command = ("ecs", "describe-services", "--cluster", self.cluster, "--services", self.service)
        services = self.ask("Look at the service", *command).get("services", [])
        if not services:
            return {}
        since = inputs.moment(action["startTime"])
        self.deployment = self.deployment or result_of(action).get("externalExecutionId", "")
        found: dict[str, Any] = {}
        for entry in sorted(services[0].get("taskSets", []), key=lambda entry: inputs.moment(entry["createdAt"])):
            ours = entry.get("startedBy") == "CODE_DEPLOY" and inputs.moment(entry["createdAt"]) >= since
            if not found and (entry.get("externalId") == self.deployment if self.deployment else ours):
                found = {**entry, "wanted": services[0].get("desiredCount", 0)}
        if found:
            self.deployment = str(found["externalId"])
            self._note_events(services[0].get("events", []), found)
            self._note_tasks(str(found["taskDefinition"]))
        return found

    def _note_events(self, events: list[dict[str, Any]], task_set: dict[str, Any]) -> None:
        for event in reversed(events):
            message = str(event["message"])
            ours = "taskSet " not in message or str(task_set["id"]) in message
            if (
                ours
                and event["id"] not in self._seen
                and inputs.moment(event["createdAt"]) >= inputs.moment(task_set["createdAt"])
            ):
                self._seen.add(event["id"])
                self.events.insert(0, message)
                job.say(f"  {message}")

    def _note_tasks(self, revision: str) -> None:
        arns = stopped_tasks.listed(self.cluster, self.service, again=self._again)
        new = [arn for arn in arns if arn not in self._seen]
        for task in stopped_tasks.described(self.cluster, new, again=self._again) if new else ():
            arn, ended = str(task["taskArn"]), task.get("lastStatus") == "STOPPED"
            if task.get("taskDefinitionArn") != revision:
                self._seen.add(arn)
                continue
            if stopped_tasks.failed(task):
                self.failures[arn] = task
            if ended:
                # Only now are the exit codes known.
                self._seen.add(arn)
                job.say("\n".join(f"  {line}" for line in stopped_tasks.lines_of(task, self.definition)))

    def fail(self, message: str, *problems: str) -> NoReturn:
        """End the job with the message, the problems that were found, and why the tasks stopped."""
        found = stopped_tasks.explain(list(self.failures.values()), self.events, self.definition, self.log_group)
        because = f", because {found.sentence}" if found.sentence else ""
        lines = found.lines if self.failures else []
        job.fail("\n".join([f"{message}{because}. {oncall.BACK}", *problems, *lines]))

    def failed(self, action: dict[str, Any]) -> NoReturn:
        """End the job, since the deploying action has failed by itself."""
        errors = [result_of(action).get("errorDetails", {}).get("message", "")]
        self.deployment = self.deployment or result_of(action).get("externalExecutionId", "")
        if self.deployment:
            command = ("deploy", "get-deployment", "--deployment-id", self.deployment)
            info = stopped_tasks.ask("Ask CodeDeploy why", *command).get("deploymentInfo", {})
            errors.append(info.get("errorInformation", {}).get("message", ""))
        text = " ".join(dict.fromkeys(error.strip() for error in errors if error))
        self.fail(f"{self.deploying} has failed: {text or action['status']}".rstrip(". "))

    def stop(self, why: str, *problems: str) -> None:
        """Stop the deployment, which rolls it back, and end the job; go on when it cannot be stopped any more."""
        command = ("deploy", "stop-deployment", "--deployment-id", self.deployment, "--auto-rollback-enabled")
        if self._stop_tried:
            return
        self._stop_tried = True
        result = job.run("Stop the deployment and roll it back", "aws", *command, "--output", "json", check=False)
        if not result.code:
            self.fail(f"the deployment {self.deployment} is stopped and rolled back: {why}", *problems)
        if "(DeploymentAlreadyCompletedException)" not in result.errors:
            job.say(f"{why}, and it cannot be stopped: {result.errors.strip()}")

    def decide(self) -> bool:
        """Check the new version if CodeDeploy waits for the word; return whether users get it.

        https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_ContinueDeployment.html
        """
        which = ("--deployment-id", self.deployment)
        info = self.ask("Ask CodeDeploy how far it is", "deploy", "get-deployment", *which).get("deploymentInfo", {})
        if info.get("status") != WAITS:
            self.show(f"{self.deployment}: the new tasks are healthy, waiting for test traffic to reach them")
            return False
        job.say(f"Test traffic reaches the new version: checking it at {self.url}")
        failed = http_checks.failures(http_checks.run(self.url, self._headers, self._checks))
        if failed:
            why = "the new version does not answer as expected"
            self.stop(why, *failed)
            self.fail(why, *failed)
        job.aws("Let users have it", "deploy", "continue-deployment", *which, "--deployment-wait-type", "READY_WAIT")
        return True

    def step(self) -> bool:
        """Look once; return whether there is nothing left to watch."""
        action = self.action()
        if action.get("status") == SUCCEEDED:
            self.show(f"{self.deploying} has succeeded")
            return True
        task_set = self.task_set(action) if action else {}
        if action and action["status"] != RUNS:
            self.failed(action)
        if not task_set:
            self.show(f"waiting for the tasks of {self.deploying}")
            return False
        wanted, runs = task_set.get("computedDesiredCount", 0), task_set.get("runningCount", 0)
        self.show(f"{self.deployment}: {runs} of {wanted} tasks running, {len(self.failures)} failed")
        # A task set begins with no tasks, and is steady then.
        steady = task_set.get("stabilityStatus") == "STEADY_STATE" and runs == wanted and wanted == task_set["wanted"]
        served = task_set.get("status") == "PRIMARY"
        if steady and self.url and not served and not self.decide():
            return False
        if steady or served:
            self.show(f"{self.deployment}: the new tasks are healthy, CodeDeploy moves the traffic")
            return True
        if len(self.failures) >= threshold(wanted):
            self.stop(f"{len(self.failures)} of its tasks failed")
        return False

    def give_up(self, why: str) -> None:
        """Watch no longer: the deployment goes on without this job, unless CodeDeploy waits for its word."""
        if self.url:
            self.fail(f"{why}: the new version is not checked, and CodeDeploy stops when it has waited for the word")
        job.say(f"{why}: this job watches no longer, the deployment goes on")

    def follow(self) -> None:
        """Watch until there is nothing left to watch, the time is up, or AWS does not answer."""
        deadline, pause = time.monotonic() + self.minutes * 60, FIRST_PAUSE
        while time.monotonic() < deadline:
            if self.step():
                return
            if self._missing > PATIENCE:
                self.give_up("AWS does not answer")
                return
            self._again = True
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        self.give_up(f"not decided after {self.minutes} minutes")
        if self.deployment:
            region = f" --region {job.optional('AWS_REGION')}" if job.optional("AWS_REGION") else ""
            command = f"aws deploy stop-deployment --deployment-id {self.deployment} --auto-rollback-enabled{region}"
            job.say(f"CodeDeploy waits an hour for healthy tasks. To stop it: {command}")


def result_of(action: dict[str, Any]) -> dict[str, Any]:
    """Return what the service that carries out an action has said of it so far."""
    return dict(action.get("output", {}).get("executionResult", {}))


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    watch = Watch()
    try:
        watch.follow()
    except Exception as error:  # noqa: BLE001 - a fault of the watcher is none of the deployment
        watch.give_up(f"this job does not understand what AWS answers ({type(error).__name__}: {error})")

"""Commands of docs/operations.md and docs/oncall.md, as a person pastes them: the real AWS CLI, AWS on this machine."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from delivered_stack import client, manifest
from mocked import REGION
from summary import program

from local.rehearsal.aws_services import AwsServices
from local.rehearsal.code_pipeline import CodePipeline
from local.rehearsal.deployed import Deployed
from local.rehearsal.emulated import serving
from local.rehearsal.pipeline import PipelineRunner
from local.rehearsal.pipeline.execution import Execution, Status

ONCALL = (Path(__file__).parents[2] / "docs" / "oncall.md").read_text(encoding="utf-8")
OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_build_cache_is_dropped_and_nothing_else(aws: AwsServices, warm_aws_cli: Path) -> None:
    section = OPERATIONS.split("\n## Drop the build cache\n")[1].split("\n## ")[0]
    (command,) = re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)
    ecr = client(aws, "ecr")
    ecr.create_repository(repositoryName="dropped-cache")
    for tag in ("buildcache", "0123abc"):
        ecr.put_image(repositoryName="dropped-cache", imageManifest=manifest(tag).decode(), imageTag=tag)
    allowed = {"Effect": "Allow", "Action": "ecr:BatchDeleteImage", "Resource": "*"}
    person = aws.as_role("drops-cache", [{"Version": "2012-10-17", "Statement": [allowed]}], region=REGION)

    done = subprocess.run(
        ["/bin/sh", "-ec", command.replace("shop-dev", "dropped-cache")],
        env={"PATH": f"{warm_aws_cli}:/usr/bin:/bin", **person},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failures"] == []
    left = ecr.describe_images(repositoryName="dropped-cache")["imageDetails"]
    assert [image["imageTags"] for image in left] == [["0123abc"]]


class Driven:
    """Who runs prod's pipeline: remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.deployed, self.version = Deployed.of([resource.as_dict() for resource in program("prod")]), 1

    def start(self, trigger: str, revisions: Mapping[str, str] | None = None) -> Execution:
        self.asked.append(f"start {dict(revisions or {})}")
        return Execution(number=9, trigger=trigger)

    def retry(self, execution: Execution) -> Execution:
        self.asked.append(f"retry {execution.stage}")
        return execution

    def roll_back(self, stage: str, target: Execution) -> Execution:
        self.asked.append(f"roll back {stage} to run {target.number}")
        return Execution(number=9, trigger="", kind="ROLLBACK")

    def stop(self, execution: Execution) -> None:
        self.asked.append(f"stop run {execution.number}")

    def hold(self, stage: str) -> None:
        self.asked.append(f"hold {stage}")

    def release(self, stage: str) -> None:
        self.asked.append(f"release {stage}")


def commands(heading: str) -> list[str]:
    """The commands of an entry, each as it is pasted."""
    entry = ONCALL.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", entry, re.DOTALL)
    return re.findall(r"^aws .*(?:\n .*)*", block, re.MULTILINE)


class Night:
    """A person at night, with prod's pipeline, its images and its secret.

    Attributes:
        driven: Who runs the pipeline.
        run: The run that failed.
        digest: The digest of the image that is promoted.
    """

    def __init__(self, aws: AwsServices, cli: Path, folder: Path) -> None:
        self.aws, self._cli, self._folder = aws, cli, folder
        self.driven, self.pipeline = Driven(), CodePipeline("shop-prod")
        self.pipeline.runner = cast("PipelineRunner", self.driven)
        self.run = Execution(number=7, trigger="a promotion")
        self.pipeline.remember(None, self.run)
        made = manifest("night")
        self.digest = f"sha256:{hashlib.sha256(made).hexdigest()}"
        ecr = client(aws, "ecr")
        ecr.create_repository(repositoryName="shop-prod")
        for tag in ("promoted", "v1.2.3"):
            ecr.put_image(repositoryName="shop-prod", imageManifest=made.decode(), imageTag=tag)
        client(aws, "logs").create_log_group(logGroupName="/ecs/shop-prod")
        client(aws, "secretsmanager").create_secret(Name="shop/github-token", SecretString="old")
        (folder / "token.txt").write_text("new", encoding="utf-8")

    def types(self, command: str, **names: str) -> str:
        """Paste a command with these names in place of the capitals; returns what it prints."""
        for name, value in {"RUN": self.run.identity, "DIGEST": self.digest, "VERSION": "v1.2.3", **names}.items():
            command = re.sub(rf"\b{name}\b", value, command)
        with serving(self.pipeline) as address:
            done = subprocess.run(
                ["/bin/sh", "-ec", command],
                cwd=self._folder,
                env={
                    **self.aws.environment(region=REGION),
                    "PATH": f"{self._cli}:/usr/bin:/bin",
                    "AWS_ACCESS_KEY_ID": "123456789012",
                    "AWS_SECRET_ACCESS_KEY": "of the stand-in",
                    "AWS_ENDPOINT_URL_CODEPIPELINE": address,
                },
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def night(aws: AwsServices, warm_aws_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(aws, warm_aws_cli, tmp_path_factory.mktemp("night"))


def test_a_version_that_turns_out_to_be_wrong_is_taken_back(night: Night) -> None:
    listed, back, other = commands("Go back to an earlier version")
    night.run.end(Status.SUCCEEDED)
    assert night.types(listed).split()[:3] == [night.run.identity, "Succeeded", "STANDARD"]
    night.types(back)
    night.types(other)
    assert night.driven.asked[-2:] == ["roll back Deploy to run 7", f"start {{'SourceImage': '{night.digest}'}}"]


def test_what_has_stopped_is_looked_at_and_retried(night: Night) -> None:
    looked, retried = (each.replace("shop-dev", "shop-prod") for each in commands("A run has stopped"))
    (failed,) = night.pipeline.begin(night.run.identity, "VerifyImage")
    failed.end(Status.FAILED, error="FAILED: it is not signed.")
    assert night.types(looked) == "Deploy\tVerifyImage\tFAILED: it is not signed.\n"
    night.run.stage = "Test"
    night.types(retried, STAGE="Test")
    night.run.stage = "Release"
    (release,) = commands("The release is half done")
    night.types(release)
    assert night.driven.asked[-2:] == ["retry Test", "retry Release"]


def test_prod_is_held_and_a_run_stopped(night: Night) -> None:
    held, let_in, stopped = commands("Hold prod, or stop a run")
    night.run.status = Status.IN_PROGRESS
    for command in (held, let_in, stopped):
        night.types(command)
    assert night.driven.asked[-3:] == ["hold Deploy", "release Deploy", "stop run 7"]


def test_what_does_not_start_is_found_and_started(night: Night) -> None:
    image, runs, start = commands("Nothing starts")
    assert night.types(image).startswith(f"{night.digest}\t20")
    assert night.run.identity in night.types(runs)
    night.types(start)
    (edit,) = commands("Ship an edit now")
    assert edit == start
    assert night.driven.asked[-1] == "start {}"


def test_images_and_versions_are_looked_up(night: Night) -> None:
    _, tags = commands("What runs now")
    assert sorted(json.loads(night.types(tags))) == ["promoted", "v1.2.3"]
    (taken,) = commands("The version is taken")
    assert night.types(taken).startswith(f"{night.digest}\t20")


def test_alarms_logs_and_the_connection_are_looked_at(night: Night) -> None:
    alarms, logs = commands("Rolled back by itself")
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count", "Statistic": "Sum"}
    rule = {"Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    cloudwatch = client(night.aws, "cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName="shop-prod-errors", **metric, **rule)
    cloudwatch.set_alarm_state(AlarmName="shop-prod-errors", StateValue="ALARM", StateReason="5 errors")
    assert night.types(alarms) == "shop-prod-errors\t5 errors\n"
    night.types(logs)


def test_the_connection_is_asked_in_words_that_aws_knows(night: Night) -> None:
    """No stand-in answers it: the CLI holds it against AWS's own model, and shows what an answer looks like."""
    (ask,) = commands("The connection is pending")
    arn = "arn:aws:codeconnections:eu-west-1:123456789012:connection/0f0f0f0f"
    assert night.types(f"{ask} --generate-cli-skeleton output", CONNECTION=arn).strip()


def test_the_token_is_renewed(night: Night) -> None:
    (renew,) = commands("The token has expired")
    night.types(renew)
    kept = client(night.aws, "secretsmanager").get_secret_value(SecretId="shop/github-token")
    assert kept["SecretString"] == "new"

"""What starts a pipeline: a push of code that its filters let through, or an event that a rule matches.

Sources: https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-filter.html,
https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html,
https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.errors import Refusal
from local.rehearsal.deployed import Deployed
from local.rehearsal.emulated import Need, Policies, allows
from local.rehearsal.resources import Graph, values_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """A push to a repository.

    Attributes:
        branch: The branch that was pushed; empty for a tag.
        tag: The tag that was pushed; empty for a branch.
        paths: The files that the pushed commits changed.
    """

    branch: str = ""
    tag: str = ""
    paths: tuple[str, ...] = ()


def reason_not_to_start(triggers: Sequence[Mapping[str, Any]], push: Push) -> str:
    """Return why a push does not start a pipeline with these triggers; empty when it does.

    The criteria of one filter all have to be met, and one of a trigger's filters has to be.
    """
    problems = [
        problem
        for trigger in triggers
        for each in trigger["gitConfiguration"].get("pushes") or ()
        if (problem := _not_met(each, push)) is not None
    ]
    if not problems:
        return "the pipeline has no trigger for a push"
    return "" if "" in problems else "; ".join(problems)


def _not_met(wanted: Mapping[str, Any], push: Push) -> str:
    for key, noun, given in (
        ("tags", "tag", [push.tag] if push.tag else []),
        ("branches", "branch", [push.branch] if push.branch else []),
        ("filePaths", "changed file", list(push.paths)),
    ):
        criteria = wanted.get(key)
        if criteria and not any(_lets_through(criteria, one) for one in given):
            return f"no {noun} of {', '.join(given) or 'none'} passes {json.dumps(criteria)}"
    return ""


def _lets_through(criteria: Mapping[str, Any], text: str) -> bool:
    """Excluding goes before including; without anything to include, everything is."""
    includes, excludes = criteria.get("includes") or ["**"], criteria.get("excludes") or []
    return any(_glob(one).fullmatch(text) for one in includes) and not any(
        _glob(one).fullmatch(text) for one in excludes
    )


def _glob(pattern: str) -> re.Pattern[str]:
    """The regular expression of one of CodePipeline's patterns, whose rules are those of Java's file systems."""
    return re.compile("".join(_parts(pattern)), re.DOTALL)


_SPECIAL = re.compile(
    r"(?P<deep>\*\*)|(?P<star>\*)|(?P<one>\?)|\[(?P<set>!?[^\]]+)\]|\{(?P<group>[^{}]*)\}|\\(?P<escaped>.)"
)


def _parts(pattern: str) -> Iterator[str]:
    end = 0
    for found in _SPECIAL.finditer(pattern):
        yield re.escape(pattern[end : found.start()])
        end = found.end()
        match found.lastgroup:
            case "deep":
                yield ".*"
            case "star":
                yield "[^/]*"
            case "one":
                yield "[^/]"
            case "set":
                negated, members = found["set"].startswith("!"), found["set"].removeprefix("!")
                yield f"(?!/)[{'^' if negated else ''}{members.replace(chr(92), chr(92) * 2)}]"
            case "group":
                yield f"(?:{'|'.join(''.join(_parts(one)) for one in found['group'].split(','))})"
            case _:
                yield re.escape(found["escaped"])
    yield re.escape(pattern[end:])


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule of EventBridge with its one target, a pipeline.

    Attributes:
        name: The rule's name.
        pattern: The pattern that it matches events with, as JSON.
        pipeline: The ARN of the pipeline that it starts.
        role: The name of the role that it starts it under.
        paths: Name -> JSON path into the event, of the input transformer.
        template: The input's template.
    """

    name: str
    pattern: str
    pipeline: str
    role: str
    paths: Mapping[str, str]
    template: str

    @property
    def repositories(self) -> tuple[str, ...]:
        """The image repositories whose events it can match."""
        return tuple(json.loads(self.pattern)["detail"].get("repository-name", ()))

    def request(self, event: Mapping[str, Any], policies: Policies, *, account: str, region: str) -> dict[str, Any]:
        """Return the request to start the pipeline that comes of an event.

        Raises:
            Refusal: The rule's role may not start it.
        """
        need = Need("codepipeline:StartPipelineExecution", self.pipeline)
        if not allows(policies, need, account=account, region=region):
            raise Refusal(f"The rule {self.name} cannot start {self.pipeline}: {self.role} lacks {need.action}.")
        text = self.template
        for name, path in self.paths.items():
            value: Any = event
            for key in path.removeprefix("$.").split("."):
                value = value[key]
            text = text.replace(f"<{name}>", str(value))
        request: dict[str, Any] = json.loads(text)
        return request


def rules_of(graph: Graph) -> Iterator[Rule]:
    """Yield the rules of a stack that start a pipeline."""
    patterns = {rule["name"]: rule["eventPattern"] for rule in values_of(graph, "aws:cloudwatch/eventRule:EventRule")}
    for target in values_of(graph, "aws:cloudwatch/eventTarget:EventTarget"):
        if target["arn"].split(":")[2] != "codepipeline":
            continue
        transformer = target["inputTransformer"]
        yield Rule(
            name=target["rule"],
            pattern=patterns[target["rule"]],
            pipeline=target["arn"],
            role=target["roleArn"].rpartition("/")[2],
            paths=transformer["inputPaths"],
            template=transformer["inputTemplate"],
        )


def push_event(account: str, region: str, repository: str, tag: str, digest: str) -> dict[str, Any]:
    """Return the event of an image that has arrived in ECR."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "ECR Image Action",
        "source": "aws.ecr",
        "account": account,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [],
        "detail": {
            "result": "SUCCESS",
            "repository-name": repository,
            "image-digest": digest,
            "action-type": "PUSH",
            "image-tag": tag,
        },
    }


def upload_event(account: str, region: str, bucket: str, uploaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of an object that was uploaded to S3.

    Args:
        account: The account of the bucket.
        region: Where the bucket is.
        bucket: Its name.
        uploaded: The object: ``key``, ``size``, ``etag`` and ``version-id``.
    """
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": account,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {**uploaded, "sequencer": "0064D3901D00059242"},
            "requester": account,
            "reason": "PutObject",
        },
    }


_REVISION_TYPES = {
    "CodeStarSourceConnection": "COMMIT_ID",
    "ECR": "IMAGE_DIGEST",
    "S3": "S3_OBJECT_VERSION_ID",
}
"""https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_SourceRevisionOverride.html; the key of an object is
overridden only where the action allows it, which none here does.
"""


def revisions_of(request: Mapping[str, Any], deployed: Deployed) -> dict[str, str]:
    """Return the revision of each source action that a request to start a pipeline names.

    Raises:
        Refusal: There is no such action, or its provider has no revisions of this type.
    """
    revisions: dict[str, str] = {}
    for given in request["sourceRevisions"]:
        action = deployed.action(given["actionName"])
        wanted = _REVISION_TYPES.get(action.provider)
        if given["revisionType"] != wanted:
            raise Refusal(f"{action.name} of {deployed.pipeline} takes {wanted}, not {given['revisionType']}")
        revisions[action.name] = given["revisionValue"]
    return revisions


class Arrivals:
    """The images that arrive in some repositories of ECR, found by looking again."""

    def __init__(self, ecr: Any, repositories: Iterable[str]) -> None:  # noqa: ANN401 - a client, made at run time
        self._ecr, self._repositories = ecr, tuple(dict.fromkeys(repositories))
        self._known: dict[tuple[str, str], str] = {}
        self.new()

    def new(self) -> list[tuple[str, str, str]]:
        """Return repository, tag and digest of each tag that has come or moved since the last look."""
        found = []
        for repository in self._repositories:
            for image in self._ecr.describe_images(repositoryName=repository)["imageDetails"]:
                for tag in image.get("imageTags", ()):
                    if self._known.get((repository, tag)) != image["imageDigest"]:
                        self._known[repository, tag] = image["imageDigest"]
                        found.append((repository, tag, image["imageDigest"]))
        return found

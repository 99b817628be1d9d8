"""Say what a deployment changes of what the service runs, for the person who is asked to approve it.

Reads deployment.json and taskdef.json; looks at the service and changes nothing. What is short enough for the review of
CodePipeline goes to the approval: which image is replaced, how many keys of the task definition change, where the
commits between the two are, and a link to this log, which has each change. Variables: IMAGE_REPOSITORY_URI,
IMAGE_DIGEST, CLUSTER, SERVICE (names).
"""

from __future__ import annotations

import re
from typing import Any

from jobs import delivered, ecs_service, job, registry, task_definition, taskdef

MOST = 180
"""Characters of one text of the review: with a service's longest name all of it has 1,000.

https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
"""
COMPARISONS = {
    "https://github.com/": "compare/{before}...{after}",
    "https://gitlab.com/": "-/compare/{before}...{after}",
    "https://bitbucket.org/": "branches/compare/{after}%0D{before}",
}
"""Where Git providers show the commits between two, by the ``compareUrlFormat`` that changelogs of each are made with.

https://github.com/conventional-changelog/conventional-changelog-config-spec
"""
COMMIT = re.compile(r"([0-9a-f]{7,64})-[0-9a-f]{8}")
"""The tag that the build gives an image: its commit, and what else it is made from."""


def running(cluster: str, service: str) -> dict[str, Any]:
    """Return the task definition that serves; ends the job when there is no such service."""
    look = ("ecs", "describe-services", "--cluster", cluster, "--services", service)
    found = job.aws("Look at the service", *look)["services"]
    if not found:
        job.fail(f"the cluster {cluster} has no service {service}.")
    serves = ecs_service.serving(found[0])
    if "taskDefinition" not in serves:  # what CodeDeploy deploys has it in its task sets alone
        job.fail(f"{service} has no primary task set: it serves nobody yet, so there is nothing to compare with.")
    command = ("ecs", "describe-task-definition", "--task-definition", serves["taskDefinition"])
    return dict(job.aws("Look at what it runs", *command)["taskDefinition"])


def tags_of(image: str, repository: registry.Repository) -> list[str]:
    """Return the tags of an image of this repository; none of another one's, or of one that is gone."""
    name, _, digest = image.partition("@")
    if name != repository.uri or not digest:
        return []
    command = ("ecr", "describe-images", *repository.options())
    found = job.aws(
        "Look for its tags", *command, "--image-ids", f"imageDigest={digest}", absent="ImageNotFoundException"
    )
    return sorted(found["imageDetails"][0].get("imageTags", [])) if found else []


def comparison(source: str, before: str, after: str) -> str:
    """Return where the commits between two of them are, as far as they are known."""
    if not before or not after:
        return "not known"
    if before == after:
        return f"the same, {after}"
    path = next((path for server, path in COMPARISONS.items() if source.startswith(server)), "")
    return f"{source}/{path.format(before=before, after=after)}" if path else f"{before} to {after}"


def short(text: str) -> str:
    """Return the text, cut where it is too long for the review."""
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."


def log_url() -> str:
    """Return the address of this build in the console, as CodePipeline links it.

    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListActionExecutions.html
    """
    region, build = job.optional("AWS_REGION"), job.optional("CODEBUILD_BUILD_ID")
    return f"https://{region}.console.aws.amazon.com/codebuild/home?region={region}#/builds/{build}/view/new"


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    deployment = delivered.read_json("deployment.json", "container", "image", "commit", "source")
    wanted, container = taskdef.read(deployment), str(deployment["container"])
    before = running(job.require("CLUSTER"), job.require("SERVICE"))
    images = {part["name"]: str(part["image"]) for part in before["containerDefinitions"]}
    image = images.get(container, f"no container {container}")
    tags = tags_of(image, delivered.repository())
    commits = [found[1] for found in map(COMMIT.fullmatch, tags) if found]
    replaced = f"{' '.join(tags)} ({image.partition('@')[2][:19]})" if tags else image
    compared = comparison(str(deployment["source"]), commits[0] if commits else "", str(deployment["commit"]))
    # The family of what a service ran before it was delivered from here is another one, which changes nothing.
    ours = [part["name"] for part in wanted["containerDefinitions"] if part.get("image") == deployment["image"]]
    changes = task_definition.differences({**before, "family": wanted["family"]}, wanted, *ours)
    kept = image == deployment["image"]
    counted = f"{len(changes)} key{'' if len(changes) == 1 else 's'}" if changes else "nothing"
    besides = " and not the image" if kept else " besides the image"
    job.say(f"running:  {before['taskDefinitionArn']}, {replaced}")
    job.say(f"deployed: {deployment['image']}")
    job.say(f"commits:  {compared}")
    job.say(
        "\n".join([f"the task definition changes {counted}{besides}", *(f"  - {each.shown()}" for each in changes)])
    )
    job.export(RUNNING=short(replaced), CHANGES=f"{counted}{besides}", COMMITS=short(compared), REVIEW_URL=log_url())

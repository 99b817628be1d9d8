"""The stack files of one repository, one for each environment, wired to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.settings.reader.messages import as_yaml

TAG = "promoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a person says of an application.

    Attributes:
        name: What names everything that is made.
        repository: On GitHub, ``owner/name``.
        branch: Whose commits are delivered.
        port: Where the program listens.
        health_path: What the load balancer asks for.
        certificate: ARN of the certificate; ``None`` for plain HTTP.
        region: Of all stacks.
        environments: The first builds, the last is for users.
        several: Whether the clone serves several applications, so that a stack's name has the application's in front.
    """

    name: str
    repository: str
    branch: str
    port: int
    health_path: str
    certificate: str | None
    region: str
    environments: tuple[str, ...]
    several: bool = False

    def stack(self, environment: str) -> str:
        """Return the name of an environment's stack."""
        return f"{self.name}-{environment}" if self.several else environment

    def prefix(self, environment: str) -> str:
        """Return what the names of that stack's resources begin with."""
        return f"{self.name}-{environment}"


def files(answers: Answers) -> dict[str, str]:
    """Return the text of each stack file, by its name."""
    return {
        f"Pulumi.{answers.stack(environment)}.yaml": "\n".join([*_lines(answers, at), ""])
        for at, environment in enumerate(answers.environments)
    }


def _lines(answers: Answers, at: int) -> Iterator[str]:
    first, last = at == 0, at == len(answers.environments) - 1
    environment = answers.environments[at]
    yield "# yaml-language-server: $schema=stack-file.schema.json"
    yield f"# The {environment} stack of {answers.repository}; docs/configuration.md has every key."
    yield "config:"
    yield f"  aws:region: {answers.region}"
    yield "  ecs-delivery:application:"
    yield f"    name: {answers.name}"
    yield f"    port: {answers.port}"
    yield f"    healthCheckPath: {as_yaml(answers.health_path)}"
    yield f"    cpu: {256 if first and not last else 512}"
    yield f"    memory: {512 if first and not last else 1024}"
    yield f"    desiredCount: {2 if last else 1}"
    yield from _source(answers, at)
    yield "  ecs-delivery:deploy:"
    if last:
        yield "    strategy: linear"
        yield "    step: { percent: 20, intervalMinutes: 3 }"
    else:
        yield "    strategy: allAtOnce # the fastest"
        yield "    terminationWaitMinutes: 0"
    yield "  ecs-delivery:hosting: # a network, a load balancer, a cluster and a service are made"
    yield "    loadBalancer:"
    if answers.certificate:
        yield f"      certificateArn: {answers.certificate}"
        yield "      # domainName: the name that the certificate is for and users type; tests need it"
    else:
        yield "      plainHttp: true # before users come: certificateArn and domainName"
    if not last:
        yield "    alarms: { enabled: false } # they roll back, for which the old tasks must wait 5 minutes"
    yield from _stages(answers, at)
    yield "  ecs-delivery:pipeline:"
    yield f"    executionMode: {'queued' if last else 'superseded'}"
    if last:
        yield "  ecs-delivery:retention:"
        yield "    protect: true # `pulumi destroy` is refused"


def _source(answers: Answers, at: int) -> Iterator[str]:
    yield "  ecs-delivery:source:"
    if at == 0:
        yield "    github:"
        yield f"      repository: {answers.repository}"
        yield f"      branch: {as_yaml(answers.branch)}"
        yield "      # connectionArn: of an AVAILABLE connection; without it one is made, PENDING until you accept it"
        return
    here, before = answers.environments[at], answers.environments[at - 1]
    yield "    ecr:"
    yield f"      repository: {answers.prefix(here)} # what Pulumi.{answers.stack(before)}.yaml promotes into"
    yield f"      tag: {TAG}"
    yield "      create: true"
    yield f"      promoters: [{answers.prefix(before)}-promote-image]"
    yield "  ecs-delivery:verification:"
    yield "    provenance:"
    yield f"      source: https://github.com/{answers.repository}"
    yield f"      pipeline: {answers.prefix(answers.environments[0])} # it alone has built the image"


def _stages(answers: Answers, at: int) -> Iterator[str]:
    """The stages that need something of the application: off, a line each to switch them on."""
    first, last = at == 0, at == len(answers.environments) - 1
    if first:
        yield "  ecs-delivery:build:"
        yield "    smokeTest: { enabled: false } # true: the image of smoke/Dockerfile runs against each deployment"
    yield "  ecs-delivery:tests:"
    yield "    enabled: false # true: Lighthouse judges each deployment; a page without title and lang does not pass"
    if not last:
        after = answers.environments[at + 1]
        yield "  ecs-delivery:promotion:"
        yield "    enabled: true"
        yield f"    repository: {answers.prefix(after)} # what Pulumi.{answers.stack(after)}.yaml watches"
        yield f"    tag: {TAG}"
        return
    yield "  ecs-delivery:release:"
    yield "    enabled: false # true: a version tag and a GitHub release, with a token in the secret below"
    yield "    github:"
    yield f"      repository: {answers.repository}"
    yield f"      tokenSecret: {answers.name}/github-token # the name of a secret, never a token"


def gaps(stacks: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield where stack files of one clone do not hand an image on to each other.

    Args:
        stacks: The configuration of each stack, as ``load_stack_file`` returns it.
    """
    sections = {
        stack: {key.removeprefix("ecs-delivery:"): value for key, value in values.items() if isinstance(value, Mapping)}
        for stack, values in stacks.items()
    }
    watched = {
        (ecr.get("repository"), ecr.get("tag")): stack
        for stack, given in sections.items()
        if isinstance(ecr := given.get("source", {}).get("ecr"), Mapping)
    }
    handed_on = []
    for stack, given in sections.items():
        promotion = given.get("promotion", {})
        if not promotion.get("enabled") or promotion.get("accountId") or promotion.get("region"):
            continue
        into = promotion.get("repository"), promotion.get("tag", TAG)
        handed_on.append(into)
        if into not in watched:
            yield (
                f"Pulumi.{stack}.yaml promotes into {into[0]}:{into[1]}, and no stack file watches that: "
                "the image goes no further"
            )
            continue
        receiver = sections[watched[into]]
        names = given.get("application", {}).get("name"), receiver.get("application", {}).get("name")
        if names[0] != names[1]:
            yield f"Pulumi.{stack}.yaml promotes {names[0]}, and Pulumi.{watched[into]}.yaml delivers {names[1]}"
        yield from _not_admitted(stack, given, watched[into], receiver)


def _not_admitted(stack: str, given: Mapping[str, Any], receiver: str, received: Mapping[str, Any]) -> Iterator[str]:
    """A repository that takes no image of the stack that promotes into it."""
    name = str(given.get("application", {}).get("name"))
    role = f"{name}-{stack.removeprefix(f'{name}-')}-promote-image"
    promoters: Sequence[str] = received["source"]["ecr"].get("promoters") or ()
    if promoters and not any(str(one).rpartition("/")[2] == role for one in promoters):
        yield (
            f"Pulumi.{receiver}.yaml admits {', '.join(map(str, promoters))}, and Pulumi.{stack}.yaml promotes by "
            f"{role}: add it to source.ecr.promoters"
        )

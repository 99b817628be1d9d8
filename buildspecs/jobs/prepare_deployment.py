"""Put the images' digests into the task definition's template and write everything a deployment reads.

Reads image.json and the template that the program stored; cross-checks container, port and digest. Writes taskdef.json,
appspec.yaml, imageDetail.json (CodeDeploy), imagedefinitions.json (Amazon ECS action), deployment.json (later stages).
Before a deployment that ships images only, it also compares the template with what the service runs. Of a service that
exists already, what it runs (or a file of the commit) is the base, and the template holds what the stack file states.

Variables: TASK_DEFINITION_TEMPLATE (s3:// address), CONTAINER_NAME (of the application's own), CONTAINER_PORT (that the
load balancer sends requests to), LOAD_BALANCER_CONTAINER (the container that they go to; empty for the application's
own), DELIVERY_ENVIRONMENT (the environment's name, for the variables that say what is delivered; empty for none),
APPSPEC (JSON: what the AppSpec says of network and capacity provider; empty for a service that keeps its own),
IMAGE_ONLY (true: the deployment changes nothing of the running task definition but the image; or false), CLUSTER and
SERVICE (names), IMAGE_REPOSITORY_URI, IMAGE_DIGEST, RELEASED (true: the version is released after the deployment, so
its tag must be free or on this image; or false), TAG_PREFIX (of that tag, may be empty), EXISTING (true: the service
exists already; or false), and for such a one STACK (whose file says so), TASK_DEFINITION_FILE (of the commit, the base
instead of what runs; may be empty), TAKE_OVER (true: changes of what runs are agreed to; or false), CONTROLLER (its
deployment controller), IMAGE_PLATFORM (of the image). Of the images that are delivered with the application's:
FURTHER_IMAGES (JSON object: the name of each, and its repository) and FURTHER_DIGESTS (`name=digest`, with spaces
between them); both empty without any.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from jobs import delivered, further_images, inputs, job, registry, takeover, task_definition, version_tag

PLACEHOLDER = "<IMAGE>"
"""What stands in the template for the application's image."""
BESIDE = "<IMAGE:{}>"
"""What stands there for an image of this name that is delivered with it."""
FAMILY = ("family", "containerDefinitions")
NEEDED = ("family", "containerDefinitions", "networkMode", "requiresCompatibilities", "cpu", "memory")


def template(address: str, needed: tuple[str, ...]) -> dict[str, Any]:
    """The task definition as the program rendered it, still without the image."""
    if not address.startswith("s3://"):
        job.fail(f"TASK_DEFINITION_TEMPLATE must be an s3:// address, got {address!r}.", job.MISUSED)
    text = job.run("Fetch the task definition's template", "aws", "s3", "cp", address, "-").output
    try:
        definition = json.loads(text)
    except ValueError as error:
        job.fail(f"the task definition's template is not JSON: {error}. Look at {address}.")
    missing = [key for key in needed if not isinstance(definition, dict) or not definition.get(key)]
    if missing:
        job.fail(f"the template {address} lacks {', '.join(missing)}.")
    return dict(definition)


def chosen_container(definition: dict[str, Any], name: str, port: str) -> dict[str, Any]:
    """The application's container; ends the job when it is not there or does not map the port."""
    containers: dict[str, dict[str, Any]] = {part.get("name"): part for part in definition["containerDefinitions"]}
    if name not in containers:
        job.fail(f"the task definition has no container {name!r}; it has {', '.join(map(repr, containers))}.")
    ports = [str(mapping.get("containerPort")) for mapping in containers[name].get("portMappings", [])]
    if port not in ports:
        job.fail(f"container {name!r} does not map port {port}; it maps {', '.join(ports) or 'none'}.")
    return containers[name]


def appspec(container: str, port: int, placement: dict[str, Any]) -> dict[str, Any]:
    """CodeDeploy's application specification; the action itself fills in the task definition's ARN."""
    properties = {
        "TaskDefinition": "<TASK_DEFINITION>",
        "LoadBalancerInfo": {"ContainerName": container, "ContainerPort": port},
        **placement,
    }
    return {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}]}


def look_up_service(cluster: str, service: str) -> dict[str, Any]:
    """What ECS knows of the service; ends the job when it is not there."""
    answer = job.aws("Look up the service", "ecs", "describe-services", "--cluster", cluster, "--services", service)
    if not answer["services"]:
        job.fail(f"the cluster {cluster} has no service {service}.")
    return dict(answer["services"][0])


def refuse_lost_edits(
    found: dict[str, Any], definition: dict[str, Any], names: list[str], images: dict[str, str], address: str
) -> None:
    """End the job when the service runs another definition: the Amazon ECS action would silently lose the edit."""
    cluster, service = job.require("CLUSTER"), job.require("SERVICE")
    arn = found["taskDefinition"]
    command = ("ecs", "describe-task-definition", "--task-definition", arn)
    running = job.aws("Look up what it runs", *command)["taskDefinition"]
    changes = task_definition.differences(running, definition, *names)
    if not changes:
        return
    lines = "\n".join(f"  - {change.shown()}" for change in changes)
    puts = (f'(.containerDefinitions[]|select(.image=="{stands}")).image="{uri}"' for stands, uri in images.items())
    edit = f"jq '{'|'.join(puts)}'"
    job.fail(
        f"the Amazon ECS action ships nothing but the image, and {service} runs {arn},\n"
        f"which differs from the stack file:\n{lines}\n"
        "Either set deploy.engine to ecs or codeDeploy, which ship all of it, or register it once by hand:\n"
        f"  aws s3 cp {address} - | {edit} > taskdef.json\n"
        "  aws ecs register-task-definition --cli-input-json file://taskdef.json\n"
        f"  aws ecs update-service --cluster {cluster} --service {service} --task-definition {definition['family']}\n"
        "and then retry this action."
    )


def refuse_another_capacity_provider(found: dict[str, Any], placement: dict[str, Any]) -> None:
    """End the job when the service runs on another capacity provider: the Amazon ECS action would leave it there."""
    wanted = [entry["CapacityProvider"] for entry in placement.get("CapacityProviderStrategy", [])]
    cluster, service = job.require("CLUSTER"), job.require("SERVICE")
    running = [entry["capacityProvider"] for entry in found.get("capacityProviderStrategy", [])]
    if wanted and running != wanted:
        strategy = " ".join(f"capacityProvider={name},weight=1" for name in wanted)
        job.fail(
            f"the Amazon ECS action ships nothing but the image, and {service} runs on {', '.join(running) or 'none'}, "
            f"not on {', '.join(wanted)} as the stack file says.\n"
            "Either set deploy.engine to ecs or codeDeploy, which ship it, or do it once by hand:\n"
            f"  aws ecs update-service --cluster {cluster} --service {service} --force-new-deployment "
            f"--capacity-provider-strategy {strategy}\n"
            "and then retry this action."
        )


def write_checked(why: str, definition: dict[str, Any]) -> None:
    """Write taskdef.json; ends the job, in the words of the AWS CLI, when it is no task definition."""
    job.write_json("taskdef.json", definition)
    # With this option the AWS CLI holds the file against ECS's model and calls nobody.
    check = ("--cli-input-json", "file://taskdef.json", "--generate-cli-skeleton", "output")
    job.run(why, "aws", "ecs", "register-task-definition", *check)


class Prepared(NamedTuple):
    """What is deployed: the task definition, what the stack file gives of it, where users reach it, and its placement.

    Only the variables of what is given are shown: a service that exists may have secrets in clear.
    """

    definition: dict[str, Any]
    given: dict[str, Any]
    container: str
    port: int
    placement: dict[str, Any]


def environment_of(definition: dict[str, Any], container: str) -> dict[str, str]:
    """The variables of a container."""
    own = next(part for part in definition["containerDefinitions"] if part.get("name") == container)
    return {entry["name"]: entry.get("value", "") for entry in own.get("environment", [])}


def rendered(definition: dict[str, Any], reached: str, port: str, placement: dict[str, Any]) -> Prepared:
    """The whole template; requests reach this container."""
    chosen_container(definition, reached, port)
    return Prepared(definition, definition, reached, int(port), placement)


def about(image: dict[str, Any], environment: str) -> dict[str, str]:
    """The variables that say what is delivered."""
    return {
        "DELIVERY_COMMIT": str(image["commit"] or ""),
        "DELIVERY_ENVIRONMENT": environment,
        "DELIVERY_VERSION": str(image["version"] or image["tag"] or image["digest"]),
    }


def put_variables(definition: dict[str, Any], containers: list[str], variables: dict[str, str]) -> None:
    """Put variables into these containers, in the order of their names; one that the stack file gives stays."""
    for part in definition["containerDefinitions"]:
        if part.get("name") in containers:
            given = {entry["name"]: entry["value"] for entry in part.get("environment", [])}
            part["environment"] = [
                {"name": name, "value": value} for name, value in sorted({**variables, **given}.items())
            ]


def put_images(definition: dict[str, Any], container: str, images: dict[str, str]) -> dict[str, str]:
    """Put the images into the containers that take them.

    Returns:
        the image of each of these containers by its name, the application's own first.
    """
    put: dict[str, str] = {}
    for part in definition["containerDefinitions"]:
        stands = PLACEHOLDER if part.get("name") == container else str(part.get("image"))
        if stands in images:
            part["image"] = put[str(part["name"])] = images[stands]
    left = [str(part["name"]) for part in definition["containerDefinitions"] if str(part.get("image")).startswith("<")]
    if left:
        job.fail(
            f"the template has images for {', '.join(map(repr, left))} that this pipeline does not build: the stack "
            "file was changed meanwhile. Start the pipeline again."
        )
    return dict(sorted(put.items(), key=lambda item: item[0] != container))


def of_the_run(image: dict[str, Any]) -> dict[str, registry.Image]:
    """Every image that is delivered, by what stands for it in the template; ends the job when one is not there."""
    images = {PLACEHOLDER: delivered.image()}
    images |= {BESIDE.format(name): beside for name, beside in further_images.delivered().items()}
    for each in images.values():
        if not registry.digest_of(each.repository, f"imageDigest={each.digest}"):
            job.fail(f"{each.uri} is no longer in the registry: a lifecycle rule or a person has removed it.")
        if job.require("RELEASED") == "true":
            version_tag.is_on(each.repository, each.digest, version_tag.of(image))
    return images


def taken_over(stated: dict[str, Any], container: str, port: str, image: dict[str, Any]) -> Prepared:
    """What a service that exists runs, with what the stack file states."""
    file = image.get("taskDefinition", {})
    wanted = takeover.Wanted(
        stack=job.require("STACK"),
        cluster=job.require("CLUSTER"),
        service=job.require("SERVICE"),
        container=container,
        port=port,
        controller=job.require("CONTROLLER"),
        platform=job.require("IMAGE_PLATFORM"),
        file=job.optional("TASK_DEFINITION_FILE"),
        agreed=job.require("TAKE_OVER") == "true",
        image_only=job.require("IMAGE_ONLY") == "true",
        repository=delivered.repository().uri,
    )
    if wanted.file and not (file and isinstance(file, dict)):
        job.fail(f"image.json has no task definition of {wanted.file}: run the pipeline from its first stage.")
    if wanted.file:
        file = {**task_definition.as_registered(file), "family": stated["family"]}
        write_checked(f"Check {wanted.file}, the task definition file of the commit", file)
    running = takeover.look(wanted)
    definition = takeover.definition(wanted, running, stated, file)
    # Users may reach another container than the one that is delivered, such as a proxy in front of it.
    reached, reached_port = (*running.balancers, (container, port))[0]
    return Prepared(definition, stated, reached, int(reached_port), running.appspec())


def main() -> None:
    """Do the job."""
    job.start(__doc__, "aws --version")
    address, name = job.require("TASK_DEFINITION_TEMPLATE"), job.require("CONTAINER_NAME")
    mapped = job.require("CONTAINER_PORT")
    placement = inputs.parsed("APPSPEC", job.optional("APPSPEC"), dict)
    image_only = job.require("IMAGE_ONLY") == "true"
    image = delivered.read_json("image.json", "uri", "tag", "commit", "version", "source", "created")
    existing = job.require("EXISTING") == "true"
    stated, of_run = job.at_once(lambda: template(address, FAMILY if existing else NEEDED), lambda: of_the_run(image))
    images = {stands: each.uri for stands, each in of_run.items()}

    reached = job.optional("LOAD_BALANCER_CONTAINER") or name
    prepared = taken_over(stated, name, mapped, image) if existing else rendered(stated, reached, mapped, placement)
    definition = prepared.definition
    put = put_images(definition, name, images)
    if environment := job.optional("DELIVERY_ENVIRONMENT"):
        own = [container for container, uri in put.items() if uri == image["uri"]]
        put_variables(definition, own, about(image, environment))
    without = [c.get("name") for c in definition["containerDefinitions"] if not c.get("image")]
    if without:
        job.fail(f"the template gives no image for {', '.join(map(repr, without))}.")
    if image_only and not existing:
        found = look_up_service(job.require("CLUSTER"), job.require("SERVICE"))
        refuse_lost_edits(found, definition, list(put), images, address)
        refuse_another_capacity_provider(found, placement)

    write_checked("Check the task definition", definition)
    specification = appspec(prepared.container, prepared.port, prepared.placement)
    job.write_json("appspec.yaml", specification)  # JSON is YAML
    job.write_json("imageDetail.json", {"ImageURI": image["uri"]})
    job.write_json("imagedefinitions.json", [{"name": each, "imageUri": uri} for each, uri in put.items()])
    facts = {key: image[key] for key in ("repository", "digest", "tag", "commit", "version", "source", "created")}
    where = {"container": name, "reached": prepared.container, "port": prepared.port}
    shown = {**where, "environment": environment_of(prepared.given, name)}
    beside = further_images.delivered()
    deployment = {**shown, "image": image["uri"], **facts}
    if beside:
        deployment["furtherImages"] = {each: found.uri for each, found in beside.items()}
    job.write_json("deployment.json", deployment)
    job.say(json.dumps(deployment, indent=2))
    job.export(
        DEPLOYED_COMMIT=image["commit"] or "",
        DEPLOYED_VERSION=image["version"] or image["tag"] or image["digest"],
        FURTHER_DIGESTS=further_images.as_variable({each: found.digest for each, found in beside.items()}),
    )

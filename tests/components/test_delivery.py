"""The whole program: every combination of toggles, the invariants of every graph, the reviewed summaries."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import itertools
import json
import keyword
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

import pulumi
import pytest
from mocked import Graph, Resource, build_program
from summary import GOLDEN, graph_names, program, stack_files, summary

from components.foundation.iam import UNSCOPEABLE, UNSCOPED
from components.jobs import buildspec
from components.jobs.buildspec import load_buildspec
from components.settings import load_stack_file

TOGGLES = ("smokeTest", "staticFiles", "tests", "promotion", "release")
COMBINATIONS = list(itertools.product((False, True), repeat=len(TOGGLES)))

VARIABLES: Mapping[str, str] = {"tests": "LIGHTHOUSE_RUNS", "release": "PRERELEASE"}


def stack_file(on: frozenset[str], *, protect: bool = False) -> dict[str, object]:
    """A stack file with the given toggles on and everything else the same."""
    return {
        "aws:region": "eu-west-1",
        "ecs-delivery:application": {"name": "shop"},
        "ecs-delivery:source": {"github": {"repository": "example/shop"}},
        "ecs-delivery:build": {"smokeTest": {"enabled": "smokeTest" in on}},
        "ecs-delivery:deploy": {
            "staticFiles": {"enabled": "staticFiles" in on, "bucket": "shop-static", "upload": {"path": "public"}},
        },
        "ecs-delivery:hosting": {
            "existing": {
                "cluster": "shop",
                "service": "shop",
                "executionRole": "shop-execution",
                "loadBalancer": "shop",
                "listeners": {"production": 80, "test": 8080},
                "targetGroups": ["shop-blue", "shop-green"],
            }
        },
        "ecs-delivery:tests": {"enabled": "tests" in on},
        "ecs-delivery:promotion": {"enabled": "promotion" in on, "repository": "shop-prod"},
        "ecs-delivery:release": {"enabled": "release" in on, "github": {"tokenSecret": "shop/github"}},
        "ecs-delivery:retention": {"protect": protect},
    }


@cache
def combination(on: frozenset[str]) -> Graph:
    return build_program(stack_file(on))


def chosen(flags: tuple[bool, ...]) -> frozenset[str]:
    return frozenset(itertools.compress(TOGGLES, flags))


def label(flags: tuple[bool, ...]) -> str:
    return "+".join(sorted(chosen(flags))) or "none"


@pytest.fixture(params=COMBINATIONS, ids=label, scope="module")
def on(request: pytest.FixtureRequest) -> frozenset[str]:
    return chosen(request.param)


@pytest.fixture(
    params=[*COMBINATIONS, *graph_names()],
    ids=lambda param: param if isinstance(param, str) else label(param),
    scope="module",
)
def graph(request: pytest.FixtureRequest) -> Graph:
    """The graph of every combination and of every stack file in the repository."""
    return program(request.param) if isinstance(request.param, str) else combination(chosen(request.param))


@cache
def needs() -> Mapping[str, frozenset[str]]:
    """The toggles without which an action is in no pipeline, for the job of each."""
    found: dict[str, frozenset[str]] = {}
    for on in map(chosen, COMBINATIONS):
        for job in run_jobs(combination(on)):
            found[job] = found.get(job, on) & on
    return found


def run_jobs(graph: Graph) -> frozenset[str]:
    """The jobs that the pipeline's actions run."""
    configured = [action["configuration"] for action in actions(graph)]
    return frozenset(each["ProjectName"].removeprefix("shop-dev-") for each in configured if "ProjectName" in each)


def wanted_jobs(on: frozenset[str]) -> frozenset[str]:
    return frozenset(job for job, toggles in needs().items() if toggles <= on)


def job_of(project: Resource) -> str:
    return str(project.inputs["name"]).removeprefix("shop-dev-")


def statements(graph: Graph) -> Iterator[tuple[str, dict[str, Any]]]:
    for policy in graph.of("RolePolicy"):
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            yield policy.name, statement


def actions(graph: Graph) -> list[dict[str, Any]]:
    return [action for items in graph.stages.values() for action in items]


# --- toggles ------------------------------------------------------------------------------------------------------


def test_the_pipeline_has_exactly_the_stages_that_are_on(on: frozenset[str]) -> None:
    expected = ["Source", "Build"]
    expected += ["Deploy"]
    expected += ["Test"] if "tests" in on else []
    expected += ["Promote"] if "promotion" in on else []
    expected += ["Release"] if "release" in on else []
    assert list(combination(on).stages) == expected


def test_static_files_are_published_before_the_service_is_deployed_and_pruned_after_it(on: frozenset[str]) -> None:
    """Whichever version is running finds its files; a deployment that fails leaves those of both."""
    deploying = {"DeployService", "WatchDeployment"}
    expected = [{"PublishStaticFiles"}, deploying, {"PruneStaticFiles"}] if "staticFiles" in on else [deploying]
    deploy = combination(on).stages["Deploy"]
    orders = sorted({action["runOrder"] for action in deploy})
    assert [{action["name"] for action in deploy if action["runOrder"] == order} for order in orders] == expected


def test_every_job_after_the_build_gets_the_digest_from_the_pipeline_itself(on: frozenset[str]) -> None:
    """An artifact could be rewritten by another job; a pipeline variable could not."""
    for name in ("PrepareDeployment", "PromoteImage", "TagImage", "CreateGitHubRelease"):
        for action in (item for items in combination(on).stages.values() for item in items if item["name"] == name):
            given = {
                item["name"]: item["value"] for item in json.loads(action["configuration"]["EnvironmentVariables"])
            }
            assert given["IMAGE_DIGEST"] == "#{BuildImage.IMAGE_DIGEST}", name


def test_each_toggle_has_jobs_of_its_own() -> None:
    """Else a toggle that does nothing would pass the tests below."""
    assert {next(iter(toggles)) for toggles in needs().values() if len(toggles) == 1} == {*TOGGLES}


def test_a_toggle_decides_on_its_actions_alone(on: frozenset[str]) -> None:
    assert run_jobs(combination(on)) == wanted_jobs(on)


def test_a_toggle_that_is_off_leaves_no_build_project_behind(on: frozenset[str]) -> None:
    assert {job_of(project) for project in combination(on).of("Project")} == wanted_jobs(on)


def test_a_toggle_that_is_off_leaves_no_role_and_no_log_group_behind(on: frozenset[str]) -> None:
    graph = combination(on)
    jobs = len(wanted_jobs(on))
    others = 2  # the pipeline's own role and CodeDeploy's
    own = {"smokeTest", "tests"} <= on  # the smoke test's task has an execution role and a log
    assert len(graph.of("aws:iam/role:Role")) == jobs + others + own
    assert len(graph.of("LogGroup")) == jobs + 1 + own  # and the containers' own


def test_a_toggle_that_is_off_leaves_no_permission_behind(on: frozenset[str]) -> None:
    started = {
        resource.rsplit("/", 1)[1].removeprefix("shop-dev-")
        for _, statement in statements(combination(on))
        if "codebuild:StartBuild" in statement["Action"]
        for resource in statement["Resource"]
    }
    assert started == wanted_jobs(on)


def test_a_toggle_that_is_off_leaves_no_pipeline_variable_behind(on: frozenset[str]) -> None:
    names = {item["name"] for item in combination(on).pipeline.get("variables", [])}
    assert names == {name for toggle, name in VARIABLES.items() if toggle in on}


def test_a_report_group_exists_only_for_lighthouse(on: frozenset[str]) -> None:
    """CodeBuild would make it by itself, and nobody would ever delete it."""
    names = [item.inputs["name"] for item in combination(on).of("ReportGroup")]
    assert names == (["shop-dev-run-lighthouse-lighthouse"] if "tests" in on else [])


def test_a_smoke_test_repository_exists_only_for_smoke_tests(on: frozenset[str]) -> None:
    names = {item.inputs["name"] for item in combination(on).of("aws:ecr/repository:Repository")}
    built = {"shop-dev", "shop-dev-build-tools"}
    assert names == built | ({"shop-dev-smoke-test"} if "smokeTest" in on else set())


@pytest.mark.parametrize("toggle", TOGGLES)
def test_switching_a_toggle_on_changes_nothing_of_the_others_but_the_pipeline(toggle: str) -> None:
    """A stack edit that adds a stage must not rebuild what is there."""
    before, after = combination(frozenset()), combination(frozenset({toggle}))
    changed = {"shop-delivery-pipeline", "shop-delivery-policy"}
    if toggle == "release":
        changed.add("shop-prepare-deployment-project")  # looks ahead whether the version can be released
        changed.add("shop-registry-app-policy")  # the job that puts the version on the image may
    if toggle == "smokeTest":
        changed.add("shop-registry-build-tools-policy")  # the build of its image may, too
    for urn, resource in before.resources.items():
        if resource.name in changed:
            continue
        assert comparable(after.resources[urn]) == comparable(resource)


def comparable(resource: Resource) -> dict[str, object]:
    """The inputs of a resource; two assets of one file are not equal in Python."""
    return {key: value.path if isinstance(value, pulumi.FileAsset) else value for key, value in resource.inputs.items()}


# --- invariants of every graph --------------------------------------------------------------------------------------


def test_every_resource_is_the_child_of_its_component_and_named_after_it(graph: Graph) -> None:
    roots = [item for item in graph if item.parent not in graph.resources]
    assert [item.type for item in roots] == ["ecs-delivery:index:Delivery"]
    for item in graph:
        if item.parent in graph.resources:
            parent = graph.resources[item.parent]
            assert not parent.custom, f"{item.name} hangs below {parent.type}"
            after = roots[0].name if item.type == "ecs-delivery:index:BuildProject" else parent.name
            assert item.name.startswith(f"{after}-"), f"{item.name} is not named after {after}"


def test_every_component_registers_its_outputs(graph: Graph) -> None:
    """Without it Pulumi shows a component as unfinished, and its outputs as empty; others' do so where they run."""
    assert {item.urn for item in graph if not item.custom and not item.remote} == set(graph.registered_outputs)


def test_component_types_are_well_formed(graph: Graph) -> None:
    """The reviewed summaries show each of them: a renamed one would replace all that is in it."""
    used = {item.type for item in graph if not item.custom and not item.remote}
    assert all(re.fullmatch(r"ecs-delivery:(index|stage|hosting):[A-Z][A-Za-z]+", token) for token in used)


def test_every_taggable_resource_carries_the_tags(graph: Graph) -> None:
    for item in graph:
        if (item.custom or item.remote) and _taggable(item.type):
            assert set(item.inputs.get("tags", {})) == {"Application", "Environment", "ManagedBy"}, item.urn


@cache
def _taggable(token: str) -> bool:
    package, module, name = token.split(":")
    folder = module.split("/")[0]
    folder = f"{folder}_" if keyword.iskeyword(folder) else folder
    cls = getattr(importlib.import_module(f"pulumi_{package}.{folder}"), name)
    return "tags" in inspect.signature(cls._internal_init).parameters


def test_no_permission_is_broader_than_aws_makes_it(graph: Graph) -> None:
    for policy, statement in statements(graph):
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            assert "*" not in action, f"{policy}: {statement}"
            everywhere = action in UNSCOPEABLE or action in UNSCOPED
            assert everywhere or "*" not in statement["Resource"], f"{policy}: {statement}"


def test_no_role_may_write_what_decides_what_a_job_does(graph: Graph) -> None:
    """The bundle of the jobs, the locks and the template lie beside the artifacts, which every build may write."""
    kept = [f"{item.inputs['bucket']}/{item.inputs['key']}" for item in graph.of("BucketObjectv2")]
    assert [key for key in kept if "/_jobs/" in key]
    for policy, statement in statements(graph):
        if any(action.startswith(("s3:Put", "s3:Delete", "s3:Restore")) for action in statement["Action"]):
            for arn, key in itertools.product(statement["Resource"], kept):
                assert not fnmatch.fnmatchcase(f"arn:aws:s3:::{key}", arn), f"{policy} may write {key}"


def test_a_repository_that_is_built_into_admits_the_jobs_that_push_there_and_nobody_else(graph: Graph) -> None:
    """The tag of a source tree says what is delivered of it, so that nobody else may put one on an image."""
    arns = {item.outputs["name"]: item.outputs["arn"] for item in graph.of("aws:iam/role:Role")}
    push: dict[str, set[str]] = {}
    for item in graph.of("RolePolicy"):
        for statement in json.loads(item.inputs["policy"])["Statement"]:
            for arn in statement["Resource"] if "ecr:PutImage" in statement["Action"] else ():
                push.setdefault(arn.partition(":repository/")[2], set()).add(arns[item.inputs["role"]])
    admitted = {
        item.inputs["repository"]: set(
            json.loads(item.inputs["policy"])["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        )
        for item in graph.of("RepositoryPolicy")
    }
    built = {
        item.inputs["name"]
        for item in graph.of("aws:ecr/repository:Repository")
        if [one["filter"] for one in item.inputs.get("imageTagMutabilityExclusionFilters", ())] in ([], ["buildcache*"])
    }
    assert {name: admitted.get(name) for name in built} == {name: push[name] for name in built}


def test_no_event_of_a_pull_request_starts_anything(graph: Graph) -> None:
    """Whoever may only propose a change has nothing built by this stack, and nothing pushed into its repositories."""
    (pipeline,) = graph.of("aws:codepipeline/pipeline:Pipeline")
    for trigger in pipeline.inputs["triggers"]:
        assert set(trigger["gitConfiguration"]) == {"sourceActionName", "pushes"}
    assert graph.of("aws:codebuild/webhook:Webhook") == []


def test_a_role_passes_roles_to_one_named_service_only(graph: Graph) -> None:
    for policy, statement in statements(graph):
        if "iam:PassRole" in statement["Action"]:
            assert statement["Action"] == ["iam:PassRole"], policy
            # The role that moves traffic is ECS's own, and not its tasks'.
            service = "ecs" if statement["Sid"] == "PassInfrastructureRole" else "ecs-tasks"
            assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}, (
                policy
            )


def test_every_role_trusts_one_service_for_this_account_or_named_roles(graph: Graph) -> None:
    for role in graph.of("aws:iam/role:Role"):
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        if "AWS" in statement["Principal"]:
            assert all(":role/" in arn for arn in statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]), role.name
        else:
            assert isinstance(statement["Principal"]["Service"], str), role.name
            (account,) = (keys for operator, keys in statement["Condition"].items() if operator.startswith("String"))
            assert account == {"aws:SourceAccount": "123456789012"}, role.name


def test_no_two_projects_share_a_role(graph: Graph) -> None:
    roles = [project.inputs["serviceRole"] for project in graph.of("Project")]
    assert len(roles) == len(set(roles))


def test_every_project_writes_to_its_own_log_group_and_no_other_exists(graph: Graph) -> None:
    groups = {item.inputs["name"] for item in graph.of("LogGroup") if item.inputs["name"].startswith("/aws/codebuild/")}
    written = {project.inputs["logsConfig"]["cloudwatchLogs"]["groupName"] for project in graph.of("Project")}
    assert groups == written == {f"/aws/codebuild/{project.inputs['name']}" for project in graph.of("Project")}


def test_exactly_the_builders_of_images_are_privileged(graph: Graph) -> None:
    """And the checks that ask for it by ``docker: true``: what else runs has no Docker daemon beside it.

    A builder is known by its buildspec, and not by its name.
    """
    projects = {item.inputs["name"]: item.inputs for item in graph.of("Project")}
    privileged = {name for name, inputs in projects.items() if inputs["environment"]["privilegedMode"]}
    builds = {name for name, inputs in projects.items() if '"$JOBS_DIR/jobs.pyz" build-image' in specification(inputs)}
    asked = {"shop-everything-on-check-licenses"} & projects.keys()  # by `docker: true`
    assert privileged == builds | asked


def specification(project: Mapping[str, Any]) -> str:
    """What a project runs."""
    return str(project["source"]["buildspec"])


def test_the_pipeline_may_start_exactly_the_projects_of_its_actions(graph: Graph) -> None:
    projects = {item.inputs["name"]: item.outputs["arn"] for item in graph.of("Project")}
    used = {action["configuration"]["ProjectName"] for action in actions(graph) if action["provider"] == "CodeBuild"}
    granted = {
        resource
        for policy, statement in statements(graph)
        if "codebuild:StartBuild" in statement["Action"]
        for resource in statement["Resource"]
    }
    assert used == set(projects)
    assert granted == set(projects.values())


def test_nobody_but_the_pipeline_starts_builds_and_nobody_changes_what_runs(graph: Graph) -> None:
    """A stolen role of a job starts nothing, so it cannot run a project with another buildspec, image or role."""
    runs = re.compile(r"(codebuild:(Start|Retry)|codepipeline:(Start|Retry|PutApproval|Rollback|Override))")
    changes = re.compile(r"(codebuild|codepipeline):\w*(Project|Pipeline|Webhook|Credential|Transition|Policy)s?$")
    reads = re.compile(r"\w+:(Get|List|BatchGet|Describe)")
    held = {
        (policy, action)
        for policy, statement in statements(graph)
        for action in statement["Action"]
        if (runs.match(action) or changes.match(action)) and not reads.match(action)
    }
    pipeline = {holder for holder, action in held if action == "codebuild:StartBuild"}
    rules = {holder for holder, action in held if action == "codepipeline:StartPipelineExecution"}
    assert pipeline == {"shop-delivery-policy"}
    assert held <= {("shop-delivery-policy", "codebuild:StartBuild")} | {
        (holder, "codepipeline:StartPipelineExecution") for holder in rules
    }
    assert all(re.fullmatch(r"shop-delivery-on-(image-push|upload)-policy", holder) for holder in rules)


def test_every_artifact_is_written_once_before_it_is_read(graph: Graph) -> None:
    """Seen from the rendered pipeline, independently of the model's own validation."""
    written: list[str] = []
    for items in graph.stages.values():
        for order in sorted({action["runOrder"] for action in items}):
            batch = [action for action in items if action["runOrder"] == order]
            for action in batch:
                assert set(action.get("inputArtifacts", [])) <= set(written), action["name"]
            written += [artifact for action in batch for artifact in action.get("outputArtifacts", [])]
    assert len(written) == len(set(written))
    assert len({artifact[:10] for artifact in written}) == len(written), "CodePipeline cuts names at ten characters"


def test_every_secret_a_buildspec_needs_is_a_reference(graph: Graph) -> None:
    for project in graph.of("Project"):
        variables = project.inputs["environment"]["environmentVariables"]
        by_type = {item["name"]: item["type"] for item in variables}
        text = project.inputs["source"]["buildspec"]
        jobs = () if buildspec.is_of_the_application(text) else buildspec.jobs_of(text)
        needed = {secret for job in jobs for secret in load_buildspec(job).secrets}
        assert {name for name, kind in by_type.items() if kind == "SECRETS_MANAGER"} == needed


def test_the_pipeline_waits_for_the_permissions_of_its_role(graph: Graph) -> None:
    """A new pipeline runs at once; a role without its policy would fail that first run."""
    pipeline = graph.one("aws:codepipeline/pipeline:Pipeline")
    names = {graph.resources[urn].type for urn in pipeline.dependencies if urn in graph.resources}
    assert {"aws:iam/rolePolicy:RolePolicy", "aws:s3/bucketPolicy:BucketPolicy"} <= names


def test_nothing_is_asked_of_aws_but_listeners_given_by_port(graph: Graph) -> None:
    """Every data source is a round trip in every preview."""
    assert set(graph.invokes) <= {"aws:lb/getLoadBalancer:getLoadBalancer", "aws:lb/getListener:getListener"}


def test_every_export_is_known_by_name(graph: Graph) -> None:
    always = {"pipelineName", "pipelineUrl", "artifactBucket", "repositoryUrl", "accountNeeds", "nextSteps"}
    sometimes = {"serviceUrl", "listenerUrls", "smokeTestRepositoryUrl", "promotionRoleArn", "notificationTopicArn"}
    made = {"taskRoleArn", "taskSecurityGroupId"} if graph.of("aws:ecs/service:Service") else set()
    if graph.of("aws:lb/loadBalancer:LoadBalancer"):
        made |= {"loadBalancerDnsName", "loadBalancerZoneId"}
    assert always | made <= set(graph.exports) <= always | made | sometimes


# --- what is kept ---------------------------------------------------------------------------------------------------

MADE = {"loadBalancer": {"plainHttp": True}}
"""Hosting made from nothing."""


def test_hosting_that_is_made_asks_aws_nothing() -> None:
    graph = build_program({**stack_file(frozenset(TOGGLES)), "ecs-delivery:hosting": MADE})
    assert graph.invokes == []
    assert graph.exports["serviceUrl"] == "http://lb-shop-dev-1.eu-west-1.elb.amazonaws.com"


def test_nothing_is_made_twice_where_hosting_exists() -> None:
    graph = combination(frozenset())
    kinds = {item.type.split(":")[1].split("/")[0] for item in graph if item.custom}
    assert not kinds & {"ec2", "vpc", "lb", "ecs", "appautoscaling"}


def test_hosting_that_is_made_protects_its_log_bucket_service_and_load_balancer_too() -> None:
    """The second target group is not: it goes with the engine that needs it."""
    graph = build_program({**stack_file(frozenset(), protect=True), "ecs-delivery:hosting": MADE})
    serving = {"aws:ecs/service:Service", "aws:lb/loadBalancer:LoadBalancer", "aws:lb/targetGroup:TargetGroup"}
    assert {item.type for item in graph if item.protect} == STATEFUL | GUARDS | serving
    assert [item.name for item in graph.of("TargetGroup") if item.protect] == ["shop-hosting-load-balancer-blue"]
    assert [item.name for item in graph if item.type in STATEFUL | GUARDS and not item.protect] == COPIES
    assert [item.inputs["forceDestroy"] for item in graph.of("aws:s3/bucket:Bucket")] == [False, False]
    assert graph.one("aws:lb/loadBalancer:LoadBalancer").inputs["enableDeletionProtection"] is True


def test_every_run_takes_alarms_away_that_are_off_but_those_of_a_service_that_exists() -> None:
    """ECS keeps what it is not told."""
    ecs = {"engine": "ecs"}
    off = {"alarmNames": [], "enable": False, "rollback": False}
    on = {"alarmNames": [f"shop-dev-{name}" for name in ("errors", "latency", "unhealthy-hosts")]}
    for hosting, alarms in (
        (MADE, {**on, "enable": True, "rollback": True}),
        ({**MADE, "alarms": {"enabled": False}}, off),
        ({"existing": {"cluster": "shop", "service": "shop", "executionRole": "shop-execution"}}, None),
    ):
        graph = build_program({**stack_file(frozenset()), "ecs-delivery:hosting": hosting, "ecs-delivery:deploy": ecs})
        project = graph.one("aws:codebuild/project:Project", "shop-deploy-ecs-project").inputs["environment"]
        variables = {item["name"]: item["value"] for item in project["environmentVariables"]}
        said = json.loads(variables["DEPLOYMENT_CONFIGURATION"])
        assert said.get("alarms") == alarms


def test_the_first_run_waits_for_the_service_it_deploys_to() -> None:
    graph = build_program({**stack_file(frozenset()), "ecs-delivery:hosting": MADE})
    service = graph.one("aws:ecs/service:Service").urn
    assert service in graph.one("aws:codepipeline/pipeline:Pipeline").dependencies
    assert service in graph.one("DeploymentGroup").dependencies


COPIES = ["shop-registry-build-tools-repository"]
"""What could be fetched again."""
STATEFUL = {"aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:ecr/repository:Repository"}
GUARDS = {
    "aws:kms/keyPolicy:KeyPolicy",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
}
"""What keeps a bucket and the key closed; an edit changes each in place, so that protection is never in its way."""


def test_with_protection_key_bucket_and_repositories_are_protected_with_what_keeps_them_closed() -> None:
    graph = build_program(stack_file(frozenset(TOGGLES), protect=True))
    assert {item.type for item in graph if item.protect} == STATEFUL | GUARDS
    assert [item.name for item in graph if item.type in STATEFUL | GUARDS and not item.protect] == COPIES
    assert [item.inputs["forceDestroy"] for item in graph.of("aws:s3/bucket:Bucket")] == [False]
    deleted = {item.name: item.inputs["forceDelete"] for item in graph.of("aws:ecr/repository:Repository")}
    assert [name for name, force in deleted.items() if force] == COPIES


def test_without_protection_a_stack_leaves_cleanly() -> None:
    graph = combination(frozenset(TOGGLES))
    assert [item.name for item in graph if item.protect] == []
    assert [item.inputs["forceDestroy"] for item in graph.of("aws:s3/bucket:Bucket")] == [True]
    assert {item.inputs["forceDelete"] for item in graph.of("aws:ecr/repository:Repository")} == {True}


def test_the_load_balancer_can_be_found_by_whoever_makes_the_dns_record() -> None:
    """The service's address is the domain name then, and the record is the user's to make."""
    balancer = {"certificateArn": CERTIFICATE}
    hosting = {"loadBalancer": {**balancer, "domainName": "shop.example.com"}}
    exports = build_program({**stack_file(frozenset()), "ecs-delivery:hosting": hosting}).exports
    assert exports["serviceUrl"] == "https://shop.example.com"
    assert exports["loadBalancerDnsName"] == "lb-shop-dev-1.eu-west-1.elb.amazonaws.com"
    assert exports["loadBalancerZoneId"] == "Z32O12XQLNTSW2"
    (note,) = (note for note in exports["nextSteps"] if "DNS" in note)
    assert note == (
        "Make the DNS record of shop.example.com: in Route 53 an alias to lb-shop-dev-1.eu-west-1.elb.amazonaws.com in "
        "the hosted zone Z32O12XQLNTSW2, elsewhere a CNAME to lb-shop-dev-1.eu-west-1.elb.amazonaws.com. Users reach "
        "it once this prints an address: nslookup shop.example.com"
    )


def test_a_certificate_of_a_name_that_the_file_does_not_tell_needs_the_record_as_well() -> None:
    balancer = {"certificateArn": CERTIFICATE}
    values = {**stack_file(frozenset()), "ecs-delivery:hosting": {"loadBalancer": balancer}}
    steps = build_program(values).exports["nextSteps"]
    assert "Make the DNS record of the name that the certificate is for: " in "".join(steps)
    assert (
        "Check that the certificate is ISSUED, because HTTPS needs it: aws acm describe-certificate --certificate-arn "
        f"{CERTIFICATE} --query Certificate.Status --output text --region eu-west-1"
    ) in steps


def test_plain_http_under_the_load_balancers_own_name_needs_no_record() -> None:
    exports = build_program({**stack_file(frozenset()), "ecs-delivery:hosting": MADE}).exports
    assert [note for note in exports["nextSteps"] if "DNS" in note] == []


def test_quotas_are_raised_where_a_new_account_has_too_little_for_two_such_stacks() -> None:
    values = {**stack_file(frozenset()), "ecs-delivery:application": {"name": "shop", "cpu": 1024, "memory": 2048}}
    service = {"scaling": {"maximum": 3}}
    exports = build_program({**values, "ecs-delivery:hosting": {**MADE, "service": service}}).exports
    steps = [step for step in exports["nextSteps"] if step.startswith("Quota")]
    assert [step.split(": ")[0] for step in steps] == [
        "Quota Concurrently running builds for ARM Lambda/4GB environment",
        "Quota Concurrently running builds for ARM/Small environment",
        "Quota Fargate On-Demand vCPU resource count",
    ]
    assert steps[2] == (
        "Quota Fargate On-Demand vCPU resource count: a new account has 6, this stack takes up to 6, two stacks like "
        "it 12. Where you need more than the account has, ask AWS: aws service-quotas request-service-quota-increase "
        "--service-code fargate --quota-code L-3032A538 --desired-value 12 --region eu-west-1"
    )


def test_the_program_runs_when_nothing_is_known_yet() -> None:
    """The first preview of an empty account knows no ARN at all."""
    graph = build_program(stack_file(frozenset(TOGGLES)), preview=True)
    assert [item.name for item in graph.of("Pipeline")] == ["shop-delivery-pipeline"]


CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f0f0f0f-1234-4abc-8def-0123456789ab"


def test_the_policies_of_a_role_have_room_for_as_many_images_and_checks_as_a_file_may_name() -> None:
    """All inline policies of a role have 10,240 characters together, white space aside.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    values = {
        **load_stack_file(stack_files()["everything-on"]),
        "ecs-delivery:hosting": {"loadBalancer": {"certificateArn": CERTIFICATE, "domainName": "shop.example.com"}},
    }
    names = [f"{'abcdefghi'[number]}-further-imag" for number in range(9)]
    application, build = (cast("dict[str, Any]", values[f"ecs-delivery:{key}"]) for key in ("application", "build"))
    containers = {f"c-{name}": {"image": f"build/{name}"} for name in names}
    checks = {f"check-of-20-letters{number}": {"buildspec": "ci/unit.yml"} for number in range(10)}
    values["ecs-delivery:application"] = {**application, "name": "a-name-of-24-characters1", "containers": containers}
    values["ecs-delivery:build"] = {
        **build,
        "images": {name: {"dockerfile": f"{name}/Dockerfile"} for name in names},
        "checks": checks,
    }
    sizes: dict[str, int] = {}
    for policy in build_program(values, stack_name="staging").of("RolePolicy"):
        text = json.dumps(json.loads(policy.inputs["policy"]), separators=(",", ":"))
        sizes[policy.inputs["role"]] = sizes.get(policy.inputs["role"], 0) + len(text)
    assert {role: size for role, size in sizes.items() if size > 10240} == {}


# --- reviewed summaries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(stack_files()))
def test_the_graph_is_the_one_that_was_reviewed(name: str) -> None:
    """`make golden` writes the summaries anew; what changed in them is what the change does."""
    assert summary(program(name)) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_there_is_no_summary_of_a_stack_file_that_is_gone() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(stack_files())


@pytest.mark.parametrize("name", ["behind-nginx", "everything-on"])
def test_a_permissions_boundary_bounds_every_role(name: str) -> None:
    """An account that asks for one refuses to make a role without it."""
    roles = program(name).of("aws:iam/role:Role")
    assert {role.inputs.get("permissionsBoundary") for role in roles} == {"arn:aws:iam::123456789012:policy/developers"}
    assert not any("permissionsBoundary" in role.inputs for role in program("dev").of("aws:iam/role:Role"))

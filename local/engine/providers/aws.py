"""The local `aws` provider: it behaves like the real one, with no account behind it.

It stands for the provider, never for the program. So it is strict where AWS would be strict ten minutes later
(unknown types, misspelt and mistyped properties, missing ones, names too long, the same thing made twice) and
invents only what AWS invents: ids, ARNs, addresses. Outputs of things not created yet stay unknown in a preview.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # protobuf ships no types

from local.engine.providers import changes, ecs_service, lookups
from local.engine.providers.catalogue import ACCOUNT, GENERIC, KINDS, Facts, Kind, invent
from local.engine.providers.checks import Problem, problems, suggest
from local.engine.providers.protocol import UNKNOWN, Value, from_struct, plain, plugin_pb2, provider_pb2_grpc, to_struct
from local.engine.providers.protocol import provider_pb2 as pb
from local.engine.providers.sdk_types import ResourceType, Sdk, UnknownTokenError
from local.engine.providers.server import Context, refuse
from local.engine.providers.world import Refused, Resource, World

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ACCOUNT = re.compile(r"\d{12}")
_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
_OLD_FIRST = ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
_NAMED_BY_DEFAULT = ("aws:codedeploy/deploymentConfig:DeploymentConfig",)
"""Types whose name has a default, which is no name that Pulumi makes up in the bridge's sense."""
_RANDOM_LETTERS = 7
"""How many hexadecimal digits Pulumi puts behind a name it makes up, after a dash."""


class AwsStandIn(provider_pb2_grpc.ResourceProviderServicer):
    """Serves every resource type of the installed pulumi-aws, and the functions of `lookups`.

    Args:
        sdk: the types of pulumi-aws.
        version: the version of pulumi-aws it stands for.
        world: what is in the account; by default nothing.
    """

    def __init__(self, sdk: Sdk, version: str, world: World | None = None) -> None:
        self._sdk = sdk
        self._world = world or World()
        self._version = version
        self._region, self._account = "", ACCOUNT
        self._default_tags: dict[str, Value] = {}
        self._made_by: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    # The provider itself.

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        """Tell the version."""
        return plugin_pb2.PluginInfo(version=self._version)

    def CheckConfig(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Hold the provider's configuration against the SDK, and insist on a region."""
        config = _config(from_struct(request.news))
        found = problems(self._sdk, self._sdk.provider(), config)
        region = config.get("region")
        if region is None:
            found.append(Problem("region", "is missing: set `aws:region` in the stack file, for example eu-west-1"))
        elif isinstance(region, str) and region != UNKNOWN and not _REGION.fullmatch(region):
            found.append(Problem("region", f"must be a region such as eu-west-1, got {region!r}"))
        if not found and not _ACCOUNT.fullmatch(account := _account(config)):
            found.append(Problem("allowedAccountIds", f"must name accounts by 12 digits in quotes, got {account!r}"))
        return pb.CheckResponse(inputs=request.news, failures=_failures(found))

    def DiffConfig(self, request: pb.DiffRequest, context: Context) -> pb.DiffResponse:
        """Another region means other resources."""
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        return pb.DiffResponse(replaces=["region"] if old.get("region") != new.get("region") else [])

    def Configure(self, request: pb.ConfigureRequest, context: Context) -> pb.ConfigureResponse:
        """Take region, account and default tags."""
        config = _config(from_struct(request.args))
        region = config.get("region")
        self._region = region if isinstance(region, str) else ""
        self._account = _account(config)
        tags = config.get("defaultTags")
        if isinstance(tags, dict) and isinstance(tags.get("tags"), dict):
            self._default_tags = dict(tags["tags"])  # type: ignore[arg-type]  # mypy does not narrow items
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    # Resources.

    def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Refuse what the SDK does not declare, and name what is not named."""
        token, resource = self._type(request.urn, context)
        inputs = from_struct(request.news)
        given = _plain(inputs)
        found = problems(self._sdk, resource.inputs, given)
        kind = KINDS.get(token, GENERIC)
        if not found:
            found = self._name(request.urn, kind, resource, given, _plain(from_struct(request.olds)))
        if not found:
            found = [*self._claim(request.urn, token, kind, given), *_too_long(kind, given)]
        inputs.update({name: given[name] for name in (kind.name,) if name in given and name not in inputs})
        return pb.CheckResponse(inputs=to_struct(inputs), failures=_failures(found))

    def Diff(self, request: pb.DiffRequest, context: Context) -> pb.DiffResponse:
        """Say which changes mean a new resource; what has changed in which way, the engine finds out by itself."""
        token, resource = self._type(request.urn, context)
        old, new = _plain(from_struct(request.old_inputs)), _plain(from_struct(request.news))
        names = changes.changed(token, _plain(from_struct(request.olds)), old, new)
        replaces = changes.replacing(token, names, old, new)
        delete_first = bool(replaces) and self._goes_first(request.urn, token, resource, new)
        nothing = pb.DiffResponse.DIFF_UNKNOWN if names else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(replaces=replaces, deleteBeforeReplace=delete_first, changes=nothing)

    @staticmethod
    def _goes_first(urn: str, token: str, resource: ResourceType, new: Mapping[str, Value]) -> bool:
        """Whether the old resource is deleted before the new one is made.

        That is so for a few types, and wherever the program gives a name that Pulumi would make up, also another one:
        nameRequiresDeleteBeforeReplace in
        https://github.com/pulumi/pulumi-terraform-bridge/blob/main/pkg/tfbridge/schema.go.
        """
        name = "targetId" if token == _TARGET else KINDS.get(token, GENERIC).name
        named_by_pulumi = name in resource.inputs.properties and token not in _NAMED_BY_DEFAULT
        made_up = re.escape(_beginning(urn, KINDS.get(token, GENERIC), new)) + rf"[0-9a-f]{{{_RANDOM_LETTERS}}}"
        chosen = new.get(name) is not None and not re.fullmatch(made_up, str(new[name]))
        return token in _OLD_FIRST or (named_by_pulumi and chosen)

    def Create(self, request: pb.CreateRequest, context: Context) -> pb.CreateResponse:
        """Make up what AWS would return; in a preview only what is known beforehand."""
        token, resource = self._type(request.urn, context)
        inputs = from_struct(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=to_struct({**self._known(resource, inputs), **inputs}))
        facts = self._facts(request.urn, token, _plain(inputs), seed=self._world.seed(request.urn))
        identity = KINDS.get(token, GENERIC).identity(facts) or facts.hex(17)
        outputs = {**self._computed(token, resource, facts), **self._known(resource, inputs), **inputs}
        with _answering(context):
            self._world.make(Resource(request.urn, token, identity, _plain(outputs)))
        return pb.CreateResponse(id=identity, properties=to_struct(outputs))

    def Update(self, request: pb.UpdateRequest, context: Context) -> pb.UpdateResponse:
        """Keep what AWS made up, take over what the program changed."""
        token, resource = self._type(request.urn, context)
        inputs = from_struct(request.news)
        olds, old_inputs = from_struct(request.olds), from_struct(request.old_inputs)
        kept = {name: value for name, value in olds.items() if name not in old_inputs}
        kept |= changes.kept(token, olds, old_inputs, inputs)
        outputs = {**kept, **self._known(resource, inputs), **inputs}
        if token == ecs_service.TOKEN and (
            why := ecs_service.deployment(_plain({**olds, **old_inputs}), _plain(outputs))
        ):
            self._world.deployments.append(f"{request.urn.rpartition('::')[2]}, for {', '.join(why)}")
        if not request.preview:
            with _answering(context):
                self._world.change(Resource(request.urn, token, request.id, _plain(outputs)))
        return pb.UpdateResponse(properties=to_struct(outputs))

    def Delete(self, request: pb.DeleteRequest, context: Context) -> empty_pb2.Empty:
        """Have it no more."""
        token, _ = self._type(request.urn, context)
        with _answering(context):
            self._world.remove(token, request.id, request.urn)
        return empty_pb2.Empty()

    # Functions.

    def Invoke(self, request: pb.InvokeRequest, context: Context) -> pb.InvokeResponse:
        """Answer a function of `lookups`; refuse every other."""
        if request.tok not in lookups.FUNCTIONS:
            hint = suggest(request.tok, lookups.FUNCTIONS)
            refuse(context, f"the local stand-in does not answer this function{hint}")
        arguments = {name: value for name, value in _plain(from_struct(request.args)).items() if value is not None}
        found = problems(self._sdk, lookups.FUNCTIONS[request.tok], arguments)
        if found:
            return pb.InvokeResponse(failures=_failures(found))
        return pb.InvokeResponse(
            **{"return": to_struct(lookups.answer(request.tok, arguments, self._region, self._account))}
        )

    # What the answers are made of.

    def _type(self, urn: str, context: Context) -> tuple[str, ResourceType]:
        token = urn.split("::")[2].rpartition("$")[2]
        try:
            return token, self._sdk.resource(token)
        except UnknownTokenError:
            hint = suggest(token, self._sdk.resource_tokens)
            refuse(context, f"{token} is not a resource type of pulumi-aws {self._version}{hint}")

    def _name(
        self, urn: str, kind: Kind, resource: ResourceType, given: dict[str, Value], old: Mapping[str, Value]
    ) -> list[Problem]:
        """Name a resource in place: as before, else as Pulumi would."""
        properties = resource.inputs.properties
        if kind.name not in properties or kind.name in resource.inputs.required:
            return []
        prefix_input = f"{kind.name}Prefix"
        if given.get(kind.name) is None:
            before = old.get(kind.name)
            same_rule = old.get(prefix_input) == given.get(prefix_input)
            keep = isinstance(before, str) and same_rule
            given[kind.name] = before if keep else _beginning(urn, kind, given) + self._random_letters(urn)
        name = given[kind.name]
        if isinstance(name, str) and name != UNKNOWN and len(name) > kind.longest:
            return [Problem(kind.name, f"must have at most {kind.longest} characters, got {len(name)} ({name!r})")]
        return []

    def _random_letters(self, urn: str) -> str:
        """What Pulumi adds to a name, except that it is always the same; another one for what replaces a resource."""
        return Facts(self._world.seed(urn), "", "", {}).hex(_RANDOM_LETTERS)

    def _claim(self, urn: str, token: str, kind: Kind, given: Mapping[str, Value]) -> list[Problem]:
        """Refuse a second resource that would be the very same thing in AWS."""
        identity = kind.identity(self._facts(urn, token, given))
        if not identity or UNKNOWN in identity:
            return []
        with self._lock:
            owner = self._made_by.setdefault((token, identity), urn)
        if owner == urn:
            return []
        return [Problem(kind.name, f"would make {identity!r} twice: {owner.rpartition('::')[2]!r} is the same thing")]

    def _facts(self, urn: str, token: str, given: Mapping[str, Value], seed: str = "") -> Facts:
        name = given.get(KINDS.get(token, GENERIC).name)
        region = given.get("region")
        return Facts(
            seed=seed or urn,
            name=name if isinstance(name, str) else "",
            region=region if isinstance(region, str) else self._region,
            inputs=given,
            account=self._account,
        )

    def _known(self, resource: ResourceType, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Outputs that follow from inputs and configuration alone, so that even a preview knows them."""
        known: dict[str, Value] = {}
        if "tagsAll" in resource.outputs:
            tags = inputs.get("tags")
            known["tagsAll"] = {**self._default_tags, **tags} if isinstance(tags, dict) else {**self._default_tags}
        if "region" in resource.outputs:
            known["region"] = self._region
        return known

    def _computed(self, token: str, resource: ResourceType, facts: Facts) -> dict[str, Value]:
        """Outputs that only exist once AWS has made the resource."""
        kind = KINDS.get(token, GENERIC)
        outputs: dict[str, Value] = {}
        for output, shape in resource.outputs.items():
            if output in kind.computed:
                outputs[output] = kind.computed[output](facts)
            elif output == "arn" and kind.arn:
                outputs[output] = kind.arn(facts)
            elif output not in resource.inputs.properties:
                outputs[output] = invent(output, shape.kind, token, facts)
        return outputs


@contextmanager
def _answering(context: Context) -> Iterator[None]:
    """Answer with what a service says when it refuses."""
    try:
        yield
    except Refused as refused:
        refuse(context, str(refused))


def _too_long(kind: Kind, given: Mapping[str, Value]) -> Iterator[Problem]:
    """Yield a document that AWS would refuse for its length."""
    if kind.document:
        name, most, error = kind.document
        text = given.get(name)
        if isinstance(text, str) and text != UNKNOWN and (size := len(text.encode())) > most:
            yield Problem(name, f"is too long: {error}: {most}, got {size} characters")


def _plain(values: Mapping[str, Value]) -> dict[str, Value]:
    return {key: plain(value) for key, value in values.items()}


def _config(values: Mapping[str, Value]) -> dict[str, Value]:
    """Provider configuration with the JSON texts, in which everything but strings travels, taken apart."""
    config: dict[str, Value] = {}
    for key, value in _plain(values).items():
        config[key] = value
        if isinstance(value, str) and value != UNKNOWN and value[:1] in {"[", "{", "t", "f", *"0123456789"}:
            try:
                config[key] = json.loads(value)
            except ValueError:
                continue
    return {key: value for key, value in config.items() if key not in {"version", "pluginDownloadURL"}}


def _account(config: Mapping[str, Value]) -> str:
    """The account whose credentials the provider would have to be given: the first that ``allowedAccountIds`` names.

    https://www.pulumi.com/registry/packages/aws/installation-configuration/
    """
    allowed = config.get("allowedAccountIds")
    return allowed[0] if isinstance(allowed, list) and allowed and isinstance(allowed[0], str) else ACCOUNT


def _beginning(urn: str, kind: Kind, given: Mapping[str, Value]) -> str:
    """What a name that Pulumi makes up begins with."""
    prefix = given.get(f"{kind.name}Prefix")
    base = prefix if isinstance(prefix, str) else f"{urn.rpartition('::')[2]}-"
    return base.lower() if kind is KINDS["aws:s3/bucket:Bucket"] else base


def _failures(found: Iterable[Problem]) -> list[pb.CheckFailure]:
    # The engine puts the resource's type and name in front; given the property too, it would add the value it has.
    return [pb.CheckFailure(reason=f"`{problem.path}` {problem.reason}") for problem in found]

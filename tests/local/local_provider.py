"""The local aws provider, asked what the engine asks, without an engine."""

from __future__ import annotations

from typing import NoReturn, cast

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from local.engine.providers.aws import AwsStandIn
from local.engine.providers.protocol import Value, from_struct, provider_pb2, to_struct
from local.engine.providers.sdk_types import Sdk

SDK = Sdk("pulumi_aws")
Values = dict[str, Value]


class Refused(Exception):  # noqa: N818 - what the engine would show
    """The call ended with an error."""


class Context:
    def abort(self, code: object, details: str) -> NoReturn:
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        raise Refused(details)


class Provider:
    """The stand-in, spoken to in plain values."""

    def __init__(self, region: str = "eu-west-1", **config: str) -> None:
        self.standin = AwsStandIn(SDK, "7.51.1")
        self.standin.Configure(
            provider_pb2.ConfigureRequest(args=to_struct({"region": region, **config})), self.context
        )

    @property
    def context(self) -> grpc.ServicerContext:
        return cast("grpc.ServicerContext", Context())

    @staticmethod
    def urn(token: str, name: str) -> str:
        return f"urn:pulumi:dev::shop::demo:index:Box${token}::{name}"

    def check(
        self, token: str, inputs: Values, name: str = "shop", olds: Values | None = None
    ) -> tuple[Values, list[str]]:
        request = provider_pb2.CheckRequest(
            urn=self.urn(token, name), news=to_struct(inputs), olds=to_struct(olds or {})
        )
        response = self.standin.Check(request, self.context)
        return from_struct(response.inputs), [failure.reason for failure in response.failures]

    def create(self, token: str, inputs: Values, name: str = "shop", *, preview: bool = False) -> tuple[str, Values]:
        request = provider_pb2.CreateRequest(urn=self.urn(token, name), properties=to_struct(inputs), preview=preview)
        response = self.standin.Create(request, self.context)
        return response.id, from_struct(response.properties)

    def diff(
        self, token: str, old: Values, new: Values, name: str = "shop", *, state: Values | None = None
    ) -> provider_pb2.DiffResponse:
        request = provider_pb2.DiffRequest(
            urn=self.urn(token, name), olds=to_struct(state or old), old_inputs=to_struct(old), news=to_struct(new)
        )
        return self.standin.Diff(request, self.context)

    def update(self, token: str, state: Values, old: Values, new: Values, identity: str, name: str = "shop") -> Values:
        request = provider_pb2.UpdateRequest(
            urn=self.urn(token, name),
            id=identity,
            olds=to_struct(state),
            old_inputs=to_struct(old),
            news=to_struct(new),
        )
        return from_struct(self.standin.Update(request, self.context).properties)

    def made(self, token: str, inputs: Values, name: str = "shop") -> tuple[str, Values]:
        """Check, then create, as the engine does."""
        checked, failures = self.check(token, inputs, name)
        assert failures == []
        return self.create(token, checked, name)

    def invoke(self, token: str, arguments: Values) -> tuple[Values, list[str]]:
        response = self.standin.Invoke(provider_pb2.InvokeRequest(tok=token, args=to_struct(arguments)), self.context)
        return from_struct(getattr(response, "return")), [failure.reason for failure in response.failures]

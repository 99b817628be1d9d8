"""What a stand-in provider answers to the engine beside its own methods."""

from __future__ import annotations

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # protobuf ships no types

from local.engine.providers.protocol import provider_pb2_grpc
from local.engine.providers.server import serving


def test_the_engine_may_attach_and_cancel_whatever_provider_it_is() -> None:
    """It cancels each provider when it ends; a provider that cannot be cancelled fills the log with its traceback."""
    with (
        serving(provider_pb2_grpc.ResourceProviderServicer) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        engine = provider_pb2_grpc.ResourceProviderStub(channel)
        assert engine.Cancel(empty_pb2.Empty()) == empty_pb2.Empty()

"""Serves a stand-in provider in this process; the engine attaches to it instead of starting one of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # protobuf ships no types

from local.engine.providers.protocol import provider_pb2_grpc

Context: TypeAlias = grpc.ServicerContext
"""What the protocol hands to each call beside its request."""
_LARGEST_MESSAGE = 400 * 1024 * 1024
"""What the engine itself allows; a stack's buildspecs and policies travel in one message each."""


class _OneForEachConnection:
    """Hands each call to the provider of its connection: the engine opens one for each provider that it configures."""

    def __init__(self, make: Callable[[], provider_pb2_grpc.ResourceProviderServicer]) -> None:
        self._make = make
        self._made: dict[str, provider_pb2_grpc.ResourceProviderServicer] = {}
        self._lock = threading.Lock()

    def Attach(self, _request: object, _context: Context) -> empty_pb2.Empty:  # noqa: N802 - the protocol's name
        """Take note that the engine attaches; who it is, a stand-in need not know."""
        return empty_pb2.Empty()

    def Cancel(self, _request: object, _context: Context) -> empty_pb2.Empty:  # noqa: N802 - the protocol's name
        """Have nothing to cancel: a stand-in's operation ends as soon as it has begun."""
        return empty_pb2.Empty()

    def __getattr__(self, name: str) -> Callable[[Any, Context], Any]:
        def call(request: object, context: Context) -> object:
            with self._lock:
                provider = self._made.get(context.peer()) or self._made.setdefault(context.peer(), self._make())
            return getattr(provider, name)(request, context)

        return call


@contextmanager
def serving(make: Callable[[], provider_pb2_grpc.ResourceProviderServicer]) -> Iterator[int]:
    """Serve a provider on loopback as long as the block lasts; gives the port.

    Args:
        make: makes the provider, one for each connection; its methods are called from several threads at once.
    """
    options = [
        ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
        ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ]
    with futures.ThreadPoolExecutor(max_workers=16) as threads:
        server = grpc.server(threads, options=options)
        servicer: Any = _OneForEachConnection(make)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port: int = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(grace=None).wait()


def refuse(context: Context, message: str) -> NoReturn:
    """End a call with an error that the engine shows as it stands."""
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
    raise AssertionError(message)  # abort does not return

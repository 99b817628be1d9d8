"""Runs a stand-in provider the way the engine starts one: as a process that prints the port it listens on."""

from __future__ import annotations

import os
import signal
import threading
from concurrent import futures
from types import FrameType
from typing import NoReturn, TypeAlias

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from local.engine.providers.protocol import provider_pb2_grpc

Context: TypeAlias = grpc.ServicerContext
"""What the protocol hands to each call beside its request."""
_LARGEST_MESSAGE = 400 * 1024 * 1024
"""What the engine itself allows; a stack's buildspecs and policies travel in one message each."""


def serve(provider: provider_pb2_grpc.ResourceProviderServicer) -> None:
    """Serve a provider on loopback until the engine ends the process.

    Args:
        provider: the implementation; its methods are called from several threads at once.
    """
    options = [
        ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
        ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # Nothing is kept here that an orderly shutdown would save, and every preview waits for this process to end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    print(port, flush=True)
    threading.Event().wait()


def refuse(context: Context, message: str) -> NoReturn:
    """End a call with an error that the engine shows as it stands."""
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
    raise AssertionError(message)  # abort does not return


def _leave(_signal: int, _frame: FrameType | None) -> None:
    os._exit(0)

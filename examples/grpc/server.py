"""Takes orders by gRPC, and answers the load balancer's question for its health."""

import signal
from concurrent.futures import ThreadPoolExecutor

import grpc
import orders_pb2
import orders_pb2_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


class Orders(orders_pb2_grpc.OrdersServicer):
    """The service."""

    def Place(self, request: orders_pb2.Order, _context: grpc.ServicerContext) -> orders_pb2.Receipt:  # noqa: N802 - of the .proto
        """Take an order."""
        return orders_pb2.Receipt(text=f"{request.count} x {request.product}")


def main() -> None:
    """Serve until SIGTERM; calls that run then may end."""
    server = grpc.server(ThreadPoolExecutor())
    orders_pb2_grpc.add_OrdersServicer_to_server(Orders(), server)
    states = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    server.add_insecure_port("0.0.0.0:50051")
    server.start()
    states.set("", health_pb2.HealthCheckResponse.SERVING)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=20))
    server.wait_for_termination()


if __name__ == "__main__":
    main()

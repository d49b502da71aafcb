"""Processes for the tests of those that watch them. Each sends its port through a pipe once it runs."""

import asyncio
import threading


def wait_for_ever(told) -> None:
    told.send(0)
    threading.Event().wait()


def serve_health(told, tls: tuple[bytes, bytes] | None = None, busy_threads: int = 0) -> None:
    """Serve gRPC's health on a free port, in an event loop, while threads compute without a pause."""
    import grpc  # it takes a while, and only this process needs it
    from grpc_health.v1 import health, health_pb2_grpc

    async def serve() -> None:
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
        if tls:
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([tls]))
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        for _ in range(busy_threads):
            threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
        told.send(port)
        await server.wait_for_termination()

    asyncio.run(serve())

"""A TCP hop in front of a server that can be made slow: a network that has become bad."""

import asyncio
from contextlib import asynccontextmanager


class Hop:
    """`delay` seconds are added to every piece from the server from now on; `connections` counts those that came."""

    def __init__(self, port):
        self._target = port
        self._tasks = set()
        self.delay = 0.0
        self.connections = 0
        self.port = 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            upstream, down = await asyncio.open_connection("127.0.0.1", self._target)
        except ConnectionError:
            writer.close()  # nobody is there: the client is told so by the end of its connection
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pump(reader, down, slowly=False))
                group.create_task(self.pump(upstream, writer, slowly=True))
        except* (ConnectionError, EOFError):
            pass  # either side has left, so the other is closed
        finally:
            down.close()
            writer.close()

    async def pump(self, reader, writer, *, slowly):
        while data := await reader.read(65536):
            if slowly and self.delay:
                await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()
        raise EOFError


@asynccontextmanager
async def hop(port):
    made = Hop(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made

"""A TCP hop in front of a server that can be made slow: a network that has become bad."""

import asyncio
from contextlib import asynccontextmanager


class Hop:
    """`delay` seconds are added to every piece from the server from now on; `connections` counts those that came.
    `cut` ends all connections and refuses new ones until `mend`.
    """

    def __init__(self, port):
        self._target = port
        self._tasks = set()
        self.delay = 0.0
        self.connections = 0
        self.port = 0
        self._is_cut = False
        self._open = set()

    def cut(self):
        self._is_cut = True
        for writer in self._open:
            writer.close()

    def mend(self):
        self._is_cut = False

    async def serve(self, reader, writer):
        self.connections += 1
        if self._is_cut:
            writer.close()
            return
        try:
            upstream, down = await asyncio.open_connection("127.0.0.1", self._target)
        except ConnectionError:
            writer.close()  # the server is away: close the connection so that the client sees it
            return
        self._open |= {writer, down}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pump(reader, down, slowly=False))
                group.create_task(self.pump(upstream, writer, slowly=True))
        except* (ConnectionError, EOFError):
            pass  # either side has left, so the other is closed
        finally:
            self._open -= {writer, down}
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

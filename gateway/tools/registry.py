"""All tool servers of a configuration, and what one agent may use of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from msgspec import Struct

from gateway.core.jsonio import loads
from gateway.core.tool_name import tool_name
from gateway.core.turn import ToolSpec
from gateway.tools.contract import Tool, ToolOutput, ToolServer, failed
from gateway.tools.filter import ToolFilter

log = structlog.get_logger(__name__)


class Registry:
    """The servers, in the order of the configuration."""

    def __init__(self, servers: Sequence[ToolServer]) -> None:
        self.servers = tuple(servers)

    @property
    def degraded(self) -> bool:
        """Whether a server can't be called now."""
        return not all(server.available for server in self.servers)


class OfferedTools(Struct, frozen=True):
    """The tools that a run may use, as they were when it began: how models see them, and where they are run."""

    specs: tuple[ToolSpec, ...]
    places: Mapping[str, tuple[ToolServer, str]]

    async def call(self, name: str, arguments: str, limit: float) -> ToolOutput:
        """Run a tool with the model's own argument text, within `limit` seconds."""
        place = self.places.get(name)
        if place is None:
            return failed("error", f"there is no tool called '{name[:64]}'.")
        try:
            read: Any = loads(arguments.encode()) if arguments.strip() else {}
        except ValueError:
            read = None
        if not isinstance(read, dict):
            return failed("error", "the arguments are no JSON object.")
        if limit <= 0:
            return failed("timeout", "the time in which tools are run is over.")
        server, tool = place
        return await server.call(tool, read, limit)


class Toolset:
    """What one agent may use: tools that pass every one of `filters` by their `server__tool` names, `most` of them."""

    def __init__(self, registry: Registry, filters: Sequence[ToolFilter], most: int = 128) -> None:
        self._servers = registry.servers
        self._filters = tuple(filters)
        self._most = most
        self._known: tuple[tuple[Tool, ...], ...] = ()
        self._offer = OfferedTools((), {})

    def offer(self) -> OfferedTools:
        """The tools of this moment; nothing is computed unless a server's have changed."""
        known = tuple(server.tools for server in self._servers)
        if known != self._known:
            self._known, self._offer = known, self._offered()
        return self._offer

    def _offered(self) -> OfferedTools:
        specs: list[ToolSpec] = []
        places: dict[str, tuple[ToolServer, str]] = {}
        for server in self._servers:
            for tool in server.tools:
                name = tool_name(server.name, tool.name)
                if not all(one.passes(name) for one in self._filters):
                    continue
                if name in places:
                    log.warning("a tool is left out: another one has its name", server=server.name, tool=name)
                    continue
                specs.append(ToolSpec(name, tool.description, tool.parameters))
                places[name] = server, tool.name
        if len(specs) > self._most:
            # Providers refuse a request with more than they take: then no request of the agent would be answered.
            log.warning("tools are left out: choose with `tools.allow`", offered=self._most, tools=len(specs))
            for spec in specs[self._most :]:
                del places[spec.name]
        return OfferedTools(tuple(specs[: self._most]), places)

"""All tool servers of a configuration, and the tools that an agent may use."""

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
        """Whether any server can't be called now."""
        return not all(server.available for server in self.servers)


class OfferedTools(Struct, frozen=True):
    """The tools of a run, fixed at its start: `specs` for models, `targets` (server and its tool name) by tool name."""

    specs: tuple[ToolSpec, ...]
    targets: Mapping[str, tuple[ToolServer, str]]

    async def call(self, name: str, arguments: str, limit: float) -> ToolOutput:
        """Run a tool with the model's argument text, at most `limit` seconds."""
        target = self.targets.get(name)
        if target is None:
            return failed("error", f"there is no tool called '{name[:64]}'.")
        try:
            parsed: Any = loads(arguments.encode()) if arguments.strip() else {}
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            return failed("error", "the arguments are not a JSON object.")
        if limit <= 0:
            return failed("timeout", "the run has no time left for tools.")
        server, tool = target
        return await server.call(tool, parsed, limit)


class Toolset:
    """The tools of one agent: those whose `server__tool` names pass all `filters`, at most `max_tools`."""

    def __init__(self, registry: Registry, filters: Sequence[ToolFilter], max_tools: int = 128) -> None:
        self._servers = registry.servers
        self._filters = tuple(filters)
        self._max_tools = max_tools
        self._server_tools: tuple[tuple[Tool, ...], ...] = ()
        self._offer = OfferedTools((), {})

    def offer(self) -> OfferedTools:
        """The current tools. They are computed only after a server's tools have changed."""
        current = tuple(server.tools for server in self._servers)
        if current != self._server_tools:
            self._server_tools, self._offer = current, self._compute()
        return self._offer

    def _compute(self) -> OfferedTools:
        specs: list[ToolSpec] = []
        targets: dict[str, tuple[ToolServer, str]] = {}
        for server in self._servers:
            for tool in server.tools:
                name = tool_name(server.name, tool.name)
                if not all(one.passes(name) for one in self._filters):
                    continue
                if name in targets:
                    log.warning("A tool is not offered, another tool has its name", server=server.name, tool=name)
                    continue
                specs.append(ToolSpec(name, tool.description, tool.parameters))
                targets[name] = server, tool.name
        if len(specs) > self._max_tools:
            # Providers refuse a request with too many tools, so every request of the agent would fail.
            log.warning("Too many tools, select some with `tools.allow`", offered=self._max_tools, tools=len(specs))
            for spec in specs[self._max_tools :]:
                del targets[spec.name]
        return OfferedTools(tuple(specs[: self._max_tools]), targets)

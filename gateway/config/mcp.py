"""`mcp`: servers whose tools agents may run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr

from gateway.config import accepted
from gateway.config.section import Milliseconds, Section


def _text(value: object) -> object:
    """OpenClaw takes numbers and booleans as values of `env` and `headers`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[SecretStr, BeforeValidator(_text)]


class ToolFilterConfig(Section):
    """Names or `*` patterns of the server's tools to offer and to hide."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class McpServerConfig(Section):
    """One server: a `command` to start, or a `url` to call."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MCP_SERVER
    RENAMED: ClassVar[Mapping[str, str]] = MappingProxyType({"workingDirectory": "cwd", "type": "transport"})

    enabled: bool = True
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, Text] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    transport: Literal["stdio", "sse", "streamable-http", "http"] | None = None
    headers: dict[str, Text] = Field(default_factory=dict)
    connection_timeout_ms: Milliseconds = 30_000
    request_timeout_ms: Milliseconds = 60_000
    tool_filter: ToolFilterConfig = ToolFilterConfig()


class McpConfig(Section):
    """`mcp`."""

    UNUSED: ClassVar[frozenset[str]] = accepted.MCP

    servers: dict[str, McpServerConfig] = Field(default_factory=dict)

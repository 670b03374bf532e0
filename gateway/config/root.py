"""The whole configuration as one frozen value; each section has a module of its own."""

from gateway.config.agents import AgentsConfig
from gateway.config.diagnostics import DiagnosticsConfig
from gateway.config.gateway import GatewayConfig
from gateway.config.logs import LoggingConfig
from gateway.config.mcp import McpConfig
from gateway.config.memory import MemoryConfig
from gateway.config.profiles import ProfilesConfig
from gateway.config.providers import ModelsConfig
from gateway.config.section import Section
from gateway.config.session import SessionConfig
from gateway.config.tools import ToolsConfig


class Config(Section):
    """What `gateway.config.load` returns: shape and rules checked, secrets resolved, nothing left to look up."""

    gateway: GatewayConfig = GatewayConfig()
    agents: AgentsConfig = AgentsConfig()
    models: ModelsConfig = ModelsConfig()
    auth: ProfilesConfig = ProfilesConfig()
    memory: MemoryConfig = MemoryConfig()
    session: SessionConfig = SessionConfig()
    mcp: McpConfig = McpConfig()
    logging: LoggingConfig = LoggingConfig()
    diagnostics: DiagnosticsConfig = DiagnosticsConfig()
    tools: ToolsConfig = ToolsConfig()

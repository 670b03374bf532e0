"""What a server refuses in the schemas of tools (`compat.toolSchemaProfile`, `compat.unsupportedToolSchemaKeywords`),
and the tools that it accepts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from gateway.core.turn import ToolSpec, Turn
from gateway.wire.schema_keywords import Refuses, without
from gateway.wire.schema_openapi import reduced

PROFILES = ("gemini", "llamacpp", "xai")
"""OpenClaw's names of servers: Gemini behind another API, llama.cpp, which compiles schemas to grammars, and xAI."""

_MAX_GRAMMAR_LENGTH = 2000  # llama.cpp writes a repetition out
_XAI_KEYWORDS = frozenset({"minContains", "maxContains"})


@dataclass(frozen=True, slots=True)
class SchemaProfile:
    """`name` is one of `PROFILES`; the `keywords` are refused too, at every depth."""

    name: str | None = None
    keywords: frozenset[str] = frozenset()

    def accepted(self, turn: Turn) -> Turn:
        """The turn with tools whose schemas the server accepts; a debug line names what is left out."""
        refuses = self._refuses()
        return replace(turn, tools=tuple(self._tool(tool, refuses) for tool in turn.tools))

    def _refuses(self) -> Refuses:
        keywords = self.keywords | _XAI_KEYWORDS if self.name == "xai" else self.keywords
        if self.name == "llamacpp":
            return lambda name, value: name in keywords or _is_beyond_grammars(name, value)
        return lambda name, _: name in keywords

    def _tool(self, tool: ToolSpec, refuses: Callable[[str, Any], bool]) -> ToolSpec:
        if tool.parameters is None:
            return tool
        schema: Mapping[str, Any] = reduced(tool.parameters, tool.name) if self.name == "gemini" else tool.parameters
        schema = without(schema, refuses, tool.name)
        return tool if schema is tool.parameters else replace(tool, parameters=schema)


def schema_profile(name: object, keywords: object) -> SchemaProfile | None:
    """The profile of a row's quirks; None if the server accepts every schema."""
    profile = name if isinstance(name, str) and name in PROFILES else None
    names = frozenset(str(one) for one in keywords) if isinstance(keywords, list | tuple) else frozenset[str]()
    return SchemaProfile(profile, names) if profile or names else None


def _is_beyond_grammars(name: str, value: object) -> bool:
    return name == "pattern" or (name == "maxLength" and isinstance(value, int) and value >= _MAX_GRAMMAR_LENGTH)
